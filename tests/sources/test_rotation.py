"""Every kind of rotation, with the exporter up, down, and restarted in the midst of it: each row exactly once."""

import os
import shutil

import pytest
from tests.sources.rotation import World

SCENARIOS = {}


def scenario(function):
    """A generator that pauses wherever the exporter may look."""
    SCENARIOS[function.__name__] = function
    return function


@scenario
def rename_and_create(world):
    world.write()
    world.rotate()
    yield
    world.write()
    yield


@scenario
def rename_and_late_rows(world):
    """The writer keeps the renamed file open for a while."""
    world.rotate()
    yield
    world.write(path=world.folder / "app.log.1")
    world.write()
    yield


@scenario
def several_rotations(world):
    for _ in range(4):
        world.write()
        world.shift()
        world.rotate()
        yield
    world.write()


@scenario
def several_dated_rotations(world):
    for day in range(4):
        world.write()
        world.rotate(f"-2013010{day}")
        yield
        world.write(2)
        yield


@scenario
def dated_names_of_other_kinds(world):
    for to in (".2013-01-01", ".2013-01-02_13", "-20130103-1357280000", ".2013-01-04T05:06:07.123"):
        world.write()
        world.rotate(to)
        yield
    world.write()


@scenario
def names_that_keep_the_extension(world):
    for to in ("app-20130101.log", "app-2013-01-05T13-04-05.000.log"):
        world.write()
        world.log.rename(world.folder / to)
        world.log.touch()
        yield
    world.write()


@scenario
def numbered_before_the_extension(world):
    """One rotation while down: such a name may also be another log's, so only what was read in part is found."""
    world.write()
    world.log.rename(world.folder / "app.1.log")
    world.write()
    yield


@scenario
def rename_and_no_new_log_yet(world):
    world.write()
    world.rotate(create=False)
    yield
    world.write()
    yield


@scenario
def last_line_without_newline(world):
    world.write(3)
    world.write(1, end=-1)
    world.rotate()
    yield
    world.write()


@scenario
def compressed_at_once(world):
    world.write()
    world.rotate()
    yield
    world.compress(f"{world.log}.1")
    yield
    world.write()


@scenario
def compressed_several_times(world):
    for _ in range(3):
        world.write()
        world.shift()
        world.rotate()
        world.compress(f"{world.log}.1")
        yield
    world.write()


@scenario
def compressed_with_dates(world):
    for day in range(3):
        world.write()
        world.rotate(f"-2013010{day}")
        world.write(2)
        yield
        world.compress(f"{world.log}-2013010{day}")
        yield


@scenario
def compressed_later(world):
    """`delaycompress`: what was read is compressed at the next rotation."""
    for _ in range(3):
        world.write()
        world.shift()
        world.rotate()
        world.write(1)
        if (world.folder / "app.log.2").exists():
            world.compress(f"{world.log}.2")
        yield


@scenario
def compressed_without_its_time(world):
    """The gzip file looks new. What it holds is not."""
    world.write()
    world.rotate()
    world.write()
    yield
    world.shift()
    world.compress(f"{world.log}.2", keeps_time=False)
    world.rotate()
    yield
    world.write()


@scenario
def compressed_beside_the_original(world):
    """Between these looks both exist."""
    world.write()
    world.rotate()
    world.compress(f"{world.log}.1", removes=False)
    yield
    (world.folder / "app.log.1").unlink()
    yield
    world.write()


@scenario
def copytruncate(world):
    world.copy_truncate()
    yield
    world.write()
    yield


@scenario
def copytruncate_with_unread_rows(world):
    world.copy_truncate(rows=4)
    yield
    world.write()
    yield


@scenario
def copytruncate_and_more_than_before(world):
    world.copy_truncate(rows=4)
    world.write(100)
    yield


@scenario
def copytruncate_compressed(world):
    world.copy_truncate(rows=4)
    world.compress(f"{world.log}.1")
    world.write()
    yield


@scenario
def copytruncate_step_by_step(world):
    """The copy grows; the log is truncated only later."""
    world.write()
    content = world.log.read_bytes()
    for size in (0, len(content) // 3, len(content)):
        (world.folder / "app.log.1").write_bytes(content[:size])
        yield
    os.truncate(world.log, 0)
    yield
    world.write(2)
    yield


@scenario
def copytruncate_several_times(world):
    for _ in range(3):
        world.shift()
        world.copy_truncate(rows=3)
        yield "look"  # each copy is found while its log is the last one
        world.write(20)
        yield


@scenario
def copytruncate_under_a_writer_that_keeps_its_place(world):
    with open(world.log, "r+b") as writer:
        for _ in range(2):
            writer.seek(0, os.SEEK_END)
            writer.write(world.rows(3))
            writer.flush()
            place = writer.tell()
            world.shift()
            shutil.copy2(world.log, f"{world.log}.1")
            os.truncate(world.log, 0)
            yield "look"
            writer.seek(place)
            writer.write(world.rows(4))
            writer.flush()
            assert world.log.read_bytes().startswith(b"\0" * 10)
            yield


@scenario
def truncated_and_regrown(world):
    os.truncate(world.log, 0)
    world.write(40)
    yield


@scenario
def deleted_and_recreated(world):
    """The file system gives the same inode at once."""
    world.log.unlink()
    world.write(40)
    yield


@scenario
def replaced_by_other_rows(world):
    other = world.folder / "new.tmp"
    world.write(30, path=other)
    os.replace(other, world.log)
    yield
    world.write()


@scenario
def replaced_by_the_same_and_more(world):
    """As rsync does with a log that grows elsewhere."""
    for _ in range(3):
        other = world.folder / ".app.log.Xy12"
        shutil.copy2(world.log, other)
        world.write(path=other)
        os.replace(other, world.log)
        yield


@scenario
def rotated_into_a_folder(world):
    world.write()
    (world.folder / "old").mkdir()
    world.log.rename(world.folder / "old" / "app.log.1")
    world.write()
    yield


@scenario
def moved_to_a_name_of_no_kind(world):
    world.write()
    world.log.rename(world.folder / "unlike")
    world.write()
    yield


@scenario
def rotated_and_back(world):
    """Somebody undoes a rotation."""
    world.write()
    world.log.rename(world.folder / "app.log.1")
    yield
    (world.folder / "app.log.1").rename(world.log)
    yield
    world.write()


@scenario
def the_oldest_is_deleted(world):
    for number in range(5):
        world.write()
        world.shift(2)
        world.rotate()
        (world.folder / "app.log.3").unlink(missing_ok=True)
        yield "look" if number % 2 else None


def drive(world, steps, mode):
    """Run a scenario. The exporter looks at every pause, only at the end, or is restarted for each look."""
    if mode == "down":
        world.stop()
    for pause in steps:
        if mode == "down" and pause == "look":
            world.start()
            world.poll()
            world.stop()
        elif mode == "up" or (mode == "between two looks" and pause == "look"):
            world.poll()
        elif mode == "restarted":
            world.restart()
            world.poll()
    if mode == "down":
        world.start()


@pytest.mark.parametrize("mode", ["up", "between two looks", "down", "restarted"])
@pytest.mark.parametrize("files", ["app.log", "app.log*"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_row_once(tmp_path, name, kind, files, mode):
    world = World(tmp_path, kind, files)
    world.write(8)
    world.poll()
    drive(world, SCENARIOS[name](world), mode)
    world.check()
    world.restart()
    world.check()
    world.stop()
