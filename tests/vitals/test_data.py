"""Shares of null, unreadable, implausible and unknown values, against counts by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
from tests import build
from tests.build import DAY, NOON

from ml_exporter.baseline import Noise, Phi
from ml_exporter.layout import Vector
from ml_exporter.statistics.excess import critical_excess
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


ALPHA = 0.01


def temps(null: int, valid: int, invalid: int = 0) -> Vector:
    values = [None] * null + [5.0] * valid + [math.inf] * invalid
    return build.vector(LAYOUT, [{"feature:temp": value} for value in values])


def null_limit(rows: Vector, reference: Vector, phi: Phi | None = None, seconds: float = 86400.0) -> float:
    """The critical excess of temp's null ratio over ten days of reference."""
    noise = {"1d": Noise({}, {"null:temp": phi})} if phi else {}
    span = {"start_us": NOON - 10 * DAY, "end_us": NOON, "window_seconds": {"1d": 86400.0}}
    windows = build.windows(rows, alpha=ALPHA)
    windows = replace(windows, current=(replace(windows.current[0], seconds=seconds),))
    found = build.values(data.null_noise(windows, build.baseline(LAYOUT, reference, noise=noise, **span)))
    assert {key[-1] for key in found} == {"temp", "wind", "carrier"}
    return found["ml_feature_null_critical_ratio", "1d", "reference", "temp"]


def test_a_null_ratio_may_exceed_the_reference_by_a_binomial_error() -> None:
    found = null_limit(temps(20, 25, invalid=5), temps(100, 890, invalid=10))
    assert found == pytest.approx(critical_excess(ALPHA, 100.5 / 1001, (50, 1000), 0, 1.0), rel=1e-9)


def test_a_feature_without_nulls_has_a_width() -> None:
    expected = critical_excess(ALPHA, 0.5 / 1001, (50, 1000), 0, 1.0)
    assert null_limit(temps(50, 0), temps(0, 1000)) == pytest.approx(expected, rel=1e-9)


def test_the_width_of_nulls_knows_how_they_cluster_and_how_long_the_window_is() -> None:
    found = null_limit(temps(2, 2), temps(100, 900), Phi(30, 9.0), seconds=3600.0)
    assert found == pytest.approx(critical_excess(ALPHA / 24, 100.5 / 1001, (4, 1000), 30, 9.0), rel=1e-9)


def test_a_busy_window_is_as_wide_as_the_average_one_of_the_reference() -> None:
    """A thousand rows in ten days are a hundred a day."""
    usual = null_limit(temps(10, 90), temps(100, 900), Phi(30, 9.0))
    assert null_limit(temps(50, 450), temps(100, 900), Phi(30, 9.0)) == pytest.approx(usual, rel=1e-12)
    assert null_limit(temps(5, 45), temps(100, 900), Phi(30, 9.0)) > usual


@pytest.mark.parametrize(("rows", "reference"), [((0, 0), (5, 5)), ((5, 5), (0, 0))])
def test_without_two_sides_nulls_have_no_limit(rows: tuple[int, int], reference: tuple[int, int]) -> None:
    baseline = build.baseline(LAYOUT, temps(*reference))
    assert build.values(data.null_noise(build.windows(temps(*rows)), baseline)) == {}


def test_features_are_computed_over_their_windows_only() -> None:
    assert build.values(data.feature_quality(build.windows(VECTOR, name="5m"), BASELINE)) == {}


def test_volume_is_there_without_rows() -> None:
    for vector, rows in ((VECTOR, 10.0), (LAYOUT.zeros(), 0.0)):
        assert build.values(data.volume(build.windows(vector), BASELINE)) == {
            ("ml_window_rows", "1d"): rows,
            ("ml_window_start_timestamp_seconds", "1d"): (NOON - DAY) / 1e6,
            ("ml_window_end_timestamp_seconds", "1d"): NOON / 1e6,
        }
