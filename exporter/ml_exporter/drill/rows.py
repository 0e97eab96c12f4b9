"""The rows of a drill: recorded logs, split where it begins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.drilling import Schedule, context_of
from ml_exporter.errors import ConfigError, ExporterError, Problem
from ml_exporter.faults import Context, Played, attach
from ml_exporter.faults.played import ARRIVAL
from ml_exporter.loading import Loaded
from ml_exporter.recorded import read_played
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.replaying import Replaying
from ml_exporter.waiting import Arrivals, Piece

PIECE_US = 3600 * 1_000_000
CATCH_UP_US = 3600 * 1_000_000
"""In which steps logs from before the drill are counted; they end one step before it."""


@dataclass(frozen=True)
class Recorded:
    """Recorded logs of one model at the begin of a drill: what was counted until then, and the rows that come then."""

    loaded: Loaded
    model: str
    schedule: Schedule
    before: Replaying
    rows: Played
    context: Context


def alone(loaded: Loaded, name: str) -> Loaded:
    """The configuration with one model."""
    config = msgspec.structs.replace(loaded.config, models={name: loaded.config.models[name]})
    return replace(loaded, config=config)


def extent(loaded: Loaded, name: str) -> tuple[int, int]:
    """When the first and the last row of a model's logs arrived, in microseconds. Raises ConfigError without any."""
    ends = [
        (pc.min(table.column(ARRIVAL)).as_py(), pc.max(table.column(ARRIVAL)).as_py())
        for played in read_played(loaded, name)
        for table in (played.predictions, played.labels)
        if table.num_rows
    ]
    if not ends:
        raise ConfigError([Problem(f"models.{name}", "recorded logs", "no row", "Check the files of its sources")])
    return min(first for first, _ in ends), max(last for _, last in ends)


def record(loaded: Loaded, name: str, schedule: Schedule) -> Recorded:
    """Reads the logs: counts what arrived before the drill, keeps what arrives in it."""
    loaded = alone(loaded, name)
    replaying = Replaying(loaded)
    split = _Split(schedule)
    pieces = (Piece(until_us, {name: played}) for until_us, played in split.before(read_played(loaded, name)))
    begin = range(schedule.begin_us - CATCH_UP_US, schedule.begin_us, CATCH_UP_US)
    for _ in replaying.run([Arrivals(pieces)], begin):
        pass
    return Recorded(loaded, name, schedule, replaying, split.attached(), context_of(loaded.baselines[name]))


@dataclass
class _Split:
    """Rows that arrive before the drill go on; of predictions among them id and time are kept, of later rows all."""

    schedule: Schedule
    known: list[pa.Table] = field(default_factory=list)
    predictions: list[pa.Table] = field(default_factory=list)
    labels: list[pa.Table] = field(default_factory=list)

    def before(self, pieces: Iterable[Played]) -> Iterator[tuple[int, Played]]:
        begin_us, end_us = self.schedule.begin_us - CATCH_UP_US, self.schedule.end_us
        for played in pieces:
            early = []
            for table, kept in ((played.predictions, self.predictions), (played.labels, self.labels)):
                arrival = table.column(ARRIVAL)
                early.append(table.filter(pc.less_equal(arrival, begin_us)))
                late = table.filter(pc.and_(pc.greater(arrival, begin_us), pc.less_equal(arrival, end_us)))
                kept.extend([late] if late.num_rows else [])
            predictions, labels = early
            if predictions.num_rows and "id" in predictions.column_names:
                self.known.append(predictions.select(["id", "timestamp"]))
            arrived = [table.column(ARRIVAL) for table in early if table.num_rows]
            if arrived:
                yield max(pc.max(column).as_py() for column in arrived) - 1, Played(predictions, labels)

    def attached(self) -> Played:
        """The later rows, labels with what faults want to know of their predictions."""
        if not self.predictions:
            raise ExporterError("recorded logs: expected predictions in the time of the drill, got none. Move --start.")
        predictions = pa.concat_tables(self.predictions, promote_options="default")
        if not self.labels:
            return Played(predictions)
        names = [
            name for name in predictions.column_names if name in ("id", "timestamp") or name.startswith(FEATURE_PREFIX)
        ]
        made = pa.concat_tables([*self.known, predictions.select(names)], promote_options="default")
        return Played(predictions, attach(pa.concat_tables(self.labels), made))


def later(played: Played, than_us: int) -> Played:
    """The rows that arrive later."""
    tables = (played.predictions, played.labels)
    return Played(*(table.filter(pc.greater(table.column(ARRIVAL), than_us)) for table in tables))


def pieces_of(name: str, played: Played) -> Iterator[Piece]:
    """Rows in the order of arrival, an hour a piece."""
    tables = [
        table.take(pc.sort_indices(table, [(ARRIVAL, "ascending")])) for table in (played.predictions, played.labels)
    ]
    arrivals = [table.column(ARRIVAL).to_numpy() for table in tables]
    ends = [int(item[-1]) for item in arrivals if len(item)]
    starts = [int(item[0]) for item in arrivals if len(item)]
    done = [0, 0]
    for until_us in range(min(starts, default=0), max(ends, default=-1) + PIECE_US, PIECE_US):
        stop = [int(np.searchsorted(item, until_us, "right")) for item in arrivals]
        parts = [table.slice(first, last - first) for table, first, last in zip(tables, done, stop, strict=True)]
        yield Piece(until_us, {name: Played(*parts)})
        done = stop


def same(one: Played, other: Played) -> bool:
    """Whether two logs hold the same rows; NaN is itself, and not null."""
    pairs = ((one.predictions, other.predictions), (one.labels, other.labels))
    return all(left is right or _same(left, right) for left, right in pairs)


def _same(one: pa.Table, other: pa.Table) -> bool:
    if one.column_names != other.column_names or one.num_rows != other.num_rows:
        return False
    return all(_bits(one.column(name)) == _bits(other.column(name)) for name in one.column_names)


def _bits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column
    return pa.chunked_array([pa.array(column.to_numpy().view(np.int64), mask=pc.is_null(column).to_numpy())])
