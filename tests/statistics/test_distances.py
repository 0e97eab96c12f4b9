"""PSI and the merging of categories: brute force and laws."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from ml_exporter.statistics import floor_other, merge_sparse, psi

pairs = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=1, max_size=30).map(
    lambda cells: tuple(np.array(side) for side in zip(*cells, strict=True))
)


def psi_by_hand(current, reference):
    cells = [(c + 0.5, r + 0.5) for c, r in zip(current.tolist(), reference.tolist(), strict=True) if c or r]
    n, m = sum(c for c, _ in cells), sum(r for _, r in cells)
    return math.fsum((c / n - r / m) * math.log((c / n) / (r / m)) for c, r in cells), len(cells)


@settings(max_examples=120, deadline=None)
@given(pairs)
def test_psi_is_the_formula_or_nothing(pair):
    found = psi(*pair)
    current, reference = pair
    value, bins = psi_by_hand(*pair)
    if bins < 2 or not current.any() or not reference.any():
        assert found is None
    else:
        assert found is not None
        assert found.bins == bins
        assert found.value == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_psi_is_jeffreys_divergence():
    current, reference = np.array([30, 50, 20]), np.array([400, 400, 200])
    a, e = current + 0.5, reference + 0.5
    assert psi(current, reference).value == pytest.approx(entropy(a, e) + entropy(e, a), rel=1e-12)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_psi_is_symmetric_and_not_negative(pair):
    found, swapped = psi(*pair), psi(*pair[::-1])
    assert (found is None) == (swapped is None)
    if found is not None:
        assert found.value >= 0
        assert found.value == pytest.approx(swapped.value, rel=1e-9, abs=1e-15)


@settings(max_examples=80, deadline=None)
@given(pairs, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_of_bins_and_bins_empty_on_both_sides_do_not_matter(pair, random, empty):
    found = psi(*pair)
    order = list(range(pair[0].size + empty))
    random.shuffle(order)
    padded = [np.concatenate((side, np.zeros(empty, dtype=np.int64)))[order] for side in pair]
    again = psi(*padded)
    assert (found is None) == (again is None)
    if found is not None:
        assert again.bins == found.bins
        assert again.value == pytest.approx(found.value, rel=1e-9, abs=1e-15)


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_a_window_equal_to_its_reference_has_no_drift(pair):
    found = psi(pair[0], pair[0].copy())
    assert found is None or found.value == 0.0


@pytest.mark.parametrize(
    ("current", "reference"),
    [([0, 0], [5, 5]), ([5, 5], [0, 0]), ([0, 0], [0, 0]), ([7, 0], [9, 0]), ([7], [9])],
)
def test_no_psi_without_two_bins_or_without_rows(current, reference):
    assert psi(np.array(current), np.array(reference)) is None


def test_psi_refuses_histograms_over_different_bins():
    with pytest.raises(ValueError, match=r"psi: expected histograms over the same bins, got \(2,\) and \(3,\)"):
        psi(np.array([1, 2]), np.array([1, 2, 3]))


def test_zeros_falling_from_93_to_60_percent_are_seen():
    reference = np.array([9300, *[78] * 9])
    current = np.array([600, *[44] * 9])
    assert psi(current, reference).value > 0.7


@settings(max_examples=120, deadline=None)
@given(pairs)
def test_merging_keeps_both_totals_and_what_is_frequent(pair):
    current, reference = pair
    merged, known = merge_sparse(current, reference)
    assert merged.sum() == current.sum()
    assert known.sum() == reference.sum()
    assert merged.size == known.size
    expected = reference[:-1] * (current.sum() / max(reference.sum(), 1))
    assert merged.size == np.count_nonzero(expected >= 5.0) + 1
    assert (known[:-1] * (current.sum() / max(reference.sum(), 1)) >= 5.0).all()


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_merging_twice_changes_nothing(pair):
    once = merge_sparse(*pair)
    twice = merge_sparse(*once)
    assert [side.tolist() for side in once] == [side.tolist() for side in twice]


def test_merging_looks_at_the_reference_and_the_size_of_the_window_only():
    reference = np.array([600, 390, 10, 0])
    for current in ([60, 39, 1, 0], [0, 0, 100, 0], [0, 0, 0, 100]):
        merged, known = merge_sparse(np.array(current), reference)
        assert known.tolist() == [600, 390, 10]
        assert merged.sum() == 100


def test_an_empty_side_merges_into_one_cell_and_has_no_psi():
    for current, reference in (([0, 0, 0], [5, 5, 0]), ([5, 5, 0], [0, 0, 0])):
        merged, known = merge_sparse(np.array(current), np.array(reference))
        assert psi(merged, known) is None


@pytest.mark.parametrize("rows", [10**3, 10**5, 10**7])
def test_unseen_values_read_the_same_whatever_the_size_of_the_reference(rows):
    current = np.array([490, 490, 20])
    reference = np.array([rows // 2, rows // 2, 0])
    assert 0.06 < psi(current, floor_other(current, reference)).value < 0.12


def test_the_floor_itself_never_raises_a_psi():
    # A truly rare `__other__`, in a window large enough to see that it is rarer than the floor.
    current, reference = np.array([500_000, 499_999, 1]), np.array([5_000_000, 4_999_990, 10])
    assert psi(current, floor_other(current, reference)).value < 1e-6


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_the_floor_only_moves_other_towards_the_window(pair):
    current, reference = pair
    assume(current.any() and reference.any())
    floored = floor_other(current, reference)
    assert (floored[:-1] == reference[:-1]).all()
    assert floored[-1] >= reference[-1]
    share = max(reference[-1] / reference.sum(), min(1e-4, current[-1] / current.sum()))
    assert floored[-1] / reference.sum() == pytest.approx(share, rel=1e-12, abs=1e-15)
