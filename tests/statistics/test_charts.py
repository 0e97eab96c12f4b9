"""Control charts: the handbook's example, brute force, gaps, and how often points without any change lie outside."""

import math

import numpy as np
import pytest

from ml_exporter.statistics.charts import (
    CHART_AUTOCORRELATION,
    OWN_OUTSIDE,
    autocorrelation,
    control_limits,
    deviation,
    individuals,
)

NIST = np.array([49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1])
"""Ten batches of the NIST/SEMATECH e-Handbook, 6.3.2.2."""


def test_the_example_of_the_handbook():
    limits = individuals(NIST)
    assert limits.centre == pytest.approx(50.81)
    assert limits.upper == pytest.approx(55.8041, abs=2e-3)
    assert limits.lower == pytest.approx(45.8159, abs=2e-3)
    assert limits.range_upper == pytest.approx(3.267 * 1.8778, abs=1e-3)


def test_autocorrelation_is_that_of_the_definition():
    values = np.random.default_rng(1).normal(size=400).cumsum()
    centred = values - values.mean()
    expected = sum(centred[i] * centred[i + 1] for i in range(399)) / 399 / (sum(centred**2) / 400)
    assert autocorrelation(values) == pytest.approx(expected)


def test_a_window_without_a_value_breaks_the_step_but_not_the_chart():
    values = np.array([1.0, 2.0, np.nan, 10.0, 11.0])
    assert individuals(values).range_upper == pytest.approx(3.267 * 1.0), "from 2 to 10 is no step"
    assert individuals(values).centre == 6.0
    assert autocorrelation(np.array([1.0, np.nan, 2.0])) is None


@pytest.mark.parametrize("values", [np.array([]), np.full(100, np.nan), np.array([1.0]), np.full(100, 0.3)])
def test_no_spread_gives_no_limits(values):
    assert autocorrelation(values) is None
    assert individuals(values) is None
    assert deviation(values) is None
    assert control_limits([values]) is None
    assert control_limits([]) is None


def test_limits_move_and_stretch_with_the_values():
    values = np.random.default_rng(2).normal(size=60)
    for limits in (individuals, deviation):
        found, moved = limits(values), limits(10.0 + 3.0 * values)
        assert moved.centre == pytest.approx(10.0 + 3.0 * found.centre)
        assert moved.lower == pytest.approx(10.0 + 3.0 * found.lower)
        assert moved.upper == pytest.approx(10.0 + 3.0 * found.upper)


def test_a_long_history_of_independent_values_has_three_deviations_either_way():
    values = np.random.default_rng(3).normal(5.0, 2.0, 20_000)
    for limits in (individuals(values), deviation(values)):
        assert limits.lower == pytest.approx(-1.0, abs=0.15)
        assert limits.upper == pytest.approx(11.0, abs=0.15)


def series(correlation, points, rng):
    """Normal values of deviation 1, each correlated with the one before."""
    noise = rng.normal(size=points) * math.sqrt(1.0 - correlation**2)
    noise[0] = rng.normal()
    for place in range(1, points):
        noise[place] += correlation * noise[place - 1]
    return noise


def test_the_first_history_that_fits_a_chart_is_taken():
    rng = np.random.default_rng(4)
    hourly = series(0.8, 24 * 90, rng)
    daily = hourly.reshape(90, 24).mean(axis=1)
    assert autocorrelation(hourly) > CHART_AUTOCORRELATION >= autocorrelation(daily)
    place, limits = control_limits([hourly, daily])
    assert (place, limits.method, limits) == (1, "individuals", individuals(daily))
    place, limits = control_limits([hourly, daily[:49]])
    assert (place, limits.method, limits) == (0, "deviation", deviation(hourly))
    assert limits.range_upper is None


def test_fifty_points_make_a_chart_and_forty_nine_do_not():
    values = np.tile([1.0, 3.0, 2.0, 2.5, 1.5], 10)
    assert control_limits([values])[1].method == "individuals"
    assert control_limits([values[1:]])[1].method == "deviation"
    values[7] = np.nan
    assert control_limits([values])[1].method == "deviation"
    assert control_limits([values[:9]]) is None


def outside(correlation, points, seed, draws=2000):
    """Share of points, 20 after the history, that lie beyond its limits, and of histories that have any."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        values = series(correlation, points + 20, rng)
        chosen = control_limits([values[:points]])
        if chosen is not None:
            found.append(not chosen[1].lower <= values[-1] <= chosen[1].upper)
    return float(np.mean(found)), len(found) / draws


@pytest.mark.parametrize(
    ("correlation", "points", "at_most"),
    [(0.0, 50, 0.01), (0.0, 200, 0.007), (0.2, 100, 0.012), (0.5, 100, 0.005), (0.7, 100, 0.007), (0.7, 400, 0.005)],
)
def test_without_change_few_points_lie_outside(correlation, points, at_most):
    """Three deviations leave out 0.27 %; an individuals chart on correlated points 3.4 % at 0.5 and 10 % at 0.7."""
    rate, has_limits = outside(correlation, points, 5)
    assert rate <= at_most
    assert has_limits > 0.9


def test_a_short_correlated_history_rarely_has_limits():
    rate, has_limits = outside(0.8, 30, 6)
    assert has_limits < 0.2
    assert rate * has_limits < 0.01


def test_a_change_of_four_deviations_lies_outside_in_most_cases():
    rng = np.random.default_rng(7)
    beyond = [rng.normal(4.5) > control_limits([rng.normal(size=100)])[1].upper for _ in range(500)]
    assert np.mean(beyond) > 0.85


def test_limits_that_do_not_hold_their_own_history_are_withheld():
    """What is 1 in 7 % of windows and else 0 has limits if it was 1 by chance in fewer, or so often that 1 is usual."""
    rng = np.random.default_rng(8)
    alarming = 0
    for _ in range(300):
        values = np.where(rng.random(100) < 0.93, 0.0, 1.0)
        chosen = control_limits([values])
        if chosen is not None:
            assert np.mean((values < chosen[1].lower) | (values > chosen[1].upper)) <= OWN_OUTSIDE
            alarming += chosen[1].upper < 1.0
    assert alarming < 0.25 * 300


def test_weekends_are_no_steps_between_neighbours():
    """Two of seven days are low: an individuals chart would leave out many of the lowest ones."""
    rng = np.random.default_rng(9)
    weeks = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, -4.0, -2.0], 12)
    low, chart = [], []
    for _ in range(300):
        values = weeks + rng.normal(size=84)
        assert autocorrelation(values, 7) > CHART_AUTOCORRELATION
        limits = control_limits([values])[1]
        assert limits.method == "deviation"
        saturday = -4.0 + rng.normal()
        low.append(saturday < limits.lower)
        chart.append(saturday < individuals(values[:-1]).lower)
    assert np.mean(low) < 0.03 < np.mean(chart)
