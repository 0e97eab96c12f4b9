"""Features, models and labels over hours and days: small charts with one table of the numbers."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..facts.answers import DayValue, FeatureFacts, FeaturePoint, LabelDay, ModelFacts, Value
from ..facts.judging import is_beyond
from ..vitals.windows import REFERENCE
from .charts import Points, line
from .rows import text, title
from .words import number, share, utc

MOST_CHARTS = 6
"""How many vitals of a model are drawn by day."""
_NULL, _PSI, _SHIFT = "ml_feature_null_ratio", "ml_feature_psi", "ml_feature_mean_shift_sigmas"
_Of = Callable[[FeaturePoint], float | None]
_Write = Callable[[float | None], str]


@dataclass(frozen=True)
class Small:
    """A small chart and what it shows."""

    title: str
    chart: Markup


@dataclass(frozen=True)
class Trend:
    """Charts over the same times, and the table that holds their numbers."""

    title: str
    charts: tuple[Small, ...]
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    """Time, rows, then a text for each column; newest first."""


@dataclass(frozen=True)
class _Kind:
    """A number of a feature over time, and the values by which it is judged."""

    title: str
    metric: str
    of: _Of
    reference: float | None = None
    write: _Write = share


def feature_trends(feature: FeatureFacts) -> tuple[Trend, ...]:
    """Its last hours and days; those without any point are left out."""
    spans = (("The last hours", "1h", feature.hours), ("Days", "1d", feature.days))
    limits = {window.name: window.values for window in feature.windows}
    return tuple(_trend(name, feature, points, limits.get(window, ())) for name, window, points in spans if points)


def coverage(days: Sequence[LabelDay]) -> Markup:
    """Share of each day's predictions that have a label by now."""
    points = [(day.start_at, day.labelled / day.joinable if day.joinable else None) for day in days]
    return line(Points(points), "Share of predictions that have a label by now, by the day of the prediction.")


def model_trend(facts: ModelFacts) -> Trend | None:
    """The days of a model: predictions, then what is beyond something, then what is worth to be seen anyway."""
    days = [(day, {_key(item.metric, item.labels): item for item in day.values}) for day in facts.days]
    shown = [value for value in _by_day(facts) if any(_key(value.metric, value.labels) in found for _, found in days)]
    shown = shown[:MOST_CHARTS]
    if len(days) < 2:
        return None
    charts = [Small("Predictions", _rows_chart(facts))]
    for value in shown:
        points = [(day.start_at, _number(found.get(_key(value.metric, value.labels)))) for day, found in days]
        if not any(amount for _, amount in points):
            continue
        about = f"{_name(value)} by day."
        limits = [("reference", value.baseline), ("noise floor", value.critical if value.judged == "above" else None)]
        if value.control:
            limits += [("lower limit", value.control.lower), ("upper limit", value.control.upper)]
        charts.append(Small(_name(value), line(Points(points, limits, _writing(value)), about)))
    lines = tuple(
        (
            f"{utc(day.start_at)[:16]}{'' if day.complete else ' (not over)'}",
            number(day.rows),
            *(_writing(value)(_number(found.get(_key(value.metric, value.labels)))) for value in shown),
        )
        for day, found in reversed(days)
    )
    return Trend("Day by day", tuple(item for item in charts if item.chart), tuple(map(_name, shown)), lines)


def _by_day(facts: ModelFacts) -> list[Value]:
    """Values of the whole model over a day: those beyond something first, then the main ones."""
    of_day = [value for value in facts.values if value.window == "1d"]
    moved = [value for value in of_day if is_beyond(value)]
    quality = [value for value in of_day if value.area == "quality" and "class" not in value.labels][:2]
    slowest = [value for value in of_day if value.metric == "ml_window_latency_seconds"][-1:]
    shares = [value for value in of_day if value.metric == "ml_prediction_class_ratio"][1:2]
    psi = [value for value in of_day if value.metric == "ml_prediction_psi"][:1]
    return list(
        {_key(value.metric, value.labels): value for value in (*moved, *quality, *shares, *psi, *slowest)}.values()
    )


def _rows_chart(facts: ModelFacts) -> Markup:
    points = [(day.start_at, float(day.rows) if day.complete else None) for day in facts.days]
    return line(Points(points, (), number), "Predictions by day.")


def _key(metric: str, labels: object) -> tuple[str, str]:
    return metric, repr(labels)


def _number(found: DayValue | None) -> float | None:
    return None if found is None else found.value


def _name(value: Value) -> str:
    about = ", ".join(item for key, item in value.labels.items() if (key, item) != ("baseline", REFERENCE))
    return title(value.metric) + (f" ({about})" if about else "")


def _writing(value: Value) -> _Write:
    return lambda amount: text(value, amount)


def _kinds(feature: FeatureFacts) -> Iterator[_Kind]:
    known = feature.baseline
    yield _Kind("PSI", _PSI, lambda point: point.psi, None, number)
    if feature.kind == "numeric":
        yield _Kind("Mean shift (sigmas)", _SHIFT, lambda point: point.mean_shift_sigmas, None, number)
    yield _Kind("Nulls", _NULL, lambda point: point.summary.null_ratio, known.null_ratio)
    if feature.kind == "categorical":
        yield _Kind("Unseen categories", "", lambda point: point.summary.unseen_ratio, known.unseen_ratio)
    yield _Kind("Unreadable", "", lambda point: point.summary.invalid_ratio, known.invalid_ratio)
    if feature.kind == "numeric":
        yield _Kind("Out of range", "", lambda point: point.summary.out_of_range_ratio, known.out_of_range_ratio)


def _trend(name: str, feature: FeatureFacts, points: Sequence[FeaturePoint], judged: Sequence[Value]) -> Trend:
    kinds = list(_kinds(feature))
    charts = [Small(kind.title, _chart(kind, points, judged)) for kind in kinds]
    lines = tuple(
        (utc(point.start_at)[:16], number(point.summary.rows), *(kind.write(kind.of(point)) for kind in kinds))
        for point in reversed(points)
    )
    return Trend(name, tuple(item for item in charts if item.chart), tuple(kind.title for kind in kinds), lines)


def _chart(kind: _Kind, points: Sequence[FeaturePoint], judged: Sequence[Value]) -> Markup:
    """The chart of one number. Times without rows break its line; a number that is nothing throughout has none."""
    values: list[tuple[float, float | None]] = []
    ends = math.inf
    for point in points:
        if point.start_at > ends + 1.0:
            values.append((ends, None))
        values.append((point.start_at, kind.of(point)))
        ends = point.end_at
    if not any(value for _, value in values):
        return Markup()
    limits = [("reference", kind.reference), *_floor(kind, judged)]
    return line(Points(values, limits, kind.write), f"{kind.title} over time.")


def _floor(kind: _Kind, judged: Sequence[Value]) -> Iterator[tuple[str, float | None]]:
    """The noise floor of a window as long as a point, on the sides where the line may cross it."""
    for value in judged:
        if (
            value.metric == kind.metric
            and value.critical is not None
            and value.labels.get("baseline", REFERENCE) == REFERENCE
        ):
            if value.judged == "above":
                yield "noise floor", value.critical
            elif value.judged == "either side":
                yield "noise floor", value.critical if (value.value or 0.0) >= 0 else -value.critical
