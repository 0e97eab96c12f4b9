"""DuckDB's reader of JSON lines, on chunks in memory."""

import os
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

Types = Mapping[tuple[str, ...], str]
"""SQL types by path. A path may not begin another."""

_READ_BYTES = 1 << 18
"""DuckDB reads a file in pieces of twice this size, which fit the processor's cache; more where a line is longer."""
_LONGEST_LINE_BYTES = 1 << 24
_BATCH_ROWS = 1 << 17
_SETTINGS: Mapping[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "enable_external_file_cache": False,
    "autoinstall_known_extensions": False,
}
_MOST_PLANS = 256


class Scanner:
    """One DuckDB connection with one thread, and the file in memory through which it gets its bytes.

    Not for use by two threads at a time. Both are made when first needed. Close it, or use it in a `with` block.
    """

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._file = -1
        self._relations: dict[str, duckdb.DuckDBPyRelation] = {}

    def scan(self, lines: bytes, types: Types, longest: int) -> list[pa.Array] | None:
        """One array for each path, a row for each line; None when DuckDB cannot do it.

        A value that is absent, null or does not fit its type is null, and so is every value of a line that is no JSON
        object. `longest` is the length of the longest line.
        """
        if longest > _LONGEST_LINE_BYTES:
            return None
        connection = self._open()
        os.pwrite(self._file, lines, 0)
        os.ftruncate(self._file, len(lines))
        read_bytes = max(_READ_BYTES, 1 << (longest + 1).bit_length())
        try:
            relation = self._relation(connection, _query(f"/proc/self/fd/{self._file}", types, read_bytes))
            table = relation.to_arrow_reader(_BATCH_ROWS).read_all()
        except duckdb.Error:
            return None
        return [_pick(table, path) for path in types]

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._file = _memory_file()
            self._connection = duckdb.connect(":memory:", config=dict(_SETTINGS))
        return self._connection

    def _relation(self, connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
        """The plan of a query, which reads the file anew each time: planning costs more than reading a small chunk."""
        if query not in self._relations:
            if len(self._relations) >= _MOST_PLANS:
                self._relations.clear()
            self._relations[query] = connection.sql(query)
        return self._relations[query]

    def __enter__(self) -> "Scanner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the connection and the file."""
        self._relations.clear()
        if self._connection is not None:
            self._connection.close()
            os.close(self._file)
            self._connection = None


def _memory_file() -> int:
    """A descriptor of a file without a name: in memory, but not in /dev/shm, which containers cap at 64 MB."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ml-exporter-chunk")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


def _query(path: str, types: Types, read_bytes: int) -> str:
    columns = ", ".join(f"{_literal(key)}: {_literal(_type(inner))}" for key, inner in _tree(types).items())
    options = f"format = 'newline_delimited', records = true, ignore_errors = true, maximum_object_size = {read_bytes}"
    source = f"read_json({_literal(path)}, columns = {{{columns}}}, {options})"
    return f"SELECT * FROM {source}"  # noqa: S608 - every name in it is quoted


def _pick(table: pa.Table, path: tuple[str, ...]) -> pa.Array:
    """The column at a path. Taking an object apart here is faster than in SQL."""
    column = table.column(path[0])
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    for key in path[1:]:
        index = array.type.get_field_index(key)
        array = pc.struct_field(array, [index]) if array.null_count else array.field(index)
    return array


def _tree(types: Types) -> dict[str, Any]:
    """Types by key, nested as the paths are."""
    tree: dict[str, Any] = {}
    for path, kind in types.items():
        branch = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {})
        branch[path[-1]] = kind
    return tree


def _type(inner: Any) -> str:
    if isinstance(inner, dict):
        return "STRUCT(" + ", ".join(f"{_name(key)} {_type(item)}" for key, item in inner.items()) + ")"
    return str(inner)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
