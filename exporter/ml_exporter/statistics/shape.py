"""How alike the answers are: how many have the same score, and how far scores spread."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_exporter.statistics.dispersion import critical_sigmas
from ml_exporter.statistics.excess import skewed

Floats = npt.NDArray[np.float64]


class Shape(NamedTuple):
    """A statistic, its standard error for independent rows, and the rows that it stands on."""

    value: float
    standard_error: float
    rows: float


def concentration(counts: Floats) -> Shape | None:
    """The share of pairs of rows that fall into the same bin (Simpson 1949); counts (bins,). None below two rows.

    `Σ n_b (n_b - 1) / (n (n - 1))` has the expectation Σp² whatever the number of rows, where the largest share of a
    single bin is the larger the fewer rows there are. Its error is the leading term, `4 (Σp³ - (Σp²)²) / n`.

    >>> found = concentration(np.array([3.0, 1.0]))
    >>> found.value, round(found.standard_error, 4)
    (0.5, 0.2165)
    """
    n = float(counts.sum())
    if n < 2.0:
        return None
    shares = counts / n
    excess = float((shares**3).sum()) - float((shares**2).sum()) ** 2
    value = float((counts * (counts - 1.0)).sum()) / (n * (n - 1.0))
    return Shape(value, 2.0 * math.sqrt(max(0.0, excess) / n), n)


def pair_variance(value: float, rows: float) -> float:
    """What few rows add to the variance of a concentration: two pairs are alike by chance, `2 s (1 - s) / (n (n - 1))`.

    >>> pair_variance(0.5, 2.0)
    0.25
    """
    return 2.0 * value * (1.0 - value) / (rows * (rows - 1.0))


def logarithm(found: Shape | None) -> Shape | None:
    """The logarithm of a statistic with its error (delta method); None where the statistic is 0.

    >>> logarithm(Shape(1.0, 0.25, 9.0)), logarithm(Shape(0.0, 0.25, 9.0))
    (Shape(value=0.0, standard_error=0.25, rows=9.0), None)
    """
    if found is None or found.value <= 0.0:
        return None
    return Shape(math.log(found.value), found.standard_error / found.value, found.rows)


def critical_difference(
    alpha: float, rows: float, reference: Shape, noise: tuple[int, float], extra: float = 0.0, skewness: float = 0.0
) -> float:
    """The difference from the reference, of either sign, that a window of so many rows exceeds with probability alpha.

    `noise` are the reference's own windows and their phi: `z √(phi SE² (M/n + 1) + extra)`, z as in `critical_sigmas`,
    further out by their `skewness` (`skewed`), SE that of the reference's M rows.

    >>> round(critical_difference(0.05, 100.0, Shape(0.5, 0.01, 100.0), (0, 1.0)), 4)
    0.0277
    """
    windows, phi = noise
    variance = phi * reference.standard_error**2 * (reference.rows / rows + 1.0) + extra
    return skewed(critical_sigmas(alpha, 1, windows, phi), skewness) * math.sqrt(variance)


def spread(total: float, squares: float, rows: float) -> Shape | None:
    """Standard deviation (ddof 1) of values from their sum and sum of squares; None below two rows.

    Its error is that of normal values, `s / √(2 (n - 1))`.

    >>> spread(4.0, 10.0, 2.0)
    Shape(value=1.4142135623730951, standard_error=1.0, rows=2.0)
    """
    if rows < 2.0:
        return None
    deviation = math.sqrt(max(0.0, squares - total * (total / rows)) / (rows - 1.0))
    return Shape(deviation, deviation / math.sqrt(2.0 * (rows - 1.0)), rows)
