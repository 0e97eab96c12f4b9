"""Bins: laws that hold for any reference, and the cases that broke quantile edges elsewhere."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import logit

from ml_exporter.statistics import feature_edges, latency_edges, psi_groups, score_edges

LARGEST = float(np.finfo(np.float64).max)
few_values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, 5e-324, LARGEST, -LARGEST])
references = st.lists(few_values | st.floats(allow_nan=False, allow_infinity=False), max_size=80)
counts_of_bins = st.lists(st.integers(0, 500), min_size=1, max_size=60)


def bin_counts(edges, values):
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1)


def atoms_of(values, atom_share=0.1):
    distinct, counts = np.unique(np.asarray(values) + 0.0, return_counts=True)
    return distinct[(counts >= 2) & (counts / max(len(values), 1) >= atom_share)]


@settings(max_examples=120, deadline=None)
@given(references, st.integers(1, 60))
@example([], 50)
@example([3.0], 50)
@example([LARGEST, LARGEST, -LARGEST, -LARGEST], 50)
@example([0.0, -0.0], 3)
def test_edges_increase_strictly_and_no_bin_count_explodes(values, bins):
    edges = feature_edges(np.array(values), bins)
    assert np.isfinite(edges).all()
    assert (edges[:-1] < edges[1:]).all()
    assert edges.size + 1 <= max(bins, 2 * atoms_of(values).size + 1)


@settings(max_examples=120, deadline=None)
@given(references)
def test_an_atom_shares_its_bin_with_no_other_value(values):
    values = np.array(values)
    edges = feature_edges(values)
    for atom in atoms_of(values):
        inside = np.searchsorted(edges, values, side="right") == np.searchsorted(edges, atom, side="right")
        assert (values[inside] == atom).all()
        assert np.count_nonzero(inside) == np.count_nonzero(values == atom)


@settings(max_examples=80, deadline=None)
@given(references, st.randoms(use_true_random=False))
def test_edges_do_not_depend_on_the_order_of_the_rows(values, random):
    shuffled = values.copy()
    random.shuffle(shuffled)
    assert feature_edges(np.array(values)).tobytes() == feature_edges(np.array(shuffled)).tobytes()


@settings(max_examples=80, deadline=None)
@given(references)
def test_only_the_room_between_atoms_or_beyond_them_can_be_empty(values):
    values = np.array(values)
    edges, atoms = feature_edges(values), atoms_of(values).tolist()
    lower = {-math.inf, *(math.nextafter(atom, math.inf) for atom in atoms)}
    upper = {math.inf, *atoms}
    bounds = [-math.inf, *edges.tolist(), math.inf]
    for i in np.flatnonzero(bin_counts(edges, values) == 0):
        assert bounds[i] in lower
        assert bounds[i + 1] in upper


@pytest.mark.parametrize(("rows", "bins"), [(1000, 50), (1003, 50), (37, 10), (60, 50), (7, 50)])
def test_distinct_values_spread_evenly(rows, bins):
    values = np.random.default_rng(0).permutation(np.arange(rows, dtype=np.float64))
    counts = bin_counts(feature_edges(values, bins), values)
    assert counts.size == min(bins, rows)
    assert counts.max() - counts.min() <= 1


def test_zero_inflated_feature_keeps_49_bins_for_what_is_not_zero():
    rng = np.random.default_rng(0)
    values = np.concatenate((np.zeros(9300), rng.gamma(2.0, 1.0, 700)))
    edges = feature_edges(values)
    counts = bin_counts(edges, values)
    assert edges.size == 49
    assert counts[:2].tolist() == [0, 9300]
    assert counts[2:].min() >= 14
    assert counts[2:].max() <= 15


def test_moderate_ties_share_a_bin_without_an_edge_twice():
    values = np.concatenate((np.full(50, 5.0), np.arange(950) / 100))
    edges = feature_edges(values)
    assert np.count_nonzero(edges == 5.0) == 1
    assert edges.size < 49


@pytest.mark.parametrize("value", [0.0, -7.5, 1e308, LARGEST, -LARGEST])
def test_constant_feature_tells_below_equal_and_above_apart(value):
    edges = feature_edges(np.full(100, value))
    beside = [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]
    codes = np.searchsorted(edges, beside, side="right")
    assert codes[0] < codes[1]
    assert codes[1] < codes[2] or value == LARGEST  # nothing finite lies above the largest float


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_edges_refuse_what_is_not_finite(bad):
    with pytest.raises(ValueError, match=r"feature_edges: expected finite values, got 1 others\."):
        feature_edges(np.array([1.0, bad, 2.0]))


@settings(max_examples=120, deadline=None)
@given(counts_of_bins, st.integers(1, 20))
@example([0, 0, 0], 10)
@example([1], 1)
def test_groups_are_contiguous_and_keep_the_mass(counts, groups):
    counts = np.array(counts)
    found = psi_groups(counts, groups)
    assert found.shape == counts.shape
    assert found[0] == 0
    assert set(np.diff(found).tolist()) <= {0, 1}
    assert np.bincount(found, counts).sum() == counts.sum()


@settings(max_examples=120, deadline=None)
@given(counts_of_bins, st.integers(1, 20))
def test_an_atom_is_a_group_alone(counts, groups):
    counts = np.array(counts)
    found = psi_groups(counts, groups)
    sizes = np.bincount(found)
    if counts.sum():
        assert (sizes[found[counts / counts.sum() >= 0.1]] == 1).all()


@settings(max_examples=120, deadline=None)
@given(counts_of_bins, st.integers(1, 20))
def test_there_are_about_as_many_groups_as_asked_for(counts, groups):
    counts = np.array(counts)
    atoms = np.count_nonzero(counts / max(counts.sum(), 1) >= 0.1)
    runs_between = atoms + 1
    assert psi_groups(counts, groups)[-1] + 1 <= max(groups, atoms + 1) + runs_between


def test_fifty_equal_bins_become_ten_equal_groups():
    found = psi_groups(np.full(50, 20))
    assert np.bincount(found).tolist() == [5] * 10


def test_empty_outer_bins_join_their_neighbours():
    found = psi_groups(np.array([0, *[9] * 12, 0, 0]))
    assert found[0] == found[1]
    assert found[12] == found[13] == found[14] == 9


def test_a_large_counter_does_not_overflow_the_grouping():
    assert np.bincount(psi_groups(np.full(50, 2**50))).tolist() == [5] * 10


def test_zero_inflated_bins_keep_nine_groups_for_the_rest():
    values = np.concatenate((np.zeros(9300), np.random.default_rng(0).gamma(2.0, 1.0, 700)))
    counts = bin_counts(feature_edges(values), values)
    grouped = np.bincount(psi_groups(counts), counts)
    assert grouped[:2].tolist() == [0, 9300]
    assert grouped.size == 11
    assert grouped[2:].min() >= 60


@settings(max_examples=80, deadline=None)
@given(st.floats(0.0, 1.0))
@example(0.0)
@example(1.0)
@example(5e-324)
@example(0.5)
def test_score_bins_part_exactly_at_the_threshold(threshold):
    edges = score_edges(threshold)
    assert edges.size == 399
    assert (np.diff(edges) > 0).all()
    first_positive = np.searchsorted(edges, threshold, side="right")
    beside = np.array([np.nextafter(threshold, -1), threshold, np.nextafter(threshold, 2)])
    bins = np.searchsorted(edges, beside, side="right")
    assert (bins >= first_positive).tolist() == [False, True, True]


def test_score_bins_are_narrow_near_one_half_and_wide_far_out():
    logits = logit(score_edges(0.5))
    steps = np.diff(logits)
    assert steps[:199] == pytest.approx(steps[:198:-1], rel=1e-2)
    assert (np.diff(steps[:199]) < 1e-3).all()
    assert steps[[198, 0]] == pytest.approx([0.0441, 0.1636], rel=1e-2)
    assert logits[[0, -1]] == pytest.approx([-15.836, 15.836], abs=1e-2)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_score_threshold_must_be_a_probability(threshold):
    with pytest.raises(ValueError, match="expected a threshold from 0 to 1, got"):
        score_edges(threshold)


@settings(max_examples=80, deadline=None)
@given(st.floats(1e-6, 1e4))
@example(0.25)
def test_latency_limit_is_a_bound(limit_seconds):
    bounds = latency_edges(limit_seconds)
    assert (np.diff(bounds) > 0).all()
    assert bounds.size in {24, 25}
    over = np.searchsorted(bounds, limit_seconds, side="left")
    assert bounds[over] == limit_seconds  # `le`: the limit itself is within the limit
    assert np.searchsorted(bounds, np.nextafter(limit_seconds, np.inf), side="left") == over + 1


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_latency_limit_must_be_positive(limit):
    with pytest.raises(ValueError, match="expected a limit above 0 seconds, got"):
        latency_edges(limit)
