r"""Where the records of CSV text end: at newlines that are not inside quotes.

A quote opens only at the start of a field; `""` inside is a quote; one that closes is followed by a delimiter or the
end of the line. Elsewhere in a field a quote is a character like others.

A record is *broken* when what follows a closing quote is something else, when it is longer than the limit, or when its
quote is still open where it must have ended. Then its first line alone is a record (which no parser accepts), and
reading goes on at the next line: a stray quote costs its own line, never the rows behind it.

Whoever cuts a file and whoever parses the chunk call the same function, so they agree on every record.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_QUOTE, _NEWLINE, _RETURN = b'"\n\r'
_REGION_BYTES = 1 << 20
"""Records are looked for in regions of at least this size, so that a broken one costs no second look at all others."""


def record_ends(content: bytes, delimiter: bytes, limit: int, whole: bool = True) -> Ints:
    r"""Positions behind the last byte of each record of `content`, which starts at a record: ascending, shape (n,).

    `delimiter` is one byte. Records of more than `limit` bytes that span several lines are broken; a longer line is one
    record. With `whole` the content ends at the end of a record (as chunks do; a last newline may be missing), so a
    quote that is still open is broken. Without, more may follow: a record that is not complete has no end here, unless
    it is over the limit.

    >>> record_ends(b'1,"two\nlines"\n2,"open\n3,x\n', b",", 100).tolist()
    [14, 22, 26]
    >>> record_ends(b'1,"two\nlines"\n2,"open\n3,x\n', b",", 100, whole=False).tolist()
    [14]
    """
    if whole and content and not content.endswith(b"\n"):
        return np.minimum(record_ends(content + b"\n", delimiter, limit), len(content))
    octets = np.frombuffer(content, np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    if b'"' not in content:
        return newlines + 1
    return _Quotes.of(octets, newlines, ord(delimiter)).ends(content, delimiter, limit, whole)


@dataclass(frozen=True)
class _Quotes:
    """The quotes of a content, and which of them cannot be what their number makes them."""

    places: Ints
    newlines: Ints
    before: Ints  # quotes before each newline
    wrong: tuple[Ints, Ints]  # numbers of quotes that cannot open where even (odd) ones open, or not close

    @classmethod
    def of(cls, octets: npt.NDArray[np.uint8], newlines: Ints, delimiter: int) -> "_Quotes":
        places = np.flatnonzero(octets == _QUOTE)
        end = np.full(2, _NEWLINE, np.uint8)
        padded = np.concatenate([end[:1], octets, end])
        left, right, second = padded[places], padded[places + 2], padded[np.minimum(places + 3, len(padded) - 1)]
        opens = (left == delimiter) | (left == _NEWLINE) | (left == _QUOTE)
        closes = (right == delimiter) | (right == _NEWLINE) | (right == _QUOTE)
        closes |= (right == _RETURN) & (second == _NEWLINE)
        even = np.arange(len(places)) % 2 == 0
        wrong = (np.flatnonzero(~np.where(even, opens, closes)), np.flatnonzero(~np.where(even, closes, opens)))
        return cls(places, newlines, np.searchsorted(places, newlines), wrong)

    def ends(self, content: bytes, delimiter: bytes, limit: int, whole: bool) -> Ints:
        """See `record_ends`."""
        found: list[Ints] = []
        start = 0
        while start < len(content):
            ends, clean_to = self._clean(start, len(content), limit)
            too_long = np.flatnonzero(np.diff(ends, prepend=start) > limit)
            if len(too_long):
                ends = ends[: too_long[0]]
            elif len(ends) == 0 and clean_to < len(content):
                end = _end_of_record(content, start, delimiter)
                ends = np.array([end] if 0 < end - start <= limit else [], np.int64)
            if not len(ends):
                line = content.find(b"\n", start) + 1
                if not line or not (whole or len(content) - start > limit):
                    break
                ends = np.array([line])
            found.append(ends)
            start = int(ends[-1])
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _clean(self, start: int, size: int, limit: int) -> tuple[Ints, int]:
        """Ends of records from `start` up to the first quote that is wrong, or the end of a region; and that place."""
        first = int(np.searchsorted(self.places, start))
        wrong = self.wrong[first % 2]
        at = int(np.searchsorted(wrong, first))
        clean_to = min(size, start + max(_REGION_BYTES, 2 * limit))
        if at < len(wrong):
            clean_to = min(clean_to, int(self.places[wrong[at]]))
        begin, end = np.searchsorted(self.newlines, (start, clean_to))
        outside = (self.before[begin:end] - first) % 2 == 0
        return self.newlines[begin:end][outside] + 1, clean_to


def _end_of_record(content: bytes, start: int, delimiter: bytes) -> int:
    """The end of one record, of its first line where it is broken; -1 where it is not complete."""
    line = content.find(b"\n", start) + 1 or -1
    at = start
    while at < len(content):
        if content[at] != _QUOTE:
            end = content.find(b"\n", at)
            at = content.find(delimiter, at, end if end >= 0 else len(content)) + 1
            if not at:
                return end + 1 or -1
            continue
        at = _behind_quoted(content, at)
        if at < 0 or at >= len(content):
            return -1
        for ending in (b"\n", b"\r\n"):
            if content.startswith(ending, at):
                return at + len(ending)
        if not content.startswith(delimiter, at):
            return -1 if at + 1 == len(content) and content.endswith(b"\r") else line
        at += 1
    return -1


def _behind_quoted(content: bytes, at: int) -> int:
    """The place behind the quote that closes the one at `at`; -1 without."""
    while True:
        at = content.find(b'"', at + 1)
        if at < 0 or not content.startswith(b'"', at + 1):
            return at + 1 or -1
        at += 1
