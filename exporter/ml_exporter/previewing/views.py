"""What a panel shows, by kind, ready to be drawn. Times are Unix seconds; NaN in a line is a gap."""

from dataclasses import dataclass

from ml_exporter.previewing.fields import Field, Shown
from ml_exporter.previewing.times import Range


@dataclass(frozen=True)
class Address:
    """A link of a value: its title and address, both as text from anywhere."""

    title: str
    url: str


@dataclass(frozen=True)
class Line:
    """A series over time."""

    field: Field
    times: tuple[float, ...]
    values: tuple[float, ...]
    calculated: tuple[Shown, ...] = ()
    """One for each heading of the chart."""
    links: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Chart:
    """Lines over time, and the calculations that their legend shows."""

    range: Range
    lines: tuple[Line, ...]
    headings: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """One number, its place between the least and the most, and what it was before."""

    name: str
    shown: Shown
    share: float | None = None
    trend: tuple[float, ...] = ()
    links: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Numbers:
    """Numbers side by side."""

    items: tuple[Number, ...]


@dataclass(frozen=True)
class Bars:
    """Numbers as bars, one below the other."""

    items: tuple[Number, ...]


@dataclass(frozen=True)
class Span:
    """A time in which a state held."""

    start: float
    end: float
    shown: Shown


@dataclass(frozen=True)
class Lane:
    """The states of one series."""

    name: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Lanes:
    """States over time, a lane a series."""

    range: Range
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Heat:
    """Counts by time and bucket, from the lowest bucket to the highest; the names are the upper ends."""

    range: Range
    step: float
    times: tuple[float, ...]
    names: tuple[str, ...]
    cells: tuple[tuple[float, ...], ...]
    """One tuple a bucket."""
    unit: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    shown: Shown
    links: tuple[Address, ...] = ()
    is_number: bool = False


@dataclass(frozen=True)
class Rows:
    """A table."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Words:
    """A text in Markdown."""

    text: str


@dataclass(frozen=True)
class Nothing:
    """No data."""


View = Chart | Numbers | Bars | Lanes | Heat | Rows | Words | Nothing
