"""Samples put together: each value beside what it is judged by."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from ml_exporter.catalogue import BY_NAME
from ml_exporter.facts.answers import Control, Value
from ml_exporter.facts.answers.values import Judged
from ml_exporter.facts.companions import BASELINE, CRITICAL, ESTIMATE, INTERVAL, VALUES, area, signal, unit
from ml_exporter.facts.views import Key
from ml_exporter.vitals.windows import PREVIOUS_30D, REFERENCE

_VALUES = frozenset(VALUES)
_REFERENCE: Mapping[str, str] = {"baseline": REFERENCE}
_NOTHING: Mapping[str, str] = MappingProxyType({})
_ORDER = {metric: place for place, metric in enumerate(VALUES)}


class Place(NamedTuple):
    """A series that is a value of a window: its metric, its window, and its other labels without the model."""

    metric: str
    window: str
    labels: Mapping[str, str]

    @classmethod
    def of(cls, key: Key) -> "Place | None":
        """The place of a series; None for one that is no value."""
        if key[0] not in _VALUES:
            return None
        labels = dict(key[1])
        labels.pop("model")
        names = (name for name in BY_NAME[key[0]].labels if name in labels and name != "window")
        return cls(key[0], labels["window"], {name: labels[name] for name in names})

    @property
    def is_whole(self) -> bool:
        """Whether it is of the whole model, not of a segment of it."""
        return "segment" not in self.labels

    @property
    def of_reference(self) -> bool:
        """Whether it is compared with the reference, if with anything."""
        return self.labels.get("baseline", REFERENCE) == REFERENCE


def places(keys: Iterable[Key]) -> Iterator[Place]:
    """The places of all series that are values."""
    return (place for key in keys if (place := Place.of(key)) is not None)


def in_order(found: Iterable[Place]) -> list[Place]:
    """In the order of the catalogue; those of one metric in the order in which they come."""
    return sorted(found, key=lambda place: _ORDER[place.metric])


class Valuer:
    """Looks up series of one model by metric and labels."""

    def __init__(self, model: str, by_series: Mapping[Key, float]) -> None:
        self._model = model
        self._by_series = by_series

    def look(self, metric: str, place: Place, more: Mapping[str, str] = _NOTHING) -> float | None:
        """The value of a metric at a place: with those of the place's labels, and of `more`, that the metric has."""
        labels = {"model": self._model, "window": place.window, **place.labels, **more}
        wanted = frozenset((name, labels[name]) for name in BY_NAME[metric].labels if name in labels)
        return self._by_series.get((metric, wanted))

    def value(self, place: Place) -> Value:
        """A place with its value and everything that it is judged by; nothing is said of what is missing."""
        metric, number = place.metric, self.look(place.metric, place)
        found = Value(metric, area(metric), BY_NAME[metric].help, unit(metric), place.window, place.labels, number)
        if place.is_whole:
            found = self._estimated(self._compared(found, place), place)
        if metric in INTERVAL:
            ends = [self.look(name, place) for name in INTERVAL[metric]]
            found = replace(found, lower=ends[0], upper=ends[1])
        if metric in CRITICAL and place.of_reference:
            limit, judged = self.look(CRITICAL[metric].metric, place, _REFERENCE), CRITICAL[metric].judged
            reached = strength(judged, found.value, limit, found.baseline)
            found = replace(found, critical=limit, judged=judged, strength=reached)
        return found

    def _compared(self, found: Value, place: Place) -> Value:
        name = BASELINE.get(place.metric)
        if name is None:
            return found
        before = self.look(name, place, {"baseline": PREVIOUS_30D}) if place.window == "1d" else None
        return replace(found, baseline=self.look(name, place, _REFERENCE), previous_30d=before)

    def _estimated(self, found: Value, place: Place) -> Value:
        name, charted = ESTIMATE.get(place.metric), signal(place.metric, {**place.labels, "window": place.window})
        if name is not None and not place.labels:
            error = self.look(f"{name}_error", place)
            bias = self.look("ml_estimated_bias", place, {"metric": place.metric.removeprefix("ml_")})
            found = replace(found, estimated=self.look(name, place), estimated_error=error, estimated_bias=bias)
        if charted is None:
            return found
        bounds = [
            self.look("ml_control_limit", Place("", place.window, {}), {"signal": charted, "bound": bound})
            for bound in ("centre", "lower", "upper", "range")
        ]
        if bounds[0] is None or bounds[1] is None or bounds[2] is None:
            return found
        return replace(found, control=Control(bounds[0], bounds[1], bounds[2], bounds[3]))


def strength(judged: Judged, value: float | None, limit: float | None, baseline: float | None) -> float | None:
    """How many times a critical value was reached by what is compared with it; None where something is missing.

    >>> strength("excess", 0.5, 0.125, 0.25), strength("either side", -4.0, 2.0, None)
    (2.0, 2.0)
    >>> strength("factor", 0.5, 4.0, None)
    0.5
    """
    if value is None or limit is None or limit <= 0:
        return None
    if judged in ("excess", "difference"):
        if baseline is None:
            return None
        value -= baseline
    if judged == "factor":
        return None if value <= 0 else max(value, 1.0 / value) / limit
    return (abs(value) if judged in ("either side", "difference") else max(0.0, value)) / limit
