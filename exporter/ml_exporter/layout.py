"""The layout of a vector: which cell means what.

All that is known of a set of predictions is one int64 vector. The layout names its slices: a head (rows, predictions,
flags, scores, latency, labels, quality), then one slice for each feature. A slice holds its own denominators and a
digest of everything that gives its cells a meaning (edges, categories, units), so that vectors made under another
configuration can be projected slice by slice.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Align = Literal["prediction", "arrival"]

Z_LIMIT = 64.0
"""Standardised values are clipped here: no value poisons a window, and no sum overflows below 2**33 rows."""
Z_UNIT = 1 << 24
Z2_UNIT = 1 << 12
LOSS_UNIT = 1 << 24
LOSS2_UNIT = 1 << 20
PROBABILITY_UNIT = 1 << 24
LATENCY_UNIT = 1_000_000
DELAY_UNIT = 1_000
PROBABILITY_FLOOR = 1e-15

LABEL_STATES = ("none", "negative", "positive")


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


@dataclass(frozen=True)
class Slice:
    """A named run of cells. `fields` maps each field to its place within the slice."""

    name: str
    start: int
    size: int
    digest: str
    fields: Mapping[str, slice]


@dataclass(frozen=True)
class Layout:
    """The cells of a binary model's vector. Edges are inner edges: bin i holds edges[i-1] <= x < edges[i].

    `align` says into whose pane quality counts fall: that of the prediction's time, or of the label's (`arrival`).

    >>> layout = Layout(("no", "yes"), 0.5, (0.5,), (0.1, 1.0), (3600.0,), (CategoryBins("carrier", ("AA",)),))
    >>> [item.name for item in layout.slices][-1], layout.size
    ('feature:carrier', 51)
    """

    classes: tuple[str, str]
    decision_threshold: float
    score_edges: tuple[float, ...]
    latency_bounds: tuple[float, ...]
    delay_bounds: tuple[float, ...]
    features: tuple[FeatureBins, ...] = ()
    align: Align = "prediction"
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
        return replace(self, features=())

    @property
    def is_class(self) -> bool:
        """Whether a prediction is one of `classes`, known by its index; else it is a number."""
        return True

    @property
    def join_scores(self) -> int:
        """How many scores of a prediction wait for its label."""
        return 1

    @property
    def arrival_slices(self) -> tuple[str, ...]:
        """The slices that a label adds to the pane of its own time; what else it adds goes to the prediction's."""
        return ("quality", "arrived") if self.align == "arrival" else ()

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
        place = self.by_name[name]
        part = vector[..., place.start : place.start + place.size]
        return {key: part[..., where] for key, where in place.fields.items()}


def _head(layout: Layout) -> list[tuple[str, tuple[tuple[str, int], ...], object]]:
    """Name, fields and meaning of every slice of the head."""
    classes = len(layout.classes)
    bins = len(layout.score_edges) + 1
    scored = [layout.classes, layout.decision_threshold]
    losses = (("log_loss", 1), ("log_loss2", 1), ("brier", 1), ("brier2", 1))
    sums = (("scored", 1), ("score", 1), ("positive", 1))
    arrives = ["arrival"] if layout.align == "arrival" else []
    arrived = ("arrived", (("histogram", (len(LABEL_STATES) - 1) * bins),), [*scored, layout.score_edges])
    return [
        ("rows", (("rows", 1),), "count"),
        ("predictions", (("predicted", 1), ("unknown", 1), ("classes", classes)), scored),
        (
            "flags",
            (
                ("confidence_rows", 1),
                ("confidence", 1),
                ("fallback_rows", 1),
                ("fallback", 1),
                ("error_rows", 1),
                ("error", 1),
            ),
            PROBABILITY_UNIT,
        ),
        ("scores", (("invalid", 1), ("histogram", classes * len(LABEL_STATES) * bins)), [*scored, layout.score_edges]),
        (
            "latency",
            (("rows", 1), ("invalid", 1), ("buckets", len(layout.latency_bounds) + 1), ("sum", 1)),
            [LATENCY_UNIT, layout.latency_bounds],
        ),
        (
            "labels",
            (("joinable", 1), ("labelled", 1), ("delay", len(layout.delay_bounds) + 1), ("delay_sum", 1)),
            [DELAY_UNIT, layout.delay_bounds],
        ),
        ("quality", (("confusion", classes * classes), *sums, *losses), [*scored, LOSS_UNIT, LOSS2_UNIT, *arrives]),
        *([arrived] if arrives else []),
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
