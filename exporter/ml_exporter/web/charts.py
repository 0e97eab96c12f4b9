"""Inline SVG: plain values in, markup out. Everything a chart says stands in a table beside it as well.

Coordinates are of a fixed view box, colours and sizes of text are classes of the page's style. No two marks differ by
colour alone: the reference is an outline and the present is filled. Text is escaped; what is no number is not drawn.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .words import share, utc, visible

WIDTH, LEFT, RIGHT = 640.0, 60.0, 8.0
_BARS_HEIGHT, _BARS_TOP, _BARS_BOTTOM = 246.0, 20.0, 86.0
_LINE_WIDTH, _LINE_HEIGHT, _LINE_TOP, _LINE_BOTTOM = 360.0, 120.0, 14.0, 22.0
_LABEL_CHARACTERS = 14
_MOST_LABELS = 16
_HUGE = 1e300


@dataclass(frozen=True)
class Bar:
    """One bin: its name, its share in the reference and now (0 to 1, None where there is none), and its mark."""

    label: str
    reference: float | None
    current: float | None
    marked: bool = False


@dataclass(frozen=True)
class Points:
    """A value over time: Unix seconds and values, None where there was none, and the limits to draw with their names.

    `write` puts a value into words.
    """

    points: Sequence[tuple[float, float | None]]
    limits: Sequence[tuple[str, float | None]] = ()
    write: Callable[[float | None], str] = share


def histogram(bars: Sequence[Bar], about: str) -> Markup:
    """Two histograms over the same bins, side by side in each bin. `about` says in words what is to be seen.

    Marked bins have a triangle above them. Without any share there is no chart, but an empty text.
    """
    shares = [value for bar in bars for value in (bar.reference, bar.current) if _drawn(value)]
    if not shares:
        return Markup()
    top = _round_up(max(map(_bounded, shares)))
    inner = Markup().join(_bars(bars, top))
    return _svg((WIDTH, _BARS_HEIGHT), about, Markup().join((*_value_axis(top), inner)), "histogram")


def line(values: Points, about: str) -> Markup:
    """A value over time with its limits. The line is broken where values are missing; a lone value is a dot.

    Without any value there is no chart, but an empty text.
    """
    drawn = [(at, _bounded(value)) for at, value in values.points if _drawn(value) and _drawn(at)]
    if not drawn:
        return Markup()
    limits = [(text, _bounded(value)) for text, value in values.limits if _drawn(value)]
    scale = _Scale.of([at for at, _ in drawn], [value for _, value in drawn] + [value for _, value in limits])
    parts = [*_frame(scale, values), *_limits(scale, limits)]
    path, dots = _path(values.points, scale)
    parts.append(Markup('<path class="now-line" d="{}"/>').format(path))
    parts += [Markup('<circle class="now" cx="{}" cy="{}" r="3"/>').format(x, y) for x, y in dots]
    return _svg((_LINE_WIDTH, _LINE_HEIGHT), about, Markup().join(parts), "line")


def meter(value: float | None, limit: float | None) -> Markup:
    """A bar of a value against its limit, which lies at half of the width; decoration beside the number itself."""
    if not _drawn(value) or not _drawn(limit) or limit is None or value is None or limit <= 0:
        return Markup()
    width = round(min(100.0, 50.0 * max(0.0, _bounded(value) / limit)), 1)
    return Markup(
        '<svg class="meter" viewBox="0 0 100 10" aria-hidden="true" focusable="false">'
        '<rect class="track" x="0" y="3" width="100" height="4"/><rect class="{}" x="0" y="2" width="{}" height="6"/>'
        '<path class="mark" d="M50 0v10"/></svg>'
    ).format("over" if width > 50 else "now", width)


@dataclass(frozen=True)
class _Scale:
    """From times and values to places of a line chart."""

    since: float
    until: float
    low: float
    high: float

    @staticmethod
    def of(times: Sequence[float], values: Sequence[float]) -> "_Scale":
        low, high = min(values), max(values)
        if (low > 0 and low < 0.9 * high) or low == high > 0:
            low = 0.0
        if low == high:
            low, high = (0.0, 1.0) if low == 0 else (low, 0.0)
        since, until = min(times), max(times)
        return _Scale(since, until if until > since else since + 1.0, low, high)

    def x(self, at: float) -> float:
        return round(LEFT + (_LINE_WIDTH - LEFT - RIGHT) * (at - self.since) / (self.until - self.since), 1)

    def y(self, value: float) -> float:
        plot = _LINE_HEIGHT - _LINE_TOP - _LINE_BOTTOM
        return round(_LINE_HEIGHT - _LINE_BOTTOM - plot * (value - self.low) / (self.high - self.low), 1)


def _svg(size: tuple[float, float], about: str, inner: Markup, kind: str) -> Markup:
    head = Markup('<svg class="chart {}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}" focusable="false">')
    return head.format(kind, *size, visible(about)) + inner + Markup("</svg>")


def _drawn(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _bounded(value: float | None) -> float:
    """So that differences of the largest numbers are numbers."""
    return max(-_HUGE, min(_HUGE, value or 0.0))


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten.

    >>> _round_up(0.23), _round_up(0.5), _round_up(0.0)
    (0.25, 0.5, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 2.5, 5) if value <= step * power * (1 + 1e-9)), 10 * power)


def _value_axis(top: float) -> Iterator[Markup]:
    """Lines and shares at nothing, half and the top."""
    plot = _BARS_HEIGHT - _BARS_TOP - _BARS_BOTTOM
    for part in (0.0, 0.5, 1.0):
        y = round(_BARS_TOP + plot * (1 - part), 1)
        yield Markup('<path class="axis" d="M{:g} {:g}H{:g}"/>').format(LEFT, y, WIDTH - RIGHT)
        yield Markup('<text x="{:g}" y="{:g}" text-anchor="end">{}</text>').format(LEFT - 6, y + 4, share(part * top))


def _bars(bars: Sequence[Bar], top: float) -> Iterator[Markup]:
    """A pair of bars for each bin, its mark, and its name; with many bins only some names."""
    pitch = (WIDTH - LEFT - RIGHT) / len(bars)
    every = math.ceil(len(bars) / _MOST_LABELS)
    floor, plot = _BARS_HEIGHT - _BARS_BOTTOM, _BARS_HEIGHT - _BARS_TOP - _BARS_BOTTOM
    for place, bar in enumerate(bars):
        left, height = LEFT + pitch * (place + 0.1), 0.0
        for kind, value, shift in (("then", bar.reference, 0.0), ("now", bar.current, 0.4)):
            if not _drawn(value):
                continue
            tall = round(plot * min(1.0, max(0.0, _bounded(value) / top)), 1)
            height = max(height, tall)
            place_of = (kind, round(left + shift * pitch, 1), round(floor - tall, 1), round(0.36 * pitch, 1), tall)
            yield Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(*place_of)
        middle = round(LEFT + pitch * (place + 0.5), 1)
        if bar.marked:
            tip = round(floor - height - 14, 1)
            yield Markup('<path class="carries" d="M{} {}h10l-5 9z"/>').format(round(middle - 5, 1), tip)
        if place % every == 0:
            yield _bin_name(bar.label, middle, floor + 14, minor=len(bars) > 8 and place // every % 2 == 1)


def _bin_name(label: str, x: float, y: float, minor: bool) -> Markup:
    shown = visible(label[: _LABEL_CHARACTERS + 1])
    shown = shown if len(shown) <= _LABEL_CHARACTERS else f"{shown[: _LABEL_CHARACTERS - 1]}…"
    kind, place = "minor" if minor else "major", (round(x + 4, 1), round(y, 1))
    text = Markup('<text class="{}" x="{}" y="{}" text-anchor="end" transform="rotate(-35 {} {})">{}</text>')
    return text.format(kind, *place, *place, shown)


def _frame(scale: _Scale, values: Points) -> Iterator[Markup]:
    """Axes with the lowest and highest value, and the first and last time."""
    floor = _LINE_HEIGHT - _LINE_BOTTOM
    yield Markup('<path class="axis" d="M{:g} {:g}V{:g}H{:g}"/>').format(LEFT, _LINE_TOP, floor, _LINE_WIDTH - RIGHT)
    for value in (scale.low, scale.high):
        y = scale.y(value) + 4
        yield Markup('<text x="{:g}" y="{:g}" text-anchor="end">{}</text>').format(LEFT - 6, y, values.write(value))
    for at, anchor in ((scale.since, "start"), (scale.until, "end")):
        place = (scale.x(at), _LINE_HEIGHT - 6, anchor)
        yield Markup('<text x="{:g}" y="{:g}" text-anchor="{}">{}</text>').format(*place, utc(at)[5:16])


def _limits(scale: _Scale, limits: Sequence[tuple[str, float]]) -> Iterator[Markup]:
    for text, value in limits:
        y = scale.y(value)
        yield Markup('<path class="limit" d="M{:g} {:g}H{:g}"/>').format(LEFT, y, _LINE_WIDTH - RIGHT)
        place = (_LINE_WIDTH - RIGHT, max(y - 4, 10.0))
        yield Markup('<text class="limit-name" x="{:g}" y="{:g}" text-anchor="end">{}</text>').format(
            *place, visible(text)
        )


def _path(points: Sequence[tuple[float, float | None]], scale: _Scale) -> tuple[str, list[tuple[float, float]]]:
    """The line through the values, and the values that have no neighbour."""
    words, dots, run = list[str](), list[tuple[float, float]](), list[tuple[float, float]]()
    for at, value in (*points, (math.nan, None)):
        if _drawn(value) and _drawn(at):
            run.append((scale.x(at), scale.y(_bounded(value))))
            continue
        if len(run) == 1:
            dots += run
        elif run:
            words.append("M" + "L".join(f"{x:g} {y:g}" for x, y in run))
        run = []
    return "".join(words), dots
