"""What is beyond what it is judged by, at every boundary."""

from dataclasses import replace

import pytest

from ml_exporter.facts.answers import Control, Value
from ml_exporter.facts.judging import is_beyond


def value(metric, amount, area="quality", **more):
    """A value of a window of a day."""
    return Value(metric, area, "", more.pop("unit", ""), "1d", {}, amount, **more)


@pytest.mark.parametrize(
    ("metric", "lower", "upper", "baseline", "beyond"),
    [
        ("ml_accuracy", 0.7, 0.8, 0.81, True),
        ("ml_accuracy", 0.7, 0.8, 0.8, False),
        ("ml_accuracy", 0.9, 0.95, 0.8, False),
        ("ml_log_loss", 0.5, 0.6, 0.4, True),
        ("ml_log_loss", 0.3, 0.6, 0.4, False),
        ("ml_log_loss", 0.1, 0.2, 0.4, False),
        ("ml_calibration_gap", 0.1, 0.2, 0.01, True),
        ("ml_calibration_gap", -0.2, -0.1, 0.01, True),
        ("ml_calibration_gap", -0.02, 0.1, 0.01, False),
        ("ml_mean_error", -0.1, 0.1, 3.0, False),
        ("ml_accuracy", None, 0.8, 0.9, None),
        ("ml_accuracy", 0.7, 0.8, None, None),
    ],
)
def test_quality_is_beyond_if_its_whole_interval_is_worse(metric, lower, upper, baseline, beyond):
    assert is_beyond(value(metric, 0.75, lower=lower, upper=upper, baseline=baseline)) is beyond


def test_a_value_outside_its_control_limits_is_beyond():
    limits = Control(0.5, 0.4, 0.6, None)
    assert [is_beyond(value("ml_window_rows", x, "volume", control=limits)) for x in (0.39, 0.4, 0.6, 0.61, None)] == [
        *(True, False, False, True),
        None,
    ]


def test_values_that_should_not_be_there_may_exceed_the_reference_by_a_hundredth():
    for name in ("invalid", "out_of_range", "unseen_category"):
        found = value(f"ml_feature_{name}_ratio", 0.012, "data", unit="ratio", baseline=0.005)
        assert is_beyond(found) is False
        assert is_beyond(replace(found, value=0.016)) is True
        assert is_beyond(replace(found, baseline=None)) is True
        assert is_beyond(replace(found, value=None)) is None


def test_noise_counts_unless_no_share_could_exceed_it():
    found = value(
        "ml_feature_null_ratio", 0.9, "data", unit="ratio", baseline=0.1, judged="excess", critical=0.2, strength=4.0
    )
    assert is_beyond(found) is True
    assert is_beyond(replace(found, strength=1.0)) is False
    assert is_beyond(replace(found, critical=0.9, strength=0.9)) is None
    assert is_beyond(replace(found, strength=None)) is None
