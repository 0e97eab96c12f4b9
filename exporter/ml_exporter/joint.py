"""What the reference knows of whole rows: how far each value may lie, and how numeric features depend on each other.

A row is judged in whole numbers that a double holds exactly, so that neither the order of the rows, nor how they were
split, nor the order in which a product of matrices is added up changes a bit. With d features, at most `MAX_FEATURES`:

- A standardised value is clipped at `CLIP` and standardised again by its mean and its standard deviation (at least
  `SCALE_FLOOR`, so at most 12 / 0.75 = 16 of them from the mean), then rounded to multiples of 1 / `VALUE_UNIT`: at
  most 2^12 of them.
- Entries of the components are multiples of 1 / `VECTOR_UNIT`, at most 2^12 of them: each sum of d products stays below
  2^31. The coordinate is rounded to multiples of 1 / `VALUE_UNIT` again.
- A row's squared coordinates add up to at most d · 2^24 (and their rounding), and each is weighted by at most
  `WEIGHT_UNIT` / `VARIANCE_FLOOR`, below 2^21: every sum stays below 2^52.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLIP = 8.0
"""Robust standard deviations: no single value, and no heavy tail, decides how the features depend on each other."""
SCALE_FLOOR = 0.75
"""A feature that hardly varies within the clip counts less, instead of having a scale near nothing."""
VALUE_UNIT = 1 << 8
VECTOR_UNIT = 1 << 12
WEIGHT_UNIT = 1 << 14
VARIANCE_FLOOR = 0.01
"""Components that vary less (constant and collinear features) count as if they varied so much."""
MAX_FEATURES = 100
ERROR_UNIT = 1 << 16
ERROR2_UNIT = 1 << 12
"""Of the reconstruction error of a row, below 2^8, and of its square."""

REASONS = ("range", "distance", "prediction")
"""Why a row is an outlier."""

Plan = tuple[str, tuple[tuple[str, int], ...], object]
Limits = tuple[float, float]
"""Lowest and highest usual value. Nothing is usual where the first is above the second."""


@dataclass(frozen=True)
class Components:
    """Principal components of the standardised numeric features, in falling order of their variance.

    `centres` and `scales` standardise clipped values again. `vectors` has a row of whole numbers for each component.
    The first `kept` components reconstruct a row. `weights` divide squared coordinates by their variance, and `limit`
    is the largest squared distance, in their unit, of a row that is no outlier.
    """

    centres: tuple[float, ...]
    scales: tuple[float, ...]
    vectors: tuple[tuple[int, ...], ...]
    weights: tuple[int, ...]
    kept: int
    limit: int

    @property
    def reconstructs(self) -> bool:
        """Whether anything is left beside the components that reconstruct."""
        return self.kept < len(self.vectors)


@dataclass(frozen=True)
class Joint:
    """How far the values of a row may lie, and all of them together.

    `ranges` are those of the numeric features in the order of the layout, in their own unit; `answers` those of the
    score (or the confidence) of each predicted class, or the one of a predicted number. `components` are of the first
    numeric features, None where the reference is too short for them.
    """

    ranges: tuple[Limits, ...]
    answers: tuple[Limits, ...]
    components: Components | None = None

    def plans(self) -> list[Plan]:
        """The slices of whole rows: name, fields with their sizes, and what gives their cells a meaning."""
        found = self.components
        known = _document(found) if found else None
        fields = ("rows", "outliers", *REASONS)
        meaning: object = [self.ranges, self.answers, known, CLIP, VALUE_UNIT, VECTOR_UNIT, WEIGHT_UNIT]
        plans: list[Plan] = [("outliers", tuple((name, 1) for name in fields), meaning)]
        if found and found.reconstructs:
            own = [found.centres, found.scales, found.vectors, found.kept, CLIP, VALUE_UNIT, VECTOR_UNIT]
            errors = (("rows", 1), ("error", 1), ("error2", 1))
            plans.append(("reconstruction", errors, [*own, ERROR_UNIT, ERROR2_UNIT]))
        return plans


def joint_to_json(joint: Joint, features: tuple[str, ...]) -> dict[str, Any]:
    """What the artefact says about whole rows; `features` are the numeric ones."""
    ranges = {name: _open(limits) for name, limits in zip(features, joint.ranges, strict=True)}
    document: dict[str, Any] = {"ranges": ranges, "answers": [_open(limits) for limits in joint.answers]}
    return document | ({"components": _document(joint.components)} if joint.components else {})


def joint_from_json(document: Mapping[str, Any]) -> Joint:
    """What `joint_to_json` wrote. Raises KeyError, TypeError or ValueError."""
    ranges = tuple(_closed(limits) for limits in document["ranges"].values())
    answers = tuple(_closed(limits) for limits in document["answers"])
    found = document.get("components")
    if found is None:
        return Joint(ranges, answers)
    vectors = tuple(tuple(vector) for vector in found["vectors"])
    units = (tuple(found["centres"]), tuple(found["scales"]))
    components = Components(*units, vectors, tuple(found["weights"]), found["kept"], found["limit"])
    return Joint(ranges, answers, components)


def _document(components: Components) -> dict[str, Any]:
    lists = {name: list(getattr(components, name)) for name in ("centres", "scales", "weights")}
    vectors = {"vectors": [list(vector) for vector in components.vectors]}
    return lists | vectors | {"kept": components.kept, "limit": components.limit}


def _open(limits: Limits) -> list[float | None]:
    """JSON knows no infinity: a side that is open is null."""
    return [None if abs(limit) == float("inf") else limit for limit in limits]


def _closed(limits: list[float | None]) -> Limits:
    low, high = limits
    return (-float("inf") if low is None else float(low), float("inf") if high is None else float(high))
