"""One file of recorded logs: its rows in the order of arrival, and how far it was read."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from threading import Event

import msgspec
import pyarrow as pa

from ml_exporter.config import Source
from ml_exporter.recorded.arriving import NEVER, Chunk, arrivals, ends
from ml_exporter.records import Stream
from ml_exporter.sources.follow import Position
from ml_exporter.sources.tail import Tail, Workers
from ml_exporter.waiting import Key, by_arrival, concat


class Mark(msgspec.Struct, frozen=True):
    """How far a file was read: all rows up to `position` had arrived at `latest_us`."""

    position: Position = Position()
    latest_us: int = NEVER


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
        return min((ends(table)[0] for table in tables.values()), default=None)

    def read(self, workers: Workers) -> Iterator[tuple[dict[Key, pa.Table], Mark]]:
        """Its rows behind the mark with `arrival_us`, which never falls, and the mark behind each piece."""
        if self.settings.format != "parquet":
            yield from self._grown(workers)
        elif all(one[1] <= other[0] for one, other in pairwise(self._spans(workers))):
            for chunk, mark in self._chunks(self.streams, workers):
                yield chunk.at(chunk.in_file, self.source, NEVER), mark
        else:
            yield from self._unsorted(workers)

    def _chunks(self, streams: Sequence[Stream], workers: Workers) -> Iterator[tuple[Chunk, Mark]]:
        with Tail(self.settings, streams, workers) as tail:
            mark = self.mark
            for parsed, position in tail.batches(mark.position, Event(), math.inf):
                chunk = Chunk.of(streams, parsed)
                latest_us = max(mark.latest_us, int(chunk.times.max(initial=NEVER)))
                mark = Mark(position, latest_us)
                yield chunk, mark

    def _grown(self, workers: Workers) -> Iterator[tuple[dict[Key, pa.Table], Mark]]:
        """A text file. One chunk is read ahead, to see which clocks were wrong."""
        latest_us = self.mark.latest_us
        for (chunk, mark), (following, _) in _with_next(self._chunks(self.streams, workers)):
            arrived = arrivals(chunk.in_file, following.in_file, latest_us, self.trusted)
            tables = chunk.at(arrived, self.source, latest_us)
            latest_us = int(arrived.max(initial=latest_us))
            yield tables, msgspec.structs.replace(mark, latest_us=latest_us)

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
            for key, table in chunk.at(chunk.in_file, self.source, NEVER).items():
                parts.setdefault(key, []).append(table)
        yield {key: by_arrival(concat(tables)) for key, tables in parts.items()}, mark


def _with_next(chunks: Iterator[tuple[Chunk, Mark]]) -> Iterator[tuple[tuple[Chunk, Mark], tuple[Chunk, Mark]]]:
    """Each with the one behind it; the last one with nothing."""
    yield from pairwise(chain(chunks, ((Chunk.nothing(), Mark()),)))
