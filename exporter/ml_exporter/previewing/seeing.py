"""From a panel and its answers to what it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_exporter.errors import ExporterError
from ml_exporter.previewing import charts, numbers
from ml_exporter.previewing.answers import Answer
from ml_exporter.previewing.dashboards import Panel
from ml_exporter.previewing.fields import MATCHERS
from ml_exporter.previewing.links import Context
from ml_exporter.previewing.times import Range
from ml_exporter.previewing.variables import replaced
from ml_exporter.previewing.views import Nothing, View, Words

KINDS = (
    "timeseries", "stat", "gauge", "bargauge", "barchart", "table", "state-timeline", "status-history", "heatmap",
    "text",
)  # fmt: skip
"""Types of panels that can be shown."""


@dataclass(frozen=True)
class Seen:
    """A panel and what it shows. `problems` say what is missing from it, and why."""

    panel: Panel
    title: str
    description: str
    answers: tuple[Answer, ...]
    view: View
    problems: tuple[str, ...]
    range: Range
    context: Context


def see(panel: Panel, answers: Sequence[Answer], found: Range, context: Context) -> Seen:
    """What a panel shows. A query that failed leaves the others; what cannot be shown is a problem."""
    problems = [f"query {answer.target.ref}: {answer.error}" for answer in answers if answer.error]
    unknown = {override.matcher for override in panel.overrides} - MATCHERS
    problems += [
        f"overrides {name}: expected one of {', '.join(sorted(MATCHERS))}, got another." for name in sorted(unknown)
    ]
    view: View = Nothing()
    try:
        view = _view(panel, [answer for answer in answers if not answer.error], found, context)
    except ExporterError as error:
        problems.append(str(error))
    title = replaced(panel.title, context.choices, context.builtins)
    description = replaced(panel.description, context.choices, context.builtins)
    return Seen(panel, title, description, tuple(answers), view, tuple(problems), found, context)


def _view(panel: Panel, answers: Sequence[Answer], found: Range, context: Context) -> View:
    view: View
    match panel.kind:
        case "timeseries":
            view = charts.chart(panel, answers, found, context)
        case "state-timeline" | "status-history":
            view = charts.lanes(panel, answers, found)
        case "heatmap":
            view = charts.heat(panel, answers, found)
        case "stat":
            view = numbers.numbers(panel, answers, context)
        case "gauge" | "bargauge" | "barchart":
            view = numbers.bars(panel, answers, context)
        case "table":
            view = numbers.rows(panel, answers, context)
        case "text":
            view = Words(replaced(str(panel.options.get("content", "")), context.choices, context.builtins))
        case _:
            raise ExporterError(
                f"panel: expected one of {', '.join(KINDS)}, got {panel.kind!r}. Look at it in Grafana."
            )
    return view
