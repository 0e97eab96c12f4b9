"""The most frequent texts: exact while there is room, within the bound of Space-Saving beyond, in bounded memory."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.frequent import CHARACTERS, PLACES, Frequent


def noted(batches):
    """What is known after batches of (text, time)."""
    found = Frequent()
    for rows in batches:
        texts, times = zip(*rows, strict=True)
        found.note(pa.chunked_array([pa.array(texts, pa.string())]), np.array(times, np.int64))
    return found


def split(rows, size):
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_with_few_texts_it_is_a_count_however_the_rows_were_split(size):
    draw = np.random.default_rng(1)
    rows = [(f"name {number}", time) for number, time in draw.integers(0, (PLACES, 10**6), (1000, 2)).tolist()]
    for item in (found := noted(split(rows, size))).named(PLACES):
        times = [time for text, time in rows if text == item.text]
        assert (item.rows, item.missed, item.first_us, item.last_us) == (len(times), 0, min(times), max(times))
    assert len(found.places) == len({text for text, _ in rows})


many = st.lists(st.tuples(st.integers(0, 3 * PLACES).map(lambda x: f"{x // (1 + x % 5)}"), st.integers(0, 50)))


@given(st.lists(many.filter(bool), min_size=1, max_size=8), st.integers(1, 12))
@settings(max_examples=30)
def test_the_bounds_hold_for_any_batches(batches, times):
    batches = batches * times
    found, rows = noted(batches), [row for batch in batches for row in batch]
    assert len(found.places) <= PLACES
    assert found.floor <= len(rows) / PLACES
    named = {item.text: item for item in found.named(PLACES)}
    for text in {text for text, _ in rows}:
        count = sum(other == text for other, _ in rows)
        if text in named:
            assert named[text].rows <= count <= named[text].rows + named[text].missed
            assert named[text].missed <= found.floor
        else:
            assert count <= found.floor


def test_ten_thousand_hostile_names_hide_no_frequent_one_and_take_no_memory():
    draw = np.random.default_rng(2)
    hostile = [f"{'x' * 5000}{number}" if number % 2 else f"{number:08}\x00\u202e" for number in range(10_000)]
    rows = [(hostile[place], place) for place in draw.permutation(10_000).tolist()]
    rows = [row for at, some in enumerate(split(rows, 10)) for row in (*some, ("new", 20_000 + at))]
    found = noted(split(rows, 500))
    assert len(found.places) == PLACES
    assert max(map(len, found.places)) <= 4 * CHARACTERS
    first = {item.text: item for item in found.named(2)}
    assert first["new"].rows == 1000
    assert first["x" * CHARACTERS].rows == 5000  # all that differ behind what is kept are one
    assert noted(split(rows, 500)) == found


def test_what_no_row_came_of_is_forgotten_and_with_it_what_went_unnamed():
    rows = [(f"{number}", number) for number in range(200)]
    found = noted([rows])
    assert found.floor == 1
    assert {item.text for item in found.named(PLACES)} == {f"{number}" for number in range(200 - PLACES, 200)}
    found.forget(190)
    assert len(found.places) == 10
    assert found.floor == 1
    found.forget(200)
    assert found == Frequent(left_us=found.left_us)


def test_a_cut_text_is_text():
    for text in ("é" * 500, "🜏" * 101, "a" + "🜏" * 200, "", "\ud83d"[:0]):
        (item,) = noted([[(text, 1)]]).named(9)
        assert item.text == text[:CHARACTERS]


def test_octets_that_are_no_text_are_spelled_out():
    found = Frequent()
    octets = pa.chunked_array([pa.array([b"w\xffb"]).view(pa.string())])
    found.note(octets, np.array([1]))
    assert [item.text for item in found.named(9)] == ["w\\xffb"]
