"""Feeds: the logs of every model, read into what is counted for it.

Predictions go first; labels are read when the predictions are caught up with, so that few labels have to wait for their
prediction. A source that fails sets its own flag and is tried again; the others go on.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import msgspec

from ml_exporter.catalogue import Sample
from ml_exporter.config import Source, answer_kind, label_fields, prediction_fields
from ml_exporter.loading import Loaded, maturity_seconds
from ml_exporter.pipeline import Counting, Timing
from ml_exporter.records import REJECT_REASONS, Batch, Field
from ml_exporter.sources.follow import Position, SourceError
from ml_exporter.sources.tail import Tail, Workers


@dataclass
class Feed:
    """One log of one model: where reading stands, and what came of it since the start."""

    name: str
    model: str
    tail: Tail
    take: Callable[[Batch, int], Mapping[str, int]]
    position: Position = field(default_factory=Position)
    rows_read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    up: bool = True
    error: str = ""
    caught_up: bool = False
    _stop: Event = field(default_factory=Event)
    _reading: Iterator[tuple[Batch, Position]] | None = None

    def step(self, now_us: int) -> int:
        """Takes in one batch and returns how many lines it had; 0 when nothing more is there or the source failed."""
        if self._reading is None:
            self._reading = self.tail.batches(self.position, self._stop, now_us / 1e6)
        try:
            found = next(self._reading, None)
        except SourceError as error:
            self.up, self.error, self._reading = False, str(error), None
            return 0
        if found is None:
            self.up, self.error, self._reading, self.caught_up = True, "", None, True
            return 0
        batch, self.position = found
        self.rows_read += batch.lines
        self.rejected.update(item.reason for item in batch.rejects)
        self.rejected.update(self.take(batch, now_us) if batch.table.num_rows else {})
        return max(batch.lines, 1)

    def close(self) -> None:
        """Stops reading ahead, and frees files and threads."""
        self._stop.set()
        self._reading = None
        self.tail.close()


@dataclass
class Fleet:
    """What is counted for every model, and the feeds that fill it: those of predictions, then those of labels."""

    countings: Mapping[str, Counting]
    predictions: Sequence[Feed]
    labels: Sequence[Feed]
    workers: Workers

    @classmethod
    def of(cls, loaded: Loaded) -> "Fleet":
        """The fleet of a configuration, with nothing read yet."""
        countings: dict[str, Counting] = {}
        predictions, labels = [], []
        config, workers = loaded.config, Workers()
        for name, model in config.models.items():
            source = config.sources[model.predictions.source]
            timing = Timing.of(model, config.time, source, maturity_seconds(loaded, name))
            counting = Counting(loaded.baselines[name].layout, timing, model.labels is not None)
            countings[name] = counting
            log, fields = model.predictions.source, prediction_fields(model)
            predictions.append(_feed(loaded, log, name, fields, counting.predictions, workers))
            if model.labels:
                log, fields = model.labels.source, label_fields(model.labels, answer_kind(model))
                labels.append(_feed(loaded, log, name, fields, counting.labels, workers))
        return cls(countings, predictions, labels, workers)

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """Every feed, those of predictions first."""
        return (*self.predictions, *self.labels)

    def of_model(self, name: str) -> tuple[Feed, ...]:
        """The feeds of one model."""
        return tuple(feed for feed in self.feeds if feed.model == name)

    def troubles(self, name: str, usable: bool) -> Iterator[str]:
        """What is wrong with a model's logs: failing sources and, without any `usable` row, why rows were refused."""
        for feed in self.of_model(name):
            if not feed.up:
                yield from feed.error.splitlines()
            elif not usable and feed.rejected:
                reasons = ", ".join(f"{count:,} {reason}" for reason, count in feed.rejected.most_common())
                yield f"{feed.name}: every row was refused ({reasons})"

    @property
    def caught_up(self) -> bool:
        """Whether every source was read to its end since the start, or fails."""
        return all(feed.caught_up or not feed.up for feed in self.feeds)

    def read(self, now_us: Callable[[], int], enough: Callable[[], bool]) -> bool:
        """Reads round by round until nothing more is there or `enough()`. Returns whether all was read."""
        while not enough():
            lines = {feed.model: feed.step(now_us()) for feed in self.predictions}
            labels = [feed.step(now_us()) for feed in self.labels if not lines[feed.model]]
            if not any((*lines.values(), *labels)):
                return True
        return False

    def hold_failing(self, now_us: int) -> None:
        """A source that fails is not idle: windows that wait for it do not advance by the clock, but grow stale."""
        for feed in self.predictions:
            counting = self.countings[feed.model]
            if not feed.up and counting.panes.newest_us:
                counting.last_arrival_us = now_us

    def expire(self, now_us: int) -> None:
        """Forgets what no window can reach."""
        for counting in self.countings.values():
            counting.expire(now_us)

    def positions(self) -> Mapping[str, str]:
        """The position of every source as ASCII text: a path may have bytes that are no UTF-8."""
        return {feed.name: json.dumps(msgspec.to_builtins(feed.position)) for feed in self.feeds}

    def restore(self, positions: Mapping[str, str]) -> None:
        """Goes on where the committed positions say."""
        for feed in self.feeds:
            if feed.name in positions:
                feed.position = msgspec.convert(json.loads(positions[feed.name]), Position)

    def keep_counters(self, old: "Fleet") -> None:
        """Takes over what the feeds of the same name had counted."""
        before = {feed.name: feed for feed in old.feeds}
        for feed in self.feeds:
            if feed.name in before:
                feed.rows_read, feed.rejected = before[feed.name].rows_read, before[feed.name].rejected

    def close(self) -> None:
        """Stops every reader, then the threads they share."""
        for feed in self.feeds:
            feed.close()
        self.workers.close()


def source_samples(fleet: Fleet, now_seconds: float) -> Iterator[Sample]:
    """What every source did, and how far it lags."""
    for feed in fleet.feeds:
        yield Sample("ml_exporter_rows_read_total", (feed.name,), float(feed.rows_read))
        for reason in REJECT_REASONS:
            yield Sample("ml_exporter_rows_rejected_total", (feed.name, reason), float(feed.rejected[reason]))
        yield Sample("ml_exporter_source_up", (feed.name,), float(feed.up))
        behind = feed.tail.lag(feed.position, now_seconds)
        yield Sample("ml_exporter_source_lag_bytes", (feed.name,), float(behind.bytes))
        yield Sample("ml_exporter_source_lag_seconds", (feed.name,), behind.seconds)


Take = Callable[[Batch, int], Mapping[str, int]]


def _feed(loaded: Loaded, source: str, model: str, fields: tuple[Field, ...], take: Take, workers: Workers) -> Feed:
    settings = loaded.config.sources[source]
    return Feed(source, model, Tail(_located(settings, settings.files, loaded.directory), fields, workers), take)


def _located(settings: Source, files: str, directory: Path) -> Source:
    """The settings with an absolute path."""
    return msgspec.structs.replace(settings, files=str(directory.absolute() / files))


@dataclass(frozen=True)
class FinishedLogs:
    """All that was read of finished logs, and the bytes behind the last newlines, which were not."""

    batches: tuple[Batch, ...]
    unread_bytes: int

    @property
    def rejected(self) -> Counter[str]:
        """Lines that were refused, by reason."""
        return Counter(item.reason for batch in self.batches for item in batch.rejects)


def read_all(settings: Source, files: Sequence[str], fields: tuple[Field, ...], directory: Path) -> FinishedLogs:
    """Reads finished logs, in order; the files replace those of the settings. Raises SourceError."""
    batches: list[Batch] = []
    unread = 0
    for path in files:
        with Tail(_located(settings, path, directory), fields) as tail:
            found = list(tail.batches(Position(), Event(), 0.0))
            unread += tail.lag(found[-1][1] if found else Position(), 0.0).bytes
        batches += [batch for batch, _ in found]
    return FinishedLogs(tuple(batches), unread)
