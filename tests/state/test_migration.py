"""A state written by an older release goes on: nothing that was counted or waited is lost."""

import gzip
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON
from tests.test_store import fill

from ml_exporter.charting import remember
from ml_exporter.counting import Counting
from ml_exporter.errors import StateError
from ml_exporter.join import CLOSED, WAITING
from ml_exporter.store import FILE, Store

FORMATS = (1, 2)
"""Of each there is a file, by a release that wrote it: after five commits of sixty predictions as `fill` makes them."""


def old_state(directory: Path, number: int = 1) -> Path:
    """The old file in a new directory."""
    directory.mkdir()
    path = directory / FILE
    old = Path(__file__).parent / f"format-{number}.sqlite.gz"
    path.write_bytes(gzip.decompress(old.read_bytes()))
    return path


def filled(commits: int) -> Counting:
    """The same rows, counted by this release."""
    counting = build.counting()
    for commit in range(commits):
        fill(counting, commit * 60, 60)
    return counting


def sums(counting: Counting) -> list[list[int]]:
    """Every hour, and the last minutes."""
    panes = counting.panes
    starts = [(start, HOUR) for start in range(NOON - DAY, NOON + DAY, HOUR)]
    starts += [(start, MINUTE) for start in range(panes.newest_us - HOUR, panes.newest_us, MINUTE)]
    return [panes.sum(start, start + length).tolist() for start, length in starts]


@pytest.mark.parametrize("number", FORMATS)
def test_everything_survives(tmp_path: Path, number: int) -> None:
    old_state(tmp_path / "state", number)
    store, counting, expected = Store(tmp_path / "state"), build.counting(), filled(5)
    assert store.load("flights", counting) == ("repeats",), "what an older release did not count"
    assert {name: json.loads(text) for name, text in store.positions().items()} == {
        "predictions": {"p": 240},
        "labels": {"l": 240},
    }
    assert sums(counting) == sums(expected)
    assert counting.panes.newest_us == expected.panes.newest_us
    assert (counting.versions_us, counting.last_label_us) == (expected.versions_us, expected.last_label_us)
    ours, theirs = counting.join.shelf, expected.join.shelf
    waiting = [records[records["state"] == WAITING] for records in (ours.memtable.all(), theirs.memtable.all())]
    assert waiting[0].tolist() == waiting[1].tolist()
    assert ours.memtable.rows == theirs.memtable.rows
    assert counting.join.early.all()["hash"].tolist() == expected.join.early.all()["hash"].tolist()
    for found in (counting, expected):
        fill(found, 300, 60)
        now = NOON + 360 * MINUTE
        found.labels(build.batch(build.label(now, number) for number in range(0, 300, 2)), now)
    assert sums(counting) == sums(expected)
    store.commit({"flights": counting}, {"predictions": "360"})
    store.close()
    again, store = build.counting(), Store(tmp_path / "state")
    store.load("flights", again)
    assert sums(again) == sums(expected)
    store.close()


def test_a_label_of_which_only_the_joining_is_known_is_not_corrected(tmp_path: Path) -> None:
    old_state(tmp_path / "state")
    store, counting = Store(tmp_path / "state"), build.counting()
    counting.set_rules("last", 20_000_000)
    store.load("flights", counting)
    before, now = sums(counting), NOON + 301 * MINUTE
    states = Counter(counting.join.shelf.memtable.all()["state"].tolist())
    assert states.keys() == {WAITING, CLOSED}
    counting.labels(build.batch([build.label(now, 1, "no"), build.label(now, 1, "yes")]), now)
    assert counting.statuses["correction_late"] + counting.statuses["duplicate"] == 2
    assert sums(counting) == before
    store.close()


def test_a_migration_that_fails_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_state(tmp_path / "state")
    monkeypatch.setattr("ml_exporter.store.schema._labels_of_1", lambda _: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        Store(tmp_path / "state")
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == ("1",)
        assert old.execute("SELECT count(*) FROM runs").fetchone()[0] > 0
    store, counting = Store(tmp_path / "state"), build.counting()
    store.load("flights", counting)
    assert sums(counting) == sums(filled(5))
    store.close()


def test_another_model_of_the_old_state_is_kept_untouched(tmp_path: Path) -> None:
    old_state(tmp_path / "state")
    store, other = Store(tmp_path / "state"), build.counting()
    assert store.load("trains", other) == ()
    store.commit({"trains": other}, {})
    store.close()
    store, counting = Store(tmp_path / "state"), build.counting()
    store.load("flights", counting)
    assert sums(counting) == sums(filled(5))
    store.close()


@pytest.mark.parametrize("number", FORMATS)
def test_the_old_release_is_told_to_leave_it_alone(tmp_path: Path, number: int) -> None:
    """A newer format is refused by this release as it is by the old one."""
    path = old_state(tmp_path / "state", number)
    Store(tmp_path / "state").close()
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == ("3",)
        database.execute("UPDATE meta SET value = '4'")
    with pytest.raises(StateError, match="expected state format 1 to 3, got 4"):
        Store(tmp_path / "state")


@pytest.mark.parametrize("number", FORMATS)
def test_the_history_begins_with_the_panes_of_the_old_state(tmp_path: Path, number: int) -> None:
    old_state(tmp_path / "state", number)
    store, counting, expected = Store(tmp_path / "state"), build.counting(), filled(5)
    store.load("flights", counting)
    now = NOON + 400 * MINUTE
    for found in (counting, expected):
        found.last_arrival_us = 0
        remember(found, now)
    for signal in ("accuracy", "window_rows"):
        ours, theirs = (found.history.series("1h", signal) for found in (counting, expected))
        assert ours[0] == theirs[0]
        assert ours[1].tobytes() == theirs[1].tobytes()
        assert np.isfinite(ours[1]).sum() == 5 - (signal == "accuracy"), "the first hour may not have been whole"
    store.commit({"flights": counting}, {})
    store.close()
    again, store = build.counting(), Store(tmp_path / "state")
    assert store.load("flights", again) == ()
    assert again.history.series("1h", "window_rows")[1].tobytes() == ours[1].tobytes()
    store.close()
