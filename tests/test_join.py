"""The join equals a join by dictionary, for any interleaving of predictions, labels, restarts, flushes and merges."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.join_model import Contribution, Model

from ml_exporter.join import (
    Filter,
    Join,
    Joined,
    Records,
    Rules,
    Run,
    label_dtype,
    merged,
)

GRACE, EXPIRE = 100, 1000
FIRST = Rules(GRACE, EXPIRE)
RULES = [
    FIRST,
    Rules(GRACE, EXPIRE, takes_last=True),
    Rules(GRACE, EXPIRE, takes_last=True, by_arrival=True, max_pending=100),
]
Row = tuple[int, int]


def scored(name: int, time: int) -> tuple[int, int, float, int]:
    """A prediction whose score and class follow from its id and time, so that a wrong match is seen."""
    return (name, time, (name * 31 + time) % 101 / 100, (name + time) % 2)


def predictions(join: Join, rows: list[Row]) -> Records:
    """Predictions from (id, time)."""
    found = np.zeros(len(rows), join.dtype)
    for place, row in enumerate(rows):
        name, time, score, predicted = scored(*row)
        found["hash"][place], found["time_us"][place], found["predicted"][place] = spread(name), time, predicted
        found["scores"][place] = score
    return found


def spread(name: int) -> int:
    """Small numbers as hashes over the whole range."""
    return (name << 60) + name


def labels(rows: list[tuple[int, int, int]], now: int = 0) -> Records:
    """Labels from (id, time, actual), read at `now`."""
    found = np.zeros(len(rows), label_dtype(is_class=True))
    for place, (name, time, actual) in enumerate(rows):
        found[place] = (spread(name), time, actual, now, 0)
    return found


def contributions(records: Records) -> Counter[Contribution]:
    """What labelled records count, as the model says it."""
    return Counter(
        (row["hash"] >> 60, row["time_us"], row["predicted"], row["scores"][0], row["actual"], row["label_us"])
        for row in ({name: record[name].tolist() for name in record.dtype.names or ()} for record in records)
    )


@dataclass
class Journal:
    """What a store keeps of a join: as the store does, without a disk."""

    pending: list[Records] = field(default_factory=list)
    early: list[Records] = field(default_factory=list)
    gone: list[Records] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def commit(self, join: Join) -> None:
        changes = join.changes()
        if changes.rewrite_pending:
            self.pending.clear()
        if changes.rewrite_early:
            self.early.clear()
            self.gone.clear()
        self.pending.append(changes.pending)
        self.early.append(changes.early)
        self.gone.append(changes.gone)
        join.saved(changes)
        shelf = join.shelf
        shelf.drop(shelf.expired())
        self.runs = [*shelf.runs]

    def flush(self, join: Join) -> None:
        self.commit(join)
        frozen, number = join.shelf.frozen(), 1 + max((run.number for run in self.runs), default=0)
        join.shelf.adopt(Run.of(number, frozen) if len(frozen) else None)
        self.pending.clear()
        self.runs = [*join.shelf.runs]

    def merge(self, join: Join, first: int, count: int) -> None:
        self.commit(join)
        shelf = join.shelf
        old = shelf.runs[first : first + count]
        if len(old) > 1:
            parts = list(merged(old, shelf.horizon_us))
            columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            rows = len(columns["hash"])
            new = None
            if rows:
                hashes = Filter.empty(rows)
                hashes.add(columns["hash"])
                times = (min(run.first_us for run in old), max(run.newest_us for run in old))
                number = 1 + max(run.number for run in self.runs)
                new = Run(number, columns, hashes, *times, sum(run.waiting for run in old))
            shelf.swap(old, new)
        self.runs = [*shelf.runs]

    def restarted(self, join: Join) -> Join:
        """The join as a new process finds it."""
        again = Join(join.rules)
        empty = [np.zeros(0, join.dtype), np.zeros(0, join.early.dtype), np.zeros(0, np.int64)]
        kept = zip(empty, (self.pending, self.early, self.gone), strict=True)
        again.restore(*(np.concatenate([none, *parts]) for none, parts in kept))
        again.shelf.runs = [*self.runs]
        again.shelf.horizon_us, again.oldest_us, again.repeated = join.shelf.horizon_us, join.oldest_us, join.repeated
        return again


names = st.integers(1, 9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("predictions"), st.lists(st.tuples(names, st.integers(0, 1500)), max_size=6)),
        st.tuples(st.just("labels"), st.lists(st.tuples(names, st.integers(0, 3000), st.integers(0, 2)), max_size=8)),
        st.tuples(st.just("expire"), st.integers(0, 2500)),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("flush"), st.none()),
        st.tuples(st.just("merge"), st.tuples(st.integers(0, 4), st.integers(2, 4))),
        st.tuples(st.just("rewrite"), st.none()),
    ),
    max_size=40,
)


@pytest.mark.parametrize("rules", RULES, ids=["first", "last", "last by arrival"])
@given(found=steps)
@settings(max_examples=250)
def test_equals_a_join_by_dictionary(rules: Rules, found: list[tuple[str, object]]) -> None:
    join, model, journal, now, read = Join(rules), Model(rules), Journal(), 0, 0
    ends: Counter[str] = Counter()
    counted, first = Counter[Contribution](), Counter[Contribution]()

    def take(joined: Joined) -> None:
        ends.update(joined.statuses)
        counted.update(contributions(joined.added))
        counted.subtract(contributions(joined.taken))
        first.update(contributions(joined.first))

    for kind, argument in found:
        now += 30
        if kind == "predictions":
            take(join.predictions(predictions(join, argument)))
            model.predictions([scored(*row) for row in argument])
        elif kind == "labels":
            read += len(argument)
            take(join.labels(labels(argument, now)))
            model.labels(argument, now)
        elif kind == "expire":
            ends.update(join.expire(argument, now))
            model.expire(argument, now, max(1, rules.max_pending // 20))
            join.oldest_us = model.oldest = max(model.oldest, argument - 2 * EXPIRE)
        elif kind == "restart":
            journal.commit(join)
            join = journal.restarted(join)
        elif kind == "flush":
            journal.flush(join)
        elif kind == "merge":
            journal.merge(join, *argument)
        else:
            join.rewrite()
        assert +ends == +model.statuses
        assert +counted == +model.counted
        assert +first == +model.first
        assert join.repeated == model.repeated
        assert join.early.count == len(model.early)
        assert read == sum(ends.values()) - ends["early"] + join.early.count, "every label ends once, or waits"
        assert join.shelf.waiting >= model.waiting, "those in a run count until all of it has expired"
        if not join.shelf.runs:
            assert join.shelf.waiting == model.waiting
        assert sum(run.waiting for run in join.shelf.runs) <= sum(run.rows for run in join.shelf.runs)
