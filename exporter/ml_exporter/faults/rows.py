"""Which rows a fault hits, and how it changes them.

A row is chosen by its own id and times, never by its neighbours, so that a log may be cut anywhere.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.faults.played import ARRIVAL, MADE, VIOLATIONS, Context, Injection
from ml_exporter.join import hash_ids
from ml_exporter.layout import Bools, CategoryBins, Floats, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US


def draws(table: pa.Table, salt: str) -> Floats:
    """A number in [0, 1) for each row, from its id (or, without one, its time) and `salt`. Shape (n,).

    A label draws what its prediction draws.
    """
    names = [name for name in ("id", "timestamp") if name in table.column_names]
    if not names:
        return np.zeros(table.num_rows)
    key = pc.coalesce(*(table.column(name).cast(pa.string()) for name in names), "")
    return fractions(pc.binary_join_element_wise(key, salt, "\n"))


def fractions(texts: pa.ChunkedArray | pa.Array) -> Floats:
    """A number in [0, 1) for each text, evenly spread. Shape (n,)."""
    found: Floats = (hash_ids(texts) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return found


def times(table: pa.Table, *names: str) -> Vector:
    """The first of these columns that has a value, row by row, in microseconds. Shape (n,)."""
    columns = [table.column(name) for name in names if name in table.column_names]
    if not columns:
        return np.zeros(table.num_rows, np.int64)
    return np.asarray(pc.fill_null(pc.coalesce(*columns), 0).to_numpy(), np.int64)


def made(table: pa.Table) -> Vector:
    """When each prediction was made; for a label, its prediction."""
    return times(table, MADE, "timestamp")


def landed(table: pa.Table) -> Vector:
    """The time of each label; for a prediction that holds its label, that label's."""
    return times(table, "label_timestamp", "timestamp")


def within(instants: Vector, injection: Injection) -> Bools:
    """Which instants lie in the time of the fault."""
    return (instants >= injection.start_us) & (instants < injection.end_us)


def chosen(table: pa.Table, injection: Injection, salt: str, share: float | Floats | None = None) -> Bools:
    """A share of the rows (by default `size`) whose prediction was made in the time of the fault."""
    return within(made(table), injection) & (draws(table, salt) < (injection.size if share is None else share))


def progress(instants: Vector, injection: Injection) -> Floats:
    """How far the time of the fault has passed, 0 at its start and 1 at its end."""
    span = max(injection.end_us - injection.start_us, 1)
    return np.clip((instants - injection.start_us) / span, 0.0, 1.0)


def floats(table: pa.Table, name: str) -> Floats:
    """A number column, NaN for null."""
    return np.asarray(table.column(name).to_numpy(), np.float64)


def valid(table: pa.Table, name: str) -> Bools:
    """Where a column has a value."""
    return np.asarray(pc.is_valid(table.column(name)).to_numpy(), np.bool_)


def is_number(table: pa.Table, name: str) -> bool:
    """Whether there is such a column and it holds numbers."""
    return name in table.column_names and pa.types.is_floating(table.column(name).type)


def is_text(table: pa.Table, name: str) -> bool:
    """Whether there is such a column and it holds texts."""
    return name in table.column_names and pa.types.is_string(table.column(name).type)


def is_flag(table: pa.Table, name: str) -> bool:
    """Whether there is such a column and it holds flags."""
    return name in table.column_names and pa.types.is_boolean(table.column(name).type)


def put(table: pa.Table, name: str, rows: Bools, values: Any) -> pa.Table:
    """Writes values into the marked rows, and leaves the others bit for bit. Without such a column, nothing happens.

    `values` is an array (n,), of numpy or Arrow, or one value for all; None is null.
    """
    if name not in table.column_names:
        return table
    place, column = table.column_names.index(name), table.column(name)
    if isinstance(values, np.ndarray):
        values = pa.array(values)
    new = values.cast(column.type) if hasattr(values, "cast") else pa.scalar(values, column.type)
    return table.set_column(place, name, pc.if_else(pa.array(rows), new, column))


def note(table: pa.Table, kind: str, rows: Bools, times_a_row: int = 1) -> pa.Table:
    """Counts violations of the marked rows, as the parser would have."""
    name, fresh = VIOLATIONS + kind, rows.astype(np.int64) * times_a_row
    if name not in table.column_names:
        return table.append_column(name, pa.array(fresh))
    return put(table, name, rows, fresh + np.asarray(table.column(name).to_numpy(), np.int64))


def shift(table: pa.Table, name: str, rows: Bools, by_us: int) -> pa.Table:
    """Moves a time of the marked rows."""
    if name not in table.column_names:
        return table
    return put(table, name, rows, pc.add(table.column(name), by_us))


def hold(table: pa.Table, start_us: int, stop_us: int) -> pa.Table:
    """Lets what would arrive in [start, stop) arrive at stop."""
    arrival = times(table, ARRIVAL)
    return put(table, ARRIVAL, (arrival >= start_us) & (arrival < stop_us), pa.scalar(stop_us, pa.int64()))


def keep(table: pa.Table, rows: Bools) -> pa.Table:
    """Only the marked rows."""
    return table.filter(pa.array(rows))


def repeat(table: pa.Table, counts: Vector, *, new_ids: bool) -> pa.Table:
    """Each row as often as `counts` (n,) says, the copies behind it. With new ids, copy k of `a` is `a~k`.

    >>> repeat(pa.table({"id": ["a", "b"]}), np.array([1, 2]), new_ids=True).column("id").to_pylist()
    ['a', 'b', 'b~1']
    """
    index = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(index)) - (np.cumsum(counts) - counts)[index]
    found = table.take(pa.array(index))
    if not new_ids or not is_text(table, "id"):
        return found
    names = pc.binary_join_element_wise(found.column("id"), pa.array(number).cast(pa.string()), "~")
    return put(found, "id", number > 0, names)


def features(table: pa.Table, context: Context, kind: type | None = None) -> list[str]:
    """The features of the model (numeric or categorical ones) that the table has; all of the table if none is known."""
    names = [name.removeprefix(FEATURE_PREFIX) for name in table.column_names if name.startswith(FEATURE_PREFIX)]
    known = [item.name for item in context.features] or names
    checks = {NumericBins: is_number, CategoryBins: is_text}
    asked = tuple(checks.values()) if kind is None else (checks[kind],)
    return [name for name in known if any(check(table, FEATURE_PREFIX + name) for check in asked)]


def target(table: pa.Table, injection: Injection, context: Context, kind: type | None = None) -> str | None:
    """The feature to hit: the one asked for, else the first of this kind. None if the table has none."""
    found = features(table, context, kind)
    if injection.feature is not None:
        return injection.feature if injection.feature in found else None
    return found[0] if found else None


def numeric_bins(context: Context, feature: str) -> NumericBins:
    """Centre, scale and range of a feature; 0 and 1 if nothing is known of it."""
    known = (item for item in context.features if item.name == feature and isinstance(item, NumericBins))
    return next(known, NumericBins(feature, (), 0.0, 1.0, -np.inf, np.inf))


def categories(context: Context, feature: str) -> tuple[str, ...]:
    """The known categories of a feature."""
    known = (item for item in context.features if item.name == feature and isinstance(item, CategoryBins))
    return next((item.categories for item in known), ())
