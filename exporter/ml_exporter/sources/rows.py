"""What a parser found in a chunk, and whose rows they are: one parse, then a batch for every stream of the source.

A parser reads each path and kind once for all streams (`records.union`). Here it is decided which stream wants a row,
which rows it refuses and why, and which violations its kept rows have. So this is the one definition of the reasons
`no_model`, `missing_column`, `wrong_type` and `bad_timestamp`, whatever the format of the file:

- A stream wants the rows in which every path of its `where` has that text. A row that no stream wants is `no_model`.
- A required column that is absent or null refuses the row with `missing_column`; a required column or an id of a wrong
  type with `wrong_type`. The first of them in the order of the fields counts, columns of one object together. After
  these a required time that is unreadable refuses with `bad_timestamp`; any other is null, and `wrong_type`.
- A row may be refused by one stream and kept by another.
- Violations are counted for the fields of the stream and its kept rows: `missing_column` where a key that
  should be there is absent,
  `wrong_type`, and `unknown_column` for each key that is no configured feature in an object that holds features.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.records import ARROW_TYPES, FEATURE_PREFIX, Batch, Field, Ints, Kind, Reject, Stream, schema
from ml_exporter.sources.lines import Flags
from ml_exporter.sources.values import text_at

Path = tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of a chunk, before it is known whose they are. Each row is in one `Rows` of its chunk.

    `fields`: those of the union that were read; one that is not here is absent in all of these rows. `arrays`: one a
    field, in the encoding of `records`, of length n. `wrong`: by number of the field the rows (n,) whose value has a
    wrong type; for a time, that is unreadable; for an id, that is none. Null and not wrong means null or absent.

    `shapes`: sets of key paths, `shape_of` (n,) says which one a row has. A key that is not in it is absent. It needs
    the wanted paths, and all keys of the objects that hold wanted ones. `offsets` (n,): byte position of the row's line
    in its file (Parquet: row number), in any order. `rejects`: lines that are no rows (`malformed`, `too_long`).

    `line_at` gives the bytes of the line at an offset, without its end (Parquet: the row as JSON), and `text_at` what
    such a line says at a path.
    """

    fields: tuple[Field, ...]
    arrays: tuple[pa.Array, ...]
    wrong: Mapping[int, Flags]
    shapes: tuple[frozenset[Path], ...]
    shape_of: Ints
    offsets: Ints
    rejects: tuple[Reject, ...]
    line_at: Callable[[int], bytes]
    text_at: Callable[[bytes, Path], str | None] = text_at

    def number(self, item: Field) -> int | None:
        """The number of a field here; None where it was not read."""
        return self._numbers.get((item.path, item.kind))

    @cached_property
    def _numbers(self) -> Mapping[tuple[Path, Kind], int]:
        return {(item.path, item.kind): number for number, item in enumerate(self.fields)}


@dataclass(frozen=True)
class Parsed:
    """A chunk of a source: a batch for each stream, in their order.

    `lines` counts every line that was not blank, each once. Each is in at least one batch or refused at least once, in
    the `refused` of a batch or here (`malformed`, `too_long`, `no_model`: places by reason). `path` names the file.
    """

    batches: tuple[Batch, ...]
    lines: int
    refused: Mapping[str, Ints]
    line_at: Callable[[int], bytes]
    path: str = ""


@dataclass
class _Share:
    """What one stream gets of all rows: tables, the rows of them that are kept, and what was lost."""

    tables: list[pa.Table] = field(default_factory=list)
    kept: list[Ints] = field(default_factory=list)
    offsets: list[Ints] = field(default_factory=list)
    refused: dict[str, list[Ints]] = field(default_factory=dict)
    violations: dict[str, list[tuple[int, Ints]]] = field(default_factory=dict)
    """By kind, those of the kept rows from a place on."""
    lines: int = 0


def split(parts: Sequence[Rows], streams: Sequence[Stream], path: str = "") -> Parsed:
    """The rows of one chunk as a batch for each stream. `parts` holds at least one `Rows`; `path` names the file."""
    shares = [_Share() for _ in streams]
    refused: dict[str, list[Ints]] = {}
    lines = 0
    for rows in parts:
        lines += len(rows.offsets) + len(rows.rejects)
        for reject in rows.rejects:
            refused.setdefault(reject.reason, []).append(np.array([reject.offset], np.int64))
        unwanted = np.ones(len(rows.offsets), bool)
        for stream, share, wanted in zip(streams, shares, _wanted(rows, streams), strict=True):
            if wanted.any():
                unwanted &= ~wanted
                _give(rows, stream, wanted, share)
        if unwanted.any():
            refused.setdefault("no_model", []).append(rows.offsets[unwanted])
    batches = tuple(
        replace(_batch(share, stream), text_at=_texts(parts[0], stream))
        for share, stream in zip(shares, streams, strict=True)
    )
    return Parsed(batches, lines, _sorted(refused), parts[0].line_at, path)


def _wanted(rows: Rows, streams: Sequence[Stream]) -> Iterator[Flags]:
    """For each stream the rows (n,) that it wants. Every path is compared once, with all values that are asked for."""
    asked: dict[Path, dict[str, int]] = {}
    for stream in streams:
        for path, value in stream.where:
            values = asked.setdefault(path, {})
            values.setdefault(value, len(values))
    codes: dict[Path, Ints] = {}
    for path, values in asked.items():
        number = rows.number(Field("", path, "text"))
        if number is not None:
            found = pc.index_in(rows.arrays[number], value_set=pa.array(list(values), pa.string()))
            codes[path] = found.fill_null(-1).to_numpy()
    nobody = np.full(len(rows.offsets), -1)
    for stream in streams:
        wanted = np.ones(len(rows.offsets), bool)
        for path, value in stream.where:
            wanted &= codes.get(path, nobody) == asked[path][value]
        yield wanted


def _give(rows: Rows, stream: Stream, wanted: Flags, share: _Share) -> None:
    """Adds to a stream's share the rows that it wants, and those that it refuses."""
    share.lines += int(wanted.sum())
    numbers = [rows.number(item) for item in stream.fields]
    kept = wanted
    for reason, faulty in _faults(rows, stream, numbers):
        hit = kept & faulty
        if hit.any():
            share.refused.setdefault(reason, []).append(rows.offsets[hit])
            kept = kept & ~faulty
    chosen = np.flatnonzero(kept)
    if not len(chosen):
        return
    before = sum(len(found) for found in share.kept)
    for kind, counts in _violations(rows, stream, numbers):
        share.violations.setdefault(kind, []).append((before, counts[chosen]))
    columns = [
        pa.nulls(len(kept), ARROW_TYPES[item.kind]) if number is None else _in_unit(rows.arrays[number], item)
        for item, number in zip(stream.fields, numbers, strict=True)
    ]
    share.kept.append(chosen + sum(table.num_rows for table in share.tables))
    share.tables.append(pa.Table.from_arrays(columns, schema=schema(stream.fields)))
    share.offsets.append(rows.offsets[chosen])


def _in_unit(array: pa.Array, item: Field) -> pa.Array:
    return array if item.per == 1 else pc.divide(array, float(item.per))


def _faults(rows: Rows, stream: Stream, numbers: list[int | None]) -> Iterator[tuple[str, Flags]]:
    """Reasons to refuse rows, in the order in which they count, each with its rows (n,)."""
    none = np.zeros(len(rows.offsets), bool)
    unreadable = []
    for index in _by_object(stream.fields):
        item, number = stream.fields[index], numbers[index]
        if number is None:
            if item.required:
                yield "missing_column", ~none
            continue
        wrong = rows.wrong.get(number, none)
        if item.required:
            array = rows.arrays[number]
            if array.null_count:
                yield "missing_column", array.is_null().to_numpy(zero_copy_only=False) & ~wrong
        if number in rows.wrong:
            if item.kind == "time" and item.required:
                unreadable.append(wrong)
            elif item.required or item.kind == "id":
                yield "wrong_type", wrong
    yield from (("bad_timestamp", wrong) for wrong in unreadable)


def _by_object(fields: tuple[Field, ...]) -> list[int]:
    """Numbers of fields in their order, but those of one object together."""
    first = {parent: place for place, parent in reversed(list(enumerate(item.path[:-1] for item in fields)))}
    return sorted(range(len(fields)), key=lambda index: (first[fields[index].path[:-1]], index))


def _violations(rows: Rows, stream: Stream, numbers: list[int | None]) -> Iterator[tuple[str, Ints]]:
    """How many violations each row (n,) has, by kind, where any row has one."""
    absent = np.array([_absent(stream, shape) for shape in rows.shapes], np.int64)
    unknown = np.array([_unknown(stream, shape) for shape in rows.shapes], np.int64)
    for kind, counts in (("missing_column", absent), ("unknown_column", unknown)):
        if counts.any():
            yield kind, counts[rows.shape_of]
    wrong = [rows.wrong[number] for number in numbers if number is not None and number in rows.wrong]
    if wrong:
        yield "wrong_type", np.sum(wrong, axis=0, dtype=np.int64)


def _absent(stream: Stream, shape: frozenset[Path]) -> int:
    return sum(item.path not in shape and not item.may_lack for item in stream.fields)


def _unknown(stream: Stream, shape: frozenset[Path]) -> int:
    known = features(stream.fields)
    inside = ((path[:-1], path[-1]) for path in shape)
    return sum(parent in known and key not in known[parent] for parent, key in inside)


def features(fields: tuple[Field, ...]) -> Mapping[Path, frozenset[str]]:
    """The objects that hold features, and all keys that are expected in each.

    >>> features((Field("feature:a", ("f", "a"), "number"), Field("score", ("f", "p"), "number")))["f",] == {"a", "p"}
    True
    """
    parents = {item.path[:-1] for item in fields if item.name.startswith(FEATURE_PREFIX) and item.path[:-1]}
    return {
        parent: frozenset(item.path[len(parent)] for item in fields if item.path[: len(parent)] == parent)
        for parent in parents
    }


def _batch(share: _Share, stream: Stream) -> Batch:
    """All of a share as one batch, in the order of the lines."""
    refused = _sorted(share.refused)
    if not share.tables:
        return Batch(schema(stream.fields).empty_table(), share.lines, refused=refused)
    table = pa.concat_tables(share.tables)
    kept, offsets = np.concatenate(share.kept), np.concatenate(share.offsets)
    by_row = {kind: _filled(parts, len(offsets)) for kind, parts in share.violations.items()}
    if len(offsets) > 1 and (np.diff(offsets) < 0).any():
        order = np.argsort(offsets, kind="stable")
        kept, offsets = kept[order], offsets[order]
        by_row = {kind: counts[order] for kind, counts in by_row.items()}
        table = table.take(pa.array(kept))
    elif len(kept) < table.num_rows:
        table = table.take(pa.array(kept))
    by_row = {kind: counts for kind, counts in by_row.items() if counts.any()}
    violations = {kind: int(counts.sum()) for kind, counts in by_row.items()}
    return Batch(table, share.lines, violations, offsets, refused, by_row)


def _texts(rows: Rows, stream: Stream) -> Callable[[int, str], str | None]:
    paths = {item.name: item.path for item in stream.fields}
    return lambda place, name: rows.text_at(rows.line_at(place), paths[name])


def _filled(parts: Sequence[tuple[int, Ints]], size: int) -> Ints:
    """The counts of all rows; 0 where there is no part."""
    found = np.zeros(size, np.int64)
    for start, counts in parts:
        found[start : start + len(counts)] = counts
    return found


def _sorted(places: Mapping[str, list[Ints]]) -> Mapping[str, Ints]:
    return {reason: np.sort(np.concatenate(found)) for reason, found in places.items()}
