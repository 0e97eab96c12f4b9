"""How a model was on the days and hours before, judged as it is now: since when a value is beyond its noise."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ml_exporter.baseline import Baseline
from ml_exporter.facts.answers import Since, Value
from ml_exporter.facts.answers.values import Span as Length
from ml_exporter.facts.judging import is_beyond, most
from ml_exporter.facts.valued import Place, Valuer
from ml_exporter.facts.views import View, key_of
from ml_exporter.layout import Vector, project
from ml_exporter.panes import HOUR
from ml_exporter.pipeline import DAY
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.vitals import Vital, data, distances, drift, labels, latency, multivariate, outliers, prediction, shape
from ml_exporter.vitals import quality as of_quality
from ml_exporter.vitals.windows import Window

HOURS = 48
_DAY_HOURS = 24
OF_MODEL: tuple[Vital, ...] = (
    of_quality.quality,
    latency.quantiles,
    latency.over_limit,
    labels.coverage,
    labels.selection,
    multivariate.drift,
    prediction.class_ratios,
    prediction.class_shift,
    prediction.score_psi,
    prediction.mean_shift,
    prediction.answers,
    prediction.repeated,
    outliers.outlier_ratio,
    shape.answer_concentration,
    shape.answer_spread,
)
OF_FEATURES: tuple[Vital, ...] = (drift.feature_psi, drift.mean_shift, distances.feature_distances)
_RATIOS = {f"ml_feature_{name}_ratio": name for name in ("null", "invalid", "out_of_range", "unseen_category")}
_OF_LABELS = frozenset({"quality", "labels"})


@dataclass(frozen=True)
class Span:
    """An hour or a day, and the sum of its panes."""

    start_us: int
    end_us: int
    vector: Vector


@dataclass(frozen=True)
class _Point:
    """A value over a span: whether it was beyond (None where nobody can tell), and whether the span may be ignored."""

    start_us: int
    value: float | None
    beyond: bool | None
    unfinished: bool


class Past:
    """The days and hours of one view. Sums are worked out once, and only as far back as something is asked.

    It serves one answer on one thread.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._valuers: dict[tuple[int, bool], Valuer] = {}
        self._spans: dict[tuple[int, int], Span] = {}
        self._narrow = view.known.baseline

    @cached_property
    def hours(self) -> tuple[Span, ...]:
        """The last 48 hours up to that of the newest prediction, as far as panes are kept, oldest first."""
        panes = self._view.panes
        length, last = panes.grid.hour_us, panes.grid.start(HOUR, panes.newest_us)
        starts = range(last - (HOURS - 1) * length, last + 1, length)
        return tuple(self._sum(start, start + length) for start in starts if start >= panes.oldest_us)

    @cached_property
    def days(self) -> tuple[Span, ...]:
        """The days as far as panes are kept, oldest first."""
        return tuple(reversed(tuple(self.back())))

    def back(self) -> Iterator[Span]:
        """The days, the newest first; each is summed up when it is reached."""
        panes, length = self._view.panes, self._view.day_us
        if panes.newest_us:
            for start in reversed(range(panes.oldest_us // length * length, panes.newest_us + 1, length)):
                yield self._sum(start, start + length)

    def _sum(self, start_us: int, end_us: int) -> Span:
        if (start_us, end_us) not in self._spans:
            panes = self._view.panes
            total = panes.layout.zeros()
            for start in range(start_us, end_us, panes.grid.hour_us):
                vector = panes.get((HOUR, start))
                if vector is not None:
                    total += vector
            self._spans[start_us, end_us] = Span(start_us, end_us, total)
        return self._spans[start_us, end_us]

    def on(self, day: Span, place: Place) -> Value:
        """A value of the whole model on one day, or of one of the features that `dated` found beyond."""
        of_features = "feature" in place.labels
        key = day.start_us, of_features
        if key not in self._valuers:
            known = self._narrow if of_features else self._view.known.baseline
            vector = day.vector
            if of_features:
                vector = project(self._view.known.baseline.layout.slices, known.layout.slices)(vector)
            window = Window(DAY, self._view.day_us / 1e6, day.start_us, day.end_us, vector)
            here = None if self._view.windows.arrived is None else (window,)
            alone = replace(
                self._view.windows,
                current=(window,),
                matured=(window,),
                arrived=here,
                features=(DAY,),
                segments=(),
                charts=(),
            )
            vitals = OF_FEATURES if of_features else OF_MODEL
            series = {key_of(item): item.value for vital in vitals for item in vital(alone, known)}
            self._valuers[key] = Valuer(self._view.known.name, series)
        return self._valuers[key].value(place)

    def settled_us(self, area: str) -> int:
        """Where the window of a day ends that values of an area are of; 0 where there is none."""
        windows = self._view.windows.quality if area in _OF_LABELS else self._view.windows.current
        return next((window.end_us for window in windows if window.name == DAY), 0)

    def dated(self, values: Iterable[Value]) -> Iterator[Value]:
        """The values; those that are beyond say since when, where that is known."""
        listed = list(values)
        beyond = [bool(is_beyond(value)) for value in listed]
        moved = {value.labels.get("feature") for value, found in zip(listed, beyond, strict=True) if found}
        self._narrow = self._of({str(name) for name in moved})
        for value, found in zip(listed, beyond, strict=True):
            known = Place(value.metric, value.window, value.labels)
            yield replace(value, since=self._since(value)) if found and known.is_whole and known.of_reference else value

    def _of(self, names: Container[str]) -> Baseline:
        """The baseline with a few features, so that a day costs as much as what is asked of it."""
        whole = self._view.known.baseline
        layout = replace(whole.layout, features=tuple(item for item in whole.layout.features if item.name in names))
        return replace(whole, layout=layout, vector=project(whole.layout.slices, layout.slices)(whole.vector))

    def _since(self, value: Value) -> Since | None:
        if value.metric in _RATIOS:
            return self._of_ratio(value)
        return began(self._by_day(value), "day") if value.window == DAY else None

    def _by_day(self, value: Value) -> Iterator[_Point]:
        """The days before now, the newest first, each judged by its own rows."""
        place, end_us = Place(value.metric, DAY, value.labels), self.settled_us(value.area)
        for day in self.back():
            if day.start_us < end_us:
                found = replace(self.on(day, place), control=value.control)
                beyond = None if found.value is None else is_beyond(found)
                yield _Point(day.start_us, found.value, beyond, day.end_us > end_us)

    def _of_ratio(self, value: Value) -> Since | None:
        """By the hour; where that goes back to the first of them, by the day."""
        by_hour = self._jump(value, self.hours, "hour")
        by_day = self._jump(value, self.days, "day") if by_hour and by_hour.or_earlier else None
        return by_day if by_day and by_hour and by_day.at < by_hour.at else by_hour

    def _jump(self, value: Value, spans: tuple[Span, ...], length: Length) -> Since | None:
        """Where a share jumped up: the rows since then exceed by the most what is halfway between limit and value.

        It is the likeliest beginning of a lasting change (a cumulative sum, run backwards), so neither an hour of few
        rows nor one that lies in between by chance ends it.
        """
        limit = most(value)
        if value.value is None or limit is None:
            return None
        counts = [self._counted(value, span) for span in spans]
        excess = np.cumsum([part - rows * (limit + value.value) / 2 for part, rows in reversed(counts)])
        if not len(excess) or excess.max() <= 0:
            return None
        first = len(spans) - 1 - int(excess.argmax())
        part, rows = (sum(column) for column in zip((0.0, 0), *counts[max(0, first - _DAY_HOURS) : first], strict=True))
        return Since(spans[first].start_us / 1e6, length, not rows, part / rows if rows else None)

    def _counted(self, value: Value, span: Span) -> tuple[float, int]:
        """How many values of a span are nulls or the like, and of how many."""
        layout, name = self._view.known.baseline.layout, _RATIOS[value.metric]
        item = next(item for item in layout.features if item.name == value.labels["feature"])
        of_rows = name in {"null", "invalid"}
        valid = int(layout.cells(span.vector, FEATURE_PREFIX + item.name)["valid"][0])
        rows = data.nulls(layout, span.vector, item)[1] if of_rows else valid
        return data.ratios(layout, span.vector, item).get(name, 0.0) * rows, rows


def began(points: Iterable[_Point], length: Length) -> Since | None:
    """Since when a value is beyond, from its points, the newest first; None where none of them is.

    The newest may not be over, and too short to tell.
    """
    first = None
    for point in points:
        if point.beyond:
            first = point.start_us
        elif point.beyond is not None and first is not None:
            return Since(first / 1e6, length, False, point.value)
        elif point.beyond is not None and not point.unfinished:
            return None
    return None if first is None else Since(first / 1e6, length, True, None)
