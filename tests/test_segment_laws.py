"""What holds for the parts of a model whatever happened: labels late and corrected, values that come and go, restarts.

Under each segment the panes of the values add up to those of the model, bit for bit, and no cell of any value is
negative. What a store keeps and gives back changes nothing.
"""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON
from tests.test_segments import COUNTRY, VERSION, assert_adds_up, spans, values_of

from ml_exporter.config import Corrections
from ml_exporter.counting import MAX_PENDING, Counting
from ml_exporter.segments import NONE, OTHER, By
from ml_exporter.store import Store

NAMES = [None, "", "BR", "DE", "FR", "JP", "KR", "US", "x" * 300]
NEW_BY = By("plan", "segment:plan", "user.plan", limit=2)


def counting(corrections: Corrections, align: str, *bys: By) -> Counting:
    found = Counting(build.layout(align=align), build.timing(), has_labels=True, bys=bys)
    found.set_rules(corrections, MAX_PENDING)
    return found


def advance(found: Counting, chance: random.Random, now: int) -> None:
    """Predictions or labels of any age; ids repeat, so that labels are corrected and predictions doubled."""
    numbers = [chance.randrange(300) for _ in range(chance.randrange(1, 30))]
    ages = [0, MINUTE, 20 * MINUTE, 2 * HOUR, 4 * HOUR, 2 * DAY]
    if chance.random() < 0.5:
        rows = [
            build.prediction(
                now - chance.randrange(chance.choice(ages) + 1),
                number,
                version=chance.choice([None, "v1", "v2", "v3"]),
                **{"segment:country": chance.choice(NAMES), "segment:plan": chance.choice(["a", "b", "c"])},
            )
            for number in numbers
        ]
        table = build.table(rows, columns=build.KINDS)
        found.predictions(build.Batch(table, table.num_rows), now)
    else:
        known = [
            build.label(now - chance.randrange(MINUTE), number, chance.choice(["no", "yes", "maybe"]))
            for number in numbers
        ]
        found.labels(build.batch(known), now)
    if chance.random() < 0.3:
        found.expire(now)


def reopened(store: Store, old: Counting, *bys: By) -> tuple[Counting, tuple[str, ...]]:
    """The same model as a new process finds it, perhaps with other segments."""
    store.commit({"flights": old}, {})
    new = Counting(old.layout, old.timing, has_labels=True, bys=bys)
    new.set_rules("last" if old.join.rules.takes_last else "first", MAX_PENDING)
    return new, store.load("flights", new)


def assert_no_cell_is_negative(found: Counting) -> None:
    head = found.layout.head
    for panes in found.scopes.values():
        for span in spans(found):
            vector = panes.sum(*span)
            for item in head.slices:
                assert not [key for key, cells in head.cells(vector, item.name).items() if (cells < 0).any()]


@pytest.mark.parametrize("align", ["prediction", "arrival"])
@pytest.mark.parametrize("corrections", ["first", "last"])
@given(st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_values_add_up_whatever_happened(
    tmp_path_factory: pytest.TempPathFactory, corrections: Corrections, align: str, seed: int
) -> None:
    chance, now = random.Random(seed), NOON
    found = counting(corrections, align, COUNTRY, VERSION)
    store = Store(tmp_path_factory.mktemp("state"))
    for step in range(16):
        now += chance.choice([0, 1, MINUTE, HOUR, 5 * HOUR, DAY, 40 * DAY])
        advance(found, chance, now)
        if chance.random() < 0.3:
            found, reset = reopened(store, found, COUNTRY, VERSION)
            assert reset == ()
        assert len(found.combinations) <= (3 + 2) * (2 + 2) + 1
        if step % 4 == 3:
            assert_adds_up(found)
            assert_no_cell_is_negative(found)
    store.close()


@given(st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_a_restart_in_the_middle_changes_nothing(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Every pane of every value, and which values have names."""
    store = Store(tmp_path_factory.mktemp("state"))
    once, often = (counting("last", "prediction", COUNTRY, VERSION) for _ in range(2))
    chances = random.Random(seed), random.Random(seed)
    now, pauses = NOON, random.Random(seed + 1)
    for _ in range(12):
        now += pauses.choice([0, MINUTE, HOUR, DAY])
        advance(once, chances[0], now)
        advance(often, chances[1], now)
        often, _ = reopened(store, often, COUNTRY, VERSION)
    assert {scope: dict(found) for scope, found in contents(often).items()} == contents(once)
    assert often.segment_names == once.segment_names
    store.close()


def contents(found: Counting) -> dict[tuple[str, str], dict[Any, list[int]]]:
    for panes in found.scopes.values():
        panes.advance(found.panes.newest_us)
    return {
        scope: {key: vector.tolist() for key, vector in panes.items()}
        for scope, panes in found.scopes.items()
        if not panes.is_empty
    }


@given(st.integers(0, 2**32))
@example(4609)  # labels alone: no prediction was counted
@settings(max_examples=6, deadline=None)
def test_another_configuration_keeps_what_fits(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """A lower limit, a segment less, one more: what stays adds up, and labels never touch what was not counted."""
    chance, now = random.Random(seed), NOON
    store = Store(tmp_path_factory.mktemp("state"))
    found = counting("last", "prediction", COUNTRY, VERSION)
    for _ in range(8):
        advance(found, chance, now := now + HOUR)
    lower = replace(COUNTRY, limit=2)
    found, reset = reopened(store, found, lower, NEW_BY)
    assert reset == ("segment version",)
    assert set(values_of(found.segments, "country")) <= {"BR", "DE", NONE, OTHER}
    for _ in range(8):
        advance(found, chance, now := now + HOUR)
    assert_no_cell_is_negative(found)
    assert_adds_up(found, "country")
    again, reset = reopened(store, found, lower, NEW_BY)
    assert (reset, contents(again)) == ((), contents(found))
    store.close()


def test_the_store_forgets_a_segment_that_is_gone(tmp_path: Path) -> None:
    store, chance = Store(tmp_path), random.Random(3)
    found = counting("first", "prediction", COUNTRY, VERSION)
    for _ in range(6):
        advance(found, chance, NOON)
    found, reset = reopened(store, found, VERSION)
    assert reset == ("segment country",)
    found, reset = reopened(store, found, COUNTRY, VERSION)
    assert reset == ()
    assert values_of(found.segments, "country") == {}
    assert values_of(found.segments, "version")
    store.close()
