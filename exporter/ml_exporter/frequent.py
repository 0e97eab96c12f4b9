"""The texts that occur most in rows that are out of the ordinary: few names, for people who ask which ones they are.

The scheme is Space-Saving (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and top-k elements in data
streams, 2005), a batch at a time: a text without a place takes that of the least frequent one and inherits its rows, as
so many of its own may have gone by unnamed. So memory is bounded however many texts there are, and beside an exact
number of rows since a text got its place stands how many it may have had before.

Names live in memory alone, and start empty with the process. They are as the log has them, cut: hostile, and perhaps
personal.
"""

from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.layout import Vector

PLACES = 40
"""So many texts are counted at once."""
CHARACTERS = 100
"""Of a text so many characters are shown."""
_OCTETS = 4 * CHARACTERS


class Named(NamedTuple):
    """A text that occurs: its rows from the first to the last (event times in microseconds) since it has a place.

    Before that it had at most `missed` rows.
    """

    text: str
    rows: int
    missed: int
    first_us: int
    last_us: int


class _Place(NamedTuple):
    most: int
    """All rows that it may have had: the first that decides who stays."""
    last_us: int
    """Of equal ones the newer stays."""
    missed: int
    first_us: int


@dataclass
class Frequent:
    """The most frequent of the texts that were noted; a text without a place had at most `floor` rows.

    With n rows noted, `floor` is at most n / `PLACES`. The answer depends on the order of the batches.
    """

    places: dict[bytes, _Place] = field(default_factory=dict)
    floor: int = 0
    left_us: int = 0
    """The event time of the newest row of a text that lost its place or got none."""

    def note(self, texts: pa.ChunkedArray, times: Vector) -> None:
        """Counts rows: their texts, none of them null, and event times in microseconds, both (n,) with n above 0."""
        cut = pc.binary_slice(texts.cast(pa.binary()), 0, _OCTETS)
        encoded = pc.dictionary_encode(cut.combine_chunks())
        codes, distinct = encoded.indices.to_numpy(), encoded.dictionary
        rows = np.bincount(codes)
        first, last = np.full(len(rows), times.max()), np.full(len(rows), times.min())
        np.minimum.at(first, codes, times)
        np.maximum.at(last, codes, times)
        there = pc.is_in(distinct, value_set=pa.array(list(self.places), pa.binary())).to_numpy(zero_copy_only=False)
        new = np.flatnonzero(~there)
        best = new[np.lexsort((-last[new], -rows[new]))[: PLACES + 1]]  # one more than have room, so that none is lost
        chosen = np.concatenate([np.flatnonzero(there), best])
        found = (distinct.take(pa.array(chosen)).to_pylist(), *(item[chosen].tolist() for item in (rows, first, last)))
        for key, count, first_us, last_us in zip(*found, strict=True):
            old = self.places.get(key) or _Place(self.floor, last_us, self.floor, first_us)
            newest_us, oldest_us = max(old.last_us, last_us), min(old.first_us, first_us)
            self.places[key] = _Place(old.most + count, newest_us, old.missed, oldest_us)
        if len(self.places) > PLACES:
            self._shrink(int(times.max()))

    def _shrink(self, newest_us: int) -> None:
        """Leaves the places to the most frequent texts; `newest_us` is not before any row that goes unnamed now."""
        ranked = sorted(self.places.items(), key=itemgetter(1), reverse=True)
        gone = [place for _, place in ranked[PLACES:]]
        self.floor = max(self.floor, gone[0].most)
        self.left_us = max(self.left_us, newest_us, *(place.last_us for place in gone))
        self.places = dict(ranked[:PLACES])

    def forget(self, oldest_us: int) -> None:
        """Forgets the texts of which no row came since."""
        self.places = {key: place for key, place in self.places.items() if place.last_us >= oldest_us}
        if self.left_us < oldest_us:
            self.floor = 0

    def still(self) -> "Frequent":
        """A copy that nothing changes."""
        return Frequent(dict(self.places), self.floor, self.left_us)

    def named(self, most: int) -> tuple[Named, ...]:
        """The most frequent ones by the rows that are known of them, of equal ones the newer first."""
        found = [
            (place.missed - place.most, -place.last_us, key, place.missed, place.first_us)
            for key, place in self.places.items()
        ]
        return tuple(
            Named(key.decode(errors="backslashreplace")[:CHARACTERS], -rows, missed, first_us, -last_us)
            for rows, last_us, key, missed, first_us in sorted(found)[:most]
        )
