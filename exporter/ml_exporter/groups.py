"""Groups of rows, and sums over them: whole numbers, so that any split of the rows adds up to the same."""

from dataclasses import dataclass

import numpy as np

from ml_exporter.layout import Bools, Floats, Vector
from ml_exporter.statistics.binner import Codes

_HALF = 1 << 20


@dataclass(frozen=True)
class Groups:
    """Which group each row belongs to.

    `index` has shape (n,) and values below `count`; `starts` where each group begins, if sorted.
    """

    index: Codes
    count: int
    starts: Codes | None

    def sums(self, values: Floats) -> Vector:
        """Sum of whole numbers held as floats, by group; exact below 2**53. Shape (count,)."""
        if self.starts is not None and len(values):
            return np.add.reduceat(values, self.starts).astype(np.int64)
        return np.bincount(self.index, values, self.count).astype(np.int64)

    def counts(self, codes: Codes, width: int) -> Vector:
        """How often each code occurs, by group. Shape (count, width)."""
        flat = codes if self.count == 1 else self.index * width + codes
        return np.bincount(flat, minlength=self.count * width).reshape(self.count, width)

    def where(self, mask: Bools) -> Vector:
        """How many rows are marked, by group. Shape (count,)."""
        if self.starts is not None and len(mask):
            marked: Vector = np.add.reduceat(mask, self.starts, dtype=np.int64)
            return marked
        return np.bincount(self.index[mask], minlength=self.count)

    def exact(self, values: Floats) -> Vector:
        """Sum of whole numbers up to 2**52 held as floats, by group, in two halves: exact where `sums` is not."""
        high = np.floor(values / _HALF)
        return self.sums(high) * _HALF + self.sums(values - high * _HALF)

    def exact_by(self, codes: Codes, width: int, values: Floats) -> Vector:
        """`exact` sums by group and code. Shape (count, width)."""
        cells = Groups(self.index * width + codes, self.count * width, None)
        return cells.exact(values).reshape(self.count, width)

    def rows(self) -> Vector:
        """How many rows there are, by group. Shape (count,)."""
        return np.bincount(self.index, minlength=self.count)

    def take(self, mask: Bools) -> "Groups":
        """The groups of the marked rows."""
        return self if mask.all() else Groups(self.index[mask], self.count, None)


def group_rows(keys: Vector) -> tuple[Vector, Groups]:
    """Distinct keys in ascending order, and the group of every row.

    `keys` has shape (n,), such as the pane of each row.
    """
    if len(keys) == 0:
        return keys, Groups(np.zeros(0, np.intp), 0, None)
    step = np.diff(keys)
    if (step >= 0).all():
        starts = np.concatenate([np.zeros(1, np.intp), np.flatnonzero(step) + 1])
        index = np.zeros(len(keys), np.intp)
        index[starts[1:]] = 1
        return keys[starts], Groups(np.cumsum(index), len(starts), starts)
    distinct, inverse = np.unique(keys, return_inverse=True)
    return distinct, Groups(inverse, len(distinct), None)
