"""Changes that are no faults: other cases come, and the model judges each of them as well as before.

Only which rows come is changed, never a row; so inputs, predictions and labels keep their relation. The labels have to
know the features of their predictions (`attach`); those that do not stay as they are.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.faults.played import MADE, Context, Injection, to_both
from ml_exporter.faults.rows import (
    categories,
    draws,
    floats,
    is_number,
    made,
    numeric_bins,
    progress,
    repeat,
    target,
    within,
)
from ml_exporter.layout import Bools
from ml_exporter.records import FEATURE_PREFIX


def _upper(table: pa.Table, injection: Injection, context: Context) -> tuple[Bools, Bools]:
    """Rows whose feature lies above the reference's centre (the first half of the categories), and those below."""
    feature = target(table, injection, context)
    nothing = np.zeros(table.num_rows, np.bool_)
    if feature is None:
        return nothing, nothing
    name = FEATURE_PREFIX + feature
    known = within(made(table), injection)
    if MADE in table.column_names:
        known &= np.asarray(pc.is_valid(table.column(MADE)).to_numpy(), np.bool_)
    if is_number(table, name):
        values, centre = floats(table, name), numeric_bins(context, feature).centre
        return known & (values > centre), known & (values <= centre)
    names = categories(context, feature)
    first = pa.array(names[: (len(names) + 1) // 2], pa.string())
    high = np.asarray(pc.is_in(table.column(name), value_set=first, skip_nulls=True).to_numpy(), np.bool_)
    return known & high, known & ~high


@to_both
def covariate_shift(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """Of the cases with low values of a feature a share `size` stay away, as large a share of the others come twice."""
    high, low = _upper(table, injection, context)
    drawn = draws(table, "covariate_shift") < injection.size
    return repeat(table, 1 + (high & drawn).astype(np.int64) - (low & drawn), new_ids=True)


@to_both
def seasonal_change(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A season: more cases with high values of a feature, up to `size` of them twice in the middle, then fewer."""
    high, _ = _upper(table, injection, context)
    share = injection.size * np.sin(np.pi * progress(made(table), injection))
    return repeat(table, 1 + (high & (draws(table, "seasonal_change") < share)).astype(np.int64), new_ids=True)
