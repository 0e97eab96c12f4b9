"""Rows of a Parquet file: where its schema keeps the wanted fields, and a slice of it as `Rows`.

A field at the path `features.temp` is the member `temp` of the struct `features`, at any depth, else the column of the
name `features.temp`. A name that stands twice at its place names no column. Where a struct on the way is null or is no
struct (a list, a map), everything inside is absent, as in JSON.

The schema is that of the file, so it may change from file to file. A row with bytes that are no UTF-8 in a wanted text
is `malformed`; there is no other row of a readable file that is none.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.records import Field, Reject
from ml_exporter.sources.lines import Flags, Ints
from ml_exporter.sources.parquet_values import Column, read_column
from ml_exporter.sources.rows import Rows

Path = tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """Some rows of a Parquet file, from row `offset` on; `keys` are the paths of all that its schema has.

    `utc` names columns whose timestamps are instants, though their type has no zone.
    """

    table: pa.RecordBatch
    keys: frozenset[Path]
    path: str
    offset: int
    utc: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Layout:
    """Where a schema keeps the wanted fields: `columns` to read, and the keys from the outside in of those it has."""

    columns: tuple[str, ...]
    keys: frozenset[Path]


def layout(schema: pa.Schema, wanted: tuple[Field, ...]) -> Layout:
    """What to read of files with this schema.

    >>> schema = pa.schema({"id": pa.int8(), "f": pa.struct({"x": pa.int8(), "y": pa.int8()})})
    >>> layout(schema, (Field("feature:x", ("f", "x"), "number"),)).columns
    ('f.x',)
    """
    places = [found for item in wanted if (found := locate(schema, item.path))]
    columns = dict.fromkeys(".".join(place) for place in places)
    return Layout(tuple(columns), frozenset(_keys(schema, {item.path for item in wanted})))


def locate(schema: pa.Schema, path: Path) -> Path | None:
    """The names of columns and members that lead to a field; None when there is none."""
    if _leads(schema, path):
        return path
    joined = ".".join(path)
    return (joined,) if len(path) > 1 and _leads(schema, (joined,)) else None


def _leads(schema: pa.Schema, path: Path) -> bool:
    fields = list(schema)
    for depth, key in enumerate(path):
        found = [item.type for item in fields if item.name == key]
        if len(found) != 1:
            return False
        if depth + 1 < len(path):
            if not pa.types.is_struct(found[0]):
                return False
            fields = list(found[0])
    return True


def _keys(schema: pa.Schema, wanted: set[Path]) -> Iterator[Path]:
    """The paths of all that a schema has; a name with dots stands for the path of its parts too."""
    counts = Counter(schema.names)
    yield from (path for path in wanted if locate(schema, path))
    for item in schema:
        if counts[item.name] == 1:
            yield from _below((item.name,), item.type)
            parts = tuple(item.name.split("."))
            yield from (parts[:size] for size in range(1, len(parts) + 1))


def _below(path: Path, kind: pa.DataType) -> Iterator[Path]:
    yield path
    if pa.types.is_struct(kind):
        for item in kind:
            yield from _below((*path, item.name), item.type)


def read_slice(found: Slice, wanted: tuple[Field, ...]) -> list[Rows]:
    """The rows of a slice."""
    count = found.table.num_rows
    broken = np.zeros(count, bool)
    absent: dict[Path, Flags] = {}
    fields: list[Field] = []
    columns: list[Column] = []
    for item in wanted:
        place = locate(found.table.schema, item.path)
        if place is not None:
            values = _descend(found.table, place, item.path, absent)
            if ".".join(place) in found.utc:
                values = values.cast(pa.timestamp("ns", "UTC"))
            column = read_column(values, item.kind)
            if column.no_text is not None:
                broken |= column.no_text
            fields.append(item)
            columns.append(column)
    shapes, shape_of = _shapes(found.keys, absent, count)
    offsets = found.offset + np.arange(count)
    wrong = {number: column.wrong for number, column in enumerate(columns) if column.wrong is not None}
    arrays = tuple(column.array for column in columns)
    rejects = tuple(Reject("malformed", int(place)) for place in offsets[broken])
    if rejects:
        good = ~broken
        arrays = tuple(array.filter(pa.array(good)) for array in arrays)
        wrong = {number: flags[good] for number, flags in wrong.items()}
        offsets, shape_of = offsets[good], shape_of[good]
    return [Rows(tuple(fields), arrays, wrong, shapes, shape_of, offsets, rejects, _printer(found))]


def _descend(table: pa.RecordBatch, place: Path, path: Path, absent: dict[Path, Flags]) -> pa.Array:
    """The values at a place. Notes in `absent` the rows in which a struct on the way is null, by its path."""
    array = table.column(table.schema.get_field_index(place[0]))
    for depth, key in enumerate(place[1:], 1):
        if array.null_count and path[:depth] not in absent:
            absent[path[:depth]] = array.is_null().to_numpy(zero_copy_only=False)
        array = pc.struct_field(array, [array.type.get_field_index(key)])
    return array


def _shapes(keys: frozenset[Path], absent: dict[Path, Flags], count: int) -> tuple[tuple[frozenset[Path], ...], Ints]:
    """The sets of paths that rows have, and which one each has: below a struct that is null there is none."""
    if not absent:
        return (keys,), np.zeros(count, np.int64)
    parents = sorted(absent)
    rows = np.stack([absent[parent] for parent in parents], axis=1)
    patterns, shape_of = np.unique(rows, axis=0, return_inverse=True)
    shapes = []
    for pattern in patterns:
        gone = [parent for parent, is_null in zip(parents, pattern, strict=True) if is_null]
        below = (path for path in keys if any(path[: len(parent)] == parent and path != parent for parent in gone))
        shapes.append(keys - frozenset(below))
    return tuple(shapes), shape_of.reshape(-1).astype(np.int64)


def _printer(found: Slice) -> Callable[[int], bytes]:
    """A row as JSON, by its number in the file; of all that was read of it."""

    def line_at(place: int) -> bytes:
        row = found.table.slice(place - found.offset, 1)
        values = {name: _shown(row.column(number)) for number, name in enumerate(row.schema.names)}
        return json.dumps(values, default=str, ensure_ascii=False).encode("utf-8", "backslashreplace")

    return line_at


def _shown(value: pa.Array) -> object:
    try:
        return value.to_pylist()[0]
    except (UnicodeDecodeError, ValueError, OverflowError):
        return str(value.view(pa.binary())[0].as_buffer().to_pybytes()) if pa.types.is_string(value.type) else "?"
