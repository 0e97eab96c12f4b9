"""Vectors equal a count by hand, cell by cell, and do not depend on how the rows were split or ordered."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build, oracle

from ml_exporter.groups import Groups, group_rows
from ml_exporter.heads import Scored
from ml_exporter.layout import Layout, Vector
from ml_exporter.vectorise import make_vectoriser

LAYOUT = build.layout()
VECTORISER = make_vectoriser(LAYOUT)
COLUMNS = [
    "id",
    "prediction",
    "score",
    "latency",
    "fallback",
    "error",
    "feature:temp",
    "feature:wind",
    "feature:carrier",
]
Row = dict[str, Any]


def counted(
    rows: list[Row], keys: list[int] | None = None, columns: list[str] = COLUMNS
) -> tuple[Vector, Vector, Scored]:
    """Keys, matrix and scores of rows grouped by key (all in one group without keys)."""
    distinct, groups = group_rows(np.array(keys if keys is not None else [0] * len(rows), np.int64))
    matrix, scored, *_ = VECTORISER.predictions(build.table(rows, columns=columns), groups, joinable=True)
    return distinct, matrix, scored


def total(rows: list[Row], keys: list[int] | None = None, columns: list[str] = COLUMNS) -> list[int]:
    cells: list[int] = counted(rows, keys, columns)[1].sum(axis=0).tolist()
    return cells


CASES: dict[str, Row] = {
    "everything": build.prediction(0, 3) | {"fallback": True, "error": False},
    "nothing": {},
    "NaN": {"score": math.nan, "latency": math.nan, "feature:temp": math.nan, "prediction": "no"},
    "infinity": {"score": math.inf, "latency": math.inf, "feature:temp": math.inf, "prediction": "no"},
    "minus infinity": {"score": -math.inf, "latency": -math.inf, "feature:temp": -math.inf, "prediction": "yes"},
    "huge": {"score": 1e308, "latency": 1e308, "feature:temp": 1e308, "feature:wind": -1e308, "prediction": "yes"},
    "subnormal": {"score": 5e-324, "latency": 5e-324, "feature:temp": 5e-324, "prediction": "no"},
    "minus zero": {"score": -0.0, "latency": -0.0, "feature:temp": -0.0, "prediction": "no"},
    "score 0": {"score": 0.0, "prediction": "no"},
    "score 1": {"score": 1.0, "prediction": "yes"},
    "score just above 1": {"score": 1.0000000000000002, "prediction": "yes"},
    "score just below the threshold": {"score": 0.49999999999999994, "prediction": "no"},
    "score on the threshold": {"score": 0.5, "prediction": "yes"},
    "score against the prediction": {"score": 0.9, "prediction": "no"},
    "score without a prediction": {"score": 0.9},
    "prediction without a score": {"prediction": "yes", "id": "a"},
    "unknown class": {"prediction": "Yes", "score": 0.7, "id": "a"},
    "empty class": {"prediction": "", "score": 0.7},
    "no id": {"prediction": "yes", "score": 0.7},
    "negative latency": {"latency": -1e-9},
    "latency on a bound": {"latency": 0.5},
    "latency just above a bound": {"latency": 0.5000000000000001},
    "latency beyond every bound": {"latency": 999_999.0},
    "latency too long to be one": {"latency": 1e6},
    "half a microsecond": {"latency": 2.5e-6},
    "below the range": {"feature:temp": -30.000000000000004},
    "lowest of the range": {"feature:temp": -30.0},
    "above the range": {"feature:temp": 50.00000000000001},
    "open end of the range": {"feature:wind": 1e300},
    "not clipped": {"feature:temp": 10.0 + 5.0 * 64},
    "clipped": {"feature:temp": 10.0 + 5.0 * 64.0001},
    "clipped below": {"feature:temp": 10.0 - 5.0 * 65},
    "an atom": {"feature:temp": 0.0},
    "a tie of rounding": {"feature:temp": 10.0 + 5.0 * 2.0**-25},
    "known category": {"feature:carrier": "UA"},
    "unseen category": {"feature:carrier": "ZZ"},
    "empty category": {"feature:carrier": ""},
    "hostile category": {"feature:carrier": 'A"A\n\x00<b>' + "x" * 1000},
    "flags false": {"fallback": False, "error": False},
    "flags true": {"fallback": True, "error": True},
}


@pytest.mark.parametrize("row", CASES.values(), ids=CASES)
def test_one_row_equals_a_count_by_hand(row: Row) -> None:
    assert total([row]) == oracle.predictions(LAYOUT, [row], set(COLUMNS))


def test_all_rows_together_equal_a_count_by_hand() -> None:
    rows = list(CASES.values())
    assert total(rows) == oracle.predictions(LAYOUT, rows, set(COLUMNS))


@pytest.mark.parametrize("absent", COLUMNS)
def test_a_column_that_the_table_does_not_have_counts_as_null(absent: str) -> None:
    columns = [name for name in COLUMNS if name != absent]
    rows = [{key: value for key, value in row.items() if key != absent} for row in CASES.values()]
    assert total(rows, columns=columns) == oracle.predictions(LAYOUT, rows, set(columns))


def test_without_a_prediction_column_the_score_decides() -> None:
    rows = [{"score": score, "id": "a"} for score in (0.0, 0.49999999999999994, 0.5, 1.0, 1.1, None, math.nan)]
    _, matrix, scored = counted(rows, columns=["id", "score"])
    assert scored.predicted.tolist() == [0, 0, 1, 1, -1, -1, -1]
    assert matrix.sum(axis=0).tolist() == oracle.predictions(LAYOUT, rows, {"id", "score"})


def test_predictions_that_no_label_log_follows_are_not_joinable() -> None:
    _, groups = group_rows(np.zeros(1, np.int64))
    matrix, *_ = VECTORISER.predictions(build.table([CASES["everything"]]), groups, joinable=False)
    assert LAYOUT.cells(matrix, "labels")["joinable"].tolist() == [[0]]


def test_no_rows_give_no_groups() -> None:
    distinct, matrix, scored = counted([])
    assert (distinct.tolist(), matrix.shape, scored.scores.tolist()) == ([], (0, LAYOUT.size), [])


def test_sums_stay_exact_when_every_latency_is_as_long_as_can_be() -> None:
    rows = [{"latency": 999_999.999_999 - number % 7} for number in range(20_000)]
    in_order = total(rows, columns=["latency"])
    assert in_order == oracle.predictions(LAYOUT, rows, {"latency"})
    assert total(rows, [number % 2 for number in range(20_000)], ["latency"]) == in_order


numbers = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 10.0, 20.0, 5e-324, math.inf, -math.inf, math.nan, 1e308, 330.0, 331.0]),
    st.floats(-400.0, 400.0),
    st.floats(),
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([None, "a", "b"]),
        "prediction": st.sampled_from([None, "no", "yes", "maybe"]),
        "score": st.one_of(st.floats(0, 1), numbers),
        "latency": numbers,
        "fallback": st.sampled_from([None, True, False]),
        "error": st.sampled_from([None, True, False]),
        "feature:temp": numbers,
        "feature:wind": numbers,
        "feature:carrier": st.sampled_from([None, "AA", "UA", "ZZ", ""]),
    },
)


@given(st.lists(rows, max_size=20))
def test_any_rows_equal_a_count_by_hand(found: list[Row]) -> None:
    assert total(found) == oracle.predictions(LAYOUT, found, set(COLUMNS))


@given(st.data(), st.lists(rows, min_size=1, max_size=20))
@settings(max_examples=50)
def test_any_split_and_order_gives_the_same_vector(data: st.DataObject, found: list[Row]) -> None:
    shuffled = data.draw(st.permutations(found))
    cut = data.draw(st.integers(0, len(found)))
    assert (np.array(total(shuffled[:cut])) + np.array(total(shuffled[cut:]))).tolist() == total(found)


@given(st.lists(st.tuples(st.integers(-3, 3), rows), min_size=1, max_size=20))
@settings(max_examples=50)
def test_groups_add_up_to_one_group(found: list[tuple[int, Row]]) -> None:
    keys = [key for key, _ in found]
    distinct, matrix, _ = counted([row for _, row in found], keys)
    assert distinct.tolist() == sorted(set(keys))
    assert matrix.sum(axis=0).tolist() == total([row for _, row in found])
    for key, vector in zip(distinct.tolist(), matrix.tolist(), strict=True):
        assert vector == total([row for other, row in found if other == key])


@given(st.lists(st.integers(-5, 5), max_size=30))
def test_group_rows_finds_every_row_its_key(keys: list[int]) -> None:
    for order in (keys, sorted(keys)):
        distinct, groups = group_rows(np.array(order, np.int64))
        assert distinct.tolist() == sorted(set(keys))
        assert distinct[groups.index].tolist() == order
        assert groups.sums(np.ones(len(order))).tolist() == [order.count(key) for key in distinct.tolist()]


LABELS = st.tuples(
    st.sampled_from([0, 1]),
    st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.5, 1e-16, 5e-324, 1 - 1e-16]), st.floats(0, 1)),
    st.sampled_from([0, 1]),
    st.one_of(
        st.sampled_from([0.0, 60.0, 60.00000000000001, 3600.0, 3e6]), st.integers(0, 10**9).map(lambda ms: ms / 1000)
    ),
)


def labelled(found: list[tuple[int, float | None, int, float]], layout: Layout = LAYOUT) -> Vector:
    vectoriser = make_vectoriser(layout)
    predicted, scores, actual, delays = (list(part) for part in zip(*found, strict=True)) if found else ([], [], [], [])
    score = np.array([np.nan if value is None else value for value in scores], np.float64)
    groups = Groups(np.zeros(len(found), np.intp), 1, None)
    scored = vectoriser.scored(np.array(predicted, np.int16), score[:, None])
    vector: Vector = vectoriser.labels(scored, np.array(actual, np.int16), np.array(delays, np.float64), groups)[0]
    return vector


@given(st.lists(LABELS, max_size=20))
def test_labels_equal_a_count_by_hand(found: list[tuple[int, float | None, int, float]]) -> None:
    assert labelled(found).tolist() == oracle.labels(LAYOUT, found)


@given(st.lists(LABELS, min_size=1, max_size=20), st.integers(0, 20))
def test_labels_add_up_however_they_are_split(found: list[tuple[int, float | None, int, float]], cut: int) -> None:
    assert (labelled(found[:cut]) + labelled(found[cut:])).tolist() == labelled(found[::-1]).tolist()


@given(st.lists(rows, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_a_label_moves_its_score_and_nothing_becomes_negative(found: list[Row], random: Any) -> None:
    _, matrix, scored = counted(found)
    chosen = np.array([predicted >= 0 and random.random() < 0.5 for predicted in scored.predicted], np.bool_)
    actual = np.array([random.randint(0, 1) for _ in range(int(chosen.sum()))], np.int16)
    again = VECTORISER.scored(scored.predicted[chosen], scored.scores[chosen])
    groups = Groups(np.zeros(len(actual), np.intp), 1, None)
    joined = matrix[0] + VECTORISER.labels(again, actual, np.zeros(len(actual)), groups)[0]
    before = LAYOUT.cells(matrix[0], "scores")["histogram"].reshape(2, 3, -1)
    after = LAYOUT.cells(joined, "scores")["histogram"].reshape(2, 3, -1)
    assert after.sum(axis=1).tolist() == before.sum(axis=1).tolist()
    assert (after >= 0).all()
    quality = LAYOUT.cells(joined, "quality")
    assert after[:, 1:].sum() == quality["scored"][0] == np.count_nonzero(~np.isnan(again.scores))
    assert after[:, 2].sum() == quality["positive"][0]
    assert quality["confusion"].sum() == LAYOUT.cells(joined, "labels")["labelled"][0] == len(actual)


def test_bins_of_scores_are_found_again() -> None:
    found = [{"score": score, "prediction": "yes"} for score in (0.0, 0.1, 0.3, 0.5, 0.9, 1.0, None)]
    scored = counted(found)[2]
    again = VECTORISER.scored(scored.predicted, scored.scores)
    assert scored.bin.tolist() == again.bin.tolist() == [0, 1, 1, 2, 3, 3, -1]


ARRIVING = build.layout(align="arrival")


@given(st.lists(LABELS, max_size=20))
def test_with_align_arrival_labelled_scores_are_there_twice(found: list[tuple[int, float | None, int, float]]) -> None:
    vector = labelled(found, ARRIVING)
    assert vector.tolist() == oracle.labels(ARRIVING, found)
    moved = ARRIVING.cells(vector, "scores")["histogram"].reshape(2, 3, -1).sum(axis=0)
    assert ARRIVING.cells(vector, "arrived")["histogram"].tolist() == moved[1:].ravel().tolist()
    assert not vector[ARRIVING.arriving].min(initial=0)
    unaligned = LAYOUT.cells(labelled(found), "quality")
    for key, cells in ARRIVING.cells(vector, "quality").items():
        assert cells.tolist() == unaligned[key].tolist()
