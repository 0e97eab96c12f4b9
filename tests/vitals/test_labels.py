"""Coverage: labelled over joinable predictions of the matured window."""

from typing import Any

from tests import build

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
