"""Labels of the matured window: coverage, whether the labelled are like the others, and how long labels take."""

from math import inf
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests import build

from ml_exporter.baseline import SELECTION, Noise, PsiNoise
from ml_exporter.statistics.dispersion import Dispersion, critical_psi
from ml_exporter.statistics.distances import psi
from ml_exporter.vitals import labels

LAYOUT = build.layout()
ROWS: list[dict[str, Any]] = [
    {"id": "a", "prediction": "yes"},
    {"id": "b", "prediction": "no"},
    {"id": "c", "prediction": "no"},
    {"id": None, "prediction": "no"},
    {"id": "d", "prediction": "maybe"},
]


def test_coverage_is_a_share_of_the_predictions_a_label_could_name() -> None:
    vector = build.vector(LAYOUT, ROWS, {"a": "yes", "c": "yes"})
    found = build.values(labels.coverage(build.windows(vector, matured=True), build.baseline()))
    assert found == {("ml_label_coverage_ratio", "1d"): 2 / 3}


def test_coverage_of_unlabelled_predictions_is_zero() -> None:
    found = build.values(labels.coverage(build.windows(build.vector(LAYOUT, ROWS), matured=True), build.baseline()))
    assert found == {("ml_label_coverage_ratio", "1d"): 0.0}


def test_coverage_of_nothing_is_nothing() -> None:
    for rows in ([], ROWS[3:]):
        vector = build.vector(LAYOUT, rows)
        assert build.values(labels.coverage(build.windows(vector, matured=True), build.baseline())) == {}
    assert build.values(labels.coverage(build.windows(build.vector(LAYOUT, ROWS)), build.baseline())) == {}


# selection


def scored(count: int, low: float, high: float, first: int = 0) -> list[dict[str, Any]]:
    """Predictions whose scores go evenly from low to high."""
    scores = np.linspace(low, high, count)
    return [{"id": f"s{first + n}", "prediction": "no", "score": float(score)} for n, score in enumerate(scores)]


def test_selection_compares_labelled_with_unlabelled_scores() -> None:
    some, others = scored(500, 0.0, 0.6), scored(300, 0.2, 1.0, first=500)
    vector = build.vector(LAYOUT, some + others, {row["id"]: "yes" for row in some})
    found = build.values(labels.selection(build.windows(vector, matured=True), build.baseline()))
    counts = [np.histogram([row["score"] for row in rows], [0, 0.1, 0.5, 0.9, 1.1])[0] for rows in (some, others)]
    expected = psi(*counts)
    assert expected is not None
    assert found["ml_label_selection_psi", "1d"] == pytest.approx(expected.value)
    limit = stats.chi2.isf(0.01, expected.bins - 1) * (1 / 500 + 1 / 300)
    assert found["ml_label_selection_psi_critical", "1d"] == pytest.approx(limit)


def test_selection_as_in_the_reference_is_none() -> None:
    """The limit is that of the reference's own windows, where they had labels."""
    rows = scored(500, 0.0, 0.6) + scored(300, 0.2, 1.0, first=500)
    vector = build.vector(LAYOUT, rows, {row["id"]: "yes" for row in rows[:500]})
    usual = PsiNoise(windows=30, mean=100.0, variance=1800.0, overdispersion=30.0)
    baseline = build.baseline(noise={"1d": Noise({SELECTION: usual}, {})}, window_seconds={"1d": 86400.0})
    found = build.values(labels.selection(build.windows(vector, matured=True), baseline))
    bins = 4
    known = Dispersion(30, 100.0, 1800.0, 30.0)
    limit = critical_psi(0.01, bins, 500, 300, known)
    assert found["ml_label_selection_psi_critical", "1d"] == pytest.approx(limit)
    assert limit > 10 * stats.chi2.isf(0.01, bins - 1) * (1 / 500 + 1 / 300)


def test_there_is_no_selection_without_both_sides() -> None:
    rows = scored(100, 0.0, 1.0)
    for known in ({}, {row["id"]: "yes" for row in rows}):
        windows = build.windows(build.vector(LAYOUT, rows, known), matured=True)
        assert build.values(labels.selection(windows, build.baseline())) == {}


@pytest.mark.parametrize("labelled", [0.02, 0.5, 0.95])
def test_labels_that_come_by_chance_rarely_look_selected(labelled: float) -> None:
    """At alpha 0.01 in windows of 2,000 rows."""
    chance = np.random.default_rng(8)
    layout = build.layout(score_edges=tuple(np.linspace(0.1, 0.9, 9).tolist()))
    baseline, beyond, runs = build.baseline(layout), 0, 3000
    place = layout.by_name["scores"].start + layout.by_name["scores"].fields["histogram"].start
    for _ in range(runs):
        by_label = np.bincount(
            (chance.random(2000) < labelled) * 10 + chance.choice(10, 2000, p=[0.28, *[0.08] * 9]), minlength=20
        )
        vector = layout.zeros()
        vector[place : place + 20] = by_label
        found = build.values(labels.selection(build.windows(vector, matured=True), baseline))
        beyond += found["ml_label_selection_psi", "1d"] > found["ml_label_selection_psi_critical", "1d"]
    assert beyond / runs <= 0.016


# delays


@pytest.mark.parametrize(("delays", "expected"), [([], None), ([9, 1, 0], 60.0), ([9, 2, 0], 3600.0), ([0, 0, 5], inf)])
def test_the_delay_of_most_labels(delays: list[int], expected: float | None) -> None:
    vector = LAYOUT.zeros()
    if delays:
        LAYOUT.cells(vector, "labels")["delay"][:] = delays  # type: ignore[index]
    assert labels.delay_quantile(LAYOUT, vector, 0.9) == expected
