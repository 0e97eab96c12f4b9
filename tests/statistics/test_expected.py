"""Expected measures against row-by-row estimates on scores without bins, and their variances against simulation."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from ml_exporter.statistics import auc_from_histograms, score_edges
from ml_exporter.statistics.expected import binary, isotonic, mean_of_bins, midpoints, multiclass, pooled

THRESHOLD = 0.4
EDGES = score_edges(THRESHOLD)
MIDDLE = midpoints(EDGES)
BINS = EDGES.size + 1


class Scores(NamedTuple):
    """Scores of a model that is too sure, and labels of the truth behind them."""

    score: np.ndarray
    label: np.ndarray


def drawn(seed, rows, centre=-1.0, slope=0.7):
    rng = np.random.default_rng(seed)
    x = rng.normal(centre, 1.5, rows)
    return Scores(expit(x), rng.random(rows) < expit(slope * x - 0.3))


def counted(score, called=None):
    """Rows by predicted class and bin."""
    called = score >= THRESHOLD if called is None else called
    cells = called * BINS + np.searchsorted(EDGES, score, side="right")
    return np.bincount(cells, minlength=2 * BINS).reshape(2, BINS).astype(float)


def shares_of(found):
    hits, rows = counted(found.score[found.label]).sum(axis=0), counted(found.score).sum(axis=0)
    return isotonic(hits, rows, MIDDLE)


def by_rows(score, chance):
    """Every measure with each row once as a positive, with the weight of its chance, and once as a negative."""
    y, twice, weight = np.repeat([True, False], len(score)), np.tile(score, 2), np.concatenate([chance, 1 - chance])
    called = twice >= THRESHOLD
    loss = -np.where(y, np.log(twice), np.log1p(-twice))
    return {
        "accuracy": accuracy_score(y, called, sample_weight=weight),
        "precision": precision_score(y, called, sample_weight=weight),
        "recall": recall_score(y, called, sample_weight=weight),
        "f1": f1_score(y, called, sample_weight=weight),
        "roc_auc": roc_auc_score(y, twice, sample_weight=weight),
        "log_loss": float(np.average(loss, weights=weight)),
        "brier_score": float(np.average((twice - y) ** 2, weights=weight)),
    }


@pytest.mark.parametrize("centre", [-1.0, 0.5, -2.5])
def test_bins_give_what_rows_give(centre):
    """Isotonic regression of the scores themselves, each row estimated alone: bins move no measure by more than 2e-3.

    The windows have other scores than the reference; the last has few positives.
    """
    reference, window = drawn(1, 40_000), drawn(2, 20_000, centre)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(reference.score, reference.label)
    rows = by_rows(window.score, fitted.predict(window.score))
    counts = counted(window.score)
    shares = shares_of(reference)
    found = binary(counts * shares, counts * (1 - shares), MIDDLE)
    assert found.keys() == rows.keys()
    for name, value in rows.items():
        assert found[name].value == pytest.approx(value, abs=2e-3), name


def test_the_regression_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    for _ in range(50):
        rows = rng.integers(0, 9, 60) * (rng.random(60) < 0.7)
        hits = rng.binomial(rows, np.linspace(0.05, 0.9, 60))
        places = np.sort(rng.random(60))
        known = rows > 0
        fitted = IsotonicRegression(out_of_bounds="clip")
        fitted.fit(places[known], hits[known] / rows[known], sample_weight=rows[known])
        least = 0.5 / (rows.sum() + 1)
        expected = np.clip(fitted.predict(places), least, 1 - least)
        found = isotonic(hits.astype(float), rows.astype(float), places)
        assert found == pytest.approx(expected, abs=1e-12)
        assert (np.diff(found) >= 0).all()


def test_without_rows_nothing_is_expected():
    none = np.zeros((2, BINS))
    assert binary(none, none, MIDDLE) == {}
    assert multiclass(none, none, None) == {}
    assert mean_of_bins(none[0], none[0], none[0]) is None
    assert (isotonic(none[0], none[0], MIDDLE) == 0).all()


def test_a_class_that_is_hardly_expected_has_no_measure_of_its_own():
    positive, negative = np.zeros((2, 3)), np.array([[50.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    positive[0, 0] = 0.9
    assert binary(positive, negative, np.array([0.1, 0.5, 0.9])).keys() == {"accuracy", "log_loss", "brier_score"}


def test_counts_of_labels_give_the_realised_measures():
    found = drawn(4, 5000)
    positive, negative = counted(found.score[found.label]), counted(found.score[~found.label])
    measured = binary(positive, negative, MIDDLE)
    called = found.score >= THRESHOLD
    assert measured["f1"].value == pytest.approx(f1_score(found.label, called), abs=1e-12)
    auc = auc_from_histograms(positive.sum(axis=0).astype(int), negative.sum(axis=0).astype(int))
    assert measured["roc_auc"].value == pytest.approx(auc.value, abs=1e-12)


@pytest.mark.parametrize("rows", [300, 3000])
def test_variances_are_those_of_labels_drawn_by_chance(rows):
    window = drawn(5, rows)
    shares = shares_of(drawn(6, 50_000))
    counts, rng = counted(window.score), np.random.default_rng(7)
    expected = binary(counts * shares, counts * (1 - shares), MIDDLE)
    drawn_labels = []
    for _ in range(1500):
        positive = rng.binomial(counts.astype(int), shares).astype(float)
        drawn_labels.append({name: item.value for name, item in binary(positive, counts - positive, MIDDLE).items()})
    for name, item in expected.items():
        values = np.array([each[name] for each in drawn_labels])
        assert values.std() == pytest.approx(item.variance**0.5, rel=0.1), name
        assert abs(values.mean() - item.value) < 4 * item.variance**0.5 / 30, name


def test_variances_of_several_classes_are_those_of_labels_drawn_by_chance():
    rng = np.random.default_rng(8)
    counts = rng.integers(20, 80, (3, 4)).astype(float)
    shares = rng.uniform(0.3, 0.9, (3, 4))
    others = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [0.1, 0.9, 0.0]])
    expected = multiclass(counts * shares, counts * (1 - shares), others)
    found = []
    for _ in range(3000):
        right = rng.binomial(counts.astype(int), shares)
        missed = [rng.multinomial(n, p) for n, p in zip((counts - right).sum(axis=1).astype(int), others, strict=True)]
        table = np.array(missed, float)
        spread = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        found.append({n: item.value for n, item in multiclass(right * 1.0, counts - right, spread).items()})
    for name, item in expected.items():
        values = np.array([each[name] for each in found])
        assert values.std() == pytest.approx(item.variance**0.5, rel=0.06), name
        assert abs(values.mean() - item.value) < 0.1 * item.variance**0.5, name


def test_macro_averages_are_those_of_scikit_learn():
    rng = np.random.default_rng(9)
    actual = rng.integers(0, 4, 900)
    called = np.where(rng.random(900) < 0.6, actual, rng.integers(0, 3, 900))  # the last class is rarely predicted
    confusion = np.zeros((4, 4))
    np.add.at(confusion, (called, actual), 1)
    right, wrong = np.diag(confusion)[:, None], (confusion.sum(axis=1) - np.diag(confusion))[:, None]
    off = confusion * (1 - np.eye(4))
    found = multiclass(right, wrong, off / np.maximum(off.sum(axis=1, keepdims=True), 1))
    assert found["accuracy"].value == pytest.approx(accuracy_score(actual, called))
    for name, scorer in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        macro = scorer(actual, called, average="macro", zero_division=0)
        assert found[f"{name}_macro"].value == pytest.approx(macro), name


@pytest.mark.parametrize("seed", range(20))
def test_pools_are_those_of_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    rows = draw.integers(1, 50, 1 + seed * 20).astype(float)
    hits = draw.binomial(rows.astype(int), draw.uniform(0, 1, rows.size)).astype(float)
    found = IsotonicRegression().fit(np.arange(rows.size), hits / rows, rows).predict(np.arange(rows.size))
    assert pooled(hits, rows) == pytest.approx(found, abs=1e-12)
    assert pooled(hits[:0], rows[:0]).size == 0
