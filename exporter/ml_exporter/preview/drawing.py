"""Draws what changes over time: lines, lanes of states, heat maps. Everything else of a page is HTML."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ml_exporter.preview import axes, paper
from ml_exporter.preview.paper import ink
from ml_exporter.previewing.answers import Event
from ml_exporter.previewing.units import written
from ml_exporter.previewing.views import Chart, Heat, Lanes, Line

Floats = npt.NDArray[np.float64]
Pair = tuple[float, float]
_DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2), (1, 3))
LANE_HEIGHT = 26.0
MOST_LANES = 40


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn: its colour by name, and its dashes in pixels."""

    color: str
    dashes: tuple[float, ...]


@dataclass(frozen=True)
class Drawn:
    """A picture as SVG, its size in pixels, and the strokes of its lines, in their order."""

    svg: str
    width: float
    height: float
    strokes: tuple[Stroke, ...] = ()


@dataclass
class _Sheet:
    """A figure and the tooltips of its parts."""

    width: float
    height: float
    key: str
    names: dict[str, str] = field(default_factory=dict)

    def named(self, text: str) -> str:
        """A gid that carries a tooltip."""
        gid = f"t{len(self.names)}"
        self.names[gid] = paper.plain(text)
        return gid


def strokes(lines: Sequence[Line]) -> tuple[Stroke, ...]:
    """Colours and dashes: those of the dashboard, else colours by turns, and dashes once all have been used."""
    found, number = [], 0
    for line in lines:
        style = line.field.get("custom.lineStyle", {})
        dashes = tuple(style.get("dash", (8, 6))) if style.get("fill") in ("dash", "dot") else ()
        color = line.field.color
        if not color:
            color = f"series{number % paper.SERIES}"
            dashes = dashes or _DASHES[number // paper.SERIES % len(_DASHES)]
            number += 1
        found.append(Stroke(color, dashes))
    return tuple(found)


def chart(view: Chart, events: Sequence[Event], size: tuple[float, float], key: str) -> Drawn:
    """Lines over time, with bands, thresholds and events. `size` is in pixels."""
    sheet, looks = _Sheet(*size, key), strokes(view.lines)
    figure = paper.figure(*size)
    left = axes.new(figure, size, view.range)
    sides = [str(line.field.get("custom.axisPlacement", "auto")) == "right" for line in view.lines]
    right = axes.second(left) if any(sides) and not all(sides) else None
    _events(left, events, sheet)
    bases = _stacked(view.lines)
    for line, look, is_right, base in zip(view.lines, looks, sides, bases, strict=True):
        _line(right if right is not None and is_right else left, line, look, base, sheet)
    for axis, chosen in ((left, False), (right, True)):
        own = [line for line, is_right in zip(view.lines, sides, strict=True) if right is None or is_right == chosen]
        if axis is not None and own:
            _bands(axis, own, looks if right is None else strokes(own))
            axes.values(axis, own, size[1])
            _thresholds(axis, own[0])
    return Drawn(paper.svg(figure, sheet.names, key), *size, looks)


def _stacked(lines: Sequence[Line]) -> list[Floats]:
    """What is below each line: nothing, or the lines before it where they are stacked."""
    below: dict[float, float] = {}
    found = []
    for line in lines:
        is_stacked = line.field.get("custom.stacking", {}).get("mode", "none") != "none"
        found.append(np.array([below.get(at, 0.0) if is_stacked else 0.0 for at in line.times]))
        if is_stacked:
            for at, value in zip(line.times, line.values, strict=True):
                below[at] = below.get(at, 0.0) + (value if math.isfinite(value) else 0.0)
    return found


def _line(axis: Axes, line: Line, look: Stroke, base: Floats, sheet: _Sheet) -> None:
    get = line.field.get
    times, values = np.array(line.times), _finite(line.values) + base
    color, width = ink(look.color), float(get("custom.lineWidth", 1)) * 1.25
    how, stepped = get("custom.drawStyle", "line"), get("custom.lineInterpolation") in ("stepAfter", "stepBefore")
    gid = sheet.named(f"{line.field.name} (last {_last(line)})")
    if how == "bars":
        step = float(np.diff(times).min()) if len(times) > 1 else 60.0
        for bar in axis.bar(times, values - base, width=0.8 * step, bottom=base, color=color, alpha=0.7):
            bar.set_gid(gid)
        return
    style = (0, tuple(part / max(width, 1.0) for part in look.dashes)) if look.dashes else "solid"
    if width and how != "points":
        drawn = "steps-post" if stepped else "default"
        axis.plot(times, values, color=color, linewidth=width, linestyle=style, drawstyle=drawn, gid=gid)
    lonely = np.isfinite(values) & ~_neighbours(values)
    marked = np.isfinite(values) if how == "points" or get("custom.showPoints") == "always" else lonely
    if marked.any() and width:
        axis.plot(times[marked], values[marked], linestyle="none", marker="o", markersize=3, color=color, gid=gid)
    opacity = float(get("custom.fillOpacity", 0)) / 100
    if opacity and not get("custom.fillBelowTo"):
        until: Literal["post"] | None = "post" if stepped else None
        axis.fill_between(times, base, values, color=color, alpha=opacity, linewidth=0, step=until)


def _last(line: Line) -> str:
    finite = [value for value in line.values if math.isfinite(value)]
    return written(finite[-1], line.field.unit, line.field.decimals) if finite else "no value"


def _finite(values: Sequence[float]) -> Floats:
    found = np.array(values, dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def _neighbours(values: Floats) -> npt.NDArray[np.bool_]:
    """Whether the value before or behind is there too."""
    have = np.isfinite(values)
    beside = np.zeros_like(have)
    beside[1:] |= have[:-1]
    beside[:-1] |= have[1:]
    return beside


def _bands(axis: Axes, lines: Sequence[Line], looks: Sequence[Stroke]) -> None:
    """What lies between a line and the one that it is filled to."""
    by_name = {line.field.name: line for line in lines}
    for line, look in zip(lines, looks, strict=True):
        other = by_name.get(str(line.field.get("custom.fillBelowTo", "")))
        if other:
            lower = dict(zip(other.times, other.values, strict=True))
            bottom = _finite([lower.get(at, math.nan) for at in line.times])
            opacity = float(line.field.get("custom.fillOpacity", 20)) / 100
            top, color = _finite(line.values), ink(look.color)
            axis.fill_between(np.array(line.times), bottom, top, color=color, alpha=opacity, linewidth=0)


def _thresholds(axis: Axes, line: Line) -> None:
    """Lines at the thresholds of a panel, where it draws them."""
    mode = line.field.get("custom.thresholdsStyle", {}).get("mode", "off")
    if mode == "off":
        return
    for step in line.field.steps:
        if math.isfinite(step.value):
            style = "dashed" if "dashed" in mode else "solid"
            axis.axhline(step.value, color=ink(step.color or "red"), linewidth=1, linestyle=style)


def _events(axis: Axes, events: Sequence[Event], sheet: _Sheet) -> None:
    for event in events:
        gid = sheet.named(event.title)
        axis.axvspan(event.start, event.end, color=ink(event.color), alpha=0.12, linewidth=0, gid=gid)
        axis.axvline(event.start, color=ink(event.color), linewidth=1, linestyle=(0, (2, 2)), gid=gid)


def lanes(view: Lanes, events: Sequence[Event], width: float, key: str) -> Drawn:
    """A lane a series; each is as high as a line of text."""
    shown = view.lanes[:MOST_LANES]
    size = (width, LANE_HEIGHT * len(shown) + axes.BOTTOM + axes.TOP)
    sheet, figure = _Sheet(*size, key), paper.figure(*size)
    names = [paper.plain(lane.name) for lane in shown]
    axis = axes.new(figure, size, view.range, left=axes.room(names, width))
    _events(axis, events, sheet)
    palette = _state_colors(view)
    for row, lane in enumerate(shown):
        for span in lane.spans:
            color = span.shown.color or palette[span.shown.text]
            gid = sheet.named(f"{lane.name}: {span.shown.text}")
            wide = max(span.end - span.start, view.range.seconds / 500)
            _block(axis, (span.start, row - 0.35), (wide, 0.7), color, 1.0, gid)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axes.named(axis, [float(row) for row in range(len(shown))], names)
    return Drawn(paper.svg(figure, sheet.names, key), *size)


def _block(axis: Axes, corner: Pair, size: Pair, color: str, alpha: float, gid: str) -> None:
    axis.add_patch(Rectangle(corner, *size, facecolor=ink(color), edgecolor="none", linewidth=0, alpha=alpha, gid=gid))


def _state_colors(view: Lanes) -> Mapping[str, str]:
    texts = dict.fromkeys(span.shown.text for lane in view.lanes for span in lane.spans)
    return {text: f"series{number % paper.SERIES}" for number, text in enumerate(texts)}


def heat(view: Heat, size: tuple[float, float], key: str) -> Drawn:
    """Counts as depth of colour: a rectangle for each cell that is not empty, deeper by the square root."""
    sheet, figure = _Sheet(*size, key), paper.figure(*size)
    names = ["∞" if math.isinf(float(name)) else written(float(name), view.unit) for name in view.names]
    axis = axes.new(figure, size, view.range, left=axes.room(names, size[0]))
    most = max((value for row in view.cells for value in row), default=0.0) or 1.0
    for row, start, depth, value in _cells(view, most):
        gid = sheet.named(f"≤ {names[row]}: {value:.3g}")
        _block(axis, (start, row - 0.5), (view.step, 1.0), "orange", depth, gid)
    axis.set_ylim(-0.5, len(names) - 0.5)
    every = max(1, math.ceil(len(names) * 16 / size[1]))
    axes.named(axis, [float(row) for row in range(0, len(names), every)], names[::every])
    return Drawn(paper.svg(figure, sheet.names, key), *size)


def _cells(view: Heat, most: float) -> Iterator[tuple[int, float, float, float]]:
    for row, values in enumerate(view.cells):
        for at, value in zip(view.times, values, strict=True):
            if value > 0:
                yield row, at, max(math.sqrt(value / most), 0.08), value
