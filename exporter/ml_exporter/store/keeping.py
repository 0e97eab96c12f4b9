"""What a commit writes of one model, and what a start reads: rows of the tables of `schema`."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from ml_exporter.counting import Counting
from ml_exporter.errors import StateError
from ml_exporter.history import Block
from ml_exporter.join import Changes, Join, Run
from ml_exporter.layout import Layout, project, slices_from_json, slices_to_json
from ml_exporter.panes import FINE, HOUR, Grid, Key, Panes, is_intact
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.store.blocks import load_history, write_history
from ml_exporter.store.files import open_run, run_path, set_run_aside
from ml_exporter.store.schema import EARLY, GONE, PENDING, checksum, sealed, unsealed

WHOLE = ""
"""The scope of panes that are the whole model."""
_WAITING_SLICES = ("predictions", "scores", "labels")
"""Slices in which a prediction that waits is counted, in cells that its label changes."""
_LABEL_SLICES = ("quality", "arrived", "class_scores", "residuals")
"""Slices in which labels are counted."""


def scope_text(key: tuple[str, str]) -> str:
    """How the store names the panes of a segment."""
    return json.dumps(key)


def panes_of(counting: Counting, scope: str) -> Panes:
    """The panes of a scope; empty ones are made for a segment that has none."""
    if scope == WHOLE:
        return counting.panes
    by, segment = json.loads(scope)
    return counting.scopes.setdefault((by, segment), Panes(counting.layout.head, counting.timing.grid))


@dataclass
class Plan:
    """What one commit writes of one model, and what is true once it has."""

    changes: Changes
    dropped: list[Run]
    excess: list[Run]
    damaged: list[Run]
    panes: dict[str, list[tuple[Key, bytes | None]]] = field(default_factory=dict)
    history: list[Block] = field(default_factory=list)
    flushes: bool = False
    flushed: Run | None = None
    merged: list[Run] = field(default_factory=list)
    merge: Run | None = None

    @property
    def gone(self) -> tuple[Run, ...]:
        """The runs that go."""
        return (*self.dropped, *self.excess, *self.damaged)

    def runs(self, counting: Counting) -> list[Run]:
        """The runs after the commit, oldest first."""
        gone, found = self.gone, list[Run]()
        for run in counting.join.shelf.runs:
            if self.merged and run is self.merged[0]:
                found += [self.merge] if self.merge else []
            elif run not in gone and run not in self.merged:
                found.append(run)
        return found + ([self.flushed] if self.flushed else [])


def write(database: sqlite3.Connection, name: str, counting: Counting, plan: Plan) -> None:
    """Writes a plan within the transaction that is open."""
    _write_panes(database, name, plan.panes)
    _write_journal(database, name, plan)
    _write_manifest(database, name, plan.runs(counting))
    write_history(database, name, counting.history, plan.history)
    grid, newest = counting.timing.grid, counting.panes.newest_us
    facts: dict[str, Any] = {"pane_us": grid.pane_us, "hour_us": grid.hour_us, "newest_us": newest}
    facts |= {"last_label_us": counting.last_label_us, "versions_us": counting.versions_us}
    facts |= {"combinations": counting.combinations, "segment_names": counting.segment_names}
    facts |= {"record": _record(counting.layout), "history": counting.history.facts()}
    facts["panes"] = {scope: panes_of(counting, scope).count for scope in plan.panes}
    row = (name, slices_to_json(counting.layout.slices), json.dumps(facts))
    database.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?)", (*row, checksum(*row)))


def write_positions(database: sqlite3.Connection, positions: Mapping[str, str]) -> None:
    """Writes the position of every source within the transaction that is open."""
    rows = [(*item, checksum(*item)) for item in positions.items()]
    database.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", rows)


def positions(database: sqlite3.Connection) -> Mapping[str, str]:
    """The position of every source. Raises ValueError when one was damaged."""
    rows = database.execute("SELECT source, position, checksum FROM positions").fetchall()
    for source, position, expected in rows:
        if checksum(source, position) != expected:
            raise ValueError(f"a position of {source} with another checksum")
    return {source: position for source, position, _ in rows}


def clear(database: sqlite3.Connection, name: str) -> None:
    """Forgets a model, which is then written whole."""
    for table in ("panes", "journal", "runs", "history"):
        database.execute(f"DELETE FROM {table} WHERE model = ?", (name,))  # noqa: S608 - one of these names


def _write_panes(database: sqlite3.Connection, name: str, panes: dict[str, list[tuple[Key, bytes | None]]]) -> None:
    rows = [(name, scope, *key, cells) for scope, found in panes.items() for key, cells in found]
    database.executemany(
        "DELETE FROM panes WHERE model = ? AND scope = ? AND kind = ? AND start = ?",
        [row[:4] for row in rows if row[4] is None],
    )
    database.executemany(
        "INSERT OR REPLACE INTO panes VALUES (?, ?, ?, ?, ?)", [row for row in rows if row[4] is not None]
    )


def _write_journal(database: sqlite3.Connection, name: str, plan: Plan) -> None:
    changes = plan.changes
    if plan.flushes or changes.rewrite_pending:
        database.execute("DELETE FROM journal WHERE model = ? AND kind = ?", (name, PENDING))
    if changes.rewrite_early:
        database.execute("DELETE FROM journal WHERE model = ? AND kind IN (?, ?)", (name, EARLY, GONE))
    entries = [(EARLY, changes.early), (GONE, changes.gone)]
    if not plan.flushes:
        entries.append((PENDING, changes.pending))
    database.executemany(
        "INSERT INTO journal VALUES (NULL, ?, ?, ?)",
        [(name, kind, sealed(records)) for kind, records in entries if len(records)],
    )


def _write_manifest(database: sqlite3.Connection, name: str, runs: list[Run]) -> None:
    rows = [
        (name, place, run.number, run.first_us, run.newest_us, run.waiting, int(run.is_closed))
        for place, run in enumerate(runs)
    ]
    found = database.execute("SELECT * FROM runs WHERE model = ? ORDER BY place", (name,)).fetchall()
    if rows != found:
        database.execute("DELETE FROM runs WHERE model = ?", (name,))
        database.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def load(database: sqlite3.Connection, directory: Path, name: str, counting: Counting) -> tuple[str, ...]:
    """Fills `counting` with what was kept for a model, and returns what had to be reset.

    Raises ValueError, KeyError or sqlite3.Error when it is damaged.
    """
    row = database.execute("SELECT slices, facts, checksum FROM models WHERE name = ?", (name,)).fetchone()
    if row is None:
        return ()
    if checksum(name, *row[:2]) != row[2]:
        raise ValueError(f"facts of {name} with another checksum")
    facts, grid = json.loads(row[1]), counting.timing.grid
    counting.last_label_us, counting.versions_us = facts["last_label_us"], facts["versions_us"]
    counting.combinations = [tuple(item) for item in facts["combinations"]]
    counting.segment_names = facts["segment_names"]
    fits = load_history(database, name, counting.history, facts)
    if (facts["pane_us"], facts["hour_us"]) != (grid.pane_us, grid.hour_us):
        _forget_panes(database, name, counting)
        counting.history.forget()
        counting.join.forget()
        counting.adopt_segments()
        return ("every pane, waiting prediction and history (time.pane or time.hour changed)",)
    reset = _load_panes(database, name, counting, row[0], facts) + counting.adopt_segments()
    reset += () if fits else ("the history (time.day changed)",)
    if facts["record"] != _record(counting.layout) or set(_WAITING_SLICES) & set(reset):
        counting.join.forget()
        return (*reset, "every waiting prediction (classes or decision_threshold changed)")
    counting.join.shelf.horizon_us = facts["newest_us"] - counting.timing.expire_us
    _load_journal(database, name, counting.join)
    gone = _load_runs(database, directory, name, counting)
    if set(_LABEL_SLICES) & set(reset):
        counting.join.shelf.close_labels()
    return reset + gone


def _record(layout: Layout) -> list[object]:
    return [layout.join_scores, layout.is_class]


def _load_journal(database: sqlite3.Connection, name: str, join: Join) -> None:
    types = {PENDING: join.dtype, EARLY: join.early.dtype, GONE: np.dtype(np.int64)}
    found = {kind: [np.zeros(0, dtype)] for kind, dtype in types.items()}
    rows = database.execute("SELECT kind, records FROM journal WHERE model = ? ORDER BY number", (name,))
    for kind, records in rows:
        found[kind].append(unsealed(records, types[kind]))
    join.restore(*(np.concatenate(found[kind]) for kind in (PENDING, EARLY, GONE)))


def _load_runs(database: sqlite3.Connection, directory: Path, name: str, counting: Counting) -> tuple[str, ...]:
    """Maps the runs, newest first. A damaged one goes with all older ones: those hold versions that it overrides."""
    query = """SELECT number, first_us, newest_us, waiting, is_closed FROM runs WHERE model = ? ORDER BY place DESC"""
    rows = database.execute(query, (name,)).fetchall()
    for place, (number, first_us, newest_us, waiting, is_closed) in enumerate(rows):
        facts = {"number": number, "first_us": first_us, "newest_us": newest_us, "waiting": waiting}
        try:
            run = open_run(run_path(directory, number), facts | {"is_closed": bool(is_closed)})
        except StateError as error:
            for lost in rows[place:]:
                set_run_aside(directory, lost[0])
            counting.dropped += sum(lost[3] for lost in rows[place:])
            return (f"waiting predictions ({'; '.join(str(item) for item in error.problems)})",)
        counting.join.shelf.runs.insert(0, run)
    return ()


def _load_panes(
    database: sqlite3.Connection, name: str, counting: Counting, slices: str, facts: Mapping[str, Any]
) -> tuple[str, ...]:
    newest_us, expected = facts["newest_us"], facts.get("panes", {})  # older formats did not count them
    kept = slices_from_json(slices)
    projection = project(kept, counting.layout.slices)
    heads = tuple(takewhile(lambda item: not item.name.startswith(FEATURE_PREFIX), kept))
    same = slices_to_json(counting.layout.slices) == slices
    for (scope,) in database.execute("SELECT DISTINCT scope FROM panes WHERE model = ?", (name,)).fetchall():
        old, panes = kept if scope == WHOLE else heads, panes_of(counting, scope)
        blobs = _blobs(database, name, scope, panes.grid, old[-1].start + old[-1].size)
        panes.restore(blobs, None if same else project(old, panes.layout.slices), newest_us)
        if scope in expected and panes.count != expected.pop(scope):
            raise ValueError(f"panes of {name} that are not all there")
    if any(expected.values()):
        raise ValueError(f"panes of {name} that are not there")
    counting.panes.newest_us = newest_us
    return projection.reset


def _blobs(database: sqlite3.Connection, name: str, scope: str, grid: Grid, size: int) -> Iterator[tuple[Key, bytes]]:
    """The panes of a scope. No other bit in the start of a pane makes it the start of another one."""
    for kind, start, cells in database.execute(
        "SELECT kind, start, cells FROM panes WHERE model = ? AND scope = ?", (name, scope)
    ):
        if not is_intact(cells, size) or kind not in (FINE, HOUR) or grid.start(kind, start) != start:
            raise ValueError(f"a pane of {name} with another checksum or start")
        yield (kind, start), cells


def _forget_panes(database: sqlite3.Connection, name: str, counting: Counting) -> None:
    for scope, kind, start in database.execute("SELECT scope, kind, start FROM panes WHERE model = ?", (name,)):
        panes_of(counting, scope).changed.add((kind, start))
