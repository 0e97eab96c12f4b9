"""How far skewed statistics may lie from those of a reference: ratios of rare rows, and means of what has a tail."""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from ml_exporter.statistics.dispersion import PROVISIONAL_WINDOWS, critical_sigmas


def critical_excess(alpha: float, share: float, rows: tuple[float, float], windows: int, phi: float) -> float:
    """The excess of a share over a reference's that a window exceeds with probability alpha without any change.

    `rows` are those of the window (n) and of the reference (M); `phi` was learned from `windows` windows. The error is
    binomial, `sqrt(p (1 - p) (1/n + 1/M) phi)`. Of rare rows a window has few or none, so that the distribution is
    skewed, and what lies beyond a normal limit is too often there: the limit is `q` errors, and `(2 phi - 1) (1 - 2p)
    (q² - 1) / (6n)` for the skew (Cornish and Fisher 1938) of a count whose rate varies between windows as a gamma
    does: a negative binomial one, of which a binomial is the case phi = 1. q is the one-sided quantile of the normal
    distribution, or of Student's t where phi was learned.

    One term is too little in the tail of windows that differ. Where phi was learned the limit is at least that of a
    gamma distribution with the mean and the variance of such windows, `p χ²(1 - alpha; d) / d - p`, d at its lower 10 %
    bound as in `critical_psi`.

    >>> round(critical_excess(0.01, 0.001, (1000, 1e9), 0, 1.0), 5)  # 4.06 rows; P(5 or more of mean 1) is 0.0037
    0.00306
    >>> critical_excess(0.01, 0.001, (1000, 10_000), 30, 4.0) > critical_excess(0.01, 0.001, (1000, 10_000), 30, 1.0)
    True
    """
    n, m = rows
    sigmas = critical_sigmas(2.0 * alpha, 1, windows, phi)
    error = math.sqrt(share * (1.0 - share) * (1.0 / n + 1.0 / m) * phi)
    skew = (2.0 * phi - 1.0) * (1.0 - 2.0 * share) * (sigmas**2 - 1.0) / (6.0 * n)
    limit = sigmas * error + max(0.0, skew)
    if windows >= PROVISIONAL_WINDOWS and phi > 1.0 and error > 0.0:
        freedom = windows - 1
        d = 2.0 * (share / error) ** 2 * float(chdtri(freedom, 0.9)) / freedom
        limit = max(limit, share * (float(chdtri(d, alpha)) / d - 1.0))
    return limit


def skewed(sigmas: float, skewness: float) -> float:
    """Standard errors that a statistic with a skewness exceeds as often as a symmetric one `sigmas` of them.

    The first term of Cornish and Fisher (1938): `q + g (q² - 1) / 6`.

    >>> round(skewed(3.0, 0.0), 2), round(skewed(3.0, 1.5), 2)
    (3.0, 5.0)
    """
    return sigmas + skewness * max(0.0, sigmas**2 - 1.0) / 6.0


def skewness(values: npt.NDArray[np.float64]) -> float:
    """The adjusted Fisher-Pearson skewness (Joanes and Gill 1998, G1) of windows (K,), at least 0; 0 below five.

    >>> round(skewness(np.array([0.0, 0.0, 0.0, 0.0, 1.0])), 3), skewness(np.array([0.0, 1.0]))
    (2.236, 0.0)
    """
    count = len(values)
    spread = float(values.std()) if count >= PROVISIONAL_WINDOWS else 0.0
    if spread <= 0.0:
        return 0.0
    third = float(((values - values.mean()) ** 3).mean()) / spread**3
    return max(0.0, third * math.sqrt(count * (count - 1)) / (count - 2))
