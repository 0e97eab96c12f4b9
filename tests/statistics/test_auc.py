"""AUC and DeLong's error against scikit-learn, a comparison of all pairs, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ml_exporter.statistics import Auc, auc_from_histograms, auc_interval, class_score_edges, score_edges

histograms = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12)


def delong_by_pairs(positive, negative):
    """The textbook: psi(x, y) for every pair of scores, then the variances of its row and column means."""
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    by_positive = wins.mean(axis=1).var(ddof=1) if positive.size > 1 else 0.0
    by_negative = wins.mean(axis=0).var(ddof=1) if negative.size > 1 else 0.0
    return wins.mean(), math.sqrt(by_positive / positive.size + by_negative / negative.size)


@settings(max_examples=120, deadline=None)
@given(histograms)
def test_auc_equals_all_pairs_and_scikit_learn(cells):
    positive, negative = (np.array(side) for side in zip(*cells, strict=True))
    found = auc_from_histograms(positive, negative)
    if not positive.any() or not negative.any():
        assert found is None
        return
    ups, downs = np.repeat(np.arange(positive.size), positive), np.repeat(np.arange(negative.size), negative)
    value, error = delong_by_pairs(ups, downs)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.standard_error == pytest.approx(error, abs=1e-12)
    assert (found.positives, found.negatives) == (ups.size, downs.size)
    labels = np.r_[np.ones(ups.size), np.zeros(downs.size)]
    assert found.value == pytest.approx(roc_auc_score(labels, np.r_[ups, downs]), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(histograms)
def test_swapping_the_classes_mirrors_the_auc(cells):
    positive, negative = (np.array(side) for side in zip(*cells, strict=True))
    found, mirrored = auc_from_histograms(positive, negative), auc_from_histograms(negative, positive)
    assert (found is None) == (mirrored is None)
    if found is not None:
        assert found.value == pytest.approx(1 - mirrored.value, abs=1e-12)
        assert found.standard_error == pytest.approx(mirrored.standard_error, abs=1e-12)


def test_perfect_and_uninformative_scores():
    assert auc_from_histograms(np.array([0, 9]), np.array([9, 0])) == Auc(1.0, 0.0, 9, 9)
    assert auc_from_histograms(np.array([9]), np.array([9])) == Auc(0.5, 0.0, 9, 9)


@pytest.mark.parametrize("prevalence", [0.5, 0.05, 0.01, 0.001])
@pytest.mark.parametrize(("spread", "bound"), [(0.5, 5.5e-4), (1.0, 2e-4), (2.5, 2e-4)])
def test_score_bins_lower_the_auc_no_further_than_their_width_explains(prevalence, spread, bound):
    """Normal logits, far from 0 where positives are rare; the shares of the bins are exact."""
    inner = logit(score_edges(0.5))
    sides = []
    for mean in (logit(prevalence) + 1.5 * spread, logit(prevalence)):
        shares = np.diff(norm.cdf(inner, mean, spread), prepend=0.0, append=1.0)
        sides.append(np.rint(shares * 1e12).astype(np.int64))
    assert -bound <= auc_from_histograms(*sides).value - norm.cdf(1.5 / math.sqrt(2)) <= 0


SHARPNESS = [0.3, 1.0, 2.0]
SURENESS = [1.0, 6.0]


@pytest.mark.parametrize("classes", [3, 10, 100])
@pytest.mark.parametrize("sharpness", SHARPNESS)
@pytest.mark.parametrize("sureness", SURENESS)
def test_the_area_of_one_of_several_classes_is_within_5e_4_of_the_one_without_bins(classes, sharpness, sureness):
    """Logits that differ a little or much between right and wrong classes, and networks that are far too sure.

    Of 100 classes each has 400 rows here. Where so few share bins, chance moves the area by up to 0.15 standard errors.
    """
    rng = np.random.default_rng(4)
    actual = rng.integers(0, classes, 40_000)
    logits = rng.normal(0, sharpness, (actual.size, classes))
    logits[np.arange(actual.size), actual] += sharpness**2
    scores = softmax(sureness * logits, axis=1)
    edges = class_score_edges(classes)
    for place in range(3):
        binned = np.searchsorted(edges, scores[:, place], side="right")
        histograms = [
            np.bincount(binned[side], minlength=edges.size + 1) for side in (actual == place, actual != place)
        ]
        found = auc_from_histograms(*histograms)
        exact = roc_auc_score(actual == place, scores[:, place])
        assert found.value == pytest.approx(exact, abs=max(5e-4, 0.15 * found.standard_error))


@pytest.mark.parametrize("prevalence", [0.2, 0.001])
def test_ties_within_bins_stay_far_below_the_standard_error(prevalence):
    rng = np.random.default_rng(21)
    labels = rng.random(50_000) < prevalence
    scores = expit(rng.normal(logit(prevalence), 1.2, labels.size) + 1.5 * labels)
    bins = np.searchsorted(score_edges(0.5), scores, side="right")
    positive, negative = (np.bincount(bins[side], minlength=400) for side in (labels, ~labels))
    found = auc_from_histograms(positive, negative)
    assert abs(found.value - roc_auc_score(labels, scores)) <= 0.1 * found.standard_error


def test_interval_needs_a_hundred_of_each():
    assert auc_interval(Auc(0.8, 0.02, 99, 5000)) is None
    assert auc_interval(Auc(0.8, 0.02, 5000, 99)) is None
    assert auc_interval(Auc(0.8, 0.02, 100, 100)) is not None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_perfect_scores_have_no_interval(value):
    assert auc_interval(Auc(value, 0.0, 1000, 1000)) is None


def test_interval_is_normal_in_logits():
    for value in (0.1, 0.5, 0.8, 0.999):
        found = auc_interval(Auc(value, 0.02 * (1 - value), 100, 100), phi=2.0)
        error = math.sqrt(2.0) * 0.02 / value
        assert logit(found) == pytest.approx(norm.interval(0.95, logit(value), error))


def test_interval_widens_with_phi_and_stays_within_zero_and_one():
    assert auc_interval(Auc(0.8, 0.02, 100, 100), phi=4.0) == auc_interval(Auc(0.8, 0.04, 100, 100))
    for value in (1e-9, 0.02, 0.98, 1 - 1e-9):
        lower, upper = auc_interval(Auc(value, 0.02, 100, 100))
        assert 0 <= lower <= value <= upper <= 1
