"""Quantiles of a histogram: PromQL's rules, and values that numpy knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.statistics import bucket_quantile, latency_edges

BOUNDS = np.array([0.1, 0.2, 0.5])


def promql_histogram_quantile(q, upper_bounds, counts):
    """Prometheus' rules for classic histograms, written from their documentation, on cumulative buckets."""
    buckets = list(zip([*upper_bounds, float("inf")], np.cumsum(counts).tolist(), strict=True))
    rank = q * buckets[-1][1]
    index = next(i for i, (_, cumulative) in enumerate(buckets) if cumulative >= rank)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    end, count = buckets[index]
    if index == 0:
        return end if end <= 0 else end * rank / count
    start, before = buckets[index - 1]
    return start + (end - start) * (rank - before) / (count - before)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any),
    st.floats(0.001, 1.0),
    st.sampled_from([0, 0.3]),
)
def test_quantile_is_that_of_promql(counts, q, shift):
    bounds = BOUNDS - shift
    found = bucket_quantile(q, bounds, np.array(counts))
    assert found == pytest.approx(promql_histogram_quantile(q, bounds.tolist(), counts), abs=1e-12)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_quantile_lies_in_the_bucket_of_the_true_one(q):
    latencies = np.random.default_rng(31).lognormal(-2.5, 0.8, 50_000)
    bounds = latency_edges(0.3)
    counts = np.bincount(np.searchsorted(bounds, latencies, side="left"), minlength=bounds.size + 1)
    truth, found = np.quantile(latencies, q), bucket_quantile(q, bounds, counts)
    assert np.searchsorted(bounds, truth) == np.searchsorted(bounds, found)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any), st.floats(0, 1), st.floats(0, 1))
def test_quantile_does_not_fall_as_q_rises(counts, a, b):
    low, high = (bucket_quantile(q, BOUNDS, np.array(counts)) for q in sorted((a, b)))
    assert low <= high + 1e-12


def test_no_rows_no_quantile():
    assert bucket_quantile(0.99, BOUNDS, np.zeros(4, dtype=np.int64)) is None


def test_beyond_the_last_bound_reads_as_the_last_bound():
    assert bucket_quantile(0.99, BOUNDS, np.array([0, 0, 0, 7])) == 0.5


def test_the_lowest_quantile_skips_empty_buckets():
    assert bucket_quantile(0.0, BOUNDS, np.array([0, 0, 5, 0])) == 0.2


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan"), 99])
def test_q_must_be_a_ratio(q):
    with pytest.raises(ValueError, match="bucket_quantile: expected a quantile from 0 to 1, got"):
        bucket_quantile(q, BOUNDS, np.array([1, 2, 3, 4]))
