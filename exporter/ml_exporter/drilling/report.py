"""The report of drills as plain values, for JSON and for tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_exporter.drilling.alerts import Alert
from ml_exporter.drilling.schedule import Schedule, iso
from ml_exporter.drilling.verdicts import HEARTBEAT, Drilled, Seen

WHERE = ("window", "feature", "class", "source", "version", "segment", "escalation")
"""Labels that say what an alert is about, beside its model."""


def report(model: str, schedule: Schedule, clean: Iterable[Alert], drills: Iterable[Drilled]) -> dict[str, Any]:
    """Everything that drills showed, as JSON values. Times are ISO 8601 in UTC, durations seconds."""
    found = list(drills)
    return {
        "model": model,
        "begin": iso(schedule.begin_us),
        "start": iso(schedule.start_us),
        "stop": iso(schedule.stop_us),
        "end": iso(schedule.end_us),
        "step_seconds": schedule.step_us / 1e6,
        "clean": [_alert(item) for item in heard(clean)],
        "drills": [_drilled(item) for item in found],
        "good": all(item.is_good for item in found),
    }


def heard(clean: Iterable[Alert]) -> list[Alert]:
    """Alerts that fire on clean logs, without the heartbeat."""
    return [item for item in clean if item.firing and item.name != HEARTBEAT]


def _alert(alert: Alert) -> dict[str, Any]:
    spans = [{"since": iso(item.since_us), "until": _until(item.until_us)} for item in alert.firing]
    return {"labels": dict(alert.labels), "firing": spans}


def _until(instant_us: int | None) -> str | None:
    return None if instant_us is None else iso(instant_us)


def _drilled(drilled: Drilled) -> dict[str, Any]:
    fault = drilled.fault
    return {
        "fault": fault.name,
        "is_fault": fault.is_fault,
        "layer": fault.layer,
        "size": drilled.size,
        "unit": fault.unit,
        "fixed": iso(drilled.schedule.fix_us(fault, drilled.size)),
        "verdict": drilled.verdict,
        "alerts": [_seen(item) for item in drilled.seen],
        "pending": [dict(item.labels) for item in drilled.pending],
    }


def _seen(seen: Seen) -> dict[str, Any]:
    return {
        **_alert(seen.alert),
        "after_seconds": seen.after_seconds,
        "resolved_seconds": seen.resolved_seconds,
        "pages": seen.paged,
        "receivers": list(seen.receivers),
        "muted_by": list(seen.muted_by),
        "always_muted": seen.always_muted,
        "runbook_url": seen.runbook,
        "description": seen.annotations.get("description", ""),
    }


def about(labels: Mapping[str, str]) -> str:
    """What an alert is about, in short.

    >>> about({"alertname": "MLFeatureDrift", "window": "1d", "feature": "temp"})
    '1d temp'
    """
    return " ".join(labels[name] for name in WHERE if labels.get(name))


def duration(seconds: float | None) -> str:
    """A duration in its two largest units.

    >>> duration(93_900), duration(-300), duration(0), duration(None)
    ('1d2h', '-5m', '0m', 'never')
    """
    if seconds is None:
        return "never"
    minutes = round(abs(seconds) / 60)
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "m"))
    words = [f"{number}{unit}" for number, unit in parts if number][:2]
    return ("-" if seconds < 0 and words else "") + ("".join(words) or "0m")


def unnoticed(drills: Sequence[Drilled]) -> list[str]:
    """What is wrong with the rules, a line each."""
    texts = {
        "unnoticed": "no alert notices it",
        "elsewhere": "no alert of its layer ({layer}) notices it",
        "paged": "it is no fault, and pages",
    }
    return [
        f"{item.fault.name} {item.size:g}: {texts[item.verdict].format(layer=item.fault.layer)}"
        for item in drills
        if not item.is_good
    ]
