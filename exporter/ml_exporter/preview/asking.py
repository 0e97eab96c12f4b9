"""Asks a Prometheus what the variables, annotations and panels of a dashboard ask."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ml_exporter.errors import ConfigError, ExporterError, Problem
from ml_exporter.previewing import variables
from ml_exporter.previewing.answers import Answer, Event, Series, name_of, written
from ml_exporter.previewing.charts import merged
from ml_exporter.previewing.dashboards import Annotation, Dashboard, Panel, Row, Target, Variable
from ml_exporter.previewing.fields import Shown, color_of
from ml_exporter.previewing.links import Context
from ml_exporter.previewing.seeing import Seen, see
from ml_exporter.previewing.times import Range, Steps, aligned, builtins, duration, instant
from ml_exporter.previewing.variables import Choices, Chosen
from ml_exporter.prometheus import Prometheus, Span

POINTS_A_COLUMN = 24
"""Points that a chart has for each of the 24 columns of its width: as many as can be told apart."""
HEAT_POINTS = 60


@dataclass(frozen=True)
class When:
    """The time to show; None leaves it to the dashboard. `now` is in Unix seconds."""

    now: float
    start: str | None = None
    end: str | None = None
    step: float | None = None


@dataclass(frozen=True)
class Annotated:
    """An annotation and what it found, or why nothing."""

    annotation: Annotation
    answer: Answer
    events: tuple[Event, ...]


@dataclass(frozen=True)
class SeenRow:
    """A heading and the panels under it."""

    title: str
    panels: tuple[Seen, ...]


@dataclass(frozen=True)
class Looked:
    """A dashboard and what it shows."""

    dashboard: Dashboard
    range: Range
    choices: Choices
    context: Context
    annotations: tuple[Annotated, ...]
    rows: tuple[SeenRow, ...]
    problems: tuple[str, ...]
    """Those of variables and annotations."""

    def panels(self) -> Iterator[Seen]:
        """All panels, in reading order."""
        for row in self.rows:
            yield from row.panels

    def findings(self) -> Iterator[str]:
        """Everything that could not be shown, with its place."""
        for problem in self.problems:
            yield f"{self.dashboard.uid}: {problem}"
        for seen in self.panels():
            for problem in seen.problems:
                yield f"{self.dashboard.uid}: {seen.title}: {problem}"


def look(prometheus: Prometheus, dashboard: Dashboard, when: When, wanted: Mapping[str, str]) -> Looked:
    """Asks everything that a dashboard asks. `wanted` are values of variables by name.

    Queries that fail become problems. Raises ConfigError for a range that is none.
    """
    found = Range(instant(when.start or dashboard.start, when.now), instant(when.end or dashboard.end, when.now))
    if found.seconds <= 0:
        raise ConfigError([Problem("time", "an end after the start", "an end before it", "Swap --from and --to")])
    asking = _Asking(prometheus, Steps(found, when.step))
    choices, problems = asking.choices(dashboard.variables, wanted)
    step, scrape = asking.steps.of("", 24 * POINTS_A_COLUMN)
    context = Context(choices, builtins(found, step, scrape))
    annotated = tuple(asking.annotated(item, context) for item in dashboard.annotations)
    problems += [f"annotation {item.annotation.name}: {item.answer.error}" for item in annotated if item.answer.error]
    rows = tuple(asking.row(row, own) for row in dashboard.rows for own in _repeated(row.repeat, context))
    return Looked(dashboard, found, choices, context, annotated, rows, tuple(problems))


def _repeated(name: str, context: Context) -> Iterable[Context]:
    """The contexts of what is repeated for each value of a variable."""
    if name not in context.choices:
        return [context]
    item = context.choices[name]
    return [
        Context({**context.choices, name: Chosen(item.variable, (value,))}, context.builtins) for value in item.values
    ]


@dataclass(frozen=True)
class _Asking:
    prometheus: Prometheus
    steps: Steps

    def choices(self, found: Iterable[Variable], wanted: Mapping[str, str]) -> tuple[Choices, list[str]]:
        """What is chosen of each variable; one may ask with those before it."""
        choices, problems = dict[str, Chosen](), list[str]()
        for variable in found:
            if variable.kind == "datasource":
                choices[variable.name] = Chosen(variable, (self.prometheus.server.url,))
                continue
            try:
                values = self.values(variable, choices)
            except ExporterError as error:
                problems.append(f"variable {variable.name}: {error}")
                values = []
            choices[variable.name] = variables.chosen(variable, values, wanted.get(variable.name))
        return choices, problems

    def values(self, variable: Variable, choices: Choices) -> list[str]:
        """The values that a variable may have. Raises ExporterError."""
        if variable.kind != "query":
            return variables.options(variable, variables.literal(variable))
        step, scrape = self.steps.of("", 24 * POINTS_A_COLUMN)
        text = variables.replaced(variable.query, choices, builtins(self.steps.range, step, scrape), "query")
        asked = variables.question(text)
        span = Span(self.steps.range.start, self.steps.range.end)
        if isinstance(asked, variables.LabelValues):
            return variables.options(variable, self.prometheus.label_values(asked.label, asked.selector, span))
        if isinstance(asked, variables.QueryResult):
            samples = self.prometheus.query(asked.query, span.end)
            texts = [f"{written(item.labels)} {item.value:g} {span.end * 1000:.0f}" for item in samples]
            return variables.options(variable, texts)
        raise ExporterError(f"expected label_values or query_result, got {text!r}. Look at it in Grafana.")

    def row(self, row: Row, context: Context) -> SeenRow:
        title = variables.replaced(row.title, context.choices, context.builtins)
        panels = (self.panel(panel, own) for panel in row.panels for own in _repeated(panel.repeat, context))
        return SeenRow(title, tuple(panels))

    def panel(self, panel: Panel, context: Context) -> Seen:
        answers = [self.answer(panel, target, context) for target in panel.targets]
        return see(panel, answers, self.steps.range, context)

    def answer(self, panel: Panel, target: Target, context: Context) -> Answer:
        """The answer to one query, or why there is none."""
        most = HEAT_POINTS if panel.kind == "heatmap" else panel.place.width * POINTS_A_COLUMN
        step, scrape = self.steps.of(target.interval or panel.interval, min(panel.max_points or most, most))
        own = builtins(self.steps.range, step, scrape)
        asked = variables.replaced(target.expression, context.choices, own, "query")
        return self._asked(replace(target, legend=variables.replaced(target.legend, context.choices, own)), asked, step)

    def _asked(self, target: Target, asked: str, step: float) -> Answer:
        found = self.steps.range
        try:
            if target.is_instant:
                samples = self.prometheus.query(asked, found.end)
                series = tuple(Series(item.labels, (found.end,), (item.value,)) for item in samples)
            else:
                span = aligned(found, step)
                points = self.prometheus.query_range(asked, Span(span.start, span.end), step)
                series = tuple(Series(*item) for item in points)
        except ExporterError as error:
            return Answer(target, asked, step, error=str(error))
        return Answer(target, asked, step, series)

    def annotated(self, annotation: Annotation, context: Context) -> Annotated:
        """The events of an annotation; samples that follow each other are one."""
        points, scrape = self.steps.of("", 24 * POINTS_A_COLUMN)
        step = self.steps.forced or max(duration(annotation.step), points)
        target = Target("Anno", annotation.expression, annotation.title, "time_series", False, "")
        own = builtins(self.steps.range, step, scrape)
        asked = variables.replaced(annotation.expression, context.choices, own, "query")
        answer = self._asked(target, asked, step)
        events = [
            Event(span.start, span.end, span.shown.text, color_of(annotation.color) or "blue")
            for item in answer.series
            for span in merged(_pieces(item, name_of(item, answer), step), step)
        ]
        return Annotated(annotation, answer, tuple(sorted(events, key=lambda event: event.start)))


def _pieces(item: Series, name: str, step: float) -> Iterator[tuple[float, float, Shown]]:
    """The times at which an annotation's series is there and not zero."""
    for at, value in zip(item.times, item.values, strict=True):
        if value > 0:
            yield at, at + step, Shown(name)
