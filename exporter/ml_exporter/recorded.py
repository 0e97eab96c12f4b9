"""Recorded logs, read by the sources of a configuration, in the order in which their rows arrived.

When a row arrived is told by the log: not before its own time (and that of the label in it), and in a file that grew
not before the rows above it. Files are merged by arrival, and one is opened when its first row is due, so that memory
holds a few chunks of the files that were written at one time, however long the history is.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import msgspec
import numpy as np
import pyarrow as pa

from ml_exporter.config import Source, streams_of
from ml_exporter.faults import Played, arriving
from ml_exporter.faults.played import ARRIVAL
from ml_exporter.loading import Loaded
from ml_exporter.records import Stream
from ml_exporter.sources.follow import Position
from ml_exporter.sources.names import matching, relatives
from ml_exporter.sources.tail import Tail, Workers

Key = tuple[str, str]
"""Model and role of a stream."""


def read_played(loaded: Loaded, model: str) -> Iterator[Played]:
    """The recorded logs of one model, in pieces; none has a row that arrives before a row of the pieces before it.

    Raises SourceError.
    """
    for _, tables in _merged(loaded, frozenset({model})):
        yield _played(tables, model)


def _played(tables: Mapping[Key, pa.Table], model: str) -> Played:
    predictions, labels = tables.get((model, "predictions")), tables.get((model, "labels"))
    found = Played(pa.table({ARRIVAL: pa.array([], pa.int64())}) if predictions is None else predictions)
    return found if labels is None else Played(found.predictions, labels)


@dataclass(frozen=True)
class _Log:
    """One file of a source, and what is wanted from it."""

    settings: Source
    streams: tuple[Stream, ...]

    def tables(self, workers: Workers) -> Iterator[Mapping[Key, pa.Table]]:
        """Its rows with `arrival_us`, which never falls from one piece to the next."""
        latest = np.iinfo(np.int64).min
        with Tail(self.settings, self.streams, workers) as tail:
            for parsed, _ in tail.batches(Position(), Event(), math.inf):
                found: dict[Key, pa.Table] = {}
                for stream, batch in zip(self.streams, parsed.batches, strict=True):
                    if batch.table.num_rows:
                        table = arriving(batch.table)
                        times = np.maximum.accumulate(np.maximum(table.column(ARRIVAL).to_numpy(), latest))
                        place = table.column_names.index(ARRIVAL)
                        found[stream.model, stream.role] = table.set_column(place, ARRIVAL, pa.array(times))
                if found:
                    latest = max(_ends(table)[1] for table in found.values())
                    yield found


def _ends(table: pa.Table) -> tuple[int, int]:
    """Arrival of the first and of the last row."""
    arrivals = table.column(ARRIVAL)
    return arrivals[0].as_py(), arrivals[-1].as_py()


def _logs_of(loaded: Loaded, models: frozenset[str]) -> Iterator[_Log]:
    for name, settings in loaded.config.sources.items():
        streams = tuple(stream for stream in streams_of(loaded.config, name) if stream.model in models)
        for path in files_of(settings, loaded.directory) if streams else ():
            yield _Log(msgspec.structs.replace(settings, files=path), streams)


def files_of(settings: Source, directory: Path) -> list[str]:
    """The files of a source, with those that rotation renamed. Raises SourceError when there is none."""
    paths, _ = matching(str(directory.absolute() / settings.files))
    rotated = [found.path for found in relatives(paths) if found.certain and settings.format != "parquet"]
    return list(dict.fromkeys((*rotated, *paths)))


@dataclass
class _Open:
    """A file that is being read: its rows that wait, and those behind them."""

    rest: Iterator[Mapping[Key, pa.Table]]
    waiting: dict[Key, pa.Table] = field(default_factory=dict)
    last_us: int = 0

    def advance(self) -> bool:
        """Reads the next piece; False at the end."""
        found = next(self.rest, None)
        if found is None:
            return False
        self.waiting = dict(found)
        self.last_us = max(_ends(table)[1] for table in found.values())
        return True

    def take(self, until_us: int) -> Iterator[tuple[Key, pa.Table]]:
        """Takes out the rows that arrived until then."""
        for key, table in self.waiting.items():
            count = int(np.searchsorted(table.column(ARRIVAL).to_numpy(), until_us, "right"))
            self.waiting[key] = table.slice(count)
            if count:
                yield key, table.slice(0, count)


def _merged(loaded: Loaded, models: frozenset[str]) -> Iterator[tuple[int, Mapping[Key, pa.Table]]]:
    """The rows of all files by stream, and until when they are complete."""
    workers = Workers()
    try:
        closed: list[tuple[int, int, _Log]] = []
        for number, log in enumerate(_logs_of(loaded, models)):
            first = next(log.tables(workers), None)
            if first is not None:
                heapq.heappush(closed, (min(_ends(table)[0] for table in first.values()), number, log))
        opened: list[_Open] = []
        while closed or opened:
            until_us = min(file.last_us for file in opened) if opened else closed[0][0]
            while closed and closed[0][0] <= until_us:
                file = _Open(heapq.heappop(closed)[2].tables(workers))
                file.advance()
                opened.append(file)
                until_us = min(file.last_us for file in opened)
            yield until_us, _together([file.take(until_us) for file in opened])
            opened = [file for file in opened if file.last_us > until_us or file.advance()]
    finally:
        workers.close()


def _together(parts: Sequence[Iterator[tuple[Key, pa.Table]]]) -> Mapping[Key, pa.Table]:
    """The rows of several files, sorted by arrival; those that arrive at one time in the order of the files."""
    found: dict[Key, list[pa.Table]] = {}
    for part in parts:
        for key, table in part:
            found.setdefault(key, []).append(table)
    return {key: _sorted(pa.concat_tables(tables)) for key, tables in found.items()}


def _sorted(table: pa.Table) -> pa.Table:
    arrivals = table.column(ARRIVAL).to_numpy()
    return table if (np.diff(arrivals) >= 0).all() else table.take(pa.array(np.argsort(arrivals, kind="stable")))
