"""Ids are hashed alike on every machine and in every release, whatever their length."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_exporter.join import hash_ids

PINNED = {
    "": 0x0,
    "a": 0x6D16BF441C521F6A,
    "12345678": 0xCAB1C1D86CB6DF5B,
    "Zürich 東京": 0x5BB1B7D213AB1B9C,
    "01890a5d-ac96-774b-bcce-b302099a8057": 0x8391BB2A834FDA2D,
    "x" * 256: 0x2E1B11BE89307BA2,
    "x" * 257: 0x76C3513E21D32A54,
}


def test_hashes_are_the_same_in_every_release() -> None:
    assert dict(zip(PINNED, hash_ids(pa.array(PINNED.keys())).tolist(), strict=True)) == PINNED


def test_ids_that_differ_in_length_or_zero_bytes_differ() -> None:
    ids = [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "a\0\0\0\0\0\0\0",
        "\0a",
        "aaaaaaaa",
        "aaaaaaaa\0",
        "aaaaaaaaa",
        "b",
        "A",
        "ä",
        "a\u0308",
        None,
    ]
    assert len(set(hash_ids(pa.array(ids)).tolist())) == len(ids)


@pytest.mark.parametrize("ids", [[], [None], [None, None], [""], ["", None]])
def test_columns_without_bytes(ids: list[str | None]) -> None:
    assert hash_ids(pa.array(ids, pa.string())).shape == (len(ids),)
    assert hash_ids(pa.chunked_array([], pa.string())).shape == (0,)


def test_one_huge_id_among_many_is_read_without_padding_the_others() -> None:
    """Padded to the longest, these would need 100 GB."""
    ids = [f"p{number}" for number in range(100_000)]
    assert hash_ids(pa.array([*ids, "x" * 1_000_000]))[:-1].tolist() == hash_ids(pa.array(ids)).tolist()


words = st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=20)


@given(words, words, st.integers(0, 20))
def test_a_hash_depends_on_its_id_alone(before: list[str | None], ids: list[str | None], cut: int) -> None:
    alone = [hash_ids(pa.array([name], pa.string()))[0] for name in ids]
    assert hash_ids(pa.array(before + ids, pa.string()).slice(len(before))).tolist() == alone
    assert hash_ids(pa.chunked_array([before, ids[:cut], ids[cut:]], pa.string()))[len(before) :].tolist() == alone
    assert hash_ids(pa.array(ids, pa.large_string())).tolist() == alone


@given(st.sets(st.text(max_size=12), max_size=50))
def test_different_ids_have_different_hashes(ids: set[str]) -> None:
    assert len(set(hash_ids(pa.array(sorted(ids), pa.string())).tolist())) == len(ids)
