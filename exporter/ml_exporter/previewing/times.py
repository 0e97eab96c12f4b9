"""The time of a dashboard: its range, the step of its queries, and the variables that Grafana makes of them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ml_exporter.errors import ConfigError, Problem

SCRAPE_SECONDS = 15.0
"""What Grafana takes as the scrape interval of a Prometheus that says nothing else."""
MOST_POINTS = 11_000
_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "M": 2_592_000.0,
    "y": 31_536_000.0,
}
_ROUND = (
    *(0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0),
    *(1200.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 604_800.0),
)
_RELATIVE = re.compile(r"now(?:-(\d+)(ms|s|m|h|d|w|M|y))?(?:/([smhdwMy]))?")
_DURATION = re.compile(r">?(\d+(?:\.\d+)?)(ms|s|m|h|d|w|M|y)")


@dataclass(frozen=True)
class Range:
    """From when to when, in Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True)
class Steps:
    """What decides how often a query is asked in a range. `forced` is a step for all of them."""

    range: Range
    forced: float | None = None

    def of(self, interval: str, points: int) -> tuple[float, float]:
        """The step of a query and the interval of scrapes that it may count on, in seconds."""
        if self.forced:
            return self.forced, self.forced
        least = duration(interval) if interval else SCRAPE_SECONDS
        wanted = _rounded(self.range.seconds / max(points, 1))
        return max(least, wanted, self.range.seconds / MOST_POINTS), least


def instant(text: str, now: float) -> float:
    """What `now-24h`, an ISO 8601 instant with zone or Unix milliseconds say, in Unix seconds. Raises ConfigError.

    >>> instant("now-1h", 7200.0), instant("1970-01-01T01:00:00Z", 0.0), instant("now/d", 90_000.0)
    (3600.0, 3600.0, 86400.0)
    """
    if found := _RELATIVE.fullmatch(text):
        moment = now - (int(found[1]) * _UNITS[found[2]] if found[1] else 0.0)
        return moment - moment % _UNITS[found[3]] if found[3] else moment
    if re.fullmatch(r"\d{12,}", text):
        return int(text) / 1000
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ConfigError(
            [Problem("time", "now, now-24h or an instant with zone", repr(text), "Write for example now-24h")]
        )
    return at.timestamp()


def duration(text: str) -> float:
    """Seconds of a duration of Grafana. Raises ConfigError.

    >>> duration("1m"), duration("60s"), duration(">10s")
    (60.0, 60.0, 10.0)
    """
    found = _DURATION.fullmatch(text.strip())
    if not found:
        raise ConfigError([Problem("interval", "a duration such as 1m", repr(text), "Write for example 1m")])
    return float(found[1]) * _UNITS[found[2]]


def aligned(found: Range, step: float) -> Range:
    """The range at multiples of the step, as Grafana asks, so that a reload shows the same points."""
    return Range(math.floor(found.start / step) * step, math.floor(found.end / step) * step)


def builtins(found: Range, step: float, scrape: float) -> Mapping[str, str]:
    """The variables `__interval`, `__rate_interval`, `__range` and their like."""
    rate = max(step + scrape, 4 * scrape)
    return {
        "__interval": text(step),
        "__interval_ms": f"{step * 1000:.0f}",
        "__rate_interval": text(rate),
        "__rate_interval_ms": f"{rate * 1000:.0f}",
        "__range": text(round(found.seconds)),
        "__range_s": f"{found.seconds:.0f}",
        "__range_ms": f"{found.seconds * 1000:.0f}",
        "__from": f"{found.start * 1000:.0f}",
        "__to": f"{found.end * 1000:.0f}",
        "__url_time_range": f"from={found.start * 1000:.0f}&to={found.end * 1000:.0f}",
    }


def text(seconds: float) -> str:
    """A duration as PromQL reads it.

    >>> text(240.0), text(0.25)
    ('240s', '250ms')
    """
    return f"{seconds:.0f}s" if float(seconds).is_integer() else f"{seconds * 1000:.0f}ms"


def iso(at: float) -> str:
    """An instant for people, in UTC.

    >>> iso(0.0)
    '1970-01-01 00:00'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _rounded(seconds: float) -> float:
    return next((float(item) for item in _ROUND if item >= seconds * 0.75), seconds)
