"""Area under the ROC curve, from two histograms of the score."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_exporter.statistics.intervals import WIDEST, Z_95, Interval

MINIMUM_ROWS_PER_CLASS = 100


class Auc(NamedTuple):
    """The area, its standard error and the rows it stands on."""

    value: float
    standard_error: float
    positives: int
    negatives: int


def auc_from_histograms(positive: npt.NDArray[np.int64], negative: npt.NDArray[np.int64]) -> Auc | None:
    """AUC from counts per score bin (bins,), by increasing score; None when a class has no rows.

    It is the probability that a positive scores above a negative; two scores in one bin count one half. The
    error is DeLong's (DeLong, DeLong and Clarke-Pearson 1988): the variance, over the positives, of the share
    of negatives each beats, plus the same for the negatives. Both shares are constant within a bin, so the
    cost is O(bins).

    Ties within bins make the value read low, with the square of their width: in the bins of `score_edges` by
    0.4e-4 (1.2e-4 where 0.1 % are positive) if the logits of each class have a standard deviation of 1, by
    1.6e-4 (5.0e-4) at 0.5 (normal logits).

    >>> auc = auc_from_histograms(np.array([0, 1, 3]), np.array([3, 1, 0]))
    >>> auc.value, round(auc.standard_error, 4), auc.positives
    (0.96875, 0.0442, 4)
    """
    positives, negatives = int(positive.sum()), int(negative.sum())
    if positives == 0 or negatives == 0:
        return None
    # The share of negatives that a positive in each bin beats, and of positives that beat a negative in it.
    beaten = (np.cumsum(negative) - 0.5 * negative) / negatives
    value = float((positive * beaten).sum()) / positives
    beating = 1.0 - (np.cumsum(positive) - 0.5 * positive) / positives
    of_positives = float((positive * (beaten - value) ** 2).sum()) / max(positives - 1, 1)
    of_negatives = float((negative * (beating - value) ** 2).sum()) / max(negatives - 1, 1)
    return Auc(value, math.sqrt(of_positives / positives + of_negatives / negatives), positives, negatives)


def auc_interval(auc: Auc, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Interval `A ± z · SE · √phi` in logits, `SE / (A (1 - A))`; None where rows are too few.

    In logits the ends stay within (0, 1), and the interval of a high AUC is longer below. It takes 100 rows of
    each class, and an AUC other than 0 and 1, where DeLong's error is 0. It holds the truth in 93 % where `A` and
    `1 - A` of the smaller class are at least 5 rows, and in 86 % at an AUC of 0.998 of 100 (DeLong's own: 79 %).

    >>> lower, upper = auc_interval(Auc(0.9, 0.02, positives=100, negatives=100))
    >>> round(lower, 4), round(upper, 4)
    (0.8534, 0.9329)
    """
    if min(auc.positives, auc.negatives) < MINIMUM_ROWS_PER_CLASS or not 0 < auc.value < 1:
        return None
    spread = auc.value * (1 - auc.value)
    ratio = math.exp(min(z * auc.standard_error * math.sqrt(phi) / spread, WIDEST))
    odds = auc.value / (1 - auc.value)
    return Interval(odds / (odds + ratio), odds / (odds + 1 / ratio))
