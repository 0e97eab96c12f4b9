"""Segments: every row is in exactly one value of each, values add up to the whole, and their names are capped."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.counting import Counting
from ml_exporter.segments import MAX_TEXT, NONE, OTHER, By, Segments, Values, cleaned, ranked

COUNTRY = By("country", "segment:country", "geo.country", limit=3, known=("BR", "DE"))
VERSION = By("version", "version", "v", limit=2)

HOSTILE = [
    "<script>alert(1)</script>",
    'say "hi"',
    "two\nlines",
    "back\\slash",
    "\u202eright to left",
    "nul\x00nul",
    "__other__",
    "x" * 100_000,
    "日本",
    " ",
]

countries = st.one_of(st.none(), st.sampled_from(["BR", "DE", "FR", "JP", "", *HOSTILE]))


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Predictions over the last four hours, so that some fall into hours only."""
    count = draw(st.integers(1, 30))
    moments = [draw(st.integers(0, 4 * 60)) for _ in range(count)]
    return [
        build.prediction(
            NOON - ago * MINUTE,
            number,
            **{"segment:country": draw(countries), "version": draw(st.sampled_from([None, "v1", "v2", "v3"]))},
        )
        for number, ago in enumerate(moments)
    ]


def counting(*bys: By) -> Counting:
    return Counting(build.layout(), build.timing(), has_labels=True, bys=bys)


def columns(found: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows with every column, also those that none of them has."""
    return build.table(found, columns=build.KINDS)


def fed(found: Counting, parts: Sequence[Sequence[dict[str, Any]]]) -> Counting:
    """Counts batches of predictions."""
    for part in parts:
        table = columns(part)
        found.predictions(build.Batch(table, table.num_rows), NOON)
    return found


def spans(found: Counting) -> list[tuple[int, int]]:
    grid, newest = found.timing.grid, found.panes.newest_us
    lengths = (MINUTE, HOUR, 2 * HOUR, 5 * HOUR, 3 * DAY)
    spans = [grid.span(newest + ahead, length, newest) for length in lengths for ahead in (MINUTE, -7 * MINUTE)]
    return [span for span in spans if span is not None]


def assert_adds_up(found: Counting, *names: str) -> None:
    """Under each segment (or those named), values add up to the whole, in every window."""
    size = found.layout.head.size
    for by in (by for by in found.segments.bys if by.name in (names or (by.name,))):
        scopes = [panes for (name, _), panes in found.segments.scopes.items() if name == by.name]
        for panes in scopes:
            panes.advance(found.panes.newest_us)
        for span in spans(found):
            total = sum((panes.sum(*span) for panes in scopes), found.layout.head.zeros())
            assert total.tolist() == found.panes.sum(*span)[:size].tolist()


@settings(deadline=None, max_examples=25)
@given(rows())
def test_the_values_of_a_segment_add_up_to_the_whole(found: list[dict[str, Any]]) -> None:
    assert_adds_up(fed(counting(COUNTRY, VERSION), [found]))


@settings(deadline=None, max_examples=25)
@given(rows(), st.data())
def test_any_split_gives_the_same_panes(found: list[dict[str, Any]], data: st.DataObject) -> None:
    found.sort(key=lambda row: int(row["timestamp"]))
    cut = sorted(data.draw(st.lists(st.integers(0, len(found)), max_size=3)))
    parts = [part for start, stop in zip([0, *cut], [*cut, len(found)], strict=True) if (part := found[start:stop])]
    at_once, in_parts = fed(counting(COUNTRY, VERSION), [found]), fed(counting(COUNTRY, VERSION), parts)
    assert_adds_up(in_parts)
    assert vectors(in_parts) == vectors(at_once)


@settings(deadline=None, max_examples=15)
@given(rows(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same_panes_while_names_are_enough(found: list[dict[str, Any]], chance: Any) -> None:
    wide = By("country", "segment:country", "geo.country", limit=40)
    mixed = list(found)
    chance.shuffle(mixed)
    assert vectors(fed(counting(wide), [mixed])) == vectors(fed(counting(wide), [found]))


def vectors(found: Counting) -> dict[tuple[str, str], dict[Any, list[int]]]:
    """Every pane of every value that still counts (fine ones of a value seen long ago may be left)."""
    for panes in found.segments.scopes.values():
        panes.advance(found.panes.newest_us)
    return {
        scope: {key: vector.tolist() for key, vector in panes.items()} for scope, panes in found.segments.scopes.items()
    }


def test_rows_of_each_value_are_those_of_a_plain_count() -> None:
    names = ["BR", "FR", None, "JP", "FR", "KR", "DE", "", "US", "BR"]
    found = [build.prediction(NOON - 5 * MINUTE, n, **{"segment:country": name}) for n, name in enumerate(names)]
    segments = fed(counting(COUNTRY), [found]).segments
    kept = {"BR", "DE", "FR"}  # two of the baseline, then the first seen
    expected = Counter(name if name in kept else NONE if not name else OTHER for name in names)
    counts = {value: panes.sum(NOON - HOUR, NOON) for (_, value), panes in segments.scopes.items()}
    assert {value: int(vector[0]) for value, vector in counts.items()} == expected
    assert segments.values[0].order() == ("BR", "DE", "FR", NONE, OTHER)


def test_ten_thousand_hostile_values_stay_within_the_cap() -> None:
    texts = [f"{HOSTILE[n % len(HOSTILE)]}{n}" for n in range(10_000)]
    found = [build.prediction(NOON - n % 200 * MINUTE, n, **{"segment:country": text}) for n, text in enumerate(texts)]
    whole = fed(counting(COUNTRY), [found[start : start + 1000] for start in range(0, 10_000, 1000)])
    assert len(whole.segments.scopes) == 3 + 1 - 2  # the limit and `__other__`, but no row of the two of the baseline
    assert all(len(value) <= MAX_TEXT for _, value in whole.segments.scopes)
    assert_adds_up(whole)


def test_long_values_are_cut_and_count_as_one_where_they_agree() -> None:
    texts = pa.array(["a" * 500, "a" * MAX_TEXT, "a" * MAX_TEXT + "b", "é" * 200])
    assert cleaned(texts).to_pylist() == ["a" * MAX_TEXT] * 3 + ["é" * MAX_TEXT]


def test_names_of_the_reference_are_the_most_frequent_whatever_the_order() -> None:
    texts = ["b", "a", "c", "a", None, "", None, None, "c", "__other__"]
    assert ranked(pa.chunked_array([texts]), 2) == ("a", "c")
    assert ranked(pa.chunked_array([texts[::-1]]), 5) == ("a", "c", "b")


def test_a_value_may_be_called_as_those_that_stand_for_others() -> None:
    values = Values(By("country", "c", "c", limit=1))
    codes = values.read(pa.chunked_array([["__none__", "x", "y", None, "__other__"]]))
    assert [values.labels[code] for code in codes] == [NONE, "x", OTHER, NONE, OTHER]


def test_a_block_of_many_groups_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [build.prediction(NOON - n % 170 * MINUTE, n, **{"segment:country": f"c{n % 7}"}) for n in range(900)]
    wide = By("country", "segment:country", "geo.country", limit=10)
    at_once = vectors(fed(counting(wide), [found]))
    monkeypatch.setattr("ml_exporter.segments.scopes.BLOCK_GROUPS", 16)
    assert vectors(fed(counting(wide), [found])) == at_once


# names that come and go


def later(found: Counting, days: int, *names: str | None) -> Counting:
    """Rows of these countries some days later, and what is older than any window expired."""
    now = NOON + days * DAY
    table = columns([build.prediction(now, 10_000 * days + n, **{"segment:country": c}) for n, c in enumerate(names)])
    found.predictions(build.Batch(table, table.num_rows), now)
    found.expire(now)
    return found


def settled(found: Counting) -> Counting:
    """As after a commit: the store has written what changed."""
    for panes in found.segments.scopes.values():
        list(panes.settle())
    return found


def test_a_name_is_free_again_when_no_window_reaches_its_rows() -> None:
    found = later(counting(COUNTRY), 0, "FR", "JP", "BR")
    assert found.segments.values[0].order() == ("BR", "DE", "FR", NONE, OTHER)
    later(settled(found), 60, "JP")
    later(settled(found), 61, "KR", "JP")
    assert found.segments.values[0].order() == ("BR", "DE", "KR", NONE, OTHER)
    assert ("country", "FR") not in found.segments.scopes
    assert_adds_up(found)


def test_panes_that_expire_are_told_to_the_store_before_their_value_is_forgotten() -> None:
    found = settled(later(counting(COUNTRY), 0, "FR"))
    later(found, 60, "BR")
    gone = dict(found.segments.scopes["country", "FR"].settle())
    assert set(gone.values()) == {None}
    found.expire(NOON + 60 * DAY)
    assert ("country", "FR") not in found.segments.scopes


def test_combinations_stay_few_when_values_come_and_go() -> None:
    found = counting(COUNTRY, VERSION)
    most = (3 + 2) * (2 + 2) + 1
    for days in range(0, 400, 40):
        names = [f"c{days}-{n}" for n in range(20)]
        now = NOON + days * DAY
        read = [
            build.prediction(now, 1000 * days + n, **{"segment:country": c, "version": f"v{days + n % 3}"})
            for n, c in enumerate(names)
        ]
        table = columns(read)
        codes = found.segments.read(table)
        numbers = found.segments.combine(codes)
        assert found.segments.codes_of(numbers).tolist() == codes.tolist()
        found.predictions(build.Batch(table, table.num_rows), now)
        found.expire(now)
        settled(found)
        assert len(found.segments.combinations) <= most


# another configuration


def restarted(old: Counting, *bys: By) -> tuple[Counting, tuple[str, ...]]:
    """As a restart does it: panes and names kept by the store, under another configuration."""
    new = counting(*bys)
    new.panes, before = old.panes, old.segments
    new.segments.scopes.update(before.scopes)
    names = {key: list(values) for key, values in before.names.items()}
    return new, new.segments.restore(names, list(before.combinations))


def values_of(segments: Segments, by: str) -> dict[str, int]:
    return {
        value: sum(int(vector[0]) for (kind, _), vector in panes.items() if kind == "hour")
        for (name, value), panes in segments.scopes.items()
        if name == by and not panes.is_empty
    }


NAMES = ["BR", "FR", "JP", "FR", "KR", "DE", None]


def filled(*bys: By) -> Counting:
    read = [build.prediction(NOON - n * MINUTE, n, **{"segment:country": c}) for n, c in enumerate(NAMES)]
    return fed(counting(*bys), [read])


def test_a_restart_keeps_every_name_and_number() -> None:
    old = filled(COUNTRY, VERSION)
    codes = np.array([[0, 2], [3, 1], [4, 2]], np.intp)
    numbers = old.segments.combine(codes)
    new, reset = restarted(old, COUNTRY, VERSION)
    assert reset == ()
    assert new.segments.values[0].order() == old.segments.values[0].order()
    assert vectors(new) == vectors(old)
    assert new.segments.codes_of(numbers).tolist() == codes.tolist()
    assert new.segments.combine(codes).tolist() == numbers.tolist()


def test_a_lower_limit_moves_values_to_the_others_with_their_past() -> None:
    old = filled(COUNTRY)
    numbers = old.segments.combine(np.array([[4], [2]], np.intp))
    new, reset = restarted(old, By("country", "segment:country", "geo.country", limit=2, known=("BR", "DE")))
    assert (reset, values_of(new.segments, "country")) == ((), {"BR": 1, "DE": 1, NONE: 1, OTHER: 4})
    assert_adds_up(new)
    assert new.segments.codes_of(numbers).tolist() == [[1], [2]]


def test_another_baseline_gives_its_names_first() -> None:
    new, _ = restarted(filled(COUNTRY), By("country", "segment:country", "geo.country", limit=3, known=("JP", "KR")))
    assert new.segments.values[0].order() == ("JP", "KR", "BR", NONE, OTHER)
    assert values_of(new.segments, "country") == {"BR": 1, NONE: 1, OTHER: 5}
    assert_adds_up(new)


def test_a_segment_that_is_gone_or_reads_another_column_is_said_and_forgotten() -> None:
    old = filled(COUNTRY, VERSION)
    numbers = old.segments.combine(np.array([[2, 2]], np.intp))
    moved = By("country", "segment:country", "billing.country", limit=3)
    new, reset = restarted(old, moved)
    assert reset == ("segment country", "segment version")
    assert (values_of(new.segments, "country"), values_of(new.segments, "version")) == ({}, {})
    assert new.segments.codes_of(numbers).tolist() == [[-1]], "its label is counted for the whole only"
    assert all(panes.changed for panes in new.segments.scopes.values()), "so that the store deletes them"


def test_a_segment_that_is_added_begins_with_nothing() -> None:
    old = filled(VERSION)
    numbers = old.segments.combine(np.array([[2]], np.intp))
    new, reset = restarted(old, COUNTRY, VERSION)
    assert reset == ()
    assert new.segments.codes_of(numbers).tolist() == [[-1, 2]]
    fresh = new.segments.combine(np.array([[2, 2]], np.intp))
    assert fresh.tolist() != numbers.tolist()


def test_labels_of_a_value_that_lost_its_name_go_to_the_others() -> None:
    """Also after the panes of its own are gone from the store."""
    old = filled(COUNTRY)
    numbers = old.segments.combine(np.array([[4]], np.intp))
    assert old.segments.combinations[int(numbers[0])] == ("FR",)
    new, _ = restarted(old, By("country", "segment:country", "geo.country", limit=2, known=("BR", "DE")))
    settled(new)
    new.segments.expire(NOON - 40 * DAY, NOON)
    assert ("country", "FR") not in new.segments.scopes
    assert new.segments.codes_of(numbers).tolist() == [[1]]
