"""Runs a replay into files, so that it can be interrupted anywhere and goes on without a sample lost or doubled.

Samples are collected in parts. With each part one transaction of a state (the one that `serve` has) commits what was
counted, how far the logs were read and which parts there are; what a killed replay wrote behind that is written again,
the same. When a file's time is over, its parts become the file.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ml_exporter.counting import micros
from ml_exporter.errors import Problem
from ml_exporter.loading import Loaded
from ml_exporter.recorded import NEVER, Recorded
from ml_exporter.replay import state
from ml_exporter.replay.collecting import Beside, Collecting, Here
from ml_exporter.replaying import Replaying
from ml_exporter.sources.follow import SourceError
from ml_exporter.store import Store
from ml_exporter.waiting import Arrivals

STATE = "state"
BLOCK_HOURS = (2, 6, 18, 54, 162)
"""Lengths of the blocks that promtool makes: with `--max-block-duration` the longest one that is not longer."""
FILE_SAMPLES = 8_000_000
"""A file has at most about so many samples, because its rows are sorted in memory."""
PART_SAMPLES = 500_000
BESIDE_FROM = 100
"""After so many instants, at the end of a part, a second process is begun: it takes as long as some dozen of them."""
_SHARED_EVERY = 64
"""Instants between two looks at how much of the files was read."""
_LATEST_US = 1 << 52
"""An instant that no log reaches."""


@dataclass(frozen=True)
class Settings:
    """What is replayed, and whereto.

    Instants are multiples of `step_us` from `start_us` (by default the first row) until before `stop_us` (by default
    the first one behind the last row). `labels` are those of the target, on every sample.
    """

    output: Path
    step_us: int
    labels: Mapping[str, str]
    start_us: int | None = None
    stop_us: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What was written: files in the order of time, first and last instant, and lines lost by source and reason."""

    files: tuple[Path, ...]
    span: tuple[int, int]
    instants: int
    samples: int
    lost: Mapping[str, Counter[str]]
    block_hours: int
    finished: bool


@dataclass(frozen=True)
class Progress:
    """How far a replay is: the time of its last look at the logs, instants and samples so far, and the share read."""

    now_us: int
    instants: int
    samples: int
    share: float


def block_hours(loaded: Loaded, step_us: int) -> int:
    """How long the span of a file is: that of one block, the longest that memory allows."""
    series = sum(model.series_limit for model in loaded.config.models.values())
    fitting = [hours for hours in BLOCK_HOURS if series * micros(hours * 3600) // step_us <= FILE_SAMPLES]
    return max(fitting, default=BLOCK_HOURS[0])


@dataclass
class Run:
    """One run of a replay. Close it, or use it in a `with` block: it locks its output.

    Raises StateError when the output is of another replay or in use.
    """

    loaded: Loaded
    settings: Settings
    beside: bool = False
    """Whether a second process may be used, once there is enough to do."""

    def __post_init__(self) -> None:
        self._replaying = Replaying(self.loaded)
        self._hours = block_hours(self.loaded, self.settings.step_us)
        self._folder = self.settings.output / STATE
        self._made_for = state.made_for(self.loaded, replace(self.settings, output=Path()))
        self._store = Store(self._folder)
        try:
            found = state.read(self._store, self.settings.output, self._made_for, self._replaying.countings)
            self._record = found or state.Record(self._made_for)
            self._logs = Recorded(self.loaded, marks=self._record.marks, after_us=self._record.looked_us)
        except BaseException:
            self._store.close()
            raise
        tallies = self._replaying.tallies
        tallies.read.update(self._record.read)
        tallies.rejected.update({(source, reason): count for source, reason, count in self._record.rejected})
        self._share = 0.0
        self._remove_others()
        self._first_us: int | None = None
        """The first instant of the part that is collected."""
        self._collecting = self._collector()

    def _collector(self) -> Collecting:
        kind = Beside if self.beside and self._record.instants >= BESIDE_FROM else Here
        return kind(self.loaded, self.settings.labels)

    def _remove_others(self) -> None:
        """Removes parts that a killed run wrote behind its last commit."""
        for path in self._folder.glob("*.arrow"):
            if path.name not in self._record.parts:
                path.unlink()

    @property
    def goes_on(self) -> bool:
        """Whether an earlier run began it."""
        return self._record.looked_us > NEVER

    def steps(self) -> Iterator[Progress]:
        """Runs; yields after every look, and may be left there for ever: `keep` commits what was done.

        Raises SourceError, StateError, OSError.
        """
        if self._record.finished:
            return
        arrivals, step_us = Arrivals(self._logs.pieces()), self.settings.step_us
        times = self._times(arrivals)
        for now_us in self._replaying.looks([arrivals], times):
            self._record.looked_us = now_us
            if now_us >= times.start:
                self._take(now_us)
            self._record.finished = now_us + step_us >= times.stop or (
                self.settings.stop_us is None and arrivals.is_over
            )
            if self._record.finished or self._is_full or self._ends_file(now_us):
                self.keep()
            yield self._progress()
            if self._record.finished:
                return
        self._record.finished = True
        self.keep()

    def _progress(self) -> Progress:
        record = self._record
        if record.instants % _SHARED_EVERY == 0:
            self._share = self._logs.share_read(record.looked_us)
        return Progress(record.looked_us, record.instants, record.samples + self._collecting.samples, self._share)

    def _times(self, arrivals: Arrivals) -> range:
        """The instants that are left."""
        step_us, stop_us = self.settings.step_us, self.settings.stop_us
        if not self.goes_on:
            first_us = arrivals.next_us() if self.settings.start_us is None else self.settings.start_us
            if first_us is None:
                action = "See what was rejected, and compare `columns` with the log"
                raise SourceError([Problem("sources", "rows to replay", "none", action)])
            self._record.start_us = -(-first_us // step_us) * step_us
        start_us = max(self._record.start_us, self._record.looked_us + step_us)
        return range(start_us, _LATEST_US if stop_us is None else stop_us, step_us)

    def _take(self, now_us: int) -> None:
        self._first_us = now_us if self._first_us is None else self._first_us
        self._collecting.take(self._replaying.ready(now_us))
        self._record.instants += 1

    @property
    def _is_full(self) -> bool:
        """Whether enough waits in memory to be written."""
        joins = [counting.join for counting in self._replaying.countings.values()]
        return self._collecting.samples >= PART_SAMPLES or any(join.shelf.is_full for join in joins)

    def _ends_file(self, now_us: int) -> bool:
        span_us = micros(self._hours * 3600)
        return now_us // span_us != (now_us + self.settings.step_us) // span_us

    def keep(self) -> None:
        """Writes what was collected and commits. Raises StateError and OSError."""
        record = self._record
        if self._first_us is not None:
            name = f"{self._first_us}.arrow"
            record.samples += self._collecting.write(self._folder / name)
            record.parts.append(name)
            self._first_us = None
            if isinstance(self._collecting, Here):
                self._collecting = self._collector()
        done: list[str] = []
        if record.parts and (record.finished or self._ends_file(record.looked_us)):
            done, record.parts = record.parts, []
            record.files.append(self._write_file(done))
        record.marks = dict(self._logs.marks(record.looked_us))
        record.read = dict(self._replaying.tallies.read)
        record.rejected = [(*key, count) for key, count in self._replaying.tallies.rejected.items()]
        state.write(self._store, record, self._replaying.countings)
        for name in done:
            (self._folder / name).unlink(missing_ok=True)

    def _write_file(self, parts: Sequence[str]) -> str:
        moment = datetime.fromtimestamp(int(parts[0].removesuffix(".arrow")) / 1e6, UTC)
        name = f"{moment:%Y-%m-%dT%H%M%SZ}.om"
        self._collecting.join([self._folder / part for part in parts], self.settings.output / name)
        return name

    def outcome(self) -> Outcome:
        """What came of it so far."""
        record, output = self._record, self.settings.output
        files = tuple(output / name for name in record.files)
        span, lost = (record.start_us, record.looked_us), self._replaying.tallies.lost()
        return Outcome(files, span, record.instants, record.samples, lost, self._hours, record.finished)

    def close(self) -> None:
        """Releases the output. Commits nothing."""
        self._collecting.close()
        self._logs.close()
        self._store.close()

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
