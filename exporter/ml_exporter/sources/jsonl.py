"""JSON lines to batches: a fast parser for what is clean, a slow one for the rest, and the same result from both.

`columns` takes lines that share a skeleton, whole columns at a time; every line that it declines goes to
`values.read_line`. Blank lines are no lines. A byte order mark at the start of a file is skipped, and so are NUL bytes
before a line: a truncated file whose writer kept its place begins with a hole of them.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ml_exporter.records import ARROW_TYPES, Batch, Field, Reject, schema
from ml_exporter.sources.columns import Part, take_columns
from ml_exporter.sources.lines import Flags, Ints, Lines, split
from ml_exporter.sources.scanner import Scanner
from ml_exporter.sources.times import microseconds
from ml_exporter.sources.values import Expected, Row, expected, read_line

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Slow:
    """Lines read one by one: accepted rows with their line, and what was rejected or blank."""

    rows: list[int] = field(default_factory=list)
    accepted: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Parser:
    """Parses chunks of one source. Not for use by two threads at a time, because its scanner is not."""

    wanted: Expected
    max_line_bytes: int
    scanner: Scanner | None

    def parse(self, chunk: bytes, offset: int) -> Batch:
        """The rows in a chunk that ends at the end of a line. `offset` is its position in its file, in bytes.

        Without a scanner every line is read on its own: slower, with the same result.
        """
        if not chunk:
            return Batch(schema(self.wanted.fields).empty_table(), 0)
        lines = split(chunk)
        parts = take_columns(lines, self._candidates(lines), self.wanted, self.scanner) if self.scanner else []
        taken = np.zeros(len(lines.starts), bool)
        for part in parts:
            taken[part.rows[part.good]] = True
        slow = self._slow(lines, np.flatnonzero(~taken), offset)
        if slow.rows or not parts:
            last, rejects = _slow_part(slow, self.wanted, lines, offset)
            return _batch([*parts, last], rejects, self.wanted)
        return _batch(parts, slow.rejects, self.wanted)

    def _candidates(self, lines: Lines) -> Ints:
        r"""Lines that may have a skeleton: not too long, without `\"`, with which a quote need not end a string."""
        good: Flags = lines.ends - lines.starts <= self.max_line_bytes
        if b"\\" in lines.chunk:
            escaped = np.flatnonzero((lines.octets[:-1] == ord("\\")) & (lines.octets[1:] == ord('"')))
            good[np.searchsorted(lines.ends, escaped)] = False
        return np.flatnonzero(good)

    def _slow(self, lines: Lines, rows: Ints, offset: int) -> _Slow:
        slow = _Slow()
        for row in rows.tolist():
            line = lines.line(row)
            if offset == 0 and row == 0:
                line = line.removeprefix(_BYTE_ORDER_MARK)
            content = line.strip().lstrip(b"\0").strip()
            if not content:
                continue
            result = "too_long" if len(line) > self.max_line_bytes else read_line(content, self.wanted)
            if isinstance(result, str):
                slow.rejects.append(_reject(result, lines, row, offset))
            else:
                slow.rows.append(row)
                slow.accepted.append(result)
        return slow


def parser(fields: tuple[Field, ...], max_line_bytes: int, scanner: Scanner | None) -> Parser:
    """A parser of lines with these fields."""
    return Parser(expected(fields), max_line_bytes, scanner)


def _reject(reason: str, lines: Lines, row: int, offset: int) -> Reject:
    digest = hashlib.blake2b(lines.line(row), digest_size=8).hexdigest()
    return Reject(reason, offset + int(lines.starts[row]), digest)


def _slow_part(slow: _Slow, wanted: Expected, lines: Lines, offset: int) -> tuple[Part, list[Reject]]:
    """Columns of the rows read one by one, and all rejects. Times are read here, and what is unreadable is rejected."""
    columns = []
    good = np.ones(len(slow.rows), bool)
    for index, item in enumerate(wanted.fields):
        values = [row.values[index] for row in slow.accepted]
        if item.kind == "time":
            column = microseconds(pa.array(values, pa.string()))
            good &= column.is_valid().to_numpy(zero_copy_only=False)
        else:
            column = pa.array(values, ARROW_TYPES[item.kind])
        columns.append(column)
    rejects = [_reject("bad_timestamp", lines, slow.rows[index], offset) for index in np.flatnonzero(~good).tolist()]
    violations = Counter(kind for row, fine in zip(slow.accepted, good, strict=True) if fine for kind in row.violations)
    return Part(np.array(slow.rows, np.int64), columns, good, violations), slow.rejects + rejects


def _batch(parts: list[Part], rejects: list[Reject], wanted: Expected) -> Batch:
    """All parts as one batch, in the order of the lines."""
    shape = schema(wanted.fields)
    table = pa.concat_tables([pa.Table.from_arrays(part.columns, schema=shape) for part in parts])
    good = np.flatnonzero(np.concatenate([part.good for part in parts]))
    order = good[np.argsort(np.concatenate([part.rows for part in parts])[good], kind="stable")]
    if len(order) < table.num_rows or (np.diff(order) < 0).any():
        table = table.take(pa.array(order))
    rejects = sorted(rejects, key=lambda reject: reject.offset)
    violations = sum((part.violations for part in parts), Counter[str]())
    return Batch(table, table.num_rows + len(rejects), tuple(rejects), {kind: n for kind, n in violations.items() if n})
