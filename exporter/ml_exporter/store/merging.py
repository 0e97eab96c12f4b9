"""Merges runs, and checks them, in a thread of its own.

A commit names the result of a merge; until then it is a file that nothing knows.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml_exporter.counting import Counting
from ml_exporter.join import Columns, Run, Shelf, merged
from ml_exporter.store.checking import Checker
from ml_exporter.store.files import FOLDER, open_run, run_path, write_run

PAUSE_COMMITS = 60
"""After a merge that could not be written, the next is tried so many commits later."""


class StoppedError(Exception):
    """The merge was called off."""


class UnfitError(Exception):
    """A run that was to be merged is damaged."""


@dataclass(frozen=True)
class _Merge:
    """A merge under way: whose runs, which, and the number and rows of the result."""

    model: str
    runs: Sequence[Run]
    number: int
    rows: "Future[int]"


class Merger:
    """One merge at a time over all models, those with most runs first; between merges the runs that `checker` names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="merge")
        self._stop = threading.Event()
        self.checker = Checker(directory, self._stop)
        self._check: Future[bool] | None = None
        self._merge: _Merge | None = None
        self._last = 0
        self._pause = 0

    def next_number(self) -> int:
        """A number that no run in the directory has or had since the start."""
        if not self._last:
            numbers = [path.stem for path in (self._directory / FOLDER).iterdir()]
            self._last = max((int(name) for name in numbers if name.isdigit()), default=0)
        self._last += 1
        return self._last

    def start(self, models: Mapping[str, Counting]) -> None:
        """Begins a merge, and a check, if none is under way and one is wanted."""
        if self._merge is not None and self._merge.model not in models and self._merge.rows.done():
            self._discard(self._merge)
        self._pause = max(0, self._pause - 1)
        if self._merge is None and not self._pause:
            self._start_merge(models)
        if self._check is None or self._check.done():
            runs = (run for counting in models.values() for run in counting.join.shelf.runs)
            due = self.checker.due(runs)
            self._check = self._thread.submit(self.checker.check, due) if due else None

    def _start_merge(self, models: Mapping[str, Counting]) -> None:
        by_runs = sorted(models.items(), key=lambda item: -len(item[1].join.shelf.runs))
        for name, counting in by_runs:
            runs = counting.join.shelf.wanted()
            if runs:
                number, shelf = self.next_number(), counting.join.shelf
                future = self._thread.submit(self._run, number, shelf.dtype, runs, shelf.horizon_us)
                self._merge = _Merge(name, runs, number, future)
                return

    def _run(self, number: int, dtype: np.dtype[Any], runs: Sequence[Run], horizon_us: int) -> int:
        if not self.checker.check(run.number for run in runs):
            raise UnfitError

        def slices() -> Iterator[Columns]:
            for columns in merged(runs, horizon_us):
                if self._stop.is_set():
                    raise StoppedError
                yield columns

        return write_run(run_path(self._directory, number), dtype, sum(run.rows for run in runs), slices())

    def finished(self, model: str, shelf: Shelf, gone: Sequence[Run]) -> tuple[list[Run], Run | None]:
        """The runs that were merged and what they became (None: all had expired), if a merge of this model has ended.

        Neither when one of the runs is gone or not of this shelf.
        """
        merge = self._merge
        if merge is None or merge.model != model or not merge.rows.done():
            return [], None
        try:
            rows = merge.rows.result()
        except (OSError, UnfitError):
            self._merge, self._pause = None, PAUSE_COMMITS
            return [], None
        here = {run.number: run for run in shelf.runs if run not in gone}
        if any(run.number not in here or here[run.number].is_closed != run.is_closed for run in merge.runs):
            self._discard(merge)
            return [], None
        old = [here[run.number] for run in merge.runs]
        return old, self._opened(merge, old) if rows else None

    def _opened(self, merge: _Merge, old: Sequence[Run]) -> Run:
        facts: dict[str, int] = {"number": merge.number, "waiting": sum(run.waiting for run in old)}
        facts |= {"first_us": min(run.first_us for run in old), "newest_us": max(run.newest_us for run in old)}
        return open_run(run_path(self._directory, merge.number), facts | {"is_closed": False})

    def taken(self) -> None:
        """A commit has named the result."""
        self._merge = None

    def _discard(self, merge: _Merge) -> None:
        run_path(self._directory, merge.number).unlink(missing_ok=True)
        self._merge = None

    def close(self) -> None:
        """Calls a merge off; the next start removes what it leaves."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._merge is not None:
            self._discard(self._merge)
