"""The shelf: the versions of pending records that wait, the memtable over newer runs over older ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ml_exporter.join.ids import Hashes
from ml_exporter.join.memtable import Memtable
from ml_exporter.join.records import CLOSED, LABELLED, WAITING, Bools, Ints, Records
from ml_exporter.join.run import Run

RUNS = 8
"""No more runs than these, so that look-ups stay few."""
MERGE_FROM = 4
"""With more runs than these, the cheapest neighbours are merged."""
FLUSH_ROWS = 1 << 17
"""A memtable of so many rows becomes a run."""
UNSAVED_ROWS = 8 * FLUSH_ROWS
"""While nothing can be written, reading pauses when so many rows wait for it."""


class Found(NamedTuple):
    """Where the newest version of each hash lies, shape (n,): chunk of the memtable or run (-1: not there), place."""

    chunk: Ints
    run: Ints
    place: Ints
    records: Records
    """The versions, where `known`; else zeros."""
    known: Bools
    """Whether it is there and has not expired."""


@dataclass
class Shelf:
    """The memtable and the runs of one model, oldest run first. Predictions before `horizon_us` have expired."""

    dtype: np.dtype[Any]
    expire_us: int
    max_rows: int
    memtable: Memtable = field(init=False)
    runs: list[Run] = field(default_factory=list)
    horizon_us: int = -(1 << 62)

    def __post_init__(self) -> None:
        self.memtable = Memtable(self.dtype)

    @property
    def rows(self) -> int:
        """Records in memory and on disk, also older versions and expired ones that were not dropped yet."""
        return self.memtable.rows + sum(run.rows for run in self.runs)

    @property
    def waiting(self) -> int:
        """Predictions that may still get a label. Those in a run count until all of the run has expired."""
        return self.memtable.waiting(self.horizon_us) + sum(run.waiting for run in self.runs)

    def find(self, hashes: Hashes) -> Found:
        """The newest version of every hash; they ascend and are distinct."""
        chunk, place = self.memtable.find(hashes)
        run_of = np.full(len(hashes), -1, np.int64)
        records = np.zeros(len(hashes), self.dtype)
        for number, part in enumerate(self.memtable.chunks):
            here = np.flatnonzero(chunk == number)
            records[here] = part.records[place[here]]
        asked = np.flatnonzero(chunk < 0)
        for number in range(len(self.runs) - 1, -1, -1):
            at = self.runs[number].find(hashes[asked])
            hit = at >= 0
            if hit.any():
                rows = asked[hit]
                run_of[rows], place[rows] = number, at[hit]
                records[rows] = self.runs[number].gather(at[hit], self.dtype)
                asked = asked[~hit]
        known = ((chunk >= 0) | (run_of >= 0)) & (records["time_us"] >= self.horizon_us)
        return Found(chunk, run_of, place, records, known)

    def put(self, records: Records, found: Found) -> None:
        """Takes in newer versions of what `find` found (or did not), shape (n,), sorted by hash."""
        here = found.chunk >= 0
        self.memtable.replace(found.chunk[here], found.place[here], records[here])
        if len(self.runs):
            waited = found.run[(found.run >= 0) & (found.records["state"] == WAITING)]
            for number, count in enumerate(np.bincount(waited, minlength=len(self.runs)).tolist()):
                self.runs[number].waiting -= count
        self.memtable.insert(records[~here])

    def expired(self) -> list[Run]:
        """The runs in which everything has expired."""
        return [run for run in self.runs if run.newest_us < self.horizon_us]

    def excess(self) -> list[Run]:
        """The oldest of the other runs, as many as have to go so that no more rows than allowed are kept."""
        kept = [run for run in self.runs if run.newest_us >= self.horizon_us]
        rows, gone = self.memtable.rows + sum(run.rows for run in kept), []
        while kept and rows > self.max_rows:
            gone.append(kept.pop(0))
            rows -= gone[-1].rows
        return gone

    def drop(self, gone: Sequence[Run]) -> None:
        """Forgets these runs."""
        self.runs = [run for run in self.runs if run not in gone]

    def close_labels(self) -> None:
        """Marks every label that is counted as one that can no longer be taken back."""
        for chunk in self.memtable.chunks:
            labelled = chunk.records["state"] == LABELLED
            chunk.records["state"][labelled] = CLOSED
            chunk.dirty |= labelled
        for run in self.runs:
            run.is_closed = True

    @property
    def is_full(self) -> bool:
        """Whether the memtable should become a run, and there is room for one."""
        return self.memtable.rows >= min(FLUSH_ROWS, self.max_rows // 4) and len(self.runs) < RUNS

    def frozen(self) -> Records:
        """What a run of the memtable would hold, sorted by hash: nothing that has expired."""
        records = self.memtable.all()
        return records[records["time_us"] >= self.horizon_us]

    def adopt(self, run: Run | None) -> None:
        """The memtable, which `frozen` gave, now is this run (None: there was nothing in it)."""
        self.memtable = Memtable(self.dtype)
        if run is not None:
            self.runs.append(run)

    def wanted(self) -> Sequence[Run]:
        """Neighbours that should be merged next; empty when the runs are few.

        The merge is the cheapest for each run it saves among those whose result spans at most a third of the expiry
        (so that expired runs go as a whole) and holds at most a quarter of the rows allowed (so that eviction goes
        in small steps). A third leaves at most seven runs that cannot be merged while their times ascend; without any
        such group the cheapest pair is merged at the limit.
        """
        if len(self.runs) <= MERGE_FROM:
            return ()
        groups = [self.runs[a:b] for a in range(len(self.runs)) for b in range(a + 2, len(self.runs) + 1)]
        fitting = [group for group in groups if self._fits(group)]
        if not fitting and len(self.runs) >= RUNS:
            fitting = [group for group in groups if len(group) == 2]
        return min(fitting, key=lambda group: sum(run.rows for run in group) / (len(group) - 1), default=())

    def swap(self, old: Sequence[Run], new: Run | None) -> None:
        """Puts the merged run in the place of those it was made of (None: all had expired)."""
        at = self.runs.index(old[0])
        self.runs[at : at + len(old)] = [] if new is None else [new]

    def _fits(self, group: Sequence[Run]) -> bool:
        span = max(run.newest_us for run in group) - min(run.first_us for run in group)
        return span <= self.expire_us // 3 and sum(run.rows for run in group) <= self.max_rows // 4
