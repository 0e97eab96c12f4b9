"""`ml-exporter check`: what can be known to be wrong before anything runs, and how many series there will be."""

from collections.abc import Mapping
from dataclasses import replace

from ml_exporter.exposition import count_series
from ml_exporter.ingest import Fleet
from ml_exporter.layout import Layout, Vector
from ml_exporter.loading import Loaded
from ml_exporter.panes import HOUR
from ml_exporter.pipeline import Counting, evaluate
from ml_exporter.units import LABEL_STATES

_NOW_US = 1 << 50


def series(loaded: Loaded) -> Mapping[str, int]:
    """Series each model will export when every window is full.

    Counted by evaluating the baseline as if it had just been served.

    One of them is `ml_exporter_series`, which says the same at run time.
    """
    fleet = Fleet.of(loaded)
    found = {}
    for name, counting in fleet.countings.items():
        baseline = loaded.baselines[name]
        _fill(counting, baseline.vector)
        counting.timing = replace(counting.timing, stale_after_us=_NOW_US)
        samples = evaluate(counting, baseline, name, loaded.config, _NOW_US)
        found[name] = count_series(samples)[name] + 1
    fleet.close()
    return found


def _fill(counting: Counting, vector: Vector) -> None:
    """Puts the reference into every hour and pane that a window can read, as if a version had just served it."""
    grid, now_us = counting.timing.grid, _NOW_US
    if counting.has_labels and counting.layout.is_class:
        vector = _partly_unlabelled(counting.layout, vector)
    counting.panes.advance(now_us)
    counting.last_arrival_us = now_us
    counting.last_label_us = now_us
    counting.versions_us["1"] = now_us
    counting.by_version["1"] = 1
    for start in range(grid.start(HOUR, now_us - counting.timing.retention_us), now_us, grid.hour_us):
        counting.panes.add(HOUR, start, vector)
    for start in range(grid.fine_from(now_us), now_us, grid.pane_us):
        counting.panes.add("fine", start, vector)


def _partly_unlabelled(layout: Layout, vector: Vector) -> Vector:
    """A window in which as many predictions again have no label: a reference may have labels for all of its rows."""
    found = vector.copy()
    histogram = layout.cells(found, "scores")["histogram"].reshape(len(layout.classes), len(LABEL_STATES), -1)
    histogram[:, 0] += histogram.sum(axis=1)
    return found
