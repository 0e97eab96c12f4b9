"""Faults of the features: values that are lost, broken, moved, or named anew.

What breaks a schema or a type breaks before the parser; here is what the parser would have given: no value and a
`missing_column`, an infinite number and a `wrong_type`.
"""

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.faults.played import Context, Injection, to_predictions
from ml_exporter.faults.rows import (
    categories,
    chosen,
    features,
    floats,
    fractions,
    is_number,
    made,
    note,
    numeric_bins,
    put,
    target,
    valid,
    within,
)
from ml_exporter.join import hash_ids
from ml_exporter.layout import CategoryBins, Floats, NumericBins
from ml_exporter.records import FEATURE_PREFIX


@to_predictions
def null_spike(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A feature loses its value in a share `size` of the rows."""
    feature = target(table, injection, context)
    if feature is None:
        return table
    return put(table, FEATURE_PREFIX + feature, chosen(table, injection, "null_spike"), None)


@to_predictions
def invalid_values(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A feature is infinite (a text: `#N/A`) in a share `size` of the rows; a number too large is no violation."""
    feature = target(table, injection, context)
    if feature is None:
        return table
    name = FEATURE_PREFIX + feature
    return put(table, name, chosen(table, injection, "invalid_values"), np.inf if is_number(table, name) else "#N/A")


def _numbers(
    table: pa.Table, injection: Injection, context: Context, formula: Callable[[Floats, NumericBins], Floats]
) -> pa.Table:
    """Changes the finite numbers of a feature; what grows too large for a double is infinite, as for the parser."""
    feature = target(table, injection, context, NumericBins)
    if feature is None:
        return table
    name = FEATURE_PREFIX + feature
    values = floats(table, name)
    rows = within(made(table), injection) & np.isfinite(values)
    with np.errstate(over="ignore"):
        return put(table, name, rows, formula(np.where(rows, values, 0.0), numeric_bins(context, feature)))


@to_predictions
def unit_change(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A numeric feature comes in another unit: `size` times as large."""
    return _numbers(table, injection, context, lambda values, _: values * injection.size)


@to_predictions
def mean_shift(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A numeric feature moves up by `size` robust standard deviations of the reference."""
    return _numbers(table, injection, context, lambda values, bins: values + injection.size * bins.scale)


@to_predictions
def variance_change(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A numeric feature lies `size` times as far from the reference's centre."""

    def further(values: Floats, bins: NumericBins) -> Floats:
        return bins.centre + (values - bins.centre) * injection.size

    return _numbers(table, injection, context, further)


@to_predictions
def category_renamed(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the known categories of a feature, at least one, come under a new name."""
    feature = target(table, injection, context, CategoryBins)
    if feature is None:
        return table
    name, known = FEATURE_PREFIX + feature, categories(context, feature)
    column = table.column(name)
    if known:
        rank = np.argsort(fractions(pa.array(known)), kind="stable")
        hit = [known[place] for place in rank[: math.ceil(injection.size * len(known))]]
        old = np.asarray(pc.is_in(column, value_set=pa.array(hit, pa.string())).to_numpy(), np.bool_)
    else:
        old = fractions(column) < injection.size
    rows = within(made(table), injection) & old & valid(table, name)
    return put(table, name, rows, pc.binary_join_element_wise(column, "v2", "_"))


@to_predictions
def category_new(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A feature has a category that nobody knows, in a share `size` of the rows."""
    feature = target(table, injection, context, CategoryBins)
    if feature is None:
        return table
    fresh = "new"
    while fresh in categories(context, feature):
        fresh += "+"
    return put(table, FEATURE_PREFIX + feature, chosen(table, injection, "category_new"), fresh)


@to_predictions
def column_missing(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the rows come without a feature's column: no value, and a `missing_column` each."""
    feature = target(table, injection, context)
    if feature is None:
        return table
    rows = chosen(table, injection, "column_missing")
    return note(put(table, FEATURE_PREFIX + feature, rows, None), "missing_column", rows)


@to_predictions
def type_change(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the rows bring a feature as another type.

    A number that became a text is infinite and a `wrong_type`; a text that became a code is a text of digits, since
    every value has a text.
    """
    feature = target(table, injection, context)
    if feature is None:
        return table
    name = FEATURE_PREFIX + feature
    rows = chosen(table, injection, "type_change") & valid(table, name)
    if not is_number(table, name):
        codes = (hash_ids(table.column(name)) % np.uint64(100_000)).astype(np.int64)
        return put(table, name, rows, pa.array(codes).cast(pa.string()))
    rows &= ~np.isnan(floats(table, name))
    return note(put(table, name, rows, np.inf), "wrong_type", rows)


@to_predictions
def schema_break(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the features, at least one, have other names in every row.

    Their columns are missing, and as many are unknown.
    """
    names = features(table, context)
    if not names:
        return table
    rows = within(made(table), injection)
    rank = np.argsort(fractions(pa.array(names)), kind="stable")
    hit = [names[place] for place in rank[: math.ceil(injection.size * len(names))]]
    for name in hit:
        table = put(table, FEATURE_PREFIX + name, rows, None)
    return note(note(table, "missing_column", rows, len(hit)), "unknown_column", rows, len(hit))
