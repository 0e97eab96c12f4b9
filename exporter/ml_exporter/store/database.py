"""The open state of one exporter: what a commit writes, in which order, and what happens when it cannot."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ml_exporter.counting import Counting
from ml_exporter.errors import Problem, StateError
from ml_exporter.join import Run
from ml_exporter.store import keeping
from ml_exporter.store.files import FOLDER, open_run, run_path, set_run_aside, write_run
from ml_exporter.store.keeping import Plan
from ml_exporter.store.merging import Merger
from ml_exporter.store.opening import DamagedError, UnwritableError, borrow, connect, problem
from ml_exporter.store.rescue import damaged, set_aside
from ml_exporter.store.schema import FILE

Models = Mapping[str, Counting]


class Store:
    """The open state of one exporter.

    Raises StateError when another process holds it, when a newer release wrote it, or when it cannot be used.

    A damaged state is set aside, and this one starts empty. One that cannot be written is read, and written as soon as
    that works. `notes` are texts for the log.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notes: list[str] = []
        self._merger = Merger(directory)
        self._database: sqlite3.Connection | None = None
        self._is_borrowed = False
        self._writes_all = False
        try:
            self._open({})
        except DamagedError as error:
            self.start_afresh(error, {})
        except UnwritableError as error:
            if not _was_written(directory / FILE):
                raise
            self._adopt(borrow(directory))
            self._is_borrowed = True
            self.notes.append(f"{error} Until then what is there is read, and nothing is written.")

    @property
    def _db(self) -> sqlite3.Connection:
        if self._database is None:
            raise StateError([Problem(str(self.directory), "an open state", "none", "See the log above")])
        return self._database

    @property
    def damaged(self) -> int:
        """How many states and runs were set aside and wait for somebody to look at them."""
        return damaged(self.directory)

    def _open(self, models: Models) -> None:
        """Opens the directory. Runs of these models stay, also if no manifest names them yet."""
        self._adopt(connect(self.directory))
        found = (self.directory / FILE).stat()
        self._place, self._is_borrowed = (found.st_dev, found.st_ino), False
        self._named |= {run.number for counting in models.values() for run in counting.join.shelf.runs}
        named = {run_path(self.directory, number).name for number in self._named}
        for path in (self.directory / FOLDER).glob("*.run"):  # what a crash left
            if path.name not in named:
                with suppress(OSError):
                    path.unlink()

    def _adopt(self, database: sqlite3.Connection) -> None:
        try:
            self._named = {number for (number,) in database.execute("SELECT number FROM runs")}
            self._commits = _commits(database)
        except sqlite3.Error as error:
            database.close()
            raise problem(self.directory, error) from error
        self._database = database

    def start_afresh(self, error: StateError, models: Models) -> None:
        """Sets a damaged state aside and opens an empty one, into which the next commit writes all of these models.

        Raises StateError when that cannot be done.
        """
        self._writes_all = True
        runs = [run for counting in models.values() for run in counting.join.shelf.runs]
        self._close()
        try:
            target = set_aside(self.directory, [run_path(self.directory, run.number) for run in runs])
        except OSError as failure:
            raise problem(self.directory, failure) from failure
        self.notes.append(f"{error} It was set aside as {target.name}.")
        self._open(models)

    def positions(self) -> Mapping[str, str]:
        """The committed position of every source, as text. Raises DamagedError."""
        try:
            return keeping.positions(self._db)
        except (sqlite3.Error, ValueError) as error:
            raise self._damaged(error) from error

    def load(self, name: str, counting: Counting) -> tuple[str, ...]:
        """Fills `counting` with what was kept for a model.

        Writes nothing: what no longer fits goes with the next commit.

        Returns what had to be reset: slices of the vector by name, and other state in words. Raises DamagedError.
        """
        try:
            reset = keeping.load(self._db, self.directory, name, counting)
        except (sqlite3.Error, ValueError, KeyError) as error:
            raise self._damaged(error) from error
        self._merger.checker.add(counting.join.shelf.runs)
        return reset

    def _damaged(self, error: Exception) -> DamagedError:
        got = " ".join(str(error).split())
        return DamagedError([Problem(str(self.directory / FILE), "an undamaged state", got, "See the copy beside it")])

    def commit(self, models: Models, positions: Mapping[str, str]) -> None:
        """Writes all that changed in one transaction. Raises StateError and keeps nothing when it cannot.

        A state that is damaged is set aside, and one that vanished is made again, with all that is in memory.
        """
        try:
            self._ensure_open(models)
            self._commit(models, positions)
        except DamagedError as error:
            self.start_afresh(error, models)
            self._commit(models, positions)

    def _ensure_open(self, models: Models) -> None:
        if self._database is not None and not self._is_borrowed:
            if self._is_there():
                return
            self.notes.append(f"{self.directory / FILE} vanished. It is written again.")
            self._writes_all = True
            self._close()
        if not self._is_borrowed:
            self._open(models)
            return
        lent, known = self._db, self._commits
        self._open(models)
        lent.close()
        if self._commits != known:
            self._close()
            got, action = "one that somebody else wrote since it was read", "Restart this exporter"
            raise StateError([Problem(str(self.directory), "the state that was read", got, action)])
        self.notes.append(f"{self.directory} can be written.")

    def _is_there(self) -> bool:
        """Whether the file that is open still has its name."""
        try:
            found = (self.directory / FILE).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise problem(self.directory, error) from error
        return (found.st_dev, found.st_ino) == self._place

    def _commit(self, models: Models, positions: Mapping[str, str]) -> None:
        plans: dict[str, Plan] = {}
        try:
            if self._writes_all:
                self._touch_all(models)
            for name, counting in models.items():
                plans[name] = self._plan(name, counting)
            self._write(models, plans, positions)
        except BaseException as error:
            self._undo(models, plans)
            if isinstance(error, (sqlite3.Error, OSError)):
                raise problem(self.directory, error) from error
            raise
        for name, plan in plans.items():
            self._settle(models[name], plan)
        self._commits, self._writes_all = self._commits + 1, False
        named = {number for (number,) in self._db.execute("SELECT number FROM runs")}
        self._remove(self._named - named)
        self._named = named
        self._merger.start(models)

    def _touch_all(self, models: Models) -> None:
        """Everything in memory is to be written, and runs whose files vanished are files again."""
        (self.directory / FOLDER).mkdir(exist_ok=True, mode=0o700)
        for counting in models.values():
            for panes in (counting.panes, *counting.scopes.values()):
                panes.touch_all()
            counting.history.changed |= counting.history.blocks.keys()
            counting.join.rewrite()
            for run in counting.join.shelf.runs:
                path = run_path(self.directory, run.number)
                if not path.exists():
                    write_run(path, counting.join.dtype, run.rows, [run.columns])

    def _plan(self, name: str, counting: Counting) -> Plan:
        """What this commit writes of a model. Runs it names are on the disk when this returns."""
        shelf = counting.join.shelf
        expired, lost = shelf.expired(), self._merger.checker.lost(shelf.runs)
        damaged = [run for run in lost if run not in expired]
        plan = Plan(counting.join.changes(), expired, shelf.excess(), damaged)
        plan.merged, plan.merge = self._merger.finished(name, shelf, plan.gone)
        if shelf.is_full:
            plan.flushes, plan.flushed = True, self._flush(counting)
        plan.panes = {keeping.WHOLE: list(counting.panes.settle())}
        plan.history = sorted(counting.history.changed)
        counting.history.changed.clear()
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

    def _write(self, models: Models, plans: Mapping[str, Plan], positions: Mapping[str, str]) -> None:
        drops = any(plan.gone or plan.merged for plan in plans.values())
        # Files that are no longer named are removed after the commit, so it must outlive a loss of power.
        self._db.execute(f"PRAGMA synchronous={'FULL' if drops else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")
        for name, plan in plans.items():
            if self._writes_all:
                keeping.clear(self._db, name)
            keeping.write(self._db, name, models[name], plan)
        keeping.write_positions(self._db, positions)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('commits', ?)", (str(self._commits + 1),))
        self._db.execute("COMMIT")

    def _undo(self, models: Models, plans: Mapping[str, Plan]) -> None:
        """After a failure everything is as it was, and the next commit tries all of it again."""
        if self._database is not None and self._database.in_transaction:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
        for name, plan in plans.items():
            models[name].history.changed.update(plan.history)
            for scope, panes in plan.panes.items():
                keeping.panes_of(models[name], scope).changed.update(key for key, _ in panes)
            if plan.flushed:
                self._remove([plan.flushed.number])

    def _settle(self, counting: Counting, plan: Plan) -> None:
        """Makes the state in memory what the disk has."""
        shelf = counting.join.shelf
        counting.join.saved(plan.changes)
        counting.dropped += sum(run.waiting for run in {*plan.excess, *plan.damaged})
        shelf.runs = plan.runs(counting)
        for run in plan.damaged:
            set_run_aside(self.directory, run.number)
        self.notes += self._merger.checker.told(plan.damaged)
        if plan.merged:
            self._merger.taken()
        if plan.flushes:
            shelf.adopt(None)

    def _remove(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            with suppress(OSError):  # the next start tries again
                run_path(self.directory, number).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        self._is_borrowed = False

    def close(self) -> None:
        """Releases the directory."""
        self._merger.close()
        self._close()


def _was_written(path: Path) -> bool:
    """Whether a state was ever written; an empty file is what an attempt on a full disk leaves."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _commits(database: sqlite3.Connection) -> int:
    """How many commits a state has seen: two copies with as many are the same."""
    row = database.execute("SELECT value FROM meta WHERE key = 'commits'").fetchone()
    return int(row[0]) if row else 0
