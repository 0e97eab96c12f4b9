"""The state on disk: one SQLite file with positions, panes and waiting joins, committed together.

A commit holds everything that changed since the last one, or nothing. So after a crash the positions say exactly which
rows the panes contain, and reading goes on there.
"""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from ml_exporter.errors import Problem, StateError
from ml_exporter.layout import project, slices_from_json, slices_to_json
from ml_exporter.pipeline import Counting

FORMAT = 1
FILE = "state.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, position TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS models (name TEXT PRIMARY KEY, slices TEXT, facts TEXT, early BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS panes
    (model TEXT, kind TEXT, start INTEGER, cells BLOB, PRIMARY KEY (model, kind, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (model TEXT, run INTEGER, records BLOB, PRIMARY KEY (model, run)) WITHOUT ROWID;
"""


class Store:
    """The open state of one exporter. Raises StateError when another process holds it or its format is unknown."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(directory / FILE, isolation_level=None, timeout=0, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateError([self._unusable(error)]) from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._db.close()
            raise StateError([self._unusable(error)]) from error
        except StateError:
            self._db.close()
            raise

    def _open(self) -> None:
        """Takes the lock, and writes only once the format is known."""
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        self._db.execute("COMMIT")
        self._check_format()
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))

    def _unusable(self, error: Exception) -> Problem:
        got = " ".join(str(error).split())
        action = "Choose another directory, or free this one"
        if "locked" in got:
            got, action = (
                "one that another process has locked",
                "Stop the other exporter, or give this one a directory of its own",
            )
        return Problem(str(self.directory), "a state directory that can be written", got, action)

    def _check_format(self) -> None:
        known = self._db.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone()
        found = self._db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() if known else None
        if found and found[0] != str(FORMAT):
            action = "Run the release that wrote it, or choose another directory"
            raise StateError([Problem(str(self.directory / FILE), f"state format {FORMAT}", found[0], action)])

    def positions(self) -> Mapping[str, str]:
        """The committed position of every source, as text."""
        return dict(self._db.execute("SELECT source, position FROM positions"))

    def load(self, name: str, counting: Counting) -> tuple[str, ...]:
        """Fills `counting` with what was kept for a model.

        Writes nothing: what no longer fits goes with the next commit.

        Returns what had to be reset: slices of the vector by name, and other state in words.
        """
        row = self._db.execute("SELECT slices, facts, early FROM models WHERE name = ?", (name,)).fetchone()
        if row is None:
            return ()
        facts, grid = json.loads(row[1]), counting.timing.grid
        counting.last_label_us, counting.versions_us = facts["last_label_us"], facts["versions_us"]
        blobs = self._db.execute("SELECT kind, start, cells FROM panes WHERE model = ?", (name,))
        panes = (((kind, start), cells) for kind, start, cells in blobs)
        runs = dict(self._db.execute("SELECT run, records FROM runs WHERE model = ?", (name,)))
        if (facts["pane_us"], facts["hour_us"]) != (grid.pane_us, grid.hour_us):
            counting.panes.changed.update(key for key, _ in panes)
            counting.join.changed.update(runs)
            return ("every pane and waiting prediction (time.pane or time.hour changed)",)
        same = slices_to_json(counting.layout.slices) == row[0]
        projection = project(slices_from_json(row[0]), counting.layout.slices)
        counting.panes.restore(panes, None if same else projection, facts["newest_us"])
        if "predictions" in projection.reset:  # what waits was classified by other classes or another threshold
            counting.join.changed.update(runs)
            return (*projection.reset, "every waiting prediction (classes or decision_threshold changed)")
        counting.join.restore(runs, row[2])
        return projection.reset

    def commit(self, models: Mapping[str, Counting], positions: Mapping[str, str]) -> None:
        """Writes all that changed in one transaction. Raises StateError and keeps nothing when it cannot."""
        changes = {name: (list(item.panes.settle()), list(item.join.settle())) for name, item in models.items()}
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for name, counting in models.items():
                self._write(name, counting, *changes[name])
            self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", positions.items())
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for name, (panes, runs) in changes.items():
                models[name].panes.changed.update(key for key, _ in panes)
                models[name].join.changed.update(key for key, _ in runs)
            if isinstance(error, sqlite3.Error):
                raise StateError([self._unusable(error)]) from error
            raise

    def _write(
        self,
        name: str,
        counting: Counting,
        panes: list[tuple[tuple[str, int], bytes | None]],
        runs: list[tuple[int, bytes | None]],
    ) -> None:
        gone = [(name, *key) for key, cells in panes if cells is None]
        kept = [(name, *key, cells) for key, cells in panes if cells is not None]
        self._db.executemany("DELETE FROM panes WHERE model = ? AND kind = ? AND start = ?", gone)
        self._db.executemany("INSERT OR REPLACE INTO panes VALUES (?, ?, ?, ?)", kept)
        self._db.executemany(
            "DELETE FROM runs WHERE model = ? AND run = ?", [(name, key) for key, records in runs if records is None]
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", [(name, *item) for item in runs if item[1] is not None]
        )
        grid, newest = counting.timing.grid, counting.panes.newest_us
        facts = {"pane_us": grid.pane_us, "hour_us": grid.hour_us, "newest_us": newest}
        facts_text = json.dumps(facts | {"last_label_us": counting.last_label_us, "versions_us": counting.versions_us})
        row = (name, slices_to_json(counting.layout.slices), facts_text, counting.join.early.tobytes())
        self._db.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?)", row)

    def close(self) -> None:
        """Releases the directory."""
        self._db.close()
