"""A mapping that the reference does not bear out is said, each kind of mistake in a sentence of its own."""

from typing import Any

import pyarrow as pa
import pytest

from ml_exporter.config import Model, label_fields, parse, prediction_fields
from ml_exporter.mapping import Read, doubts
from ml_exporter.records import schema

HEAD = """
sources: {made: {files: made.jsonl}, known: {files: known.jsonl}}
models:
  any:
    team: ops
    baseline: any.json
    labels: {source: known}
"""
BINARY = """
    task: binary
    classes: ["no", "yes"]
    predictions: {source: made, columns: {prediction: answer.class, score: answer.p, latency: took, version: v}}
    features: {object: input, numeric: {age: }, categorical: {city: }}
"""
REGRESSION = """
    task: regression
    predictions: {source: made, columns: {prediction: y}}
"""


def model(text: str = BINARY) -> Model:
    return parse(HEAD + text).models["any"]


def rows(**changes: Any) -> list[dict[str, Any]]:
    """Ten predictions as they should be."""
    found = []
    for number in range(10):
        row = {"timestamp": number, "id": f"p{number}", "version": "1", "latency": 0.1, "score": number / 10}
        row |= {"prediction": "yes" if number >= 5 else "no", "feature:age": 30.0 + number, "feature:city": "Rome"}
        found.append(row | changes)
    return found


def known(**changes: Any) -> list[dict[str, Any]]:
    return [{"timestamp": 20, "id": f"p{number}", "label": "no"} | changes for number in range(10)]


def told(made: list[dict[str, Any]], labels: list[dict[str, Any]] | None, settings: Model | None = None) -> list[str]:
    settings = settings or model()
    kind = "number" if settings.task == "regression" else "text"
    assert settings.labels is not None
    table = pa.Table.from_pylist(made, schema(prediction_fields(settings)))
    truth = None if labels is None else pa.Table.from_pylist(labels, schema(label_fields(settings.labels, kind)))
    return [str(item) for item in doubts(settings, Read(table, truth, ["known.jsonl"]))]


def test_a_mapping_that_fits_is_not_doubted() -> None:
    assert told(rows(), known()) == []


def test_some_values_may_lack_and_some_labels_name_no_prediction() -> None:
    made = rows()
    for row in made[:4]:
        row |= {"feature:age": None, "feature:city": None, "version": None, "score": float("inf"), "latency": None}
    assert told(made, known()[5:] + known(id="other")) == []


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("feature:age", "input.age", "a number"),
        ("feature:city", "input.city", "a value"),
        ("version", "v", "a value"),
        ("score", "answer.p", "a number"),
        ("latency", "took", "a number"),
    ],
)
def test_a_column_that_is_never_there(name: str, where: str, what: str) -> None:
    action = "Correct its name in the configuration, or take it out."
    assert told(rows(**{name: None}), known()) == [f"{where}: expected {what}, got none in 10 reference rows. {action}"]


def test_a_number_that_is_a_text() -> None:
    assert told(rows(**{"feature:age": float("inf")}), known()) == [
        "input.age: expected a number, got something else in 10 of 10 reference rows. "
        "Make it a categorical feature if it is one, or log numbers."
    ]


def test_answers_and_labels_that_are_no_classes() -> None:
    assert told(rows(prediction="nope"), known(label="YES")) == [
        "predictions.columns.prediction: expected one of no, yes, got 'nope' in 10 of 10 reference rows. "
        "Correct `classes`, or the column's name.",
        "labels.columns.label: expected one of no, yes, got 'YES' in 10 of 10 reference rows. "
        "Correct `classes`, or the column's name.",
    ]


def test_the_most_frequent_unknown_answers_are_named_in_an_order_of_their_own() -> None:
    made = rows()
    for number, row in enumerate(made):
        row["prediction"] = "abbbccdefg"[number]
    (text,) = told(made, known())
    assert "got 'b', 'c', 'a', 'd', 'e' in 10 of 10" in text
    assert told(made[::-1], known()) == [text]


def test_classes_in_the_wrong_order() -> None:
    made = [row | {"score": 1 - row["score"]} for row in rows()]
    assert told(made, known()) == [
        "classes: expected 'yes' to be predicted from score 0.5 on, got the opposite in 9 of 10 reference rows. "
        "Name the negative class first, or map the other class's score."
    ]


def test_a_latency_in_milliseconds() -> None:
    assert told(rows(latency=20.1), known()) == [
        "latency.limit: expected most predictions within 0.5s, got a median of 20.1s in the reference. "
        "Set the limit that was agreed on, and `unit` to what the log has."
    ]


def test_labels_that_nobody_named_or_could_read_or_that_name_no_prediction() -> None:
    assert told(rows(), None) == [
        "--labels: expected label logs of the reference, got none. Name them, or quality has no baseline."
    ]
    assert told(rows(), []) == [
        "known.jsonl: expected labels, got no usable row. Correct `labels.columns`, or the format of its source."
    ]
    assert told(rows(), known(id="x1")) == [
        "known.jsonl: expected the id of a prediction in a label, got 'x1' there and 'p0' in the predictions. "
        "Correct `columns.id` of one of them."
    ]


def test_labels_of_a_regression_are_numbers() -> None:
    made = [{"timestamp": 1, "id": "p1", "prediction": 2.0}]
    assert told(made, [{"timestamp": 2, "id": "p1", "label": 3.0}], model(REGRESSION)) == []
    assert told(made, [{"timestamp": 2, "id": "p1", "label": None}], model(REGRESSION)) == [
        "label: expected a number, got none in 1 reference rows. Correct its name in the configuration, or take it out."
    ]
