"""Whether a value is beyond what it is judged by. No threshold of an alert is known here."""

from ml_exporter.facts.answers import Value

LESS_IS_BETTER = frozenset(
    f"ml_{name}" for name in ("log_loss", "brier_score", "mean_absolute_error", "root_mean_squared_error")
)
"""Measures of quality that are worse the higher they are."""
EITHER_SIDE = frozenset({"ml_calibration_gap", "ml_mean_error"})
"""Measures of quality that are worse the further they are from zero."""
KNOWN_VALUES = frozenset(f"ml_feature_{name}_ratio" for name in ("invalid", "out_of_range", "unseen_category"))
"""Shares of values that should not be there. They have no critical value: almost none is normal."""
MARGIN = 0.01
"""What a share of such values may exceed that of the reference by."""


def is_beyond(value: Value) -> bool | None:
    """Whether a vital is beyond its noise or its control limits, or its whole 95 % interval worse than the reference.

    Values that should not be there are judged by `MARGIN`. None where there is nothing to judge by.
    """
    noise = None if cannot_be_judged(value) else value.beyond
    found = (noise, _out_of_control(value), _worse(value), _should_not_be_there(value))
    judged = [item for item in found if item is not None]
    return any(judged) if judged else None


def cannot_be_judged(value: Value) -> bool:
    """Whether no share at all would be beyond the noise, as in windows of a few rows."""
    most = (value.critical or 0.0) + (value.baseline or 0.0 if value.judged == "excess" else 0.0)
    return value.unit == "ratio" and value.judged in {"excess", "above"} and most >= 1.0


def most(value: Value) -> float | None:
    """The highest share that is not beyond, of values that are judged by what they exceed the reference by."""
    if value.metric in KNOWN_VALUES:
        return (value.baseline or 0.0) + MARGIN
    if value.judged != "excess" or value.critical is None:
        return None
    return value.critical + (value.baseline or 0.0)


def _should_not_be_there(value: Value) -> bool | None:
    if value.metric not in KNOWN_VALUES or value.value is None:
        return None
    return value.value - (value.baseline or 0.0) > MARGIN


def _out_of_control(value: Value) -> bool | None:
    if value.control is None or value.value is None:
        return None
    return not value.control.lower <= value.value <= value.control.upper


def _worse(value: Value) -> bool | None:
    """Whether the whole interval of a measure of quality is worse than the reference."""
    if value.area != "quality" or value.baseline is None or value.lower is None or value.upper is None:
        return None
    if value.metric in EITHER_SIDE:
        return not value.lower <= value.baseline <= value.upper and (
            min(abs(value.lower), abs(value.upper)) > abs(value.baseline)
        )
    return value.lower > value.baseline if value.metric in LESS_IS_BETTER else value.upper < value.baseline
