"""Whole rows equal a count by hand, however they were split or ordered; distances and errors equal those of floats."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from tests import build, oracle
from tests.test_vectorise import CASES, COLUMNS, rows

from ml_exporter.crossfit import _components, _Sums, _sums
from ml_exporter.groups import group_rows
from ml_exporter.joint import (
    CLIP,
    MAX_FEATURES,
    VALUE_UNIT,
    VECTOR_UNIT,
    WEIGHT_UNIT,
    Components,
    Joint,
    joint_from_json,
    joint_to_json,
)
from ml_exporter.layout import Layout, Vector, project
from ml_exporter.oddness import make_projector
from ml_exporter.vectorise import make_vectoriser

Row = dict[str, Any]
LAYOUT = build.layout(joint=build.JOINT)
OPEN = (-math.inf, math.inf)


def counted(layout: Layout, found: list[Row], keys: list[int] | None = None, columns: list[str] = COLUMNS) -> Vector:
    _, groups = group_rows(np.array(keys if keys is not None else [0] * len(found), np.int64))
    return make_vectoriser(layout).predictions(build.table(found, columns=columns), groups, joinable=True)[0]


def of_rows(layout: Layout, found: list[Row], columns: list[str] = COLUMNS) -> dict[str, int]:
    """The cells of outliers that are not 0."""
    cells = layout.cells(counted(layout, found, columns=columns)[0], "outliers")
    return {name: int(value[0]) for name, value in cells.items() if value[0]}


@pytest.mark.parametrize("row", CASES.values(), ids=CASES)
def test_one_row_equals_a_count_by_hand(row: Row) -> None:
    assert counted(LAYOUT, [row])[0].tolist() == oracle.predictions(LAYOUT, [row], set(COLUMNS))


@pytest.mark.parametrize("absent", COLUMNS)
def test_a_column_that_the_table_does_not_have_counts_as_null(absent: str) -> None:
    columns = [name for name in COLUMNS if name != absent]
    found = [{key: value for key, value in row.items() if key != absent} for row in CASES.values()]
    expected = oracle.predictions(LAYOUT, found, set(columns))
    assert counted(LAYOUT, found, columns=columns)[0].tolist() == expected


@given(st.lists(rows, max_size=20))
@settings(max_examples=50)
def test_any_rows_equal_a_count_by_hand(found: list[Row]) -> None:
    vector = counted(LAYOUT, found).sum(axis=0)
    assert vector.tolist() == oracle.predictions(LAYOUT, found, set(COLUMNS))


@given(st.data(), st.lists(st.tuples(st.integers(-3, 3), rows), min_size=1, max_size=20))
@settings(max_examples=50)
def test_any_split_order_and_grouping_adds_up_to_the_same(data: st.DataObject, found: list[tuple[int, Row]]) -> None:
    shuffled, cut = data.draw(st.permutations(found)), data.draw(st.integers(0, len(found)))
    whole = counted(LAYOUT, [row for _, row in found])[0].tolist()
    parts = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    sums = [counted(LAYOUT, [row for _, row in part], [key for key, _ in part]).sum(axis=0) for part in parts]
    assert np.sum(sums, axis=0).tolist() == whole


REASONS = {
    "usual": ({"feature:temp": 10.0, "feature:wind": 5.0, "prediction": "yes", "score": 0.6}, {}),
    "below the range": ({"feature:temp": -40.5}, {"range": 1, "distance": 1}),
    "end of the range": ({"feature:wind": 5.5}, {"distance": 1}),
    "a known category": ({"feature:carrier": "AA"}, {}),
    "an unseen category": ({"feature:carrier": "ZZ"}, {"range": 1}),
    "a null category": ({"feature:carrier": None}, {}),
    "no numbers": ({"feature:temp": None, "feature:wind": math.inf}, {}),
    "a score of the other class": ({"prediction": "no", "score": 0.8}, {"prediction": 1}),
    "that of its own class": ({"prediction": "yes", "score": 0.8}, {}),
    "certainty": ({"prediction": "yes", "score": 1.0}, {"prediction": 1}),
    "a score that is none": ({"prediction": "yes", "score": 1.5}, {}),
    "a class that is none": ({"prediction": "maybe", "score": 1.0}, {}),
    "both far, as they go together": ({"feature:temp": 17.0, "feature:wind": 5.15}, {}),
    "both far, apart": ({"feature:temp": 17.0, "feature:wind": 4.85}, {"distance": 1}),
}


@pytest.mark.parametrize(("row", "reasons"), REASONS.values(), ids=REASONS)
def test_why_a_row_is_an_outlier(row: Row, reasons: dict[str, int]) -> None:
    assert of_rows(LAYOUT, [row]) == {"rows": 1, **({"outliers": 1} if reasons else {}), **reasons}


def test_a_class_that_the_reference_never_predicted_is_an_outlier() -> None:
    layout = build.layout(joint=replace(build.JOINT, answers=((0.05, 0.7), (1.0, 0.0))))
    assert of_rows(layout, [{"prediction": "yes", "score": 0.5}])["prediction"] == 1
    assert "prediction" not in of_rows(layout, [{"prediction": "yes", "score": None}])


NUMBERS = {"feature:temp": 10.0, "feature:wind": 5.0}


def test_several_classes_are_judged_by_their_confidence() -> None:
    answers = ((0.3, 0.9), (0.4, 0.8), (0.0, 1.0))
    for scores in (True, False):
        layout = build.multiclass(scores=scores, joint=replace(build.JOINT, answers=answers))
        names = [f"score:{name}" for name in layout.classes] if scores else ["score"]
        columns = ["prediction", *names]
        found: list[Row] = []
        for predicted, confidence in (("a", 0.95), ("b", 0.85), ("b", 0.5), ("c", 1.0), (None, 1.0), ("c", None)):
            known = [confidence if f"score:{predicted}" == name or not scores else 0.01 for name in names]
            found.append({"prediction": predicted, **dict(zip(names, known, strict=True))})
        assert of_rows(layout, found, columns)["prediction"] == 2
        assert counted(layout, found, columns=columns)[0].tolist() == oracle.predictions(layout, found, set(columns))


def test_a_number_is_judged_by_itself() -> None:
    layout = build.regression(joint=replace(build.JOINT, answers=((-5.0, 15.0),)))
    found: list[Row] = [{"prediction": value} for value in (0.0, 15.0, 15.5, -1e300, math.inf, math.nan, None)]
    assert of_rows(layout, found, ["prediction"])["prediction"] == 2
    assert counted(layout, found, columns=["prediction"])[0].tolist() == oracle.predictions(
        layout, found, {"prediction"}
    )


def test_without_numbers_there_is_no_distance() -> None:
    layout = build.layout(build.CARRIER, joint=Joint((), (OPEN, OPEN)))
    assert of_rows(layout, [{"feature:carrier": "ZZ"}, {"feature:carrier": "AA"}]) == {
        "rows": 2,
        "outliers": 1,
        "range": 1,
    }
    assert [item.name for item in layout.slices][-1] == "outliers"


def test_one_number_has_a_distance_and_nothing_to_reconstruct() -> None:
    one = Components((0.0,), (1.0,), ((VECTOR_UNIT,),), (WEIGHT_UNIT,), 1, 9 * WEIGHT_UNIT * VALUE_UNIT**2)
    layout = build.layout(build.TEMP, joint=Joint((OPEN,), (OPEN, OPEN), one))
    assert of_rows(layout, [{"feature:temp": 25.0}, {"feature:temp": 25.1}, {"feature:temp": None}]) == {
        "rows": 3,
        "outliers": 1,
        "distance": 1,
    }
    assert "reconstruction" not in layout.by_name


# the layout


def test_slices_of_whole_rows_come_last_and_change_no_other() -> None:
    plain = build.layout()
    assert LAYOUT.slices[: len(plain.slices)] == plain.slices
    assert [item.name for item in LAYOUT.slices[len(plain.slices) :]] == ["outliers", "reconstruction"]
    assert LAYOUT.head == plain.head
    assert project(plain.slices, LAYOUT.slices).reset == ("outliers", "reconstruction")
    assert project(LAYOUT.slices, plain.slices).reset == ()


CHANGES = {
    "range": (replace(build.JOINT, ranges=((-40.0, 60.5), (4.5, 5.5))), {"outliers"}),
    "answers": (replace(build.JOINT, answers=((0.05, 0.7), (0.3, 0.96))), {"outliers"}),
    "limit": (replace(build.JOINT, components=replace(build.COMPONENTS, limit=1)), {"outliers"}),
    "weights": (replace(build.JOINT, components=replace(build.COMPONENTS, weights=(1, 1))), {"outliers"}),
    "centres": (
        replace(build.JOINT, components=replace(build.COMPONENTS, centres=(0.0, 0.0))),
        {"outliers", "reconstruction"},
    ),
}


@pytest.mark.parametrize(("joint", "reset"), CHANGES.values(), ids=CHANGES)
def test_what_was_learned_is_meaning(joint: Joint, reset: set[str]) -> None:
    assert set(project(LAYOUT.slices, build.layout(joint=joint).slices).reset) == reset


def test_it_survives_json() -> None:
    for joint in (build.JOINT, Joint((OPEN, (0.0, math.inf)), (OPEN,))):
        assert joint_from_json(joint_to_json(joint, ("temp", "wind"))) == joint


# the arithmetic


def learned(z: np.ndarray) -> Components:
    return _components(_sums(z))


@pytest.mark.parametrize("width", [1, 2, 7, 40])
def test_distances_and_errors_are_those_of_floats_within_what_rounding_can_move(width: int) -> None:
    """A value moves by 2^-9, an entry by 2^-13, a coordinate by 2^-9 again."""
    rng = np.random.default_rng(width)
    z = np.clip(rng.normal(size=(width, width)) @ rng.normal(size=(width, 3000)) / np.sqrt(width), -CLIP, CLIP)
    components = learned(z)
    scaled = ((z.T - z.mean(axis=1)) / np.maximum(z.std(axis=1), 0.75)).astype(float)
    distances, squares = make_projector(components).measure(z)
    pca = PCA().fit(scaled)
    coordinates = pca.transform(scaled)
    off = 2.0**-9 * (1 + np.sqrt(width)) + 2.0**-13 * np.abs(scaled).sum(axis=1)
    if width > 1:
        errors = np.sqrt((coordinates[:, components.kept :] ** 2).sum(axis=1))
        assert (np.abs(np.sqrt(squares) / VALUE_UNIT - errors) <= np.sqrt(width) * off + 1e-6).all()
    variances = pca.explained_variance_ * 2999 / 3000
    expected = np.sqrt((coordinates**2 / np.maximum(variances, 0.01)).sum(axis=1))
    found = np.sqrt(distances / WEIGHT_UNIT) / VALUE_UNIT
    of_weights = expected * 0.25 * variances.max() / WEIGHT_UNIT
    assert (np.abs(found - expected) <= np.sqrt(width / max(variances.min(), 0.01)) * off + of_weights + 1e-6).all()
    if variances.min() > 0.01:
        known = EmpiricalCovariance().fit(scaled).mahalanobis(scaled)
        assert expected**2 == pytest.approx(known, rel=1e-6)


def test_the_hardest_rows_stay_below_what_a_double_holds() -> None:
    """As many features as there may be, all at the clip, in every direction, with the largest weights."""
    d = MAX_FEATURES
    corners = np.where(np.random.default_rng(1).random((d, 200)) < 0.5, -CLIP, CLIP)
    ones = np.full((d, 1), 1.0 / np.sqrt(d))
    basis = np.linalg.qr(np.column_stack([ones, np.random.default_rng(2).normal(size=(d, d - 1))]))[0].T
    entries = np.rint(basis * VECTOR_UNIT).astype(int)
    weights = (WEIGHT_UNIT * 100,) * d
    hard = Components((4.0,) * d, (0.75,) * d, tuple(map(tuple, entries.tolist())), weights, 0, 0)
    z = np.column_stack([corners, np.full(d, -CLIP)])
    distances, squares = make_projector(hard).measure(z)
    assert distances.max() < 2**52
    for place in (0, 100, 200):
        known = oracle.measured(hard, z[:, place].tolist())
        assert known == (int(distances[place]), int(squares[place]))


@given(st.integers(1, 9000), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_row_is_measured_alike_wherever_it_stands(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.standard_t(2, size=(3, rows))
    projector = make_projector(learned(rng.normal(size=(3, 500))))
    order = rng.permutation(rows)
    for one, other in zip(projector.measure(z), projector.measure(np.ascontiguousarray(z[:, order])), strict=True):
        assert one[order].tolist() == other.tolist()
    alone = projector.measure(z[:, rows // 2 : rows // 2 + 1])
    assert [part[0] for part in alone] == [part[rows // 2] for part in projector.measure(z)]


def test_components_of_sums_are_those_of_the_rows_however_they_were_added() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(size=(4, 1000))
    parts = [_sums(z[:, start : start + 100]) for start in range(0, 1000, 100)]
    added = _Sums(1000, sum(part.totals for part in parts), sum(part.products for part in parts))
    assert _components(added) == learned(z) == learned(z[:, rng.permutation(1000)])
    assert _components(added.without(parts[0])) == learned(z[:, 100:])


@pytest.mark.parametrize("case", ["constant", "collinear", "all constant"])
def test_singular_features_have_finite_distances_that_a_break_makes_large(case: str) -> None:
    rng = np.random.default_rng(6)
    z = rng.normal(size=(3, 2000))
    broken = {"constant": [0.0, 0.0, 2.0], "collinear": [1.0, 0.0, -1.0], "all constant": [2.0, 0.0, 0.0]}[case]
    z[2] = z[0] if case == "collinear" else 0.0
    if case == "all constant":
        z[:] = 0.0
    projector = make_projector(learned(z))
    usual = projector.measure(z)[0].max()
    far = projector.measure(np.array(broken)[:, None])[0][0]
    assert np.isfinite(far)
    assert far > 5 * usual
