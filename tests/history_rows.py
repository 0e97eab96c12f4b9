"""What the history of a model must be, by adding up panes of every window that is complete."""

import numpy as np

from ml_exporter.charting import remember
from ml_exporter.counting import Counting
from ml_exporter.panes import HOUR
from ml_exporter.vitals.history import observed

Rows = dict[tuple[str, int], dict[str, float]]


def rows(counting: Counting) -> Rows:
    """The rows there are, with those computed that may wait."""
    history = counting.history
    history.due |= history.late
    history.late.clear()
    remember(counting, 0)
    found: Rows = {}
    for (name, number), block in history.blocks.items():
        for signal, column in block.items():
            for place in np.flatnonzero(np.isfinite(column)).tolist():
                start = (number * len(column) + place) * history.lengths[name]
                found.setdefault((name, start), {})[signal] = float(column[place])
    return found


def expected(counting: Counting) -> Rows:
    """The rows there must be as long as every pane is kept."""
    history, found = counting.history, Rows()
    for name, length in history.lengths.items():
        for start in range(-(-history.begin_us // length) * length, history.complete_us - length + 1, length):
            vector = counting.layout.zeros()
            for hour in range(start, start + length, counting.timing.grid.hour_us):
                pane = counting.panes.get((HOUR, hour))
                vector += counting.layout.zeros() if pane is None else pane
            matured = counting.has_labels and start + length <= history.matured_us
            found[name, start] = dict(observed(counting.layout, vector, matured))
    return found
