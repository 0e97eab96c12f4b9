"""What the windows of a model are compared with: its segments, earlier windows, and its versions among each other."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ml_exporter.config import VERSION
from ml_exporter.layout import Vector
from ml_exporter.panes import Key, Panes
from ml_exporter.segments import NONE, OTHER, Segments
from ml_exporter.vitals.windows import LAST_WEEK, PREVIOUS, Earlier, Pair, Segment, Window

MAX_BLOCKS = 48
"""Panes of a pair of versions are added up to at most so many runs: enough to see how their difference varies."""


def segments_of(
    segments: Segments, newest_us: int, current: Sequence[Window], matured: Sequence[Window]
) -> Iterator[Segment]:
    """Every value that has a pane, in the order of the configuration and of its names."""
    for values in segments.values:
        for value in values.order():
            panes = segments.scopes.get((values.by.name, value))
            if panes is None or panes.is_empty:
                continue
            panes.advance(newest_us)
            found = (_of(panes, current), _of(panes, matured))
            yield Segment(values.by.name, value, *found)


def _of(panes: Panes, windows: Sequence[Window]) -> tuple[Window, ...]:
    return tuple(replace(window, vector=panes.sum(window.start_us, window.end_us)) for window in windows)


def earlier_of(
    panes: Panes, windows: Sequence[Window], comparisons: Sequence[str], bounds: tuple[int, int]
) -> Iterator[Earlier]:
    """The window before each one, and the same one seven days earlier, as far as their panes are kept.

    `bounds`: what is kept begins at the first of them; the second is a day; both in microseconds. An earlier window
    that begins before the first pane is not whole, and left out. Where fine panes are gone it lies on whole hours; a
    window shorter than an hour then has none.
    """
    kept_from, day_us = bounds
    first = panes.oldest_us
    for window in windows:
        for name, end_us in ((PREVIOUS, window.start_us), (LAST_WEEK, window.end_us - 7 * day_us)):
            if name not in comparisons or first is None:
                continue
            span = panes.grid.span(end_us, round(window.seconds * 1e6), panes.newest_us)
            if span is not None and span[0] >= max(first, kept_from):
                yield Earlier(name, window, panes.sum(*span))


def pairs_of(segments: Segments, newest_us: int, windows: Sequence[Window]) -> Iterator[Pair]:
    """Each version of a window with the one that has most rows in the panes in which both served."""
    versions = {value: panes for (by, value), panes in segments.scopes.items() if by == VERSION}
    named = {value: versions[value] for value in sorted(versions.keys() - {NONE, OTHER})}
    for panes in named.values():
        panes.advance(newest_us)
    for window in windows if len(named) > 1 else ():
        served = {value: _rows(panes, window) for value, panes in named.items()}
        for value, rows in served.items():
            shared = {peer: _shared(rows, found) for peer, found in served.items() if peer != value}
            peer = max(shared, key=lambda name: sum(shared[name].values()))
            if shared[peer]:
                keys = list(shared[peer])
                yield Pair(window, value, peer, _runs(named[value], keys), _runs(named[peer], keys))


def _rows(panes: Panes, window: Window) -> dict[Key, int]:
    """Rows by pane, where there are any."""
    cell = panes.layout.by_name["rows"].start
    found = {key: panes.get(key) for key in panes.cover(window.start_us, window.end_us)}
    return {key: int(vector[cell]) for key, vector in found.items() if vector is not None and vector[cell]}


def _shared(rows: dict[Key, int], others: dict[Key, int]) -> dict[Key, int]:
    """Rows of the other by pane, where both have some, in the order of time."""
    return {key: others[key] for key in rows if key in others}


def _runs(panes: Panes, keys: Sequence[Key]) -> Vector:
    """The vectors of panes, added up to at most `MAX_BLOCKS` runs."""
    blocks = min(len(keys), MAX_BLOCKS)
    found = np.zeros((blocks, panes.layout.size), np.int64)
    for place, key in enumerate(keys):
        vector = panes.get(key)
        if vector is not None:
            found[place * blocks // len(keys)] += vector
    return found
