"""Series over time: lines with gaps, states in lanes, and heat maps of buckets."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from ml_exporter.previewing.answers import Answer, Series, name_of
from ml_exporter.previewing.dashboards import Panel
from ml_exporter.previewing.fields import NUMBER, Field, Shown, field
from ml_exporter.previewing.links import Context, addresses
from ml_exporter.previewing.reducers import HEADINGS, reduced
from ml_exporter.previewing.tables import frames
from ml_exporter.previewing.times import Range
from ml_exporter.previewing.transformations import transformed
from ml_exporter.previewing.views import Chart, Heat, Lane, Lanes, Line, Nothing, Span, View

_NAN = float("nan")
_CALCULATED = ("min", "max", "lastNotNull")


def chart(panel: Panel, answers: Sequence[Answer], found: Range, context: Context) -> View:
    """Lines over time. Raises ExporterError."""
    hows = tuple(panel.options.get("legend", {}).get("calcs") or ()) or _CALCULATED
    lines = tuple(
        Line(
            own,
            *_with_gaps(item, step, bool(own.get("custom.spanNulls"))),
            tuple(own.shown(reduced(item.values, how)) for how in hows),
            addresses(own, context, item.labels),
        )
        for own, item, step in _fields(panel, answers)
        if not own.is_hidden
    )
    return Chart(found, lines, tuple(HEADINGS.get(how, how) for how in hows)) if lines else Nothing()


def _fields(panel: Panel, answers: Sequence[Answer]) -> Iterator[tuple[Field, Series, float]]:
    """The series of a panel, each with how it looks and its step."""
    if not panel.transformations:
        for answer in answers:
            for item in answer.series:
                yield field(panel, name_of(item, answer), ref=answer.target.ref), item, answer.step
        return
    step = max((answer.step for answer in answers), default=0.0)
    for table in transformed(frames(answers), panel.transformations):
        times = next((column.cells for column in table if column.name == "Time"), ())
        for column in table:
            if column.kind == NUMBER and times:
                pairs = [(at, value) for at, value in zip(times, column.cells, strict=True) if value is not None]
                points = Series({}, tuple(at for at, _ in pairs), tuple(value for _, value in pairs))  # type: ignore[misc]
                yield field(panel, column.name, ref=column.ref), points, step


def _with_gaps(item: Series, step: float, spans: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times and values, with a NaN where samples are missing."""
    times, values = list[float](), list[float]()
    for at, value in zip(item.times, item.values, strict=True):
        if times and at - times[-1] > 1.5 * step and not spans:
            times.append(times[-1] + step)
            values.append(_NAN)
        times.append(at)
        values.append(value)
    return tuple(times), tuple(values)


def lanes(panel: Panel, answers: Sequence[Answer], found: Range) -> View:
    """States over time. Equal neighbours are one span."""
    made = tuple(Lane(own.name, tuple(_spans(item, own, step, found))) for own, item, step in _fields(panel, answers))
    return Lanes(found, made) if made else Nothing()


def _spans(item: Series, own: Field, step: float, found: Range) -> Iterator[Span]:
    points = [(at, own.shown(value)) for at, value in zip(item.times, item.values, strict=True)]
    yield from merged([(at, min(at + step, max(found.end, at)), shown) for at, shown in points], step)


def merged(pieces: Iterable[tuple[float, float, Shown]], step: float) -> Iterator[Span]:
    """Pieces that touch and say the same, as one span."""
    last: Span | None = None
    for start, end, shown in pieces:
        if last is not None and shown == last.shown and start - last.end <= 0.5 * step:
            last = Span(last.start, end, shown)
            continue
        if last is not None:
            yield last
        last = Span(start, end, shown)
    if last is not None:
        yield last


def heat(panel: Panel, answers: Sequence[Answer], found: Range) -> View:
    """Counts by bucket. Those of a histogram are cumulative; each bucket shows what is not in the one below."""
    buckets = [(item.labels.get("le", ""), item) for answer in answers for item in answer.series]
    buckets = sorted(((name, item) for name, item in buckets if name), key=lambda pair: float(pair[0]))
    if not buckets:
        return Nothing()
    times = tuple(sorted({at for _, item in buckets for at in item.times}))
    columns = [dict(zip(item.times, item.values, strict=True)) for _, item in buckets]
    unit = str(panel.options.get("yAxis", {}).get("unit") or panel.properties.get("unit") or "none")
    cells = [tuple(_above(column, below, at) for at in times) for below, column in pairwise([{}, *columns])]
    step = max(answer.step for answer in answers)
    return Heat(found, step, times, tuple(name for name, _ in buckets), tuple(cells), unit)


def _above(column: Mapping[float, float], below: Mapping[float, float], at: float) -> float:
    value = column.get(at, 0.0) - below.get(at, 0.0)
    return max(value, 0.0) if math.isfinite(value) else 0.0
