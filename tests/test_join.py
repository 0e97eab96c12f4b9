"""The join equals a join by dictionary, for predictions and labels in any order, number and grouping."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.join import LABEL, PREDICTION, RUNS, Join, Matched, Records, hash_ids

GRACE, EXPIRE = 100, 1000
Match = tuple[int, float, int, int, float]


def predictions(rows: list[tuple[int, int]]) -> Records:
    """Predictions from (id, time). Score and class follow from both, so that a wrong match is seen."""
    found = np.zeros(len(rows), PREDICTION)
    for place, (name, time) in enumerate(rows):
        found[place] = (name, time, (name * 31 + time) % 101 / 100, (name + time) % 2, False)
    return found


def labels(rows: list[tuple[int, int, int]], now: int = 0) -> Records:
    """Labels from (id, time, actual), read at `now`."""
    found = np.zeros(len(rows), LABEL)
    for place, (name, time, actual) in enumerate(rows):
        found[place] = (name, time, actual, now)
    return found


def matches(matched: Matched) -> Counter[Match]:
    columns = (matched.time_us, matched.score, matched.predicted, matched.actual, matched.delay_seconds)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


@dataclass
class Model:
    """The same join, one row at a time, with dictionaries."""

    known: dict[int, list[int]] = field(default_factory=dict)
    early: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def predictions(self, rows: list[tuple[int, int]]) -> tuple[Counter[Match], Counter[str]]:
        for name, time in rows:
            self.known.setdefault(name, [time, 0])
        here = {name: row for name, row in self.early.items() if name in self.known}
        self.early = {name: row for name, row in self.early.items() if name not in self.known}
        return self.match([(name, *row[:2]) for name, row in here.items()])

    def labels(self, rows: list[tuple[int, int, int]], now: int) -> tuple[Counter[Match], Counter[str]]:
        found, statuses = self.match([row for row in rows if row[0] in self.known])
        for name, time, actual in rows:
            if name not in self.known:
                statuses["duplicate" if name in self.early else "early"] += 1
                self.early.setdefault(name, (time, actual, now))
        return found, statuses

    def match(self, rows: list[tuple[int, int, int]]) -> tuple[Counter[Match], Counter[str]]:
        found: Counter[Match] = Counter()
        statuses: Counter[str] = Counter()
        for name, time, actual in rows:
            predicted_at, labelled = self.known[name]
            if time - predicted_at > EXPIRE:
                statuses["late"] += 1
            elif labelled:
                statuses["duplicate"] += 1
            else:
                statuses["matched"] += 1
                self.known[name][1] = 1
                score, predicted = (name * 31 + predicted_at) % 101 / 100, (name + predicted_at) % 2
                found[predicted_at, score, predicted, actual, max(time - predicted_at, 0) / 1e6] += 1
        return found, statuses

    def expire(self, event: int, now: int) -> int:
        self.known = {name: row for name, row in self.known.items() if row[0] >= event - EXPIRE}
        kept = {name: row for name, row in self.early.items() if row[2] >= now - GRACE}
        orphans = len(self.early) - len(kept)
        self.early = kept
        return orphans


names = st.integers(1, 12)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("predictions"), st.lists(st.tuples(names, st.integers(0, 1500)), max_size=6)),
        st.tuples(st.just("labels"), st.lists(st.tuples(names, st.integers(0, 3000), st.integers(0, 1)), max_size=6)),
        st.tuples(st.just("expire"), st.integers(0, 2500)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=30,
)


@given(steps)
@settings(max_examples=200)
def test_equals_a_join_by_dictionary(found: list[tuple[str, object]]) -> None:
    join, model, now, read = Join(GRACE, EXPIRE), Model(), 0, 0
    ends: Counter[str] = Counter()
    for kind, rows in found:
        now += 30
        if kind == "predictions":
            ours, statuses = join.predictions(predictions(rows))
            theirs, expected = model.predictions(rows)
        elif kind == "labels":
            read += len(rows)
            ours, statuses = join.labels(labels(rows, now))
            theirs, expected = model.labels(rows, now)
        elif kind == "expire":
            orphans = join.expire(rows, now)
            assert orphans == model.expire(rows, now)
            ends["orphan"] += orphans
            continue
        else:
            join = restarted(join)
            continue
        assert matches(ours) == theirs
        assert +Counter(statuses) == expected
        ends.update(statuses)
        assert join.waiting_predictions == sum(1 for row in model.known.values() if not row[1])
        assert sorted(join.early["hash"].tolist()) == sorted(model.early)
    # `early` is an event: every label ends as one of the others, or still waits.
    assert read == sum(ends[status] for status in ("matched", "duplicate", "late", "orphan")) + len(join.early)


def restarted(join: Join) -> Join:
    """The join as a new process finds it, from runs that were all written."""
    again = Join(join.grace_us, join.expire_us)
    again.restore({key: run.tobytes() for key, run in join.runs.items()}, join.early.tobytes())
    return again


@given(st.data(), st.integers(1, 40))
@settings(max_examples=50)
def test_every_label_finds_its_prediction_in_any_order(data: st.DataObject, count: int) -> None:
    """With one label a prediction, the matches do not depend on order and batches at all."""
    events = [("predictions", name) for name in range(count)] + [("labels", name) for name in range(count)]
    order = data.draw(st.permutations(events))
    join, found = Join(GRACE, EXPIRE), Counter[Match]()
    while order:
        size = data.draw(st.integers(1, len(order)))
        part, order = order[:size], order[size:]
        found += matches(
            join.predictions(predictions([(name, name * 7) for kind, name in part if kind == "predictions"]))[0]
        )
        found += matches(
            join.labels(labels([(name, name * 7 + 3, name % 2) for kind, name in part if kind == "labels"]))[0]
        )
    at_once = Join(GRACE, EXPIRE)
    at_once.predictions(predictions([(name, name * 7) for name in range(count)]))
    assert found == matches(at_once.labels(labels([(name, name * 7 + 3, name % 2) for name in range(count)]))[0])
    assert (join.waiting_predictions, len(join.early)) == (0, 0)


def test_runs_stay_few_and_every_prediction_is_found_in_them() -> None:
    join = Join(GRACE, EXPIRE)
    for batch in range(100):
        join.predictions(predictions([(batch * 50 + row * 7 % 50 + 1, batch) for row in range(50)]))
        assert len(join.runs) <= RUNS
    assert join.waiting_predictions == 5000
    assert all((np.diff(run["hash"].astype(np.int64)) > 0).all() for run in join.runs.values())
    _, statuses = join.labels(labels([(name, 100, 1) for name in range(1, 5002)]))
    assert statuses == {"matched": 5000, "late": 0, "duplicate": 0, "early": 1}


def test_settled_runs_are_those_that_changed() -> None:
    join = Join(GRACE, EXPIRE)
    written: dict[int, bytes] = {}
    for batch in range(40):
        join.predictions(predictions([(batch * 3 + row + 1, batch) for row in range(3)]))
        join.labels(labels([(batch + 1, batch, 1)]))
        join.expire(batch + EXPIRE - 20, 0)
        for key, records in join.settle():
            if records is None:
                written.pop(key, None)
            else:
                written[key] = records
        assert written == {key: run.tobytes() for key, run in join.runs.items()}
        assert list(join.settle()) == []


@pytest.mark.parametrize(
    ("delay", "status"), [(-5, "matched"), (0, "matched"), (EXPIRE, "matched"), (EXPIRE + 1, "late")]
)
def test_a_label_is_late_only_beyond_the_expiry(delay: int, status: str) -> None:
    join = Join(GRACE, EXPIRE)
    join.predictions(predictions([(1, 50)]))
    found, statuses = join.labels(labels([(1, 50 + delay, 1)]))
    assert +Counter(statuses) == {status: 1}
    assert found.delay_seconds.tolist() == ([max(delay, 0) / 1e6] if status == "matched" else [])


def test_a_late_label_does_not_hide_one_in_time() -> None:
    join = Join(GRACE, EXPIRE)
    join.predictions(predictions([(1, 0)]))
    assert join.labels(labels([(1, EXPIRE + 1, 0), (1, 10, 1), (1, 20, 0)]))[1] == {
        "late": 1,
        "matched": 1,
        "duplicate": 1,
        "early": 0,
    }


def test_an_early_label_becomes_an_orphan_when_its_grace_has_passed() -> None:
    join = Join(GRACE, EXPIRE)
    join.labels(labels([(1, 0, 1)], now=5))
    assert join.expire(0, 5 + GRACE) == 0
    assert join.expire(0, 5 + GRACE + 1) == 1
    assert +Counter(join.predictions(predictions([(1, 0)]))[1]) == {}
    assert join.waiting_predictions == 1


# ids

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
