"""Recorded logs in the order of arrival, and those of their rows that wait until their time comes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ml_exporter.faults import Played
from ml_exporter.faults.played import ARRIVAL

PREDICTIONS, LABELS, LINES = "predictions", "labels", "lines"
Key = tuple[str, str]
"""Model and role of rows, or source and `LINES`."""


@dataclass(frozen=True)
class Piece:
    """Some rows of recorded logs by model, and lines by source as in `tallies`; None: nobody looked at lines.

    All that arrived until `until_us` is in this piece and those before it; later pieces hold none of it.
    """

    until_us: int
    played: Mapping[str, Played]
    lines: Mapping[str, pa.Table] | None = None


@dataclass
class Arrivals:
    """Rows that were read, and wait until their time comes. `pieces` may hold their rows in any order."""

    pieces: Iterator[Piece]
    until_us: int = -1
    ended: bool = False
    has_lines: bool = False
    """Whether lines come with the rows."""
    _waiting: dict[Key, pa.Table] = field(default_factory=dict)
    """Each sorted by arrival, and none empty."""

    def take(self, now_us: int) -> Mapping[Key, pa.Table]:
        """All that has arrived until now and was not taken before, sorted by arrival; no empty table."""
        while not self.ended and self.until_us < now_us:
            self._read()
        taken: dict[Key, pa.Table] = {}
        for key, table in list(self._waiting.items()):
            count = int(np.searchsorted(times_of(table), now_us, "right"))
            if count:
                taken[key] = table.slice(0, count)
                self._keep(key, table.slice(count))
        return taken

    @property
    def is_over(self) -> bool:
        """Whether every row was taken."""
        return self.next_us() is None

    def next_us(self) -> int | None:
        """When the next row arrives; None when there is none."""
        while not self.ended and not any(role != LINES for _, role in self._waiting):
            self._read()
        first = [table.column(ARRIVAL)[0].as_py() for (_, role), table in self._waiting.items() if role != LINES]
        return min(first, default=None)

    def _read(self) -> None:
        piece = next(self.pieces, None)
        if piece is None:
            self.ended = True
            return
        self.until_us, self.has_lines = piece.until_us, piece.lines is not None
        for name, played in piece.played.items():
            self._add((name, PREDICTIONS), played.predictions)
            self._add((name, LABELS), played.labels)
        for source, lines in (piece.lines or {}).items():
            self._add((source, LINES), lines)

    def _add(self, key: Key, table: pa.Table) -> None:
        if table.num_rows:
            waiting = [self._waiting[key]] if key in self._waiting else []
            self._waiting[key] = by_arrival(concat([*waiting, table]))

    def _keep(self, key: Key, rest: pa.Table) -> None:
        if rest.num_rows:
            self._waiting[key] = rest
        else:
            del self._waiting[key]


def times_of(table: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The arrivals of rows (n,)."""
    return np.asarray(table.column(ARRIVAL).to_numpy(), np.int64)


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of tables, of which only some have columns of violations."""
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="default")


def by_arrival(table: pa.Table) -> pa.Table:
    """The rows in the order of arrival; those that arrive at one time keep theirs."""
    times = times_of(table)
    return table if (np.diff(times) >= 0).all() else table.take(pa.array(np.argsort(times, kind="stable")))
