"""A chunk of a log cut into lines, with the places of its newlines and keys, found by numpy."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_BLOCK = 1 << 19
"""Bytes looked at in one go, so that they stay in the processor's cache."""
_NEWLINE, _QUOTE, _COLON = b'\n":'


@dataclass(frozen=True)
class Lines:
    r"""Lines of a chunk that ends with a newline.

    `starts` and `ends` are byte positions, without the newline. `colons` are the positions of every colon behind a
    quote: in a JSON line without `\\"` these are the ends of its keys, and the starts of strings that begin with a
    colon.
    """

    chunk: bytes
    starts: Ints
    ends: Ints
    colons: Ints

    @cached_property
    def octets(self) -> Bytes:
        """The bytes as numbers."""
        return np.frombuffer(self.chunk, np.uint8)

    @cached_property
    def first_colon(self) -> Ints:
        """For each line the index of its first colon in `colons`, and the end behind the last."""
        return np.append(np.searchsorted(self.colons, self.starts), len(self.colons))

    @cached_property
    def keys(self) -> Ints:
        """For each line its number of colons."""
        return np.diff(self.first_colon)

    def line(self, row: int) -> bytes:
        """The bytes of a line, without newline."""
        return self.chunk[self.starts[row] : self.ends[row]]

    def with_count(self, rows: Ints, count: int) -> tuple[Ints, Ints]:
        """Those of `rows` with `count` colons, and their colons: an array of rows × count."""
        if len(rows) == len(self.starts) and len(self.colons) == count * len(rows):
            grid = self.colons.reshape(-1, count)
            if (grid[:, 0] > self.starts).all() and (grid[:, -1] < self.ends).all():
                return rows, grid
        rows = rows[self.keys[rows] == count]
        return rows, self.colons[self.first_colon[rows][:, None] + np.arange(count)]

    def take(self, rows: Ints) -> bytes:
        """The bytes of these lines with their newlines. `rows` ascend."""
        if len(rows) == len(self.starts):
            return self.chunk
        gaps = np.flatnonzero(np.diff(rows) > 1)
        firsts = self.starts[rows[np.concatenate([[0], gaps + 1])]]
        lasts = self.ends[rows[np.concatenate([gaps, [len(rows) - 1]])]]
        view = memoryview(self.chunk)
        return b"".join([view[first : last + 1] for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)])


def split(chunk: bytes) -> Lines:
    r"""Cut a chunk into lines.

    >>> split(b'{"a": 1}\n\n{"b":2').ends.tolist()
    [8, 9, 16]
    """
    if not chunk.endswith(b"\n"):
        chunk += b"\n"
    octets = np.frombuffer(chunk, np.uint8)
    newlines, colons = [], []
    for begin in range(0, len(octets), _BLOCK):
        block = octets[begin : begin + _BLOCK + 1]
        newlines.append(np.flatnonzero(block[:_BLOCK] == _NEWLINE) + begin)
        colons.append(np.flatnonzero((block[:-1] == _QUOTE) & (block[1:] == _COLON)) + (begin + 1))
    ends = np.concatenate(newlines)
    starts = np.concatenate([[0], ends[:-1] + 1])
    return Lines(chunk, starts, ends, np.concatenate(colons))
