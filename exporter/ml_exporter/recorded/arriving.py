"""When the rows of a chunk arrived, and their tables in that order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml_exporter.faults import arriving
from ml_exporter.faults.played import ARRIVAL, VIOLATIONS
from ml_exporter.records import Batch, Ints, Stream
from ml_exporter.sources.rows import Parsed
from ml_exporter.tallies import lines_table
from ml_exporter.waiting import LINES, Key, by_arrival, times_of

LOOKED_AHEAD = 8
NEVER = -(1 << 62)


def arrivals(times: Ints, following: Ints, latest_us: int, trusted: tuple[int, int]) -> Ints:
    """When the rows (n,) of a file that grew were there: each at its own time, but not before those above it.

    `following` are the times of the rows below, `latest_us` the arrival of the last row above. `trusted`: a tolerance,
    and the latest time that can be true. A row whose time is later, or by more than the tolerance beyond all of the
    eight rows below it, has a wrong clock: it holds nobody up, and arrives with the rows above it.

    >>> arrivals(np.array([5, 9, 7, 99, 8]), np.array([10]), 6, (2, 1000)).tolist()
    [6, 9, 9, 9, 9]
    """
    tolerance_us, possible_us = trusted
    around = np.concatenate((times, following[:LOOKED_AHEAD]))
    believed = np.where(times <= possible_us, times, latest_us)
    if len(around) > 1 and (np.diff(around) < 0).any():
        padded = np.concatenate((around[1:], np.full(LOOKED_AHEAD + 1, NEVER)))
        below = np.lib.stride_tricks.sliding_window_view(padded, LOOKED_AHEAD)[: len(times)].max(axis=1)
        believed = np.where((below > NEVER) & (times > below + tolerance_us), latest_us, believed)
    return np.maximum(np.maximum.accumulate(believed), latest_us)


@dataclass(frozen=True)
class Chunk:
    """The rows of a chunk by stream, when each of them (n,) arrives at the earliest, and their order in the file.

    `places` (n,) are those of the rows in the order of the file, `refused` those of lines that were refused, by reason.
    """

    tables: Mapping[Key, pa.Table]
    times: Ints
    order: Ints
    places: Ints
    refused: Mapping[str, Ints]

    @classmethod
    def of(cls, streams: Sequence[Stream], parsed: Parsed) -> "Chunk":
        """The rows that a parser found."""
        found = [(item, batch) for item, batch in zip(streams, parsed.batches, strict=True) if batch.table.num_rows]
        tables = {(item.model, str(item.role)): _with_violations(batch) for item, batch in found}
        times = np.concatenate([_NONE, *(times_of(table) for table in tables.values())])
        places = np.concatenate([_NONE, *(batch.offsets for _, batch in found)])
        order = np.argsort(places, kind="stable")
        refused: dict[str, list[Ints]] = {}
        for part in (parsed.refused, *(batch.refused for batch in parsed.batches)):
            for reason, lines in part.items():
                refused.setdefault(reason, []).append(lines)
        return cls(tables, times, order, places[order], {why: np.concatenate(some) for why, some in refused.items()})

    @classmethod
    def nothing(cls) -> "Chunk":
        """No line."""
        return cls({}, _NONE, _NONE, _NONE, {})

    @property
    def in_file(self) -> Ints:
        """The times in the order of the file."""
        return self.times[self.order]

    def at(self, arrived: Ints, source: str, latest_us: int) -> dict[Key, pa.Table]:
        """The tables with these arrivals, given in the order of the file, and the lines of the source; all sorted.

        `latest_us` is the arrival of the last row above.
        """
        whole = np.empty_like(self.times)
        whole[self.order] = arrived
        found, start = {}, 0
        for key, table in self.tables.items():
            place, stop = table.column_names.index(ARRIVAL), start + table.num_rows
            found[key] = by_arrival(table.set_column(place, ARRIVAL, pa.array(whole[start:stop])))
            start = stop
        lines = self._lines(arrived, latest_us)
        return found | ({(source, LINES): lines} if lines.num_rows else {})

    def _lines(self, arrived: Ints, latest_us: int) -> pa.Table:
        """All lines. One that was refused arrives with the row above it; without any, with the first one below."""
        places = np.unique(np.concatenate([self.places, *self.refused.values()]))
        above = latest_us if latest_us > NEVER or not len(arrived) else arrived[0]
        times = np.append(above, arrived)[np.searchsorted(self.places, places, "right")]
        refused = {reason: np.searchsorted(places, found) for reason, found in self.refused.items()}
        return by_arrival(lines_table(times, refused))


_NONE = np.zeros(0, np.int64)


def _with_violations(batch: Batch) -> pa.Table:
    """The rows with `arrival_us`, and their violations in columns."""
    table = arriving(batch.table)
    for kind, counts in batch.by_row.items():
        table = table.append_column(VIOLATIONS + kind, pa.array(counts))
    return table


def ends(table: pa.Table) -> tuple[int, int]:
    """Arrival of the first and of the last row."""
    times = table.column(ARRIVAL)
    return times[0].as_py(), times[-1].as_py()
