"""A writer whose every step may come at any call of a reader to the system, as a schedule says and not by chance.

A test of races under load finds one now and then. The world can change under a reader only at his calls to the system.
So here a schedule says before which call how many steps of the writer come: every interleaving can be tried, and one
that fails can be tried again.
"""

import gzip
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ml_exporter.config import Source
from ml_exporter.sources import follow
from ml_exporter.sources.follow import Handles, Position, SourceError

LATER = 4e9
"""A clock at which every file has rested."""
CALLS = ("stat", "lstat", "open", "fstat", "pread", "scandir")


class Entries(list):
    """What `os.scandir` gives."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class Calls:
    """Calls `before` before every call to the system that a reader makes while it is watched."""

    def __init__(self, before):
        self.before = before
        self.is_busy = False
        self.real = {name: getattr(os, name) for name in CALLS}

    @contextmanager
    def watched(self):
        for name in CALLS:
            setattr(os, name, getattr(self, name, None) or self.passing(name))
        try:
            yield
        finally:
            for name, real in self.real.items():
                setattr(os, name, real)

    def tick(self):
        if not self.is_busy:
            self.is_busy = True
            self.before()
            self.is_busy = False

    def passing(self, name):
        def call(*arguments, **keywords):
            self.tick()
            return self.real[name](*arguments, **keywords)

        return call

    def pread(self, descriptor, size, offset):
        """Reading takes its time: the halves may be of two generations."""
        self.tick()
        half = self.real["pread"](descriptor, size // 2, offset)
        self.tick()
        return half + self.real["pread"](descriptor, size - len(half), offset + len(half))

    def scandir(self, *arguments):
        """A listing takes its time: an entry that is renamed meanwhile is seen under neither name."""
        self.tick()
        with self.real["scandir"](*arguments) as entries:
            names = {entry.name for entry in entries}
        self.tick()
        with self.real["scandir"](*arguments) as entries:
            return Entries(entry for entry in entries if entry.name in names)


class Scene:
    """A log, what its writer and its logrotate do step by step, and a reader."""

    def __init__(self, folder, kind="jsonl", files="app.log", width=20):
        self.folder, self.width = folder, width
        self.head = b"number,text\n" if kind == "csv" else b""
        self.log = folder / "app.log"
        self.log.touch()
        self.settings = Source(files=str(folder / files), format=kind, max_line_bytes=width + 20)
        self.number = 0
        self.position, self.handles = Position(), Handles()
        self.seen = []
        self.problems = []

    def line(self, number):
        return b"%06d,%s\n" % (number, b"x" * self.width)

    def write(self, count):
        first, self.number = self.number, self.number + count
        head = b"" if self.log.stat().st_size else self.head
        with open(self.log, "ab") as file:
            file.write(head + b"".join(self.line(number) for number in range(first, first + count)))

    def look(self, chunks=None):
        """One look of the reader; it is stopped behind some `chunks`."""
        self.problems = []
        reading = follow.chunks(self.settings, self.position, self.handles, LATER)
        try:
            for number, (chunk, behind) in enumerate(reading, 1):
                self.seen += chunk.content.split(b"\n")
                self.position = behind
                if number == chunks:
                    break
        except SourceError as error:
            self.problems = [str(problem) for problem in error.problems]

    def restart(self):
        self.handles.close()
        self.handles = Handles()
        self.position = msgspec.json.decode(msgspec.json.encode(self.position), type=Position)

    def check(self):
        """Every line exactly once, and nothing is left."""
        for _ in range(3):
            self.look()
        assert not self.problems, self.problems
        seen = Counter(line for line in self.seen if line)
        written = Counter(self.line(number)[:-1] for number in range(self.number))
        lost, twice = sorted((written - seen).elements()), sorted((seen - written).elements())
        assert lost == twice == [], f"lost {[line[:6] for line in lost]}, twice {[line[:6] for line in twice]}"
        assert follow.lag(self.settings, self.position, LATER).bytes == 0

    # Each gives the steps of something that a service or its logrotate does.

    def rename(self, new):
        yield lambda: self.log.rename(new)
        yield self.log.touch

    def copy(self, new):
        """The copy comes to be, grows, and is whole; then the log is truncated."""
        yield new.touch
        yield lambda: new.write_bytes(self.log.read_bytes()[: self.log.stat().st_size // 2 + 3])
        yield lambda: new.write_bytes(self.log.read_bytes())
        yield lambda: os.truncate(self.log, 0)

    def pack(self, new):
        """The same with a copy that is compressed on the way, as by `gzip -c log > log.1.gz`."""
        new = Path(f"{new}.gz")
        yield new.touch
        yield lambda: new.write_bytes(gzip.compress(self.log.read_bytes())[:12])
        yield lambda: new.write_bytes(gzip.compress(self.log.read_bytes())[:-5])
        yield lambda: new.write_bytes(gzip.compress(self.log.read_bytes()))
        yield lambda: os.truncate(self.log, 0)

    def compress(self, plain, aside):
        """As gzip does, in place or `aside` under another name at first."""
        packed = Path(f"{plain}.gz")
        beside = plain.with_name(f".{plain.name}.unfinished") if aside else packed
        if not aside:
            yield packed.touch
            yield lambda: packed.write_bytes(gzip.compress(plain.read_bytes())[:-5])

        def finish():
            status = plain.stat()
            beside.write_bytes(gzip.compress(plain.read_bytes()))
            os.utime(beside, ns=(status.st_atime_ns, status.st_mtime_ns))
            beside.rename(packed)

        yield finish
        yield plain.unlink

    def shift(self, last):
        """Make room for `.1`."""
        for number in range(last, 0, -1):
            for suffix in ("", ".gz"):
                old, new = (Path(f"{self.log}.{place}{suffix}") for place in (number, number + 1))
                yield lambda old=old, new=new: old.exists() and old.rename(new)

    def dated(self, how, rotations, aside):
        """Old files get names for ever; each is compressed at the rotation behind its own."""
        for number in range(rotations):
            yield lambda: self.write(2)
            yield lambda number=number: self.write(1 + number % 3)
            yield from getattr(self, how)(Path(f"{self.log}-{number:06d}"))
            if number and how != "pack":
                yield from self.compress(Path(f"{self.log}-{number - 1:06d}"), aside)
        yield lambda: self.write(1)

    def numbered(self, how, rotations, aside):
        """Old files are renamed at every rotation; each is compressed at once, or `aside` at the next."""
        for number in range(rotations):
            yield lambda: self.write(2)
            yield lambda number=number: self.write(1 + number % 3)
            yield from self.shift(number)
            yield from getattr(self, how)(Path(f"{self.log}.1"))
            if how != "pack" and (number or not aside):
                yield from self.compress(Path(f"{self.log}.{1 + aside}"), aside)
        yield lambda: self.write(1)
