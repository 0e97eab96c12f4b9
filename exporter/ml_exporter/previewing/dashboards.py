"""Dashboards of Grafana as frozen values. What only an editor needs is left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Properties = Mapping[str, Any]
"""Options of a field by the id that overrides use: `unit`, `custom.lineWidth`."""


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    ref: str
    expression: str
    legend: str
    format: str
    """`time_series`, `table` or `heatmap`."""
    is_instant: bool
    interval: str
    """The shortest step, or nothing."""


@dataclass(frozen=True)
class Override:
    """Options of the fields that a matcher chooses."""

    matcher: str
    argument: Any
    properties: Properties


@dataclass(frozen=True)
class Link:
    """A link as written, with variables in its title and address."""

    title: str
    url: str
    tags: tuple[str, ...] = ()
    """Of a link to all dashboards that have them, in place of an address."""


@dataclass(frozen=True)
class Place:
    """Where a panel is, in a grid of 24 columns."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Panel:
    """One panel."""

    kind: str
    title: str
    description: str
    place: Place
    targets: tuple[Target, ...]
    properties: Properties
    overrides: tuple[Override, ...]
    options: Mapping[str, Any]
    transformations: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[Link, ...]
    interval: str
    max_points: int | None
    repeat: str


@dataclass(frozen=True)
class Row:
    """Panels under a heading, which may be empty."""

    title: str
    panels: tuple[Panel, ...]
    repeat: str = ""


@dataclass(frozen=True)
class Variable:
    """A variable. `query` is of the language of its kind."""

    name: str
    label: str
    kind: str
    query: str
    regex: str
    sort: int
    is_multi: bool
    includes_all: bool
    all_value: str
    current: tuple[str, ...]
    is_hidden: bool


@dataclass(frozen=True)
class Annotation:
    """Events that a query finds."""

    name: str
    expression: str
    step: str
    title: str
    text: str
    color: str


@dataclass(frozen=True)
class Dashboard:
    """One dashboard."""

    uid: str
    title: str
    description: str
    start: str
    end: str
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]
    links: tuple[Link, ...]
    tags: tuple[str, ...]
    rows: tuple[Row, ...]

    def panels(self) -> Iterator[Panel]:
        """All panels, in reading order."""
        for row in self.rows:
            yield from row.panels
