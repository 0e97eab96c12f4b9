"""Vectors of several classes and of numbers equal a count by hand, add up, and never get negative."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build, oracle

from ml_exporter.groups import Groups, group_rows
from ml_exporter.heads import known
from ml_exporter.layout import Layout, Vector, project
from ml_exporter.tasks import Multiclass, Regression
from ml_exporter.vectorise import make_vectoriser

Row = dict[str, Any]
Label = tuple[Any, Any, Any, float]

LAYOUTS: dict[str, Layout] = {
    "scores": build.multiclass(),
    "confidence": build.multiclass(scores=False),
    "two classes": build.multiclass(count=2),
    "25 classes": build.multiclass(count=25),
    "25 classes, confidence": build.multiclass(count=25, scores=False),
    "scores by arrival": build.multiclass(align="arrival"),
    "number": build.regression(),
    "number by arrival": build.regression(align="arrival"),
}
by_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)

probability = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 0.05, 0.3, 5e-324, 1 - 1e-16]), st.floats(0, 1))
dirty = st.one_of(st.none(), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1.0000000000000002, -1e-9]))
number = st.one_of(
    st.sampled_from([0.0, -0.0, 5.0, 10.0, 5e-324, 133.0, 133.1, 1e308, -1e308]), st.floats(-200.0, 200.0)
)
delays = st.one_of(
    st.sampled_from([0.0, 60.0, 60.00000000000001, 3600.0, 3e6]), st.integers(0, 10**9).map(lambda ms: ms / 1000)
)


def score_names(layout: Layout) -> list[str]:
    task = layout.task
    by_class = isinstance(task, Multiclass) and task.class_score_edges
    return [f"score:{name}" for name in layout.classes] if by_class else ["score"]


def columns(layout: Layout) -> list[str]:
    own = ["prediction"] if not layout.is_class else ["prediction", *score_names(layout)]
    return ["id", *own, "latency", "fallback", "feature:temp", "feature:carrier"]


def rows_of(layout: Layout) -> st.SearchStrategy[Row]:
    """Rows of any quality, most of them with usable scores."""
    common: dict[str, Any] = {
        "id": st.sampled_from([None, "a", "b"]),
        "latency": st.sampled_from([None, 0.2, -1.0, math.nan]),
        "fallback": st.sampled_from([None, True, False]),
        "feature:temp": st.one_of(dirty, number),
        "feature:carrier": st.sampled_from([None, "AA", "ZZ"]),
    }
    if not layout.is_class:
        return st.fixed_dictionaries({}, optional={**common, "prediction": st.one_of(number, number, dirty)})
    answers = st.sampled_from([*layout.classes, None, "?"])
    rare = st.integers(0, 9).flatmap(lambda chance: dirty if chance == 0 else probability)
    scores = {name: rare if len(layout.classes) < 4 else probability for name in score_names(layout)}
    return st.fixed_dictionaries(scores, optional={**common, "prediction": answers})


def labels_of(layout: Layout) -> st.SearchStrategy[Label]:
    if not layout.is_class:
        return st.tuples(number, st.none(), number, delays)
    classes = st.integers(0, len(layout.classes) - 1)
    scores = st.lists(probability, min_size=layout.join_scores, max_size=layout.join_scores)
    return st.tuples(classes, st.one_of(st.none(), scores), classes, delays)


def typed(layout: Layout, rows: list[Row], names: list[str]) -> pa.Table:
    """A table whose predictions are numbers where the task has numbers, also when none is there."""
    found = build.table(rows, columns=names)
    if layout.is_class or "prediction" not in names:
        return found
    values = pa.array([row.get("prediction") for row in rows], pa.float64())
    return found.set_column(names.index("prediction"), "prediction", values)


def counted(
    layout: Layout, rows: list[Row], names: list[str] | None = None, keys: list[int] | None = None
) -> tuple[list[int], Vector]:
    """Keys and matrix of rows grouped by key, all in one group without keys."""
    distinct, groups = group_rows(np.array(keys if keys is not None else [0] * len(rows), np.int64))
    table = typed(layout, rows, columns(layout) if names is None else names)
    return distinct.tolist(), make_vectoriser(layout).predictions(table, groups, joinable=True)[0]


def total(layout: Layout, rows: list[Row], names: list[str] | None = None) -> list[int]:
    cells: list[int] = counted(layout, rows, names)[1].sum(axis=0).tolist()
    return cells


def labelled(layout: Layout, found: list[Label]) -> Vector:
    count = len(found)
    predicted = np.array([item[0] for item in found], np.int16 if layout.is_class else np.float64)
    actual = np.array([item[2] for item in found], predicted.dtype)
    scores = np.full((count, layout.join_scores), np.nan)
    for place, item in enumerate(found):
        if item[1] is not None:
            scores[place] = item[1]
    vectoriser = make_vectoriser(layout)
    groups = Groups(np.zeros(count, np.intp), 1, None)
    delay = np.array([item[3] for item in found], np.float64)
    vector: Vector = vectoriser.labels(vectoriser.scored(predicted, scores), actual, delay, groups)[0]
    return vector


@by_layout
@given(data=st.data())
@settings(max_examples=30)
def test_any_rows_equal_a_count_by_hand(layout: Layout, data: st.DataObject) -> None:
    found = data.draw(st.lists(rows_of(layout), max_size=15))
    for names in (columns(layout), [name for name in columns(layout) if name != "prediction"]):
        rows = [{name: value for name, value in row.items() if name in names} for row in found]
        assert total(layout, rows, names) == oracle.predictions(layout, rows, set(names))


@by_layout
@given(data=st.data())
@settings(max_examples=15)
def test_any_split_order_and_grouping_gives_the_same_vector(layout: Layout, data: st.DataObject) -> None:
    found = data.draw(st.lists(rows_of(layout), min_size=1, max_size=15))
    shuffled, cut = data.draw(st.permutations(found)), data.draw(st.integers(0, len(found)))
    whole = total(layout, found)
    assert (np.array(total(layout, shuffled[:cut])) + np.array(total(layout, shuffled[cut:]))).tolist() == whole
    keys = data.draw(st.lists(st.integers(-3, 3), min_size=len(found), max_size=len(found)))
    distinct, matrix = counted(layout, found, keys=keys)
    assert matrix.sum(axis=0).tolist() == whole
    for key, vector in zip(distinct, matrix.tolist(), strict=True):
        assert vector == total(layout, [row for row, other in zip(found, keys, strict=True) if other == key])


@by_layout
@given(data=st.data())
@settings(max_examples=30)
def test_labels_equal_a_count_by_hand(layout: Layout, data: st.DataObject) -> None:
    found = data.draw(st.lists(labels_of(layout), max_size=15))
    assert labelled(layout, found).tolist() == oracle.labels(layout, found)


@by_layout
@given(data=st.data())
@settings(max_examples=15)
def test_labels_add_up_and_are_taken_back(layout: Layout, data: st.DataObject) -> None:
    found = data.draw(st.lists(labels_of(layout), min_size=1, max_size=15))
    cut = data.draw(st.integers(0, len(found)))
    whole = labelled(layout, found)
    assert (labelled(layout, found[:cut]) + labelled(layout, found[cut:])).tolist() == whole.tolist()
    assert (whole - labelled(layout, found[:cut])).tolist() == labelled(layout, found[cut:]).tolist()


SIGNED = {"z", "error", "label_high", "delay_sum"}
"""Sums of values that may be negative."""


def assert_sound(layout: Layout, vector: Vector) -> None:
    """No count is negative, and every part lies within its denominator, which is in the same slice."""
    cells = {item.name: layout.cells(vector, item.name) for item in layout.slices}
    sums = {name: {key: int(value.sum()) for key, value in part.items()} for name, part in cells.items()}
    assert [
        (name, key)
        for name, part in cells.items()
        for key, value in part.items()
        if key not in SIGNED and value.min() < 0
    ] == []
    labels, quality, predictions = sums["labels"], sums["quality"], sums["predictions"]
    assert labels["labelled"] == labels["delay"] <= labels["joinable"]
    if isinstance(layout.task, Regression):
        assert predictions["bins"] == predictions["predicted"] >= predictions["clipped"]
        assert sum(predictions[name] for name in ("predicted", "null", "invalid")) == sums["rows"]["rows"]
        assert quality["rows"] == quality["bins"] == labels["labelled"]
        assert max(quality["clipped"], quality["label_clipped"]) <= quality["rows"]
        return
    answered = quality.get("confusion", quality.get("actual", 0))
    assert predictions["classes"] == predictions["predicted"]
    assert sums["scores"]["histogram"] == sums["flags"]["confidence_rows"] <= predictions["predicted"]
    assert quality["hits"] <= quality["scored"] <= answered == labels["labelled"]
    states = cells["scores"]["histogram"].reshape(len(layout.classes), 3, -1).sum(axis=(0, 2))
    assert states[1:].tolist() == [quality["scored"] - quality["hits"], quality["hits"]]
    if layout.task.class_score_edges:
        by_class = cells["class_scores"]["histogram"].reshape(len(layout.classes), -1).sum(axis=1)
        assert set(by_class.tolist()) == {quality["scored"]}
    if "right" in quality:
        assert (cells["quality"]["right"] <= np.minimum(cells["quality"]["called"], cells["quality"]["actual"])).all()


@by_layout
@given(data=st.data())
@settings(max_examples=20)
def test_whatever_is_labelled_no_cell_gets_negative(layout: Layout, data: st.DataObject) -> None:
    rows = data.draw(st.lists(rows_of(layout).map(lambda row: row | {"id": "x"}), min_size=1, max_size=15))
    vectoriser = make_vectoriser(layout)
    one = Groups(np.zeros(len(rows), np.intp), 1, None)
    matrix, scored, *_ = vectoriser.predictions(typed(layout, rows, columns(layout)), one, joinable=True)
    marks = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    chosen = scored.known & np.array(marks)
    values = number if not layout.is_class else st.integers(0, len(layout.classes) - 1)
    count = int(chosen.sum())
    actual = np.array(data.draw(st.lists(values, min_size=count, max_size=count)), scored.predicted.dtype)
    again = vectoriser.scored(scored.predicted[chosen], scored.scores[chosen])
    assert again.bin.tolist() == scored.bin[chosen].tolist()
    vector = matrix[0] + vectoriser.labels(again, actual, np.zeros(count), one.take(chosen))[0]
    assert_sound(layout, matrix[0])
    assert_sound(layout, vector)


def test_the_highest_score_decides_and_the_first_of_ties() -> None:
    layout = LAYOUTS["scores"]
    rows = [dict(zip(score_names(layout), scores, strict=True)) for scores in ((0.2, 0.5, 0.3), (0.5, 0.0, 0.5))]
    rows += [{"score:a": 0.9, "score:b": math.nan, "score:c": 0.1}, {"score:a": 1.1, "score:b": 0.0, "score:c": 0.0}]
    _, groups = group_rows(np.zeros(4, np.int64))
    matrix, scored, *_ = make_vectoriser(layout).predictions(build.table(rows), groups, joinable=False)
    assert scored.predicted.tolist() == [1, 0, -1, -1]
    assert np.isnan(scored.scores[2:]).all()
    assert layout.cells(matrix[0], "scores")["invalid"].tolist() == [2]


@pytest.mark.parametrize(
    ("layout", "values", "expected"),
    [
        (LAYOUTS["scores"], ["b", "?", None, ""], [True, False, False, False]),
        (LAYOUTS["number"], [0.5, None, math.nan, math.inf], [True, False, False, False]),
    ],
)
def test_labels_of_no_known_value_are_not_known(layout: Layout, values: list[Any], expected: list[bool]) -> None:
    actual = make_vectoriser(layout).actual(pa.chunked_array([values]))
    assert known(actual).tolist() == expected


def test_sums_stay_exact_when_every_error_is_as_large_as_can_be() -> None:
    layout = LAYOUTS["number"]
    found = [(0.0, None, 6.4 - place % 3 * 1e-3, 0.0) for place in range(20_000)]
    assert labelled(layout, found).tolist() == oracle.labels(layout, found)


def test_no_sum_overflows_below_two_to_the_31_rows() -> None:
    layout = LAYOUTS["number"]
    vector = labelled(layout, [(-1e300, None, 1e300, 0.0)])
    assert layout.cells(vector, "quality")["clipped"].tolist() == [1]
    assert int(np.abs(vector).max()) * (2**31 - 1) < 2**63


EVERY = st.sampled_from(
    [
        build.layout(),
        build.layout(align="arrival"),
        build.multiclass(count=4),
        build.regression(latency_bounds=(0.1,)),
        *LAYOUTS.values(),
    ]
)


@given(EVERY, EVERY)
def test_projecting_between_tasks_keeps_exactly_what_matches(old: Layout, new: Layout) -> None:
    vector = np.arange(1, old.size + 1, dtype=np.int64)
    projection = project(old.slices, new.slices)
    found = projection(vector)
    for item in new.slices:
        was = old.by_name.get(item.name)
        fits = was is not None and was.digest == item.digest
        here = found[item.start : item.start + item.size].tolist()
        assert here == (vector[was.start : was.start + was.size].tolist() if was and fits else [0] * item.size)
        assert (item.name in projection.reset) != fits
    assert {"rows", "labels", "flags", "feature:temp"}.isdisjoint(projection.reset)
