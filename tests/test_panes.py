"""A window's sum is that of its raw rows, however the rows arrived, and survives rest, restart and projection."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build
from tests.build import DAY, MINUTE, NOON, grid

from ml_exporter.layout import Vector, project
from ml_exporter.panes import FINE, FINE_HOURS, HOUR, Grid, Panes, compress, decompress

LAYOUT = replace(build.layout(), features=())
GRID = grid()


def rows_of(vector: Vector) -> int:
    return int(vector[0])


def fed(batches: list[list[int]], panes: Panes | None = None) -> Panes:
    """Panes after batches of rows at these times, one row a vector with a one in its first cell."""
    panes = panes or Panes(LAYOUT, GRID)
    for times in batches:
        feed(panes, times)
    return panes


def feed(panes: Panes, times: list[int]) -> None:
    if times:
        panes.advance(max(times))
    counted = Counter(panes.keys(np.array(times, np.int64)).tolist())
    matrix = np.zeros((len(counted), LAYOUT.size), np.int64)
    matrix[:, 0] = [counted[key] for key in sorted(counted)]
    panes.add_groups(np.array(sorted(counted), np.int64), matrix)


LENGTHS = {"5m": 5 * MINUTE, "1h": build.HOUR, "3h": 3 * build.HOUR, "4h": 4 * build.HOUR, "1d": DAY, "2d": 2 * DAY}

minutes = st.integers(-3 * 24 * 60, 0).map(lambda minute: NOON + minute * MINUTE)
backs = st.integers(0, 26 * 60).map(lambda minute: minute * MINUTE)
times = st.lists(st.one_of(minutes, st.integers(NOON - 8 * build.HOUR, NOON + 90 * MINUTE)), min_size=1, max_size=40)


@given(st.data(), times)
@settings(max_examples=60)
def test_windows_equal_a_count_of_the_rows(data: st.DataObject, found: list[int]) -> None:
    shuffled = data.draw(st.permutations(found))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(found)), max_size=4)))
    panes = fed([shuffled[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(found)], strict=True)])
    assert panes.newest_us == max(found)
    for back in (0, 7 * MINUTE, 2 * build.HOUR, 3 * build.HOUR, 5 * build.HOUR, data.draw(backs)):
        windows_are_counts(panes, found, back)


def windows_are_counts(panes: Panes, found: list[int], back: int) -> None:
    """Compares every window that ends `back` before the newest row with a count of the rows."""
    for length in LENGTHS.values():
        span = GRID.span(panes.newest_us - back, length, panes.newest_us)
        if span is not None:
            start, end = span
            assert rows_of(panes.sum(start, end)) == sum(start <= time < end for time in found)


def test_windows_over_regular_rows_equal_a_count_of_them() -> None:
    found = [NOON + 17 * MINUTE - number * 10 * MINUTE for number in range(300)]
    panes = fed([found[100:200], found[:100], found[200:]])
    for back in range(0, 27 * build.HOUR, 11 * MINUTE):
        windows_are_counts(panes, found, back)


@given(st.data(), times)
@settings(max_examples=60)
def test_no_pane_loses_a_row(data: st.DataObject, found: list[int]) -> None:
    panes = fed([[time] for time in data.draw(st.permutations(found))])
    kept = {key: decompress(blob)[0] for key, blob in panes.settle() if blob}
    assert kept == contents([found])


def test_rows_around_1970_are_rows() -> None:
    kept = everything(fed([[-1, 5]]))
    assert {key: decompress(blob)[0] for key, blob in kept.items()} == contents([[-1, 5]])


SPANS: dict[str, tuple[int, int, int, tuple[int, int] | None]] = {
    # name: end, length, newest, all in minutes after noon; the span in minutes after noon
    "short": (60, 5, 60, (55, 60)),
    "ends within a pane": (60, 5, 61, (55, 60)),
    "an hour": (90, 60, 90, (30, 90)),
    "three hours": (90, 180, 90, (-90, 90)),
    "three hours that the fine panes no longer cover": (90, 180, 170, (-120, 60)),
    "longer than three hours starts on the hour": (90, 240, 90, (-180, 90)),
    "a day": (90, 24 * 60, 90, (-23 * 60, 90)),
    "matured a little": (-30, 60, 90, (-90, -30)),
    "matured beyond the fine panes ends on the hour": (-150, 60, 90, (-240, -180)),
    "matured across the end of the fine panes ends on the hour": (-90, 60, 90, (-180, -120)),
    "matured, five minutes": (-150, 5, 90, None),
    "matured, five minutes across the end of the fine panes": (-118, 5, 90, None),
    "matured, a day": (-150, 24 * 60, 90, (-27 * 60, -180)),
    "beyond the newest row": (600, 60, 90, (540, 600)),
    "a day, beyond the newest row": (615, 24 * 60, 90, (-14 * 60, 615)),
}


@pytest.mark.parametrize(("end", "length", "newest", "expected"), SPANS.values(), ids=SPANS)
def test_span(end: int, length: int, newest: int, expected: tuple[int, int] | None) -> None:
    found = GRID.span(NOON + end * MINUTE, length * MINUTE, NOON + newest * MINUTE)
    assert found == (None if expected is None else (NOON + expected[0] * MINUTE, NOON + expected[1] * MINUTE))


@given(st.integers(0, 2 * DAY), st.integers(1, 2 * DAY), st.integers(-DAY, 2 * DAY), st.sampled_from([1, 5, 15, 60]))
def test_a_span_is_less_than_an_hour_longer_and_older_than_asked(
    newest: int, length: int, back: int, pane: int
) -> None:
    found = Grid(pane * MINUTE, build.HOUR).span(NOON + newest - back, length, NOON + newest)
    if found is not None:
        start, end = found
        assert start % (pane * MINUTE) == end % (pane * MINUTE) == 0
        assert 0 <= NOON + newest - back - end < build.HOUR
        assert 0 <= end - start - length < build.HOUR


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=100))
def test_compressed_vectors_come_back(cells: list[int]) -> None:
    vector = np.array(cells, np.int64)
    assert decompress(compress(vector)).tolist() == cells


def everything(panes: Panes) -> dict[tuple[str, int], bytes]:
    """Every pane as the store would hold it."""
    kept: dict[tuple[str, int], bytes] = {}
    for key, blob in panes.settle():
        assert blob is not None
        kept[key] = blob
    return kept


@given(times, times)
@settings(max_examples=40)
def test_a_restart_between_two_batches_changes_nothing(first: list[int], second: list[int]) -> None:
    before = fed([first])
    kept = everything(before)
    after = Panes(LAYOUT, GRID)
    after.restore(kept.items(), None, before.newest_us)
    assert list(after.settle()) == []
    at_once, resumed = fed([second], before), fed([second], after)
    assert resumed.newest_us == at_once.newest_us
    changes = dict(resumed.settle())
    merged = {key: blob for key, blob in (kept | changes).items() if blob is not None}
    assert {key: decompress(blob)[0] for key, blob in merged.items()} == contents([first, second])


def contents(batches: list[list[int]]) -> dict[tuple[str, int], int]:
    """Rows of every pane that must be kept after these batches."""
    found = [time for times in batches for time in times]
    oldest = GRID.fine_from(max(found))
    hours = Counter((HOUR, time // build.HOUR * build.HOUR) for time in found)
    return hours | Counter((FINE, time // MINUTE * MINUTE) for time in found if time >= oldest)


def test_settle_yields_what_changed_once() -> None:
    panes = fed([[NOON]])
    assert [key for key, _ in panes.settle()] == [(FINE, NOON), (HOUR, NOON)]
    assert list(panes.settle()) == []
    feed(panes, [NOON + 1])
    assert rows_of(panes.sum(NOON, NOON + MINUTE)) == 2
    assert [key for key, _ in panes.settle()] == [(FINE, NOON), (HOUR, NOON)]


def test_a_pane_that_is_gone_is_yielded_without_a_blob() -> None:
    panes = fed([[NOON]])
    everything(panes)
    panes.advance(NOON + (FINE_HOURS + 1) * build.HOUR)
    assert list(panes.settle()) == [((FINE, NOON), None)]
    assert rows_of(panes.sum(NOON, NOON + build.HOUR)) == 1


def test_advance_does_not_go_back() -> None:
    panes = fed([[NOON], [NOON - DAY]])
    assert panes.newest_us == NOON
    assert rows_of(panes.sum(NOON - DAY, NOON - DAY + build.HOUR)) == 1


def test_nothing_added_is_nothing_changed() -> None:
    panes = fed([[]])
    assert panes.changed == set()
    panes.add_groups(np.zeros(0, np.int64), np.zeros((0, LAYOUT.size), np.int64))
    assert panes.changed == set()
    assert not panes.sum(NOON - DAY, NOON).any()


def test_an_added_vector_stays_the_callers() -> None:
    panes, vector = Panes(LAYOUT, GRID), np.ones(LAYOUT.size, np.int64)
    panes.add(FINE, NOON, vector)
    panes.add(FINE, NOON, vector)
    assert vector.tolist() == [1] * LAYOUT.size
    assert rows_of(panes.sum(NOON, NOON + MINUTE)) == 2


def test_restored_panes_are_projected_and_written_again() -> None:
    old = build.layout()
    panes = Panes(old, GRID)
    panes.add(HOUR, NOON, np.arange(old.size, dtype=np.int64))
    new = build.layout(build.WIND)
    again = Panes(new, GRID)
    again.restore(everything(panes).items(), project(old.slices, new.slices), NOON)
    expected = project(old.slices, new.slices)(np.arange(old.size, dtype=np.int64))
    assert {key: decompress(blob).tolist() for key, blob in again.settle() if blob} == {(HOUR, NOON): expected.tolist()}


@pytest.mark.parametrize("kind", [FINE, HOUR])
def test_dropped_panes_are_forgotten_wherever_they_were(kind: Any) -> None:
    panes = Panes(LAYOUT, GRID)
    one = np.ones(LAYOUT.size, np.int64)
    panes.add(kind, NOON - build.HOUR, one)
    everything(panes)
    panes.add(kind, NOON, one)
    panes.drop_before(kind, NOON)
    assert [(key, blob is None) for key, blob in panes.settle()] == [
        ((kind, NOON - build.HOUR), True),
        ((kind, NOON), False),
    ]


def test_long_windows_are_the_sum_of_their_hours_whatever_changes_in_between() -> None:
    """Sums of blocks are kept; every way in which a pane changes has to reach them."""
    layout, grid = build.layout(), build.grid()
    panes, draw = Panes(layout, grid), np.random.default_rng(11)
    panes.advance(NOON)
    for step in range(400):
        kind = step % 40
        start = NOON - int(draw.integers(0, 30 * 24)) * build.HOUR
        vector = draw.integers(0, 9, layout.size)
        if kind == 39:
            panes.drop_before(HOUR, NOON - int(draw.integers(20, 34)) * DAY)
        elif kind == 29:
            list(panes.settle())
        elif kind == 19:
            panes.add_groups(np.array([start]), -vector[None, :])
        else:
            panes.add_groups(np.array([start]), vector[None, :])
        end = NOON - int(draw.integers(0, 5)) * build.HOUR
        first = end - int(draw.integers(60, 29 * 24)) * build.HOUR
        expected = layout.zeros()
        for hour in range(first, end, build.HOUR):
            pane = panes.get((HOUR, hour))
            expected += 0 if pane is None else pane
        assert panes.sum(first, end).tolist() == expected.tolist()
    panes.clear()
    assert not panes.sum(NOON - 20 * DAY, NOON).any()
