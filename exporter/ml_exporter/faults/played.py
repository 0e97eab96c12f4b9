"""What faults change: a piece of the recorded logs of one model, with the instant at which each row is read.

A replay reads the clean logs, lets a fault change them piece by piece, sorts the rows by `arrival_us`, and gives those
that have arrived to the pipeline, as a `Batch` (`as_batch`), with `now` at their arrival.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.layout import FeatureBins
from ml_exporter.records import FEATURE_PREFIX, VIOLATION_KINDS, Batch

ARRIVAL = "arrival_us"
"""Column: when a row can be read at the earliest, in microseconds since 1970. Null nowhere."""
MADE = "made_us"
"""Column of labels: the time of the prediction that a label belongs to, null where there is none (`attach`)."""
VIOLATIONS = "violations:"
"""Prefix of columns that count, row by row, the violations that the parser would have counted."""


def _no_labels() -> pa.Table:
    kinds = {"timestamp": pa.int64(), "id": pa.string(), "label": pa.string(), ARRIVAL: pa.int64()}
    return pa.schema(kinds.items()).empty_table()


@dataclass(frozen=True)
class Played:
    """Some rows of a model's logs: canonical columns (see `records`), whichever the logs have, and those above.

    Labels may be rows of their own, or columns `label` and `label_timestamp` of the predictions.
    """

    predictions: pa.Table
    labels: pa.Table = field(default_factory=_no_labels)


@dataclass(frozen=True)
class Injection:
    """How much of a fault, and when: from `start_us` on, until before `end_us`.

    `feature` is the one that a fault of a feature hits, by default the first that fits. The meaning of `size` is the
    fault's own.
    """

    size: float
    start_us: int
    end_us: int
    feature: str | None = None


@dataclass(frozen=True)
class Context:
    """What a fault has to know of the model, from its baseline and configuration.

    `features` give centre, scale and categories. A regression has no `classes`. `predicted` and `actual` are the shares
    of the classes among predictions and labels (equal ones if unknown), `scores` evenly spaced quantiles of a binary
    model's scores, `target` centre and robust standard deviation of a regression's labels.
    """

    features: tuple[FeatureBins, ...] = ()
    classes: tuple[str, ...] = ()
    threshold: float = 0.5
    predicted: tuple[float, ...] = ()
    actual: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    target: tuple[float, float] = (0.0, 1.0)


Apply = Callable[[Played, Injection, Context], Played]
Change = Callable[[pa.Table, Injection, Context], pa.Table]


def to_predictions(change: Change) -> Apply:
    """A fault of the predictions alone."""

    def apply(played: Played, injection: Injection, context: Context) -> Played:
        return replace(played, predictions=change(played.predictions, injection, context))

    return apply


def to_both(change: Change) -> Apply:
    """A fault that changes predictions and labels by the same rule."""

    def apply(played: Played, injection: Injection, context: Context) -> Played:
        predictions = change(played.predictions, injection, context)
        return Played(predictions, change(played.labels, injection, context))

    return apply


def arriving(table: pa.Table) -> pa.Table:
    """The rows with `arrival_us`: their own time, and not before that of a label which they hold. Kept if there.

    >>> arriving(pa.table({"timestamp": [1, 2], "label_timestamp": [5, None]})).column("arrival_us").to_pylist()
    [5, 2]
    """
    if ARRIVAL in table.column_names:
        return table
    times = table.column("timestamp")
    if "label_timestamp" in table.column_names:
        times = pc.max_element_wise(times, table.column("label_timestamp"))
    return table.append_column(ARRIVAL, times)


def attach(labels: pa.Table, predictions: pa.Table) -> pa.Table:
    """The labels with `made_us` and the features of their predictions, so that faults can treat both alike.

    Takes the predictions of the whole log, of which the columns `id`, `timestamp` and `feature:*` are read; the first
    of an id counts. A label without a prediction gets nulls, and faults go by its own time.
    """
    place = pc.index_in(labels.column("id"), value_set=predictions.column("id").combine_chunks(), skip_nulls=True)
    for name in ("timestamp", *(name for name in predictions.column_names if name.startswith(FEATURE_PREFIX))):
        labels = labels.append_column(MADE if name == "timestamp" else name, predictions.column(name).take(place))
    return labels


def as_batch(table: pa.Table) -> Batch:
    """Rows of one of the two tables as the parser would have given them, violations counted.

    Their places (`offsets`) are those in this table.
    """
    counts = {kind: VIOLATIONS + kind for kind in VIOLATION_KINDS if VIOLATIONS + kind in table.column_names}
    violations = {kind: pc.sum(table.column(name)).as_py() or 0 for kind, name in counts.items()}
    attached = [name for name in table.column_names if MADE in table.column_names and name.startswith(FEATURE_PREFIX)]
    extra = {ARRIVAL, MADE, *counts.values(), *attached}
    rows = table.select([name for name in table.column_names if name not in extra])
    counted = {kind: count for kind, count in violations.items() if count}
    return Batch(rows, rows.num_rows, violations=counted, offsets=np.arange(rows.num_rows))
