"""A layout names every cell once, and its digests change when, and only when, the meaning of cells does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build

from ml_exporter.layout import CategoryBins, Layout, Slice, project, slices_from_json, slices_to_json

HEAD = ["rows", "predictions", "flags", "scores", "latency", "labels", "quality", "repeats"]


def test_slices_cover_the_vector_without_gaps() -> None:
    layout = build.layout()
    assert [item.name for item in layout.slices] == [*HEAD, "feature:temp", "feature:wind", "feature:carrier"]
    position = 0
    for item in layout.slices:
        assert item.start == position
        cells = [cell for where in item.fields.values() for cell in range(where.start, where.stop)]
        assert cells == list(range(item.size))
        position += item.size
    assert position == layout.size == len(layout.zeros())


def test_a_layout_without_features_is_its_head() -> None:
    layout = replace(build.layout(), features=())
    assert [item.name for item in layout.slices] == HEAD


def test_the_head_is_the_layout_without_features() -> None:
    whole = build.layout()
    assert [item.name for item in whole.head.slices] == HEAD
    assert whole.head.slices == whole.slices[: len(HEAD)]
    assert whole.head.size == whole.by_name["feature:temp"].start


def test_align_changes_quality_and_adds_what_arrives() -> None:
    whole, arriving = build.layout(), build.layout(align="arrival")
    assert differing(whole, arriving) == {"quality", "arrived"}
    assert (whole.arrival_slices, arriving.arrival_slices) == ((), ("quality", "arrived"))
    assert not whole.arriving.any()
    cells = [arriving.by_name[name] for name in arriving.arrival_slices]
    assert arriving.arriving.sum() == sum(item.size for item in cells)
    assert all(arriving.arriving[item.start : item.start + item.size].all() for item in cells)
    assert [item.name for item in arriving.head.slices] == [*HEAD[:-1], "arrived", "repeats"]


def test_cells_are_views_of_a_vector_and_of_a_matrix() -> None:
    layout = build.layout()
    matrix = np.zeros((3, layout.size), np.int64)
    layout.cells(matrix, "feature:carrier")["bins"][1] = [1, 2, 3]
    layout.cells(matrix[2], "rows")["rows"][:] = 7
    assert matrix[1].sum() == 6
    assert matrix[2].sum() == 7
    assert layout.cells(matrix, "feature:carrier")["bins"].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0]]


CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "classes": ({"classes": ("no", "maybe")}, {"predictions", "scores", "quality"}),
    "order of the classes": ({"classes": ("yes", "no")}, {"predictions", "scores", "quality"}),
    "threshold": ({"decision_threshold": 0.4}, {"predictions", "scores", "quality"}),
    "score edges": ({"score_edges": (0.1, 0.5, 0.8)}, {"scores"}),
    "latency bounds": ({"latency_bounds": (0.1, 0.5, 2.0)}, {"latency"}),
    "one more latency bound": ({"latency_bounds": (0.1, 0.5, 1.0, 2.0)}, {"latency"}),
    "delay bounds": ({"delay_bounds": (60.0, 7200.0)}, {"labels"}),
}


@pytest.mark.parametrize(("change", "meant"), CHANGES.values(), ids=CHANGES)
def test_the_head_changes_where_its_meaning_does(change: dict[str, Any], meant: set[str]) -> None:
    assert differing(build.layout(), build.layout(**change)) == meant
    assert build.layout(**change).fingerprint != build.layout().fingerprint


FEATURES: dict[str, Any] = {
    "edges": replace(build.TEMP, edges=(0.0, 5e-324, 10.0, 20.000000000000004)),
    "fewer edges": replace(build.TEMP, edges=(0.0,)),
    "centre": replace(build.TEMP, centre=10.000000000000002),
    "scale": replace(build.TEMP, scale=5.000000000000001),
    "low": replace(build.TEMP, low=-np.inf),
    "high": replace(build.TEMP, high=50.00000000000001),
    "kind": CategoryBins("temp", ("cold", "hot")),
}


@pytest.mark.parametrize("changed", FEATURES.values(), ids=FEATURES)
def test_a_feature_changes_alone(changed: Any) -> None:
    assert differing(build.layout(), build.layout(changed, build.WIND, build.CARRIER)) == {"feature:temp"}


@pytest.mark.parametrize("categories", [("AA",), ("AA", "UA", "DL"), ("UA", "AA"), ("AA", "ua")])
def test_categories_are_meaning(categories: tuple[str, ...]) -> None:
    changed = replace(build.CARRIER, categories=categories)
    assert differing(build.layout(), build.layout(build.TEMP, build.WIND, changed)) == {"feature:carrier"}


def test_place_is_no_meaning_but_part_of_the_fingerprint() -> None:
    moved = build.layout(build.CARRIER, build.WIND, build.TEMP)
    assert differing(build.layout(), moved) == set()
    assert moved.fingerprint != build.layout().fingerprint


def test_equal_layouts_have_equal_fingerprints() -> None:
    assert build.layout().fingerprint == build.layout().fingerprint


def test_the_fingerprint_is_the_same_in_every_release() -> None:
    """If this fails on purpose, states and baselines of older releases no longer fit: say so in the CHANGELOG."""
    assert build.layout().fingerprint == "ab3fde51ee6b"


def differing(one: Layout, other: Layout) -> set[str]:
    """Names of slices that only one layout has, or that have another digest."""
    first, second = ({(item.name, item.size, item.digest) for item in layout.slices} for layout in (one, other))
    return {name for name, _, _ in first ^ second}


def numbered(layout: Layout) -> np.ndarray:
    return np.arange(1, layout.size + 1, dtype=np.int64)


def test_project_keeps_the_slices_that_match_and_names_the_others() -> None:
    old = build.layout()
    new = build.layout(
        build.CARRIER, replace(build.TEMP, scale=2.0), replace(build.WIND, name="gust"), latency_bounds=(0.1, 0.5)
    )
    projection = project(old.slices, new.slices)
    vector = projection(numbered(old))
    assert projection.reset == ("latency", "feature:temp", "feature:gust")
    for item in new.slices:
        here = vector[item.start : item.start + item.size]
        if item.name in projection.reset:
            assert not here.any()
        else:
            was = old.by_name[item.name]
            assert here.tolist() == numbered(old)[was.start : was.start + was.size].tolist()


def test_project_onto_itself_changes_nothing() -> None:
    layout = build.layout()
    projection = project(layout.slices, layout.slices)
    assert projection.reset == ()
    assert (projection(numbered(layout)) == numbered(layout)).all()


def test_projected_vectors_are_new() -> None:
    layout = build.layout()
    vector = numbered(layout)
    project(layout.slices, layout.slices)(vector)[:] = 0
    assert vector.all()


def test_slices_survive_their_text() -> None:
    slices = build.layout().slices
    again = slices_from_json(slices_to_json(slices))
    assert again == tuple(Slice(item.name, item.start, item.size, item.digest, {}) for item in slices)


cells = st.lists(st.integers(-(2**40), 2**40), min_size=build.layout().size, max_size=build.layout().size)
pool = [
    build.TEMP,
    build.WIND,
    build.CARRIER,
    replace(build.CARRIER, categories=("DL",)),
    replace(build.WIND, name="gust"),
]
layouts = st.builds(
    lambda features, threshold: build.layout(*features, decision_threshold=threshold),
    st.lists(st.sampled_from(pool), min_size=1, unique_by=lambda item: item.name),
    st.sampled_from([0.5, 0.25]),
)


@given(cells, cells, layouts)
@settings(max_examples=40)
def test_projecting_a_sum_is_the_sum_of_the_projections(one: list[int], other: list[int], new: Layout) -> None:
    projection = project(build.layout().slices, new.slices)
    first, second = np.array(one, np.int64), np.array(other, np.int64)
    assert (projection(first + second) == projection(first) + projection(second)).all()
    assert (projection(first - second) == projection(first) - projection(second)).all()


@given(cells, layouts, layouts)
@settings(max_examples=40)
def test_what_survives_two_projections_survives_one(values: list[int], middle: Layout, new: Layout) -> None:
    vector = np.array(values, np.int64)
    start = build.layout()
    at_once = project(start.slices, new.slices)
    first, second = project(start.slices, middle.slices), project(middle.slices, new.slices)
    in_steps = second(first(vector))
    for item in new.slices:
        here = slice(item.start, item.start + item.size)
        lost = item.name in {*first.reset, *second.reset}
        assert (in_steps[here] == (0 if lost else at_once(vector)[here])).all()
