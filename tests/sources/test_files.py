"""Which files a source has: patterns that change, finished files, permissions, links; and what is kept of them."""

import errno
import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest
from tests.sources.rotation import LATER, World

from ml_exporter.config import Source
from ml_exporter.sources import follow, handles, newcomers
from ml_exporter.sources.follow import FilePosition, Position


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.stop()


def append(path, content):
    with open(path, "ab") as file:
        file.write(content)


def with_files(world, files, **settings):
    """The same exporter with another pattern, as after a reload."""
    world.settings = Source(files=str(world.folder / files), format=world.kind, **settings)
    world.restart()


def truncate(world):
    os.truncate(world.log, 0)


def truncate_and_go_on(world):
    os.truncate(world.log, 0)
    world.write(30)


def delete(world):
    """A file that is open is read to its end first."""
    world.log.unlink()


def look_for_less(world):
    world.write(path=world.folder / "other.log")
    with_files(world, "other.log")


LOSSES = [
    (truncate, True),
    (truncate_and_go_on, True),
    (delete, True),
    (look_for_less, False),
    (World.copy_truncate, False),
    (World.rotate, False),
]


def test_files_that_appear_and_vanish(world):
    with_files(world, "*.log")
    for name in ("b.log", "a.log", "c.log"):
        world.write(path=world.folder / name)
        world.poll()
    (world.folder / "a.log").unlink()
    world.write(path=world.folder / "b.log")
    world.write(path=world.folder / "d.log")
    world.check()


def test_pattern_that_matches_more_and_less(world):
    """Positions of files that still match are kept; the others are not read on."""
    world.write()
    world.write(path=world.folder / "other.log")
    with_files(world, "*.log")
    world.poll()
    with_files(world, "app.log")
    assert world.tail.outside(world.position) == [str(world.folder / "other.log")]
    world.write()
    world.write(path=world.folder / "other.log")
    world.poll()
    assert len(world.read) == world.number - 5
    assert world.tail.outside(world.position) == []
    assert world.tail.lag(world.position, LATER).bytes == 0
    with_files(world, "*.log")
    world.check()


def test_pattern_that_begins_to_match_the_rotated_files(world):
    """They were not asked for before; what was read of the log is not read again."""
    world.write(path=world.folder / "app.log.1")
    world.write()
    world.poll()
    assert world.read == [5, 6, 7, 8, 9]
    world.shift()
    world.rotate()
    world.write()
    world.poll()
    with_files(world, "app.log*")
    world.check()


def test_pattern_that_no_longer_matches_the_rotated_files(world):
    with_files(world, "app.log*")
    world.write()
    world.poll()
    world.rotate()
    world.write(path=world.folder / "app.log.1")
    with_files(world, "app.log")
    world.write()
    world.check()


def test_rotated_files_from_before_are_not_read(world):
    """Not even when they are renamed, and compressed so that they look new."""
    for number in (1, 2, 3):
        (world.folder / f"app.log.{number}").write_bytes(b'{"id": 1000%d}\n' % number * 9)
    world.write()
    world.poll()
    for _ in range(3):
        world.shift()
        world.rotate()
        world.write()
        for number in (2, 3, 4):
            if (world.folder / f"app.log.{number}").exists():
                world.compress(f"{world.log}.{number}", keeps_time=False)
        world.poll()
    world.check()


def test_other_logs_with_similar_names_are_not_read(world):
    world.write()
    world.poll()
    for name in ("app-1.log", "app.log.json", "app.logs.1", "myapp.log.1", "app.1.log"):
        (world.folder / name).write_bytes(b'{"id": 77777}\n')
    world.rotate()
    world.write()
    world.check()


def test_another_file_with_the_inode_of_an_empty_log_is_not_read(world):
    """Nothing was read of the log, so no content tells it from whatever has its inode after a restart."""
    world.log.touch()
    world.poll()
    world.stop()
    world.log.rename(world.folder / "labels.jsonl-000016")
    append(world.folder / "labels.jsonl-000016", b'{"id": 77777}\n')
    world.write()
    world.start()
    world.check()


@pytest.mark.parametrize("read_before", [False, True])
def test_truncated_between_the_look_and_the_read(world, monkeypatch, read_before):
    """What stands at the place by then is of the next generation."""
    world.write(60)
    if read_before:
        world.poll()
        world.write(60)
    locate = follow.locate

    def look_and_lose(*arguments):
        found = locate(*arguments)
        monkeypatch.undo()
        world.copy_truncate()
        world.write(200)
        return found

    monkeypatch.setattr(follow, "locate", look_and_lose)
    world.check()


def test_complete_files(world):
    with_files(world, "*.jsonl", complete=True)
    path = world.folder / "a.jsonl"
    world.write(3, path, end=-1)
    written = path.stat().st_mtime
    world.poll(written + 1)
    assert world.read == [0, 1]
    world.poll(written + 6)
    assert world.read == [0, 1, 2]
    world.restart()
    world.write(4, world.folder / "b.jsonl", end=-1)
    world.check()


def test_complete_file_whose_rest_comes_after_a_restart(world):
    with_files(world, "*.jsonl", complete=True)
    path = world.folder / "a.jsonl"
    world.write(3, path, end=-1)
    world.poll(path.stat().st_mtime)
    world.restart()
    world.check()


def test_growing_files_wait_for_the_newline(world):
    world.write(3, end=-1)
    world.poll()
    assert world.read == [0, 1]
    append(world.log, b"\n")
    world.check()


def refusing(monkeypatch, refused):
    real = os.open

    def open_(path, *arguments, **keywords):
        if str(path) in refused:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(os, "open", open_)


@pytest.mark.parametrize("restarts", [False, True])
def test_new_log_that_cannot_be_read_at_first(world, monkeypatch, restarts):
    """`chmod` comes after the rename; meanwhile the old file is read to its end."""
    world.write()
    world.poll()
    refused = {str(world.log)}
    refusing(monkeypatch, refused)
    world.write(3)
    world.rotate(create=False)
    world.write(2)
    if restarts:
        world.restart()
    for _ in range(2):
        world.poll()
        assert [problem.split(": ", 1)[1] for problem in world.problems] == [
            "expected a log file that can be read, got Permission denied. Check the file and its permissions."
        ]
    assert len(world.read) == 8
    world.rotate("-20130101", create=False)
    world.write(1)
    world.poll()
    refused.clear()
    world.check()


def test_rotated_file_that_cannot_be_read_at_first(world, monkeypatch):
    world.write()
    world.poll()
    world.stop()
    refused = {f"{world.log}.1"}
    refusing(monkeypatch, refused)
    world.copy_truncate(rows=3)
    world.write(9)
    world.start()
    for _ in range(2):
        world.poll()
        assert len(world.problems) == 1
    assert len(world.read) == 14
    refused.clear()
    world.check()


@pytest.mark.parametrize("mode", ["up", "down"])
def test_symbolic_link_that_is_switched(world, mode):
    """Also back, and to another folder."""
    targets = [world.folder / "a" / "app-a.log", world.folder / "b" / "app-b.log"]
    for target in targets:
        target.parent.mkdir()
        world.write(path=target)
    world.number = 0
    targets[0].write_bytes(world.rows(5))
    targets[1].unlink()
    world.log.symlink_to(targets[0])
    world.poll()
    for turn in range(1, 5):
        if mode == "down":
            world.stop()
        world.write(path=targets[(turn - 1) % 2])
        world.log.unlink()
        world.log.symlink_to(targets[turn % 2])
        world.write(path=targets[turn % 2])
        if mode == "down":
            world.start()
        world.poll()
    world.check()


def test_two_names_of_one_file(world):
    with_files(world, "*.log")
    world.write()
    (world.folder / "current.log").symlink_to("app.log")
    os.link(world.log, world.folder / "hard.log")
    world.check()
    world.write()
    world.check()


def test_folder_that_is_away_for_a_while(world):
    """A volume that is not mounted: what was read is not read again when it is back."""
    folder = world.folder / "logs"
    folder.mkdir()
    world.log = folder / "app.log"
    with_files(world, "logs/app.log")
    world.write()
    world.poll()
    for _ in range(2):
        folder.rename(world.folder / "away")
        world.poll()
        assert "No such file" in world.problems[0]
        world.poll()
        world.restart()
        world.poll()
        (world.folder / "away").rename(folder)
        world.write()
        world.poll()
    world.check()


def test_folder_with_another_name(world):
    """The log is not taken as rotated: its last line waits."""
    folder = world.folder / "logs"
    folder.mkdir()
    world.write(path=folder / "app.log")
    with_files(world, "logs/app.log")
    world.poll()
    folder.rename(world.folder / "data")
    world.log = world.folder / "data" / "app.log"
    with_files(world, "data/app.log")
    world.write(2, end=-1)
    world.poll()
    assert len(world.read) == 6
    append(world.log, b"\n")
    world.check()


def test_finished_files_are_not_kept_open(world, monkeypatch):
    monkeypatch.setattr(handles, "_LARGEST_NUMBER", 10)
    with_files(world, "*.log")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        world.write(1, world.folder / f"{number}.log")
    world.poll()
    assert len(os.listdir("/proc/self/fd")) <= before + 10
    for number in range(0, 50, 7):
        world.write(1, world.folder / f"{number}.log")
    world.check()
    world.stop()
    assert len(os.listdir("/proc/self/fd")) == before
    world.start()


def test_rotation_leaks_no_files_and_the_position_stays_small(world, monkeypatch):
    monkeypatch.setattr(newcomers, "_REMEMBERED_GONE", 4)
    for number in range(60):
        world.write(2)
        world.poll()
        world.shift(3)
        world.rotate()
        if number % 2:
            world.compress(f"{world.log}.1")
        (world.folder / "app.log.4").unlink(missing_ok=True)
        (world.folder / "app.log.4.gz").unlink(missing_ok=True)
        world.poll()
    world.check()
    assert len(world.tail._reader.handles._open) <= 2
    assert len(world.position.files) <= 10


def test_done_files_that_exist_are_remembered_within_a_limit(world, monkeypatch):
    monkeypatch.setattr(newcomers, "_REMEMBERED_DONE", 5)
    world.write()
    world.poll()
    for day in range(10, 30):
        world.write(2)
        world.rotate(f"-201301{day}")
        world.poll()
    world.check()
    assert len(world.position.files) <= 6
    world.restart()
    world.check()


def test_finished_files_that_match_are_never_forgotten(world, monkeypatch):
    """However many there are: a file that is forgotten is a new one."""
    monkeypatch.setattr(newcomers, "_REMEMBERED_DONE", 5)
    with_files(world, "*.jsonl", complete=True)
    for number in range(12):
        world.write(2, world.folder / f"{number:02d}.jsonl")
    for _ in range(3):
        world.poll()
    world.check()


def test_file_that_is_taken_away_and_brought_back(world):
    """It is known by its content, and goes on where it ended."""
    for day in range(10, 14):
        world.write(3)
        world.poll()
        world.rotate(f"-201301{day}")
        world.poll()
    path, away = world.folder / "app.log-20130112", world.folder / "away" / "elsewhere"
    away.parent.mkdir()
    shutil.copy2(path, away)
    path.unlink()
    for _ in range(2):
        world.write(2)
        world.poll()
    world.restart()
    shutil.copy2(away, path)
    world.check()


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("happens", "lost"), LOSSES)
def test_what_is_perhaps_lost_is_told(world, happens, lost, restarts):
    """Once, at the look that finds it; whatever a copy still holds is not."""
    world.write(3)
    world.poll()
    before = world.position
    if restarts:
        world.restart()
    happens(world)
    world.poll()
    lost = lost and (restarts or happens is not delete)
    assert follow.lost(before, world.position) == [str(world.log)] * lost
    before = world.position
    world.write(3)
    world.poll()
    assert follow.lost(before, world.position) == []


@pytest.mark.parametrize(("first", "second"), [("-000007", "-000008"), (".2", ".1"), ("-20130109.1", "-20130110.1")])
def test_rotated_files_of_one_instant_are_read_in_the_order_of_their_names(world, first, second):
    """A clock of files ticks every few milliseconds. Which of two labels came first must not depend on a listing."""
    world.write(3)
    world.poll()
    world.rotate(".9")
    for to in (first, second):
        world.write(2)
        world.rotate(to)
    for to in (second, first):
        world.compress(f"{world.log}{to}")
        os.utime(f"{world.log}{to}.gz", (1.4e9, 1.4e9))
    world.write(2)
    world.restart()
    world.check()
    assert world.read == list(range(world.number))


@pytest.mark.parametrize("truncates", [False, True])
def test_rotation_after_the_clock_was_set_back(world, truncates):
    """Times of files tell nothing of what was read."""
    world.write(3)
    world.poll()
    world.stop()
    world.write(3)
    for day in ("10", "11"):
        world.copy_truncate(f"-201301{day}") if truncates else world.rotate(f"-201301{day}")
        os.utime(world.folder / f"app.log-201301{day}", (1e9, 1e9))
        world.write(2)
    world.start()
    world.check()


def test_position_of_the_first_release(world):
    """Without marks and all that came later."""
    world.write()
    world.poll()
    kept = ("path", "device", "inode", "signature", "signed", "offset", "skipping", "rotated", "done")
    files = [{key: item[key] for key in kept} for item in msgspec.to_builtins(world.position)["files"]]
    old = json.loads(json.dumps({"files": files}))
    world.position = msgspec.convert(old, Position)
    assert world.position.files[0].mark == ""
    world.stop()
    world.write()
    world.rotate()
    world.compress(f"{world.log}.1")
    world.write()
    world.start()
    world.check()


def test_position_of_the_first_release_with_a_short_signature(world):
    """It covered what was read; now it covers what is there."""
    world.write(2)
    status = os.stat(world.log)
    from ml_exporter.sources.contents import digest  # noqa: PLC0415

    head = world.log.read_bytes()
    world.read = [0, 1]
    world.position = Position(
        (FilePosition(str(world.log), status.st_dev, status.st_ino, digest(head), len(head), len(head)),)
    )
    world.write(3)
    world.check()


def test_backup_of_the_log_is_no_copy_of_rotation(world):
    """Somebody copies the log, and the log goes on: nothing twice, nothing lost."""
    with_files(world, "app.log*")
    world.write()
    world.poll()
    shutil.copy2(world.log, world.folder / "app.log.bak")
    for _ in range(3):
        world.write()
        world.poll()
    world.restart()
    world.check()


def test_same_first_rows_in_different_logs(world):
    """Two services whose logs begin alike are two logs, also where one has the name of a rotated file."""
    with_files(world, "app.log*")
    same = world.rows(2)
    world.log.write_bytes(same)
    (world.folder / "app.log.2").write_bytes(same)
    world.poll()
    world.write(3)
    world.write(3, world.folder / "app.log.2")
    world.poll()
    assert sorted(set(world.read)) == list(range(world.number))
    assert Path(world.position.files[0].path) == world.log
