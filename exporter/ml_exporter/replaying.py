"""The replay engine: recorded logs through the very countings and evaluation that serve, with `now` from the data.

Everything that needs history stands on it: backfill, drills, backtests. No I/O, and `now` is an argument: recorded logs
come in as tables, and samples go out.

A replay is an exporter that looks at its logs at the instants of a range and at no other time. At each look it takes in
all predictions that have arrived since the last one, in the order of arrival, then all labels, then evaluates: what
`serve` does when it reads a source with predictions and one with labels.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.budget import AnySample
from ml_exporter.catalogue import Sample
from ml_exporter.charting import remember
from ml_exporter.counting import Counting
from ml_exporter.faults import Played, as_batch
from ml_exporter.faults.played import ARRIVAL
from ml_exporter.loading import Loaded
from ml_exporter.pipeline import Prepared
from ml_exporter.publishing import finish, ready
from ml_exporter.records import Ints, Role
from ml_exporter.starting import countings_of


@dataclass(frozen=True)
class Instant:
    """What a scrape at an instant would have shown, without `up`, which is Prometheus' own.

    The samples of the models as `serve` publishes them, within the limits of their series; of the exporter itself
    `ml_exporter_series`, the time of the evaluation, and that every source was up: what the rules read. What a process
    says of itself (memory, lag, build) has no history.
    """

    now_us: int
    samples: tuple[AnySample, ...]


@dataclass(frozen=True)
class Ready:
    """All that the samples of an instant follow from, as values that can be handed to another thread or process.

    `own` are samples of the exporter itself.
    """

    now_us: int
    models: tuple[Prepared, ...]
    own: tuple[Sample, ...]

    def instant(self, loaded: Loaded) -> Instant:
        """The samples."""
        return Instant(self.now_us, (*finish(self.models, loaded).samples, *self.own))


@dataclass(frozen=True)
class Piece:
    """Some rows of recorded logs, by model.

    All rows that arrived until `until_us` are in this piece and those before it; later pieces hold none of them.
    """

    until_us: int
    played: Mapping[str, Played]


def replay(loaded: Loaded, logs: Mapping[str, Iterator[Played]], times: range) -> Iterator[Instant]:
    """Replays logs that come by model. `times` are the instants to evaluate at, in microseconds.

    No row of a piece may arrive before all rows of the pieces before it; within a piece they may stand in any order.
    Rows that arrive at one time keep their order. Rows from before the first instant are looked at in steps of the
    range too, so that they are counted as they would have been.
    """
    replaying = Replaying(loaded)
    lines = [_pieces(name, pieces) for name, pieces in logs.items()]
    yield from replaying.run([Arrivals(line) for line in lines], times)


def _pieces(name: str, logs: Iterator[Played]) -> Iterator[Piece]:
    for played in logs:
        last = [_last(table) for table in (played.predictions, played.labels) if table.num_rows]
        if last:
            yield Piece(max(last) - 1, {name: played})  # the next one may hold rows of the same time


def _last(table: pa.Table) -> int:
    return int(pc.max(table.column(ARRIVAL)).as_py())


@dataclass
class Arrivals:
    """Rows that were read, and wait until their time comes."""

    pieces: Iterator[Piece]
    until_us: int = -1
    ended: bool = False
    _waiting: dict[str, tuple[list[pa.Table], list[pa.Table]]] = field(default_factory=dict)

    def take(self, now_us: int) -> Mapping[str, Played]:
        """All rows that have arrived until now and were not taken before, sorted by arrival."""
        while not self.ended and self.until_us < now_us:
            self._read()
        taken: dict[str, Played] = {}
        for name, (predictions, labels) in self._waiting.items():
            taken[name] = Played(_arrived(predictions, now_us), _arrived(labels, now_us))
        return taken

    @property
    def is_over(self) -> bool:
        """Whether every row was taken."""
        return self.next_us() is None

    def next_us(self) -> int | None:
        """When the next row arrives; None when there is none."""
        while not self.ended and not any(any(tables) for tables in self._waiting.values()):
            self._read()
        first = [
            int(pc.min(table.column(ARRIVAL)).as_py())
            for tables in self._waiting.values()
            for kind in tables
            for table in kind
        ]
        return min(first, default=None)

    def _read(self) -> None:
        piece = next(self.pieces, None)
        if piece is None:
            self.ended = True
            return
        self.until_us = piece.until_us
        for name, played in piece.played.items():
            predictions, labels = self._waiting.setdefault(name, ([], []))
            predictions += [played.predictions] if played.predictions.num_rows else []
            labels += [played.labels] if played.labels.num_rows else []


def _arrived(tables: list[pa.Table], now_us: int) -> pa.Table:
    """Takes out of the tables the rows that have arrived, sorted by arrival."""
    if not tables:
        return _nothing()
    whole = pa.concat_tables(tables, promote_options="default")  # only some have columns of violations
    arrivals = whole.column(ARRIVAL).to_numpy()
    if (np.diff(arrivals) < 0).any():
        order = np.argsort(arrivals, kind="stable")
        whole, arrivals = whole.take(pa.array(order)), arrivals[order]
    count = int(np.searchsorted(arrivals, now_us, "right"))
    tables[:] = [whole.slice(count)] if count < whole.num_rows else []
    return whole.slice(0, count)


@dataclass
class Replaying:
    """A replay, look by look, so that it can stop anywhere and go on."""

    loaded: Loaded
    countings: dict[str, Counting] = field(init=False)
    refused: Counter[tuple[str, Role, str]] = field(default_factory=Counter)
    """Rows that the clock refused, by model, role and reason."""

    def __post_init__(self) -> None:
        self.countings = countings_of(self.loaded)

    def run(self, arrivals: Sequence[Arrivals], times: range) -> Iterator[Instant]:
        """Every instant of a range. What arrived before it is counted, and not evaluated."""
        for now_us in self.looks(arrivals, times):
            if now_us >= times.start:
                yield self.instant(now_us)

    def looks(self, arrivals: Sequence[Arrivals], times: range) -> Iterator[int]:
        """Looks at the logs at every instant of a range, and yields each when all that had arrived is counted.

        What arrived before the range is looked at in steps of the range too, where there is something to see.
        """
        while (now_us := self._next(arrivals, times)) < times.start:
            self._expire(now_us - times.step)
            self._look(arrivals, now_us)
            yield now_us
        for now_us in times:
            self._look(arrivals, now_us)
            yield now_us

    @staticmethod
    def _next(arrivals: Sequence[Arrivals], times: range) -> int:
        """When the first row that waits is seen, in steps of the range; its start if there is none before."""
        found = [first for line in arrivals if (first := line.next_us()) is not None]
        behind_us = times.start - min(found, default=times.start)
        return times.start - behind_us // times.step * times.step

    def instant(self, now_us: int) -> Instant:
        """What a scrape shows now."""
        return self.ready(now_us).instant(self.loaded)

    def ready(self, now_us: int) -> Ready:
        """What a scrape shows now, before it is made into samples."""
        return Ready(now_us, ready(self.countings, self.loaded, now_us), tuple(self._own(now_us)))

    def _look(self, arrivals: Sequence[Arrivals], now_us: int) -> None:
        for line in arrivals:
            for name, played in line.take(now_us).items():
                counting = self.countings[name]
                if played.predictions.num_rows:
                    self._refuse((name, "predictions"), counting.predictions(as_batch(played.predictions), now_us))
                if played.labels.num_rows:
                    self._refuse((name, "labels"), counting.labels(as_batch(played.labels), now_us))
        self._expire(now_us)

    def _refuse(self, stream: tuple[str, Role], places: Mapping[str, Ints]) -> None:
        for reason, found in places.items():
            self.refused[(*stream, reason)] += len(found)

    def _expire(self, now_us: int) -> None:
        for counting in self.countings.values():
            remember(counting, now_us)
            counting.expire(now_us)

    def _own(self, now_us: int) -> Iterator[Sample]:
        yield Sample("ml_exporter_last_evaluation_timestamp_seconds", (), now_us / 1e6)
        for source in self.loaded.config.sources:
            yield Sample("ml_exporter_source_up", (source,), 1.0)


def _nothing() -> pa.Table:
    """No rows, made when they are wanted: pyarrow imports pandas for it, where that is there."""
    return pa.schema({ARRIVAL: pa.int64()}.items()).empty_table()
