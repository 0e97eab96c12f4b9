r"""Files that grow, in chunks cut at line ends, through every kind of rotation.

A file is known by its device, its inode *and* a signature: a hash of its first bytes (up to 1,024, no more than were
read), because file systems hand out a freed inode at once. Reading goes on where `Position` says, under whatever name
the file now has.

- Append: whole lines are read; a last line without newline waits until it is complete.
- Rename and create: the old file is read to its end, through the handle that is kept or under a new name that begins
  with the old one. Once it was not written to for `ROTATION_GRACE_SECONDS`, a last line without newline is read too,
  and the file is done. A file that comes and goes between two polls is not seen.
- Copy and truncate, or truncation while the exporter was down: the file is shorter than what was read, or its signature
  differs. It is read from the start. A glob must not match the copy.
- A line longer than the limit is read in part, so that the parser rejects it once, and skipped.
- Bytes that are NUL at the start of a line are skipped: the hole that a writer leaves who keeps his place in a
  truncated file. NULs up to the end of a file are space reserved for lines to come.

Positions are values: reading the same files from the same position gives the same lines.
"""

import errno
import glob
import hashlib
import math
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import msgspec

from ml_exporter.config import Source
from ml_exporter.errors import Problem, ProblemsError, shown
from ml_exporter.sources.drops import Drop

ROTATION_GRACE_SECONDS = 5.0
"""How long a rotated file must rest before its last line is complete: writers keep it open until they are told."""
_LARGEST_CHUNK_BYTES = 16 << 20
_SMALLEST_CHUNK_BYTES = 2 << 20
"""Chunks are half of what is left, so that two workers have something to do, within these bounds."""
_LAST_BYTES = 1 << 16
_SIGNED_BYTES = 1024


class SourceError(ProblemsError):
    """Some files of a source cannot be read. Raised after everything else was."""


class FilePosition(msgspec.Struct, frozen=True):
    """How far one file was read. `offset` is in bytes; `signature` hashes the first `signed` of them.

    `skipping` tells that `offset` lies inside a line that was rejected for its length, `rotated` that the file lost its
    name, `done` that it was then read to its end.
    """

    path: str
    device: int
    inode: int
    signature: str = ""
    signed: int = 0
    offset: int = 0
    skipping: bool = False
    rotated: bool = False
    done: bool = False


class Position(msgspec.Struct, frozen=True):
    """How far a source was read.

    >>> msgspec.json.decode(msgspec.json.encode(Position()), type=Position)
    Position(files=(), drops=())
    """

    files: tuple[FilePosition, ...] = ()
    drops: tuple[Drop, ...] = ()

    def with_drop(self, old: Drop, new: Drop) -> "Position":
        """The same with one finished file changed."""
        return Position(drops=tuple(new if drop is old else drop for drop in self.drops))

    def with_file(self, old: FilePosition, new: FilePosition | None) -> "Position":
        """The same with one file changed or, when `new` is None, forgotten."""
        files = (new if file is old else file for file in self.files)
        return Position(tuple(file for file in files if file is not None))


@dataclass(frozen=True)
class Chunk:
    r"""Bytes of one file from `offset` on, cut at the end of a line.

    CSV: `content` is cut at the end of a record and never holds the header line; `header` is that line, without its
    line end and without a byte order mark. Other formats have none.
    """

    content: bytes
    path: str
    offset: int
    header: bytes = b""


@dataclass(frozen=True)
class Lag:
    """What was not read yet: bytes, and the seconds since the newest of them was written (0 without any)."""

    bytes: int
    seconds: float


@dataclass
class Handles:
    """Open files by device and inode, so that one that is renamed away or deleted can still be read to its end.

    Only a cache: losing it loses nothing but files that were deleted or moved elsewhere before they were read to the
    end. Not for use by two threads at a time.
    """

    _open: dict[tuple[int, int], int] = field(default_factory=dict)

    def open(self, path: str) -> int:
        """A descriptor of the file that now has this name. Raises OSError."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "no regular file", path)
        kept = self._open.setdefault((status.st_dev, status.st_ino), descriptor)
        if kept != descriptor:
            os.close(descriptor)
        return kept

    def get(self, file: FilePosition) -> int | None:
        """The descriptor of a file, if it is open."""
        return self._open.get((file.device, file.inode))

    def close_others(self, position: Position) -> None:
        """Close every file that the position does not name."""
        known = {(file.device, file.inode) for file in position.files}
        for key in set(self._open) - known:
            os.close(self._open.pop(key))

    def close(self) -> None:
        """Close every file."""
        self.close_others(Position())


def chunks(
    settings: Source, position: Position, handles: Handles, now: float
) -> Generator[tuple[Chunk, Position], None, None]:
    """What can be read from `position` on, each chunk with the position behind it, rotated files first.

    Ends at the end of the files as they are now. `now` is the clock in seconds since 1970; it decides only whether a
    rotated file has rested. A chunk is empty when only the position changed. Raises SourceError at the end when a file
    could not be read or none exists.
    """
    paths, problems = _paths(settings.files)
    before = position
    position, named = _locate(paths, before, handles, problems)
    if position != before:
        yield Chunk(b"", settings.files, 0), position
    for file in sorted(position.files, key=lambda file: not file.rotated):
        descriptor = handles.get(file)
        if descriptor is None:
            continue
        latest: FilePosition = file
        try:
            for chunk, moved in _read(descriptor, file, settings.max_line_bytes, now):
                keep = not moved.done or (file.device, file.inode) in named
                position = position.with_file(latest, moved if keep else None)
                latest = moved
                yield chunk, position
        except OSError as error:
            problems.append(_problem(file.path, error))
    handles.close_others(position)
    if problems:
        raise SourceError(problems)


def lag(settings: Source, position: Position, now: float) -> Lag:
    """How much of a source's files lies behind `position` unread. Files that cannot be looked at do not count.

    Looks only at names and sizes, so any thread may call it.
    """
    known = {(file.device, file.inode): file for file in position.files}
    rotated = [path for file in position.files for path in glob.glob(glob.escape(file.path) + "*")]
    paths = set(_paths(settings.files)[0])
    unread, newest = 0, -math.inf
    seen: set[tuple[int, int]] = set()
    for path in sorted(paths | set(rotated)):
        try:
            status = os.stat(path)
        except OSError:
            continue
        key = (status.st_dev, status.st_ino)
        if key in seen or (path not in paths and key not in known):
            continue
        seen.add(key)
        offset = known[key].offset if key in known else 0
        bytes_left = status.st_size - (offset if offset <= status.st_size else 0)
        if bytes_left:
            unread, newest = unread + bytes_left, max(newest, status.st_mtime)
    return Lag(unread, max(0.0, now - newest) if unread else 0.0)


def _problem(path: str, error: OSError) -> Problem:
    return Problem(
        path, "a log file that can be read", error.strerror or shown(error), "Check the file and its permissions"
    )


def _paths(pattern: str) -> tuple[list[str], list[Problem]]:
    """The files that a pattern matches, and the problem when there is none."""
    if not glob.has_magic(pattern) or os.path.lexists(pattern):
        return [pattern], []
    paths = sorted(glob.glob(pattern, recursive=True))
    problem = Problem(pattern, "at least one file", "none", "Check the pattern, or wait until the log is written")
    return paths, [] if paths else [problem]


def _locate(
    paths: list[str], position: Position, handles: Handles, problems: list[Problem]
) -> tuple[Position, set[tuple[int, int]]]:
    """Find every file of the position again, wherever it now is, and add new ones. What is gone is forgotten.

    Also gives device and inode of the files that are known by one of `paths`.
    """
    found: dict[FilePosition, FilePosition] = {}
    new: list[FilePosition] = []
    for path in paths:
        try:
            descriptor = handles.open(path)
            old = next((file for file in position.files if file not in found and _is_same(descriptor, file)), None)
        except OSError as error:
            problems.append(_problem(path, error))
            found.update((file, file) for file in position.files if file.path == path and os.path.lexists(path))
            continue
        if old is None:
            status = os.fstat(descriptor)
            new.append(FilePosition(path, status.st_dev, status.st_ino))
        else:
            found[old] = msgspec.structs.replace(old, path=path, rotated=old.rotated or old.path != path)
    named = {(file.device, file.inode) for file in (*found.values(), *new)}
    for file in position.files:
        if file not in found and (file.device, file.inode) not in named:
            rotated = _find_rotated(file, handles)
            found.update({file: rotated} if rotated else {})
    return Position((*(found[file] for file in position.files if file in found), *new)), named


def _is_same(descriptor: int, file: FilePosition) -> bool:
    """Whether an open file is the one that was read: device, inode, no shorter than read, and the same first bytes."""
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) != (file.device, file.inode) or status.st_size < file.offset:
        return False
    return _signature(descriptor, file.signed) == file.signature


def _signature(descriptor: int, size: int) -> str:
    return hashlib.blake2b(os.pread(descriptor, size, 0), digest_size=16).hexdigest() if size else ""


def _find_rotated(file: FilePosition, handles: Handles) -> FilePosition | None:
    """A file that lost its name, if it is still open or its new name begins with the old one; it is open then."""
    descriptor = handles.get(file)
    if descriptor is not None:  # nobody else can have got its inode, so if its content differs it was truncated
        start = file if _is_same(descriptor, file) else FilePosition(file.path, file.device, file.inode)
        return msgspec.structs.replace(start, rotated=True)
    for path in glob.glob(glob.escape(file.path) + "*"):
        try:
            status = os.stat(path)
            is_candidate = (status.st_dev, status.st_ino) == (file.device, file.inode)
            if is_candidate and _is_same(handles.open(path), file):
                return msgspec.structs.replace(file, rotated=True)
        except OSError:
            continue
    return None


def _read(descriptor: int, file: FilePosition, limit: int, now: float) -> Iterator[tuple[Chunk, FilePosition]]:
    """Chunks of one file with its position behind each.

    What is written meanwhile is left for the next call: a busy file would starve the others.
    """
    end = os.fstat(descriptor).st_size
    while True:
        size = os.fstat(descriptor).st_size
        half = min(_LARGEST_CHUNK_BYTES, max(_SMALLEST_CHUNK_BYTES, (size - file.offset) // 2))
        content = _read_lines(descriptor, file.offset, max(half, limit + 1)) if file.offset < end else b""
        if content.startswith(b"\0") and os.pread(descriptor, 1, size - 1) == b"\0":
            break  # space reserved for lines to come
        chunk, moved = _cut(content, file, limit)
        if moved == file:
            break
        file = _signed(descriptor, moved)
        yield chunk, file
    rested = now - os.fstat(descriptor).st_mtime >= ROTATION_GRACE_SECONDS
    if file.rotated and rested and not (file.done and not content):
        rest = b"" if file.skipping else content
        yield (
            Chunk(rest, file.path, file.offset),
            msgspec.structs.replace(file, offset=file.offset + len(content), done=True),
        )


def _read_lines(descriptor: int, offset: int, size: int) -> bytes:
    """At most `size` bytes, without a last incomplete line where that can be told from the last few of them."""
    end = offset + size
    last = os.pread(descriptor, min(size, _LAST_BYTES), end - min(size, _LAST_BYTES))
    newline = last.rfind(b"\n")
    return os.pread(descriptor, size if newline < 0 else end - len(last) + newline + 1 - offset, offset)


def _cut(content: bytes, file: FilePosition, limit: int) -> tuple[Chunk, FilePosition]:
    """The whole lines at the start of `content`, and the position behind them; unchanged when there are none."""
    begin = 0
    if file.skipping:
        begin = content.find(b"\n") + 1
        if not begin:
            return Chunk(b"", file.path, file.offset), msgspec.structs.replace(file, offset=file.offset + len(content))
    if content.startswith(b"\0", begin):
        begin = len(content) - len(content[begin:].lstrip(b"\0"))
    end = max(begin, content.rfind(b"\n", begin) + 1)
    lines = content[begin:end] if begin or end < len(content) else content
    too_long = not lines and len(content) - begin > limit
    if too_long:
        lines, end = content[begin : begin + limit + 1] + b"\n", len(content)
    moved = msgspec.structs.replace(file, offset=file.offset + end, skipping=too_long)
    return Chunk(lines, file.path, file.offset + begin), moved


def _signed(descriptor: int, file: FilePosition) -> FilePosition:
    """The position with a signature that covers what was read of the first bytes."""
    size = min(_SIGNED_BYTES, file.offset)
    if size == file.signed:
        return file
    return msgspec.structs.replace(file, signed=size, signature=_signature(descriptor, size))
