"""Faults of the ground truth: what it says of the same inputs, whether it is right, whether and when it comes.

They change labels that are rows of their own and labels inside predictions.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.faults.answers import pick, spread
from ml_exporter.faults.played import ARRIVAL, Context, Injection, Played, to_both
from ml_exporter.faults.rows import (
    HOUR_US,
    chosen,
    draws,
    floats,
    is_number,
    is_text,
    keep,
    landed,
    made,
    progress,
    put,
    shift,
    valid,
    within,
)
from ml_exporter.layout import Bools

LABEL = "label"
LABEL_TIME = "label_timestamp"


def _redrawn(table: pa.Table, rows: Bools, salt: str, context: Context) -> pa.Table:
    """Labels that have nothing to do with the inputs, in the marked rows; classes keep their shares."""
    if LABEL not in table.column_names:
        return table
    rows = rows & valid(table, LABEL)
    drawn = draws(table, salt)
    if is_number(table, LABEL):
        return put(table, LABEL, rows, spread(context.target, drawn))
    if not (context.classes and is_text(table, LABEL)):
        return table
    index = pick(context.actual, len(context.classes), drawn)
    return put(table, LABEL, rows, pa.array(context.classes, pa.string()).take(pa.array(index)))


@to_both
def concept_drift(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """Of the predictions made in time, a share `size` have labels that the inputs no longer tell; inputs stay."""
    return _redrawn(table, chosen(table, injection, "concept_drift"), "concept_drift labels", context)


@to_both
def slow_decay(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """As `concept_drift`, with a share that grows evenly from none at the start to `size` at the end."""
    share = injection.size * progress(made(table), injection)
    return _redrawn(table, chosen(table, injection, "slow_decay", share), "slow_decay labels", context)


@to_both
def label_flip(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the labels that come in time are wrong: the next class, a number mirrored at the centre."""
    if LABEL not in table.column_names:
        return table
    rows = within(landed(table), injection) & (draws(table, "label_flip") < injection.size) & valid(table, LABEL)
    if is_number(table, LABEL):
        return put(table, LABEL, rows, 2.0 * context.target[0] - floats(table, LABEL))
    if not (context.classes and is_text(table, LABEL)):
        return table
    known = pa.array(context.classes, pa.string())
    index = np.asarray(pc.fill_null(pc.index_in(table.column(LABEL), value_set=known), -1).to_numpy(), np.intp)
    wrong = known.take(pa.array((index + 1) % len(known)))
    return put(table, LABEL, rows & (index >= 0), wrong)


def label_outage(played: Played, injection: Injection, context: Context) -> Played:
    """A share `size` of the labels that would come in time never come."""
    labels, inside = played.labels, played.predictions
    lost = within(landed(labels), injection) & (draws(labels, "label_outage") < injection.size)
    if LABEL in inside.column_names:
        rows = within(landed(inside), injection) & (draws(inside, "label_outage") < injection.size)
        inside = put(put(inside, LABEL_TIME, rows, None), LABEL, rows, None)
    return Played(inside, keep(labels, ~lost))


def label_delay(played: Played, injection: Injection, context: Context) -> Played:
    """Labels that would come in time come `size` hours later, and say so; a record that holds its own waits for it."""
    by_us = round(injection.size * HOUR_US)
    labels, inside = played.labels, played.predictions
    rows = within(landed(labels), injection)
    late = replace(played, labels=shift(shift(labels, "timestamp", rows, by_us), ARRIVAL, rows, by_us))
    if LABEL in inside.column_names:
        rows = within(landed(inside), injection) & valid(inside, LABEL)
        inside = shift(shift(inside, LABEL_TIME, rows, by_us), ARRIVAL, rows, by_us)
    return replace(late, predictions=inside)
