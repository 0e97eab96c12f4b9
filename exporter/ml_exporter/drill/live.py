"""A live drill: a marked model loses a feature, and its alert is followed to the notification and back."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_exporter.drill.marked import Marked, marked
from ml_exporter.drill.receiver import Receiver
from ml_exporter.errors import ExporterError
from ml_exporter.loading import Loaded
from ml_exporter.prometheus import Alertmanager, Prometheus, Sent

ALERT = "MLFeatureNullRatioHigh"
CLEAN_TIMES = 10
"""How many times as many clean rows as lost ones are written after the fix, so that windows recover soon."""


@dataclass(frozen=True)
class Live:
    """How a live drill goes: servers, rows at each look, seconds between looks, and how long each step may take.

    Without a receiver, notifications are those that Alertmanager counts. `resolve` waits for the end of the alert too.
    """

    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: Receiver | None = None
    rows: int = 10
    interval_seconds: float = 5.0
    timeout_seconds: float = 2700.0
    resolve: bool = True
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


class OverdueError(ExporterError):
    """A step of the chain did not happen in time."""


@dataclass
class _Run:
    """One run: what is written, and whether it is broken or mended now."""

    live: Live
    marked: Marked
    name: str
    say: Callable[[str], None]
    started: float
    lost: bool = True

    @property
    def labels(self) -> Mapping[str, str]:
        """The alert that must come."""
        return {"alertname": ALERT, "model": self.name, "severity": "critical", "feature": self.marked.feature}

    def until(self, happened: Callable[[], Any], what: str, why: Callable[[], str]) -> Any:
        """Writes and looks until something has happened. Raises OverdueError."""
        live = self.live
        deadline = live.clock() + live.timeout_seconds
        while True:
            self.marked.write(live.clock(), live.rows * (1 if self.lost else CLEAN_TIMES), lost=self.lost)
            found = happened()
            if found:
                self.say(f"{live.clock() - self.started:7.0f} s  {what}")
                return found
            if live.clock() > deadline:
                raise OverdueError(f"live drill: expected {what} within {live.timeout_seconds:g} s, got none. {why()}.")
            live.sleep(live.interval_seconds)


def live_drill(loaded: Loaded, name: str, live: Live, say: Callable[[str], None]) -> None:
    """Follows a fault of a drill model through the running chain; `say` is told each step.

    Raises ConfigError for a model that is not marked, OverdueError for a step that does not happen, ExporterError for
    servers that do not answer.
    """
    run = _Run(live, marked(loaded, name), name, say, live.clock())
    before = live.alertmanager.sent()
    live.prometheus.query("vector(1)")
    try:
        _break(run, before)
        run.lost = False
        if live.resolve:
            _mend(run)
    finally:
        # However it ends, the model is left with ordinary rows.
        run.marked.write(live.clock(), live.rows * CLEAN_TIMES, lost=False)


def _break(run: _Run, before: Sent) -> None:
    live, labels = run.live, run.labels
    stamp = f'ml_last_prediction_timestamp_seconds{{model="{run.name}"}} >= {int(run.started)}'
    run.until(
        lambda: live.prometheus.query(stamp),
        "the marked predictions in Prometheus",
        lambda: f"Check that the exporter reads {run.marked.path} and is a target of Prometheus",
    )
    run.until(
        lambda: live.prometheus.firing(labels),
        f"{ALERT} firing in Prometheus",
        lambda: "Check that Prometheus has loaded the generated rules",
    )
    alert = run.until(
        lambda: live.alertmanager.alert(labels),
        "the alert in Alertmanager",
        lambda: "Check `alerting` in the configuration of Prometheus",
    )
    run.say(f"{'':10} it goes to {', '.join(item['name'] for item in alert['receivers'])}")
    run.until(lambda: _notified(run, "firing", before), "the notification", lambda: _muted(live, labels))


def _notified(run: _Run, status: str, before: Sent) -> bool:
    """Whether the notification came; without a receiver, whether one was sent and none, of any receiver, failed."""
    if run.live.receiver:
        return run.live.receiver.heard(run.labels, status)
    sent = run.live.alertmanager.sent()
    if sent.failed > before.failed:
        count = sent.failed - before.failed
        raise OverdueError(f"live drill: expected a notification, got {count:g} that failed. See Alertmanager's log.")
    return sent.succeeded > before.succeeded


def _muted(live: Live, labels: Mapping[str, str]) -> str:
    status = (live.alertmanager.alert(labels) or {"status": {}})["status"]
    for key, text in (("silencedBy", "It is silenced"), ("inhibitedBy", "It is inhibited"), ("mutedBy", "It is muted")):
        if status.get(key):
            return f"{text} by {', '.join(status[key])}"
    return "Check the route of the drill model and its receiver"


def _mend(run: _Run) -> None:
    live, labels = run.live, run.labels
    before = live.alertmanager.sent()
    run.until(
        lambda: live.prometheus.firing(labels) is None,
        "the end of the alert in Prometheus, after clean predictions",
        lambda: "Check that the exporter still reads",
    )
    if live.receiver:
        run.until(
            lambda: _notified(run, "resolved", before),
            "the notification of its end",
            lambda: "Check `send_resolved` of the receiver",
        )
