"""What the reference says of the mapping: parts of the configuration for which its logs have nothing.

A wrong name in a mapping is no error of a row: its values are null for ever, and no alert compares null with null. The
reference is where it shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.columns import floats
from ml_exporter.config import Model, answer_kind, label_fields, prediction_fields
from ml_exporter.errors import Problem, shown
from ml_exporter.records import Field

TOLERATED = 0.01
"""Share of predictions and labels that may be none of the classes."""
MOST = 0.5
"""Share of rows beyond which something is the rule."""
NAMED = 5


@dataclass(frozen=True)
class Read:
    """What the reference's logs gave: predictions, labels (None: of no log), and the names of the label logs."""

    predictions: pa.Table
    labels: pa.Table | None
    label_logs: Sequence[str]


def doubts(model: Model, read: Read) -> Iterator[Problem]:
    """Everything in the mapping of a model that its reference does not bear out."""
    for item in prediction_fields(model):
        yield from _values(item, read.predictions)
    yield from _classes(model, "predictions", read.predictions, "prediction")
    yield from _classes(model, "predictions", read.predictions, "label")
    yield from _order(model, read.predictions)
    yield from _latency(model, read.predictions)
    yield from _labels(model, read)


def _values(item: Field, table: pa.Table) -> Iterator[Problem]:
    """A column that never has a value, or hardly ever a number where one is expected."""
    where, rows = ".".join(item.path), table.num_rows
    column = table.column(item.name)
    if item.kind != "number":
        if column.null_count == rows:
            yield _nothing(where, "a value", rows)
        return
    values = floats(table, item.name)
    absent, unreadable = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    if absent == rows:
        yield _nothing(where, "a number", rows)
    elif unreadable > MOST * (rows - absent):
        got = f"something else in {unreadable} of {rows - absent} reference rows"
        yield Problem(where, "a number", got, "Make it a categorical feature if it is one, or log numbers")


def _nothing(where: str, expected: str, rows: int) -> Problem:
    action = "Correct its name in the configuration, or take it out"
    return Problem(where, expected, f"none in {rows} reference rows", action)


def _classes(model: Model, where: str, table: pa.Table, name: str) -> Iterator[Problem]:
    """Predictions or labels that are none of the classes."""
    if not model.classes or name not in table.column_names:
        return
    given = table.column(name).drop_null()
    unknown = given.filter(pc.invert(pc.is_in(given, value_set=pa.array(model.classes))))
    if len(unknown) <= TOLERATED * len(given):
        return
    counted = sorted(pc.value_counts(unknown).to_pylist(), key=lambda item: (-item["counts"], item["values"]))
    names = ", ".join(shown(item["values"], 40) for item in counted[:NAMED])
    got = f"{names} in {len(unknown)} of {len(given)} reference rows"
    action = "Correct `classes`, or the column's name"
    yield Problem(f"{where}.columns.{name}", f"one of {', '.join(model.classes)}", got, action)


def _order(model: Model, table: pa.Table) -> Iterator[Problem]:
    """Scores that mostly contradict the predictions: the classes are the wrong way round."""
    if model.task != "binary" or not {"score", "prediction"} <= set(table.column_names):
        return
    scores, made = floats(table, "score"), pc.fill_null(table.column("prediction"), "")
    positive = pc.equal(made, model.classes[1]).to_numpy()
    known = np.isfinite(scores) & (positive | pc.equal(made, model.classes[0]).to_numpy())
    wrong = int(((scores >= model.decision_threshold) != positive)[known].sum())
    if wrong > MOST * int(known.sum()):
        got = f"the opposite in {wrong} of {int(known.sum())} reference rows"
        expected = f"{model.classes[1]!r} to be predicted from score {model.decision_threshold:g} on"
        yield Problem("classes", expected, got, "Name the negative class first, or map the other class's score")


def _latency(model: Model, table: pa.Table) -> Iterator[Problem]:
    if "latency" not in table.column_names:
        return
    values = floats(table, "latency")
    values = values[np.isfinite(values)]
    limit = float(model.latency.limit)
    if len(values) and float(np.median(values)) > limit:
        got = f"a median of {float(np.median(values)):g}s in the reference"
        action = "Set the limit that was agreed on, and `unit` to what the log has"
        yield Problem("latency.limit", f"most predictions within {limit:g}s", got, action)


def _labels(model: Model, read: Read) -> Iterator[Problem]:
    """Labels that are missing, name no prediction, or are no label."""
    if model.labels is None or model.labels.source is None:
        return
    logs = ", ".join(read.label_logs)
    if read.labels is None:
        yield Problem("--labels", "label logs of the reference", "none", "Name them, or quality has no baseline")
    elif not read.labels.num_rows:
        yield Problem(logs, "labels", "no usable row", "Correct `labels.columns`, or the format of its source")
    else:
        yield from _classes(model, "labels", read.labels, "label")
        if answer_kind(model) == "number":
            (item,) = (item for item in label_fields(model.labels, "number") if item.name == "label")
            yield from _values(item, read.labels)
        ids = read.labels.column("id"), read.predictions.column("id")
        if not pc.any(pc.is_in(ids[0], value_set=ids[1].combine_chunks())).as_py():
            label, made = (shown(pc.min(item).as_py(), 40) for item in ids)
            got = f"{label} there and {made} in the predictions"
            yield Problem(logs, "the id of a prediction in a label", got, "Correct `columns.id` of one of them")
