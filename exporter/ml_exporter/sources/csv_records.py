"""A chunk of a CSV file cut into records, and which of them are clean, found by numpy on their bytes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ml_exporter.sources.lines import Bytes, Flags, Ints
from ml_exporter.sources.quoted import record_ends

_QUOTE, _NEWLINE, _RETURN, _BLANK, _TAB = b'"\n\r \t'
_MARK = b"\xef\xbb\xbf"
_BLOCK = 1 << 19
"""Bytes looked at in one go, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class Records:
    """Records of a chunk: byte positions of their starts, of their ends without line end, and of the next start."""

    content: bytes
    delimiter: int
    limit: int
    starts: Ints
    stops: Ints
    ends: Ints

    @cached_property
    def octets(self) -> Bytes:
        """The bytes as numbers."""
        return np.frombuffer(self.content, np.uint8)

    def line(self, row: int) -> bytes:
        """The bytes of a record, without its line end."""
        return self.content[self.starts[row] : self.stops[row]]

    def take(self, rows: Ints) -> bytes:
        """The bytes of these records with their line ends. `rows` ascend."""
        if len(rows) == len(self.starts):
            return self.content
        gaps = np.flatnonzero(np.diff(rows) > 1)
        firsts = self.starts[rows[np.concatenate([[0], gaps + 1])]]
        lasts = self.ends[rows[np.concatenate([gaps, [len(rows) - 1]])]]
        view = memoryview(self.content)
        return b"".join([view[first:last] for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)])

    def clean(self, width: int) -> Flags:
        """The records of `width` cells, (n,), about whose bytes there is no doubt."""
        if not len(self.starts):
            return np.zeros(0, bool)
        bounds = np.unique(np.searchsorted(self.starts, np.arange(0, len(self.content), _BLOCK)))
        pairs = zip(bounds.tolist(), [*bounds[1:].tolist(), len(self.starts)], strict=True)
        parts = [self._part(first, end)._clean(width) for first, end in pairs if first < end]
        return np.concatenate(parts)

    def _part(self, first: int, end: int) -> "Records":
        """Some of the records, with their bytes."""
        begin = int(self.starts[first])
        places = (array[first:end] - begin for array in (self.starts, self.stops, self.ends))
        return Records(self.content[begin : self.ends[end - 1]], self.delimiter, self.limit, *places)

    def _clean(self, width: int) -> Flags:
        good: Flags = self.stops - self.starts <= self.limit
        first = self.octets[self.starts]
        good &= (first != _BLANK) & (self.stops > self.starts)
        if self.delimiter != _TAB:
            good &= first != _TAB
        if b"\0" in self.content:
            good[self._rows_of(np.flatnonzero(self.octets == 0))] = False
        if b"\r" in self.content:
            returns = np.flatnonzero(self.octets == _RETURN)
            lone = returns[np.append(self.octets, _NEWLINE)[returns + 1] != _NEWLINE]
            good[self._rows_of(lone)] = False
        if not self.content.isascii():
            self._refuse_no_text(good)
        good &= self._cells(good) == width
        return good

    def _rows_of(self, places: Ints) -> Ints:
        """The records in which these bytes are."""
        rows: Ints = np.searchsorted(self.starts, places, side="right") - 1
        return rows

    def _refuse_no_text(self, good: Flags) -> None:
        """Takes invalid UTF-8 and byte order marks out of the good ones."""
        if _MARK in self.content:
            good &= self.octets[self.starts] != _MARK[0]
        try:
            self.content.decode()
        except UnicodeDecodeError:
            for row in np.unique(self._rows_of(np.flatnonzero(self.octets >= 128))).tolist():
                try:
                    self.line(row).decode()
                except UnicodeDecodeError:
                    good[row] = False

    def _cells(self, good: Flags) -> Ints:
        """The number of cells in each record, (n,). Takes out of the good ones those with a quote out of place."""
        bounds = np.append(self.starts, len(self.content))
        marks = np.flatnonzero((self.octets == self.delimiter) | (self.octets == _QUOTE))
        is_quote = self.octets[marks] == _QUOTE
        if not is_quote.any():
            return _counts(marks, bounds)
        quotes = marks[is_quote]
        first = np.searchsorted(quotes, bounds)
        before = np.cumsum(is_quote)
        if not (first & 1).any() and self._in_place(quotes, np.arange(len(quotes)) & 1 == 0).all():
            outside = marks[~is_quote & (before & 1 == 0)]
            return _counts(outside, bounds)
        per_record = np.diff(first)
        rows = np.repeat(np.arange(len(good)), per_record)
        good[rows[~self._in_place(quotes, (np.arange(len(quotes)) - first[rows]) & 1 == 0)]] = False
        good &= per_record & 1 == 0
        rows = np.repeat(np.arange(len(good)), np.diff(np.searchsorted(marks, bounds)))
        inside = (before - first[rows]) & 1 == 1
        cells: Ints = np.bincount(rows[~is_quote & ~inside], minlength=len(good)) + 1
        return cells

    def _in_place(self, quotes: Ints, opens: Flags) -> Flags:
        """Which quotes stand where one can that opens a cell or, where not `opens`, closes it.

        One that opens stands behind a delimiter or at the start of a record, or right behind one that closes (together
        they are a quote in the text). One that closes stands before a delimiter or at the end, or right before one that
        opens. Newlines outside of quotes are ends of records.
        """
        padded = np.full(len(self.octets) + 3, _NEWLINE, np.uint8)
        padded[1:-2] = self.octets
        left, right, second = padded[quotes], padded[quotes + 2], padded[quotes + 3]
        behind = (left == self.delimiter) | (left == _QUOTE) | (left == _NEWLINE)
        before = (right == self.delimiter) | (right == _QUOTE) | (right == _NEWLINE)
        before |= (right == _RETURN) & (second == _NEWLINE)
        in_place: Flags = np.where(opens, behind, before)
        return in_place


def _counts(delimiters: Ints, bounds: Ints) -> Ints:
    """Cells between bounds, from the places of delimiters outside of quotes."""
    counts: Ints = np.diff(np.searchsorted(delimiters, bounds)) + 1
    return counts


def cut(content: bytes, delimiter: str, limit: int) -> Records:
    r"""Cut a chunk into records.

    >>> found = cut(b'1,a\r\n2,"b\nc"\n', ",", 100)
    >>> [found.line(row) for row in range(2)]
    [b'1,a', b'2,"b\nc"']
    """
    ends = record_ends(content, delimiter.encode(), limit)
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    octets = np.frombuffer(content, np.uint8)
    stops = ends - 1
    stops += (octets[stops] != _NEWLINE) & (len(content) > 0) if len(ends) else 0
    stops = stops - ((stops > starts) & (octets[np.maximum(stops - 1, 0)] == _RETURN)) if len(ends) else stops
    return Records(content, ord(delimiter), limit, starts.astype(np.int64), stops.astype(np.int64), ends)
