"""The memtable: the newest versions of pending records, in memory, each id once.

A few chunks sorted by hash, merged when there are too many, so that taking in and looking up both stay cheap.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml_exporter.join.ids import Hashes
from ml_exporter.join.records import WAITING, Bools, Ints, Records

CHUNKS = 8


@dataclass
class Chunk:
    """Records sorted by hash, the same hashes as a column of their own, and which ones the store has not got yet."""

    hashes: Hashes
    records: Records
    dirty: Bools

    @classmethod
    def of(cls, records: Records, dirty: bool) -> "Chunk":
        """A chunk of records that are sorted by hash."""
        return cls(np.ascontiguousarray(records["hash"]), records, np.full(len(records), dirty))


@dataclass
class Memtable:
    """The chunks, oldest first."""

    dtype: np.dtype[Any]
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many records it holds."""
        return sum(len(chunk.hashes) for chunk in self.chunks)

    def waiting(self, horizon_us: int) -> int:
        """How many of its predictions wait for a label and have not expired."""
        return sum(
            int(np.count_nonzero((chunk.records["state"] == WAITING) & (chunk.records["time_us"] >= horizon_us)))
            for chunk in self.chunks
        )

    def find(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Chunk and place of each hash, shape (n,); chunk -1 where it is not there."""
        chunk_of = np.full(len(hashes), -1, np.int64)
        place = np.zeros(len(hashes), np.int64)
        for number, chunk in enumerate(self.chunks):
            at = np.searchsorted(chunk.hashes, hashes)
            at[at == len(chunk.hashes)] = 0
            hit = chunk.hashes[at] == hashes
            chunk_of[hit] = number
            place[hit] = at[hit]
        return chunk_of, place

    def insert(self, records: Records, dirty: bool = True) -> None:
        """Takes in records of ids that it does not hold, sorted by hash."""
        if not len(records):
            return
        self.chunks.append(Chunk.of(records, dirty))
        if len(self.chunks) > CHUNKS:
            self._merge()

    def replace(self, chunk_of: Ints, place: Ints, records: Records) -> None:
        """Puts newer versions where `find` found the older ones."""
        for number in np.unique(chunk_of).tolist():
            here = chunk_of == number
            self.chunks[number].records[place[here]] = records[here]
            self.chunks[number].dirty[place[here]] = True

    def changed(self) -> Records:
        """The records that the store has not got yet."""
        parts = [chunk.records[chunk.dirty] for chunk in self.chunks]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)

    def saved(self) -> None:
        """The store has got all of them."""
        for chunk in self.chunks:
            chunk.dirty[:] = False

    def all(self) -> Records:
        """Every record, sorted by hash."""
        if not self.chunks:
            return np.zeros(0, self.dtype)
        whole = self.chunks[0] if len(self.chunks) == 1 else _together(self.chunks)
        return whole.records

    def _merge(self) -> None:
        """Merges the smaller half of the chunks."""
        by_size = sorted(self.chunks, key=lambda chunk: len(chunk.hashes))
        self.chunks = [*by_size[CHUNKS // 2 + 1 :], _together(by_size[: CHUNKS // 2 + 1])]


def _together(chunks: list[Chunk]) -> Chunk:
    hashes = np.concatenate([chunk.hashes for chunk in chunks])
    order = np.argsort(hashes, kind="stable")
    records = np.concatenate([chunk.records for chunk in chunks])[order]
    return Chunk(hashes[order], records, np.concatenate([chunk.dirty for chunk in chunks])[order])
