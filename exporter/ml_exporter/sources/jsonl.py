"""JSON lines to rows: a fast parser for what is clean, a slow one for the rest, and the same result from both.

`columns` takes lines that share a skeleton, whole columns at a time; every line that it declines goes to
`values.read_line`. Blank lines are no lines. A byte order mark at the start of a file is skipped, and so are NUL bytes
before a line: a truncated file whose writer kept its place begins with a hole of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ml_exporter.records import ARROW_TYPES, Field, Reject
from ml_exporter.sources.columns import Part, take_columns
from ml_exporter.sources.lines import Flags, Ints, Lines, split
from ml_exporter.sources.rows import Rows
from ml_exporter.sources.scanner import Scanner
from ml_exporter.sources.times import read_times
from ml_exporter.sources.values import Expected, Row, expected, read_line

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Slow:
    """Lines read one by one: rows with the number of their line, and what was rejected."""

    places: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Parser:
    """Parses chunks of one source. Not for use by two threads at a time, because its scanner is not."""

    wanted: Expected
    max_line_bytes: int
    scanner: Scanner | None

    def parse(self, chunk: bytes, offset: int) -> tuple[Rows, ...]:
        """The rows in a chunk that ends at the end of a line. `offset` is its position in its file, in bytes.

        Without a scanner every line is read on its own: slower, with the same result.
        """
        lines = split(chunk)
        parts = take_columns(lines, self._candidates(lines), self.wanted, self.scanner) if self.scanner else []
        taken = np.zeros(len(lines.starts), bool)
        for part in parts:
            taken[part.rows[part.good]] = True
        slow = self._slow(lines, np.flatnonzero(~taken), offset)
        found = [_quick_rows(part, lines, offset) for part in parts]
        if slow.rows or slow.rejects or not found:
            found.append(_slow_rows(slow, self.wanted, lines, offset))
        return tuple(found)

    def _candidates(self, lines: Lines) -> Ints:
        r"""Lines that may have a skeleton: not too long, without `\"`, with which a quote need not end a string."""
        good: Flags = lines.ends - lines.starts <= self.max_line_bytes
        if b"\\" in lines.chunk:
            escaped = np.flatnonzero((lines.octets[:-1] == ord("\\")) & (lines.octets[1:] == ord('"')))
            good[np.searchsorted(lines.ends, escaped)] = False
        return np.flatnonzero(good)

    def _slow(self, lines: Lines, places: Ints, offset: int) -> _Slow:
        slow = _Slow()
        for place in places.tolist():
            line = lines.line(place)
            if offset == 0 and place == 0:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            content = line.strip().lstrip(b"\0").strip()
            if not content:
                continue
            is_long = len(line) > self.max_line_bytes
            row = None if is_long else read_line(content, self.wanted)
            if row is None:
                start = offset + int(lines.starts[place])
                slow.rejects.append(Reject("too_long" if is_long else "malformed", start))
            else:
                slow.places.append(place)
                slow.rows.append(row)
        return slow


def parser(fields: tuple[Field, ...], max_line_bytes: int, scanner: Scanner | None) -> Parser:
    """A parser of lines with these fields."""
    return Parser(expected(fields), max_line_bytes, scanner)


def _quick_rows(part: Part, lines: Lines, offset: int) -> Rows:
    """The lines of a skeleton that were taken."""
    arrays = tuple(column.array for column in part.columns)
    wrong = {number: column.wrong for number, column in enumerate(part.columns) if column.wrong is not None}
    places = part.rows
    if not part.good.all():
        places = places[part.good]
        chosen = pa.array(part.good)
        arrays = tuple(array.filter(chosen) for array in arrays)
        wrong = {number: flags[part.good] for number, flags in wrong.items()}
    shape_of = np.zeros(len(places), np.int64)
    return Rows(
        part.fields, arrays, wrong, (part.paths,), shape_of, lines.starts[places] + offset, (), _line_at(lines, offset)
    )


def _slow_rows(slow: _Slow, wanted: Expected, lines: Lines, offset: int) -> Rows:
    """The lines that were read one by one. Times are read here."""
    wrong: dict[int, Flags] = {}
    for place, row in enumerate(slow.rows):
        for number in row.wrong:
            wrong.setdefault(number, np.zeros(len(slow.rows), bool))[place] = True
    arrays = []
    for number, item in enumerate(wanted.fields):
        values = [row.values[number] for row in slow.rows]
        if item.kind == "time":
            times, unreadable = read_times(pa.array(values, pa.string()))
            arrays.append(times)
            wrong |= {} if unreadable is None else {number: unreadable}
        else:
            arrays.append(pa.array(values, ARROW_TYPES[item.kind]))
    numbers: dict[tuple[tuple[str, ...], ...], int] = {}
    shape_of = np.array([numbers.setdefault(row.keys, len(numbers)) for row in slow.rows], np.int64)
    shapes = tuple(wanted.paths(keys) for keys in numbers) or (frozenset(),)
    offsets = lines.starts[np.array(slow.places, np.int64)] + offset
    return Rows(
        wanted.fields, tuple(arrays), wrong, shapes, shape_of, offsets, tuple(slow.rejects), _line_at(lines, offset)
    )


def _line_at(lines: Lines, offset: int) -> Callable[[int], bytes]:
    """The line that begins at a place in the file."""

    def line_at(place: int) -> bytes:
        start = place - offset
        return lines.chunk[start : lines.chunk.index(b"\n", start)]

    return line_at
