"""When the rows of a chunk arrived, and their tables in that order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml_exporter.faults import arriving
from ml_exporter.faults.played import ARRIVAL, VIOLATIONS
from ml_exporter.records import Batch, Ints, Role, Stream
from ml_exporter.sources.rows import Parsed

Key = tuple[str, Role]
"""Model and role of a stream."""
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
    """The rows of a chunk by stream, when each of them (n,) arrives at the earliest, and their order in the file."""

    tables: Mapping[Key, pa.Table]
    times: Ints
    order: Ints

    @classmethod
    def of(cls, streams: Sequence[Stream], parsed: Parsed) -> "Chunk":
        """The rows that a parser found."""
        found = [(item, batch) for item, batch in zip(streams, parsed.batches, strict=True) if batch.table.num_rows]
        tables = {(item.model, item.role): _with_violations(batch) for item, batch in found}
        none = np.zeros(0, np.int64)
        times = [none, *(table.column(ARRIVAL).to_numpy() for table in tables.values())]
        offsets = [none, *(batch.offsets for _, batch in found)]
        return cls(tables, np.concatenate(times), np.argsort(np.concatenate(offsets), kind="stable"))

    @property
    def in_file(self) -> Ints:
        """The times in the order of the file."""
        return self.times[self.order]

    def at(self, arrived: Ints) -> dict[Key, pa.Table]:
        """The tables with these arrivals, given in the order of the file; sorted by them."""
        whole = np.empty_like(self.times)
        whole[self.order] = arrived
        found, start = {}, 0
        for key, table in self.tables.items():
            place, stop = table.column_names.index(ARRIVAL), start + table.num_rows
            found[key] = by_arrival(table.set_column(place, ARRIVAL, pa.array(whole[start:stop])))
            start = stop
        return found


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


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of tables, of which only some have columns of violations."""
    return pa.concat_tables(tables, promote_options="default")


def by_arrival(table: pa.Table) -> pa.Table:
    """The rows in the order of arrival; those that arrive at one time keep theirs."""
    times = table.column(ARRIVAL).to_numpy()
    return table if (np.diff(times) >= 0).all() else table.take(pa.array(np.argsort(times, kind="stable")))
