"""Labels that came before their prediction, in the order read.

All of them wait, also several of one id, so that the prediction finds what it would have found had it come first.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_exporter.join.ids import Hashes
from ml_exporter.join.records import Bools, Ints, Records

CHUNKS = 8
Orders = npt.NDArray[np.uint64]


@dataclass
class Chunk:
    """Labels sorted by hash, the same hashes as a column of their own, and which labels still wait."""

    hashes: Hashes
    labels: Records
    alive: Bools
    oldest_us: int
    """When the first of them was read."""

    @classmethod
    def of(cls, labels: Records) -> "Chunk":
        """A chunk of labels in any order."""
        labels = labels[np.lexsort((labels["order"], labels["hash"]))]
        hashes = np.ascontiguousarray(labels["hash"])
        return cls(hashes, labels, np.ones(len(labels), np.bool_), int(labels["seen_us"].min()))

    @property
    def count(self) -> int:
        """How many wait."""
        return int(np.count_nonzero(self.alive))


@dataclass
class Early:
    """The waiting labels. `saved_order` is the number of the first label that the store has not got yet."""

    dtype: np.dtype[Any]
    chunks: list[Chunk] = field(default_factory=list)
    count: int = 0
    next_order: int = 0
    saved_order: int = 0
    stored: int = 0
    """How many labels the store holds, also those that no longer wait."""
    gone: list[Orders] = field(default_factory=list)
    """Numbers of labels that the store still takes for waiting."""
    rewrite: bool = False
    """Whether what the store has of them is worth nothing."""

    def add(self, labels: Records) -> None:
        """Takes in labels; they are numbered already."""
        if not len(labels):
            return
        self.chunks.append(Chunk.of(labels))
        self.count += len(labels)
        if len(self.chunks) > CHUNKS:
            self._merge()

    def release(self, hashes: Hashes) -> Records:
        """Takes out the labels of these ids (sorted, each once), sorted by id and then in the order read."""
        found = [np.zeros(0, self.dtype)]
        for chunk in self.chunks:
            low, high = (np.searchsorted(chunk.hashes, hashes, side) for side in ("left", "right"))
            places = _ranges(low, high - low)
            mask = np.zeros(len(chunk.hashes), np.bool_)
            mask[places] = chunk.alive[places]
            if mask[places].any():
                found.append(self._take(chunk, mask))
        together = np.concatenate(found)
        return together[np.lexsort((together["order"], together["hash"]))]

    def expire(self, seen_from_us: int) -> int:
        """Gives up the labels that were read before; returns how many."""
        before = self.count
        for chunk in self.chunks:
            if chunk.oldest_us < seen_from_us:
                self._take(chunk, chunk.alive & (chunk.labels["seen_us"] < seen_from_us))
                chunk.oldest_us = int(chunk.labels["seen_us"][chunk.alive].min(initial=np.iinfo(np.int64).max))
        return before - self.count

    def evict(self, limit: int) -> int:
        """Gives up the first ones read beyond `limit`; returns how many."""
        excess = self.count - limit
        if excess <= 0:
            return 0
        orders = np.concatenate([chunk.labels["order"][chunk.alive] for chunk in self.chunks])
        last = np.partition(orders, excess - 1)[excess - 1]
        for chunk in self.chunks:
            self._take(chunk, chunk.alive & (chunk.labels["order"] <= last))
        return excess

    def shift(self, by_us: int) -> None:
        """Moves the times of reading, when the clock jumped."""
        for chunk in self.chunks:
            chunk.labels["seen_us"] += by_us
            chunk.oldest_us += by_us
        self.rewrite = True

    def all(self) -> Records:
        """The labels that wait, in the order read."""
        parts = [chunk.labels[chunk.alive] for chunk in self.chunks]
        together = np.concatenate(parts) if parts else np.zeros(0, self.dtype)
        return together[np.argsort(together["order"])]

    def unsaved(self) -> Records:
        """Those that the store has not got yet."""
        parts = [chunk.labels[chunk.alive & (chunk.labels["order"] >= self.saved_order)] for chunk in self.chunks]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)

    def _take(self, chunk: Chunk, mask: Bools) -> Records:
        taken = chunk.labels[mask]
        self.count -= len(taken)
        self.gone.append(taken["order"][taken["order"] < self.saved_order])
        chunk.alive[mask] = False
        if chunk.count * 2 < len(chunk.hashes):
            self._compact(chunk)
        return taken

    def _compact(self, chunk: Chunk) -> None:
        chunk.hashes, chunk.labels = chunk.hashes[chunk.alive], chunk.labels[chunk.alive]
        chunk.alive = np.ones(len(chunk.hashes), np.bool_)

    def _merge(self) -> None:
        by_size = sorted(self.chunks, key=lambda chunk: len(chunk.hashes))
        small = np.concatenate([chunk.labels[chunk.alive] for chunk in by_size[: CHUNKS // 2 + 1]])
        self.chunks = by_size[CHUNKS // 2 + 1 :]
        if len(small):
            self.chunks.append(Chunk.of(small))


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """The numbers of ranges, one after the other.

    >>> _ranges(np.array([5, 1]), np.array([2, 3])).tolist()
    [5, 6, 1, 2, 3]
    """
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) + np.repeat(starts - ends + lengths, lengths)
