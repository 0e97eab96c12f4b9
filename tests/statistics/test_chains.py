"""KS, Wasserstein and Jensen-Shannon of histograms: scipy on the rows and on the bins, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from ml_exporter.statistics import (
    Chain,
    Varying,
    bin_values,
    chain_of,
    critical_chain,
    critical_sigmas,
    feature_edges,
    jensen_shannon,
    ks_functions,
    ks_statistic,
    varying,
    wasserstein,
    wasserstein_functions,
)

pairs = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=2, max_size=30).map(
    lambda cells: tuple(np.array(side) for side in zip((1, 1), *cells, strict=True))
)
SAMPLES = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "skewed": lambda rng, n: rng.exponential(1, n),
    "heavy": lambda rng, n: rng.standard_t(3, n),
    "bounded": lambda rng, n: rng.random(n),
    "ties": lambda rng, n: np.round(rng.normal(0, 3, n)),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.93, 0.0, rng.exponential(1, n)),
}


def counts(edges, values):
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1)


@pytest.fixture(params=SAMPLES)
def samples(request):
    """A reference, a window of the same distribution moved by a third of a deviation, and edges."""
    rng = np.random.default_rng(71)
    reference, window = SAMPLES[request.param](rng, 20_000), SAMPLES[request.param](rng, 3000) + 0.3
    return window, reference, feature_edges(reference)


def test_wasserstein_is_scipys_within_the_error_of_the_bins(samples):
    window, reference, edges = samples
    values = bin_values(edges)
    here, there = (counts(edges, side) for side in (window, reference))
    found = wasserstein(here, there, values)
    assert found == pytest.approx(stats.wasserstein_distance(values, values, here, there), rel=1e-9)
    moved = [np.abs(side - values[np.searchsorted(edges, side, side="right")]).mean() for side in (window, reference)]
    assert abs(found - stats.wasserstein_distance(window, reference)) <= sum(moved) + 1e-9
    low, high = np.quantile(reference, (0.16, 0.84))
    deviation = (high - low) / 2 or reference.std()
    whole = stats.wasserstein_distance(window, reference)
    assert abs(found - whole) <= 0.15 * deviation, "of what moved beyond the last edge most is missed"


def test_ks_is_scipys_within_the_largest_bin_and_exact_at_the_edges(samples):
    window, reference, edges = samples
    here, there = (counts(edges, side) for side in (window, reference))
    found = ks_statistic(here, there)
    whole = stats.ks_2samp(window, reference).statistic
    largest = max((here / here.sum()).max(), (there / there.sum()).max())
    assert found <= whole <= found + largest
    codes = [np.searchsorted(edges, side, side="right") for side in (window, reference)]
    assert found == pytest.approx(stats.ks_2samp(*codes).statistic, abs=1e-12)


def test_jensen_shannon_is_scipys_of_counts_with_a_quarter_more(samples):
    window, reference, edges = samples
    here, there = (counts(edges, side) for side in (window, reference))
    kept = (here + there) > 0
    found = jensen_shannon(here, there)
    assert found is not None
    assert found.bins == kept.sum()
    assert found.value == pytest.approx(jensenshannon(here[kept] + 0.25, there[kept] + 0.25, base=2), rel=1e-9)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_distances_are_symmetric_and_within_their_bounds(pair):
    values = np.cumsum(np.arange(pair[0].size))
    for found, most in ((ks_statistic, 1.0), (lambda *both: wasserstein(*both, values), float(values[-1]))):
        assert found(*pair) == pytest.approx(found(*pair[::-1]), abs=1e-12)
        assert 0 <= found(*pair) <= most + 1e-12
    js, swapped = jensen_shannon(*pair), jensen_shannon(*pair[::-1])
    assert js == pytest.approx(swapped, abs=1e-7)
    assert js is None or 0 <= js.value <= 1


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_each_is_the_largest_of_its_chain_or_at_least_that(pair):
    here, there = pair
    difference = here / here.sum() - there / there.sum()
    values = np.cumsum(np.arange(here.size)).astype(float)
    chain = np.abs(ks_functions(here.size) @ difference).max()
    assert ks_statistic(here, there) == pytest.approx(chain, abs=1e-12)
    chain = np.abs(wasserstein_functions(values) @ difference).max()
    assert wasserstein(here, there, values) >= chain - 1e-9
    assert wasserstein(here, there, values) >= abs(values @ difference) - 1e-9, "at least the shift of the mean"


def test_a_bin_stands_at_its_middle_and_an_open_one_as_far_out_as_the_next_is_wide():
    assert bin_values(np.array([0.0, 1.0, 3.0])).tolist() == [-1.0, 0.5, 2.0, 5.0]
    zero = np.nextafter(0.0, 1.0)
    assert bin_values(np.array([0.0, zero, 2.0])) == pytest.approx([-1.0, 0.0, 1.0, 4.0])
    assert bin_values(np.array([5.0])).tolist() == [4.0, 6.0]
    assert bin_values(np.array([])).tolist() == [0.0]


def test_a_boolean_moves_by_the_difference_of_its_shares():
    edges = feature_edges(np.repeat([0.0, 1.0], [700, 300]))
    here, there = counts(edges, np.repeat([0.0, 1.0], [50, 50])), counts(edges, np.repeat([0.0, 1.0], [700, 300]))
    assert wasserstein(here, there, bin_values(edges)) == pytest.approx(0.2, abs=1e-9)
    assert ks_statistic(here, there) == pytest.approx(0.2, abs=1e-12)


def test_a_chain_of_one_is_the_usual_test_of_a_share():
    chain = chain_of(ks_functions(2), np.array([70, 30]))
    assert chain.sigma == pytest.approx(math.sqrt(0.21))
    assert chain.comparisons == 1.0
    assert chain.skewness == pytest.approx(abs(stats.bernoulli(0.3).stats("s")))


def test_comparisons_are_those_of_simulated_chains():
    """Of normal rows a Wasserstein distance is worth 1.2 comparisons and KS over fifty bins 7."""
    rng = np.random.default_rng(72)
    shares = np.full(50, 0.02)
    values = bin_values(stats.norm.ppf(np.arange(1, 50) / 50))
    steps = rng.normal(0, 1, (100_000, 50)) * np.sqrt(shares)
    bridge = (np.cumsum(steps, axis=1) - steps.sum(axis=1, keepdims=True) * np.cumsum(shares))[:, :-1]
    for functions, found in (
        (ks_functions(50), np.abs(bridge).max(axis=1)),
        (wasserstein_functions(values), np.abs(bridge) @ np.diff(values)),
    ):
        chain = chain_of(functions, np.full(50, 1000))
        limit = chain.sigma * critical_sigmas(0.01, chain.comparisons, 0, 1.0)
        assert (found > limit).mean() == pytest.approx(0.01, rel=0.3)


def test_a_feature_that_does_not_vary_has_no_chain():
    assert chain_of(ks_functions(3), np.array([0, 40, 0])) is None
    assert chain_of(ks_functions(1), np.array([40])) is None


def test_what_windows_show_is_in_units_of_their_rows():
    chain, windows = Chain(0.1, 0.0, 1.0), np.array([[6, 4], [1, 3]])
    found = varying(chain, ks_functions(2), windows, windows[::-1])
    assert found == pytest.approx((2, 0.35**2 / (1 / 10 + 1 / 4) / 0.01, 0.0))


@given(st.lists(st.lists(st.integers(1, 50), min_size=4, max_size=4), min_size=6, max_size=12))
def test_what_windows_show_of_the_mean_that_varies_most(rows):
    windows = np.array(rows)
    rest, functions, chain = windows.sum(axis=0) - windows, ks_functions(4), Chain(0.5, 0.0, 1.0)
    found = varying(chain, functions, windows, rest)
    scales = np.sqrt(1 / windows.sum(axis=1) + 1 / rest.sum(axis=1))
    every = [(functions @ (here / here.sum() - other / other.sum())) for here, other in zip(windows, rest, strict=True)]
    squares = (np.array(every) / scales[:, None]) ** 2
    assert found.phi == pytest.approx(max(1.0, squares.mean(axis=0).max() / 0.25))
    most = (np.array(every) / scales[:, None])[:, squares.mean(axis=0).argmax()]
    if most.std() > 1e-9:
        assert found.skewness == pytest.approx(abs(stats.skew(most, bias=False)), abs=1e-6)


def test_phi_widens_the_limit_and_its_bound_widens_it_more():
    chain, rows = Chain(0.5, 0.0, 1.0), (100, 10_000)
    plain = critical_chain(0.01, chain, rows)
    assert critical_chain(0.01, chain, rows, Varying(30, 1.0, 2.0)) == plain
    widened = critical_chain(0.01, chain, rows, Varying(30, 4.0))
    assert widened == pytest.approx(plain * 2 * stats.t.isf(0.005, 29) / stats.norm.isf(0.005), rel=1e-9)
    bounded = critical_chain(0.01, chain, rows, Varying(30, 4.0), bounded=True)
    assert bounded == pytest.approx(widened * math.sqrt(29 / stats.chi2.ppf(0.05, 29)), rel=1e-9)
    known = critical_chain(0.01, chain, rows, Varying(30, 4.0, 0.0), bounded=True)
    assert known == pytest.approx(widened * math.sqrt(29 / stats.chi2.ppf(0.2, 29)), rel=1e-9)
    q = stats.t.isf(0.005, 29)
    skewed = critical_chain(0.01, chain, rows, Varying(30, 4.0, 0.6))
    assert skewed == pytest.approx(widened * (1 + 0.1 * (q * q - 1) / q), rel=1e-9)
    assert critical_chain(0.01, chain, (0, 10)) == math.inf


@pytest.mark.parametrize("values", [np.zeros(0), np.array([1e308, -1e308] * 50)])
def test_extreme_references_give_finite_values(values):
    edges = np.clip(feature_edges(values), -64, 64)
    assert np.isfinite(bin_values(edges)).all()
