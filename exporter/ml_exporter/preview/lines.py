"""Draws lines over time, with bands, thresholds and events."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from ml_exporter.preview import axes, paper
from ml_exporter.preview.drawing import Drawn, Stroke, mark
from ml_exporter.preview.paper import Sheet, ink
from ml_exporter.previewing.answers import Event
from ml_exporter.previewing.units import written
from ml_exporter.previewing.views import Chart, Line

Floats = npt.NDArray[np.float64]
_DASHES = ((), (6, 2), (2, 2), (8, 2, 2, 2), (1, 3))


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


def chart(view: Chart, events: Sequence[Event], sheet: Sheet) -> Drawn:
    """Lines over time, with bands, thresholds and events."""
    looks, figure, size = strokes(view.lines), sheet.figure(), (sheet.width, sheet.height)
    left = axes.new(figure, size, view.range)
    sides = [str(line.field.get("custom.axisPlacement", "auto")) == "right" for line in view.lines]
    right = axes.second(left) if any(sides) and not all(sides) else None
    mark(left, events, sheet)
    bases = _stacked(view.lines)
    for line, look, is_right, base in zip(view.lines, looks, sides, bases, strict=True):
        _line(right if right is not None and is_right else left, line, look, base, sheet)
    for axis, chosen in ((left, False), (right, True)):
        own = [line for line, is_right in zip(view.lines, sides, strict=True) if right is None or is_right == chosen]
        if axis is not None and own:
            _bands(axis, own, looks if right is None else strokes(own))
            axes.values(axis, own, size[1])
            _thresholds(axis, own[0])
    return Drawn(paper.svg(figure, sheet), *size, looks)


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


def _line(axis: Axes, line: Line, look: Stroke, base: Floats, sheet: Sheet) -> None:
    get = line.field.get
    times, values = np.array(line.times), _finite(line.values) + base
    color, width = ink(look.color), float(get("custom.lineWidth", 1)) * 1.25
    how, stepped = get("custom.drawStyle", "line"), get("custom.lineInterpolation") in ("stepAfter", "stepBefore")
    gid = sheet.named(f"{line.field.name} (last {_last(line)})")
    if how == "bars":
        _bars(axis, times, np.array([base, values]), color, gid)
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


def _bars(axis: Axes, times: Floats, ends: Floats, color: str, gid: str) -> None:
    """A bar at each time, as one path. `ends` (2, n) are where they begin and end."""
    width = 0.8 * float(np.diff(times).min()) if len(times) > 1 else 60.0
    have = np.isfinite(ends).all(axis=0)
    bars = [
        Path([(at, low), (at, high), (at + width, high), (at + width, low), (at, low)], closed=True)
        for at, low, high in zip(times[have], *ends[:, have], strict=True)
    ]
    if bars:
        axis.add_patch(PathPatch(Path.make_compound_path(*bars), color=color, alpha=0.7, linewidth=0, gid=gid))
        axis.autoscale_view()  # a patch does not do it


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
