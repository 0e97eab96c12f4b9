"""Dispersion and critical values against scipy's distributions."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from ml_exporter.statistics import (
    Dispersion,
    alpha_from_budget,
    critical_psi,
    critical_sigmas,
    fit_dispersion,
    phi,
    state,
)
from ml_exporter.statistics.dispersion import independent_windows

alphas = st.floats(1e-6, 0.05)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (0, "assumed"),
        (4, "assumed"),
        (5, "provisional"),
        (19, "provisional"),
        (20, "learned"),
        (400, "learned"),
    ],
)
def test_state_follows_the_number_of_windows(windows, expected):
    assert state(windows) == expected


@settings(max_examples=80, deadline=None)
@given(alphas, st.integers(2, 60), st.integers(1, 10**6), st.integers(1, 10**7))
def test_without_dispersion_the_limit_is_chi_square(alpha, bins, n, m):
    expected = stats.chi2.isf(alpha, bins - 1) * (1 / n + 1 / m)
    assert critical_psi(alpha, bins, n, m, None) == pytest.approx(expected, rel=1e-9)
    too_few = Dispersion(windows=4, mean=900.0, variance=100.0, overdispersion=100.0)
    assert critical_psi(alpha, bins, n, m, too_few) == pytest.approx(expected, rel=1e-9)
    independent = Dispersion(windows=40, mean=9.0, variance=18.0, overdispersion=1.0)
    assert critical_psi(alpha, bins, n, m, independent) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=80, deadline=None)
@given(alphas, st.integers(5, 400), st.floats(0.5, 1e4), st.floats(0.5, 1e4))
def test_with_dispersion_the_limit_is_the_scaled_chi_square_at_its_lower_bound(alpha, windows, mean, spread):
    variance = mean * spread
    dispersion = Dispersion(windows, mean, variance, overdispersion=1.5)
    d = 2 * mean**2 / variance * stats.chi2.ppf(0.1, windows - 1) / (windows - 1)
    assume(stats.chi2.isf(alpha, d) > 1e-30)
    expected = mean / d * stats.chi2.isf(alpha, d) * (1 / 500 + 1 / 20_000)
    assert critical_psi(alpha, 10, 500, 20_000, dispersion) == pytest.approx(expected, rel=1e-6)


def test_more_windows_bring_the_limit_down_to_the_two_moment_fit():
    limits = [critical_psi(0.01, 10, 1000, 30_000, Dispersion(k, 90.0, 1800.0, 10.0)) for k in (5, 20, 60, 10**6)]
    assert limits == sorted(limits, reverse=True)
    exact = 10 * stats.chi2.isf(0.01, 9) * (1 / 1000 + 1 / 30_000)
    assert limits[-1] == pytest.approx(exact, rel=1e-2)


def test_identical_windows_leave_no_spread_to_add():
    assert critical_psi(0.01, 10, 1000, 1000, Dispersion(30, 90.0, 0.0, 10.0)) == pytest.approx(90 * 0.002)


@pytest.mark.parametrize(("n", "m"), [(0, 100), (100, 0)])
def test_no_rows_no_drift(n, m):
    assert critical_psi(0.01, 10, n, m, None) == math.inf


def test_dispersion_is_moments_of_t():
    t, bins = np.array([4.0, 9.0, 14.0, 21.0]), np.array([10, 10, 8, 9])
    found = fit_dispersion(t, bins)
    assert found.windows == 4
    assert found.mean == pytest.approx(np.mean(t))
    assert found.variance == pytest.approx(np.var(t, ddof=1))
    assert found.overdispersion == pytest.approx(np.mean([4 / 9, 9 / 9, 14 / 7, 21 / 8]))


def test_windows_without_a_psi_are_not_counted():
    t, bins = np.array([4.0, np.nan, 8.0, 3.0]), np.array([5, 5, 5, 1])
    assert fit_dispersion(t, bins) == fit_dispersion(t[[0, 2]], bins[[0, 2]])


def test_few_windows_never_give_nan():
    empty = np.array([])
    assert fit_dispersion(empty, empty.astype(np.int64)) == Dispersion(0, 0.0, 0.0, 1.0)
    assert fit_dispersion(np.array([9.0]), np.array([10])) == Dispersion(1, 9.0, 0.0, 1.0)


def test_phi_is_the_mean_squared_standardised_deviation():
    values, errors = np.array([0.1, 0.4, 0.7]), np.array([0.05, 0.1, 0.2])
    expected = np.mean([(0.3 / 0.05) ** 2, 0.0, (0.3 / 0.2) ** 2])
    assert phi(values, errors, 0.4) == pytest.approx(expected)


@pytest.mark.parametrize("odd", [(np.nan, 0.1), (0.2, np.nan), (9.0, 0.0), (9.0, np.inf), (np.inf, 0.1)])
def test_phi_ignores_windows_that_cannot_say(odd):
    values, errors = np.array([0.1, 0.5, odd[0]]), np.array([0.05, 0.1, odd[1]])
    assert phi(values, errors, 0.3) == phi(values[:2], errors[:2], 0.3)


def test_phi_is_at_least_one():
    assert phi(np.array([0.3, 0.3]), np.array([0.1, 0.1]), 0.3) == 1.0
    assert phi(np.array([]), np.array([]), 0.3) == 1.0


@settings(max_examples=80, deadline=None)
@given(alphas, st.integers(1, 50), st.integers(0, 400), st.floats(1.0, 500.0))
def test_critical_sigmas_is_student_where_phi_was_learned(alpha, comparisons, windows, learned):
    tail = alpha / comparisons / 2
    expected = stats.t.isf(tail, windows - 1) if windows >= 5 and learned > 1 else stats.norm.isf(tail)
    assert critical_sigmas(alpha, comparisons, windows, learned) == pytest.approx(expected, rel=1e-7)


def test_alpha_spends_the_budget():
    series = {3600.0: 15, 86400.0: 20}
    alpha = alpha_from_budget(1.0, series)
    assert alpha * (15 * 720 + 20 * 30) == pytest.approx(1.0)
    assert alpha_from_budget(2.0, series) == pytest.approx(2 * alpha)
    assert alpha_from_budget(1.0, series, month_seconds=60 * 86400.0) == pytest.approx(alpha / 2)


@pytest.mark.parametrize("series", [{}, {86400.0: 0}, {30 * 86400.0: 1}])
def test_alpha_never_exceeds_five_percent(series):
    assert alpha_from_budget(1.0, series) == 0.05


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_budget_must_be_positive(budget):
    with pytest.raises(ValueError, match=r"alpha_from_budget: expected a budget above 0 alarms a month, got"):
        alpha_from_budget(budget, {86400.0: 15})


def beyond(correlation: float, draws: int = 3000) -> tuple[float, float]:
    """How often a later day is beyond the limit of 31 days at alpha 0.01: counted as 31, and as what they are worth."""
    rng, found = np.random.default_rng(12), []
    for _ in range(draws):
        days = rng.normal(size=62)
        for place in range(1, 62):
            days[place] = correlation * days[place - 1] + math.sqrt(1 - correlation**2) * days[place]
        spread = phi(days[:31] * 3.0, np.ones(31), float(days[:31].mean()) * 3.0)
        away = abs(days[61] - days[:31].mean()) * 3.0 / math.sqrt(spread * (1 + 1 / 31))
        found.append([away > critical_sigmas(0.01, 1, count, spread) for count in (31, independent_windows(days[:31]))])
    every, worth = np.mean(found, axis=0)
    return float(every), float(worth)


def test_days_of_one_spell_are_worth_fewer():
    assert independent_windows(np.full(31, np.nan)) == 0
    every, worth = beyond(0.0)
    assert 0.005 <= worth <= every <= 0.015
    every, worth = beyond(0.7)
    assert every > 0.02
    assert worth <= min(0.015, every / 2)
