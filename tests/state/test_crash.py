"""A crash between any two steps of a commit: every row is counted once, and no file is missing or left over.

A process that is killed leaves on the disk what it had written. So a copy of the directory before each step (a write,
a sync, an SQL statement, a removal) is what a kill at that instant leaves, and a new store must make sense of it.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path

import pytest
from tests import build
from tests.build import MINUTE, NOON
from tests.test_store import facts, fill

from ml_exporter.counting import Counting
from ml_exporter.join import shelf
from ml_exporter.store import Store, database, files

ROWS = 12
COMMITS = 15
EXPIRE = 100 * MINUTE
BEFORE = 10
"""The commits that follow so many are looked at step by step: by then there are runs, merges and expiries."""


def counting() -> Counting:
    """Predictions expire so soon that whole runs do within the test."""
    found = build.counting(expire_us=EXPIRE)
    found.set_rules("last", 20_000_000)
    return found


def feed(found: Counting, commit: int) -> None:
    """The rows of one commit, with corrections of what came in the commits before."""
    first = commit * ROWS
    fill(found, first, ROWS)
    now = NOON + (first + ROWS) * MINUTE
    rows = [build.label(now, number, ("no", "yes")[number % 3 == 0]) for number in range(max(0, first - 40), first, 5)]
    found.labels(build.batch(rows), now)
    found.expire(now)


def expected(commits: int) -> dict[str, object]:
    """What must be there after so many commits."""
    found = counting()
    for commit in range(commits):
        feed(found, commit)
    return alive(found)


def alive(found: Counting) -> dict[str, object]:
    """The facts, without predictions that have expired: those may be on the disk or not."""
    kept = facts(found)
    kept["waiting"] = [row for row in kept["waiting"] if row[1] >= found.panes.newest_us - EXPIRE]  # type: ignore[union-attr]
    return kept


class Steps:
    """Copies the directory before every step."""

    def __init__(self, directory: Path, copies: Path) -> None:
        self.directory, self.copies, self.count, self.on = directory, copies, 0, False

    def __call__(self) -> None:
        if self.on:
            shutil.copytree(self.directory, self.copies / str(self.count))
            self.count += 1

    def before(self, function: Callable[..., object]) -> Callable[..., object]:
        def stepped(*arguments: object, **options: object) -> object:
            self()
            return function(*arguments, **options)

        return stepped


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    monkeypatch.setattr(shelf, "FLUSH_ROWS", 2 * ROWS)
    monkeypatch.setattr(shelf, "MERGE_FROM", 2)
    found = Steps(tmp_path / "state", tmp_path / "copies")
    for module, name in ((files.os, "fsync"), (files, "_write"), (files, "sync_folder")):
        monkeypatch.setattr(module, name, found.before(getattr(module, name)))
    monkeypatch.setattr(database.Path, "unlink", found.before(Path.unlink))
    return found


def test_a_crash_between_any_two_steps(steps: Steps) -> None:
    store, found = Store(steps.directory), counting()
    store._db.set_trace_callback(lambda _: steps())
    for commit in range(COMMITS):
        steps.on = commit >= BEFORE
        feed(found, commit)
        store.commit({"flights": found}, {"predictions": str(commit + 1)})
        if store._merger._merge:
            wait([store._merger._merge.rows])
    steps.on = False
    runs = found.join.shelf.runs
    assert len(runs) > 1
    assert runs[0].number > 5, "no run was merged"
    assert runs[0].first_us > NOON + ROWS * 3 * MINUTE, "no run expired"
    store.close()
    told = {commits: expected(commits) for commits in range(COMMITS + 1)}
    assert alive(found) == told[COMMITS]
    seen = set()
    for number in range(steps.count):
        seen.add(check(steps.copies / str(number), told))
    assert seen == set(range(BEFORE, COMMITS + 1))


def check(directory: Path, told: dict[int, dict[str, object]]) -> int:
    """What a new process finds after the crash, and that it can go on; returns the commits it has."""
    store, found = Store(directory), counting()
    assert store.load("flights", found) == ()
    commits = int(store.positions()["predictions"])
    assert alive(found) == told[commits]
    named = {f"{run.number:08d}.run" for run in found.join.shelf.runs}
    assert {path.name for path in (directory / files.FOLDER).iterdir()} == named
    if commits < COMMITS:
        feed(found, commits)
        store.commit({"flights": found}, {"predictions": str(commits + 1)})
        assert alive(found) == told[commits + 1]
    store.close()
    return commits
