"""Confidence intervals, 95 % unless another z is given.

`phi` (see `dispersion.phi`) says how much more a statistic varies between windows than independent rows
would: an interval is as wide as that of n / phi rows.
"""

import math
from typing import NamedTuple

Z_95 = 1.959963984540054


class Interval(NamedTuple):
    """Both ends belong to the interval."""

    lower: float
    upper: float


def wilson(successes: float, n: float, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Wilson's score interval for a ratio (Wilson 1927), on n / phi rows; None without rows.

    It never leaves [0, 1] and has a width at 0 and at 1, where the textbook interval has none.

    >>> lower, upper = wilson(999, 1000)
    >>> round(lower, 4), round(upper, 4)
    (0.9944, 0.9998)
    """
    if n <= 0:
        return None
    ratio, rows = successes / n, n / phi
    centre = (ratio + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(ratio * (1 - ratio) / rows + z * z / (4 * rows * rows))
    # At 0 and 1 one end is exact; rounding must not push the ratio out of its own interval.
    return Interval(max(0.0, min(centre - half, ratio)), min(1.0, max(centre + half, ratio)))


def f1_interval(tp: float, fp: float, fn: float, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Interval for F1 = 2 TP / (2 TP + FP + FN); None when no row is, or was called, positive.

    F1 is the increasing function 2 J / (1 + J) of Jaccard's J = TP / (TP + FP + FN), which is a ratio of
    rows: so Wilson's interval for J, mapped. Its coverage holds where that of the delta method falls to 81 %.

    >>> lower, upper = f1_interval(tp=80, fp=20, fn=20)
    >>> round(lower, 3), round(upper, 3)
    (0.733, 0.854)
    """
    jaccard = wilson(tp, tp + fp + fn, phi, z)
    if jaccard is None:
        return None
    return Interval(2 * jaccard.lower / (1 + jaccard.lower), 2 * jaccard.upper / (1 + jaccard.upper))


def mean_interval(sum_x: float, sum_x2: float, n: float, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Interval for the mean of n values with sum `sum_x` and sum of squares `sum_x2`; None below two values.

    Normal approximation with the sample variance (ddof 1). A bound that the mean cannot cross, such as 0 for
    a loss, is for the caller to apply. The root mean square has the square roots of the ends for squared
    errors.

    >>> lower, upper = mean_interval(sum_x=100.0, sum_x2=200.0, n=100)
    >>> round(lower, 4), round(upper, 4)
    (0.803, 1.197)
    """
    if n < 2:
        return None
    mean = sum_x / n
    variance = max(0.0, (sum_x2 - sum_x * mean) / (n - 1))
    half = z * math.sqrt(variance * phi / n)
    return Interval(mean - half, mean + half)
