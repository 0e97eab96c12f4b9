"""History of a model: its rows are computed from panes, and limits from its rows.

Hours are compared with the same hour of other days: traffic, and with it everything else, has a daily pattern. The
window `1h` slides, and patterns move (a holiday, the clocks of summer), so its limits reach as far as those of every
hour that it, or half an hour before or after it, lies in.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from ml_exporter.counting import Counting
from ml_exporter.history import Floats, History, Place
from ml_exporter.layout import Vector
from ml_exporter.panes import HOUR
from ml_exporter.statistics.charts import (
    DEVIATION_POINTS,
    ControlLimits,
    Lack,
    control_limits,
    independent_points,
    lack,
)
from ml_exporter.statistics.scales import SCALES
from ml_exporter.vitals.history import SIGNALS, observed
from ml_exporter.vitals.windows import Chart, Shortage, Window, alpha_of

DAY = "1d"
MINIMUM_DAYS = 14
"""Hours have limits when so many days are known: a week must have been seen twice."""
SIGMAS = 3.0
"""Of a day; all hours of a day together give as many false alarms."""


def remember(counting: Counting, now_us: int, most: int | None = None) -> None:
    """Computes the rows of windows that are complete by now, and those that came to be due again.

    At most so many that can wait are computed at once. To be called before panes expire.
    """
    history, timing, oldest_us = counting.history, counting.timing, counting.panes.oldest_us
    if oldest_us is None:
        return
    history.begin(timing.grid.start(HOUR, oldest_us) + timing.grid.hour_us)
    end_us = counting.settled_us(now_us)
    history.advance(end_us, end_us - timing.maturity_us)
    for place in history.take(counting.panes.newest_us - timing.retention_us, most):
        if place[1] >= counting.join.oldest_us:
            with_labels = counting.has_labels and place[1] + history.lengths[place[0]] <= history.matured_us
            history.put(place, observed(counting.layout, _vector(counting, place), with_labels))


def _vector(counting: Counting, place: Place) -> Vector:
    total, (name, start_us) = counting.layout.zeros(), place
    for hour in range(start_us, start_us + counting.history.lengths[name], counting.timing.grid.hour_us):
        pane = counting.panes.get((HOUR, hour))
        if pane is not None:
            total += pane
    return total


def charts_of(
    counting: Counting, current: Sequence[Window], matured: Sequence[Window], day_seconds: float
) -> Iterator[Chart]:
    """The chart of every signal that the model has, over hours and days, where there is such a window."""
    history = counting.history
    known = {signal for block in history.blocks.values() for signal in block}
    for name, signal in product(history.lengths, (signal for signal in SIGNALS if signal in known)):
        windows = matured if SIGNALS[signal].matures else current
        window = next((window for window in windows if window.name == name), None)
        if window is not None:
            sigmas = -float(ndtri(alpha_of(float(ndtr(-SIGMAS)), window.seconds, day_seconds)))
            yield _chart(signal, window, [*_limits(history, window, signal, sigmas)])


class _Lacking(NamedTuple):
    """Why a history gives no limits and, if it is too short, by how much."""

    lack: Lack
    shortage: Shortage | None


def _chart(signal: str, window: Window, found: Sequence[tuple[float, ControlLimits | _Lacking]]) -> Chart:
    """Limits that reach as far as all of these, around a centre weighted by their parts of the window."""
    limits = [(part, item) for part, item in found if isinstance(item, ControlLimits)]
    for part, item in found:
        if part and not isinstance(item, ControlLimits):
            return Chart(window.name, signal, lack=item.lack, shortage=item.shortage)
    back, total = SCALES[SIGNALS[signal].scale].back, sum(part for part, _ in limits)
    centre = sum(part * item.centre for part, item in limits) / total
    lower, upper = min(item.lower for _, item in limits), max(item.upper for _, item in limits)
    step = limits[0][1].range_upper if window.name == DAY else None
    span = None if step is None else back(centre + step / 2) - back(centre - step / 2)
    return Chart(window.name, signal, back(centre), back(lower), back(upper), span)


def _limits(
    history: History, window: Window, signal: str, sigmas: float
) -> Iterator[tuple[float, ControlLimits | _Lacking]]:
    """What the rows before a window say of it: of a day the days, of an hour each hour around it, with its part of it.

    A row that lies partly in the window is not among them. On the scale of the signal.
    """
    length = history.lengths[window.name]
    if window.name == DAY:
        yield 1.0, _found(history, (DAY, signal, window.start_us // length, sigmas))
        return
    margin = length // 2
    for hour in range((window.start_us - margin) // length, (window.end_us + margin - 1) // length + 1):
        part = max(0, min(window.end_us, (hour + 1) * length) - max(window.start_us, hour * length))
        yield float(part), _found(history, (window.name, signal, hour, sigmas))


def _found(history: History, key: tuple[str, str, int, float]) -> ControlLimits | _Lacking:
    """The limits before the row of a number, computed once for the rows that there are."""
    if key not in history.memo:
        name, signal, number, sigmas = key
        values = SCALES[SIGNALS[signal].scale].forward(_past(history, name, signal, number))
        days = int(np.count_nonzero(np.isfinite(values)))
        if name != DAY and days < MINIMUM_DAYS:
            history.memo[key] = _Lacking("points", Shortage(days, MINIMUM_DAYS, "days with this hour"))
        else:
            limits = control_limits([values], sigmas)
            history.memo[key] = limits[1] if limits else _lacking(values, days)
    found: ControlLimits | _Lacking = history.memo[key]
    return found


def _lacking(values: Floats, known: int) -> _Lacking:
    found = lack(values)
    if found != "points":
        return _Lacking(found, None)
    points = independent_points(values) if known >= DEVIATION_POINTS else None
    what = "days" if points is None else f"independent days (as many as {known} similar ones are worth)"
    return _Lacking(found, Shortage(known if points is None else points, DEVIATION_POINTS, what))


def _past(history: History, name: str, signal: str, number: int) -> Floats:
    """The values of the rows before one: of all days, or of the same hour of other days. Empty days say nothing."""
    first_us, values = history.series(name, signal)
    if not len(values):
        return values  # and no numbers of windows since 1970
    step = 1 if name == DAY else history.lengths[DAY] // history.lengths[name]
    first = first_us // history.lengths[name]
    past = np.arange(number - step, first - 1, -step)[::-1]
    past = past[past < first + len(values)]
    days_us, rows = history.series(DAY, "window_rows")
    place = past // step - days_us // history.lengths[DAY]
    inside = (place >= 0) & (place < len(rows))
    empty = np.zeros(len(past), np.bool_)
    empty[inside] = rows[place[inside]] == 0
    return np.where(empty, np.nan, values[past - first])
