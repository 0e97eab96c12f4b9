"""Panes: vectors by event time, and windows as their sums.

Rows younger than three hours (by the newest event seen) fall into a fine pane and into their hour; older rows into
their hour only. A short window is a sum of fine panes. A window that reaches further back than the fine panes starts on
the hour and is a sum of hours, and of fine panes for the hour in which it ends.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from ml_exporter.layout import Layout, Projection, Vector

FINE, HOUR = "fine", "hour"
FINE_HOURS = 3
BLOCK_HOURS = 24
LONG_BLOCKS = 3
"""Windows that hold so many blocks of hours are summed by block: their sums are kept, and only the ends are read."""
_HEAD = 12

Key = tuple[str, int]
"""Kind of the pane and its start in microseconds."""


@dataclass(frozen=True)
class Grid:
    """Lengths of fine panes and hours, in microseconds."""

    pane_us: int
    hour_us: int

    def start(self, kind: str, time_us: int) -> int:
        """Start of the pane that holds a time."""
        length = self.pane_us if kind == FINE else self.hour_us
        return time_us // length * length

    def fine_from(self, newest_us: int) -> int:
        """Fine panes that start before this are not kept, given the newest event."""
        return self.start(HOUR, newest_us) - FINE_HOURS * self.hour_us

    def span(self, end_us: int, length_us: int, newest_us: int) -> tuple[int, int] | None:
        """Start and end of the window of a length that ends at or before `end_us`, given the newest event.

        Where its fine panes are gone, the window ends on the hour; None if it is shorter than an hour then.
        """
        kept_from = self.fine_from(newest_us)
        end = self.start(FINE, end_us)
        start = end - -(-length_us // self.pane_us) * self.pane_us
        short = length_us <= FINE_HOURS * self.hour_us
        if short and start >= kept_from:
            return start, end
        if short or end < kept_from:
            end = self.start(HOUR, end)
            if length_us < self.hour_us:
                return None
        return self.start(HOUR, end - length_us), end


@dataclass(frozen=True)
class StillPanes:
    """The panes of one model as they were: nothing that is counted later changes them."""

    layout: Layout
    grid: Grid
    newest_us: int
    panes: Mapping[Key, bytes | Vector]

    def get(self, key: Key) -> Vector | None:
        """The vector of a pane, if there is one. Not to be changed."""
        found = self.panes.get(key)
        return decompress(found) if isinstance(found, bytes) else found

    @cached_property
    def oldest_us(self) -> int:
        """Start of the oldest pane; 0 without any."""
        return min((start for _, start in self.panes), default=0)


@dataclass
class Panes:
    """The panes of one model: dense vectors while they change, compressed at rest.

    `changed` are the keys whose blobs the store has not written yet; `settle()` compresses them.
    """

    layout: Layout
    grid: Grid
    newest_us: int = 0
    changed: set[Key] = field(default_factory=set)
    _dense: dict[Key, Vector] = field(default_factory=dict)
    _rest: dict[Key, bytes] = field(default_factory=dict)
    _blocks: dict[int, Vector] = field(default_factory=dict)
    """Sums of `BLOCK_HOURS` hours by start, for long windows; one goes when any of its hours changes."""

    def add(self, kind: str, start_us: int, vector: Vector) -> None:
        """Adds a vector, or the first cells of one, to a pane."""
        key = (kind, start_us)
        pane = self._dense.get(key)
        if pane is None:
            pane = self._dense[key] = self._at_rest(key).copy() if key in self._rest else self.layout.zeros()
        pane[: len(vector)] += vector
        self._changed(key)

    def _changed(self, key: Key) -> None:
        self.changed.add(key)
        if key[0] == HOUR and self._blocks:
            self._blocks.pop(self._block_of(key[1]), None)

    def _block_of(self, start_us: int) -> int:
        length = BLOCK_HOURS * self.grid.hour_us
        return start_us // length * length

    def add_groups(self, pane_starts_us: Vector, matrix: Vector) -> None:
        """Adds vectors, or the first cells of them, to their hours, and to their fine panes where those are kept.

        `pane_starts_us` ascends; see `keys`.
        """
        hours = pane_starts_us // self.grid.hour_us
        starts = np.flatnonzero(np.diff(hours, prepend=hours[:1] - 1))
        for start, stop in pairwise([*starts.tolist(), len(hours)]):
            self.add(HOUR, int(hours[start]) * self.grid.hour_us, matrix[start:stop].sum(axis=0))
        for position in np.flatnonzero(pane_starts_us >= self.grid.fine_from(self.newest_us)):
            self.add(FINE, int(pane_starts_us[position]), matrix[position])

    def keys(self, time_us: Vector) -> Vector:
        """The pane of each row: its fine pane where that is kept, else its hour."""
        fine = time_us // self.grid.pane_us * self.grid.pane_us
        old = time_us < self.grid.fine_from(self.newest_us)
        return np.where(old, time_us // self.grid.hour_us * self.grid.hour_us, fine) if old.any() else fine

    def advance(self, time_us: int) -> None:
        """Notes the newest event time seen.

        Fine panes that are too old for it are dropped; their rows are in their hours.
        """
        if time_us <= self.newest_us:
            return
        before, self.newest_us = self.grid.fine_from(self.newest_us), time_us
        if self.grid.fine_from(time_us) > before:
            self.drop_before(FINE, self.grid.fine_from(time_us))

    def drop_before(self, kind: str, start_us: int) -> None:
        """Forgets the panes of a kind that start earlier."""
        for key in [key for key in self._dense.keys() | self._rest.keys() if key[0] == kind and key[1] < start_us]:
            self._dense.pop(key, None)
            self._rest.pop(key, None)
            self._changed(key)

    @property
    def is_empty(self) -> bool:
        """Whether there is no pane."""
        return not (self._dense or self._rest)

    @property
    def count(self) -> int:
        """How many panes there are."""
        return len(self._rest) + len(self._dense.keys() - self._rest.keys())

    @property
    def oldest_us(self) -> int | None:
        """Start of the oldest pane."""
        return min((start for _, start in self._dense.keys() | self._rest.keys()), default=None)

    def get(self, key: Key) -> Vector | None:
        """The vector of a pane, if there is one. Not to be changed."""
        if key in self._dense:
            return self._dense[key]
        return self._at_rest(key) if key in self._rest else None

    def still(self) -> StillPanes:
        """All panes as they are now. What rests is shared; after `settle` that is all of them."""
        found: dict[Key, bytes | Vector] = dict(self._rest)
        found.update((key, vector.copy()) for key, vector in self._dense.items())
        return StillPanes(self.layout, self.grid, self.newest_us, found)

    def items(self) -> Iterator[tuple[Key, Vector]]:
        """Every pane. The vectors are not to be changed."""
        for key in sorted(self._dense.keys() | self._rest.keys()):
            yield key, self._dense[key] if key in self._dense else self._at_rest(key)

    def clear(self) -> None:
        """Forgets every pane."""
        self.changed.update(self._dense.keys() | self._rest.keys())
        self._dense.clear()
        self._rest.clear()
        self._blocks.clear()

    def sum(self, start_us: int, end_us: int) -> Vector:
        """The vector of a span as `Grid.span` gives it."""
        total, length = self.layout.zeros(), BLOCK_HOURS * self.grid.hour_us
        first, last = -(-start_us // length) * length, self._block_of(end_us)
        if start_us >= self.grid.fine_from(self.newest_us) or last - first < LONG_BLOCKS * length:
            self._add_up(self.cover(start_us, end_us), total)
            return total
        self._add_up(self.cover(start_us, first), total)
        for start in range(first, last, length):
            if start not in self._blocks:
                block = self._blocks[start] = self.layout.zeros()
                self._add_up(((HOUR, start + hour * self.grid.hour_us) for hour in range(BLOCK_HOURS)), block)
            total += self._blocks[start]
        self._add_up(self.cover(last, end_us), total)
        return total

    def _add_up(self, keys: Iterable[Key], total: Vector) -> None:
        for key in keys:
            pane = self.get(key)
            if pane is not None:
                total += pane

    def settle(self) -> Iterator[tuple[Key, bytes | None]]:
        """Compresses what changed, and yields each changed pane with its blob (None: it is gone) for the store."""
        for key in sorted(self.changed):
            if key in self._dense:
                self._rest[key] = compress(self._dense.pop(key))
            yield key, self._rest.get(key)
        self.changed.clear()

    def touch_all(self) -> None:
        """The store has none of the panes."""
        self.changed.update(self._dense, self._rest)

    def restore(self, blobs: Iterable[tuple[Key, bytes]], projection: Projection | None, newest_us: int) -> None:
        """Takes back what the store kept. A projection carries over the slices that still fit."""
        self.newest_us = newest_us
        self._blocks.clear()
        for key, blob in blobs:
            self._rest[key] = blob if projection is None else compress(projection(decompress(blob)))
            if projection is not None:
                self.changed.add(key)

    def cover(self, start_us: int, end_us: int) -> Iterator[Key]:
        """The panes of which a span consists, there or not."""
        grid = self.grid
        if start_us < grid.fine_from(self.newest_us):
            last = grid.start(HOUR, end_us)
            yield from ((HOUR, hour) for hour in range(start_us, last, grid.hour_us))
            start_us = last
        yield from ((FINE, pane) for pane in range(start_us, end_us, grid.pane_us))

    def _at_rest(self, key: Key) -> Vector:
        return decompress(self._rest[key])


def compress(vector: Vector) -> bytes:
    """A vector as bytes: its length in cells (8 bytes), a checksum (4 bytes), then its cells, compressed."""
    packed: bytes = pa.compress(vector.tobytes(), codec="lz4_raw", asbytes=True)
    return seal(len(vector).to_bytes(8, "little"), packed)


def seal(length: bytes, packed: bytes) -> bytes:
    """The blob with this length in cells (8 bytes) and these compressed cells."""
    return length + _checksum(length, packed) + packed


def _checksum(length: bytes, packed: bytes) -> bytes:
    return zlib.crc32(packed, zlib.crc32(length)).to_bytes(4, "little")


def is_intact(blob: bytes, size: int) -> bool:
    """Whether a blob is what `compress` made of a vector with so many cells."""
    length = blob[:8]
    return length == size.to_bytes(8, "little") and blob[8:_HEAD] == _checksum(length, blob[_HEAD:])


def decompress(blob: bytes) -> Vector:
    """What `compress` made."""
    size = int.from_bytes(blob[:8], "little")
    raw: bytes = pa.decompress(blob[_HEAD:], decompressed_size=size * 8, codec="lz4_raw", asbytes=True)
    return np.frombuffer(raw, np.int64)
