"""Gzip files as logs: whole, of several members, growing, cut off and corrupt."""

import gzip
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.rotation import LATER, World

from ml_exporter.sources import contents, follow
from ml_exporter.sources.contents import Gzip


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path, files="app*.gz")
    yield world
    world.stop()


def archive(world, name, *counts):
    """A gzip file with a member for each count of rows."""
    path = world.folder / name
    path.write_bytes(b"".join(gzip.compress(world.rows(count)) for count in counts))
    return path


def test_finished_archives(world):
    archive(world, "app-1.gz", 5)
    archive(world, "app-2.gz", 3, 0, 4, 1)
    world.poll(0.0)
    assert world.read == list(range(13))
    archive(world, "app-3.gz", 2)
    world.check()
    world.restart()
    world.check()
    assert all(file.done for file in world.position.files)
    assert not world.tail._reader.handles._open


def test_a_last_line_without_newline_counts_at_once(world):
    """A gzip file says itself that it is whole."""
    (world.folder / "app.gz").write_bytes(gzip.compress(world.rows(3)[:-1]))
    world.poll(0.0)
    assert world.read == [0, 1, 2]
    world.check()


def test_gzip_by_its_bytes(tmp_path):
    world = World(tmp_path)
    world.log.write_bytes(gzip.compress(world.rows(4)))
    world.check()
    world.stop()


def test_padding_behind_the_last_member(world):
    path = archive(world, "app.gz", 4)
    with path.open("ab") as file:
        file.write(bytes(512))
    world.check()


@pytest.mark.parametrize("cut", [1, 8, 20, 60])
def test_cut_off_archive_is_said_and_read_on_when_it_is_whole(world, cut):
    whole = archive(world, "app-1.gz", 2000).read_bytes()
    archive(world, "app-2.gz", 3)
    path = world.folder / "app-1.gz"
    path.write_bytes(whole[: len(whole) - cut * 20])
    os.utime(path, (1000, 1000))
    world.poll(1010.0)
    assert world.problems == []  # it may still be written
    read = len(world.read)
    assert read < 2003
    assert set(world.read) >= {2000, 2001, 2002}
    for _ in range(2):
        world.poll(1100.0)
        assert len(world.problems) == 1
        assert "app-1.gz: expected a whole gzip file, got one that ends early. Replace" in world.problems[0]
    assert len(world.read) == read
    world.restart()
    world.poll(1100.0)
    assert len(world.problems) == 1
    path.write_bytes(whole)
    world.check()


def test_corrupt_archive(world):
    good = archive(world, "app-1.gz", 3000).read_bytes()
    archive(world, "app-2.gz", 3)
    bad = bytearray(good)
    bad[len(bad) // 2 : len(bad) // 2 + 40] = b"\xff" * 40
    (world.folder / "app-1.gz").write_bytes(bad)
    os.utime(world.folder / "app-1.gz", (1000, 1000))
    world.poll(0.0)
    assert len(world.problems) == 1
    assert "expected a whole gzip file, got " in world.problems[0]
    assert {3000, 3001, 3002} <= set(world.read)
    assert sorted(world.read) == sorted(set(world.read))
    world.poll()
    assert len(world.problems) == 1
    (world.folder / "app-1.gz").write_bytes(good)
    os.utime(world.folder / "app-1.gz")  # another time, however quick this test is
    world.poll()
    world.check()


def test_no_archive_at_all(world):
    (world.folder / "app.gz").write_bytes(b'{"id": 1}\n')
    world.poll()
    assert "app.gz: expected a whole gzip file, got Error -3" in world.problems[0]
    (world.folder / "app.gz").unlink()
    archive(world, "app.gz", 3)
    world.check()


def test_empty_archive_waits(world):
    (world.folder / "app.gz").touch()
    world.poll(0.0)
    assert (world.problems, world.read) == ([], [])
    archive(world, "app.gz", 3)
    world.check()


def test_archive_that_grows_by_members_and_flushes(world):
    """As a writer does who keeps a gzip file open."""
    with gzip.open(world.folder / "app.gz", "wb") as file:
        for count in (3, 2):
            file.write(world.rows(count))
            file.flush()
            world.poll(0.0)
            assert len(world.read) == world.number
    with gzip.open(world.folder / "app.gz", "ab") as file:
        file.write(world.rows(4))
    world.check()


def test_large_archive_comes_in_chunks(world, monkeypatch):
    monkeypatch.setattr(follow, "_SMALLEST_CHUNK_BYTES", 1 << 16)
    archive(world, "app.gz", 9000, 1, 5000)
    sizes = []
    real = Gzip.read

    def read(self, offset, size):
        found = real(self, offset, size)
        sizes.append(len(self._buffer))
        return found

    monkeypatch.setattr(Gzip, "read", read)
    world.check()
    assert max(sizes) <= (1 << 20) + contents._OUTPUT_BYTES + world.settings.max_line_bytes


def test_interrupted_in_an_archive(world, monkeypatch):
    """Reading goes on at the same place of the decompressed bytes."""
    monkeypatch.setattr(follow, "_SMALLEST_CHUNK_BYTES", 1 << 15)
    monkeypatch.setattr(follow, "_LARGEST_CHUNK_BYTES", 1 << 15)
    world.settings = type(world.settings)(files=world.settings.files, max_line_bytes=1000)
    world.restart()
    path = archive(world, "app-1.gz", 3000)
    for _ in range(3):
        world.poll_once()
        world.restart()
    assert 0 < len(world.read) < 3000
    path.rename(world.folder / "app-7.gz")
    world.check()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 400))))
def test_content_of_any_members_at_any_place(tmp_path_factory, members, places):
    path = tmp_path_factory.mktemp("gz") / "a.gz"
    path.write_bytes(b"".join(gzip.compress(member) for member in members))
    whole = b"".join(members)
    with contents.opened(str(path)) as content:
        for offset, size in places:
            assert content.read(offset, size) == whole[offset : offset + size]
        content.read(0, len(whole) + 1)
        assert content.whole == bool(members)


def test_much_output_of_little_input(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"x" * 5_000_000))
    with contents.opened(str(path)) as content:
        assert len(content.read(0, 6_000_000)) == 5_000_000
        assert content.whole


def test_lag_of_archives(world):
    path = archive(world, "app.gz", 50)
    size = path.stat().st_size
    assert world.tail.lag(world.position, LATER).bytes == size
    world.poll()
    assert world.tail.lag(world.position, LATER).bytes == 0
