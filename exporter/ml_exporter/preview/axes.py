"""Axes of time and of values."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ml_exporter.preview.paper import ink, plain
from ml_exporter.previewing.times import Range
from ml_exporter.previewing.units import scale
from ml_exporter.previewing.views import Line

LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 8.0, 22.0
FONT = 11.0
LETTER = 6.4
"""Pixels that a letter takes, about."""
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400),
    *(172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000),
)


def new(figure: Figure, size: tuple[float, float], found: Range, left: float = LEFT) -> Axes:
    """Axes that fill a figure but for their texts, with a time axis."""
    width, height = size
    box = (left / width, BOTTOM / height, (width - left - RIGHT) / width, (height - TOP - BOTTOM) / height)
    axis = figure.add_axes(box)
    axis.patch.set_visible(False)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink("line"))
    axis.tick_params(colors=ink("line"), labelcolor=ink("quiet"), labelsize=FONT, length=3)
    axis.set_xlim(found.start, found.end)
    ticks, texts = times(found, (width - left - RIGHT) / 90)
    axis.set_xticks(ticks, texts)
    axis.set_axisbelow(True)
    return axis


def second(axis: Axes) -> Axes:
    """Values on the right, at the same times."""
    other = axis.twinx()
    for spine in other.spines.values():
        spine.set_visible(False)
    other.tick_params(colors=ink("line"), labelcolor=ink("quiet"), labelsize=FONT, length=3)
    axis.set_position((*axis.get_position().bounds[:2], axis.get_position().width - 0.08, axis.get_position().height))
    other.set_position(axis.get_position())
    return other


def times(found: Range, most: float) -> tuple[list[float], list[str]]:
    """Round instants in UTC, at most as many, and their texts: days where it is midnight."""
    step = next((item for item in _STEPS if found.seconds / item <= max(most, 1.0)), _STEPS[-1])
    ticks = [at * step for at in range(math.ceil(found.start / step), math.floor(found.end / step) + 1)]
    form = "%H:%M:%S" if step < 60 else "%H:%M"
    moments = [datetime.fromtimestamp(at, UTC) for at in ticks]
    return [float(at) for at in ticks], [
        moment.strftime("%d %b" if at % 86_400 == 0 else form) for at, moment in zip(ticks, moments, strict=True)
    ]


def values(axis: Axes, lines: Sequence[Line], height: float) -> None:
    """The axis of values, in the unit of the first line."""
    field = lines[0].field
    if field.get("custom.scaleDistribution", {}).get("type") == "log":
        axis.set_yscale("log")
        return
    low, high = axis.get_ylim()
    low = min(low, float(field.get("custom.axisSoftMin", low)))
    high = max(high, float(field.get("custom.axisSoftMax", high)))
    low, high = float(field.get("min", low)), float(field.get("max", high))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    found = scale(field.unit, max(abs(low), abs(high)))
    ticks = MaxNLocator(max(2, int(height // 45))).tick_values(low / found.factor, high / found.factor)
    inside = [float(tick) for tick in ticks if low <= tick * found.factor <= high]
    axis.set_ylim(low, high)
    texts = [_tick(tick) + plain(found.suffix) for tick in inside]
    axis.set_yticks([tick * found.factor for tick in inside], texts, parse_math=False)
    axis.grid(visible=True, axis="y", color=ink("line"), linewidth=0.6)


def _tick(value: float) -> str:
    return f"{round(value, 9):.10g}"


def named(axis: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    """Names at the places of the vertical axis."""
    axis.set_yticks(list(places), [_cut(name) for name in names], parse_math=False)
    axis.tick_params(axis="y", length=0, labelcolor=ink("text"))


def _cut(name: str, most: int = 48) -> str:
    text = plain(name)
    return text if len(text) <= most else text[: most - 1] + "…"


def room(names: Sequence[str], width: float) -> float:
    """Pixels that the longest name takes, at most half of the width."""
    longest = max((len(_cut(name)) for name in names), default=0)
    return min(max(LEFT, LETTER * longest + 12), width / 2)
