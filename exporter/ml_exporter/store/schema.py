"""The tables of the state, and how those of older releases become them."""

import json
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_exporter.errors import Problem, StateError
from ml_exporter.join import CLOSED, WAITING, Records, label_dtype, pending_dtype
from ml_exporter.panes import seal

FORMAT = 3
FILE = "state.sqlite"
WAL = f"{FILE}-wal"
PENDING, EARLY, GONE = "pending", "early", "gone"
"""Kinds of journal entries: versions of pending records, labels that came early, and which of those no longer wait."""

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, position TEXT, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS models (name TEXT PRIMARY KEY, slices TEXT, facts TEXT, checksum INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS panes
    (model TEXT, scope TEXT, kind TEXT, start INTEGER, cells BLOB, PRIMARY KEY (model, scope, kind, start));
CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, model TEXT, kind TEXT, records BLOB);
CREATE INDEX IF NOT EXISTS journal_of_model ON journal (model, kind);
CREATE TABLE IF NOT EXISTS runs (model TEXT, place INTEGER, number INTEGER, first_us INTEGER, newest_us INTEGER,
    waiting INTEGER, is_closed INTEGER, PRIMARY KEY (model, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history
    (model TEXT, window TEXT, block INTEGER, signals TEXT, cells BLOB, PRIMARY KEY (model, window, block));
"""
_OLD_PENDING = np.dtype([("hash", "<u8"), ("time_us", "<i8"), ("score", "<f8"), ("predicted", "i1"), ("labelled", "?")])
_OLD_LABEL = np.dtype([("hash", "<u8"), ("time_us", "<i8"), ("actual", "i1"), ("seen_us", "<i8")])


def prepare(database: sqlite3.Connection, directory: Path) -> None:
    """Makes the tables of this release, from those of an older one where there are some; all or nothing.

    Raises StateError, and writes nothing, when a newer release wrote them.
    """
    found = _format(database)
    if found not in (None, "1", "2", str(FORMAT)):
        action = "Run the release that wrote it, or choose another directory"
        raise StateError([Problem(str(directory / FILE), f"state format 1 to {FORMAT}", str(found), action)])
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    if found == str(FORMAT):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        if found == "1":
            _migrate_1(database)
        else:
            _create(database)  # format 2 lacked the table of the history, which begins with the panes that are kept
        database.execute("INSERT OR REPLACE INTO meta VALUES ('format', ?)", (str(FORMAT),))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _format(database: sqlite3.Connection) -> str | None:
    if not database.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchone():
        return None
    row = database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    return str(row[0]) if row else None


def _create(database: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        database.execute(statement)


def _migrate_1(database: sqlite3.Connection) -> None:
    """Format 1 had panes without scope and checksum, and pending records as whole runs inside SQLite.

    A label that was joined cannot be corrected any more: format 1 did not keep which one it was.
    """
    for table in ("positions", "models", "panes", "runs"):
        database.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _create(database)
    for name, slices, facts in database.execute("SELECT name, slices, facts FROM old_models").fetchall():
        row = (name, slices, json.dumps(json.loads(facts) | _FACTS))
        database.execute("INSERT INTO models VALUES (?, ?, ?, ?)", (*row, checksum(*row)))
    for row in database.execute("SELECT source, position FROM old_positions").fetchall():
        database.execute("INSERT INTO positions VALUES (?, ?, ?)", (*row, checksum(*row)))
    for model, kind, start, cells in database.execute("SELECT model, kind, start, cells FROM old_panes"):
        sealed = seal(cells[:8], cells[8:])
        database.execute("INSERT INTO panes VALUES (?, '', ?, ?, ?)", (model, kind, start, sealed))
    for model, blob in database.execute("SELECT model, records FROM old_runs ORDER BY run"):
        _journal(database, model, PENDING, _pending_of_1(np.frombuffer(blob, _OLD_PENDING)))
    for model, blob in database.execute("SELECT name, early FROM old_models"):
        _journal(database, model, EARLY, _labels_of_1(np.frombuffer(blob, _OLD_LABEL)))
    for table in ("positions", "models", "panes", "runs"):
        database.execute(f"DROP TABLE old_{table}")


def _journal(database: sqlite3.Connection, model: str, kind: str, records: Records) -> None:
    if len(records):
        database.execute("INSERT INTO journal VALUES (NULL, ?, ?, ?)", (model, kind, sealed(records)))


def checksum(*texts: str) -> int:
    """A checksum of the texts of a row."""
    return zlib.crc32("\0".join(texts).encode(errors="surrogatepass"))


def sealed(records: npt.NDArray[Any], text: str = "") -> bytes:
    """Records as an entry: a checksum of four bytes, of them and of the text beside them, then theirs."""
    content = records.tobytes()
    return zlib.crc32(content, zlib.crc32(text.encode())).to_bytes(4, "little") + content


def unsealed(entry: bytes, dtype: np.dtype[Any], text: str = "") -> npt.NDArray[Any]:
    """What `sealed` made. Raises ValueError when it was damaged."""
    if zlib.crc32(entry[4:], zlib.crc32(text.encode())) != int.from_bytes(entry[:4], "little"):
        raise ValueError("an entry with another checksum")
    return np.frombuffer(entry, dtype, offset=4)


_FACTS = {"combinations": [[]], "segment_names": {}, "record": [1, True]}
"""What format 1 did not keep of a model."""


def _pending_of_1(old: Records) -> Records:
    found = np.zeros(len(old), pending_dtype(1, is_class=True))
    for name in ("hash", "time_us", "predicted"):
        found[name] = old[name]
    found["scores"][:, 0] = old["score"]
    found["state"] = np.where(old["labelled"], CLOSED, WAITING)
    return found


def _labels_of_1(old: Records) -> Records:
    found = np.zeros(len(old), label_dtype(is_class=True))
    for name in ("hash", "time_us", "actual", "seen_us"):
        found[name] = old[name]
    found["order"] = np.arange(len(old))
    return found
