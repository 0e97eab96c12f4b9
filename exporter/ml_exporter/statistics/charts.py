"""Control charts: limits that follow from the history of one value, one point a non-overlapping window.

Histories have shape (k,), oldest first; NaN is a window without a value. Sources: individuals and moving range as in
the NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2; prediction limits of one further normal value as in Hahn
and Meeker 1991, "Statistical Intervals".
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

Floats = npt.NDArray[np.float64]

INDIVIDUALS_FACTOR = 2.66
"""3 / d2, where d2 = 2 / √π is the mean range of two normal values of deviation 1."""
RANGE_FACTOR = 3.267
"""Upper limit of the moving range in means of it (D4 of two values)."""
CHART_POINTS = 50
CHART_AUTOCORRELATION = 0.25
SEASON = 7
"""Points are days, or one hour of each: what repeats every week is no independent value either."""
DEVIATION_POINTS = 10
"""Fewest independent points that a standard deviation is taken from."""
OWN_OUTSIDE = 0.04
"""Limits that more than this share of their own history lies beyond describe another distribution."""


Lack = Literal["points", "spread", "stability"]
"""Why there are no limits: too few (independent) values, values that are all the same, or too many that lie beyond."""


class ControlLimits(NamedTuple):
    """Where the next value of a process that goes on as before is expected, and how far from the last one."""

    centre: float
    lower: float
    upper: float
    range_upper: float | None
    """Largest step between two values in a row; None where steps are not judged."""
    method: Literal["individuals", "deviation"]


def autocorrelation(values: Floats, lag: int = 1) -> float | None:
    """Correlation of each value with the one `lag` places later, where both are known; None without any spread.

    >>> autocorrelation(np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    -1.0
    """
    known = values[np.isfinite(values)]
    if known.size < 2 or np.ptp(known) == 0.0:
        return None
    deviations = values - known.mean()
    products = deviations[:-lag] * deviations[lag:]
    pairs = products[np.isfinite(products)]
    return float(pairs.mean() / known.var()) if pairs.size else None


def individuals(values: Floats, sigmas: float = 3.0) -> ControlLimits | None:
    """Limits `mean ± 2.66 MR̄` and `3.267 MR̄`, where MR̄ is the mean step between neighbours that both are known.

    Those are of three standard deviations; others are as far in proportion. None without a step, or if none moved.

    >>> [round(limit, 2) for limit in individuals(np.array([1.0, 2.0, 1.0, 2.0, 1.0]))[:4]]
    [1.4, -1.26, 4.06, 3.27]
    """
    steps = np.abs(np.diff(values))
    steps = steps[np.isfinite(steps)]
    if steps.size == 0 or not steps.any():
        return None
    centre, step = float(values[np.isfinite(values)].mean()), float(steps.mean())
    reach = INDIVIDUALS_FACTOR * step * sigmas / 3.0
    return ControlLimits(centre, centre - reach, centre + reach, RANGE_FACTOR * step, "individuals")


def independent_points(values: Floats) -> float | None:
    """How many independent points a history is worth; None without any spread.

    With lag-1 autocorrelation r above 0, k points are worth `k (1 - r) / (1 + r)` independent ones. Short series show
    too small an r, so `(1 + 4r) / k` is added (Kendall 1954).

    >>> independent_points(np.array([1.0, 2.0] * 10))
    20.0
    """
    correlation, count = autocorrelation(values), int(np.count_nonzero(np.isfinite(values)))
    if correlation is None:
        return None
    r = min(max(correlation + (1.0 + 4.0 * correlation) / count, 0.0), 0.99)
    return count * (1.0 - r) / (1.0 + r)


def deviation(values: Floats, sigmas: float = 3.0) -> ControlLimits | None:
    """Limits `mean ± t·sd·√(1 + 1/k)` that the next value leaves as often as a normal value leaves `sigmas`.

    The `independent_points` of the history give the degrees of freedom of t. With many points this is
    `mean ± sigmas·sd`. None below `DEVIATION_POINTS` of them, or without any spread.

    >>> limits = deviation(np.array([1.0, 2.0] * 500))
    >>> round(limits.lower, 1), round(limits.upper, 1)
    (-0.0, 3.0)
    """
    known = values[np.isfinite(values)]
    points = independent_points(values)
    if points is None or points < DEVIATION_POINTS:
        return None
    student = -float(stdtrit(points - 1.0, float(ndtr(-sigmas))))
    spread = float(known.std()) * math.sqrt(points / (points - 1.0))
    centre, reach = float(known.mean()), student * spread * math.sqrt(1.0 + 1.0 / points)
    return ControlLimits(centre, centre - reach, centre + reach, None, "deviation")


def control_limits(histories: Sequence[Floats], sigmas: float = 3.0) -> tuple[int, ControlLimits] | None:
    """The limits of a value, and which history they are of; the histories are of ever coarser windows.

    An individuals chart needs 50 points and an autocorrelation of at most 0.25 (at 0.5 it is wrong in 3.4 % of points,
    at 0.7 in 10 %), of neighbours and of points a week apart: steps between neighbours say little about a weekend. The
    first history that has both is taken. Else it is `deviation` of the first. Limits that more than 4 % of their own
    history lie beyond are no limits. None where nothing fits.
    """
    for place, values in enumerate(histories):
        correlations = (autocorrelation(values), autocorrelation(values, SEASON))
        enough = np.count_nonzero(np.isfinite(values)) >= CHART_POINTS
        if enough and all(found is not None and found <= CHART_AUTOCORRELATION for found in correlations):
            limits = individuals(values, sigmas)
            if limits is not None and _holds(limits, values):
                return place, limits
    limits = deviation(histories[0], sigmas) if histories else None
    return (0, limits) if limits is not None and _holds(limits, histories[0]) else None


def _holds(limits: ControlLimits, values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return float(np.mean((known < limits.lower) | (known > limits.upper))) <= OWN_OUTSIDE


def lack(values: Floats) -> Lack:
    """Why `control_limits` finds none in a history.

    >>> lack(np.array([0.5] * 20)), lack(np.array([0.5, 0.6]))
    ('spread', 'points')
    """
    known = values[np.isfinite(values)]
    if known.size < DEVIATION_POINTS:
        return "points"
    if autocorrelation(values) is None:
        return "spread"
    return "points" if deviation(values) is None else "stability"
