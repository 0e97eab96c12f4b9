"""The layout of a vector: which cell means what.

All that is known of a set of predictions is one int64 vector. The layout names its slices: a head (rows, predictions,
flags, scores, latency, labels, quality), then one slice for each feature, then whole rows. A slice holds its own
denominators and a digest of everything that gives its cells a meaning (edges, categories, units), so that vectors made
under another configuration can be projected slice by slice.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml_exporter.joint import Joint
from ml_exporter.tasks import Plan, Regression, Task
from ml_exporter.units import DELAY_UNIT, LATENCY_UNIT, PROBABILITY_UNIT, Z2_UNIT, Z_LIMIT, Z_UNIT

Vector = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Align = Literal["prediction", "arrival"]


@dataclass(frozen=True)
class NumericBins:
    """How a numeric feature is counted: inner edges of its bins, centre and scale of z, and the plausible range."""

    name: str
    edges: tuple[float, ...]
    centre: float
    scale: float
    low: float
    high: float

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """Name and size of each field of the slice."""
        bins = len(self.edges) + 1
        counts = ("valid", "null", "invalid", "out_of_range", "clipped")
        return (*((name, 1) for name in counts), ("bins", bins), ("z", 1), ("z2", 1))


@dataclass(frozen=True)
class CategoryBins:
    """How a categorical feature is counted: one bin a known category, then one for every other."""

    name: str
    categories: tuple[str, ...]

    @property
    def fields(self) -> tuple[tuple[str, int], ...]:
        """Name and size of each field of the slice."""
        return (("valid", 1), ("null", 1), ("unseen", 1), ("bins", len(self.categories) + 1))


FeatureBins = NumericBins | CategoryBins
REPEATS = "repeats"
"""The slice of predictions whose id an earlier one had, which only the join knows."""


@dataclass(frozen=True)
class Slice:
    """A named run of cells. `fields` maps each field to its place within the slice."""

    name: str
    start: int
    size: int
    digest: str
    fields: Mapping[str, slice]


class Cells(Mapping[str, Vector]):
    """Views of one slice of a vector, or of the last axis of a matrix, by field; made when they are asked for."""

    __slots__ = ("_fields", "_part")

    def __init__(self, vector: Vector, place: Slice) -> None:
        self._part = vector[..., place.start : place.start + place.size]
        self._fields = place.fields

    def __getitem__(self, field: str) -> Vector:
        """The cells of a field."""
        return self._part[..., self._fields[field]]

    def __iter__(self) -> Iterator[str]:
        """The names of the fields."""
        return iter(self._fields)

    def __len__(self) -> int:
        """How many fields there are."""
        return len(self._fields)


@dataclass(frozen=True)
class Layout:
    """The cells of a model's vector. Edges are inner edges: bin i holds edges[i-1] <= x < edges[i].

    `align` says into whose pane quality counts fall: that of the prediction's time, or of the label's (`arrival`).
    `joint` is what the reference knows of whole rows, if anything.

    >>> from ml_exporter.tasks import Binary
    >>> task = Binary(("no", "yes"), 0.5, (0.5,))
    >>> layout = Layout(task, (0.1, 1.0), (3600.0,), (CategoryBins("carrier", ("AA",)),))
    >>> [item.name for item in layout.slices][-1], layout.size
    ('feature:carrier', 52)
    """

    task: Task
    latency_bounds: tuple[float, ...]
    delay_bounds: tuple[float, ...]
    features: tuple[FeatureBins, ...] = ()
    align: Align = "prediction"
    joint: Joint | None = None
    slices: tuple[Slice, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slices", tuple(_place(self)))

    @property
    def size(self) -> int:
        """Number of cells."""
        last = self.slices[-1]
        return last.start + last.size

    @cached_property
    def by_name(self) -> Mapping[str, Slice]:
        """The slices by name."""
        return {item.name: item for item in self.slices}

    @cached_property
    def head(self) -> "Layout":
        """The same layout without features. Its vectors are the first `head.size` cells of this one's."""
        return replace(self, features=(), joint=None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of a prediction, none where it is a number."""
        return self.task.classes

    @property
    def is_class(self) -> bool:
        """Whether a prediction is one of `classes`, known by its index; else it is a number."""
        return not isinstance(self.task, Regression)

    @property
    def join_scores(self) -> int:
        """How many scores of a prediction wait for its label."""
        return self.task.join_scores

    @property
    def arrival_slices(self) -> tuple[str, ...]:
        """The slices that a label adds to the pane of its own time; what else it adds goes to the prediction's."""
        return self.task.arrival_slices if self.align == "arrival" else ()

    @cached_property
    def arriving(self) -> Bools:
        """Which cells belong to `arrival_slices`, shape (size,)."""
        mask = np.zeros(self.size, np.bool_)
        for name in self.arrival_slices:
            place = self.by_name[name]
            mask[place.start : place.start + place.size] = True
        return mask

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any cell's meaning or place."""
        return _digest([[item.name, item.size, item.digest] for item in self.slices])

    def zeros(self) -> Vector:
        """A vector of nothing."""
        return np.zeros(self.size, np.int64)

    def cells(self, vector: Vector, name: str) -> Mapping[str, Vector]:
        """Views of one slice of a vector (or of the last axis of a matrix), by field."""
        return Cells(vector, self.by_name[name])


def _head(layout: Layout) -> list[Plan]:
    """The slices of the head; those of the task stand where the first release had them."""
    of_task = {plan[0]: plan for plan in layout.task.plans(layout.align == "arrival")}
    confidence = (("confidence_rows", 1), ("confidence", 1))
    flags = (*confidence, ("fallback_rows", 1), ("fallback", 1), ("error_rows", 1), ("error", 1))
    latency = (("rows", 1), ("invalid", 1), ("buckets", len(layout.latency_bounds) + 1), ("sum", 1))
    labels = (("joinable", 1), ("labelled", 1), ("delay", len(layout.delay_bounds) + 1), ("delay_sum", 1))
    return [
        ("rows", (("rows", 1),), "count"),
        of_task.pop("predictions"),
        ("flags", flags, PROBABILITY_UNIT),
        *([of_task.pop("scores")] if "scores" in of_task else []),
        ("latency", latency, [LATENCY_UNIT, layout.latency_bounds]),
        ("labels", labels, [DELAY_UNIT, layout.delay_bounds]),
        *of_task.values(),
        (REPEATS, (("rows", 1),), "count"),
    ]


def _place(layout: Layout) -> list[Slice]:
    plan = _head(layout)
    for item in layout.features:
        meaning: object
        if isinstance(item, NumericBins):
            meaning = ["numeric", item.edges, item.centre, item.scale, item.low, item.high, Z_LIMIT, Z_UNIT, Z2_UNIT]
        else:
            meaning = ["categorical", item.categories]
        plan.append((f"feature:{item.name}", item.fields, meaning))
    plan += layout.joint.plans() if layout.joint else []
    slices, start = [], 0
    for name, fields, meaning in plan:
        places, offset = {}, 0
        for key, size in fields:
            places[key] = slice(offset, offset + size)
            offset += size
        slices.append(Slice(name, start, offset, _digest([[list(item) for item in fields], meaning]), places))
        start += offset
    return slices


def _digest(meaning: object) -> str:
    """Twelve hex digits of a JSON value; floats are spelled with all their digits."""
    return hashlib.sha256(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Projection:
    """How vectors of one layout become vectors of another: pairs of equal runs, and which slices start from zero."""

    size: int
    runs: tuple[tuple[slice, slice], ...]
    reset: tuple[str, ...]

    def __call__(self, vector: Vector) -> Vector:
        """The vector in the new layout."""
        result = np.zeros(self.size, np.int64)
        for source, target in self.runs:
            result[target] = vector[source]
        return result


def project(old: tuple[Slice, ...], new: tuple[Slice, ...]) -> Projection:
    """The projection that keeps exactly the slices whose name, size and digest match; the others of `new` are reset."""
    known = {item.name: item for item in old}
    runs, reset = [], []
    for item in new:
        match = known.get(item.name)
        if match and (match.size, match.digest) == (item.size, item.digest):
            runs.append((slice(match.start, match.start + match.size), slice(item.start, item.start + item.size)))
        else:
            reset.append(item.name)
    return Projection(new[-1].start + new[-1].size, tuple(runs), tuple(reset))


def slices_to_json(slices: tuple[Slice, ...]) -> str:
    """The slices without their fields, as the store keeps them beside the panes."""
    return json.dumps([[item.name, item.start, item.size, item.digest] for item in slices])


def slices_from_json(text: str) -> tuple[Slice, ...]:
    """What `slices_to_json` wrote."""
    return tuple(Slice(name, start, size, digest, {}) for name, start, size, digest in json.loads(text))
