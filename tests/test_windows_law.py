"""What holds in every window of every model, whatever was counted, in any order, and however often it was restarted.

No cell is ever negative, and every count lies within its denominator, which is kept in the same slice: so a window that
begins or ends anywhere, or follows a changed configuration, never shows a ratio above one or a value of nothing.
"""

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.counting import Counting
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector, project
from ml_exporter.store import Store


def spans(counting: Counting, chance: random.Random) -> Iterator[tuple[int, int]]:
    """Windows of any length that end anywhere, as far as they exist."""
    grid, newest = counting.timing.grid, counting.panes.newest_us
    for _ in range(6):
        length = chance.choice([MINUTE, 5 * MINUTE, HOUR, 2 * HOUR, 5 * HOUR, DAY, 3 * DAY])
        span = grid.span(newest - chance.randrange(-HOUR, 5 * HOUR), length, newest)
        if span is not None:
            yield span


def assert_sound(layout: Layout, vector: Vector) -> None:
    """Every law of a window's cells."""
    negative = [
        f"{item.name}.{key}"
        for item in layout.slices
        for key, cells in layout.cells(vector, item.name).items()
        if (cells < 0).any() and key not in ("z", "delay_sum")
    ]
    assert negative == []
    rows = int(layout.cells(vector, "rows")["rows"][0])
    for item in layout.features:
        cells = {key: int(value.sum()) for key, value in layout.cells(vector, f"feature:{item.name}").items()}
        assert cells["valid"] + cells["null"] + cells.get("invalid", 0) in (rows, 0)
        assert cells["bins"] == cells["valid"]
        if isinstance(item, NumericBins):
            assert max(cells["out_of_range"], cells["clipped"]) <= cells["valid"]
        elif isinstance(item, CategoryBins):
            assert cells["unseen"] <= cells["valid"]
    heads = {name: {key: int(cells.sum()) for key, cells in layout.cells(vector, name).items()} for name in HEADS}
    assert heads["predictions"]["classes"] == heads["predictions"]["predicted"]
    assert heads["scores"]["histogram"] == heads["flags"]["confidence_rows"]
    assert heads["flags"]["fallback"] <= heads["flags"]["fallback_rows"]
    assert heads["latency"]["buckets"] == heads["latency"]["rows"]
    assert heads["labels"]["labelled"] <= heads["labels"]["joinable"]
    assert heads["labels"]["delay"] == heads["labels"]["labelled"]
    assert heads["quality"]["scored"] <= heads["quality"]["confusion"]
    assert heads["quality"]["positive"] <= heads["quality"]["scored"]


HEADS = ("predictions", "scores", "flags", "latency", "labels", "quality")


def advance(counting: Counting, chance: random.Random, now: int) -> None:
    """Some rows and labels of the past, of any age that is counted, and some that are too old."""
    ages = [0, MINUTE, 20 * MINUTE, 2 * HOUR, 4 * HOUR, 2 * DAY, 300 * DAY]
    numbers = [chance.randrange(400) for _ in range(chance.randrange(1, 30))]
    if chance.random() < 0.5:
        rows = [
            build.prediction(
                now - chance.randrange(chance.choice(ages) + 1), number, score=chance.choice([0.2, 0.7, None, 7.0])
            )
            for number in numbers
        ]
        counting.predictions(build.batch(rows), now)
    else:
        known = [
            build.label(now - chance.randrange(MINUTE), number, chance.choice(["no", "yes", "maybe"]))
            for number in numbers
        ]
        counting.labels(build.batch(known), now)
    if chance.random() < 0.2:
        counting.expire(now)


def restarted(store: Store, counting: Counting) -> Counting:
    """The same model as a new process finds it."""
    store.commit({"flights": counting}, {})
    again = Counting(counting.layout, counting.timing, has_labels=True)
    assert store.load("flights", again) == ()
    return again


@given(st.integers(0, 2**32))
@settings(max_examples=40)
def test_every_window_is_sound_whatever_happened(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    chance = random.Random(seed)
    counting, now = build.counting(), NOON
    store = Store(tmp_path_factory.mktemp("state"))
    for _ in range(25):
        now += chance.choice([0, 1, MINUTE, HOUR, 5 * HOUR, DAY])
        advance(counting, chance, now)
        if chance.random() < 0.2:
            counting = restarted(store, counting)
        for span in spans(counting, chance):
            assert_sound(counting.layout, counting.panes.sum(*span))
    store.close()


OTHER_TEMP = NumericBins("temp", (1.0,), 0.0, 1.0, -np.inf, np.inf)
OTHER_CARRIER = CategoryBins("carrier", ("DL",))
features = st.lists(
    st.sampled_from([build.TEMP, build.WIND, build.CARRIER, OTHER_TEMP, OTHER_CARRIER]),
    unique_by=lambda item: item.name,
)


@given(features, features, st.sampled_from([0.5, 0.3]))
def test_a_projected_window_keeps_exactly_what_matches(
    before: list[FeatureBins], after: list[FeatureBins], threshold: float
) -> None:
    always = CategoryBins("any", ("a",))
    old = build.layout(always, *before)
    new = build.layout(always, *after, decision_threshold=threshold)
    rows = [build.prediction(NOON + number, number) for number in range(50)]
    vector = build.vector(old, rows, {f"p{number}": ("no", "yes")[number % 2] for number in range(0, 50, 3)})
    projection = project(old.slices, new.slices)
    found = projection(vector)
    for item in new.slices:
        known = old.by_name.get(item.name)
        fits = known is not None and known.digest == item.digest
        assert (item.name in projection.reset) == (not fits)
        here = found[item.start : item.start + item.size].tolist()
        kept = vector[known.start : known.start + known.size].tolist() if known and fits else [0] * item.size
        assert here == kept
    assert sum(item.size for item in new.slices) == len(found)
