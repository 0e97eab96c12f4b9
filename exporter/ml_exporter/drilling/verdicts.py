"""What a drill shows: what fired because of the fault, whom it reached, and whether that was what should happen."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ml_exporter.drilling.alerts import Alert, Span, without
from ml_exporter.drilling.answers import Answer
from ml_exporter.drilling.muting import Inhibitions
from ml_exporter.drilling.schedule import SECOND_US, Schedule
from ml_exporter.drilling.suite import Labels
from ml_exporter.faults import Fault

Verdict = Literal["noticed", "elsewhere", "unnoticed", "quiet", "told", "paged", "nothing to change"]
"""Of a fault: noticed by an alert of its layer, only by others (`elsewhere`), or by none. Of what is no fault: `quiet`
if at most its own layer says so, `told` if other layers do, `paged` if somebody is paged. `nothing to change`: the logs
lack what it changes."""
HEARTBEAT = "MLWatchdog"
Receivers = Callable[[Mapping[str, str]], tuple[str, ...]]
"""The receivers of an alert by its labels."""


@dataclass(frozen=True)
class Seen:
    """An alert that fired, and that did not fire at the time in the clean replay.

    `after_seconds` is from the start of the fault to the first firing, `resolved_seconds` from the fix to its end
    (negative: before the fix; None: it still fires when the drill ends). `muted_by` are names of alerts that muted it,
    `always_muted` that they did so all the time, and nobody heard of it.
    """

    alert: Alert
    spans: tuple[Span, ...]
    after_seconds: float
    resolved_seconds: float | None
    receivers: tuple[str, ...]
    muted_by: tuple[str, ...]
    always_muted: bool
    annotations: Mapping[str, str]

    @property
    def paged(self) -> bool:
        """Whether somebody is paged."""
        return self.alert.pages and not self.always_muted

    @property
    def runbook(self) -> str:
        """The address of its runbook."""
        return self.annotations.get("runbook_url", "")


@dataclass(frozen=True)
class Drilled:
    """One fault of one size: what fired because of it, what was beyond its limit but not for long enough, a verdict.

    `answers` is all that the rules said, for charts.
    """

    fault: Fault
    size: float
    schedule: Schedule
    seen: tuple[Seen, ...]
    pending: tuple[Alert, ...]
    verdict: Verdict
    answers: tuple[Answer, ...] = field(default=(), repr=False)

    @property
    def is_good(self) -> bool:
        """Whether it went as it should."""
        return self.verdict not in ("elsewhere", "unnoticed", "paged")

    @property
    def noticed(self) -> Seen | None:
        """The first alert of the layer of the fault."""
        return next((item for item in self.seen if item.alert.label("layer") == self.fault.layer), None)


@dataclass(frozen=True)
class Watch:
    """All that is needed to judge firings: the clean ones, what mutes, who receives."""

    clean: Sequence[Alert]
    inhibitions: Inhibitions
    receivers: Receivers


def seen_in(
    alerts: Sequence[Alert],
    watch: Watch,
    schedule: Schedule,
    fix_us: int,
    annotations: Mapping[Labels, Mapping[str, str]],
) -> Iterator[Seen]:
    """The alerts that fire because of a fault."""
    clean = {item.labels: item for item in watch.clean}
    for alert in alerts:
        spans = tuple(
            span
            for span in without(alert, clean, schedule.times)
            if span.until_us is None or span.until_us > schedule.start_us
        )
        if alert.name == HEARTBEAT or not spans:
            continue
        last = spans[-1].until_us
        instants = [at_us for at_us in schedule.times if any(_holds(span, at_us) for span in spans)]
        muted = dict(watch.inhibitions.muting(alert, alerts, instants))
        yield Seen(
            alert,
            spans,
            (spans[0].since_us - schedule.start_us) / SECOND_US,
            None if last is None else (last - fix_us) / SECOND_US,
            watch.receivers(dict(alert.labels)),
            tuple(sorted({dict(labels)["alertname"] for labels in muted.values()})),
            len(muted) == len(instants),
            annotations.get(alert.labels, {}),
        )


def _holds(span: Span, at_us: int) -> bool:
    return span.since_us <= at_us and (span.until_us is None or at_us < span.until_us)


def pending_in(alerts: Iterable[Alert], seen: Iterable[Seen], watch: Watch) -> tuple[Alert, ...]:
    """Alerts whose condition held, not for long enough to fire, and not in the clean replay."""
    known = {item.alert.labels for item in seen} | {item.labels for item in watch.clean}
    return tuple(item for item in alerts if item.labels not in known and item.pending)


def verdict_of(fault: Fault, seen: Sequence[Seen]) -> Verdict:
    """What to say of a fault that showed these alerts."""
    if not fault.is_fault:
        if any(item.paged for item in seen):
            return "paged"
        return "told" if any(item.alert.label("layer") != fault.layer for item in seen) else "quiet"
    if any(item.alert.label("layer") == fault.layer for item in seen):
        return "noticed"
    return "elsewhere" if seen else "unnoticed"
