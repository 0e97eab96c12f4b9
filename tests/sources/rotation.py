"""A service that writes a log and rotates it in every way, and an exporter beside it that may be down meanwhile."""

import gzip
import json
import os
import shutil
import threading
from collections import Counter
from pathlib import Path

import msgspec

from ml_exporter.config import Source
from ml_exporter.records import Field, Stream
from ml_exporter.sources.follow import Position, SourceError
from ml_exporter.sources.tail import Tail

STREAMS = (Stream("flights", "labels", (Field("id", ("id",), "id", True),)),)
LATER = 4e9
"""A clock at which every file has rested."""
HEADER = b"id,text\n"


class World:
    """A log, who writes it, and who reads it. Rows are numbered; every one must be read exactly once."""

    def __init__(self, folder, kind="jsonl", files="app.log", **settings):
        self.folder, self.kind = folder, kind
        self.log = folder / "app.log"
        self.settings = Source(files=str(folder / files), format=kind, **settings)
        self.position = Position()
        self.number = 0
        self.read = []
        self.problems = []
        self.tail = None
        self.writer = None
        self.start()

    def start(self):
        self.tail = Tail(self.settings, STREAMS)

    def stop(self):
        self.tail.close()

    def restart(self):
        self.stop()
        self.start()

    def poll(self, now=LATER):
        """One look; the position is kept as the store keeps it."""
        self.problems = []
        try:
            for parsed, behind in self.tail.batches(self.position, threading.Event(), now):
                assert parsed.lines == parsed.batches[0].table.num_rows
                self.read += [int(number) for number in parsed.batches[0].table["id"].to_pylist()]
                stored = json.dumps(msgspec.to_builtins(behind))
                self.position = msgspec.convert(json.loads(stored), Position)
        except SourceError as error:
            self.problems = [str(problem) for problem in error.problems]

    def rows(self, count, text="x" * 20):
        first, self.number = self.number, self.number + count
        return b"".join(self.row(number, text) for number in range(first, first + count))

    def row(self, number, text):
        if self.kind == "csv":
            return (
                b'%d,"%s\n and ""more"""\n' % (number, text.encode())
                if number % 3
                else b"%d,%s\n" % (number, text.encode())
            )
        return b'{"id": %d, "text": "%s"}\n' % (number, text.encode())

    @property
    def head(self):
        return HEADER if self.kind == "csv" else b""

    def write(self, count=5, path=None, end=None, text="x" * 20):
        """Append rows to the log; without their last bytes from `end` on."""
        path = path or self.log
        head = b"" if path.exists() and path.stat().st_size else self.head
        with open(path, "ab") as file:
            file.write(head + self.rows(count, text)[:end])

    def rotate(self, to=".1", create=True):
        """Rename, and create a new log."""
        self.log.rename(f"{self.log}{to}")
        if create:
            self.log.touch()

    def shift(self, last=4):
        """Make room for `.1`: as logrotate does, compressed or not."""
        for number in range(last, 0, -1):
            for suffix in ("", ".gz"):
                old = Path(f"{self.log}.{number}{suffix}")
                if old.exists():
                    old.rename(f"{self.log}.{number + 1}{suffix}")

    def compress(self, path, to=None, keeps_time=True, removes=True):
        """As gzip does."""
        path, to = Path(path), Path(to or f"{path}.gz")
        status = path.stat()
        to.write_bytes(gzip.compress(path.read_bytes()))
        if keeps_time:
            os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))
        if removes:
            path.unlink()

    def copy_truncate(self, to=".1", rows=0):
        """As logrotate's copytruncate does; `rows` are written before and not read by anyone."""
        if rows:
            self.write(rows)
        shutil.copy2(self.log, f"{self.log}{to}")
        os.truncate(self.log, 0)

    def check(self):
        """Every row exactly once, and nothing is left."""
        self.poll()
        assert not self.problems, self.problems
        self.poll()
        twice = {number: count for number, count in Counter(self.read).items() if count > 1}
        lost = sorted(set(range(self.number)) - set(self.read))
        strange = sorted(set(self.read) - set(range(self.number)))
        assert (lost, twice, strange) == ([], {}, []), f"lost {lost}, twice {twice}, of others {strange}"
        assert self.tail.lag(self.position, LATER).bytes == 0
        before = self.position
        self.poll()
        assert self.position == before

    def poll_once(self, now=LATER):
        """Take one chunk only, as when the exporter is stopped."""
        for parsed, behind in self.tail.batches(self.position, threading.Event(), now):
            self.read += [int(number) for number in parsed.batches[0].table["id"].to_pylist()]
            self.position = behind
            if parsed.lines:
                break
