"""Predictions as a join keeps them, with what is found again about each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_exporter.layout import Bools, Floats
from ml_exporter.statistics.binner import Codes

Classes = npt.NDArray[np.int16]
Values = Classes | Floats
"""Predictions or labels: indices of classes, -1 for none or an unknown one; or numbers, NaN for none."""

UNKNOWN_CLASS = -1


@dataclass(frozen=True)
class Scored:
    """What later joins with the label.

    `predicted` (n,); scores (n, `Layout.join_scores`), NaN for none; bin of the score or the confidence (n,), -1 for
    none.
    """

    predicted: Values
    scores: Floats
    bin: Codes

    @property
    def known(self) -> Bools:
        """Which predictions can be joined with a label, shape (n,)."""
        return known(self.predicted)


def known(values: Values) -> Bools:
    """Which predictions or labels are of a known class, or a finite number.

    >>> known(np.array([0, -1], np.int16)).tolist(), known(np.array([0.5, np.nan, np.inf])).tolist()
    ([True, False], [True, False, False])
    """
    if values.dtype.kind == "f":
        return np.isfinite(values)
    found: Bools = values > UNKNOWN_CLASS
    return found
