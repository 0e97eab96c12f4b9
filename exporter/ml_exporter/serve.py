"""`ml-exporter serve`: reads, commits, evaluates and renders in one loop, beside a web server in a thread of its own.

The order in the loop makes the promises: what is counted is committed before it is published, and the web side only
ever sees a finished rendering. A web server or parser that dies ends the process with its error; it never hangs
silently. Nothing is committed then, because half a batch may have been counted: the next start reads from the last
commit on.
"""

import gc
import logging
import platform
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ml_exporter import __version__
from ml_exporter.catalogue import Sample
from ml_exporter.clock import Watch
from ml_exporter.dead_letter import NAME, DeadLetter
from ml_exporter.errors import ProblemsError, StateError
from ml_exporter.exposition import Renderer, compress, process_metrics
from ml_exporter.ingest import Fleet, source_samples
from ml_exporter.join import UNSAVED_ROWS
from ml_exporter.layout import project
from ml_exporter.loading import Loaded, load
from ml_exporter.publishing import publish
from ml_exporter.store import DamagedError, Store
from ml_exporter.telling import Teller
from ml_exporter.web import (
    Access,
    Address,
    Lifecycle,
    Outside,
    Reloads,
    Server,
    Site,
    Snapshot,
    WebConfig,
    create_app,
    gate,
)

log = logging.getLogger("ml_exporter")
COMMIT_SECONDS = 1.0
POLL_SECONDS = 0.5
SWITCH_SECONDS = 0.0001
"""After so long a thread that computes lets another go first. A scrape waits for it some ten times; Python has 5 ms."""


@dataclass
class Exporter:
    """A running exporter. `clock` gives Unix seconds, `steady` those of a clock that never jumps."""

    path: Path
    clock: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    reload_successful: bool = True
    web_config_successful: bool = True
    state_up: bool = True
    snapshot: Snapshot | None = None
    evaluation_seconds: float = 0.0
    ready: bool = False
    dropped: int = 0
    paused: bool = False
    clock_jumps: Counter[str] = field(default_factory=Counter)
    loaded: Loaded = field(init=False)
    store: Store = field(init=False)
    dead_letter: DeadLetter = field(init=False)
    fleet: Fleet = field(init=False)

    def __post_init__(self) -> None:
        self.loaded = load(self.path)
        self.store = Store(self.loaded.directory / self.loaded.config.state)
        self.dead_letter = DeadLetter(self.store.directory / NAME, 0, values=False)
        self.fleet = self._assemble(self.loaded)
        self._renderer = Renderer()
        self._process = process_metrics()
        self._failing: dict[str, str] = {}
        self._watch = Watch(self.clock(), self.steady())
        self._teller = Teller(self.loaded, self.dead_letter)

    def _assemble(self, loaded: Loaded) -> Fleet:
        settings = loaded.config.dead_letter
        self.dead_letter.max_bytes, self.dead_letter.values = settings.max_size, settings.values
        fleet = Fleet.of(loaded, self.dead_letter)
        try:
            self._restore(fleet)
        except DamagedError as error:
            fleet.close()
            self.store.start_afresh(error, {})
            fleet = Fleet.of(loaded, self.dead_letter)
            self._restore(fleet)
        self._log_notes()
        return fleet

    def _restore(self, fleet: Fleet) -> None:
        """Goes on where the last commit stood."""
        for name, counting in fleet.countings.items():
            counting.last_arrival_us = self.now_us()  # nobody knows yet whether the source is idle
            reset = self.store.load(name, counting)
            if reset:
                log.warning("state reset model=%s slices=%s", name, ",".join(reset))
        fleet.restore(self.store.positions())
        for feed in fleet.feeds:
            for path in feed.tail.outside(feed.position):
                log.info("no longer read source=%s: %s (the pattern of the source does not match it)", feed.name, path)

    def _log_notes(self) -> None:
        for note in self.store.notes:
            log.error("%s", note)
        self.store.notes.clear()

    def reload(self) -> tuple[str, ...]:
        """Takes over the configuration on disk, or keeps the running one, shows that in a metric and says why."""
        try:
            loaded = load(self.path)
            self._store()  # what is assembled below starts from it
        except ProblemsError as error:
            self.reload_successful = False
            for problem in error.problems:
                log.error("reload refused: %s", problem)
            return tuple(str(problem) for problem in error.problems)
        if loaded.config.state != self.loaded.config.state:
            log.warning("reload: `state` changes only with a restart; the running directory is kept")
        old, self.loaded = self.fleet, loaded
        old.close()
        self.fleet = self._assemble(loaded)
        self._keep_counters(old)
        self._teller = Teller(self.loaded, self.dead_letter)
        self.reload_successful = True
        log.info("reloaded %s", self.path.name)
        return ()

    def _keep_counters(self, old: Fleet) -> None:
        """Counters live as long as the process, whatever is reloaded."""
        for name, counting in self.fleet.countings.items():
            before = old.countings.get(name)
            if before is None:
                continue
            counting.total = project(before.layout.slices, counting.layout.slices)(before.total)
            counting.by_version, counting.violations, counting.statuses = (
                before.by_version,
                before.violations,
                before.statuses,
            )
            counting.dropped += before.dropped
            counting.join.repeated = before.join.repeated
            counting.last_arrival_us = before.last_arrival_us
            counting.outliers = before.outliers
        self.fleet.keep_counters(old)

    def read(self, until: float) -> bool:
        """Reads until nothing more is there or the monotonic time has come. True: all was read, or reading pauses.

        It pauses while the state cannot be written and as much waits for it as memory may hold.
        """
        paused = not self.state_up and self.fleet.unsaved_rows >= UNSAVED_ROWS
        if paused != self.paused:
            log.error("reading %s", "pauses until the state can be written" if paused else "goes on")
        self.paused = paused
        if paused:
            return True
        all_read = self.fleet.read(self.now_us, lambda: time.monotonic() >= until)
        self._log_sources()
        return all_read

    def _log_sources(self) -> None:
        """Logs every source whose error came, changed or went."""
        errors = {feed.name: feed.error for feed in self.fleet.feeds if not feed.up}
        for name, error in errors.items():
            if error != self._failing.get(name):
                log.error("source fails source=%s: %s", name, "; ".join(error.splitlines()))
        for name in self._failing.keys() - errors.keys():
            log.info("source works again source=%s", name)
        self._failing = errors
        for feed in self.fleet.feeds:
            for path in feed.losses:
                log.warning("file lost source=%s: %s was truncated or vanished, with no copy in sight", feed.name, path)
            feed.losses.clear()

    def look_at_clock(self) -> None:
        """Notices when the clock jumped, so that nothing waits longer or shorter for it."""
        jump = self._watch.jump(self.clock(), self.steady())
        if jump:
            self.clock_jumps["forward" if jump > 0 else "backward"] += 1
            log.warning("clock jumped seconds=%+.1f", jump)
            self.fleet.shift(round(jump * 1e6))

    def now_us(self) -> int:
        """The clock in microseconds."""
        return round(self.clock() * 1e6)

    def commit(self) -> None:
        """Commits what was counted. A failure is logged and shown; serving goes on and the next commit tries again."""
        try:
            self._store()
            self.state_up = True
        except StateError as error:
            if self.state_up:
                log.error("commit failed: %s", error)
            self.state_up = False
        self._log_notes()

    def _store(self) -> None:
        before = self.dead_letter.error
        self.dead_letter.write(self.clock())
        if self.dead_letter.error and not before:
            log.error("%s", self.dead_letter.error)
        self.fleet.expire(self.now_us())
        self.store.commit(self.fleet.countings, self.fleet.positions())

    def publish(self) -> None:
        """Evaluates every model, and renders once."""
        started = time.monotonic()
        now_us = self.now_us()
        self.fleet.hold_failing(now_us)
        published = publish(self.fleet.countings, self.loaded, now_us)
        self.dropped += published.dropped
        samples = list(published.samples)
        samples += source_samples(self.fleet, self.clock())
        self.evaluation_seconds = time.monotonic() - started
        samples += self._own()
        text = self._renderer.render(samples) + self._process()
        interval = float(self.loaded.config.interval)
        facts = self._teller.tell(self.fleet, published, now_us, self.ready)
        models = tuple(self.fleet.countings)
        outside = Outside(self.loaded.config.web.grafana_url, self.loaded.config.web.prometheus_url)
        self.snapshot = Snapshot(text, compress(text), self.clock(), self.ready, interval, models, facts, outside)

    def _own(self) -> Iterator[Sample]:
        yield Sample("ml_exporter_build_info", (__version__, platform.python_version()), 1.0)
        yield Sample("ml_exporter_config_last_reload_successful", (), float(self.reload_successful))
        yield Sample("ml_exporter_web_config_last_reload_successful", (), float(self.web_config_successful))
        yield Sample("ml_exporter_last_evaluation_timestamp_seconds", (), self.clock())
        yield Sample("ml_exporter_evaluation_duration_seconds", (), self.evaluation_seconds)
        yield Sample("ml_exporter_state_up", (), float(self.state_up))
        yield Sample("ml_exporter_state_set_aside", (), float(self.store.damaged))
        for direction in ("forward", "backward"):
            yield Sample("ml_exporter_clock_jumps_total", (direction,), float(self.clock_jumps[direction]))
        yield Sample("ml_exporter_dead_letter_failures_total", (), float(self.dead_letter.failures))
        yield Sample("ml_exporter_series_dropped_total", ("series_limit",), float(self.dropped))

    def close(self) -> None:
        """Releases everything. Commits nothing."""
        self.fleet.close()
        self.store.close()


@dataclass(frozen=True)
class Web:
    """What the command line says of the HTTP side."""

    addresses: Sequence[Address]
    site: Site
    lifecycle: bool
    """Whether a reload and the end may be asked for over HTTP."""
    config: WebConfig | None = None
    """Who may connect and ask; None: everybody, over plain HTTP."""

    @property
    def access(self) -> Access:
        """What is in force."""
        return self.config.current if self.config else Access()


def run(path: Path, web: Web, runbooks: Path | None) -> None:
    """Serves until SIGTERM or SIGINT, or until it is asked over HTTP to end.

    SIGHUP reloads. Raises whatever a parser raised, and RuntimeError when the web server died.
    """
    stop, reloads = threading.Event(), Reloads()

    def on_signal(number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            reloads.ask()
        else:
            stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.disable()  # a start makes much and no garbage, and looking through it costs a sixth of its time
    exporter = Exporter(path)
    app = create_app(lambda: exporter.snapshot, exporter.clock, __version__, runbooks)
    lifecycle = Lifecycle(web.lifecycle, reloads.ask, stop.set)
    app = gate(app, web.site, lifecycle, lambda: web.access)
    server = Server(app, web.addresses, tls=lambda: web.access.tls)
    try:
        server.start()
        for address in server.addresses:
            log.info("listening address=%s models=%d", address, len(exporter.fleet.countings))
        _loop(exporter, stop, reloads, _Beside(server, web.config))
        exporter.commit()
    finally:
        gc.unfreeze()
        gc.enable()
        exporter.close()
        reloads.answer(lambda: ("The exporter is stopping.",))
        server.stop()


@dataclass(frozen=True)
class _Beside:
    """What runs beside the loop, and is looked after in it."""

    server: Server
    config: WebConfig | None

    def reload(self, exporter: Exporter) -> tuple[str, ...]:
        """Reload both configurations, and say what was refused."""
        return exporter.reload() + self.look(exporter, now=True)

    def look(self, exporter: Exporter, now: bool = False) -> tuple[str, ...]:
        """Take over what changed in the web configuration, and say what of it is not in force."""
        problems = self.config.look(now) if self.config else ()
        exporter.web_config_successful = not problems
        return tuple(map(str, problems))


def _look_for_garbage() -> None:
    """Looks for garbage, but not in what is there at the first publish: it stays, and looking holds up scrapes."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _loop(exporter: Exporter, stop: threading.Event, reloads: Reloads, beside: _Beside) -> None:
    due = time.monotonic()
    while not stop.is_set():
        if not beside.server.alive:
            raise RuntimeError("web server: expected a running thread, got one that ended. See the log above.")
        beside.look(exporter)
        reloads.answer(lambda: beside.reload(exporter))
        exporter.look_at_clock()
        all_read = exporter.read(time.monotonic() + COMMIT_SECONDS)
        exporter.commit()
        exporter.ready = exporter.ready or exporter.fleet.caught_up
        if time.monotonic() >= due:
            due = time.monotonic() + float(exporter.loaded.config.interval)
            exporter.publish()
            _look_for_garbage()
        if all_read:
            stop.wait(POLL_SECONDS)
