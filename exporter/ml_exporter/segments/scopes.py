"""The panes of segments: for every value of every segment the rows that have it, counted with the head of the layout.

Under each segment the vectors of its values add up to that of the model, bit for bit: they are counted from the same
rows, in the same panes, with integers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml_exporter.groups import Groups, group_rows
from ml_exporter.layout import Layout, Vector
from ml_exporter.panes import FINE, HOUR, Grid, Panes
from ml_exporter.segments.values import FREE, OTHER, By, Codes, Values

Scope = tuple[str, str]
"""Name of the segment and value."""
Combination = tuple[str, ...]
"""A value for each segment, in order; "" where the row is not counted under it. Empty: a number that is free again."""
Count = Callable[[Codes | None, Groups], Vector]
"""Counts some rows (None: all of them) by group, shape (groups, cells of the head)."""

NOWHERE = -1
BLOCK_GROUPS = 1024
"""Most groups that are counted at once: a matrix of 2,500 cells then takes 20 MiB."""


class Panned(NamedTuple):
    """Rows by pane: the panes in ascending order, the pane of every row, and what every pane holds, if it is known."""

    keys: Vector
    groups: Groups
    matrix: Vector | None = None


@dataclass
class Segments:
    """The segments of a model. `layout` is a head."""

    layout: Layout
    grid: Grid
    bys: tuple[By, ...]
    scopes: dict[Scope, Panes] = field(default_factory=dict)
    values: tuple[Values, ...] = field(init=False)
    combinations: list[Combination] = field(init=False)
    _numbers: dict[int, int] = field(default_factory=dict)
    _unused: list[int] = field(default_factory=list)
    _table: Codes | None = None

    def __post_init__(self) -> None:
        self.values = tuple(Values(by) for by in self.bys)
        self.combinations = [(FREE,) * len(self.bys)]

    def read(self, table: pa.Table) -> Codes:
        """The code of every row under every segment, shape (n, segments)."""
        codes = [values.read(table.column(values.by.column)) for values in self.values]
        return np.stack(codes, axis=1) if codes else np.zeros((table.num_rows, 0), np.intp)

    def add(self, codes: Codes, panned: Panned, count: Count, newest_us: int) -> None:
        """Adds rows to the panes of their values. Rows with the code `NOWHERE` are left out."""
        for place, values in enumerate(self.values):
            column = codes[:, place]
            if not len(column) or (column == NOWHERE).all():
                continue
            labels = values.labels
            if (column == column[0]).all():
                matrix = count(None, panned.groups) if panned.matrix is None else panned.matrix[:, : self.layout.size]
                self._panes((values.by.name, labels[column[0]]), newest_us).add_groups(panned.keys, matrix)
                continue
            width = values.width + 1
            cells, groups = group_rows(panned.groups.index * width + column + 1)
            for block, matrix in _blocks(groups, count):
                self._add_block((values.by.name, labels), panned.keys, divmod(cells[block], width), (matrix, newest_us))

    def _add_block(
        self,
        named: tuple[str, Sequence[str]],
        keys: Vector,
        places: tuple[Vector, Vector],
        counted: tuple[Vector, int],
    ) -> None:
        pane, code = places[0], places[1] - 1
        for value in np.unique(code[code != NOWHERE]).tolist():
            here = code == value
            panes = self._panes((named[0], named[1][value]), counted[1])
            panes.add_groups(keys[pane[here]], counted[0][here])

    def _panes(self, scope: Scope, newest_us: int) -> Panes:
        panes = self.scopes.setdefault(scope, Panes(self.layout, self.grid))
        panes.advance(newest_us)
        return panes

    def combine(self, codes: Codes) -> npt.NDArray[np.uint32]:
        """A number for the values of each row, which a label finds again with `codes_of`. Shape (n,)."""
        if not self.bys:
            return np.zeros(len(codes), np.uint32)
        flat = np.zeros(len(codes), np.int64)
        for place, values in enumerate(self.values):
            flat = flat * values.width + codes[:, place]
        distinct, first, inverse = np.unique(flat, return_index=True, return_inverse=True)
        fresh = [place for place, key in enumerate(distinct.tolist()) if key not in self._numbers]
        for place in fresh:
            self._number(int(distinct[place]), codes[first[place]].tolist())
        return np.array([self._numbers[key] for key in distinct.tolist()], np.uint32)[inverse]

    def _number(self, key: int, codes: list[int]) -> None:
        number = self._unused.pop() if self._unused else len(self.combinations)
        labels = tuple(values.labels[code] for values, code in zip(self.values, codes, strict=True))
        self.combinations[number : number + 1] = [labels]
        self._numbers[key] = number
        self._table = None

    def codes_of(self, numbers: npt.NDArray[np.uint32]) -> Codes:
        """The codes of rows whose combinations have these numbers, shape (n, segments)."""
        if self._table is None:
            rows = [self._codes(combination) for combination in self.combinations]
            self._table = np.array(rows, np.intp).reshape(len(rows), len(self.bys))
        return self._table[numbers]

    def _codes(self, combination: Combination) -> list[int]:
        pairs = zip(self.values, combination or self.combinations[0], strict=True)
        return [NOWHERE if value == FREE else values.code(value) for values, value in pairs]

    def expire(self, oldest_us: int, newest_us: int) -> None:
        """Drops the panes that start earlier, and takes back the names of values that have none left."""
        gone: set[Scope] = set()
        for scope, panes in list(self.scopes.items()):
            panes.advance(newest_us)
            panes.drop_before(HOUR, oldest_us)
            if panes.is_empty:
                gone.add(scope)
                if not panes.changed:  # else the store has yet to delete them
                    del self.scopes[scope]
        if not gone:
            return
        for values in self.values:
            values.release(value for by, value in gone if by == values.by.name)
        self._forget(gone)

    def _forget(self, gone: set[Scope]) -> None:
        """Frees the combinations of values that have no pane: no prediction of theirs waits any more."""
        names = [by.name for by in self.bys]
        freed = {
            number
            for number, combination in enumerate(self.combinations)
            if number and any(scope in gone for scope in zip(names, combination, strict=False))
        }
        for number in freed:
            self.combinations[number] = ()
        self._numbers = {key: number for key, number in self._numbers.items() if number not in freed}
        self._unused.extend(sorted(freed))
        self._table = None

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of every segment, by its identity: what `restore` takes."""
        return {values.by.identity: values.names for values in self.values}

    def restore(self, names: Mapping[str, Sequence[str]], combinations: Sequence[Combination]) -> tuple[str, ...]:
        """Takes back what was kept, once the panes are in `scopes`. Returns in words what does not fit any more.

        A value that lost its name (a lower limit, another baseline) goes on as part of `__other__`, with its past.
        """
        before = {identity.split("=", 1)[0]: identity for identity in names}
        kept = {values.by.name for values in self.values if values.by.identity in names}
        for values in self.values:
            values.restore(names.get(values.by.identity, ()))
        reset = tuple(f"segment {name}" for name in before if name not in kept)
        for scope, panes in list(self.scopes.items()):
            self._settle_in(scope, panes, scope[0] in kept)
        self._restore_combinations(list(before), kept, combinations)
        return reset

    def _restore_combinations(self, order: list[str], kept: set[str], combinations: Sequence[Combination]) -> None:
        """Every number goes on to mean the same values, as far as their segments are still there."""
        self.combinations = [(FREE,) * len(self.bys)] * max(1, len(combinations))
        self._numbers, self._unused, self._table = {}, [], None
        for number, old in enumerate(combinations):
            if number and order and not old:
                self.combinations[number] = ()
                self._unused.append(number)
            elif number:
                found = dict(zip(order, old, strict=True))
                self.combinations[number] = tuple(
                    values.called(found[values.by.name]) if values.by.name in kept else FREE for values in self.values
                )
                codes = self._codes(self.combinations[number])
                if NOWHERE not in codes:
                    self._numbers.setdefault(self._key(codes), number)

    def _key(self, codes: Sequence[int]) -> int:
        key = 0
        for values, code in zip(self.values, codes, strict=True):
            key = key * values.width + code
        return key

    def _settle_in(self, scope: Scope, panes: Panes, is_kept: bool) -> None:
        """Keeps, merges into `__other__` or forgets the panes of a value that the store had."""
        values = next((item for item in self.values if item.by.name == scope[0]), None)
        panes.drop_before(FINE, self.grid.fine_from(panes.newest_us))
        if is_kept and values is not None and scope[1] in values.labels:
            return
        if is_kept:
            other = self._panes((scope[0], OTHER), panes.newest_us)
            for (kind, start_us), vector in panes.items():
                other.add(kind, start_us, vector)
        panes.clear()


def _blocks(groups: Groups, count: Count) -> Iterator[tuple[slice, Vector]]:
    """Runs of groups with their vectors."""
    if groups.count <= BLOCK_GROUPS:
        yield slice(0, groups.count), count(None, groups)
        return
    for start in range(0, groups.count, BLOCK_GROUPS):
        stop = min(start + BLOCK_GROUPS, groups.count)
        rows = np.flatnonzero((groups.index >= start) & (groups.index < stop))
        yield slice(start, stop), count(rows, Groups(groups.index[rows] - start, stop - start, None))
