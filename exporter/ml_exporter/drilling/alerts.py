"""Alerts over the time of a drill: when each was pending, and when it fired."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_exporter.drilling.answers import Answer
from ml_exporter.drilling.schedule import Schedule
from ml_exporter.drilling.suite import Labels

SERIES = "ALERTS"
STATE = "alertstate"
PAGES = "critical"
"""The severity that pages."""


@dataclass(frozen=True)
class Span:
    """From the first instant at which it was so to the first at which it was not; None: still so at the end."""

    since_us: int
    until_us: int | None


@dataclass(frozen=True)
class Alert:
    """One alert, by all its labels: when its condition held (`pending`: not yet for long enough), when it fired."""

    labels: Labels
    pending: tuple[Span, ...]
    firing: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.label("alertname")

    @property
    def pages(self) -> bool:
        """Whether it pages somebody, if nothing mutes it."""
        return self.label("severity") == PAGES

    def label(self, name: str) -> str:
        """The value of a label; empty without one."""
        return dict(self.labels).get(name, "")

    def fires_at(self, at_us: int) -> bool:
        """Whether it fires at an instant."""
        return any(item.since_us <= at_us and (item.until_us is None or at_us < item.until_us) for item in self.firing)


def alerts_of(found: Iterable[Answer], schedule: Schedule) -> tuple[Alert, ...]:
    """The alerts in the answers to `SERIES`, asked at every instant of the drill. Sorted by when they fired first."""
    places = {at_us: place for place, at_us in enumerate(schedule.times)}
    seen: dict[Labels, dict[str, list[int]]] = {}
    for answer in (item for item in found if item.expression == SERIES):
        for labels, _ in answer.series:
            state = dict(labels).get(STATE, "")
            own = tuple(item for item in labels if item[0] not in ("__name__", STATE))
            seen.setdefault(own, {}).setdefault(state, []).append(places[answer.at_us])
    alerts = (
        Alert(labels, *(tuple(_spans(states.get(state, ()), schedule.times)) for state in ("pending", "firing")))
        for labels, states in seen.items()
    )
    return tuple(sorted(alerts, key=_first))


def _first(alert: Alert) -> tuple[bool, int, Labels]:
    spans = alert.firing or alert.pending
    return not alert.firing, spans[0].since_us, alert.labels


def _spans(places: Sequence[int], times: range) -> Iterator[Span]:
    """Runs of neighbouring places as spans."""
    start = last = -2
    for place in (*sorted(places), len(times) + 1):
        if place == last + 1:
            last = place
            continue
        if start >= 0:
            yield Span(times[start], times[last + 1] if last + 1 < len(times) else None)
        start = last = place


def without(alert: Alert, clean: Mapping[Labels, Alert], times: range) -> tuple[Span, ...]:
    """When the alert fires and its twin of the clean replay does not."""
    twin = clean.get(alert.labels)
    if twin is None:
        return alert.firing
    places = [place for place, at_us in enumerate(times) if alert.fires_at(at_us) and not twin.fires_at(at_us)]
    return tuple(_spans(places, times))
