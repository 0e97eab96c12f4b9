"""A commit is all or nothing: after a crash, a full disk or another configuration, positions and panes still agree."""

import random
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests import build, history_rows
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.charting import remember
from ml_exporter.counting import Counting
from ml_exporter.errors import StateError
from ml_exporter.join import Shelf
from ml_exporter.layout import project
from ml_exporter.store import FILE, Store

LAYOUT = build.layout()


def fill(counting: Counting, first: int, count: int) -> None:
    """A prediction a minute, every second one with its label; one label comes too early, one is nobody's."""
    numbers = range(first, first + count)
    now = NOON + (first + count) * MINUTE
    counting.labels(build.batch([build.label(NOON, 10**6 + first), build.label(now, first)]), now)
    counting.predictions(build.batch([build.prediction(NOON + number * MINUTE, number) for number in numbers]), now)
    counting.labels(build.batch([build.label(now, number) for number in numbers if number % 2]), now)
    remember(counting, now)
    counting.expire(now)


def facts(counting: Counting) -> dict[str, object]:
    """What must survive, as a value."""
    panes, join = counting.panes, counting.join
    starts = range(NOON - DAY, NOON + 2 * DAY, HOUR)
    return {
        "newest": panes.newest_us,
        "hours": [panes.sum(start, start + HOUR).tolist() for start in starts],
        "minutes": [
            panes.sum(start, start + MINUTE).tolist()
            for start in range(panes.newest_us - HOUR, panes.newest_us, MINUTE)
        ],
        "waiting": kept(join.shelf),
        "early": [label[:-1] for label in join.early.all().tolist()],
        "versions": counting.versions_us,
        "last label": counting.last_label_us,
        "history": history_rows.rows(counting),
    }


def kept(shelf: Shelf) -> list[tuple[object, ...]]:
    """The newest version of every record."""
    newest = {row["hash"]: row for run in shelf.runs for row in run.records(shelf.dtype)}
    newest |= {row["hash"]: row for row in shelf.memtable.all()}
    return sorted(row.tolist() for row in newest.values())


def reopened(directory: Path, layout: object = None) -> tuple[Counting, dict[str, str], tuple[str, ...]]:
    """What a new process finds, and what it had to reset."""
    store, counting = Store(directory), build.counting(layout)  # type: ignore[arg-type]
    reset = store.load("flights", counting)
    positions = dict(store.positions())
    store.close()
    return counting, positions, reset


def test_a_commit_comes_back(tmp_path: Path) -> None:
    store, counting = Store(tmp_path), build.counting()
    for first in range(0, 600, 60):
        fill(counting, first, 60)
        store.commit({"flights": counting}, {"predictions": f"p{first}", "labels": f"l{first}"})
    expected = facts(counting)
    store.close()
    again, positions, reset = reopened(tmp_path)
    assert facts(again) == expected
    assert positions == {"predictions": "p540", "labels": "l540"}
    assert reset == ()


def test_reading_goes_on_as_if_there_had_been_no_restart(tmp_path: Path) -> None:
    at_once = build.counting()
    for first in range(0, 400, 40):
        fill(at_once, first, 40)
        store, counting = Store(tmp_path), build.counting()
        store.load("flights", counting)
        fill(counting, first, 40)
        store.commit({"flights": counting}, {})
        store.close()
    assert facts(reopened(tmp_path)[0]) == facts(at_once)


def test_models_do_not_mix(tmp_path: Path) -> None:
    store, first, second = Store(tmp_path), build.counting(), build.counting()
    fill(first, 0, 10)
    fill(second, 50, 20)
    store.commit({"flights": first, "trains": second}, {})
    again = build.counting()
    store.load("trains", again)
    assert facts(again) == facts(second)
    assert store.load("buses", build.counting()) == ()
    store.close()


CHILD = """
import sys
from pathlib import Path
from ml_exporter.charting import remember
from ml_exporter.store import Store
from tests import build
store, counting = Store(Path(sys.argv[1])), build.counting()
store.load("flights", counting)
number = int(store.positions().get("predictions", 0))
while True:
    number += 1
    now = build.NOON + number * 20 * build.MINUTE
    counting.predictions(build.batch([build.prediction(now, number)]), now)
    counting.labels(build.batch([build.label(now, number)] if number % 2 else []), now)
    remember(counting, now)
    store.commit({"flights": counting}, {"predictions": str(number)})
    print(number, flush=True)
"""


def test_after_a_crash_positions_and_panes_agree(tmp_path: Path) -> None:
    draw = random.Random(7)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            try:
                last = [int(child.stdout.readline()) for _ in range(draw.randrange(5, 40))][-1]
            finally:
                child.kill()
        counting, positions, _ = reopened(tmp_path)
        number = int(positions["predictions"])
        assert number >= last
        total = counting.panes.sum(NOON, NOON + 10 * DAY)
        assert int(LAYOUT.cells(total, "rows")["rows"][0]) == number
        assert int(LAYOUT.cells(total, "labels")["labelled"][0]) == (number + 1) // 2
        assert counting.join.shelf.waiting == number // 2
        assert history_rows.rows(counting) == history_rows.expected(counting)
    assert len(history_rows.rows(counting)) > number // 3 - 5


def test_a_second_exporter_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StateError) as refused:
        Store(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: expected a state directory that can be written, got one that another process has locked. "
        "Stop the other exporter, or give this one a directory of its own."
    )
    store.commit({}, {"log": "1"})
    store.close()
    assert reopened(tmp_path)[1] == {"log": "1"}


@pytest.mark.parametrize("newer", ["4", "99", "two"])
def test_another_format_is_refused_and_left_alone(tmp_path: Path, newer: str) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("UPDATE meta SET value = ?", (newer,))
        other.execute("DROP TABLE runs")
    other.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StateError) as refused:
        Store(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path / FILE}: expected state format 1 to 3, got {newer}. "
        "Run the release that wrote it, or choose another directory."
    )
    assert (tmp_path / FILE).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", FILE]


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StateError, match=r"file/state: expected a state directory that can be written, got .*Not a directory"
    ):
        Store(tmp_path / "file" / "state")


def test_only_the_owner_may_read_a_state(tmp_path: Path) -> None:
    Store(tmp_path / "state").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_changed_layout_keeps_what_fits(tmp_path: Path) -> None:
    store, counting = Store(tmp_path), build.counting()
    fill(counting, 0, 60)
    store.commit({"flights": counting}, {"predictions": "60"})
    store.close()
    new = build.layout(build.CARRIER, replace(build.TEMP, scale=2.0), latency_bounds=(0.25, 0.5, 1.0))
    again, positions, reset = reopened(tmp_path, new)
    assert reset == ("latency", "feature:temp")
    assert positions == {"predictions": "60"}
    expected = project(LAYOUT.slices, new.slices)(counting.panes.sum(NOON, NOON + DAY))
    assert again.panes.sum(NOON, NOON + DAY).tolist() == expected.tolist()
    assert facts(again)["waiting"] == facts(counting)["waiting"]


def test_a_changed_layout_is_asked_about_once(tmp_path: Path) -> None:
    store, counting = Store(tmp_path), build.counting()
    fill(counting, 0, 60)
    store.commit({"flights": counting}, {})
    new = build.layout(build.CARRIER, replace(build.TEMP, scale=2.0))
    changed = build.counting(new)
    assert store.load("flights", changed) == ("feature:temp",)
    fill(changed, 60, 60)
    store.commit({"flights": changed}, {})
    store.close()
    again, _, reset = reopened(tmp_path, new)
    assert reset == ()
    assert facts(again) == facts(changed)


@pytest.mark.parametrize("change", [{"classes": ("yes", "no")}, {"decision_threshold": 0.25}])
def test_what_waited_under_other_classes_is_not_joined(tmp_path: Path, change: dict[str, object]) -> None:
    """The waiting records hold the index of a class, which now means another one."""
    store, counting = Store(tmp_path), build.counting()
    fill(counting, 0, 60)
    store.commit({"flights": counting}, {})
    again = build.counting(build.layout(**change))
    assert store.load("flights", again) == (
        "predictions",
        "scores",
        "quality",
        "every waiting prediction (classes or decision_threshold changed)",
    )
    assert (again.join.shelf.waiting, again.join.early.count) == (0, 0)
    unchanged = build.counting()
    assert store.load("flights", unchanged) == (), "loading alone must write nothing"
    assert facts(unchanged) == facts(counting)
    store.commit({"flights": again}, {})
    later = build.counting(build.layout(**change))
    assert store.load("flights", later) == ()
    assert (later.join.shelf.waiting, later.join.early.count) == (0, 0)
    store.close()


@pytest.mark.parametrize("change", [{"pane_us": 5 * MINUTE}, {"hour_us": 30 * MINUTE}])
def test_another_grid_starts_anew_and_says_so(tmp_path: Path, change: dict[str, int]) -> None:
    store, counting = Store(tmp_path), build.counting()
    fill(counting, 0, 60)
    store.commit({"flights": counting}, {"predictions": "60"})
    other = Counting(LAYOUT, replace(build.timing(), grid=build.grid(**change)), has_labels=True)
    assert store.load("flights", other) == (
        "every pane, waiting prediction and history (time.pane or time.hour changed)",
    )
    assert not other.panes.sum(NOON, NOON + DAY).any()
    assert other.versions_us == {"v1": NOON + 59 * MINUTE}
    fill(other, 60, 60)
    expected = other.panes.sum(NOON, NOON + DAY).tolist()
    store.commit({"flights": other}, {"predictions": "120"})
    again = Counting(LAYOUT, other.timing, has_labels=True)
    assert store.load("flights", again) == ()
    assert again.panes.sum(NOON, NOON + DAY).tolist() == expected
    assert again.join.shelf.waiting == other.join.shelf.waiting
    store.close()


def limit_pages(store: Store, pages: int) -> None:
    """What a full disk looks like to SQLite."""
    store._db.execute(f"PRAGMA max_page_count={pages}")


def test_a_failed_commit_loses_nothing(tmp_path: Path) -> None:
    store, counting = Store(tmp_path), build.counting()
    fill(counting, 0, 5)
    store.commit({"flights": counting}, {"predictions": "5"})
    limit_pages(store, 1)  # means: as many as there are
    for first in (5, 605):
        fill(counting, first, 600)
        expected = facts(counting)
        with pytest.raises(StateError) as failed:
            store.commit({"flights": counting}, {"predictions": str(first + 600)})
        assert "got database or disk is full. Choose another directory, or free this one." in str(failed.value)
        assert store.positions() == {"predictions": "5"}
        assert facts(counting) == expected
    limit_pages(store, 100_000)
    store.commit({"flights": counting}, {"predictions": "1205"})
    store.close()
    again, positions, _ = reopened(tmp_path)
    assert facts(again) == expected
    assert positions == {"predictions": "1205"}


def test_a_commit_cut_short_by_any_error_is_undone(tmp_path: Path) -> None:
    store, counting = Store(tmp_path), build.counting()
    fill(counting, 0, 60)
    counting.versions_us[b"bytes"] = 0  # type: ignore[index]
    with pytest.raises(TypeError):
        store.commit({"flights": counting}, {"predictions": "60"})
    del counting.versions_us[b"bytes"]  # type: ignore[arg-type]
    assert store.positions() == {}
    store.commit({"flights": counting}, {"predictions": "60"})
    store.close()
    assert facts(reopened(tmp_path)[0]) == facts(counting)
