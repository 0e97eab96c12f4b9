"""Outlier ratios and multivariate drift: against formulas, and on windows without any drift."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests import build
from tests.build import DAY, NOON

from ml_exporter.baseline import Baseline, Noise, Phi
from ml_exporter.joint import ERROR2_UNIT, ERROR_UNIT, Joint
from ml_exporter.layout import Vector
from ml_exporter.statistics.excess import critical_excess, skewed, skewness
from ml_exporter.vitals import multivariate, outliers
from ml_exporter.vitals.windows import Windows

LAYOUT = build.layout(joint=build.JOINT)
ALPHA = 0.01
TEN_DAYS = {"start_us": NOON - 10 * DAY, "end_us": NOON, "window_seconds": {"1d": 86400.0}}


def odd(rows: int, **cells: int) -> Vector:
    vector = LAYOUT.zeros()
    found = LAYOUT.cells(vector, "outliers")
    for name, count in {"rows": rows, **cells}.items():
        found[name][0] = count
    return vector


def ratios(windows: Windows, baseline: Baseline) -> dict[tuple[str, ...], float]:
    return build.values(outliers.outlier_ratio(windows, baseline))


def learned(vector: Vector, phi: Phi | None = None) -> Baseline:
    noise = {"1d": Noise({}, {f"outlier:{kind}": phi for kind in ("outliers", "range")})} if phi else {}
    return build.baseline(LAYOUT, vector, noise=noise, **TEN_DAYS)


def test_ratios_of_all_outliers_and_of_each_reason() -> None:
    here = odd(200, outliers=10, range=4, distance=5, prediction=3)
    found = ratios(build.windows(here), learned(odd(1000, outliers=6, range=1, distance=5)))
    for reason, value, known in (("", 10, 6), ("range", 4, 1), ("distance", 5, 5), ("prediction", 3, 0)):
        assert found["ml_prediction_outlier_ratio", "1d", reason] == value / 200
        assert found["ml_prediction_baseline_outlier_ratio", "reference", reason] == known / 1000
    assert len(found) == 12


@pytest.mark.parametrize("phi", [None, Phi(30, 9.0)])
def test_the_critical_excess_is_that_of_a_skewed_binomial_on_the_rows_of_a_usual_window(phi: Phi | None) -> None:
    found = ratios(build.windows(odd(500, range=1), alpha=ALPHA), learned(odd(1000, range=20), phi))
    share, spread = 20.5 / 1001, phi.phi if phi else 1.0
    q = stats.t.isf(ALPHA, 29) if phi else stats.norm.isf(ALPHA)
    error = math.sqrt(share * (1 - share) * spread * (1 / 100 + 1 / 1000))
    skew = (2 * spread - 1) * (1 - 2 * share) / 100
    limit = found["ml_prediction_outlier_critical_ratio", "1d", "reference", "range"]
    expected = q * error + skew * (q**2 - 1) / 6
    if phi:
        form = (share / error) ** 2 * stats.chi2.ppf(0.1, 29) / 29
        normal, expected = expected, stats.gamma.isf(ALPHA, form, scale=share / form) - share
        assert normal < expected
    assert limit == pytest.approx(expected, rel=1e-9)


def test_without_what_was_learned_or_without_rows_there_is_nothing() -> None:
    plain = build.layout()
    assert ratios(build.windows(plain.zeros()), build.baseline(plain)) == {}
    assert ratios(build.windows(LAYOUT.zeros()), learned(LAYOUT.zeros())) == {}
    only = ratios(build.windows(LAYOUT.zeros()), learned(odd(10)))
    assert {key[0] for key in only} == {"ml_prediction_baseline_outlier_ratio"}
    for layout in (plain, build.layout(build.CARRIER, joint=Joint((), build.JOINT.answers))):
        assert build.values(multivariate.drift(build.windows(layout.zeros()), build.baseline(layout))) == {}


def test_every_window_has_its_own() -> None:
    windows = build.windows(odd(100, outliers=1))
    short = replace(windows.current[0], name="5m", seconds=300.0)
    found = ratios(replace(windows, current=(*windows.current, short)), learned(odd(1000, outliers=1)))
    name = "ml_prediction_outlier_critical_ratio"
    assert found[name, "5m", "reference", ""] > found[name, "1d", "reference", ""]


def errors(values: np.ndarray) -> Vector:
    vector = LAYOUT.zeros()
    cells = LAYOUT.cells(vector, "reconstruction")
    cells["rows"][0] = len(values)
    cells["error"][0] = round(float(values.sum()) * ERROR_UNIT)
    cells["error2"][0] = round(float((values**2).sum()) * ERROR2_UNIT)
    return vector


def test_multivariate_drift_is_the_shift_of_the_mean_in_deviations_of_the_reference() -> None:
    rng = np.random.default_rng(1)
    here, there = rng.gamma(4.0, 0.5, 100), rng.gamma(4.0, 0.4, 1000)
    noise = {"1d": Noise({}, {"reconstruction": Phi(30, 4.0)}, skew={"reconstruction": 1.2})}
    baseline = build.baseline(LAYOUT, errors(there), noise=noise, **TEN_DAYS)
    found = build.values(multivariate.drift(build.windows(errors(here), alpha=ALPHA), baseline))
    value = (here.mean() - there.mean()) / there.std(ddof=1)
    assert found["ml_multivariate_drift", "1d", "reference"] == pytest.approx(value, abs=1e-3)
    q = stats.t.isf(ALPHA / 2, 29)
    limit = (q + 1.2 * (q * q - 1) / 6) * 2.0 * math.sqrt(1 / 100 + 1 / 1000)
    assert found["ml_multivariate_drift_critical", "1d", "reference"] == pytest.approx(limit, rel=1e-9)


def test_a_reference_that_is_always_reconstructed_alike_has_no_unit() -> None:
    baseline = build.baseline(LAYOUT, errors(np.ones(100)), **TEN_DAYS)
    assert build.values(multivariate.drift(build.windows(errors(np.ones(10))), baseline)) == {}


# no drift


@pytest.mark.parametrize("alpha", [0.01, 0.001])
@pytest.mark.parametrize("expected", [0.01, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 50.0])
def test_independent_outliers_keep_alpha(expected: float, alpha: float) -> None:
    """Exact in the window, simulated over references of thirty windows."""
    rng = np.random.default_rng(7)
    n, k = 1000, 30
    known = rng.binomial(n * k, expected / n, 400)
    rate = 0.0
    for count, times in zip(*np.unique(known, return_counts=True), strict=True):
        limit = critical_excess(alpha, (count + 0.5) / (n * k + 1), (n, n * k), 0, 1.0)
        rate += times / 400 * stats.binom.sf(math.floor(n * (limit + count / (n * k))), n, expected / n)
    assert rate <= 1.5 * alpha
    if expected < 5:
        assert rate <= 1.25 * alpha
    elif alpha == 0.01:
        assert rate >= 0.5 * alpha


def clustered(share: float, form: float) -> stats.rv_continuous:
    """Shares of windows: beta distributed, about as a gamma of that form."""
    return stats.beta(form, form * (1 - share) / share)


@pytest.mark.parametrize("alpha", [0.01, 0.002, 0.0005])
@pytest.mark.parametrize(("share", "form"), [(0.01, 10.0), (0.01, 1.0), (0.05, 2.5), (0.2, 4.0)])
def test_clustered_outliers_keep_alpha_with_a_learned_phi(share: float, form: float, alpha: float) -> None:
    """Exact in the window, simulated over references of thirty windows."""
    assert clustered_rate(np.random.default_rng(8), share, form, alpha) <= 1.2 * alpha


@pytest.mark.parametrize("alpha", [0.01, 0.002])
def test_where_windows_have_one_outlier_thirty_of_them_show_too_little(alpha: float) -> None:
    """A known limit: half of the windows have none, and now and then one has ten."""
    assert alpha < clustered_rate(np.random.default_rng(8), 0.001, 0.4, alpha) <= 2 * alpha


def clustered_rate(rng: np.random.Generator, share: float, form: float, alpha: float) -> float:
    n, k, references, rate = 1000, 30, 400, 0.0
    windows = clustered(share, form)
    for own in rng.binomial(n, windows.rvs((references, k), random_state=rng)):
        mean = own.mean() / n
        error = mean * (1 - mean) / n
        phi = max(1.0, float(((own / n - mean) ** 2).mean() / error)) if error else 1.0
        limit = critical_excess(alpha, (own.sum() + 0.5) / (n * k + 1), (n, n * k), k, phi)
        rate += stats.betabinom.sf(math.floor(n * (limit + mean) + 1e-9), n, *windows.args) / references
    return rate


@pytest.mark.parametrize("freedom", [1, 2, 4, 10, math.inf])
def test_skewed_means_keep_alpha_with_a_learned_skewness(freedom: float) -> None:
    """Means of windows whose rows share a shift: sums of squares of a few normal numbers."""
    rng = np.random.default_rng(9)
    k, later, references = 30, 100, 400
    shape = (references, k + later)
    values = rng.normal(size=shape) if freedom == math.inf else rng.chisquare(freedom, shape)
    own = values[:, :k]
    mean, spread = own.mean(axis=1, keepdims=True), own.std(axis=1, keepdims=True)
    q = float(stats.t.isf(ALPHA / 2, k - 1))
    limits = np.array([[skewed(q, skewness(row))] for row in own])
    rate = (np.abs(values[:, k:] - mean) > limits * spread).mean()
    assert 0.5 * ALPHA <= rate <= 1.5 * ALPHA
    without = (np.abs(values[:, k:] - mean) > q * spread).mean()
    assert without > (1.5 * ALPHA if freedom <= 10 else ALPHA)
