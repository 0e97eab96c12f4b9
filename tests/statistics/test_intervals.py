"""Intervals against scipy, and their coverage by exact sums and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ml_exporter.statistics import f1_interval, mean_interval, phi, wilson

counts = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=120, deadline=None)
@given(counts)
def test_wilson_equals_scipy(pair):
    successes, n = pair
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(counts, st.floats(1.0, 1e4))
def test_wilson_holds_its_ratio_and_widens_with_phi(pair, dispersion):
    successes, n = pair
    narrow, wide = wilson(successes, n), wilson(successes, n, dispersion)
    assert 0 <= wide.lower <= narrow.lower + 1e-12
    assert narrow.lower <= successes / n <= narrow.upper
    assert narrow.upper - 1e-12 <= wide.upper <= 1


def test_wilson_with_phi_is_wilson_on_fewer_rows():
    assert wilson(80, 100, phi=4.0) == pytest.approx(wilson(20, 25))


def test_wilson_has_exact_ends_and_a_width_at_zero_and_one():
    assert wilson(0, 1000).lower == 0.0
    assert wilson(0, 1000).upper > 0.003
    assert wilson(1000, 1000).upper == 1.0
    assert wilson(1000, 1000).lower < 0.997


def test_z_sets_the_confidence():
    expected = stats.binomtest(30, 100).proportion_ci(0.99, method="wilson")
    assert wilson(30, 100, z=stats.norm.isf(0.005)) == pytest.approx((expected.low, expected.high))


def test_without_rows_there_is_no_interval():
    assert wilson(0, 0) is None
    assert f1_interval(0, 0, 0) is None
    assert mean_interval(0.0, 0.0, 0) is None
    assert mean_interval(3.0, 9.0, 1) is None


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**5), st.integers(0, 10**5), st.integers(1, 10**5))
def test_f1_lies_within_its_interval(tp, fp, fn):
    lower, upper = f1_interval(tp, fp, fn)
    f1 = 2 * tp / (2 * tp + fp + fn)
    assert 0 <= lower <= f1 + 1e-12
    assert f1 - 1e-12 <= upper <= 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_mean_interval_equals_scipy(values):
    x = np.array(values)
    lower, upper = mean_interval(float(x.sum()), float((x**2).sum()), x.size)
    half = stats.norm.isf(0.025) * x.std(ddof=1) / math.sqrt(x.size)
    assert lower == pytest.approx(x.mean() - half, abs=1e-4, rel=1e-6)
    assert upper == pytest.approx(x.mean() + half, abs=1e-4, rel=1e-6)


def test_rounding_cannot_make_a_variance_negative():
    x = np.full(10, 0.1)
    lower, upper = mean_interval(float(x.sum()), float((x**2).sum()) - 1e-15, 10)
    assert lower == upper == pytest.approx(0.1)


def exact_coverages(minimum_expected):
    """Wilson's coverage over a grid of n and p, summed over the binomial distribution, not simulated."""
    for n in (10, 20, 25, 40, 50, 100, 200, 500):
        successes = np.arange(n + 1)
        lower, upper = np.array([wilson(k, n) for k in range(n + 1)]).T
        for p in np.linspace(0.01, 0.99, 99):
            if n * min(p, 1 - p) >= minimum_expected:
                yield stats.binom.pmf(successes, n, p)[(lower <= p) & (p <= upper)].sum()


def test_wilson_covers_95_percent_on_average_and_92_at_its_worst():
    """It oscillates with n and p (Brown, Cai and DasGupta 2001); 93 % holds everywhere from 20 expected."""
    coverages = np.array(list(exact_coverages(minimum_expected=5)))
    assert 0.949 <= coverages.mean() <= 0.952
    assert coverages.min() >= 0.92
    assert (coverages < 0.93).mean() < 0.02
    assert min(exact_coverages(minimum_expected=20)) >= 0.93


@pytest.mark.parametrize(
    ("n", "shares"),
    [
        (300, (0.10, 0.05, 0.05)),
        (1000, (0.02, 0.01, 0.02)),
        (5000, (0.30, 0.01, 0.02)),
        (200, (0.45, 0.03, 0.03)),
    ],
)
def test_f1_coverage(n, shares):
    rng = np.random.default_rng(11)
    tp, fp, fn = shares
    truth = 2 * tp / (2 * tp + fp + fn)
    samples = rng.multinomial(n, [tp, fp, fn, 1 - sum(shares)], size=4000)[:, :3].tolist()
    intervals = [f1_interval(*sample) for sample in samples]
    assert 0.93 <= np.mean([i.lower <= truth <= i.upper for i in intervals]) <= 0.97


def test_mean_of_losses_coverage():
    rng = np.random.default_rng(12)
    losses = -np.log(rng.beta(4.0, 1.0, size=(4000, 300)))  # mean of -ln Beta(4, 1) is 1/4
    sums, squares = losses.sum(axis=1).tolist(), (losses**2).sum(axis=1).tolist()
    intervals = [mean_interval(s, q, 300) for s, q in zip(sums, squares, strict=True)]
    assert 0.93 <= np.mean([i.lower <= 0.25 <= i.upper for i in intervals]) <= 0.97


def test_phi_restores_the_coverage_that_shared_weather_takes():
    """Daily accuracy whose level itself varies: rows of one day succeed or fail together."""
    rng = np.random.default_rng(13)
    n, days, mean = 1000, 30, 0.8
    naive, widened = [], []
    for _ in range(150):
        accuracy = rng.binomial(n, rng.beta(mean * 50, (1 - mean) * 50, size=days + 20)) / n
        own_mean = float(accuracy[:days].mean())
        error = math.sqrt(own_mean * (1 - own_mean) / n)
        learned = phi(accuracy[:days], np.full(days, error), own_mean)
        for value in accuracy[days:].tolist():
            plain, wide = wilson(value * n, n), wilson(value * n, n, learned)
            naive.append(plain.lower <= mean <= plain.upper)
            widened.append(wide.lower <= mean <= wide.upper)
    assert np.mean(naive) < 0.5
    assert 0.92 <= np.mean(widened) <= 0.98
