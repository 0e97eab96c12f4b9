"""Quantiles of a histogram: in the right bucket, exact at its ends, and near values that numpy knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.statistics import bucket_quantile, latency_edges
from ml_exporter.statistics.charts import control_limits

BOUNDS = np.array([0.1, 0.2, 0.5])


counted = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


def in_buckets(values, bounds):
    return np.bincount(np.searchsorted(bounds, values, side="left"), minlength=bounds.size + 1)


@settings(max_examples=120, deadline=None)
@given(counted, st.floats(0.001, 1.0), st.sampled_from([0, 0.3]))
def test_quantile_lies_in_the_bucket_of_promql(counts, q, shift):
    """The first bucket that reaches the rank, whatever is drawn inside it."""
    bounds, cumulative = BOUNDS - shift, np.cumsum(counts)
    bucket = next(place for place, count in enumerate(cumulative) if count >= q * cumulative[-1])
    found = bucket_quantile(q, bounds, np.array(counts))
    lower = min(0.0, bounds[0]) if bucket == 0 else bounds[bucket - 1]
    assert lower - 1e-12 <= found <= bounds[min(bucket, len(bounds) - 1)] + 1e-12


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=4, max_size=4), st.integers(0, 2))
def test_a_bound_is_exact(counts, place):
    q = sum(counts[: place + 1]) / sum(counts)
    assert bucket_quantile(q, BOUNDS, np.array(counts)) == pytest.approx(BOUNDS[place])


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("scale", [0.011, 0.017, 0.029, 0.048])
@pytest.mark.parametrize("draw", ["lognormal", "gamma"])
def test_quantile_is_near_the_true_one_wherever_the_bounds_are(q, scale, draw):
    """Within a tenth. A straight line in the bucket is up to 30 % too high."""
    rng = np.random.default_rng(5)
    latencies = scale * (rng.lognormal(0, 0.5, 50_000) if draw == "lognormal" else rng.gamma(2, 0.5, 50_000))
    bounds = latency_edges(0.25)
    found = bucket_quantile(q, bounds, in_buckets(latencies, bounds))
    assert found == pytest.approx(np.quantile(latencies, q), rel=0.1)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_quantile_lies_in_the_bucket_of_the_true_one(q):
    latencies = np.random.default_rng(31).lognormal(-2.5, 0.8, 50_000)
    bounds = latency_edges(0.3)
    truth, found = np.quantile(latencies, q), bucket_quantile(q, bounds, in_buckets(latencies, bounds))
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


DAY_HOURS, MONTH_DAYS = 24, 30


@pytest.mark.soak
def test_a_service_that_never_changes_stays_within_its_limits():
    """Limits of the days before, and a window of a day that slides: beyond them for six hours 0.06 times a month.

    On a straight line in the bucket it is 0.4 times.
    """
    rng, bounds, months, alarms = np.random.default_rng(1), latency_edges(0.25), 0, 0
    for _ in range(12):
        scale = np.exp(rng.uniform(np.log(0.025), np.log(0.1)) - 0.5 * 2.326)
        draws = scale * rng.lognormal(0, 0.5, (4 * MONTH_DAYS * DAY_HOURS, 42))
        hours = np.stack([in_buckets(draw, bounds) for draw in draws])
        total = np.concatenate([np.zeros_like(hours[:1]), hours.cumsum(axis=0)])
        ends = range(DAY_HOURS, len(total))
        sliding = np.log([bucket_quantile(0.99, bounds, total[end] - total[end - DAY_HOURS]) for end in ends])
        held = 0
        for place in range(MONTH_DAYS * DAY_HOURS, len(sliding)):
            limits = control_limits([sliding[: place // DAY_HOURS * DAY_HOURS : DAY_HOURS]])
            held = held + 1 if limits and sliding[place] > limits[1].upper else 0
            alarms += held == 7
        months += 3
    assert alarms / months < 0.15
