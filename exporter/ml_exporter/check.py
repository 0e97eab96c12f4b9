"""`ml-exporter check`: what can be known to be wrong before anything runs, and how many series there will be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ml_exporter.budget import AnySample, by_kind, capped
from ml_exporter.catalogue import Sample
from ml_exporter.config import VERSION, Model
from ml_exporter.counting import Counting
from ml_exporter.facts.expected import partly_unlabelled
from ml_exporter.ingest import Fleet
from ml_exporter.layout import Vector
from ml_exporter.loading import Loaded
from ml_exporter.panes import FINE, HOUR, Panes, compress
from ml_exporter.pipeline import evaluate
from ml_exporter.segments import NONE, OTHER, Values
from ml_exporter.vitals.history import observed

_NOW_US = 1 << 50
_VERSIONS = ("1", "2")
"""While a version is rolled out there are two."""


@dataclass(frozen=True)
class Forecast:
    """The series of a model when every window is full, and those that its limit leaves out; by kind, in their order."""

    series: Mapping[str, int]
    dropped: Mapping[str, int]

    @property
    def count(self) -> int:
        """All series."""
        return sum(self.series.values())


def series(loaded: Loaded) -> Mapping[str, Forecast]:
    """Series of each model when every window is full.

    Counted by evaluating the baseline as if it had just been served. One of them is `ml_exporter_series`, which says
    the same at run time. A segment has the values that the baseline knows, or as many as its limit where it knows none,
    and `__none__` and `__other__`; of `version` there are two.
    """
    fleet = Fleet.of(loaded)
    found = {}
    for name, counting in fleet.countings.items():
        baseline = loaded.baselines[name]
        _fill(counting, baseline.vector)
        counting.timing = replace(counting.timing, stale_after_us=_NOW_US)
        samples: list[AnySample] = [*evaluate(counting, baseline, name, loaded.config, _NOW_US)]
        found[name] = _forecast([*samples, Sample("ml_exporter_series", (name,), 0.0)], loaded.config.models[name])
    fleet.close()
    return found


def _forecast(samples: Sequence[AnySample], model: Model) -> Forecast:
    whole, kept = by_kind(samples), by_kind(capped(samples, model.series_limit))
    dropped = {kind: count - kept.get(kind, 0) for kind, count in whole.items()}
    return Forecast(whole, {kind: count for kind, count in dropped.items() if count})


def _fill(counting: Counting, vector: Vector) -> None:
    """Puts the reference into every hour and pane that a window can read, as if a version had just served it."""
    if counting.has_labels and counting.layout.is_class:
        vector = partly_unlabelled(counting.layout, vector)
    counting.last_arrival_us = counting.last_label_us = _NOW_US
    counting.versions_us["1"] = _NOW_US
    counting.by_version["1"] = 1
    _fill_panes(counting.panes, vector, counting.timing.retention_us)
    _fill_history(counting, vector)
    segments = counting.segments
    for values in segments.values:
        for value in (*_values(values), NONE, OTHER):
            panes = segments.scopes.setdefault((values.by.name, value), Panes(segments.layout, segments.grid))
            _fill_panes(panes, vector[: segments.layout.size], counting.timing.retention_us)


def _fill_history(counting: Counting, vector: Vector) -> None:
    """Sixty days of every signal, quiet enough for limits of every kind."""
    history, steps = counting.history, (0.01, 0.03, 0.02, 0.025, 0.015)
    signals, day_us = observed(counting.layout, vector, counting.has_labels), history.lengths["1d"]
    history.begin(0)
    history.advance(_NOW_US, _NOW_US)
    history.due.clear()
    for name, length in history.lengths.items():
        for start in range((_NOW_US // day_us - 60) * day_us, _NOW_US // length * length, length):
            value = 0.5 + steps[start // day_us % len(steps)]
            history.put((name, start), dict.fromkeys(signals, value))


def _values(values: Values) -> tuple[str, ...]:
    """The values that a segment will have."""
    if not values.names:
        names = _VERSIONS if values.by.name == VERSION else tuple(str(place) for place in range(values.by.limit))
        values.restore(names)
    return tuple(values.names)


def _fill_panes(panes: Panes, vector: Vector, retention_us: int) -> None:
    grid, blob = panes.grid, compress(vector)
    starts = {
        HOUR: range(grid.start(HOUR, _NOW_US - retention_us), _NOW_US, grid.hour_us),
        FINE: range(grid.fine_from(_NOW_US), _NOW_US, grid.pane_us),
    }
    keys = ((kind, start) for kind, found in starts.items() for start in found)
    panes.restore(((key, blob) for key in keys), None, _NOW_US)
