"""A state that is damaged, vanished or cannot be written: set aside or written again, and never a wrong number."""

import os
import random
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

import pytest
from tests import build
from tests.test_store import facts, fill

from ml_exporter.counting import Counting
from ml_exporter.errors import StateError
from ml_exporter.join import shelf
from ml_exporter.store import FILE, DamagedError, Store, checking, files, opening
from ml_exporter.store.checking import Checker
from ml_exporter.store.files import FOLDER, PAGE, read_header

NOBODY = 65534


@pytest.fixture(autouse=True)
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "FLUSH_ROWS", 110)


def written(directory: Path, commits: int = 7) -> tuple[Store, Counting]:
    """A store with runs and a journal, still open."""
    store, counting = Store(directory), build.counting()
    for commit in range(commits):
        fill(counting, commit * 60, 60)
        store.commit({"flights": counting}, {"predictions": str(commit)})
    assert counting.join.shelf.runs
    return store, counting


def found_in(directory: Path) -> dict[str, object]:
    """What a new process finds."""
    store, counting = Store(directory), build.counting()
    assert store.load("flights", counting) == ()
    found = facts(counting) | {"positions": dict(store.positions()), "damaged": store.damaged}
    store.close()
    return found


def expected(counting: Counting, damaged: int = 0, commits: int = 7) -> dict[str, object]:
    return facts(counting) | {"positions": {"predictions": str(commits - 1)}, "damaged": damaged}


def aside(directory: Path) -> Path:
    """The one state that was set aside."""
    (folder,) = directory.glob("damaged-*")
    return folder


# at the start


def test_what_is_no_state_is_set_aside_with_its_runs(tmp_path: Path) -> None:
    written(tmp_path)[0].close()
    runs = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    store, counting = Store(tmp_path), build.counting()
    assert "expected an undamaged state, got file is not a database" in store.notes[0]
    assert store.notes[0].endswith(f"It was set aside as {aside(tmp_path).name}.")
    assert (aside(tmp_path) / FILE).read_bytes() == b"not a database" * 100
    assert sorted(path.name for path in aside(tmp_path).glob("*.run")) == runs
    assert list((tmp_path / FOLDER).iterdir()) == []
    assert (store.load("flights", counting), store.positions(), store.damaged) == ((), {}, 1)
    fill(counting, 0, 60)
    store.commit({"flights": counting}, {"predictions": "0"})
    store.close()
    assert found_in(tmp_path) == expected(counting, damaged=1, commits=1)


def test_whatever_byte_is_damaged_no_number_is_wrong(tmp_path: Path) -> None:
    """The state is as it was, or it is set aside as a whole, or the runs from a damaged one on are given up."""
    store, counting = written(tmp_path / "state")
    store.close()
    whole, draw, outcomes = expected(counting), random.Random(3), set()
    for number in range(60):
        directory = tmp_path / str(number)
        shutil.copytree(tmp_path / "state", directory)
        content = bytearray((directory / FILE).read_bytes())
        for _ in range(draw.choice((1, 1, 20))):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (directory / FILE).write_bytes(content)
        with suppress(StateError):  # such as a newer format
            store = Store(directory)
            again = build.counting()
            try:
                store.load("flights", again)
                found = facts(again) | {"positions": dict(store.positions()), "damaged": store.damaged}
                assert found == whole or store.damaged, number
                outcomes.add("damaged at once" if store.damaged else "whole")
            except DamagedError as error:
                store.start_afresh(error, {})
                assert (store.load("flights", build.counting()), store.positions(), store.damaged) == ((), {}, 1)
                outcomes.add("set aside")
            store.close()
    assert {"whole", "set aside"} <= outcomes


def test_two_damaged_states_get_two_names(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / FILE).write_bytes(b"nothing of ours" * number)
        store = Store(tmp_path)
        assert store.damaged == number
        store.close()


@pytest.mark.parametrize("damage", ["header", "short", "gone"])
def test_a_damaged_run_goes_with_all_older_ones(damage: str, tmp_path: Path) -> None:
    """Older runs hold versions of the same predictions that the damaged one overrides."""
    store, counting = written(tmp_path, commits=20)
    runs = list(counting.join.shelf.runs)
    store.close()
    assert len(runs) >= 3
    path = tmp_path / FOLDER / f"{runs[1].number:08d}.run"
    if damage == "header":
        path.write_bytes(b"x" * 20 + path.read_bytes()[20:])
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:6000])
    else:
        path.unlink()
    store, again = Store(tmp_path), build.counting()
    reset = store.load("flights", again)
    assert len(reset) == 1
    assert reset[0].startswith(f"waiting predictions ({path}: expected an undamaged run, got ")
    assert [run.number for run in again.join.shelf.runs] == [run.number for run in runs[2:]]
    assert again.dropped == sum(run.waiting for run in runs[:2])
    assert store.damaged == (1 if damage == "gone" else 2)
    assert (
        again.panes.sum(build.NOON, build.NOON + build.DAY).tolist()
        == counting.panes.sum(build.NOON, build.NOON + build.DAY).tolist()
    )
    fill(again, 1200, 60)
    store.commit({"flights": again}, {"predictions": "x"})
    store.close()
    again, store = build.counting(), Store(tmp_path)
    assert store.load("flights", again) == ()
    store.close()


def flipped(path: Path, draw: random.Random) -> None:
    """Changes one bit of what a run holds: neither of its header, nor of what lies between two columns."""
    start, size, _ = draw.choice(read_header(path.read_bytes()[:PAGE])["checksums"])
    with path.open("r+b") as file:
        file.seek(start + draw.randrange(size))
        octet = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([octet ^ 1 << draw.randrange(8)]))


def checked(store: Store) -> None:
    """Waits for what the thread of merges and checks was given to do."""
    merger = store._merger
    wait([job for job in (merger._check, merger._merge and merger._merge.rows) if job])


@pytest.mark.parametrize("seed", range(3))
def test_a_bit_of_a_run_that_changes_is_noticed(seed: int, tmp_path: Path) -> None:
    """The run and all older ones are set aside, counted and told; what is younger goes on."""
    store, counting = written(tmp_path, commits=20)
    runs = list(counting.join.shelf.runs)
    store.close()
    store, again = Store(tmp_path), build.counting()
    flipped(tmp_path / FOLDER / f"{runs[1].number:08d}.run", random.Random(seed))
    assert store.load("flights", again) == ()
    store.commit({"flights": again}, {"predictions": "x"})
    checked(store)
    store.commit({"flights": again}, {"predictions": "x"})
    assert [run.number for run in again.join.shelf.runs] == [run.number for run in runs[2:]]
    assert again.dropped == sum(run.waiting for run in runs[:2])
    assert store.damaged == 2
    assert len(store.notes) == 1
    assert "expected an undamaged run, got another checksum" in store.notes[0]
    store.close()
    store, again = Store(tmp_path), build.counting()
    assert store.load("flights", again) == ()
    assert [run.number for run in again.join.shelf.runs] == [run.number for run in runs[2:]]
    store.close()


def test_a_damaged_run_is_not_merged(tmp_path: Path) -> None:
    """Else what is damaged would get a checksum that fits."""
    store, counting = written(tmp_path)
    checker = store._merger.checker
    flipped(tmp_path / FOLDER / f"{counting.join.shelf.runs[0].number:08d}.run", random.Random(1))
    for commit in range(7, 60):
        fill(counting, commit * 60, 60)
        store.commit({"flights": counting}, {"predictions": str(commit)})
        checked(store)
        if store.damaged:
            break
    assert store.damaged
    assert counting.dropped > 0
    assert checker.check(run.number for run in counting.join.shelf.runs)
    store.close()


def test_a_run_of_before_the_checksums_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(files._Writer, "_checksums", lambda _: [])
        store, counting = written(tmp_path)
        store.close()
    assert found_in(tmp_path) == expected(counting)
    assert Checker(tmp_path, Event()).check(run.number for run in counting.join.shelf.runs)


def test_a_run_is_read_again_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, counting = written(tmp_path)
    store.close()
    runs, now = counting.join.shelf.runs, [0.0]
    monkeypatch.setattr(checking.time, "monotonic", lambda: now[0])
    checker = Checker(tmp_path, Event())
    checker.add(runs[:1])
    assert checker.due(runs) == [runs[0].number], "the others were just written"
    now[0] = checking.EVERY_SECONDS - 1
    assert checker.due(runs) == []
    now[0] += 1
    assert checker.due(runs[1:]) == [run.number for run in runs[1:]]
    assert checker.due(runs) == []


# while running


def test_a_file_that_is_damaged_while_running_is_set_aside_and_written_again(tmp_path: Path) -> None:
    store, counting = written(tmp_path)
    with (tmp_path / FILE).open("r+b") as file:
        file.write(os.urandom(os.path.getsize(tmp_path / FILE)))
    (tmp_path / f"{FILE}-wal").write_bytes(b"")
    store._db.execute("PRAGMA shrink_memory")  # so that its pages are read again
    fill(counting, 420, 60)
    store.commit({"flights": counting}, {"predictions": "7"})
    assert "It was set aside as damaged-" in store.notes[0]
    fill(counting, 480, 60)
    store.commit({"flights": counting}, {"predictions": "8"})
    store.close()
    assert found_in(tmp_path) == expected(counting, damaged=1, commits=9)
    kept = {path.name for path in aside(tmp_path).glob("*.run")}
    assert kept, "the runs it names have a second name there"


@pytest.mark.parametrize("vanished", ["everything", "database", "runs"])
def test_what_vanishes_while_running_is_written_again(vanished: str, tmp_path: Path) -> None:
    store, counting = written(tmp_path / "state")
    if vanished == "everything":
        shutil.rmtree(tmp_path / "state")
    elif vanished == "database":
        for path in (tmp_path / "state").glob(f"{FILE}*"):
            path.unlink()
    else:
        shutil.rmtree(tmp_path / "state" / FOLDER)
        (tmp_path / "state" / FILE).unlink()
    for commit in (7, 8, 9):
        fill(counting, commit * 60, 60)
        store.commit({"flights": counting}, {"predictions": str(commit)})
    assert store.notes == [f"{tmp_path / 'state' / FILE} vanished. It is written again."]
    store.close()
    assert found_in(tmp_path / "state") == expected(counting, commits=10)


# what cannot be written


def in_child(check: Callable[[], None], user: int | None = None) -> None:
    """Runs a check in a process of its own, as another user where root would be allowed everything."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if user is not None and os.getuid() == 0:
                os.setuid(user)
            check()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def folder_of(user: int) -> Iterator[Path]:
    """A folder that another user can reach."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        state = Path(name) / "state"
        state.mkdir()
        if os.getuid() == 0:
            os.chown(state, user, user)
        yield state


def give(directory: Path, mode: int, user: int) -> None:
    """Sets owner and permissions of everything in a directory."""
    for path in (directory, *directory.rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o666)
        if os.getuid() == 0:
            os.chown(path, user, user)


def test_a_directory_that_cannot_be_written_is_read_and_written_later() -> None:
    with folder_of(NOBODY) as directory:
        store, counting = written(directory)
        store.close()
        give(directory, 0o500, NOBODY)

        def check() -> None:
            store, again = Store(directory), build.counting()
            assert "expected a state directory that can be written" in store.notes[0]
            assert store.notes[0].endswith("Until then what is there is read, and nothing is written.")
            assert store.load("flights", again) == ()
            assert facts(again) == facts(counting)
            fill(again, 420, 60)
            for _ in range(2):
                with pytest.raises(StateError, match="expected a state directory that can be written"):
                    store.commit({"flights": again}, {"predictions": "7"})
            for path in (directory, *directory.rglob("*")):
                path.chmod(0o700)
            store.commit({"flights": again}, {"predictions": "7"})
            assert store.notes[1] == f"{directory} can be written."
            store.close()
            assert found_in(directory) == expected(again, commits=8)

        in_child(check, NOBODY)


def test_a_directory_that_somebody_else_wrote_in_between_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)[0].close()
    real = opening._opened
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY

    def read_only(directory: Path) -> sqlite3.Connection:
        if directory == tmp_path:
            raise error
        return real(directory)

    monkeypatch.setattr(opening, "_opened", read_only)
    store, counting = Store(tmp_path), build.counting()
    store.load("flights", counting)
    monkeypatch.undo()
    other = Store(tmp_path)
    other.commit({}, {"predictions": "other"})
    other.close()
    with pytest.raises(StateError, match="one that somebody else wrote since it was read"):
        store.commit({"flights": counting}, {"predictions": "mine"})
    store.close()
    again = Store(tmp_path)
    assert again.positions() == {"predictions": "other"}
    again.close()


def test_a_new_directory_that_cannot_be_written_is_refused() -> None:
    with folder_of(NOBODY) as directory:
        give(directory, 0o500, NOBODY)

        def check() -> None:
            with pytest.raises(StateError, match="expected a state directory that can be written, got"):
                Store(directory)
            with pytest.raises(StateError, match="Permission denied"):
                Store(directory / "below")

        in_child(check, NOBODY)


@contextmanager
def small_disk(directory: Path) -> Iterator[Callable[[bool], None]]:
    """A function that fills the disk below a directory, and frees it.

    A small file system in memory where this process may mount one; else no file may grow any more.
    """
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)]
    mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    ballast = directory / "ballast"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(full: bool) -> None:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096 if full else soft, hard))
        elif full:
            with suppress(OSError), ballast.open("ab", buffering=0) as file:
                while file.write(bytes(1024)):
                    pass
        else:
            ballast.unlink()

    try:
        yield fill_up
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing_and_recovers_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as fill_up:
        directory = tmp_path / "disk" / "state"
        store, counting = written(directory)
        fill_up(True)
        for commit in (7, 8, 9):
            fill(counting, commit * 60, 60)
            with pytest.raises(StateError, match="expected a state directory that can be written, got"):
                store.commit({"flights": counting}, {"predictions": str(commit)})
        assert len(counting.join.shelf.runs) == len(list((directory / FOLDER).glob("*.run"))), "no half run stays"
        again = facts(counting)
        fill_up(False)
        store.commit({"flights": counting}, {"predictions": "9"})
        assert facts(counting) == again
        store.close()
        assert found_in(directory) == expected(counting, commits=10)


def test_a_full_disk_at_the_start_is_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as fill_up:
        directory = tmp_path / "disk" / "state"
        store, counting = written(directory)
        store.close()
        fill_up(True)
        store, again = Store(directory), build.counting()
        assert store.load("flights", again) == ()
        assert facts(again) == facts(counting)
        fill(again, 420, 600)
        with pytest.raises(StateError, match="expected a state directory that can be written, got"):
            store.commit({"flights": again}, {"predictions": "7"})
        fill_up(True)
        with pytest.raises(StateError, match="expected a state directory that can be written, got"):
            Store(tmp_path / "disk" / "new")
        fill_up(False)
        store.commit({"flights": again}, {"predictions": "7"})
        store.close()
        assert found_in(directory) == expected(again, commits=8)


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    here = os.path.realpath(tmp_path)
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:4 / {here} rw - nfs4 host:/ rw\n")
    monkeypatch.setattr(opening, "_MOUNTS", mounts)
    with pytest.raises(StateError) as refused:
        Store(tmp_path / "state")
    assert str(refused.value) == (
        f"{tmp_path / 'state'}: expected a local file system, got nfs4. Choose a directory on a local disk."
    )
    assert not (tmp_path / "state").exists()
    mounts.unlink()
    Store(tmp_path / "state").close()
