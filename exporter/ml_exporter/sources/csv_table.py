"""Whole columns of clean CSV records, by pyarrow's reader, and the same values as `csv_cells` gives.

Numbers are read as such at first. Where one of them is not spelled as pyarrow takes it, its column is read as texts,
and those that are no plain numbers go through the rules of `csv_cells`, each different one once.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ml_exporter.records import ARROW_TYPES, Kind
from ml_exporter.sources.csv_cells import NULLS, Value, read_flag, read_number
from ml_exporter.sources.csv_header import Header
from ml_exporter.sources.csv_records import Records
from ml_exporter.sources.lines import Flags, Ints
from ml_exporter.sources.times import microseconds

FEWEST_RECORDS = 32
"""Fewer records than this are faster read one by one."""
_BLOCK_BYTES = 1 << 20
_REFUSED = re.compile(r"In CSV column #(\d+):")
"""How pyarrow names the column in which it refused a value. Should it do so in another way, all are read as texts."""
_PLAIN = r"^-?[0-9]{1,15}(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?$"
"""Numbers that are finite, and that pyarrow reads as Python does."""


@dataclass(frozen=True)
class Columns:
    """Records read by column: their numbers, an array for each field of the header, and where a type is wrong."""

    rows: Ints
    arrays: tuple[pa.Array, ...]
    wrong: Mapping[int, Flags]


@dataclass(frozen=True)
class _Column:
    """One field of the records; `doubtful` are those that must be read one by one."""

    array: pa.Array
    wrong: Flags | None = None
    doubtful: Flags | None = None


def read_table(records: Records, rows: Ints, header: Header, delimiter: str) -> Columns | None:
    """The clean records `rows` by column, without those about which there is doubt; None where pyarrow refuses them."""
    kinds: dict[int, set[Kind]] = {}
    for item, place in zip(header.fields, header.places, strict=True):
        kinds.setdefault(place, set()).add(item.kind)
    numbers = {place for place, found in kinds.items() if found == {"number"}}
    content = records.take(rows)
    longest = int((records.ends - records.starts)[rows].max())
    reader = _Reader(content, header.width, delimiter, max(_BLOCK_BYTES, 2 * longest))
    table = reader.read(list(kinds), numbers)
    if table is None or table.num_rows != len(rows):
        return None
    cells = {place: _whole(table.column(number)) for number, place in enumerate(kinds)}
    columns = [_READERS[item.kind](cells[place]) for item, place in zip(header.fields, header.places, strict=True)]
    good = np.ones(len(rows), bool)
    for column in columns:
        if column.doubtful is not None:
            good &= ~column.doubtful
    wrong = {number: column.wrong for number, column in enumerate(columns) if column.wrong is not None}
    if good.all():
        return Columns(rows, tuple(column.array for column in columns), wrong)
    chosen = pa.array(good)
    arrays = tuple(column.array.filter(chosen) for column in columns)
    return Columns(rows[good], arrays, {number: flags[good] for number, flags in wrong.items() if flags[good].any()})


@dataclass(frozen=True)
class _Reader:
    content: bytes
    width: int
    delimiter: str
    block_bytes: int

    def read(self, places: list[int], numbers: set[int]) -> pa.Table | None:
        """The columns at these places; those in `numbers` as numbers unless a value is none, the others as texts."""
        while True:
            try:
                return self._read({str(place): pa.float64() if place in numbers else pa.string() for place in places})
            except pa.ArrowInvalid as error:
                if not numbers:
                    return None
                found = _REFUSED.search(str(error))
                refused = {int(found[1])} & numbers if found else set()
                numbers = numbers - (refused or numbers)

    def _read(self, types: Mapping[str, pa.DataType]) -> pa.Table:
        return csv.read_csv(
            pa.BufferReader(self.content),
            read_options=csv.ReadOptions(
                use_threads=False, block_size=self.block_bytes, column_names=[str(n) for n in range(self.width)]
            ),
            parse_options=csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=list(NULLS), check_utf8=False
            ),
        )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _number(cells: pa.Array) -> _Column:
    if pa.types.is_string(cells.type):
        return _spelled_number(cells)
    finite = np.isfinite(cells.fill_null(0.0).to_numpy())
    return _Column(cells, None, None if finite.all() else ~finite)


def _spelled_number(texts: pa.StringArray) -> _Column:
    plain = pc.match_substring_regex(texts, _PLAIN)
    values = pc.if_else(plain, texts, None).cast(pa.float64())
    if pc.all(plain).as_py():
        return _Column(values)
    others = pc.invert(plain)
    found, wrong = _by_value(texts.filter(others), "number", read_number)
    return _Column(pc.replace_with_mask(values, others, found), _spread(wrong, others))


def _spread(flags: Flags, chosen: pa.BooleanArray) -> Flags | None:
    if not flags.any():
        return None
    spread: Flags = chosen.to_numpy(zero_copy_only=False).copy()
    spread[spread] = flags
    return spread


def _by_value(texts: pa.StringArray, kind: Kind, rule: Callable[[str], tuple[Value, bool]]) -> tuple[pa.Array, Flags]:
    """What a rule makes of each text, and whether its type is wrong."""
    encoded = texts.dictionary_encode()
    read = [rule(text) for text in encoded.dictionary.to_pylist()]
    values = pa.array([value for value, _ in read], ARROW_TYPES[kind]).take(encoded.indices)
    wrong: Flags = np.array([is_wrong for _, is_wrong in read], bool)[encoded.indices.to_numpy()]
    return values, wrong


def _flag(texts: pa.StringArray) -> _Column:
    values, wrong = _by_value(texts, "flag", read_flag)
    return _Column(values, wrong if wrong.any() else None)


def _text(texts: pa.StringArray) -> _Column:
    empty = pc.equal(pc.binary_length(texts), 0)
    return _Column(pc.if_else(empty, None, texts) if pc.any(empty).as_py() else texts)


def _time(texts: pa.StringArray) -> _Column:
    text = _text(texts).array
    times = microseconds(text)
    if times.null_count == text.null_count:
        return _Column(times)
    return _Column(times, None, pc.and_(times.is_null(), text.is_valid()).to_numpy(zero_copy_only=False))


_READERS: Mapping[Kind, Callable[[pa.Array], _Column]] = {
    "time": _time,
    "id": _text,
    "text": _text,
    "number": _number,
    "flag": _flag,
}
