"""Whole rows to cells: outliers, and how well the usual dependences of the features reconstruct a row.

The arithmetic is that of `ml_exporter.joint`: exact, whatever the order of the rows.
"""

from dataclasses import dataclass

import numpy as np

from ml_exporter.features import standardise
from ml_exporter.groups import Groups
from ml_exporter.heads.scored import Scored, known
from ml_exporter.joint import (
    CLIP,
    ERROR2_UNIT,
    ERROR_UNIT,
    VALUE_UNIT,
    VECTOR_UNIT,
    Components,
    Joint,
)
from ml_exporter.layout import Bools, Floats, Layout, NumericBins, Vector
from ml_exporter.tasks import Regression

_BLOCK = 1 << 12
"""Rows that are looked at together: what is computed of them stays in the cache of a core."""


@dataclass(frozen=True)
class Projector:
    """Components as arrays: `factors` from standardised values to their unit, `sums` of squared coordinates (2, d)."""

    centres: Floats
    factors: Floats
    vectors: Floats
    sums: Floats

    def measure(self, z: Floats) -> tuple[Floats, Floats]:
        """Squared distance (n,) in the unit of the weights, and squared reconstruction error (n,) of rows.

        `z`, shape (d or more, n), are standardised values, 0 where there is none: the centre stands in.
        """
        rows = z.shape[1]
        found = np.empty((2, rows))
        for start in range(0, rows, _BLOCK):
            values = np.clip(z[: len(self.centres), start : start + _BLOCK], -CLIP, CLIP)
            values -= self.centres
            values *= self.factors
            coordinates = self.vectors @ np.rint(values, out=values)
            coordinates *= 1.0 / VECTOR_UNIT
            np.rint(coordinates, out=coordinates)
            coordinates *= coordinates
            np.matmul(self.sums, coordinates, out=found[:, start : start + _BLOCK])
        return found[0], found[1]


def make_projector(components: Components) -> Projector:
    """The arrays of components."""
    left = np.arange(len(components.vectors)) >= components.kept
    return Projector(
        np.array(components.centres)[:, None],
        VALUE_UNIT / np.array(components.scales)[:, None],
        np.array(components.vectors, np.float64),
        np.stack([np.array(components.weights, np.float64), left.astype(np.float64)]),
    )


@dataclass(frozen=True)
class Odd:
    """Which rows are outliers, and why; each of shape (n,). `errors` are squared reconstruction errors."""

    range: Bools
    distance: Bools
    prediction: Bools
    errors: Floats | None


@dataclass(frozen=True)
class JointCounter:
    """What a layout knows of whole rows, as arrays. `low` and `high` (features, 1) are standardised limits."""

    layout: Layout
    joint: Joint
    low: Floats
    high: Floats
    projector: Projector | None

    def look(self, z: Floats, unseen: Bools, scored: Scored, judged: Floats) -> Odd:
        """Judges rows: standardised values (features, n), whether a category is unseen, what a prediction is judged by.

        Errors are None where nothing is left to reconstruct.
        """
        outside = unseen
        if z.size and ((z.min(axis=1) < self.low[:, 0]) | (z.max(axis=1) > self.high[:, 0])).any():
            outside = unseen | ((z < self.low) | (z > self.high)).any(axis=0)
        far, errors = np.zeros(len(unseen), np.bool_), None
        if self.projector is not None and self.joint.components is not None:
            distances, squares = self.projector.measure(z)
            far = distances > self.joint.components.limit
            errors = squares if self.joint.components.reconstructs else None
        return Odd(outside, far, odd_answers(self.layout, self.joint, scored, judged), errors)

    def count(self, odd: Odd, groups: Groups, matrix: Vector) -> None:
        """Counts judged rows."""
        cells = self.layout.cells(matrix, "outliers")
        cells["rows"][:, 0] = groups.rows()
        cells["outliers"][:, 0] = groups.where(odd.range | odd.distance | odd.prediction)
        cells["range"][:, 0] = groups.where(odd.range)
        cells["distance"][:, 0] = groups.where(odd.distance)
        cells["prediction"][:, 0] = groups.where(odd.prediction)
        if odd.errors is not None:
            cells = self.layout.cells(matrix, "reconstruction")
            cells["rows"][:, 0] = groups.rows()
            cells["error"][:, 0] = groups.sums(np.rint(np.sqrt(odd.errors) * (ERROR_UNIT / VALUE_UNIT)))
            cells["error2"][:, 0] = groups.sums(np.rint(odd.errors * (ERROR2_UNIT / VALUE_UNIT**2)))


def odd_answers(layout: Layout, joint: Joint, scored: Scored, judged: Floats) -> Bools:
    """Which predictions lie beyond what is usual for a number, or for the score of their class; shape (n,)."""
    limits = np.array(joint.answers)
    place = np.zeros(len(judged), np.intp)
    if not isinstance(layout.task, Regression):
        place = np.maximum(scored.predicted, 0).astype(np.intp)
    with np.errstate(invalid="ignore"):
        odd: Bools = (judged < limits[place, 0]) | (judged > limits[place, 1])
    odd &= known(scored.predicted)
    return odd


def make_joint_counter(layout: Layout, joint: Joint) -> JointCounter:
    """The arrays of what a layout knows of whole rows."""
    items = [item for item in layout.features if isinstance(item, NumericBins)]
    pairs = [standardise(np.array(limits), item) for limits, item in zip(joint.ranges, items, strict=True)]
    limits = np.array(pairs).reshape(-1, 2, 1)
    projector = make_projector(joint.components) if joint.components else None
    return JointCounter(layout, joint, limits[:, 0], limits[:, 1], projector)
