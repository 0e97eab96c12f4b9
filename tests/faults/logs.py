"""Small recorded logs of three kinds of models, for the tests of faults."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tests.build import HOUR, MINUTE, NOON

from ml_exporter.faults import Context, Injection, Played, arriving, attach
from ml_exporter.layout import CategoryBins, NumericBins

ROWS = 3000
BEGIN, START, END = NOON, NOON + 2 * HOUR, NOON + 8 * HOUR
"""The logs last ten hours; the fault six of them."""

TEMP = NumericBins("temp", (0.0, 10.0), centre=10.0, scale=5.0, low=-30.0, high=50.0)
WIND = NumericBins("wind", (5.0,), centre=3.0, scale=2.0, low=0.0, high=np.inf)
CARRIER = CategoryBins("carrier", ("AA", "B6", "DL", "UA"))
CLASSES = {"binary": ("no", "yes"), "multiclass": ("low", "middle", "high"), "regression": ()}
THRESHOLD = 0.4
TASKS = tuple(CLASSES)


@dataclass(frozen=True)
class Logs:
    """Clean logs and what is known of their model."""

    played: Played
    context: Context


def injection(size: float, feature: str | None = None) -> Injection:
    return Injection(size, START, END, feature)


def some_null(values: np.ndarray, generator: np.random.Generator, share: float = 0.05) -> pa.Array:
    return pa.array(values, mask=generator.random(len(values)) < share)


def answers(task: str, generator: np.random.Generator) -> Mapping[str, pa.Array]:
    """Predictions and scores, and the labels that they would get, by column."""
    if task == "regression":
        found = generator.normal(100.0, 20.0, ROWS)
        return {"prediction": pa.array(found), "label": pa.array(found + generator.normal(0.0, 5.0, ROWS))}
    classes = np.array(CLASSES[task], object)
    raw = generator.dirichlet(np.ones(len(classes)), ROWS)
    actual = classes[(generator.random((ROWS, 1)) > raw.cumsum(axis=1)).sum(axis=1)]
    if task == "binary":
        predicted = classes[(raw[:, 1] >= THRESHOLD).astype(int)]
        return {
            "prediction": some_null(predicted, generator, 0.01),
            "score": pa.array(raw[:, 1]),
            "label": pa.array(actual),
        }
    scores = {f"score:{name}": pa.array(raw[:, number]) for number, name in enumerate(classes)}
    found = {"prediction": pa.array(classes[raw.argmax(axis=1)]), "score": pa.array(raw.max(axis=1))}
    return found | scores | {"label": pa.array(actual)}


def features(generator: np.random.Generator) -> Mapping[str, pa.Array]:
    """Numbers with nulls, NaN and infinities, and texts with nulls."""
    temp = generator.normal(10.0, 5.0, ROWS)
    temp[generator.random(ROWS) < 0.02] = np.nan
    temp[generator.random(ROWS) < 0.01] = np.inf
    carrier = np.array(CARRIER.categories, object)[generator.integers(0, 4, ROWS)]
    return {
        "feature:temp": some_null(temp, generator),
        "feature:wind": pa.array(generator.exponential(3.0, ROWS)),
        "feature:carrier": some_null(carrier, generator),
    }


def recorded(task: str, *, inside: bool = False) -> Logs:
    """Ten hours of logs; labels come within two hours, as rows of their own or `inside` the predictions."""
    generator = np.random.default_rng(20)
    times = np.sort(generator.integers(BEGIN, BEGIN + 10 * HOUR, ROWS))
    found = dict(answers(task, generator))
    actual = found.pop("label")
    landed = times + generator.integers(MINUTE, 2 * HOUR, ROWS)
    columns = {
        "timestamp": pa.array(times),
        "id": some_null(np.array([f"p{number}" for number in range(ROWS)], object), generator, 0.01),
        "version": some_null(np.full(ROWS, "v1", object), generator),
        **found,
        "latency": some_null(generator.exponential(0.1, ROWS), generator),
        "fallback": some_null(generator.random(ROWS) < 0.02, generator),
        "error": pa.array(generator.random(ROWS) < 0.01),
        **features(generator),
    }
    known = generator.random(ROWS) < 0.9
    if inside:
        columns["label"] = pa.array(actual.to_numpy(zero_copy_only=False), actual.type, mask=~known)
        columns["label_timestamp"] = pa.array(landed, mask=~known)
    predictions = arriving(pa.table(columns))
    context = Context((TEMP, WIND, CARRIER), CLASSES[task], THRESHOLD, target=(100.0, 20.0))
    if inside:
        return Logs(Played(predictions), context)
    order = np.flatnonzero(known)[np.argsort(landed[known], kind="stable")]
    labels = pa.table(
        {"timestamp": landed[order], "id": [f"p{row}" for row in order], "label": actual.take(pa.array(order))}
    )
    return Logs(Played(predictions, arriving(attach(labels, predictions))), context)


def bits(table: pa.Table) -> pa.Table:
    """The table with floats as their bits, so that NaN equals itself and differs from null."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_floating(column.type):
            column = pa.array(column.to_numpy().view(np.int64), mask=pc.is_null(column).to_numpy())
        columns[name] = column
    return pa.table(columns)


def same(one: Played, other: Played) -> bool:
    return bool(bits(one.predictions) == bits(other.predictions) and bits(one.labels) == bits(other.labels))
