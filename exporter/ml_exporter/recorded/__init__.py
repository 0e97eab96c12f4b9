"""Recorded logs, read by the sources of a configuration, in the order in which their rows arrived.

When a row arrived is told by the log: not before its own time (and that of the label in it), and in a text file, which
grew, not before the rows above it (`arrivals`). Of a Parquet file it is not known when it dropped; its rows count as
arrived at their own time, which `settle` of the source makes up for.

Files are merged by arrival, and one is opened when its first row is due. So memory holds a few chunks of the files that
were written at one time, however long the history is; of a Parquet file that is not sorted by time, all of it.
"""

import heapq
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
import pyarrow as pa

from ml_exporter.config import Source, streams_of
from ml_exporter.counting import micros
from ml_exporter.faults import Played
from ml_exporter.faults.played import ARRIVAL
from ml_exporter.loading import Loaded
from ml_exporter.recorded.arriving import NEVER, ends
from ml_exporter.recorded.log import Log, Mark
from ml_exporter.sources.follow import Position, SourceError
from ml_exporter.sources.names import matching, relatives
from ml_exporter.sources.tail import Workers
from ml_exporter.waiting import LINES, Key, Piece, by_arrival, concat, times_of

__all__ = ["NEVER", "Mark", "Marks", "Recorded", "files_of", "read_played"]
OPENED_AT_ONCE = 2
"""So many files are opened without a look at their first rows, which would not save memory."""
_GZIP_RATIO = 8


def read_played(loaded: Loaded, model: str) -> Iterator[Played]:
    """The recorded logs of one model, in pieces; none has a row that arrives before a row of the pieces before it.

    Raises SourceError.
    """
    with Recorded(loaded, frozenset({model})) as logs:
        for piece in logs.pieces():
            if model in piece.played:
                yield piece.played[model]


Marks = Mapping[str, Mark]


def files_of(settings: Source, directory: Path) -> list[str]:
    """The files of a source, with those that rotation renamed. Raises SourceError when there is none.

    Of a file and the same compressed, the file.
    """
    paths, problems = matching(str(directory.absolute() / settings.files))
    if problems:
        raise SourceError(problems)
    rotated = [found.path for found in relatives(paths) if found.certain and settings.format != "parquet"]
    found = dict.fromkeys((*sorted(rotated), *paths))
    return [path for path in found if not (path.endswith(".gz") and path.removesuffix(".gz") in found)]


@dataclass
class _Open:
    """A file that is being read: its rows that wait, those behind them, and marks that were not reached yet."""

    log: Log
    rest: Iterator[tuple[dict[Key, pa.Table], Mark]]
    waiting: dict[Key, pa.Table] = field(default_factory=dict)
    last_us: int = NEVER
    marks: deque[Mark] = field(default_factory=deque)

    def advance(self) -> bool:
        """Reads the next piece; False at the end."""
        for tables, mark in self.rest:
            self.marks.append(mark)
            if tables:
                self.waiting, self.last_us = tables, max(ends(table)[1] for table in tables.values())
                return True
        return False

    def take(self, until_us: int) -> Iterator[tuple[Key, pa.Table]]:
        """Takes out the rows that arrived until then."""
        for key, table in self.waiting.items():
            count = int(np.searchsorted(times_of(table), until_us, "right"))
            self.waiting[key] = table.slice(count)
            if count:
                yield key, table.slice(0, count)

    def reach(self, now_us: int) -> None:
        """Moves the mark of the file as far as its rows were handed out."""
        while self.marks and self.marks[0].latest_us <= now_us:
            self.log.mark = self.marks.popleft()


class Recorded:
    """The recorded logs of some models, by default of all. Close it, or use it in a `with` block.

    Goes on behind `marks`, by file, of an earlier reading that had handed out all rows that arrived until `after_us`.
    Raises SourceError when a source has no file.
    """

    def __init__(
        self, loaded: Loaded, models: frozenset[str] | None = None, marks: Marks | None = None, after_us: int = NEVER
    ) -> None:
        self._workers = Workers()
        self._after_us = after_us
        self._files: list[_Open] = []
        self.logs = list(_logs_of(loaded, models or frozenset(loaded.config.models), marks or {}))
        self._sizes = {log.settings.files: _size(log.settings.files) for log in self.logs}

    def marks(self, now_us: int) -> Marks:
        """How far each file was read when all rows that arrived until now have been handed out."""
        for file in self._files:
            file.reach(now_us)
        return {log.settings.files: log.mark for log in self.logs}

    def share_read(self, now_us: int) -> float:
        """About which share of the files' bytes was handed out."""
        marks = self.marks(now_us)
        done = sum(self._sizes[path] * _share(mark.position) for path, mark in marks.items())
        return done / max(sum(self._sizes.values()), 1)

    def pieces(self) -> Iterator[Piece]:
        """The rows of all files, in the order of arrival. Raises SourceError when a file cannot be read."""
        closed = self._closed()
        opened: list[_Open] = []
        while closed or opened:
            until_us = min(file.last_us for file in opened) if opened else closed[0][0]
            while closed and closed[0][0] <= until_us:
                log = heapq.heappop(closed)[2]
                file = _Open(log, log.read(self._workers))
                self._files.append(file)
                if file.advance():
                    opened.append(file)
                    until_us = min(file.last_us for file in opened)
            tables = _together([file.take(until_us) for file in opened])
            fresh = {key: _later(table, self._after_us) for key, table in tables.items()}
            lines = {source: table for (source, role), table in fresh.items() if role == LINES}
            yield Piece(until_us - 1, _by_model(fresh), lines)  # more may arrive at that time
            opened = [file for file in opened if file.last_us > until_us or file.advance()]

    def _closed(self) -> list[tuple[int, int, Log]]:
        """The files by the arrival of their first rows. Of two, both are to be opened anyway."""
        found = []
        for number, log in enumerate(self.logs):
            first_us = log.first_us(self._workers) if len(self.logs) > OPENED_AT_ONCE else NEVER
            if first_us is not None:
                found.append((first_us, number, log))
        heapq.heapify(found)
        return found

    def close(self) -> None:
        """Stops the threads that read."""
        self._workers.close()

    def __enter__(self) -> "Recorded":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _size(path: str) -> int:
    """Bytes of a file; 0 where it cannot be looked at, which reading it will tell."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _share(position: Position) -> float:
    """About which share of a file was read."""
    for drop in position.drops:
        return drop.rows / max(drop.total, 1)
    for file in position.files:
        stored = max(_size(file.path), 1)
        return (
            1.0
            if file.done
            else min(file.offset / (stored * _GZIP_RATIO if file.path.endswith(".gz") else stored), 1.0)
        )
    return 0.0


def _logs_of(loaded: Loaded, models: frozenset[str], marks: Marks) -> Iterator[Log]:
    tolerance_us = micros(loaded.config.time.future_tolerance)
    trusted = tolerance_us, round(time.time() * 1e6) + tolerance_us
    for name, settings in loaded.config.sources.items():
        streams = tuple(stream for stream in streams_of(loaded.config, name) if stream.model in models)
        for path in files_of(settings, loaded.directory) if streams else ():
            file = msgspec.structs.replace(settings, files=path)
            yield Log(name, file, streams, trusted, marks.get(path, Mark()))


def _later(table: pa.Table, after_us: int) -> pa.Table:
    """The rows that arrive later."""
    return table.slice(int(np.searchsorted(times_of(table), after_us, "right")))


def _by_model(tables: Mapping[Key, pa.Table]) -> Mapping[str, Played]:
    """The rows of each model."""
    found: dict[str, Played] = {}
    for (model, role), table in tables.items():
        if role != LINES:
            played = found.setdefault(model, Played(_nothing()))
            found[model] = replace(played, **{role: table})
    return found


def _together(parts: Sequence[Iterator[tuple[Key, pa.Table]]]) -> Mapping[Key, pa.Table]:
    """The rows of several files, sorted by arrival; those that arrive at one time in the order of the files."""
    found: dict[Key, list[pa.Table]] = {}
    for part in parts:
        for key, table in part:
            found.setdefault(key, []).append(table)
    return {key: by_arrival(concat(tables)) for key, tables in found.items()}


def _nothing() -> pa.Table:
    """No rows, made when they are wanted: pyarrow imports pandas for it, where that is there."""
    return pa.schema({ARRIVAL: pa.int64()}.items()).empty_table()
