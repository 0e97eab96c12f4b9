r"""CSV records to rows: a fast parser for what is clean, a slow one for the rest, and the same result from both.

pyarrow's CSV reader takes the records that are proved, by numpy on their bytes, to be what it expects: every quote in
its place, as many cells as the header, valid UTF-8, no NUL, no lone carriage return, no blank at the start. All other
records, and those with a value about which there is doubt (an unreadable time, a number that is not finite), are read
one by one by the rules of `csv_cells`.

Outcomes: a record with too few or too many cells, a quote that makes no sense, a NUL, invalid UTF-8 or a lone carriage
return is `malformed`, one over the limit `too_long`. A blank line is no record, and neither is a repeated header, as
when files were concatenated. NULs at the start of a record are skipped: the hole of a truncated file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.records import ARROW_TYPES, Field, Kind, Reject
from ml_exporter.sources.csv_cells import Value, read_flag, read_number, split_cells, without_mark
from ml_exporter.sources.csv_header import Header, read_header
from ml_exporter.sources.csv_records import Records, cut
from ml_exporter.sources.csv_table import FEWEST_RECORDS, read_table
from ml_exporter.sources.lines import Flags, Ints
from ml_exporter.sources.rows import Rows
from ml_exporter.sources.times import microseconds


@dataclass(frozen=True)
class CsvParser:
    """Parses chunks of CSV files with these fields. Any thread may use it. Without `fast`: slower, the same result."""

    wanted: tuple[Field, ...]
    delimiter: str
    max_line_bytes: int
    fast: bool = True

    def parse(self, content: bytes, header: bytes, offset: int) -> list[Rows]:
        """The rows of a chunk, which holds whole records from `offset` on in its file, but not the header line."""
        head = read_header(header, self.delimiter, self.wanted)
        records = cut(content, self.delimiter, self.max_line_bytes)
        parts = []
        taken = np.zeros(len(records.starts), bool)
        line_at = _finder(records, offset)
        if self.fast and head and any(item.kind == "time" for item in head.fields):
            clean = np.flatnonzero(records.clean(head.width))
            found = read_table(records, clean, head, self.delimiter) if len(clean) >= FEWEST_RECORDS else None
            if found is not None:
                taken[found.rows] = True
                offsets = offset + records.starts[found.rows]
                shape_of = np.zeros(len(offsets), np.int64)
                parts.append(
                    Rows(
                        head.fields, found.arrays, found.wrong, (head.shape,), shape_of, offsets, (), line_at, head.text
                    )
                )
        rest = np.flatnonzero(~taken)
        if len(rest) or not parts:
            slow = _Slow(head, self.delimiter, self.max_line_bytes)
            for row in rest.tolist():
                slow.take(records.line(row), offset + int(records.starts[row]))
            parts.append(slow.rows(line_at))
        return parts


def _finder(records: Records, offset: int) -> Callable[[int], bytes]:
    return lambda place: records.line(int(np.searchsorted(records.starts, place - offset)))


@dataclass
class _Slow:
    """Records read one by one."""

    header: Header | None
    delimiter: str
    limit: int
    offsets: list[int] = field(default_factory=list)
    accepted: list[list[str]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def take(self, record: bytes, offset: int) -> None:
        """Takes a record apart."""
        content = record.lstrip(b"\0")
        if not content.strip(b" " if self.delimiter == "\t" else b" \t"):
            return
        cells = self._cells(content) if len(record) <= self.limit else None
        if cells is None:
            self.rejects.append(Reject("too_long" if len(record) > self.limit else "malformed", offset))
        elif cells:
            self.offsets.append(offset)
            self.accepted.append(cells)

    def _cells(self, content: bytes) -> list[str] | None:
        """The cells of a record; none for a repeated header, None for what is malformed."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return None
        cells = split_cells(without_mark(text), self.delimiter)
        if cells is None or "\0" in text or self.header is None or len(cells) != self.header.width:
            return None
        if tuple(cells) == self.header.names:
            return []
        return None if without_mark(text) != text else cells

    def rows(self, line_at: Callable[[int], bytes]) -> Rows:
        """The rows in all records that were accepted."""
        fields = self.header.fields if self.header else ()
        places = self.header.places if self.header else ()
        arrays: list[pa.Array] = []
        wrong: dict[int, Flags] = {}
        for number, (item, place) in enumerate(zip(fields, places, strict=True)):
            array, faulty = _column([cells[place] for cells in self.accepted], item.kind)
            arrays.append(array)
            if faulty.any():
                wrong[number] = faulty
        shape = self.header.shape if self.header else frozenset[tuple[str, ...]]()
        offsets: Ints = np.array(self.offsets, np.int64)
        shape_of = np.zeros(len(offsets), np.int64)
        text_at = self.header.text if self.header else _no_text
        return Rows(fields, tuple(arrays), wrong, (shape,), shape_of, offsets, tuple(self.rejects), line_at, text_at)


def _no_text(line: bytes, path: tuple[str, ...]) -> str | None:
    """Without a header no cell has a name."""
    return None


def _column(cells: list[str], kind: Kind) -> tuple[pa.Array, Flags]:
    """The values of some cells, and which have a wrong type."""
    if kind in ("number", "flag"):
        rule: Callable[[str], tuple[Value, bool]] = read_number if kind == "number" else read_flag
        read = [rule(text) for text in cells]
        array = pa.array([value for value, _ in read], ARROW_TYPES[kind])
        return array, np.array([is_wrong for _, is_wrong in read], bool)
    array = pa.array([text or None for text in cells], pa.string())
    if kind == "time":
        times = microseconds(array)
        return times, pc.and_(array.is_valid(), times.is_null()).to_numpy(zero_copy_only=False)
    return array, np.zeros(len(cells), bool)
