"""Confidence intervals, 95 % unless another z is given.

`phi` (see `dispersion.phi`) says how much more a statistic varies between windows than independent rows
would: an interval is as wide as that of n / phi rows. Where phi was learned from windows, z is
`dispersion.interval_sigmas`. Coverages are in docs/why.md.
"""

import math
from typing import NamedTuple

Z_95 = 1.959963984540054
MINIMUM_ROWS = 100
"""Fewer values of either sign have no interval for their mean."""
MINIMUM_LOSSES = 100
"""Losses that count as fewer than that many equal ones have no interval."""
MINIMUM_SCORE_LOSSES = 30
"""The same for losses of scores, whose tails are lighter: log loss and Brier score."""

WIDEST = 30.0
"""Half width at which an interval in logarithms says nothing any more."""


class Interval(NamedTuple):
    """Both ends belong to the interval."""

    lower: float
    upper: float


def wilson(successes: float, n: float, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Wilson's score interval for a ratio (Wilson 1927) on n / phi rows, corrected where rows are few.

    None without rows. Ends are those of `1 / (m + 2)` successes fewer and more, where m is the smaller of
    successes and failures: a correction for continuity that fades. Wilson's own interval holds the truth in
    0.912 where 5 of the rarer kind are expected; this one in at least 0.931 from there on.

    It never leaves [0, 1] and has a width at 0 and at 1, where the textbook interval has none.

    >>> lower, upper = wilson(999, 1000)
    >>> round(lower, 4), round(upper, 4)
    (0.9938, 0.9999)
    """
    if n <= 0:
        return None
    rows, count = n / phi, successes / phi
    fade = 1 / (min(count, rows - count) + 2)
    lower = 0.0 if successes <= 0 else _score_end(max(0.0, count - fade), rows, -z)
    upper = 1.0 if successes >= n else _score_end(min(rows, count + fade), rows, z)
    # Rounding must not push the ratio out of its own interval.
    return Interval(max(0.0, min(lower, successes / n)), min(1.0, max(upper, successes / n)))


def _score_end(count: float, rows: float, z: float) -> float:
    """The ratio p that lies z of its own standard errors, `sqrt(p (1 - p) / rows)`, from count / rows."""
    ratio = count / rows
    half = math.sqrt(ratio * (1 - ratio) / rows + z * z / (4 * rows * rows))
    return (ratio + z * z / (2 * rows) + math.copysign(z * half, z)) / (1 + z * z / rows)


def f1_interval(tp: float, fp: float, fn: float, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Interval for F1 = 2 TP / (2 TP + FP + FN); None when no row is, or was called, positive.

    F1 is the increasing function 2 J / (1 + J) of Jaccard's J = TP / (TP + FP + FN), which is a ratio of
    rows: so the interval for J, mapped. Its coverage holds where that of the delta method falls to 81 %.

    >>> lower, upper = f1_interval(tp=80, fp=20, fn=20)
    >>> round(lower, 3), round(upper, 3)
    (0.733, 0.854)
    """
    jaccard = wilson(tp, tp + fp + fn, phi, z)
    if jaccard is None:
        return None
    return Interval(2 * jaccard.lower / (1 + jaccard.lower), 2 * jaccard.upper / (1 + jaccard.upper))


def mean_interval(sum_x: float, sum_x2: float, n: float, phi: float = 1.0, z: float = Z_95) -> Interval | None:
    """Interval for the mean of n values of either sign, from their sum and sum of squares; None below 100.

    Normal approximation with the sample variance (ddof 1). For values that are never negative take
    `loss_interval`.

    >>> lower, upper = mean_interval(sum_x=100.0, sum_x2=200.0, n=100)
    >>> round(lower, 4), round(upper, 4)
    (0.803, 1.197)
    """
    if n < MINIMUM_ROWS:
        return None
    half = z * math.sqrt(_variance(sum_x, sum_x2, n) * phi / n)
    return Interval(sum_x / n - half, sum_x / n + half)


def loss_interval(
    sum_x: float, sum_x2: float, n: float, phi: float = 1.0, z: float = Z_95, minimum: float = MINIMUM_LOSSES
) -> Interval | None:
    """Interval for the mean of n values that are never negative, from their sum and sum of squares.

    `mean · exp(± z · SE / mean)`: normal in the logarithm (delta method), since the mean of skewed losses is
    nearer to it there. The root mean square has the square roots of the ends for squared errors.

    None where the values count as fewer than `minimum` equal ones (`equal_losses`): a few large ones make up the
    sum, and the next window may hold one more.

    >>> lower, upper = loss_interval(sum_x=200.0, sum_x2=400.0, n=200)
    >>> round(lower, 4), round(upper, 4)
    (0.8703, 1.1491)
    """
    if n < 2 or sum_x <= 0 or equal_losses(sum_x, sum_x2) < minimum:
        return None
    mean = sum_x / n
    ratio = math.exp(min(z * math.sqrt(_variance(sum_x, sum_x2, n) * phi / n) / mean, WIDEST))
    return Interval(mean / ratio, mean * ratio)


def equal_losses(sum_x: float, sum_x2: float) -> float:
    """How many equal values count as much as these: `(Σx)² / Σx²` (Kish 1965); 0 of nothing.

    >>> equal_losses(4.0, 10.0)
    1.6
    """
    return sum_x * sum_x / sum_x2 if sum_x2 > 0 else 0.0


def gap_interval(
    gap: float, positives: float, squares: float, n: float, phi: float = 1.0, z: float = Z_95
) -> Interval | None:
    """Interval for the mean of score minus label; None without rows.

    `gap` is the sum of score - label over n rows, `squares` that of its squares. Of both the labels vary
    more: so the interval of `wilson` for the share of positives, mirrored about the mean score. Its rows count as
    many as would give the gap's own variance. It keeps its promise where 5 positives are expected; the normal
    approximation needs 50.

    >>> lower, upper = gap_interval(gap=-2.0, positives=10, squares=9.0, n=100)
    >>> round(lower, 3), round(upper, 3)
    (-0.096, 0.025)
    """
    if n < 2:
        return None
    share = positives / n
    unexplained = _variance(gap, squares, n) / (share * (1 - share)) if 0 < share < 1 else 1.0
    ends = wilson(positives, n, phi * max(unexplained, 1 / n), z)
    if ends is None:
        return None
    score = gap / n + share
    return Interval(min(score - ends.upper, gap / n), max(score - ends.lower, gap / n))


def _variance(sum_x: float, sum_x2: float, n: float) -> float:
    """The sample variance (ddof 1); rounding cannot make it negative."""
    return max(0.0, (sum_x2 - sum_x * (sum_x / n)) / (n - 1))
