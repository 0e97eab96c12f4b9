"""Charts of a drill as inline SVG: a level over time, its limits, and when the alert was pending and fired.

Coordinates are of a fixed view box, colours are classes of the page. No text of a log gets into the markup but through
the template, which escapes it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ml_exporter.drilling.alerts import Span
from ml_exporter.drilling.answers import Answer
from ml_exporter.drilling.schedule import DAY_US, Schedule, iso
from ml_exporter.drilling.suite import Labels
from ml_exporter.drilling.verdicts import Drilled, Seen

WIDTH, HEIGHT = 720.0, 180.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 12.0, 10.0, 40.0
BANDS = 2
SAME = ("model", "window", "feature", "class", "source", "version")
"""Labels that a level shares with the alert that reads it, where both have them."""
LIMIT = "ml:threshold:effective"
MOST_LINES = 6
Points = list[tuple[int, float]]
"""Instants and values."""


class Level(NamedTuple):
    """A recorded level (`ml:...`) as an expression selects it: the name, and the labels that it asks for."""

    name: str
    asked: tuple[tuple[str, str], ...] = ()

    def has(self, labels: Mapping[str, str]) -> bool:
        """Whether a series is of this level."""
        return labels.get("__name__") == self.name and all(labels.get(name) == value for name, value in self.asked)


@dataclass(frozen=True)
class Reads:
    """The levels that an alert compares, and the signals whose limits it compares them with."""

    levels: frozenset[Level]
    limits: frozenset[str]

    def __or__(self, other: "Reads") -> "Reads":
        return Reads(self.levels | other.levels, self.limits | other.limits)


@dataclass(frozen=True)
class Line:
    """A level by instant: its name with its own labels in short, and points of the path."""

    name: str
    path: str


@dataclass(frozen=True)
class Tick:
    """A place on an axis and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Limit:
    """A limit: where it lies, and what it is."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One alert, drawn. Bands are (x, width) pairs; all numbers are of the view box."""

    title: str
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...]
    pending: tuple[tuple[float, float], ...]
    firing: tuple[tuple[float, float], ...]
    fault: tuple[float, float]
    days: tuple[Tick, ...]
    values: tuple[Tick, ...]


@dataclass(frozen=True)
class _Scale:
    """From instants and values to places."""

    schedule: Schedule
    low: float
    high: float

    def x(self, at_us: int) -> float:
        span = self.schedule.end_us - self.schedule.begin_us
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (at_us - self.schedule.begin_us) / span, 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

    def band(self, since_us: int, until_us: int | None) -> tuple[float, float]:
        left = self.x(since_us)
        return left, round(max(self.x(self.schedule.end_us if until_us is None else until_us) - left, 1.0), 1)


def charts_of(drilled: Drilled, reads: Mapping[str, Reads]) -> Iterator[tuple[Seen, Chart]]:
    """A chart for each alert of a drill. `reads` is what an alert reads, by its name."""
    for seen in drilled.seen:
        yield seen, _chart(seen, drilled, reads.get(seen.alert.name, Reads(frozenset(), frozenset())))


def _chart(seen: Seen, drilled: Drilled, reads: Reads) -> Chart:
    schedule, fix_us = drilled.schedule, drilled.schedule.fix_us(drilled.fault, drilled.size)
    found = _levels(drilled.answers, reads.levels, seen.alert.labels)
    limits = _limits(drilled.answers, reads.limits, seen.alert.labels) if found else {}
    levels = dict(_telling(found, limits.values()))
    values = [value for points in levels.values() for _, value in points] + list(limits.values())
    scale = _Scale(schedule, *_range(values))
    return Chart(
        seen.alert.name,
        tuple(Line(name, _path(points, scale)) for name, points in levels.items()),
        tuple(Limit(scale.y(value), f"{text} {value:.4g}") for text, value in limits.items()),
        _bands(seen.alert.pending, scale),
        _bands(seen.alert.firing, scale),
        scale.band(schedule.start_us, fix_us),
        tuple(_days(scale)),
        tuple(Tick(scale.y(value), f"{value:.4g}") for value in (scale.low, scale.high)) if levels else (),
    )


def _bands(spans: Iterable[Span], scale: _Scale) -> tuple[tuple[float, float], ...]:
    return tuple(scale.band(span.since_us, span.until_us) for span in spans)


def _fits(labels: dict[str, str], alert: Labels) -> bool:
    """Whether a level is what the alert reads."""
    own = dict(alert)
    return all(labels[name] == own[name] for name in SAME if name in labels and name in own)


def _levels(answers: Iterable[Answer], levels: frozenset[Level], alert: Labels) -> dict[tuple[str, Labels], Points]:
    """Points of each series that the alert reads, by its name and its labels."""
    found: dict[tuple[str, Labels], Points] = {}
    for answer in answers:
        for pairs, value in answer.series:
            labels = dict(pairs)
            if any(level.has(labels) for level in levels) and _fits(labels, alert) and math.isfinite(value):
                found.setdefault((labels["__name__"], pairs), []).append((answer.at_us, value))
    return found


def _telling(found: Mapping[tuple[str, Labels], Points], limits: Iterable[float]) -> Iterator[tuple[str, Points]]:
    """The lines to draw: of many series of one level those that cross a limit, or the one that comes nearest."""
    ends = list(limits)
    for name in dict.fromkeys(name for name, _ in found):
        own = [(labels, points) for (known, labels), points in found.items() if known == name]
        if len(own) > 1 and ends:
            own.sort(key=lambda item: _distance(item[1], ends))
            own = [item for item in own if not _distance(item[1], ends)] or own[:1]
        for labels, points in own[:MOST_LINES]:
            yield f"{name} {_own(labels)}".strip(), points


def _distance(points: Points, limits: Iterable[float]) -> float:
    """How near the values come to a limit; 0 where they cross it."""
    low, high = min(value for _, value in points), max(value for _, value in points)
    return min(max(low - limit, limit - high, 0.0) for limit in limits)


def _own(labels: Labels) -> str:
    """What a series is of, in short.

    >>> _own((("__name__", "ml:accuracy"), ("measure", "f1"), ("model", "churn"), ("window", "1d")))
    '1d f1'
    """
    known = {name: value for name, value in labels if name not in ("__name__", "model")}
    first = [known.pop(name) for name in SAME if name in known]
    return " ".join([*first, *(known[name] for name in sorted(known))])


def _limits(answers: Iterable[Answer], signals: frozenset[str], alert: Labels) -> dict[str, float]:
    """The limits that the alert compares with."""
    own, found = dict(alert), {}
    for answer in answers:
        for pairs, value in answer.series:
            labels = dict(pairs)
            fits = labels.get("signal") in signals and labels.get("severity") == own.get("severity")
            if labels.get("__name__") == LIMIT and fits and _fits(labels, alert) and math.isfinite(value):
                found[f"limit of {labels['signal']}"] = value
    return found


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: with zero if it is near, and never of no length.

    >>> _range([0.1, 1.0]), _range([]), _range([5.0])
    ((0.0, 1.0), (0.0, 1.0), (0.0, 5.0))
    """
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if (low > 0 and low < 0.5 * high) or low == high > 0:
        low = 0.0
    return (low, high) if low < high else (low - 1.0, high + 1.0)


def _path(points: Sequence[tuple[int, float]], scale: _Scale) -> str:
    """Points as an SVG path, broken where values were missing."""
    words: list[str] = []
    last = None
    for at_us, value in points:
        move = last is None or at_us - last > 2 * 3600 * 1_000_000
        words.append(f"{'M' if move else 'L'}{scale.x(at_us)} {scale.y(value)}")
        last = at_us
    return "".join(words)


def _days(scale: _Scale) -> Iterator[Tick]:
    for at_us in range(scale.schedule.begin_us, scale.schedule.end_us + 1, DAY_US):
        yield Tick(scale.x(at_us), iso(at_us)[5:10])
