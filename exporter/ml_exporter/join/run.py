"""Runs: immutable pending records, sorted by hash, a column at a time.

A look-up touches the filter, and the hash column where the filter says that the hash may be there. The columns may be
memory mapped files: nothing here knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_exporter.join.ids import Hashes
from ml_exporter.join.records import CLOSED, LABELLED, WAITING, Ints, Records, ends

Columns = Mapping[str, npt.NDArray[Any]]

SLICE_ROWS = 1 << 18
"""About so many rows are merged at once, so that a merge needs little memory and never holds the interpreter long."""
_BITS_PER_ROW = 8


@dataclass(frozen=True)
class Filter:
    """A set of hashes that may say yes to one in eight of those it does not hold.

    A bit for each value of the upper `width` bits of a hash; about as fast as reading it.
    """

    width: int
    bits: npt.NDArray[np.uint8]

    @classmethod
    def empty(cls, rows: int) -> "Filter":
        """A filter with room for that many hashes."""
        width = max(10, (rows * _BITS_PER_ROW - 1).bit_length())
        return cls(width, np.zeros(1 << (width - 3), np.uint8))

    def add(self, hashes: Hashes) -> None:
        """Adds hashes, shape (n,)."""
        places = self._places(hashes)
        np.bitwise_or.at(self.bits, places >> np.uint64(3), _bit(places))

    def may_hold(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Whether each hash may be in the set; never wrong about one that is."""
        places = self._places(hashes)
        found: npt.NDArray[np.bool_] = (self.bits[places >> np.uint64(3)] & _bit(places)) != 0
        return found

    def _places(self, hashes: Hashes) -> Hashes:
        return hashes >> np.uint64(64 - self.width)


def _bit(places: Hashes) -> npt.NDArray[np.uint8]:
    return np.uint8(1) << (places & np.uint64(7)).astype(np.uint8)


@dataclass(eq=False)
class Run:
    """One run. A newer run overrides an older one.

    `newest_us` is the time of its newest prediction: when that has expired, the run goes. `first_us` is that of the
    first run that was merged into it. `waiting` counts its predictions without a label of which no newer version
    exists elsewhere. `is_closed` says that the labels in it were counted under a layout that is gone.
    """

    number: int
    columns: Columns
    filter: Filter
    first_us: int
    newest_us: int
    waiting: int
    is_closed: bool = False
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = len(self.columns["hash"])

    @classmethod
    def of(cls, number: int, records: Records) -> "Run":
        """A run in memory, of records sorted by hash."""
        columns = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
        hashes = Filter.empty(len(records))
        hashes.add(columns["hash"])
        newest = int(records["time_us"].max())
        return cls(number, columns, hashes, newest, newest, int(np.count_nonzero(records["state"] == WAITING)))

    def find(self, hashes: Hashes) -> Ints:
        """Place of each hash, shape (n,), and -1 where it is not there. Fastest when they ascend."""
        places = np.full(len(hashes), -1, np.int64)
        asked = np.flatnonzero(self.filter.may_hold(hashes))
        column = self.columns["hash"]
        at = np.searchsorted(column, hashes[asked])
        at[at == self.rows] = 0
        hit = column[at] == hashes[asked]
        places[asked[hit]] = at[hit]
        return places

    def gather(self, places: Ints, dtype: np.dtype[Any]) -> Records:
        """The records at these places."""
        found = np.empty(len(places), dtype)
        for name in dtype.names or ():
            found[name] = self.columns[name][places]
        if self.is_closed:
            found["state"][found["state"] == LABELLED] = CLOSED
        return found

    def records(self, dtype: np.dtype[Any]) -> Records:
        """All of its records."""
        return self.gather(np.arange(self.rows), dtype)


def merged(runs: Sequence[Run], horizon_us: int) -> Iterator[Columns]:
    """The newest version of every record in these runs (oldest run first), in slices sorted by hash.

    Predictions before the horizon have expired and are left out.
    """
    count = -(-sum(run.rows for run in runs) // SLICE_ROWS)
    cuts = [(number << 64) // count for number in range(1, count)]
    bounds = [[0, *np.searchsorted(run.columns["hash"], np.array(cuts, np.uint64)).tolist(), run.rows] for run in runs]
    for number in range(count):
        spans = [slice(bound[number], bound[number + 1]) for bound in bounds]
        yield _merged_slice(runs, spans, horizon_us)


def _merged_slice(runs: Sequence[Run], spans: Sequence[slice], horizon_us: int) -> Columns:
    hashes = np.concatenate([run.columns["hash"][span] for run, span in zip(runs, spans, strict=True)])
    order = np.argsort(hashes, kind="stable")  # of equal hashes the newest comes last
    order = order[ends(hashes[order])]
    found = {}
    for name in runs[0].columns:
        parts = [_part(run, name, span) for run, span in zip(runs, spans, strict=True)]
        found[name] = np.concatenate(parts)[order]
    alive = found["time_us"] >= horizon_us
    return found if alive.all() else {name: column[alive] for name, column in found.items()}


def _part(run: Run, name: str, span: slice) -> npt.NDArray[Any]:
    column = run.columns[name][span]
    return np.where(column == LABELLED, np.uint8(CLOSED), column) if name == "state" and run.is_closed else column
