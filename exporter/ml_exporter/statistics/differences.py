"""Differences between two groups of rows that were served at the same time."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, stdtrit

from ml_exporter.statistics.intervals import Z_95, Interval

Floats = npt.NDArray[np.float64]

NOTICED = 0.1
MINIMUM_BLOCKS = 5


def difference_interval(here: tuple[float, Interval], there: tuple[float, Interval]) -> Interval:
    """Interval of `here - there` from two independent estimates (value, interval) of the same confidence.

    Of Wilson's intervals it makes Newcombe's hybrid score interval for the difference of two ratios (Newcombe 1998,
    method 10); of `mean ± z SE` it makes `z √(SE² + SE²)` (Welch); of others what is known as MOVER (Zou and Donner
    2008): each side of the result recovers the variance of both estimates near the limit on that side.

    >>> from ml_exporter.statistics.intervals import wilson
    >>> lower, upper = difference_interval((56 / 70, wilson(56, 70)), (48 / 80, wilson(48, 80)))
    >>> round(lower, 4), round(upper, 4)
    (0.0515, 0.3346)
    """
    (p, (p_lower, p_upper)), (q, (q_lower, q_upper)) = here, there
    return Interval(p - q - math.hypot(p - p_lower, q_upper - q), p - q + math.hypot(p_upper - p, q - q_lower))


class Blocks(NamedTuple):
    """One statistic of one group by block of time, each of shape (blocks,): value, variance of a single row, rows."""

    value: Floats
    variance: Floats
    rows: Floats


def cluster_phi(here: Blocks, there: Blocks) -> float:
    """How much more the difference of two groups varies than with independent rows; at least 1.

    What both groups share in a block (an hour, a weather) cancels in their difference. What only one of them has there,
    as when whole users or sessions are served by one version, does not. So the variance of the difference is taken from
    the K blocks, as of a sample of clusters: `K / (K - 1) Σ r²` with the share of each block in the difference,
    `r = n (v - V) / N - m (u - U) / M` (capitals: over all blocks; Kish 1965, linearised). Divided by the variance of
    independent rows it is phi; times `(t / z)²`, since with K - 1 degrees of freedom an interval is that of Student.
    It is 1 unless beyond its 90 % quantile for independent rows, since its own noise would widen every interval, and
    with fewer than 5 blocks.

    >>> rows, same = np.full(24, 100.0), np.zeros(24)
    >>> split = Blocks(np.tile([0.2, 0.8], 12), same + 0.16, rows)
    >>> cluster_phi(split, split), round(cluster_phi(split, Blocks(same + 0.5, same + 0.25, rows)), 1)
    (1.0, 20.9)
    """
    count = int(((here.rows > 0) & (there.rows > 0)).sum())
    if count < MINIMUM_BLOCKS:
        return 1.0
    residual, variance = np.zeros(len(here.rows)), 0.0
    for side, sign in ((here, 1.0), (there, -1.0)):
        value = np.where(side.rows > 0, side.value, 0.0)
        total = float(side.rows.sum())
        mean = float((side.rows * value).sum()) / total
        residual += sign * side.rows * (value - mean) / total
        spread = np.where(side.rows > 0, side.variance, 0.0) + (value - mean) ** 2
        variance += float((side.rows * spread).sum()) / total**2
    if variance <= 0:
        return 1.0
    found = count / (count - 1) * float((residual**2).sum()) / variance
    if found <= float(chdtri(count - 1, NOTICED)) / (count - 1):
        return 1.0
    return max(1.0, found * (float(stdtrit(count - 1, 0.025)) / Z_95) ** 2)
