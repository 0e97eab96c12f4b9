"""The replay engine: recorded logs through the very countings and evaluation that serve, with `now` from the data.

Everything that needs history stands on it: backfill, drills, backtests. No I/O, and `now` is an argument: recorded logs
come in as tables, and samples go out.

A replay is an exporter that looks at its logs at the instants of a range and at no other time. At each look it takes in
all predictions that have arrived since the last one, in the order of arrival, then all labels, then evaluates: what
`serve` does when it reads a source with predictions and one with labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ml_exporter.budget import AnySample
from ml_exporter.catalogue import Sample
from ml_exporter.charting import remember
from ml_exporter.config import streams_of
from ml_exporter.counting import Counting
from ml_exporter.faults import Played, as_batch
from ml_exporter.loading import Loaded
from ml_exporter.pipeline import Prepared
from ml_exporter.publishing import finish, ready
from ml_exporter.starting import countings_of
from ml_exporter.tallies import Tallies
from ml_exporter.waiting import LABELS, LINES, PREDICTIONS, Arrivals, Piece, times_of


@dataclass(frozen=True)
class Instant:
    """What a scrape at an instant would have shown, without `up`, which is Prometheus' own.

    The samples of the models as `serve` publishes them, within the limits of their series; of the exporter itself
    `ml_exporter_series`, the time of the evaluation, and the sources: lines read and rejected, and that all was up and
    read when it was there. What a process says of itself (memory, restarts, build) has no history.
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
        last = [int(times_of(table).max()) for table in (played.predictions, played.labels) if table.num_rows]
        if last:
            yield Piece(max(last) - 1, {name: played})  # the next one may hold rows of the same time


@dataclass
class Replaying:
    """A replay, look by look, so that it can stop anywhere and go on."""

    loaded: Loaded
    countings: dict[str, Counting] = field(init=False)
    tallies: Tallies = field(default_factory=Tallies)

    def __post_init__(self) -> None:
        self.countings = countings_of(self.loaded)
        self._sources = [name for name in self.loaded.config.sources if streams_of(self.loaded.config, name)]

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
            taken = line.take(now_us)
            for name, counting in self.countings.items():
                for role, count in ((PREDICTIONS, counting.predictions), (LABELS, counting.labels)):
                    table = taken.get((name, role))
                    if table is not None:
                        source = self._source_of(name, role)
                        for reason, places in count(as_batch(table), now_us).items():
                            self.tallies.rejected[source, reason] += len(places)
                        if not line.has_lines:
                            self.tallies.read[source] += table.num_rows
            for (source, role), table in taken.items():
                if role == LINES:
                    self.tallies.add(source, table)
        self._expire(now_us)

    def _source_of(self, model: str, role: str) -> str:
        """The source of a stream."""
        settings = self.loaded.config.models[model]
        labels = settings.labels.source if settings.labels and role == LABELS else None
        return labels or settings.predictions.source

    def _expire(self, now_us: int) -> None:
        for counting in self.countings.values():
            remember(counting, now_us)
            counting.expire(now_us)

    def _own(self, now_us: int) -> Iterator[Sample]:
        yield Sample("ml_exporter_last_evaluation_timestamp_seconds", (), now_us / 1e6)
        for source in self._sources:
            yield from self.tallies.samples(source)
            yield Sample("ml_exporter_source_up", (source,), 1.0)
            for name in ("files_lost_total", "source_lag_bytes", "source_lag_seconds"):
                yield Sample(f"ml_exporter_{name}", (source,), 0.0)
