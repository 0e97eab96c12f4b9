"""Columns of a batch as arrays. A column that the batch does not have is one without values."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.layout import Bools, Floats
from ml_exporter.statistics.binner import Codes


def codes(column: pa.ChunkedArray, known: pa.Array, other: int) -> Codes:
    """Index of each value in `known`, `other` where it is not there (null as well)."""
    index = pc.fill_null(pc.index_in(column, value_set=known), other)
    return np.asarray(index.to_numpy(), np.intp)


def floats(table: pa.Table, name: str) -> Floats:
    """A number column as floats, NaN for null; all NaN if the table has none of that name."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).to_numpy(), np.float64)


def nulls(column: pa.ChunkedArray) -> Bools:
    """Where a column has no value."""
    return np.asarray(pc.is_null(column).to_numpy(), np.bool_)


def present(table: pa.Table, name: str) -> Bools:
    """Where a column has a value; nowhere if the table has none of that name."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.bool_)
    return ~nulls(table.column(name))


def true(table: pa.Table, name: str) -> Bools:
    """Where a column of flags is set."""
    return np.asarray(pc.fill_null(table.column(name), False).to_numpy(), np.bool_)
