"""The columns of a CSV file: which of them hold the wanted fields, and which keys every row has.

A field at the path `features.temp` is the column of that very name, whether the configuration means an object or not. A
name that stands twice in a header names no column: rows miss it, and nothing is guessed. A column that would be in an
object of features and is none of them is an unknown one, as in JSON.

A writer that was changed may go on in its old file, below a new header. A record that is another header than the
present one, but has one of its two longest names and more than half of all, is taken as such: no row has these values.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml_exporter.records import Field
from ml_exporter.sources.csv_cells import split_cells, without_mark
from ml_exporter.sources.quoted import record_ends

Path = tuple[str, ...]
_LONG_NAME = 6
"""Characters of a name that is looked for as it is."""


@dataclass(frozen=True)
class Header:
    """The names of the columns; the fields that they hold, and at which place; the key paths of every row."""

    names: tuple[str, ...]
    fields: tuple[Field, ...]
    places: tuple[int, ...]
    shape: frozenset[Path]
    delimiter: str

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)

    def text(self, record: bytes, path: Path) -> str | None:
        """The cell of a field in a record; None where there is none."""
        cells = split_cells(record.decode(errors="backslashreplace"), self.delimiter)
        place = next((place for item, place in zip(self.fields, self.places, strict=True) if item.path == path), None)
        return None if cells is None or place is None or place >= len(cells) else cells[place]


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
    return Header(tuple(names), fields, places, frozenset(_paths(once, fields)), delimiter)


def next_header(content: bytes, header: bytes, delimiter: str, limit: int) -> tuple[int, int] | None:
    r"""Where the first record of whole records that is another header begins and ends; None without.

    >>> next_header(b"1,2,3\nid,time,score,x\n1,2,3,4\n", b"id,time,score", ",", 100)
    (6, 22)
    """
    names = split_cells(header.decode(errors="replace"), delimiter) or []
    longest = sorted({*names} - {""}, key=len)[-2:]
    if len(names) < 2:
        return None
    ends = None
    for begin, end in _likely(content, names, longest, delimiter):
        cells = split_cells(without_mark(content[begin:end].rstrip(b"\r\n").decode(errors="replace")), delimiter)
        if not cells or cells == names or 2 * len({*cells} & {*names}) <= len({*names}):
            continue
        ends = record_ends(content, delimiter.encode(), limit) if ends is None else ends
        number = int(np.searchsorted(ends, end))
        if int(ends[number]) == end and begin == (int(ends[number - 1]) if number else 0):
            return begin, end
    return None


def _likely(content: bytes, names: list[str], longest: list[str], delimiter: str) -> Iterator[tuple[int, int]]:
    """Lines with one of the longest names in which more than half of all names occur, though perhaps not as cells."""
    texts = [name.encode(errors="replace") for name in {*names}]
    end = 0
    for place in heapq.merge(*(_occurrences(content, name, delimiter) for name in longest)):
        if place < end:
            continue
        begin = content.rfind(b"\n", 0, place) + 1
        end = content.find(b"\n", place) + 1 or len(content)
        line = content[begin:end]
        allowed = (len(texts) - 1) // 2
        for text in texts:
            allowed -= text not in line
            if allowed < 0:
                break
        else:
            yield begin, end


def _occurrences(content: bytes, name: str, delimiter: str) -> Iterator[int]:
    """Places where a name may be a cell, in ascending order. Short names are parts of many values."""
    texts = [name] if len(name) >= _LONG_NAME else [name + delimiter, delimiter + name, f'"{name}"']
    return heapq.merge(*(_all(content, text.encode(errors="replace")) for text in texts))


def _all(content: bytes, text: bytes) -> Iterator[int]:
    place = content.find(text)
    while place >= 0:
        yield place
        place = content.find(text, place + 1)


def _paths(names: set[str], fields: tuple[Field, ...]) -> Iterator[Path]:
    """The paths of the fields, and those that other names stand for, with the objects around them."""
    known = {".".join(item.path) for item in fields}
    for path in (*(item.path for item in fields), *(tuple(name.split(".")) for name in names - known)):
        for size in range(1, len(path) + 1):
            yield path[:size]
