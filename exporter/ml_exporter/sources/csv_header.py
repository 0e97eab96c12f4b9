"""The columns of a CSV file: which of them hold the wanted fields, and which keys every row has.

A field at the path `features.temp` is the column of that very name, whether the configuration means an object or not. A
name that stands twice in a header names no column: rows miss it, and nothing is guessed. A column that would be in an
object of features and is none of them is an unknown one, as in JSON.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ml_exporter.records import Field
from ml_exporter.sources.csv_cells import split_cells, without_mark

Path = tuple[str, ...]


@dataclass(frozen=True)
class Header:
    """The names of the columns; the fields that they hold, and at which place; the key paths of every row."""

    names: tuple[str, ...]
    fields: tuple[Field, ...]
    places: tuple[int, ...]
    shape: frozenset[Path]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)


def read_header(line: bytes, delimiter: str, wanted: tuple[Field, ...]) -> Header | None:
    """The header in a line without its line end; None where it is none: it is no UTF-8, or its quotes make no sense.

    >>> found = read_header(b"id,f.x,f.y", ",", (Field("feature:x", ("f", "x"), "number"),))
    >>> found.places, sorted(found.shape)
    ((1,), [('f',), ('f', 'x'), ('f', 'y'), ('id',)])
    """
    try:
        names = split_cells(without_mark(line.decode()), delimiter)
    except UnicodeDecodeError:
        return None
    if names is None or b"\0" in line or not line:
        return None
    once = {name for name, count in Counter(names).items() if count == 1}
    fields = tuple(item for item in wanted if ".".join(item.path) in once)
    places = tuple(names.index(".".join(item.path)) for item in fields)
    return Header(tuple(names), fields, places, frozenset(_paths(once, fields)))


def _paths(names: set[str], fields: tuple[Field, ...]) -> Iterator[Path]:
    """The paths of the fields, and those that other names stand for, with the objects around them."""
    known = {".".join(item.path) for item in fields}
    for path in (*(item.path for item in fields), *(tuple(name.split(".")) for name in names - known)):
        for size in range(1, len(path) + 1):
            yield path[:size]
