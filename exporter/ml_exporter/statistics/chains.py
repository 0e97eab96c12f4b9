"""Kolmogorov-Smirnov and Wasserstein over ordered bins, and the critical values of both.

Each is the largest of a *chain* of differences of means between a window and the reference. KS is the largest over the
edges e of the mean of [x >= e]. Wasserstein is at least the largest over the bins k of the mean of |x - value of k|
(the first is the shift of the mean itself), and where it is improbably large, it is that one. So both are bounded as a
class shift is: by the standard deviation of the mean that varies most, for as many independent comparisons as the
chain is worth, and by how much more that mean varies between the reference's own windows.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, ndtr, owens_t

from ml_exporter.statistics.dispersion import PROVISIONAL_WINDOWS, critical_sigmas
from ml_exporter.statistics.distances import Counts
from ml_exporter.statistics.excess import skewed, skewness

Floats = npt.NDArray[np.float64]
COMPARED_AT = 0.01
"""The probability at which the comparisons of a chain are counted."""
WIDER = 1.6
"""What a bounded phi is taken larger by at least, as by its bound with 30 windows, where no skewness is known."""
BOUND = 0.8
"""The level of the upper bound of a phi where the skewness is known."""


class Chain(NamedTuple):
    """A chain over reference rows that are independent.

    The largest standard deviation of a function of a row, that function's skewness (at least 0), and the number of
    independent two-sided comparisons that are exceeded as often as one of the chain.
    """

    sigma: float
    skewness: float
    comparisons: float


def bin_values(edges: npt.NDArray[np.float64]) -> Floats:
    """The value that stands for each bin, shape (edges + 1,), from inner edges (edges,) in units of one deviation.

    The middle of a bin. The outer bins are open: what lies there is taken to be as far beyond the edge as the next bin
    is wide; beyond a bin of one single value (or a lone edge) one deviation.

    >>> bin_values(np.array([0.0, 2.0, 3.0])).tolist()
    [-2.0, 1.0, 2.5, 4.0]
    """
    if edges.size == 0:
        return np.zeros(1)
    widths = np.diff(edges)
    tiny = 1e-9 * max(1.0, float(np.abs(edges[[0, -1]]).max()))
    first, last = (float(widths[place]) if widths.size and widths[place] > tiny else 1.0 for place in (0, -1))
    return np.concatenate(([edges[0] - first], (edges[1:] + edges[:-1]) / 2.0, [edges[-1] + last]))


def ks_statistic(current: Counts, reference: Counts) -> float:
    """Largest difference of the two cumulative distributions at an edge, of histograms (bins,) with rows.

    Of the rows themselves it is larger by at most the greatest share of one bin.

    >>> ks_statistic(np.array([2, 2]), np.array([1, 3]))
    0.25
    """
    return float(np.abs(_cumulative(current, reference)).max(initial=0.0))


def wasserstein(current: Counts, reference: Counts, values: Floats) -> float:
    """First Wasserstein distance of two histograms (bins,) with rows whose bins stand at `values` (bins,).

    Of the rows themselves it differs by at most the mean distance of a row from the value of its bin, added over both
    sides.

    >>> wasserstein(np.array([2, 2]), np.array([1, 3]), np.array([0.0, 2.0]))
    0.5
    """
    return float(np.abs(_cumulative(current, reference)) @ np.diff(values))


def _cumulative(current: Counts, reference: Counts) -> Floats:
    """Difference of the cumulative shares at each inner edge, shape (bins - 1,)."""
    found: Floats = np.cumsum(current / current.sum() - reference / reference.sum())[:-1]
    return found


def ks_functions(bins: int) -> Floats:
    """The functions of the chain of KS, shape (bins - 1, bins): whether a row lies above each edge."""
    return np.triu(np.ones((bins, bins)), 1)[:-1]


def wasserstein_functions(values: Floats) -> Floats:
    """The functions of the chain of Wasserstein, shape (bins - 1, bins): the distance of a row from each bin.

    That from the last bin is left out: it is that from the first one with the other sign.
    """
    found: Floats = np.abs(values[None, :] - values[:-1, None])
    return found


def chain_of(functions: Floats, reference: Counts) -> Chain | None:
    """The chain of `functions` (functions, bins) over rows with the shares of `reference` (bins,).

    None where no function varies: all rows are in one bin.

    >>> chain_of(ks_functions(2), np.array([50, 50]))
    Chain(sigma=0.5, skewness=0.0, comparisons=1.0)
    """
    shares = reference / max(float(reference.sum()), 1.0)
    centred = functions - (functions @ shares)[:, None]
    deviations = np.sqrt((centred**2) @ shares)
    sigma = float(deviations.max(initial=0.0))
    if not sigma > 0:
        return None
    kept = deviations > 1e-6 * sigma
    centred, deviations = centred[kept] / deviations[kept, None], deviations[kept]
    # The ends of the chain of Wasserstein are neighbours, so it is cut where it is least likely to be large.
    order = np.roll(np.arange(deviations.size), -int(deviations.argmin()))
    standard, ratios = centred[order], sigma / deviations[order]
    correlations = np.clip((standard[1:] * standard[:-1]) @ shares, -1 + 1e-12, 1 - 1e-12)
    skewness = abs(float((centred[deviations.argmax()] ** 3) @ shares))
    return Chain(sigma, skewness, _comparisons(ratios, correlations))


def _comparisons(ratios: Floats, correlations: Floats) -> float:
    """How many independent comparisons a chain of standard normal variables is worth.

    `ratios` (n,) are the limits of each in units of the smallest; `correlations` (n - 1,) those of neighbours. The
    limit is found where the bound of Hunter (1976, "An upper bound for the probability of a union") and Worsley (1982)
    is `COMPARED_AT`: the sum of the probabilities without those of neighbours together.
    """
    low, high = 1.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2.0
        h = middle * ratios
        together = _both(h[:-1], h[1:], correlations) + _both(h[:-1], h[1:], -correlations)
        beyond = 2.0 * float(ndtr(-h).sum()) - 2.0 * float(together.sum())
        low, high = (middle, high) if beyond > COMPARED_AT else (low, middle)
    return round(max(1.0, COMPARED_AT / 2.0 / float(ndtr(-high))), 9)


def _both(h: Floats, k: Floats, correlation: Floats) -> Floats:
    """P(X > h and Y > k) of two standard normal variables for h, k > 0 (Owen 1956)."""
    root = np.sqrt(1.0 - correlation**2)
    ends = owens_t(h, (k - correlation * h) / (h * root)) + owens_t(k, (h - correlation * k) / (k * root))
    found: Floats = (ndtr(-h) + ndtr(-k)) / 2.0 - ends
    return found


class Varying(NamedTuple):
    """What the reference's own windows show of a chain.

    How many they are, the phi of the mean that varies most, and its skewness to either side (None: not known).
    """

    windows: int = 0
    phi: float = 1.0
    skewness: float | None = None


NOT_LEARNED = Varying()


def varying(chain: Chain, functions: Floats, currents: Counts, rests: Counts) -> Varying:
    """What windows of the reference show: `currents` and `rests` (windows, bins), the reference without each of them.

    `functions` (functions, bins) are those of the chain.
    """
    n, m = currents.sum(axis=1), rests.sum(axis=1)
    differences = (currents / n[:, None] - rests / m[:, None]) @ functions.T / np.sqrt(1.0 / n + 1.0 / m)[:, None]
    squares = (differences**2).mean(axis=0)
    most = differences[:, squares.argmax()]
    phi = max(1.0, float(squares.max()) / chain.sigma**2)
    return Varying(len(n), phi, max(skewness(most), skewness(-most)))


def critical_chain(
    alpha: float, chain: Chain, rows: tuple[int, int], noise: Varying = NOT_LEARNED, bounded: bool = False
) -> float:
    """What the largest of a chain exceeds with probability alpha without drift; `rows` of the window and the reference.

    The largest standard error, times the sigmas of that many comparisons with one more term for skewness (Cornish and
    Fisher 1938), without which rare values alarm several times too often: the skewness of independent rows, or that
    which the windows of the reference showed, whichever is larger. `bounded` takes the upper 80 % bound of phi: where
    few windows hold most of what varies, those of the reference show too little of it. Where their skewness is not
    known, it takes the 95 % bound, and at least `WIDER` times phi. Infinite where a side has no rows.

    >>> round(critical_chain(0.01, Chain(0.5, 0.0, 1.0), (100, 10_000)), 4)
    0.1294
    """
    n, m = rows
    if n <= 0 or m <= 0:
        return float("inf")
    (windows, phi, shown), scale = noise, 1.0 / n + 1.0 / m
    sigmas = critical_sigmas(alpha, chain.comparisons, windows, phi)
    varies = windows >= PROVISIONAL_WINDOWS and phi > 1.0
    if bounded and varies:
        phi *= _bound(windows - 1, 0.95, WIDER) if shown is None else _bound(windows - 1, BOUND, 1.0)
    alone = chain.skewness * abs(1.0 / n**2 - 1.0 / m**2) / (scale * phi) ** 1.5
    skew = max(alone, shown or 0.0) if varies else alone
    return float(chain.sigma * (phi * scale) ** 0.5 * skewed(sigmas, skew))


def _bound(freedom: int, level: float, least: float) -> float:
    """The upper bound of a variance, as a multiple of its estimate with that many degrees of freedom."""
    return max(least, freedom / float(chdtri(freedom, level)))
