"""Shares of null, unreadable, implausible and unknown values, against counts by hand."""

import math
from typing import Any

from tests import build
from tests.build import DAY, NOON

from ml_exporter.vitals import data

LAYOUT = build.layout()
TEMPS = [None, math.nan, math.inf, -math.inf, 60.0, -30.0, 50.0, 5.0, 5.0, -31.0]
CARRIERS = ["AA", "UA", None, "ZZ", "", "AA", "AA", "AA", "AA", "DL"]
ROWS: list[dict[str, Any]] = [
    {"feature:temp": temp, "feature:carrier": carrier} for temp, carrier in zip(TEMPS, CARRIERS, strict=True)
]
VECTOR = build.vector(LAYOUT, ROWS)
BASELINE = build.baseline(LAYOUT, build.vector(LAYOUT, ROWS[:4]))


def test_ratios_are_counts_over_counts() -> None:
    found = build.values(data.feature_quality(build.windows(VECTOR), BASELINE))
    assert found == {
        ("ml_feature_null_ratio", "1d", "temp"): 2 / 10,
        ("ml_feature_invalid_ratio", "1d", "temp"): 2 / 10,
        ("ml_feature_out_of_range_ratio", "1d", "temp"): 2 / 6,
        ("ml_feature_null_ratio", "1d", "wind"): 1.0,
        ("ml_feature_invalid_ratio", "1d", "wind"): 0.0,
        ("ml_feature_null_ratio", "1d", "carrier"): 1 / 10,
        ("ml_feature_invalid_ratio", "1d", "carrier"): 0.0,
        ("ml_feature_unseen_category_ratio", "1d", "carrier"): 3 / 9,
    }


def test_the_reference_has_the_same_ratios() -> None:
    found = build.values(data.baseline_feature_quality(build.windows(VECTOR), BASELINE))
    assert found == {
        ("ml_feature_baseline_null_ratio", "reference", "temp"): 2 / 4,
        ("ml_feature_baseline_invalid_ratio", "reference", "temp"): 2 / 4,
        ("ml_feature_baseline_null_ratio", "reference", "wind"): 1.0,
        ("ml_feature_baseline_invalid_ratio", "reference", "wind"): 0.0,
        ("ml_feature_baseline_null_ratio", "reference", "carrier"): 1 / 4,
        ("ml_feature_baseline_invalid_ratio", "reference", "carrier"): 0.0,
        ("ml_feature_baseline_unseen_category_ratio", "reference", "carrier"): 1 / 3,
    }


def test_a_window_without_rows_has_no_ratio() -> None:
    assert build.values(data.feature_quality(build.windows(LAYOUT.zeros()), BASELINE)) == {}


def test_features_are_computed_over_their_windows_only() -> None:
    assert build.values(data.feature_quality(build.windows(VECTOR, name="5m"), BASELINE)) == {}


def test_volume_is_there_without_rows() -> None:
    for vector, rows in ((VECTOR, 10.0), (LAYOUT.zeros(), 0.0)):
        assert build.values(data.volume(build.windows(vector), BASELINE)) == {
            ("ml_window_rows", "1d"): rows,
            ("ml_window_start_timestamp_seconds", "1d"): (NOON - DAY) / 1e6,
            ("ml_window_end_timestamp_seconds", "1d"): NOON / 1e6,
        }
