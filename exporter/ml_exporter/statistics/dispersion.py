"""How much the reference's own windows vary, and the critical values that follow.

Rows of one hour share a day, a weather, a campaign. They are not independent, and a chi-square limit then
alarms in almost every window. So each limit is calibrated on what the reference's own windows show without
any drift.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, ndtri, stdtrit

from ml_exporter.statistics.charts import autocorrelation, independent_points

LEARNED_WINDOWS = 20
PROVISIONAL_WINDOWS = 5
ALPHA_LIMIT = 0.05
JS_UNIT = 8.0 * math.log(2.0)
"""Near the reference, how many times the squared Jensen-Shannon distance (base 2) is the PSI."""
MONTH_SECONDS = 30 * 86400.0

DispersionState = Literal["learned", "provisional", "assumed"]


@dataclass(frozen=True)
class Dispersion:
    """The distribution of `T = psi(w, rest) / (1/n + 1/(M - n))` over the reference's own windows w.

    `rest` is the reference of M rows without the n rows of w. Independent rows give T about chi-square with B
    - 1 degrees of freedom, hence an overdispersion near 1.
    """

    windows: int
    """How many windows had a PSI (K)."""
    mean: float
    """Mean of T."""
    variance: float
    """Variance of T, ddof 1; 0 for fewer than two windows."""
    overdispersion: float
    """Mean of T / (B - 1), where B is the number of bins of each window's PSI; 1 without windows."""


@dataclass(frozen=True)
class JsDispersion:
    """The distribution of `T = 8 ln 2 · js² / (1/n + 1/(M - n))` over the reference's own windows.

    `js` is their Jensen-Shannon distance from the rest of it.
    """

    windows: int
    """How many windows had one (K)."""
    mean: float
    """Mean of T."""
    variance: float
    """Variance of T, ddof 1; 0 for fewer than two windows."""
    least: float
    """The smallest T."""


def state(windows: int) -> DispersionState:
    """How far a dispersion from that many windows can be trusted.

    >>> state(31), state(7), state(0)
    ('learned', 'provisional', 'assumed')
    """
    if windows >= LEARNED_WINDOWS:
        return "learned"
    return "provisional" if windows >= PROVISIONAL_WINDOWS else "assumed"


def fit_dispersion(t: npt.NDArray[np.float64], bins: npt.NDArray[np.int64]) -> Dispersion:
    """The dispersion of T, shape (K,), with the bins (K,) of each window's PSI.

    Windows without a PSI (T not finite, or fewer than two bins) are left out and not counted.

    >>> fit_dispersion(np.array([8.0, 12.0, 10.0]), np.array([11, 11, 11]))
    Dispersion(windows=3, mean=10.0, variance=4.0, overdispersion=1.0)
    """
    known = np.isfinite(t) & (bins > 1)
    t, bins = t[known], bins[known]
    if t.size == 0:
        return Dispersion(windows=0, mean=0.0, variance=0.0, overdispersion=1.0)
    variance = float(t.var(ddof=1)) if t.size > 1 else 0.0
    return Dispersion(int(t.size), float(t.mean()), variance, float((t / (bins - 1)).mean()))


def fit_js_dispersion(t: npt.NDArray[np.float64]) -> JsDispersion:
    """The dispersion of T, shape (K,).

    >>> fit_js_dispersion(np.array([8.0, 12.0, 10.0]))
    JsDispersion(windows=3, mean=10.0, variance=4.0, least=8.0)
    """
    if t.size == 0:
        return JsDispersion(0, 0.0, 0.0, 0.0)
    variance = float(t.var(ddof=1)) if t.size > 1 else 0.0
    return JsDispersion(int(t.size), float(t.mean()), variance, float(t.min()))


def critical_psi(alpha: float, bins: int, n: int, m: int, dispersion: Dispersion | None) -> float:
    """The PSI that a window of n rows exceeds with probability alpha without drift, against m reference rows.

    Independent rows: `χ²(1-α; bins-1) (1/n + 1/m)`. With an overdispersion above 1 T is taken as `c χ²(d)` with
    the mean and the variance of the reference's windows (Satterthwaite's two-moment fit, 1946). The estimate
    `d = 2 mean² / variance` is replaced by its lower 10 % bound, `d χ²(0.1; K-1) / (K-1)`: the estimate itself
    gives 1.6 to 6 times alpha with 20 to 31 windows. Fewer than 5 windows, or None, count as independent rows.

    A result above 1 means that the window is too short for this feature. Infinite where a side has no rows. Known
    limits at alpha 0.01, where rows of a window share one shift: 0.044 with 5 windows, 0.019 with 12; and 0.02
    with 30 where most bins are empty in most windows.

    >>> round(critical_psi(0.05, bins=7, n=999, m=1001, dispersion=None), 4)
    0.0252
    >>> round(critical_psi(0.01, 10, 1000, 10_000, Dispersion(30, 90.0, 1800.0, 10.0)), 3)
    0.275
    """
    if n <= 0 or m <= 0:
        return float("inf")
    scale = 1.0 / n + 1.0 / m
    if dispersion is None or dispersion.windows < PROVISIONAL_WINDOWS or dispersion.overdispersion <= 1.0:
        return float(chdtri(bins - 1, alpha)) * scale
    if dispersion.variance <= 0.0:
        return dispersion.mean * scale
    freedom = dispersion.windows - 1
    lower_bound = float(chdtri(freedom, 0.9)) / freedom
    d = 2.0 * dispersion.mean**2 / dispersion.variance * lower_bound
    return dispersion.mean / d * float(chdtri(d, alpha)) * scale


def critical_js(alpha: float, bins: int, n: int, m: int, noise: JsDispersion | None) -> float:
    """The Jensen-Shannon distance that a window of n rows exceeds with probability alpha without drift.

    Of independent rows T = 8 ln 2 · distance² / (1/n + 1/m) is about chi-square with `bins - 1` degrees of freedom, as
    that of PSI is: near the reference both are the same sum of squares. Over as many as fifty bins the windows of a
    reference show a broad noise and now and then a shift of few of them, which no gamma from 0 on fits. So T is taken
    as `least + c χ²(d)` with the least T of the reference's windows and the mean and variance of what lies above it, d
    at its lower 10 % bound as in `critical_psi`, and never below the limit of independent rows.

    Above 1 the window is too short for this feature. Infinite where a side has no rows.

    >>> round(critical_js(0.05, bins=7, n=999, m=1001, noise=None), 4)
    0.0674
    >>> round(critical_js(0.01, 50, 1000, 30_000, JsDispersion(30, 80.0, 900.0, 40.0)), 4)
    0.1966
    """
    if n <= 0 or m <= 0:
        return float("inf")
    limit = float(chdtri(bins - 1, alpha))
    if noise is not None and noise.windows >= PROVISIONAL_WINDOWS and noise.variance > 0.0:
        freedom, above = noise.windows - 1, noise.mean - noise.least
        d = 2.0 * above**2 / noise.variance * float(chdtri(freedom, 0.9)) / freedom
        limit = max(limit, noise.least + above / d * float(chdtri(d, alpha)))
    return math.sqrt(limit / JS_UNIT * (1.0 / n + 1.0 / m))


def phi(values: npt.NDArray[np.float64], standard_errors: npt.NDArray[np.float64], mean: float) -> float:
    """Variance of a statistic over the reference's windows, in units of its squared error; at least 1.

    Mean of `(value - mean)² / SE²` over windows (K,), the quasi-likelihood estimate of dispersion (Wedderburn
    1974). Windows whose value or error is missing (NaN) or whose error is 0 are ignored. It widens intervals
    (n / phi) and shrinks z (by √phi).

    >>> phi(np.array([0.25, 0.75]), np.array([0.125, 0.125]), mean=0.5)
    4.0
    """
    known = np.isfinite(values) & np.isfinite(standard_errors) & (standard_errors > 0)
    if not known.any():
        return 1.0
    deviations = (values[known] - mean) / standard_errors[known]
    return max(1.0, float((deviations**2).mean()))


def independent_windows(values: npt.NDArray[np.float64]) -> int:
    """How many independent windows those of a reference are worth; NaN (K,) is a window without a value.

    A spell of weather lasts days. Where neighbours agree by more than independent ones do by chance (twice `1 / √K`),
    they are worth fewer (`independent_points`), though never fewer than five.

    >>> independent_windows(np.array([1.0, 2.0] * 15)), independent_windows(np.repeat([1.0, 2.0, 1.0, 2.0, 3.0], 6))
    (30, 5)
    """
    count = int(np.count_nonzero(np.isfinite(values)))
    correlation, points = autocorrelation(values), independent_points(values)
    if correlation is None or points is None or correlation <= 2.0 / count**0.5:
        return count
    return max(PROVISIONAL_WINDOWS, int(points))


def critical_sigmas(alpha: float, comparisons: float, windows: int, phi: float) -> float:
    """The |z| that any of `comparisons` two-sided tests exceeds with probability at most alpha (Bonferroni).

    Student's t with `windows - 1` degrees of freedom where phi was learned (at least 5 windows and above 1),
    since √phi then is an estimated standard deviation; else the normal distribution.

    >>> round(critical_sigmas(0.05, comparisons=1, windows=0, phi=1.0), 2)
    1.96
    >>> round(critical_sigmas(0.05, comparisons=1, windows=30, phi=3.0), 2)
    2.05
    """
    tail = alpha / max(comparisons, 1.0) / 2.0
    if windows >= PROVISIONAL_WINDOWS and phi > 1.0:
        return -float(stdtrit(windows - 1, tail))
    return -float(ndtri(tail))


def critical_factor(alpha: float, windows: int, variance: float, scarcity: float) -> float:
    """The factor by which a standard deviation is above or below the usual one with probability alpha without drift.

    Of logarithms that vary by `variance` between `windows` windows of the reference the next one is beyond Student's t
    with windows - 1 degrees of freedom, times their standard deviation, times √(1 + 1/windows). `scarcity` is how many
    times fewer rows the window has than those had; then they are taken to vary that much more. More rows count as as
    many, since a window's own spread does not shrink with them.

    >>> round(critical_factor(0.01, windows=31, variance=0.04, scarcity=0.5), 2)
    1.75
    """
    sigmas = -float(stdtrit(windows - 1, alpha / 2.0))
    return math.exp(min(sigmas * math.sqrt(variance * (1.0 + 1.0 / windows) * max(1.0, scarcity)), 700.0))


def interval_sigmas(windows: int, phi: float) -> float:
    """The number of standard errors to either side that a 95 % interval takes when `phi` widens it.

    Student's t as in `critical_sigmas`, but only where phi is further above 1 than half its standard error for
    independent rows, `√(2 / (windows - 1)) / 2`: nearer it is an accident of independent rows, and an interval
    with t would hold the truth too often.

    >>> round(interval_sigmas(30, phi=3.0), 3), round(interval_sigmas(30, phi=1.1), 3)
    (2.045, 1.96)
    """
    noticeable = windows >= PROVISIONAL_WINDOWS and phi > 1.0 + (0.5 / (windows - 1)) ** 0.5
    return critical_sigmas(0.05, 1, windows, phi if noticeable else 1.0)


def alpha_from_budget(
    budget_per_month: float,
    series_by_window_seconds: Mapping[float, int],
    month_seconds: float = MONTH_SECONDS,
) -> float:
    """Alpha of each test such that all together raise `budget_per_month` false alarms a month; at most 0.05.

    `series_by_window_seconds` says how many alerting series are read over each window length; each is tested
    once a non-overlapping window: `budget / Σ series · month / length`.

    Raises ValueError when the budget is not above 0.

    >>> round(alpha_from_budget(1.0, {86400.0: 15}), 5)
    0.00222
    """
    if not budget_per_month > 0:
        msg = f"alpha_from_budget: expected a budget above 0 alarms a month, got {budget_per_month}. Write 1."
        raise ValueError(msg)
    tests = sum(series * month_seconds / seconds for seconds, series in series_by_window_seconds.items())
    return ALPHA_LIMIT if tests <= 0 else min(ALPHA_LIMIT, budget_per_month / tests)
