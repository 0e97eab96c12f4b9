"""The join of predictions with labels that come later, earlier, twice, or never.

Predictions wait in runs: arrays sorted by the hash of their id. A label finds its prediction by binary search. A label
that comes first waits for a grace period. The first label of a prediction counts; what becomes of every label is
counted by status.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]

RUNS = 8
LONG_ID = 256
PREDICTION = np.dtype([("hash", "<u8"), ("time_us", "<i8"), ("score", "<f8"), ("predicted", "i1"), ("labelled", "?")])
LABEL = np.dtype([("hash", "<u8"), ("time_us", "<i8"), ("actual", "i1"), ("seen_us", "<i8")])
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def hash_ids(ids: pa.ChunkedArray | pa.Array) -> Hashes:
    """A 64-bit hash of every id, shape (n,), the same on every machine and in every release.

    The bytes of an id are read as little-endian 8-byte words, the last one filled with zeros, and mixed in order
    (splitmix64's finaliser) with the length. Of ids longer than `LONG_ID` bytes BLAKE2b is taken. Nulls hash as if
    they had 2**64 - 1 bytes. Time and memory follow the bytes there are, so a huge id costs only its own.

    >>> hash_ids(pa.array(["a", "b", "a"]))[[0, 2]].tolist() == [hash_ids(pa.array(["a"]))[0]] * 2
    True
    """
    column = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    column = column.cast(pa.large_binary())
    _, offsets, data = column.buffers()
    lengths = np.asarray(pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False), np.int64)
    starts = np.frombuffer(offsets, np.int64, len(column) + 1, column.offset * 8)[:-1] if len(column) else lengths
    padded = np.concatenate([np.frombuffer(data or b"", np.uint8), np.zeros(8, np.uint8)])
    words = np.lib.stride_tricks.sliding_window_view(padded, 8)
    state: Hashes = lengths.astype(np.uint64) * _MULTIPLIERS[0]
    rows = np.flatnonzero(lengths <= LONG_ID)
    for lane in range(0, min(int(lengths.max(initial=0)), LONG_ID), 8):
        rows = rows[lengths[rows] > lane]
        word = words[starts[rows] + lane].view("<u8")[:, 0]
        missing = np.maximum(lane + 8 - lengths[rows], 0).astype(np.uint64) * np.uint64(8)
        state[rows] = _mix(state[rows] ^ (word << missing >> missing))
    for row in np.flatnonzero(lengths > LONG_ID).tolist():
        name = padded[starts[row] : starts[row] + lengths[row]].tobytes()
        state[row] = int.from_bytes(blake2b(name, digest_size=8).digest(), "little")
    return state


def _mix(state: Hashes) -> Hashes:
    state = state + _MULTIPLIERS[0]
    state = (state ^ (state >> np.uint64(30))) * _MULTIPLIERS[1]
    state = (state ^ (state >> np.uint64(27))) * _MULTIPLIERS[2]
    return state ^ (state >> np.uint64(31))


@dataclass(frozen=True)
class Matched:
    """Predictions that just got their first label; every array has shape (n,).

    Delays are label time minus prediction time, and 0 for a label that claims to be older.
    """

    time_us: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.int8]
    actual: npt.NDArray[np.int8]
    delay_seconds: npt.NDArray[np.float64]


@dataclass
class Join:
    """The waiting predictions and labels of one model, and what became of the labels so far."""

    grace_us: int
    expire_us: int
    runs: dict[int, Records] = field(default_factory=dict)
    early: Records = field(default_factory=lambda: np.zeros(0, LABEL))
    changed: set[int] = field(default_factory=set)
    early_changed: bool = False
    next_run: int = 0

    @property
    def waiting_predictions(self) -> int:
        """Predictions that may still get a label."""
        return int(sum(np.count_nonzero(~run["labelled"]) for run in self.runs.values()))

    def predictions(self, fresh: Records) -> tuple[Matched, Mapping[str, int]]:
        """Takes in predictions (dtype PREDICTION) and joins the labels that waited for them.

        Of predictions with the same id the first keeps it; later ones stay without a label.
        """
        fresh = fresh[np.argsort(fresh["hash"], kind="stable")]
        first = np.ones(len(fresh), np.bool_)
        first[1:] = fresh["hash"][1:] != fresh["hash"][:-1]
        fresh = fresh[first]
        fresh = fresh[self._find(fresh["hash"])[0] < 0]
        if len(fresh):
            self.runs[self.next_run] = fresh.copy()
            self.changed.add(self.next_run)
            self.next_run += 1
            self._merge_runs()
        waiting, self.early = self.early, self.early[:0]
        if not len(waiting):
            return _nothing(), {}
        here = self._find(waiting["hash"])[0] >= 0
        self.early = waiting[~here]
        self.early_changed = self.early_changed or bool(here.any())
        return self._match(waiting[here])

    def labels(self, fresh: Records) -> tuple[Matched, Mapping[str, int]]:
        """Joins labels (dtype LABEL), in the order read. Returns the matches, and how many labels had each status."""
        known = self._find(fresh["hash"])[0] >= 0
        matched, statuses = self._match(fresh[known])
        unknown = fresh[~known]
        _, first = np.unique(unknown["hash"], return_index=True)
        unknown = unknown[np.sort(first)]
        unknown = unknown[~np.isin(unknown["hash"], self.early["hash"])]
        duplicates = len(fresh) - int(known.sum()) - len(unknown)
        if len(unknown):
            self.early = np.concatenate([self.early, unknown])
            self.early_changed = True
        counts = dict(statuses)
        counts["early"] = counts.get("early", 0) + len(unknown)
        counts["duplicate"] = counts.get("duplicate", 0) + duplicates
        return matched, counts

    def expire(self, event_us: int, now_us: int) -> int:
        """Forgets predictions older than the expiry by event time, and labels whose grace has passed.

        Returns how many labels.
        """
        for key, run in list(self.runs.items()):
            keep = run["time_us"] >= event_us - self.expire_us
            if keep.all():
                continue
            self.changed.add(key)
            self.runs[key] = run[keep]
            if not keep.any():
                del self.runs[key]
        keep = self.early["seen_us"] >= now_us - self.grace_us
        orphans = int(np.count_nonzero(~keep))
        if orphans:
            self.early = self.early[keep]
            self.early_changed = True
        return orphans

    def settle(self) -> Iterator[tuple[int, bytes | None]]:
        """Yields each changed run with its bytes (None: it is gone) for the store."""
        for key in sorted(self.changed):
            yield key, self.runs[key].tobytes() if key in self.runs else None
        self.changed.clear()
        self.early_changed = False

    def restore(self, runs: Mapping[int, bytes], early: bytes) -> None:
        """Takes back what the store kept."""
        self.runs = {key: np.frombuffer(blob, PREDICTION).copy() for key, blob in sorted(runs.items())}
        self.early = np.frombuffer(early, LABEL).copy()
        self.next_run = max(self.runs, default=-1) + 1

    def _find(self, hashes: Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Run and position of each hash; run -1 where it is not known."""
        run_of = np.full(len(hashes), -1, np.int64)
        place = np.zeros(len(hashes), np.int64)
        for key, run in self.runs.items():
            at = np.minimum(np.searchsorted(run["hash"], hashes), len(run) - 1)
            hit = run["hash"][at] == hashes
            run_of[hit] = key
            place[hit] = at[hit]
        return run_of, place

    def _match(self, labels: Records) -> tuple[Matched, Mapping[str, int]]:
        """Joins labels whose predictions are known."""
        run_of, place = self._find(labels["hash"])
        found = np.zeros(len(labels), PREDICTION)
        for key in np.unique(run_of):
            here = run_of == key
            found[here] = self.runs[int(key)][place[here]]
        late = labels["time_us"] - found["time_us"] > self.expire_us
        open_rows = np.flatnonzero(~late & ~found["labelled"])
        _, first = np.unique(labels["hash"][open_rows], return_index=True)
        fresh = np.zeros(len(labels), np.bool_)
        fresh[open_rows[first]] = True
        for key in np.unique(run_of[fresh]):
            here = fresh & (run_of == key)
            self.runs[int(key)]["labelled"][place[here]] = True
            self.changed.add(int(key))
        labels, found = labels[fresh], found[fresh]
        delay = np.maximum(labels["time_us"] - found["time_us"], 0) / 1e6
        matched = Matched(found["time_us"], found["score"], found["predicted"], labels["actual"], delay)
        counts = {"matched": int(fresh.sum()), "late": int(late.sum())}
        return matched, counts | {"duplicate": len(fresh) - sum(counts.values())}

    def _merge_runs(self) -> None:
        """Merges the smaller half of the runs when there are too many of them, so that look-ups stay few."""
        if len(self.runs) <= RUNS:
            return
        smallest = sorted(self.runs, key=lambda key: len(self.runs[key]))[: RUNS // 2 + 1]
        merged = np.concatenate([self.runs.pop(key) for key in smallest])
        self.changed.update(smallest)
        self.runs[self.next_run] = merged[np.argsort(merged["hash"], kind="stable")]
        self.changed.add(self.next_run)
        self.next_run += 1


def _nothing() -> Matched:
    empty = np.zeros(0)
    small = np.zeros(0, np.int8)
    return Matched(np.zeros(0, np.int64), empty, small, small, empty)
