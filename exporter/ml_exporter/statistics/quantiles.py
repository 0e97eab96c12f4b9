"""Quantiles of a histogram."""

import numpy as np
import numpy.typing as npt


def bucket_quantile(q: float, upper_bounds: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> float | None:
    """Quantile q of counts (k + 1,) in buckets with k inclusive upper bounds and +Inf; None when empty.

    The rules of PromQL's `histogram_quantile`, so that a panel and this gauge agree: linear within a bucket,
    the first bucket starts at 0 (or collapses to its bound, if that is not positive), and a quantile in the
    last bucket reads as the highest bound. Counts are per bucket, not cumulative.

    Raises ValueError when q is not in [0, 1].

    >>> bucket_quantile(0.5, np.array([1.0, 2.0]), np.array([10, 20, 10]))
    1.5
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
    lower = float(upper_bounds[bucket - 1]) if bucket else 0.0
    before = int(cumulative[bucket - 1]) if bucket else 0
    return lower + (upper - lower) * (rank - before) / int(counts[bucket])
