"""The open state of one exporter: who may use it, what a commit writes, and in which order."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ml_exporter.errors import Problem, StateError
from ml_exporter.join import Run
from ml_exporter.pipeline import Counting
from ml_exporter.store import keeping
from ml_exporter.store.files import FOLDER, open_run, run_path, write_run
from ml_exporter.store.keeping import Plan
from ml_exporter.store.merging import Merger
from ml_exporter.store.schema import FILE, prepare


class Store:
    """The open state. Raises StateError when another process holds it or its format is unknown."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._merger = Merger(directory)
        try:
            (directory / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
            directory.chmod(0o700)
            self._db = sqlite3.connect(directory / FILE, isolation_level=None, timeout=0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateError([self._unusable(error)]) from error
        try:
            self._open()
        except BaseException as error:
            self._db.close()
            if isinstance(error, (OSError, sqlite3.Error)):
                raise StateError([self._unusable(error)]) from error
            raise

    def _open(self) -> None:
        """Takes the lock, and writes only once the format is known."""
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        self._db.execute("COMMIT")
        prepare(self._db, self.directory)
        self._named = self._numbers()
        self._remove_unnamed()

    def _unusable(self, error: Exception) -> Problem:
        got = " ".join(str(error).split())
        action = "Choose another directory, or free this one"
        if "locked" in got:
            got, action = (
                "one that another process has locked",
                "Stop the other exporter, or give this one a directory of its own",
            )
        return Problem(str(self.directory), "a state directory that can be written", got, action)

    def positions(self) -> Mapping[str, str]:
        """The committed position of every source, as text."""
        return dict(self._db.execute("SELECT source, position FROM positions"))

    def load(self, name: str, counting: Counting) -> tuple[str, ...]:
        """Fills `counting` with what was kept for a model.

        Writes nothing: what no longer fits goes with the next commit.

        Returns what had to be reset: slices of the vector by name, and other state in words.
        """
        return keeping.load(self._db, self.directory, name, counting)

    def commit(self, models: Mapping[str, Counting], positions: Mapping[str, str]) -> None:
        """Writes all that changed in one transaction. Raises StateError and keeps nothing when it cannot."""
        plans: dict[str, Plan] = {}
        try:
            for name, counting in models.items():
                plans[name] = self._plan(name, counting)
            self._write(models, plans, positions)
        except BaseException as error:
            self._undo(models, plans)
            if isinstance(error, (sqlite3.Error, OSError)):
                raise StateError([self._unusable(error)]) from error
            raise
        for name, plan in plans.items():
            self._adopt(models[name], plan)
        self._remove(self._named - self._numbers())
        self._named = self._numbers()
        self._merger.start(models)

    def _plan(self, name: str, counting: Counting) -> Plan:
        """What this commit writes of a model. Runs it names are on the disk when this returns."""
        shelf = counting.join.shelf
        plan = Plan(counting.join.changes(), shelf.expired(), shelf.excess())
        plan.merged, plan.merge = self._merger.finished(name, shelf, (*plan.dropped, *plan.excess))
        if shelf.is_full:
            plan.flushes, plan.flushed = True, self._flush(counting)
        plan.panes = {keeping.WHOLE: list(counting.panes.settle())}
        plan.panes |= {keeping.scope_text(key): list(item.settle()) for key, item in counting.scopes.items()}
        return plan

    def _flush(self, counting: Counting) -> Run | None:
        """The memtable as a run on the disk; None if there is nothing in it that has not expired."""
        records = counting.join.shelf.frozen()
        if not len(records):
            return None
        (self.directory / FOLDER).mkdir(exist_ok=True)
        number = self._merger.next_number()
        whole = Run.of(number, records)
        write_run(run_path(self.directory, number), counting.join.dtype, len(records), [whole.columns])
        facts = {"first_us": whole.first_us, "newest_us": whole.newest_us, "waiting": whole.waiting}
        return open_run(run_path(self.directory, number), facts | {"number": number, "is_closed": False})

    def _write(self, models: Mapping[str, Counting], plans: Mapping[str, Plan], positions: Mapping[str, str]) -> None:
        drops = any(plan.dropped or plan.excess or plan.merged for plan in plans.values())
        # Files that are no longer named are removed after the commit, so it must outlive a loss of power.
        self._db.execute(f"PRAGMA synchronous={'FULL' if drops else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        for name, plan in plans.items():
            keeping.write(self._db, name, models[name], plan)
        self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions.items())
        self._db.execute("COMMIT")

    def _undo(self, models: Mapping[str, Counting], plans: Mapping[str, Plan]) -> None:
        """After a failure everything is as it was, and the next commit tries all of it again."""
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        for name, plan in plans.items():
            for scope, panes in plan.panes.items():
                keeping.panes_of(models[name], scope).changed.update(key for key, _ in panes)
            if plan.flushed:
                self._remove([plan.flushed.number])

    def _adopt(self, counting: Counting, plan: Plan) -> None:
        """Makes the state in memory what the disk has."""
        shelf = counting.join.shelf
        counting.join.saved(plan.changes)
        counting.dropped += sum(run.waiting for run in plan.excess)
        shelf.runs = plan.runs(counting)
        if plan.merged:
            self._merger.taken()
        if plan.flushes:
            shelf.adopt(None)

    def _numbers(self) -> set[int]:
        return {number for (number,) in self._db.execute("SELECT number FROM runs")}

    def _remove(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            with suppress(OSError):  # the next start tries again
                run_path(self.directory, number).unlink(missing_ok=True)

    def _remove_unnamed(self) -> None:
        """Removes what a crash left: runs that no manifest names."""
        named = {run_path(self.directory, number).name for number in self._named}
        for path in (self.directory / FOLDER).glob("*.run"):
            if path.name not in named:
                with suppress(OSError):
                    path.unlink()

    def close(self) -> None:
        """Releases the directory."""
        self._merger.close()
        self._db.close()
