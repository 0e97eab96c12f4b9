"""Feeds: the logs of every model, each read once and split into what is counted for the models.

Logs with predictions go first; those with labels alone are read when the predictions of their models are caught up
with, so that few labels have to wait for their prediction. A source that fails sets its own flag and is tried again;
the others go on.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import msgspec
import numpy as np

from ml_exporter.catalogue import Sample
from ml_exporter.charting import remember
from ml_exporter.config import Source, streams_of
from ml_exporter.counting import Counting
from ml_exporter.dead_letter import DeadLetter
from ml_exporter.loading import Loaded
from ml_exporter.records import REJECT_REASONS, Batch, Ints, Role, Stream
from ml_exporter.sources.follow import Position, SourceError, lost
from ml_exporter.sources.rows import Parsed
from ml_exporter.sources.tail import Tail, Workers
from ml_exporter.starting import countings_of

ROWS_AT_ONCE = 50
"""Most rows of the history of one model that are computed with one commit: about 0.1 ms each."""
Take = Callable[[Batch, int], Mapping[str, Ints]]
"""Takes in a batch at a clock in microseconds; returns the places of rows that the clock refused, by reason."""


@dataclass
class Feed:
    """One source: where reading stands, and what came of it since the start. `takes` has one for each stream."""

    name: str
    tail: Tail
    streams: tuple[Stream, ...]
    takes: tuple[Take, ...]
    dead_letter: DeadLetter | None = None
    finished: bool = False
    """Whether its files are finished, however new they are."""
    position: Position = field(default_factory=Position)
    rows_read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    by_role: Counter[tuple[Role | None, str]] = field(default_factory=Counter)
    """Rows refused by role and reason; None are lines of which nobody knows whose they are."""
    files_lost: int = 0
    losses: list[str] = field(default_factory=list)
    """Files of which perhaps not all was read (`follow.lost`), until somebody says so and clears it."""
    up: bool = True
    error: str = ""
    caught_up: bool = False
    _stop: Event = field(default_factory=Event)
    _reading: Iterator[tuple[Parsed, Position]] | None = None

    def models(self, role: Role | None = None) -> frozenset[str]:
        """The models that read it, or those that read it in one role."""
        return frozenset(stream.model for stream in self.streams if role in (None, stream.role))

    def step(self, now_us: int) -> int:
        """Takes in one chunk and returns how many lines it had; 0 when nothing more is there or the source failed."""
        if self._reading is None:
            self._reading = self.tail.batches(self.position, self._stop, math.inf if self.finished else now_us / 1e6)
        try:
            found = next(self._reading, None)
        except SourceError as error:
            self.up, self.error, self._reading = False, str(error), None
            return 0
        if found is None:
            self.up, self.error, self._reading, self.caught_up = True, "", None, True
            return 0
        before, (parsed, self.position) = self.position, found
        losses = lost(before, self.position)
        self.losses += losses
        self.files_lost += len(losses)
        self.rows_read += parsed.lines
        self._take(parsed, now_us)
        return max(parsed.lines, 1)

    def _take(self, parsed: Parsed, now_us: int) -> None:
        """Gives every stream its batch. A line that two streams refuse for one reason is counted and noted once."""
        refusals: list[tuple[Role | None, Mapping[str, Ints]]] = [(None, parsed.refused)]
        for stream, batch, take in zip(self.streams, parsed.batches, self.takes, strict=True):
            refusals.append((stream.role, batch.refused))
            if batch.table.num_rows:
                refusals.append((stream.role, take(batch, now_us)))
        for reason in REJECT_REASONS:
            found = [(role, places[reason]) for role, places in refusals if reason in places]
            if found:
                places = _once(found)
                self.rejected[reason] += len(places)
                for role in {role for role, _ in found}:
                    self.by_role[role, reason] += len(_once([item for item in found if item[0] == role]))
                if self.dead_letter:
                    self.dead_letter.note(self.name, reason, parsed.path, places, parsed.line_at)

    def close(self) -> None:
        """Stops reading ahead, and frees files and threads."""
        self._stop.set()
        self._reading = None
        self.tail.close()


def _once(found: Sequence[tuple[Role | None, Ints]]) -> Ints:
    """The places of refused lines, each once."""
    return np.unique(np.concatenate([places for _, places in found]))


@dataclass
class Fleet:
    """What is counted for every model, and the feeds that fill it: those with predictions first."""

    countings: Mapping[str, Counting]
    feeds: Sequence[Feed]
    workers: Workers

    @classmethod
    def of(cls, loaded: Loaded, dead_letter: DeadLetter | None = None) -> "Fleet":
        """The fleet of a configuration, with nothing read yet."""
        countings, config, workers = countings_of(loaded), loaded.config, Workers()
        feeds = []
        for name, settings in config.sources.items():
            streams = streams_of(config, name)
            takes = tuple(
                countings[item.model].predictions if item.role == "predictions" else countings[item.model].labels
                for item in streams
            )
            if streams:
                tail = Tail(_located(settings, settings.files, loaded.directory), streams, workers)
                feeds.append(Feed(name, tail, streams, takes, dead_letter))
        return cls(countings, sorted(feeds, key=lambda feed: not feed.models("predictions")), workers)

    def of_model(self, name: str) -> tuple[Feed, ...]:
        """The feeds of one model."""
        return tuple(feed for feed in self.feeds if name in feed.models())

    def troubles(self, name: str, usable: bool) -> Iterator[str]:
        """What is wrong with a model's logs: failing sources and, without any `usable` row, why rows were refused."""
        for feed in self.of_model(name):
            if not feed.up:
                yield from feed.error.splitlines()
            elif not usable and feed.rejected:
                reasons = ", ".join(f"{count:,} {reason}" for reason, count in feed.rejected.most_common())
                alone = len(feed.models()) == 1
                lost = "every row was refused" if alone else "no row is usable for this model; refused were"
                noted = f", noted in {feed.dead_letter.path}" if feed.dead_letter and feed.dead_letter.max_bytes else ""
                yield f"{feed.name}: {lost} ({reasons}){noted}"

    @property
    def caught_up(self) -> bool:
        """Whether every source was read to its end since the start, or fails."""
        return all(feed.caught_up or not feed.up for feed in self.feeds)

    def read(self, now_us: Callable[[], int], enough: Callable[[], bool]) -> bool:
        """Reads round by round until nothing more is there or `enough()`. Returns whether all was read."""
        first = [feed for feed in self.feeds if feed.models("predictions")]
        later = [feed for feed in self.feeds if not feed.models("predictions")]
        while not enough():
            busy = [feed.models("predictions") for feed in first if feed.step(now_us())]
            behind = frozenset[str]().union(*busy)
            labels = [feed.step(now_us()) for feed in later if not behind & feed.models()]
            if not busy and not any(labels):
                return True
        return False

    def hold_failing(self, now_us: int) -> None:
        """A source that fails is not idle: windows that wait for it do not advance by the clock, but grow stale."""
        for name in {name for feed in self.feeds if not feed.up for name in feed.models("predictions")}:
            if self.countings[name].panes.newest_us:
                self.countings[name].last_arrival_us = now_us

    def shift(self, by_us: int) -> None:
        """The clock jumped: what waits by the clock goes on waiting as long as before."""
        for counting in self.countings.values():
            counting.last_arrival_us += by_us
            counting.join.early.shift(by_us)

    @property
    def unsaved_rows(self) -> int:
        """Most rows that wait in the memory of one model for a commit or a run."""
        return max((item.join.unsaved_rows for item in self.countings.values()), default=0)

    def expire(self, now_us: int) -> None:
        """Remembers the windows that are complete, and forgets what no window can reach."""
        for counting in self.countings.values():
            remember(counting, now_us, ROWS_AT_ONCE)
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
                feed.files_lost, feed.by_role = before[feed.name].files_lost, before[feed.name].by_role

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
        yield Sample("ml_exporter_files_lost_total", (feed.name,), float(feed.files_lost))
        yield Sample("ml_exporter_source_up", (feed.name,), float(feed.up))
        behind = feed.tail.lag(feed.position, now_seconds)
        yield Sample("ml_exporter_source_lag_bytes", (feed.name,), float(behind.bytes))
        yield Sample("ml_exporter_source_lag_seconds", (feed.name,), behind.seconds)


def _located(settings: Source, files: str, directory: Path) -> Source:
    """The settings with an absolute path."""
    return msgspec.structs.replace(settings, files=str(directory.absolute() / files))


@dataclass(frozen=True)
class FinishedLogs:
    """All that one stream got of finished logs, lines that were refused by reason, bytes behind the last newlines."""

    batches: tuple[Batch, ...]
    rejected: Counter[str]
    unread_bytes: int


def read_all(settings: Source, files: Sequence[str], stream: Stream, directory: Path) -> FinishedLogs:
    """Reads finished logs, in order; the files replace those of the settings. Raises SourceError.

    A last line without newline is not read, unless the source is `complete`.
    """
    now = math.inf if settings.complete else 0.0
    batches: list[Batch] = []
    rejected: Counter[str] = Counter()
    unread = 0
    for path in files:
        end = Position()
        with Tail(_located(settings, path, directory), [stream]) as tail:
            for parsed, behind in tail.batches(Position(), Event(), now):
                end = behind
                batches += (replace(batch, text_at=None) for batch in parsed.batches)  # which holds the whole chunk
                for refused in (parsed.refused, *(batch.refused for batch in parsed.batches)):
                    rejected.update({reason: len(places) for reason, places in refused.items()})
            unread += tail.lag(end, 0.0).bytes
    return FinishedLogs(tuple(batches), rejected, unread)
