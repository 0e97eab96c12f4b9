"""Features to cells: counts, and sums of standardised values."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ml_exporter.columns import codes, nulls
from ml_exporter.groups import Groups
from ml_exporter.layout import CategoryBins, FeatureBins, Floats, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.binner import Binner, Codes, make_binner
from ml_exporter.units import Z2_UNIT, Z_LIMIT, Z_UNIT


def lookup(item: FeatureBins) -> Binner | pa.Array:
    """What finds the bins of a feature's values."""
    if isinstance(item, CategoryBins):
        return pa.array(item.categories, pa.string())
    inner = np.asarray(item.edges, np.float64)
    return make_binner(inner, standardise(inner, item))


def standardise(x: Floats, bins: NumericBins) -> Floats:
    """Return z = (x - centre) / scale.

    NaN stays NaN and an infinity stays one; a finite overflow becomes one, which the binner searches.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        z = x - bins.centre
        z /= bins.scale
    return z


def count_numeric(
    x: Floats,
    item: NumericBins,
    binner: Binner,
    groups: Groups,
    cells: Mapping[str, Vector],
    kept: Floats | None = None,
) -> None:
    """Counts and sums of one numeric feature, into its cells.

    Into `kept` (n,) go the standardised values as they are summed: clipped, and 0 for what is no number.
    """
    z = standardise(x, item)
    codes = binner.codes(x, z)
    counts = groups.counts(codes, binner.width)
    bins = binner.null
    cells["bins"][:] = counts[:, :bins]
    cells["null"][:, 0] = counts[:, binner.null]
    cells["invalid"][:, 0] = counts[:, binner.invalid]
    cells["valid"][:, 0] = counts[:, :bins].sum(axis=1)
    if counts[:, bins:].any():
        np.copyto(z, 0.0, where=codes >= bins)
    beyond = np.abs(z) > Z_LIMIT
    if beyond.any():
        cells["clipped"][:, 0] = groups.where(beyond)
        np.clip(z, -Z_LIMIT, Z_LIMIT, out=z)
    if kept is not None:
        kept[:] = z
    if item.low > -np.inf or item.high < np.inf:
        outside = (x < item.low) | (x > item.high)
        if outside.any():
            cells["out_of_range"][:, 0] = groups.where(outside & np.isfinite(x))
    squares = z * z
    squares *= Z2_UNIT
    cells["z2"][:, 0] = groups.sums(np.rint(squares, out=squares))
    z *= Z_UNIT
    cells["z"][:, 0] = groups.sums(np.rint(z, out=z))


def count_categorical(
    table: pa.Table, item: CategoryBins, known: pa.Array, groups: Groups, cells: Mapping[str, Vector]
) -> Codes | None:
    """Counts of one categorical feature, into its cells. Returns the bin of each row (n,), None without the column.

    The last bin holds every category that the reference does not know; the code of nulls is behind it.
    """
    name = FEATURE_PREFIX + item.name
    other, null = len(item.categories), len(item.categories) + 1
    if name not in table.column_names:
        cells["null"][:, 0] = np.bincount(groups.index, minlength=groups.count)
        return None
    column = table.column(name)
    found = codes(column, known, other)
    if column.null_count:
        found[nulls(column)] = null
    counts = groups.counts(found, null + 1)
    cells["bins"][:] = counts[:, :null]
    cells["null"][:, 0] = counts[:, null]
    cells["valid"][:, 0] = counts[:, :null].sum(axis=1)
    cells["unseen"][:, 0] = counts[:, other]
    return found
