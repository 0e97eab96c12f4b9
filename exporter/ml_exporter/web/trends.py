"""A feature over hours and days, and the coverage of labels over days: small charts with one table of the numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..facts.answers import FeatureFacts, FeaturePoint, LabelDay
from .charts import Points, line
from .words import number, share, utc

_Of = Callable[[FeaturePoint], float | None]


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


def feature_trends(feature: FeatureFacts) -> tuple[Trend, ...]:
    """Its last hours and days; those without any point are left out."""
    spans = (("The last hours", feature.hours), ("Days", feature.days))
    return tuple(_trend(title, feature, points) for title, points in spans if points)


def coverage(days: Sequence[LabelDay]) -> Markup:
    """Share of each day's predictions that have a label by now."""
    points = [(day.start_at, day.labelled / day.joinable if day.joinable else None) for day in days]
    return line(Points(points), "Share of predictions that have a label by now, by the day of the prediction.")


def _trend(title: str, feature: FeatureFacts, points: Sequence[FeaturePoint]) -> Trend:
    kinds: list[tuple[str, _Of, float | None, bool]] = [
        ("PSI", lambda point: point.psi, None, False),
        ("Nulls", lambda point: point.summary.null_ratio, feature.baseline.null_ratio, True),
        ("Unreadable", lambda point: point.summary.invalid_ratio, feature.baseline.invalid_ratio, True),
    ]
    if feature.kind == "categorical":
        unseen = feature.baseline.unseen_ratio
        kinds.insert(2, ("Unseen categories", lambda point: point.summary.unseen_ratio, unseen, True))
    else:
        kinds.insert(1, ("Mean shift (sigmas)", lambda point: point.mean_shift_sigmas, None, False))
        outside = feature.baseline.out_of_range_ratio
        kinds.append(("Out of range", lambda point: point.summary.out_of_range_ratio, outside, True))
    charts = [Small(name, _chart(name, points, of, reference, is_share)) for name, of, reference, is_share in kinds]
    lines = tuple(
        (
            utc(point.start_at)[:16],
            number(point.summary.rows),
            *((share if is_share else number)(of(point)) for _, of, _, is_share in kinds),
        )
        for point in reversed(points)
    )
    return Trend(title, tuple(item for item in charts if item.chart), tuple(kind[0] for kind in kinds), lines)


def _chart(name: str, points: Sequence[FeaturePoint], of: _Of, reference: float | None, is_share: bool) -> Markup:
    """The chart of one number. Times without rows break its line; a number that is nothing throughout has none."""
    values: list[tuple[float, float | None]] = []
    ends = math.inf
    for point in points:
        if point.start_at > ends + 1.0:
            values.append((ends, None))
        values.append((point.start_at, of(point)))
        ends = point.end_at
    if not any(value for _, value in values):
        return Markup()
    return line(Points(values, [("reference", reference)], is_share), f"{name} over time.")
