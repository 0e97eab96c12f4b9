"""The windows of a model: what they hold, why some are absent, and when they mature."""

from collections.abc import Iterator, Mapping

from ml_exporter.config import window_seconds
from ml_exporter.facts.answers import WindowFacts
from ml_exporter.facts.answers.values import Role
from ml_exporter.facts.expected import quality_names
from ml_exporter.facts.views import View
from ml_exporter.facts.words import duration
from ml_exporter.panes import FINE_HOURS
from ml_exporter.pipeline import DELAYS, shortest_by_arrival
from ml_exporter.vitals.windows import Window


def windows_of(view: View, role: Role) -> tuple[Window, ...]:
    """The windows of a role that are there."""
    windows = view.windows
    return {"current": windows.current, "matured": windows.matured, "arrived": windows.arrived or ()}[role]


def roles(view: View) -> tuple[Role, ...]:
    """The roles that windows of the model have."""
    matured: tuple[Role, ...] = ("matured",) if view.known.has_labels else ()
    arrived: tuple[Role, ...] = (
        ("arrived",) if view.known.has_labels and view.known.baseline.layout.align == "arrival" else ()
    )
    return ("current", *matured, *arrived)


def facts_of(view: View, wanted: tuple[Role, ...]) -> Iterator[WindowFacts]:
    """What the windows of some roles hold."""
    layout = view.known.baseline.layout
    for role in wanted:
        for window in windows_of(view, role):
            labels = layout.cells(window.vector, "labels")
            yield WindowFacts(
                window.name,
                role,
                window.seconds,
                window.start_us / 1e6,
                window.end_us / 1e6,
                int(layout.cells(window.vector, "rows")["rows"][0]),
                int(labels["joinable"][0]),
                int(labels["labelled"][0]),
                matures_at(view, window),
                _first_pane_at(view, window),
            )


def _first_pane_at(view: View, window: Window) -> float | None:
    """Where the first pane of a window begins; None while there is none in it."""
    first_us = max(window.start_us, view.panes.oldest_us)
    return first_us / 1e6 if view.panes.oldest_us and first_us < window.end_us else None


def matures_at(view: View, window: Window) -> float | None:
    """When all labels of a window should be there, Unix seconds; None for a model without labels."""
    return (window.end_us + view.known.timing.maturity_us) / 1e6 if view.known.has_labels else None


def names_of(view: View, role: Role) -> tuple[str, ...]:
    """The configured windows of a role."""
    names = view.known.model.windows
    return names.head if role == "current" else quality_names(names)


def missing(view: View, wanted: tuple[Role, ...]) -> Mapping[str, str]:
    """Why configured windows are absent, by role and name."""
    return {
        f"{role} {name}": absent(view, role, name)
        for role in wanted
        for name in names_of(view, role)
        if not any(window.name == name for window in windows_of(view, role))
    }


def absent(view: View, role: Role, name: str) -> str:
    """Why a configured window is absent."""
    if not view.counts.newest_us:
        return "no predictions yet"
    if role == "arrived" and any(window.name == name for window in windows_of(view, "matured")):
        return _too_quick(view, name)
    grid = view.known.timing.grid
    pane, kept, hour = (duration(us / 1e6) for us in (grid.pane_us, FINE_HOURS * grid.hour_us, grid.hour_us))
    maturity = duration(view.known.timing.maturity_us / 1e6)
    ends = "ends further back" if role == "current" else f"ends {maturity} ago or earlier, when labels have matured"
    return f"panes of {pane} are kept for {kept}, and this window {ends}: it would have to be at least {hour} long"


def _too_quick(view: View, name: str) -> str:
    shortest = shortest_by_arrival(view.known.baseline.layout, view.windows.matured)
    if shortest is None:
        return "no label came in the longest matured window, so nobody knows how long labels need"
    length = duration(window_seconds(name, view.known.time))
    if shortest == float("inf"):
        return f"a window of {length} is too short: 95 % of labels need longer than any delay that is counted"
    return f"a window of {length} is shorter than {duration(shortest)}, {DELAYS} times what 95 % of labels need"


def stale(view: View) -> str | None:
    """Why gauges are withheld, in words; None while they are not."""
    if not view.stale:
        return None
    if not view.counts.newest_us:
        return "no predictions yet"
    limit = duration(view.known.timing.stale_after_us / 1e6)
    if not view.windows.current:
        return f"no window is complete; gauges are withheld after {limit}"
    age = duration((view.at_us - view.windows.current[0].end_us) / 1e6)
    return f"the last window ended {age} ago; gauges are withheld after {limit}"


def matures(view: View) -> str:
    """When the labels of the longest current window mature, in words."""
    if not view.known.has_labels:
        return "the configuration names no labels"
    longest = max(view.windows.current, key=lambda window: window.seconds, default=None)
    maturity = duration(view.known.timing.maturity_us / 1e6)
    if longest is None or not view.counts.newest_us:
        return f"labels mature {maturity} after their prediction"
    left = (longest.end_us + view.known.timing.maturity_us - view.at_us) / 1e6
    if left <= 0:
        return f"labels of the current {longest.name} have matured"
    return f"labels of the current {longest.name} mature in {duration(left)}"
