"""Since when a vital of a feature is beyond what it is judged by, from its days and hours."""

from collections.abc import Callable, Mapping, Sequence

from ..facts.answers import FeatureFacts, FeaturePoint, Value
from ..facts.judging import KNOWN_VALUES, MARGIN
from .words import utc

_Of = Callable[[FeaturePoint], float | None]
_BY_DAY: Mapping[str, _Of] = {
    "ml_feature_psi": lambda point: point.psi,
    "ml_feature_mean_shift_sigmas": lambda point: point.mean_shift_sigmas,
}
_BY_HOUR: Mapping[str, _Of] = {
    "ml_feature_null_ratio": lambda point: point.summary.null_ratio,
    "ml_feature_invalid_ratio": lambda point: point.summary.invalid_ratio,
    "ml_feature_out_of_range_ratio": lambda point: point.summary.out_of_range_ratio,
    "ml_feature_unseen_category_ratio": lambda point: point.summary.unseen_ratio,
}


def since(feature: FeatureFacts, value: Value) -> str:
    """In words, the beginning of the days or hours that lead up to now and are beyond the limit of a vital.

    Only for windows of a day: the limit of another is not that of a day. The last day or hour may be too short to tell.
    Empty where the beginning is not known.
    """
    limit = _limit(value)
    if value.window != "1d" or limit is None:
        return ""
    if value.metric in _BY_DAY:
        return _run(feature.days, _BY_DAY[value.metric], limit, 10)
    return _run(feature.hours, _BY_HOUR[value.metric], limit, 16) if value.metric in _BY_HOUR else ""


def _limit(value: Value) -> float | None:
    if value.metric in KNOWN_VALUES:
        return (value.baseline or 0.0) + MARGIN
    if value.critical is None:
        return None
    return value.critical + (value.baseline or 0.0 if value.judged == "excess" else 0.0)


def _run(points: Sequence[FeaturePoint], of: _Of, limit: float, characters: int) -> str:
    first = None
    for point in reversed(points):
        found = of(point)
        if found is not None and abs(found) > limit:
            first = point.start_at
        elif point is not points[-1]:
            break
    if first is None:
        return ""
    before = " or earlier" if first == points[0].start_at else ""
    return f"since {utc(first)[:characters]}{before}"
