"""Following files: every way in which a log is rotated, cut at any place, gives each line exactly once."""

import gzip
import itertools
import os
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.config import Source
from ml_exporter.records import Field, Stream
from ml_exporter.sources import follow
from ml_exporter.sources.follow import ROTATION_GRACE_SECONDS, Handles, Position, SourceError, chunks, lag
from ml_exporter.sources.tail import Tail, Workers

STREAMS = (Stream("flights", "labels", (Field("id", ("id",), "id", True),)),)
LATER = 4e9
"""A clock at which every file has rested."""


class Reader:
    """Polls a source, keeps its position as JSON between polls, and collects the lines."""

    def __init__(self, files, limit=1000):
        self.settings = Source(files=str(files), max_line_bytes=limit)
        self.handles = Handles()
        self.position = Position()
        self.lines = []

    def poll(self, now=LATER):
        try:
            for chunk, position in chunks(self.settings, self.position, self.handles, now):
                assert not chunk.content or chunk.offset >= 0
                self.lines += [line for line in chunk.content.split(b"\n") if line]
                self.position = msgspec.json.decode(msgspec.json.encode(position), type=Position)
        finally:
            lines, self.lines = self.lines, []
            self.seen = lines
        return lines

    def restart(self):
        self.handles.close()
        self.handles = Handles()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "app.log"


@pytest.fixture
def reader(log):
    reader = Reader(log)
    yield reader
    reader.handles.close()


def append(path, content):
    with open(path, "ab") as file:
        file.write(content)


def test_append(log, reader):
    append(log, b"a\nb\n")
    assert reader.poll() == [b"a", b"b"]
    assert reader.poll() == []
    append(log, b"c\n")
    assert reader.poll() == [b"c"]


def test_partial_line_waits(log, reader):
    append(log, b"a\nhal")
    assert reader.poll() == [b"a"]
    assert reader.poll() == []
    append(log, b"f")
    assert reader.poll() == []
    append(log, b"\n")
    assert reader.poll() == [b"half"]


def test_rename_and_create_reads_the_old_file_to_its_end(log, reader):
    append(log, b"a\n")
    assert reader.poll() == [b"a"]
    append(log, b"b\n")
    log.rename(f"{log}.1")
    append(log, b"c\n")
    assert reader.poll() == [b"b", b"c"]
    assert reader.poll() == []
    assert [file.path for file in reader.position.files if not file.done] == [str(log)]


def test_writer_keeps_the_renamed_file_open(log, reader):
    """Until it has rested, a rotated file is read on, and its last line waits."""
    append(log, b"a\n")
    reader.poll()
    log.rename(f"{log}.1")
    append(log, b"new\n")
    written = os.stat(f"{log}.1").st_mtime
    assert reader.poll(written) == [b"new"]
    append(f"{log}.1", b"b\nhal")
    assert reader.poll(written) == [b"b"]
    append(f"{log}.1", b"f")
    written = os.stat(f"{log}.1").st_mtime
    assert reader.poll(written + ROTATION_GRACE_SECONDS - 1) == []
    assert reader.poll(written + ROTATION_GRACE_SECONDS + 1) == [b"half"]
    assert reader.poll() == []
    assert [file.path for file in reader.position.files if not file.done] == [str(log)]


@pytest.mark.parametrize("name", ["../elsewhere.log", "unlike"])
def test_moved_to_another_name_while_running(tmp_path, reader, name):
    log = tmp_path / "app.log"
    append(log, b"a\n")
    reader.poll()
    append(log, b"b\nc")
    log.rename(tmp_path / name)
    append(log, b"d\n")
    assert reader.poll() == [b"b", b"c", b"d"]


def test_deleted_while_running(log, reader):
    append(log, b"a\n")
    reader.poll()
    append(log, b"b\nc")
    log.unlink()
    with pytest.raises(SourceError, match="can be read"):
        reader.poll()
    assert reader.seen == [b"b", b"c"]
    append(log, b"d\n")
    assert reader.poll() == [b"d"]


def test_compressed_at_once(log, reader):
    append(log, b"a\n")
    reader.poll()
    append(log, b"b\n")
    Path(f"{log}.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    append(log, b"c\n")
    assert reader.poll() == [b"b", b"c"]


def test_rotated_several_times_while_down(log, reader):
    append(log, b"a\n")
    reader.poll()
    reader.restart()
    append(log, b"b\n")
    log.rename(f"{log}.1")
    os.rename(f"{log}.1", f"{log}.2")
    append(log, b"c\n")
    assert reader.poll() == [b"b", b"c"]
    reader.restart()
    assert reader.poll() == []


def test_restart_in_the_grace_of_a_rotated_file(log, reader):
    append(log, b"a\n")
    reader.poll()
    log.rename(f"{log}.1")
    append(log, b"new\n")
    assert reader.poll(0) == [b"new"]
    reader.restart()
    os.rename(f"{log}.1", f"{log}.2")
    append(f"{log}.2", b"b\n")
    assert reader.poll() == [b"b"]


def test_copy_and_truncate(log, reader):
    append(log, b"a\nb\n")
    assert reader.poll() == [b"a", b"b"]
    Path(f"{log}.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    assert reader.poll() == []
    append(log, b"c\n")
    assert reader.poll() == [b"c"]


def test_truncated_and_longer_again(log, reader):
    append(log, b"a\nb\n")
    reader.poll()
    os.truncate(log, 0)
    append(log, b"other\nlines\n")
    assert reader.poll() == [b"other", b"lines"]


@pytest.mark.parametrize("restarts", [False, True])
def test_hole_of_a_writer_that_keeps_its_place(log, reader, restarts):
    with open(log, "wb") as writer:
        writer.write(b"first\n" * 300)
        writer.flush()
        assert len(reader.poll()) == 300
        os.truncate(log, 0)
        if restarts:
            reader.restart()
        writer.write(b"a\nb\n")
        writer.flush()
    assert log.read_bytes().startswith(b"\0" * 1800)
    assert reader.poll() == [b"a", b"b"]


def test_reserved_space_is_not_skipped(log, reader):
    with open(log, "wb") as writer:
        writer.write(b"a\n" + bytes(5000))
        writer.flush()
        assert reader.poll() == [b"a"]
        writer.seek(2)
        writer.write(b"b\n")
    assert reader.poll() == [b"b"]


def test_inode_is_used_again(log, reader):
    """The old file was deleted, and the new one got its inode: as here, where the same file gets other content."""
    append(log, b"a" * 50 + b"\n")
    reader.poll()
    reader.restart()
    with open(log, "r+b") as file:
        file.write(b"b" * 50 + b"\n" + b"c\n")
    assert reader.poll() == [b"b" * 50, b"c"]


def test_signature_grows(log, reader):
    append(log, b"a\n")
    reader.poll()
    assert reader.position.files[0].signed == 2
    append(log, b"b" * 900 + b"\n" + b"c" * 900 + b"\n")
    reader.poll()
    assert reader.position.files[0].signed == 1024


@pytest.mark.parametrize("size", [1001, 5000, (2 << 20) + 5, 5 << 20])
def test_line_over_the_limit_comes_once_and_cut(log, reader, size):
    append(log, b"a\n" + b"x" * size)
    lines = reader.poll()
    append(log, b"x" * 3)
    lines += reader.poll()
    append(log, b"x\nb\n")
    lines += reader.poll()
    assert [line[:2] for line in lines] == [b"a", b"xx", b"b"]
    assert len(lines[1]) > 1000


def test_line_at_the_limit(log, reader):
    append(log, b"x" * 1000)
    assert reader.poll() == []
    append(log, b"\n")
    assert reader.poll() == [b"x" * 1000]


def test_glob_and_new_files(tmp_path):
    reader = Reader(tmp_path / "*.log")
    with pytest.raises(SourceError, match="at least one file"):
        reader.poll()
    append(tmp_path / "b.log", b"b\n")
    append(tmp_path / "a.log", b"a\n")
    append(tmp_path / "a.txt", b"no\n")
    assert reader.poll() == [b"a", b"b"]
    append(tmp_path / "c.log", b"c\n")
    append(tmp_path / "a.log", b"a2\n")
    assert reader.poll() == [b"a2", b"c"]
    (tmp_path / "a.log").rename(tmp_path / "a2.log")
    append(tmp_path / "a2.log", b"a3")
    assert reader.poll() == [b"a3"]
    assert reader.poll() == []
    reader.handles.close()


def test_empty_file(log, reader):
    log.touch()
    assert reader.poll() == []
    append(log, b"a\n")
    assert reader.poll() == [b"a"]


def test_missing_file(log, reader):
    with pytest.raises(SourceError, match=r"app\.log: expected a log file that can be read, got No such file"):
        reader.poll()


def test_directory_in_place_of_a_file(log, reader):
    log.mkdir()
    with pytest.raises(SourceError, match="no regular file"):
        reader.poll()


def test_fifo_does_not_hang(log, reader):
    os.mkfifo(log)
    with pytest.raises(SourceError, match="no regular file"):
        reader.poll()


def test_unreadable_file_keeps_its_position_and_others_are_read(tmp_path, monkeypatch):
    reader = Reader(tmp_path / "*.log")
    append(tmp_path / "a.log", b"a\n")
    append(tmp_path / "b.log", b"b\n")
    reader.poll()
    append(tmp_path / "a.log", b"a2\n")
    append(tmp_path / "b.log", b"b2\n")
    reader.restart()
    real = os.open

    def refuse(path, *arguments):
        if str(path).endswith("a.log"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(follow.os, "open", refuse)
        with pytest.raises(SourceError, match="Permission denied"):
            reader.poll()
    assert reader.seen == [b"b2"]
    assert reader.poll() == [b"a2"]
    reader.handles.close()


def test_large_file_comes_in_several_chunks(log, reader):
    line = b"x" * 999 + b"\n"
    append(log, line * 9000)
    offsets = [chunk.offset for chunk, _ in chunks(reader.settings, Position(), reader.handles, LATER)]
    assert len(offsets) > 2
    assert all(offset % 1000 == 0 for offset in offsets)
    assert len(reader.poll()) == 9000


def test_lag(log, reader):
    append(log, b"a\nhal")
    written = os.stat(log).st_mtime
    assert lag(reader.settings, Position(), written + 7) == follow.Lag(5, 7.0)
    reader.poll()
    assert lag(reader.settings, reader.position, written + 7).bytes == 3
    append(log, b"f\n")
    reader.poll()
    assert lag(reader.settings, reader.position, written + 7) == follow.Lag(0, 0.0)
    append(log, b"b\n")
    log.rename(f"{log}.1")
    append(log, b"c\n")
    append(f"{log}.0", b"not ours\n")
    assert lag(reader.settings, reader.position, written).bytes == 4


def test_lag_of_missing_files(tmp_path):
    assert lag(Source(files=str(tmp_path / "none")), Position(), 0.0) == follow.Lag(0, 0.0)


class Writer:
    """Writes the lines `line 0`, `line 1`, ... in pieces of any length, and rotates the file in every way."""

    def __init__(self, log, reader):
        self.log, self.reader = log, reader
        self.stream = b"".join(b"line %d\n" % number for number in range(400))
        self.written = self.rotations = 0
        self.seen = []
        self.unseen = True
        log.touch()

    @property
    def at_line_end(self):
        return self.written == 0 or self.stream[self.written - 1 : self.written] == b"\n"

    def append(self, size):
        append(self.log, self.stream[self.written : self.written + size])
        self.written += size

    def poll(self, _):
        self.seen += self.reader.poll()
        self.unseen = False

    def restart(self, _):
        self.reader.restart()

    def finish(self, _):
        if not self.at_line_end:
            self.append(self.stream.index(b"\n", self.written) + 1 - self.written)

    def rename(self, _):
        """The last line of the old file is complete, but without its newline; no other file gets that."""
        if self.unseen:
            self.poll(0)  # content that comes and goes between two polls is not seen
        if not self.at_line_end:
            self.append(self.stream.index(b"\n", self.written) - self.written)
            self.written += 1
        self.rotations += 1
        self.unseen = True
        self.log.rename(f"{self.log}.{self.rotations}")
        self.log.touch()

    def copytruncate(self, _):
        """Truncation loses what was not read, so it comes behind a poll, and between lines."""
        if self.at_line_end:
            self.poll(0)
            os.truncate(self.log, 0)
            self.unseen = True


KINDS = ["append", "append", "append", "poll", "poll", "rename", "copytruncate", "restart", "finish"]


@settings(max_examples=150, deadline=None)
@given(operations=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 40)), max_size=40))
def test_every_line_exactly_once(tmp_path_factory, operations):
    """Whatever is written, cut, rotated and polled in whatever order, each line comes once."""
    log = tmp_path_factory.mktemp("log") / "app.log"
    reader = Reader(log)
    writer = Writer(log, reader)
    writer.poll(0)
    for kind, size in operations:
        getattr(writer, kind)(size)
    writer.finish(0)
    writer.poll(0)
    writer.poll(0)
    reader.handles.close()
    assert sorted(writer.seen) == sorted(line for line in writer.stream[: writer.written].split(b"\n") if line)


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6))
def test_lines_cut_at_any_byte(tmp_path_factory, cuts):
    log = tmp_path_factory.mktemp("log") / "app.log"
    content = "é\n日本\n\n\r\nb\n".encode() * 3
    reader = Reader(log)
    lines, begin = [], 0
    for end in [*sorted(cuts), len(content)]:
        append(log, content[begin:end])
        begin = max(begin, end)
        lines += reader.poll()
    reader.handles.close()
    assert lines == [line for line in content.split(b"\n") if line]


def rows_of(tail, position):
    """All ids and the last position."""
    ids = []
    for parsed, behind in tail.batches(position, threading.Event(), LATER):
        ids += parsed.batches[0].table["id"].to_pylist()
        position = behind
    return ids, position


def test_batches_come_in_order(log):
    append(log, b"".join(b'{"id": %d, "pad": "%s"}\n' % (number, b"x" * 400) for number in range(30_000)))
    with Tail(Source(files=str(log)), STREAMS) as tail:
        ids, position = rows_of(tail, Position())
        assert ids == [str(number) for number in range(30_000)]
        assert rows_of(tail, position) == ([], position)
        append(log, b'{"id": "last"}\n')
        assert rows_of(tail, position)[0] == ["last"]


def test_every_position_is_a_place_to_go_on(log):
    append(log, b"".join(b'{"id": %d, "pad": "%s"}\n' % (number, b"x" * 900) for number in range(9_000)))
    with Tail(Source(files=str(log)), STREAMS) as tail:
        positions = [(batch.lines, position) for batch, position in tail.batches(Position(), threading.Event(), LATER)]
        read = 0
        for lines, position in positions:
            read += lines
            assert rows_of(tail, position)[0] == [str(number) for number in range(read, 9_000)]


def test_workers_are_shared(tmp_path):
    workers = Workers()
    tails = []
    for name in "ab":
        append(tmp_path / name, b'{"id": "%s"}\n' % name.encode() * 100)
        tails.append(Tail(Source(files=str(tmp_path / name)), STREAMS, workers))
    assert [rows_of(tail, Position())[0] for tail in tails] == [["a"] * 100, ["b"] * 100]
    tails[0].close()
    assert rows_of(tails[1], Position())[0] == ["b"] * 100
    tails[1].close()
    workers.close()


def test_stop(log):
    append(log, b'{"id": 1, "pad": "%s"}\n' % (b"x" * 900) * 20_000)
    with Tail(Source(files=str(log)), STREAMS) as tail:
        stop = threading.Event()
        batches = tail.batches(Position(), stop, LATER)
        next(batches)
        stop.set()
        assert list(batches) == []


def test_failing_worker_is_raised(log, monkeypatch):
    append(log, b'{"id": 1}\n')
    with Tail(Source(files=str(log)), STREAMS) as tail:
        monkeypatch.setattr("ml_exporter.sources.jsonl.split", lambda chunk: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rows_of(tail, Position())
        monkeypatch.undo()
        assert rows_of(tail, Position())[0] == ["1"]


def test_good_files_come_before_the_error(tmp_path):
    append(tmp_path / "a.log", b'{"id": 1}\n')
    (tmp_path / "b.log").mkdir()
    seen = []
    with Tail(Source(files=str(tmp_path / "*.log")), STREAMS) as tail:
        with pytest.raises(SourceError, match="no regular file"):
            seen.extend(batch.lines for batch, _ in tail.batches(Position(), threading.Event(), LATER))
        assert sum(seen) == 1


def test_a_busy_file_does_not_starve_the_others(tmp_path):
    """A call ends at the end of the files as they were: labels and other files have their turn, whoever writes."""
    busy, other = tmp_path / "a-1", tmp_path / "a-2"
    busy.write_bytes(b"1\n")
    other.write_bytes(b"2\n")
    read = []
    for chunk, _ in itertools.islice(chunks(Source(str(tmp_path / "a-*")), Position(), Handles(), 0.0), 20):
        read.append(chunk.content)
        with busy.open("ab") as log:
            log.write(b"3\n")
    assert read == [b"", b"1\n3\n", b"2\n"]
