"""Opening the database: the lock, the format, and what is refused."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path

from ml_exporter.errors import Problem, StateError
from ml_exporter.mounts import network_file_system
from ml_exporter.store.files import FOLDER
from ml_exporter.store.schema import FILE, WAL, prepare

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGED_READS = (sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_IOERR_DATA)
_MOUNTS = Path("/proc/self/mountinfo")


class DamagedError(StateError):
    """The state is there and cannot be understood."""


class UnwritableError(StateError):
    """The system does not let the state be written."""


def connect(directory: Path) -> sqlite3.Connection:
    """The database of a state directory, locked, in the format of this release.

    Raises DamagedError, UnwritableError, or StateError: locked by another process, on a network file system, or of a
    newer format.
    """
    _refuse_network(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / FOLDER).mkdir(exist_ok=True, mode=0o700)
        return _opened(directory)
    except (OSError, sqlite3.Error) as error:
        raise problem(directory, error) from error


def borrow(directory: Path) -> sqlite3.Connection:
    """A copy of the database, in memory, for a directory that cannot be written. Raises as `connect` does."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in (FILE, WAL):
                with suppress(FileNotFoundError):
                    shutil.copyfile(directory / name, Path(folder) / name)
            copy, found = _opened(Path(folder)), sqlite3.connect(":memory:", isolation_level=None)
            copy.backup(found)
            copy.close()
            return found
    except (OSError, sqlite3.Error) as error:
        raise problem(directory, error) from error


def _opened(directory: Path) -> sqlite3.Connection:
    """Takes the lock, and writes only once the format is known."""
    database = sqlite3.connect(directory / FILE, isolation_level=None, timeout=0, check_same_thread=False)
    try:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        database.execute("COMMIT")
        prepare(database, directory)
        return database
    except BaseException:
        database.close()
        raise


def problem(directory: Path, error: Exception) -> StateError:
    """What a failure of SQLite or of the system means."""
    got = " ".join(str(error).split())
    expected, action = "a state directory that can be written", "Choose another directory, or free this one"
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        got, action = (
            "one that another process has locked",
            "Stop the other exporter, or give this one a directory of its own",
        )
        return StateError([Problem(str(directory), expected, got, action)])
    if code in _DAMAGED or extended in _DAMAGED_READS:
        return DamagedError([Problem(str(directory / FILE), "an undamaged state", got, "See the copy beside it")])
    return UnwritableError([Problem(str(directory), expected, got, action)])


def _refuse_network(directory: Path) -> None:
    """Locks and syncs mean little over a network, so two exporters could write one state."""
    try:
        kind = network_file_system(os.path.realpath(directory), _MOUNTS.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return  # no Linux: nobody can tell
    if kind:
        action = "Choose a directory on a local disk"
        raise StateError([Problem(str(directory), "a local file system", kind, action)])
