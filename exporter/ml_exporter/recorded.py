"""Recorded logs, read by the sources of a configuration, in the order in which their rows arrived.

When a row arrived is told by the log: not before its own time (and that of the label in it), and in a text file, which
grew, not before the rows above it (`arrivals`). Of a Parquet file it is not known when it dropped; its rows count as
arrived at their own time, which `settle` of the source makes up for.

Files are merged by arrival, and one is opened when its first row is due. So memory holds a few chunks of the files that
were written at one time, however long the history is; of a Parquet file that is not sorted by time, all of it.
"""

import heapq
import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from threading import Event
from types import TracebackType

import msgspec
import numpy as np
import pyarrow as pa

from ml_exporter.config import Source, streams_of
from ml_exporter.counting import micros
from ml_exporter.faults import Played, arriving
from ml_exporter.faults.played import ARRIVAL, VIOLATIONS
from ml_exporter.loading import Loaded
from ml_exporter.records import Batch, Ints, Role, Stream
from ml_exporter.replaying import Piece
from ml_exporter.sources.follow import Position, SourceError
from ml_exporter.sources.names import matching, relatives
from ml_exporter.sources.rows import Parsed
from ml_exporter.sources.tail import Tail, Workers

Key = tuple[str, Role]
"""Model and role of a stream."""
LOOKED_AHEAD = 8
OPENED_AT_ONCE = 2
_GZIP_RATIO = 8
NEVER = -(1 << 62)
_NOTHING = pa.table({ARRIVAL: pa.array([], pa.int64())})


def read_played(loaded: Loaded, model: str) -> Iterator[Played]:
    """The recorded logs of one model, in pieces; none has a row that arrives before a row of the pieces before it.

    Raises SourceError.
    """
    with Recorded(loaded, frozenset({model})) as logs:
        for piece in logs.pieces():
            if model in piece.played:
                yield piece.played[model]


class Mark(msgspec.Struct, frozen=True):
    """How far a file was read: all rows up to `position` had arrived at `latest_us`. `lost` are lines by reason."""

    position: Position = Position()
    latest_us: int = NEVER
    lines: int = 0
    lost: dict[str, int] = {}


Marks = Mapping[str, Mark]


def arrivals(times: Ints, following: Ints, latest_us: int, trusted: tuple[int, int]) -> Ints:
    """When the rows (n,) of a file that grew were there: each at its own time, but not before those above it.

    `following` are the times of the rows below, `latest_us` the arrival of the last row above. `trusted`: a tolerance,
    and the latest time that can be true. A row whose time is later, or by more than the tolerance beyond all of the
    eight rows below it, has a wrong clock: it holds nobody up, and arrives with the rows above it.

    >>> arrivals(np.array([5, 9, 7, 99, 8]), np.array([10]), 6, (2, 1000)).tolist()
    [6, 9, 9, 9, 9]
    """
    tolerance_us, possible_us = trusted
    around = np.concatenate((times, following[:LOOKED_AHEAD]))
    believed = np.where(times <= possible_us, times, latest_us)
    if len(around) > 1 and (np.diff(around) < 0).any():
        padded = np.concatenate((around[1:], np.full(LOOKED_AHEAD + 1, NEVER)))
        below = np.lib.stride_tricks.sliding_window_view(padded, LOOKED_AHEAD)[: len(times)].max(axis=1)
        believed = np.where((below > NEVER) & (times > below + tolerance_us), latest_us, believed)
    return np.maximum(np.maximum.accumulate(believed), latest_us)


@dataclass(frozen=True)
class _Chunk:
    """The rows of a chunk by stream, when each of them (n,) arrives at the earliest, and their order in the file."""

    tables: Mapping[Key, pa.Table]
    times: Ints
    order: Ints

    @classmethod
    def of(cls, streams: Sequence[Stream], parsed: Parsed) -> "_Chunk":
        """The rows that a parser found."""
        found = [(item, batch) for item, batch in zip(streams, parsed.batches, strict=True) if batch.table.num_rows]
        tables = {(item.model, item.role): _with_violations(batch) for item, batch in found}
        none = np.zeros(0, np.int64)
        times = [none, *(table.column(ARRIVAL).to_numpy() for table in tables.values())]
        offsets = [none, *(batch.offsets for _, batch in found)]
        return cls(tables, np.concatenate(times), np.argsort(np.concatenate(offsets), kind="stable"))

    @property
    def in_file(self) -> Ints:
        """The times in the order of the file."""
        return self.times[self.order]

    def at(self, arrived: Ints) -> dict[Key, pa.Table]:
        """The tables with these arrivals, given in the order of the file; sorted by them."""
        whole = np.empty_like(self.times)
        whole[self.order] = arrived
        found, start = {}, 0
        for key, table in self.tables.items():
            place, stop = table.column_names.index(ARRIVAL), start + table.num_rows
            found[key] = _sorted(table.set_column(place, ARRIVAL, pa.array(whole[start:stop])))
            start = stop
        return found


def _with_violations(batch: Batch) -> pa.Table:
    """The rows with `arrival_us`, and their violations in columns."""
    table = arriving(batch.table)
    for kind, counts in batch.by_row.items():
        table = table.append_column(VIOLATIONS + kind, pa.array(counts))
    return table


@dataclass
class Log:
    """One file of a source, what is wanted from it, and how far it was handed out."""

    source: str
    settings: Source
    streams: tuple[Stream, ...]
    trusted: tuple[int, int]
    mark: Mark = field(default_factory=Mark)

    def first_us(self, workers: Workers) -> int | None:
        """When its first row behind the mark arrives; None when there is none."""
        if self.settings.format == "parquet":
            return min((first for first, _ in self._spans(workers)), default=None)
        tables = next((tables for tables, _ in self.read(workers) if tables), {})
        return min((_ends(table)[0] for table in tables.values()), default=None)

    def read(self, workers: Workers) -> Iterator[tuple[dict[Key, pa.Table], Mark]]:
        """Its rows behind the mark with `arrival_us`, which never falls, and the mark behind each piece."""
        if self.settings.format != "parquet":
            yield from self._grown(workers)
        elif all(one[1] <= other[0] for one, other in pairwise(self._spans(workers))):
            for chunk, mark in self._chunks(self.streams, workers):
                yield chunk.at(chunk.in_file), mark
        else:
            yield from self._unsorted(workers)

    def _chunks(self, streams: Sequence[Stream], workers: Workers) -> Iterator[tuple[_Chunk, Mark]]:
        with Tail(self.settings, streams, workers) as tail:
            mark = self.mark
            for parsed, position in tail.batches(mark.position, Event(), math.inf):
                chunk = _Chunk.of(streams, parsed)
                latest_us = max(mark.latest_us, int(chunk.times.max(initial=NEVER)))
                mark = Mark(position, latest_us, mark.lines + parsed.lines, _lost(mark, parsed))
                yield chunk, mark

    def _grown(self, workers: Workers) -> Iterator[tuple[dict[Key, pa.Table], Mark]]:
        """A text file. One chunk is read ahead, to see which clocks were wrong."""
        latest_us = self.mark.latest_us
        for (chunk, mark), (following, _) in _with_next(self._chunks(self.streams, workers)):
            arrived = arrivals(chunk.in_file, following.in_file, latest_us, self.trusted)
            latest_us = int(arrived.max(initial=latest_us))
            yield chunk.at(arrived), msgspec.structs.replace(mark, latest_us=latest_us)

    def _spans(self, workers: Workers) -> list[tuple[int, int]]:
        """First and last arrival of each slice of a Parquet file; reads nothing but times."""
        times = ("timestamp", "label_timestamp")
        streams = [
            replace(item, fields=tuple(field for field in item.fields if field.name in times)) for item in self.streams
        ]
        found = (chunk.times for chunk, _ in self._chunks(streams, workers))
        return [(int(times.min()), int(times.max())) for times in found if len(times)]

    def _unsorted(self, workers: Workers) -> Iterator[tuple[dict[Key, pa.Table], Mark]]:
        """A Parquet file that is not sorted by time, as a whole."""
        parts: dict[Key, list[pa.Table]] = {}
        mark = self.mark
        for chunk, mark in self._chunks(self.streams, workers):  # noqa: B007 - the last mark
            for key, table in chunk.tables.items():
                parts.setdefault(key, []).append(table)
        yield {key: _sorted(_concat(tables)) for key, tables in parts.items()}, mark


def _lost(before: Mark, parsed: Parsed) -> dict[str, int]:
    """Lines lost by reason, with those before. A line that two streams refuse for one reason counts once."""
    places: dict[str, list[Ints]] = {}
    for refused in (parsed.refused, *(batch.refused for batch in parsed.batches)):
        for reason, found in refused.items():
            places.setdefault(reason, []).append(found)
    counts = {reason: len(np.unique(np.concatenate(found))) for reason, found in places.items()}
    return dict(Counter(before.lost) + Counter(counts))


def _with_next(chunks: Iterator[tuple[_Chunk, Mark]]) -> Iterator[tuple[tuple[_Chunk, Mark], tuple[_Chunk, Mark]]]:
    """Each with the one behind it; the last one with nothing."""
    nothing = _Chunk({}, np.zeros(0, np.int64), np.zeros(0, np.int64)), Mark()
    yield from pairwise(chain(chunks, (nothing,)))


def _ends(table: pa.Table) -> tuple[int, int]:
    """Arrival of the first and of the last row."""
    times = table.column(ARRIVAL)
    return times[0].as_py(), times[-1].as_py()


def files_of(settings: Source, directory: Path) -> list[str]:
    """The files of a source, with those that rotation renamed. Raises SourceError when there is none."""
    paths, problems = matching(str(directory.absolute() / settings.files))
    if problems:
        raise SourceError(problems)
    rotated = [found.path for found in relatives(paths) if found.certain and settings.format != "parquet"]
    return list(dict.fromkeys((*sorted(rotated), *paths)))


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
                self.waiting, self.last_us = tables, max(_ends(table)[1] for table in tables.values())
                return True
        return False

    def take(self, until_us: int) -> Iterator[tuple[Key, pa.Table]]:
        """Takes out the rows that arrived until then."""
        for key, table in self.waiting.items():
            count = int(np.searchsorted(table.column(ARRIVAL).to_numpy(), until_us, "right"))
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
            yield Piece(until_us - 1, _by_model(tables, self._after_us))  # more may arrive at that time
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


def _by_model(tables: Mapping[Key, pa.Table], after_us: int) -> Mapping[str, Played]:
    """The rows of each model, without those that arrived until `after_us`."""
    found: dict[str, Played] = {}
    for (model, role), table in tables.items():
        rest = table.slice(int(np.searchsorted(table.column(ARRIVAL).to_numpy(), after_us, "right")))
        played = found.setdefault(model, Played(_NOTHING))
        found[model] = replace(played, **{role: rest})
    return found


def _together(parts: Sequence[Iterator[tuple[Key, pa.Table]]]) -> Mapping[Key, pa.Table]:
    """The rows of several files, sorted by arrival; those that arrive at one time in the order of the files."""
    found: dict[Key, list[pa.Table]] = {}
    for part in parts:
        for key, table in part:
            found.setdefault(key, []).append(table)
    return {key: _sorted(_concat(tables)) for key, tables in found.items()}


def _concat(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of tables, of which only some have columns of violations."""
    return pa.concat_tables(tables, promote_options="default")


def _sorted(table: pa.Table) -> pa.Table:
    times = table.column(ARRIVAL).to_numpy()
    return table if (np.diff(times) >= 0).all() else table.take(pa.array(np.argsort(times, kind="stable")))
