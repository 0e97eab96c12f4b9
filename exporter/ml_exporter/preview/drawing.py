"""Draws lanes of states, heat maps, and the events that all pictures over time have."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ml_exporter.preview import axes, paper
from ml_exporter.preview.paper import Sheet, ink
from ml_exporter.previewing.answers import Event
from ml_exporter.previewing.units import written
from ml_exporter.previewing.views import Heat, Lanes

Pair = tuple[float, float]
LANE_HEIGHT = 26.0
MOST_LANES, MOST_EVENTS = 40, 100


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
    left_out: int = 0
    """Series that are too many to be drawn."""


def mark(axis: Axes, events: Sequence[Event], sheet: Sheet) -> None:
    """A dotted line where an event began, and a strip at the bottom for as long as it lasted."""
    place, height = axis.get_xaxis_transform(), 4.0 / sheet.height
    for event in events[:MOST_EVENTS]:
        look: dict[str, Any] = {"color": ink(event.color), "gid": sheet.named(event.title), "transform": place}
        strip = Rectangle((event.start, 0), event.end - event.start, height, alpha=0.5, linewidth=0, **look)
        dotted = Line2D((event.start,) * 2, (0, 1), alpha=0.6, linewidth=1, linestyle=(0, (1, 3)), **look)
        axis.add_artist(strip)
        axis.add_artist(dotted)


def lanes(view: Lanes, events: Sequence[Event], sheet: Sheet) -> Drawn:
    """A lane a series; each is as high as a line of text, whatever the height of the sheet."""
    shown, width = view.lanes[:MOST_LANES], sheet.width
    sheet = replace(sheet, height=LANE_HEIGHT * len(shown) + axes.BOTTOM + axes.TOP)
    size, figure = (sheet.width, sheet.height), sheet.figure()
    names = [paper.plain(lane.name) for lane in shown]
    axis = axes.new(figure, size, view.range, left=axes.room(names, width))
    mark(axis, events, sheet)
    palette = _state_colors(view)
    for row, lane in enumerate(shown):
        for span in lane.spans:
            color = span.shown.color or palette[span.shown.text]
            gid = sheet.named(f"{lane.name}: {span.shown.text}")
            wide = max(span.end - span.start, view.range.seconds / 500)
            _block(axis, (span.start, row - 0.35), (wide, 0.7), color, 1.0, gid)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axes.named(axis, [float(row) for row in range(len(shown))], names)
    return Drawn(paper.svg(figure, sheet), *size, left_out=len(view.lanes) - len(shown))


def _block(axis: Axes, corner: Pair, size: Pair, color: str, alpha: float, gid: str) -> None:
    axis.add_artist(Rectangle(corner, *size, facecolor=ink(color), edgecolor="none", linewidth=0, alpha=alpha, gid=gid))


def _state_colors(view: Lanes) -> Mapping[str, str]:
    texts = dict.fromkeys(span.shown.text for lane in view.lanes for span in lane.spans)
    return {text: f"series{number % paper.SERIES}" for number, text in enumerate(texts)}


def heat(view: Heat, sheet: Sheet) -> Drawn:
    """Counts as depth of colour: a rectangle for each cell that is not empty, deeper by the square root."""
    figure, size = sheet.figure(), (sheet.width, sheet.height)
    names = ["∞" if math.isinf(float(name)) else written(float(name), view.unit) for name in view.names]
    axis = axes.new(figure, size, view.range, left=axes.room(names, size[0]))
    most = max((value for row in view.cells for value in row), default=0.0) or 1.0
    for row, start, depth, value in _cells(view, most):
        gid = sheet.named(f"≤ {names[row]}: {value:.3g}")
        _block(axis, (start, row - 0.5), (view.step, 1.0), "orange", depth, gid)
    axis.set_ylim(-0.5, len(names) - 0.5)
    every = max(1, math.ceil(len(names) * 16 / size[1]))
    axes.named(axis, [float(row) for row in range(0, len(names), every)], names[::every])
    return Drawn(paper.svg(figure, sheet), *size)


def _cells(view: Heat, most: float) -> Iterator[tuple[int, float, float, float]]:
    for row, values in enumerate(view.cells):
        for at, value in zip(view.times, values, strict=True):
            if value > 0:
                yield row, at, max(math.sqrt(value / most), 0.08), value
