"""Quantiles of a histogram."""

import math

import numpy as np
import numpy.typing as npt


def bucket_quantile(q: float, upper_bounds: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> float | None:
    """Quantile q of counts (k + 1,) in buckets with k inclusive upper bounds and +Inf; None when empty.

    Exact where it is a bound. Between two, the log-odds of the share below grow in proportion to the logarithm of the
    value, as those of a log-logistic distribution do (and nearly those of a lognormal or a power law in its tail): on a
    straight line, as PromQL draws it, a quantile lies far too high in a bucket that few rows reach. Half a row is added
    to both sides of the odds. The first bucket is a line from 0 (or collapses to its bound, if that is not positive); a
    quantile in the last reads as the highest bound. Counts are per bucket, not cumulative.

    Raises ValueError when q is not in [0, 1].

    >>> found = [bucket_quantile(q, np.array([1.0, 4.0]), np.array([25, 50, 25])) for q in (0.1, 0.25, 0.5, 0.75)]
    >>> [round(value, 6) for value in found]
    [0.4, 1.0, 2.0, 4.0]
    """
    if not 0.0 <= q <= 1.0:
        msg = f"bucket_quantile: expected a quantile from 0 to 1, got {q}. Write 0.99 for 99 %."
        raise ValueError(msg)
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1])
    if total == 0:
        return None
    rank = q * total
    # An empty bucket holds no quantile: at q = 0 take the first that has rows, where PromQL would give NaN.
    bucket = int(np.searchsorted(cumulative, rank, side="left" if rank > 0 else "right"))
    if bucket == upper_bounds.size:
        return float(upper_bounds[-1])
    upper = float(upper_bounds[bucket])
    if bucket == 0 and upper <= 0:
        return upper
    if bucket == 0:
        return upper * rank / int(counts[0])
    lower, before, after = float(upper_bounds[bucket - 1]), int(cumulative[bucket - 1]), int(cumulative[bucket])
    if lower <= 0:
        return lower + (upper - lower) * (rank - before) / (after - before)
    first, here, last = (math.log((count + 0.5) / (total - count + 0.5)) for count in (before, rank, after))
    return lower * math.exp((here - first) / (last - first) * math.log(upper / lower))
