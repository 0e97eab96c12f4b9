"""What the footer of a Parquet file tells about reading it."""

import hashlib
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import parquet

_TAIL_BYTES = 8
_MOST_ROWS = 1 << 16
_FEWEST_ROWS = 1 << 10
_SLICE_BYTES = 16 << 20
_SPARK = b"org.apache.spark.version"


def signature(source: pa.NativeFile) -> str:
    """A hash of the footer: schema, number of rows, places and statistics of all columns."""
    size = source.size()
    tail = source.read_at(_TAIL_BYTES, max(0, size - _TAIL_BYTES))
    begin = max(0, size - _TAIL_BYTES - int.from_bytes(tail[:4], "little"))
    return hashlib.blake2b(source.read_at(size - begin, begin), digest_size=16).hexdigest()


def signature_at(path: str) -> str:
    """The same of the file at a path; empty where it cannot be read."""
    try:
        with pa.OSFile(path) as source:
            return signature(source)
    except OSError:
        return ""


def groups_behind(metadata: parquet.FileMetaData, rows: int) -> Iterator[tuple[int, int]]:
    """Row groups that hold more than the first `rows` rows of a file: number and first row of each."""
    start = 0
    for number in range(metadata.num_row_groups):
        end = start + metadata.row_group(number).num_rows
        if end > rows:
            yield number, start
        start = end


def rows_at_once(group: parquet.RowGroupMetaData, columns: tuple[str, ...]) -> int:
    """Rows of a slice, so that it takes some megabytes in memory."""
    chunks = (group.column(number) for number in range(group.num_columns))
    sizes = (chunk.total_uncompressed_size for chunk in chunks if _is_in(chunk.path_in_schema, columns))
    row_bytes = sum(sizes) / max(1, group.num_rows)
    return int(min(_MOST_ROWS, max(_FEWEST_ROWS, _SLICE_BYTES / max(1.0, row_bytes))))


def _is_in(path: str, columns: tuple[str, ...]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in columns)


def instants_without_zone(metadata: parquet.FileMetaData) -> frozenset[str]:
    """Columns of the old type INT96 in a file of Spark, which keeps instants in them though the type has no zone."""
    if _SPARK not in (metadata.metadata or {}):
        return frozenset()
    columns = (metadata.schema.column(number) for number in range(metadata.num_columns))
    return frozenset(column.path for column in columns if column.physical_type == "INT96")
