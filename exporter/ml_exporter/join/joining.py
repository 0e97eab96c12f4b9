"""Which label belongs to which prediction, and what becomes of every label."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ml_exporter.join.early import Early
from ml_exporter.join.records import (
    CLOSED,
    LABELLED,
    WAITING,
    Bools,
    Ints,
    Records,
    begins,
    ends,
    label_dtype,
    pending_dtype,
)
from ml_exporter.join.shelf import Found, Shelf

EARLY_SHARE = 20
"""Labels that came early may be one for so many pending predictions."""
JOURNAL_COMMITS = 1000
"""After so many commits a journal is written anew, so that a restart reads few pieces."""


@dataclass(frozen=True)
class Rules:
    """How labels are joined: times in microseconds, and how many predictions may be kept."""

    grace_us: int
    expire_us: int
    takes_last: bool = False
    by_arrival: bool = False
    max_pending: int = 20_000_000


class Joined(NamedTuple):
    """What a batch changed: pending records with their label, each array sorted by hash.

    `first` are predictions with their first label. `added` is what now counts, `taken` what no longer does: without
    corrections `added` is `first`, and nothing is taken back.
    """

    first: Records
    added: Records
    taken: Records
    statuses: dict[str, int]
    repeated: Records | None = None
    """Predictions whose id another one had."""


class Changes(NamedTuple):
    """What the store has not got yet. A rewritten journal replaces all it has of the model."""

    pending: Records
    rewrite_pending: bool
    early: Records
    gone: Ints
    rewrite_early: bool


@dataclass
class Join:
    """The waiting predictions and labels of one model.

    With `by_arrival` a label whose time lies before `oldest_us` is late: the pane of its time is gone.
    """

    rules: Rules
    scores: int = 1
    is_class: bool = True
    oldest_us: int = -(1 << 62)
    repeated: int = 0
    """Predictions whose id another one had; they stay without a label."""
    shelf: Shelf = field(init=False)
    early: Early = field(init=False)
    journal_commits: int = 0

    def __post_init__(self) -> None:
        self.shelf = Shelf(pending_dtype(self.scores, self.is_class), self.rules.expire_us, self.rules.max_pending)
        self.early = Early(label_dtype(self.is_class))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of pending records."""
        return self.shelf.dtype

    @property
    def unsaved_rows(self) -> int:
        """Rows in memory, which nothing bounds while no run can be written."""
        return self.shelf.memtable.rows + self.early.count

    def predictions(self, fresh: Records) -> Joined:
        """Takes in predictions and joins the labels that waited for them.

        Of predictions with the same id the first keeps it.
        """
        fresh = fresh[fresh["time_us"] >= self.shelf.horizon_us]
        taken_in = fresh[np.argsort(fresh["hash"], kind="stable")]
        first = begins(taken_in["hash"])
        again, taken_in = taken_in[~first], taken_in[first]
        found = self.shelf.find(np.ascontiguousarray(taken_in["hash"]))
        new = ~found.known
        repeated = np.concatenate([again, taken_in[found.known]])
        self.repeated += len(repeated)
        self.shelf.put(taken_in[new], _rows(found, new))
        if not self.early.count:
            return self._nothing()._replace(repeated=repeated)
        joined = self._take(self.early.release(np.ascontiguousarray(taken_in["hash"][new])))
        return joined._replace(repeated=repeated)

    def labels(self, fresh: Records) -> Joined:
        """Joins labels, in the order read."""
        fresh = fresh.copy()
        fresh["order"] = np.arange(self.early.next_order, self.early.next_order + len(fresh))
        self.early.next_order += len(fresh)
        return self._take(fresh[np.argsort(fresh["hash"], kind="stable")])

    def expire(self, event_us: int, now_us: int) -> dict[str, int]:
        """Forgets predictions older than the expiry by event time, and labels whose grace has passed.

        Returns how many labels had which status.
        """
        self.shelf.horizon_us = max(self.shelf.horizon_us, event_us - self.rules.expire_us)
        return {
            "orphan": self.early.expire(now_us - self.rules.grace_us),
            "dropped": self.early.evict(max(1, self.rules.max_pending // EARLY_SHARE)),
        }

    def changes(self) -> Changes:
        """What the store has to write. Call `saved` when it has."""
        early, shelf = self.early, self.shelf
        rewrite = self.journal_commits >= JOURNAL_COMMITS
        again = rewrite or early.rewrite or early.stored - early.count > max(1000, early.count)
        gone = np.concatenate([np.zeros(0, np.uint64), *early.gone]).view(np.int64)
        return Changes(
            shelf.memtable.all() if rewrite else shelf.memtable.changed(),
            rewrite,
            early.all() if again else early.unsaved(),
            np.zeros(0, np.int64) if again else gone,
            again,
        )

    def saved(self, changes: Changes) -> None:
        """The store has what `changes` gave."""
        self.shelf.memtable.saved()
        early = self.early
        early.stored = len(changes.early) + (0 if changes.rewrite_early else early.stored)
        early.saved_order, early.rewrite = early.next_order, False
        early.gone.clear()
        self.journal_commits = 0 if changes.rewrite_pending else self.journal_commits + 1

    def restore(self, pending: Records, early: Records, gone: Ints) -> None:
        """Takes back what the journals hold: versions in the order written, early labels, and which no longer wait."""
        order = np.argsort(pending["hash"], kind="stable")
        self.shelf.memtable.insert(pending[order[ends(pending["hash"][order])]], dirty=False)
        self.early.add(early[~np.isin(early["order"], gone.view(np.uint64))])
        self.early.stored = len(early)
        self.early.next_order = int(early["order"].max(initial=0)) + 1
        self.early.saved_order = self.early.next_order

    def forget(self) -> None:
        """Starts with nothing, and so will the journals."""
        self.shelf = Shelf(self.dtype, self.rules.expire_us, self.rules.max_pending, horizon_us=self.shelf.horizon_us)
        self.early = Early(self.early.dtype, next_order=self.early.next_order)
        self.rewrite()

    def rewrite(self) -> None:
        """The next commit writes both journals anew."""
        self.journal_commits, self.early.rewrite = JOURNAL_COMMITS, True

    def _take(self, labels: Records) -> Joined:
        """Joins labels that are sorted by id and then in the order read."""
        starts = np.flatnonzero(begins(labels["hash"]))
        found = self.shelf.find(np.ascontiguousarray(labels["hash"][starts]))
        of = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(labels)))
        known = found.known[of]
        self.early.add(labels[~known])
        labels, of = labels[known], of[known]
        late = labels["time_us"] - found.records["time_us"][of] > self.rules.expire_us
        if self.rules.by_arrival:
            late |= labels["time_us"] < self.oldest_us
        joined = self._decide(labels[~late], of[~late], found)
        joined.statuses.update({"early": int(np.count_nonzero(~known)), "late": int(np.count_nonzero(late))})
        return joined

    def _decide(self, labels: Records, of: Ints, found: Found) -> Joined:
        """What becomes of labels in time; `of` is the place of each one's prediction in `found`, and ascends."""
        opens = np.ones(len(of), np.bool_)
        np.not_equal(of[1:], of[:-1], out=opens[1:])
        state = found.records["state"][of]
        first = opens & (state == WAITING)
        changes, stuck = first, np.zeros(len(of), np.bool_)
        if self.rules.takes_last:
            kept = self._is_stuck(found.records)[of]
            before = np.empty_like(labels["actual"])
            before[1:] = labels["actual"][:-1]
            stays = opens | kept
            before[stays] = found.records["actual"][of[stays]]
            differs = (labels["actual"] != before) & ~first
            stuck = differs & kept
            changes = first | (differs & ~kept)
        counts = [int(np.count_nonzero(mask)) for mask in (first, changes & ~first, stuck)]
        statuses = dict(zip(("matched", "correction", "correction_late"), counts, strict=True))
        statuses["duplicate"] = len(labels) - sum(counts)
        return self._apply(labels, of, found, first, changes)._replace(statuses=statuses)

    def _is_stuck(self, records: Records) -> Bools:
        """Whether the label that a prediction has cannot be taken back."""
        stuck: Bools = records["state"] == CLOSED
        if self.rules.by_arrival:
            stuck |= (records["state"] == LABELLED) & (records["label_us"] < self.oldest_us)
        return stuck

    def _apply(self, labels: Records, of: Ints, found: Found, first: Bools, changes: Bools) -> Joined:
        """Writes the last of the labels that change something to each prediction."""
        places = np.flatnonzero(changes)
        if not len(places):
            return self._nothing()
        last = np.ones(len(places), np.bool_)
        np.not_equal(of[places][1:], of[places][:-1], out=last[:-1])
        final = places[last]
        before = found.records[of[final]]
        added = _labelled(before, labels[final])
        self.shelf.put(added, _rows(found, of[final]))
        start = np.flatnonzero(first)
        same = np.array_equal(start, final)
        firsts = added if same else _labelled(found.records[of[start]], labels[start])
        return Joined(firsts, added, before[before["state"] != WAITING], {})

    def _nothing(self) -> Joined:
        empty = np.zeros(0, self.dtype)
        return Joined(empty, empty, empty, {})


def _labelled(records: Records, labels: Records) -> Records:
    found = records.copy()
    found["actual"], found["label_us"], found["state"] = labels["actual"], labels["time_us"], LABELLED
    return found


def _rows(found: Found, rows: Bools | Ints) -> Found:
    return Found(found.chunk[rows], found.run[rows], found.place[rows], found.records[rows], found.known[rows])
