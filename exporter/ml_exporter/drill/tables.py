"""The result of a drill as a table for a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_exporter.drill.offline import Result
from ml_exporter.drilling import Drilled, Seen
from ml_exporter.drilling.report import about, duration, heard
from ml_exporter.drilling.schedule import iso

_COLUMNS = ("fault", "size", "verdict", "alert", "about", "after", "resolved", "to", "runbook")


def show(result: Result, console: Console) -> None:
    """Prints what every drill showed: when alerts fired, when they were over, who heard of them."""
    schedule = result.schedule
    console.print(
        Text(
            f"{result.model}: fault from {iso(schedule.start_us)} to {iso(schedule.stop_us)}, then clean logs until "
            f"{iso(schedule.end_us)}; rules every {duration(schedule.step_us / 1e6)}"
        )
    )
    table = Table(*_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for drilled in result.drills:
        _rows(table, drilled)
    console.print(table)
    for alert in heard(result.clean):
        severity = alert.label("severity")
        console.print(Text(f"fires without a fault: {alert.name} ({severity}) {about(dict(alert.labels))}"))


def _rows(table: Table, drilled: Drilled) -> None:
    head = (drilled.fault.name, f"{drilled.size:g}", drilled.verdict)
    verdict = Text(drilled.verdict, style="green" if drilled.is_good else "red")
    for number, seen in enumerate(drilled.seen):
        first = (Text(head[0]), Text(head[1]), verdict) if not number else ("", "", "")
        table.add_row(*first, *map(Text, _cells(seen)))
    if not drilled.seen:
        names = sorted({alert.name for alert in drilled.pending})
        table.add_row(Text(head[0]), Text(head[1]), verdict, Text(f"(pending: {', '.join(names)})" if names else ""))


def _cells(seen: Seen) -> tuple[str, ...]:
    alert = seen.alert
    heard_by = ", ".join(seen.receivers) + (
        f" (for a time muted by {', '.join(seen.muted_by)})" if seen.muted_by else ""
    )
    return (
        f"{alert.name} ({alert.label('severity')}, {alert.label('layer')})",
        about(dict(alert.labels)),
        duration(seen.after_seconds),
        duration(seen.resolved_seconds),
        f"muted by {', '.join(seen.muted_by)}" if seen.always_muted else heard_by,
        seen.runbook.rpartition("/")[2],
    )
