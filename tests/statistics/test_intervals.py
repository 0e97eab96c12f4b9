"""Intervals against scipy and their definitions; their coverage is in test_coverage.py."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from ml_exporter.statistics import (
    Interval,
    f1_interval,
    gap_interval,
    interval_sigmas,
    loss_interval,
    mean_interval,
    wilson,
)

counts = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=120)
@given(counts)
def test_ends_lie_z_standard_errors_from_the_corrected_count(pair):
    successes, n = pair
    fade = 1 / (min(successes, n - successes) + 2)
    lower, upper = wilson(successes, n)
    for end, count in ((lower, successes - fade), (upper, successes + fade)):
        if 0 < end < 1 and 0 < count < n:
            distance = abs(count / n - end) / math.sqrt(end * (1 - end) / n)
            assert distance == pytest.approx(1.959964, rel=1e-4)


@settings(max_examples=80)
@given(counts)
def test_it_is_wider_than_wilsons_by_less_than_a_row(pair):
    successes, n = pair
    plain = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    lower, upper = wilson(successes, n)
    assert plain.low - 1 / n <= lower <= plain.low + 1e-12
    assert plain.high - 1e-12 <= upper <= plain.high + 1 / n


def test_many_rows_of_both_kinds_have_wilsons_interval():
    plain = stats.binomtest(40_000, 100_000).proportion_ci(0.95, method="wilson")
    assert wilson(40_000, 100_000) == pytest.approx((plain.low, plain.high), abs=1e-9)


@settings(max_examples=80)
@given(counts)
def test_failures_mirror_successes(pair):
    successes, n = pair
    lower, upper = wilson(successes, n)
    assert wilson(n - successes, n) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


@settings(max_examples=80)
@given(counts, st.floats(1.0, 1e4))
def test_it_holds_its_ratio_and_widens_with_phi(pair, dispersion):
    successes, n = pair
    narrow, wide = wilson(successes, n), wilson(successes, n, dispersion)
    assert 0 <= wide.lower <= narrow.lower + 1e-12
    assert narrow.lower <= successes / n <= narrow.upper
    assert narrow.upper - 1e-12 <= wide.upper <= 1


def test_phi_is_fewer_rows():
    assert wilson(80, 100, phi=4.0) == pytest.approx(wilson(20, 25))


def test_ends_are_exact_and_there_is_a_width_at_zero_and_one():
    assert wilson(0, 1000).lower == 0.0
    assert wilson(0, 1000).upper > 0.003
    assert wilson(1000, 1000).upper == 1.0
    assert wilson(1000, 1000).lower < 0.997


def test_z_sets_the_confidence():
    expected = stats.binomtest(30_000, 100_000).proportion_ci(0.99, method="wilson")
    assert wilson(30_000, 100_000, z=stats.norm.isf(0.005)) == pytest.approx((expected.low, expected.high), abs=1e-8)


def test_sigmas_are_students_where_phi_is_noticeable():
    assert interval_sigmas(30, 4.0) == pytest.approx(stats.t.isf(0.025, 29))
    assert interval_sigmas(30, 1 + 0.99 * math.sqrt(0.5 / 29)) == pytest.approx(stats.norm.isf(0.025))
    assert interval_sigmas(30, 1 + 1.01 * math.sqrt(0.5 / 29)) == pytest.approx(stats.t.isf(0.025, 29))
    assert interval_sigmas(5, 4.0) == pytest.approx(stats.t.isf(0.025, 4))
    for windows in (0, 1, 4):
        assert interval_sigmas(windows, 4.0) == pytest.approx(stats.norm.isf(0.025))


def test_too_few_rows_have_no_interval():
    assert wilson(0, 0) is None
    assert f1_interval(0, 0, 0) is None
    assert mean_interval(0.0, 0.0, 0) is None
    assert mean_interval(3.0, 9.0, 99) is None
    assert gap_interval(0.0, 0, 0.0, 0) is None
    assert gap_interval(0.5, 0, 0.25, 1) is None


@pytest.mark.parametrize(("equal", "minimum"), [(100, 100.0), (99, 100.0), (20, 20.0), (19, 20.0)])
def test_losses_must_count_as_many_equal_ones(equal, minimum):
    """Zeros beside equal losses add rows, but nothing that is known of the size of a loss."""
    found = loss_interval(3.0 * equal, 9.0 * equal, 1000, minimum=minimum)
    assert (found is None) == (equal < minimum)


def test_losses_of_zero_have_no_interval():
    assert loss_interval(0.0, 0.0, 1000) is None


@settings(max_examples=80)
@given(st.integers(0, 10**5), st.integers(0, 10**5), st.integers(1, 10**5))
def test_f1_lies_within_its_interval(tp, fp, fn):
    lower, upper = f1_interval(tp, fp, fn)
    f1 = 2 * tp / (2 * tp + fp + fn)
    assert 0 <= lower <= f1 + 1e-12
    assert f1 - 1e-12 <= upper <= 1


many = st.lists(st.floats(-1e3, 1e3), min_size=100, max_size=130)


@settings(max_examples=50)
@given(many)
def test_mean_interval_equals_scipy(values):
    x = np.array(values)
    lower, upper = mean_interval(float(x.sum()), float((x**2).sum()), x.size)
    half = stats.norm.isf(0.025) * x.std(ddof=1) / math.sqrt(x.size)
    assert lower == pytest.approx(x.mean() - half, abs=1e-4, rel=1e-6)
    assert upper == pytest.approx(x.mean() + half, abs=1e-4, rel=1e-6)


def test_losses_have_a_normal_interval_in_logarithms():
    x = np.random.default_rng(14).exponential(2.0, 500)
    lower, upper = loss_interval(float(x.sum()), float((x**2).sum()), x.size, phi=2.0)
    error = math.sqrt(2.0) * x.std(ddof=1) / math.sqrt(x.size) / x.mean()
    assert (math.log(lower), math.log(upper)) == pytest.approx(stats.norm.interval(0.95, math.log(x.mean()), error))


def test_rounding_cannot_make_a_variance_negative():
    x = np.full(100, 0.1)
    for interval in (mean_interval, loss_interval):
        lower, upper = interval(float(x.sum()), float((x**2).sum()) - 1e-13, 100)
        assert lower == pytest.approx(0.1)
        assert upper == pytest.approx(0.1)


def test_a_gap_without_varying_scores_has_the_interval_of_its_positives():
    """All scores 0.3, 20 of 100 rows positive: gap is 0.3 minus their share."""
    squares = 20 * 0.7**2 + 80 * 0.3**2
    found = gap_interval(100 * 0.3 - 20, 20, squares, 100)
    lower, upper = wilson(20, 100, phi=100 / 99)
    assert found == pytest.approx((0.3 - upper, 0.3 - lower))


@settings(max_examples=80)
@given(st.integers(2, 400), st.integers(0, 2**32 - 1), st.floats(1.0, 50.0))
def test_a_gap_lies_within_its_interval(n, seed, dispersion):
    rng = np.random.default_rng(seed)
    score, label = rng.random(n), rng.random(n) < rng.random()
    gap = score - label
    narrow, wide = (
        gap_interval(float(gap.sum()), int(label.sum()), float((gap**2).sum()), n, phi) for phi in (1.0, dispersion)
    )
    assert wide.lower - 1e-12 <= narrow.lower <= gap.mean() + 1e-12
    assert gap.mean() - 1e-12 <= narrow.upper <= wide.upper + 1e-12


def test_perfect_scores_have_nearly_no_gap():
    lower, upper = gap_interval(0.0, 30, 0.0, 100)
    assert -0.01 < lower <= 0.0 <= upper < 0.01


def test_an_interval_of_many_scores_is_that_of_the_gaps_own_variance():
    rng = np.random.default_rng(15)
    score = rng.random(100_000)
    gap = score - (rng.random(score.size) < score)
    positives = round(float(score.sum() - gap.sum()))
    lower, upper = gap_interval(float(gap.sum()), positives, float((gap**2).sum()), score.size)
    normal = mean_interval(float(gap.sum()), float((gap**2).sum()), score.size)
    assert isinstance(normal, Interval)
    assert (lower, upper) == pytest.approx(normal, abs=1e-5)


def test_the_score_end_is_a_root():
    """Against a root finder: p such that p - 1.96 standard errors of p is the corrected ratio."""
    upper = wilson(7, 50).upper
    corrected = (7 + 1 / 9) / 50
    root = optimize.brentq(lambda p: p - 1.959963984540054 * math.sqrt(p * (1 - p) / 50) - corrected, corrected, 0.9)
    assert upper == pytest.approx(root)
