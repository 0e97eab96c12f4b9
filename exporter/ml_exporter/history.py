"""History: one row of values a non-overlapping window of a model, and which rows have yet to be computed.

A row is a function of the panes of its window. It is computed when the window is complete, and again when its panes
change (late rows, labels), as long as they are kept; so no order of rows, reading and restarts gives another history.
Rows outlive their panes by far: they are kept for 400 days.

Values lie in blocks of `BLOCK` windows, one array for each signal; NaN is no value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_exporter.layout import Vector

Floats = npt.NDArray[np.float64]
Block = tuple[str, int]
"""Name of a window, and the number of a block of its rows."""
Place = tuple[str, int]
"""Name of a window, and where it starts."""

BLOCK = 128
KEPT_DAYS = 400
_NEVER = 1 << 62


@dataclass
class History:
    """The rows of one model. `lengths` are the windows by name; they lie on multiples of their length, in microseconds.

    Rows are known from `begin_us` on. Windows that end until `complete_us` have a row; in it are the values that need
    labels where the window ends until `matured_us`. `late` are rows to compute again when the next window is complete,
    `due` those to compute now. `changed` are blocks that the store has not got.
    """

    lengths: Mapping[str, int]
    kept_us: int
    begin_us: int = _NEVER
    complete_us: int = -_NEVER
    matured_us: int = -_NEVER
    late: set[Place] = field(default_factory=set)
    due: set[Place] = field(default_factory=set)
    blocks: dict[Block, dict[str, Floats]] = field(default_factory=dict)
    changed: set[Block] = field(default_factory=set)
    memo: dict[Any, Any] = field(default_factory=dict)
    """What was made of the rows; emptied when one changes."""

    @classmethod
    def of(cls, hour_us: int, day_us: int) -> "History":
        """An empty history of hours and days."""
        return cls({"1h": hour_us, "1d": day_us}, KEPT_DAYS * day_us)

    def begin(self, time_us: int) -> None:
        """Windows that start before this are not whole."""
        if self.begin_us == _NEVER:
            self.begin_us = self.complete_us = self.matured_us = time_us

    def touch(self, starts_us: Vector, labels: bool) -> None:
        """Notes the starts of panes that rows, or labels, were added to: rows that are known have to be made again."""
        settled_us = self.matured_us if labels else self.complete_us
        for name, length in self.lengths.items():
            firsts = np.unique(starts_us // length * length)
            behind = firsts[(firsts >= self.begin_us) & (firsts + length <= settled_us)]
            self.late.update((name, start) for start in behind.tolist())

    def advance(self, complete_us: int, matured_us: int) -> None:
        """Notes until when windows are complete, and until when their labels are.

        Rows of windows that have become so are due, and with them those that came late.
        """
        found = {*self._between(self.complete_us, complete_us), *self._between(self.matured_us, matured_us)}
        self.complete_us = max(self.complete_us, complete_us)
        self.matured_us = max(self.matured_us, matured_us)
        if found:
            self.due |= found | self.late
            self.late.clear()

    def _between(self, before_us: int, until_us: int) -> Iterator[Place]:
        """Windows that end after the first and until the second."""
        after_us = max(before_us, until_us - self.kept_us)
        for name, length in self.lengths.items():
            for end in range((after_us // length + 1) * length, until_us + 1, length):
                if end - length >= self.begin_us:
                    yield name, end - length

    def take(self, oldest_us: int, most: int | None) -> Iterator[Place]:
        """Rows to compute, oldest first: all that start before `oldest_us`, and at most so many others."""
        for place in sorted(self.due, key=lambda item: item[1]):
            if place[1] >= oldest_us and most is not None:
                if most <= 0:
                    return
                most -= 1
            self.due.discard(place)
            yield place

    def put(self, place: Place, values: Mapping[str, float]) -> None:
        """Makes these the values of a window."""
        name, start_us = place
        number, row = divmod(start_us // self.lengths[name], BLOCK)
        block = self.blocks.setdefault((name, number), {})
        for signal in values.keys() - block.keys():
            block[signal] = np.full(BLOCK, np.nan)
        for signal, column in block.items():
            column[row] = values.get(signal, np.nan)
        self.changed.add((name, number))
        self.memo.clear()

    def series(self, name: str, signal: str) -> tuple[int, Floats]:
        """All values of a signal, oldest first, and the start of the window of the first one."""
        key = ("series", name, signal)
        if key not in self.memo:
            self.memo[key] = self._series(name, signal)
        found: tuple[int, Floats] = self.memo[key]
        return found

    def _series(self, name: str, signal: str) -> tuple[int, Floats]:
        numbers = [number for window, number in self.blocks if window == name]
        if not numbers:
            return 0, np.zeros(0)
        first = min(numbers)
        found = np.full((max(numbers) - first + 1, BLOCK), np.nan)
        for number in numbers:
            column = self.blocks[name, number].get(signal)
            if column is not None:
                found[number - first] = column
        return first * BLOCK * self.lengths[name], found.ravel()

    def expire(self, newest_us: int) -> None:
        """Forgets blocks in which every window is older than 400 days."""
        for name, length in self.lengths.items():
            oldest = (newest_us - self.kept_us) // length // BLOCK
            for block in [block for block in self.blocks if block[0] == name and block[1] < oldest]:
                del self.blocks[block]
                self.changed.add(block)
                self.memo.clear()

    def forget(self) -> None:
        """Starts with nothing, and so will the store."""
        self.changed |= self.blocks.keys()
        self.blocks.clear()
        self.memo.clear()
        self.begin_us, self.complete_us, self.matured_us = _NEVER, -_NEVER, -_NEVER
        self.late.clear()
        self.due.clear()

    def facts(self) -> Mapping[str, Any]:
        """What the store keeps beside the rows."""
        bounds = {"begin_us": self.begin_us, "complete_us": self.complete_us, "matured_us": self.matured_us}
        return bounds | {"due": sorted(self.due | self.late), "day_us": self.lengths["1d"]}

    def restore(self, facts: Mapping[str, Any], blocks: Mapping[Block, dict[str, Floats]]) -> bool:
        """Takes back what the store kept. Returns whether it still fits: of another day nothing does."""
        self.blocks |= blocks
        if facts["day_us"] != self.lengths["1d"]:
            self.forget()
            return False
        self.begin_us, self.complete_us, self.matured_us = (
            facts[name] for name in ("begin_us", "complete_us", "matured_us")
        )
        self.due = {(name, start) for name, start in facts["due"]}
        return True
