r"""Files that grow, in chunks cut at line ends, through every kind of rotation.

A file is known by its device, its inode *and* its content: hashes of its first bytes (1,024, behind a CSV header) and
of those before the place of reading, because file systems hand out a freed inode at once and CSV files share their
header. Reading goes on where `Position` says, under whatever name the file now has.

- Append: whole lines are read; a last line without newline waits until it is complete. In a source that is `complete`
  it counts once the file was not written to for `ROTATION_GRACE_SECONDS`.
- Rename and create: the old file is read to its end, through the handle that is kept or under a new name (`names`).
  Once it has rested as long, a last line without newline is read too, and the file is done.
- Copy and truncate: the file is shorter than what was read, or its content differs. It is read from the start, and
  what was not read before is looked for in the copy. A copy that the pattern matches is not read beside its original.
- Compress: a gzip file with the content of a file that is lost continues it, at the same place of the decompressed
  bytes; one with the content of a file that was read is not read again.
- Several rotations while nobody looked: rotated names whose content is not known are read from the start.
- Rotation while somebody looks: a look counts only when a second one agrees (`newcomers.locate`), a chunk only when
  what was read still stands in the file once its hashes are taken. A log that is truncated does not come to hold the
  same lines again.
- A file that ends early or is corrupt (gzip), or has no header line (CSV), is a problem of its source; what can be read
  of it is read, and the rest when it changes.
- NULs up to the end of a file are space reserved for lines to come.

What cannot be seen: lines that come and go between two looks, as in a file that is written and deleted, or truncated
without a copy, before it was read, or whose copy is deleted; a rotated file compressed by something else than gzip, or
moved to another file system, while the exporter was down; two files of one log whose first 1,024 bytes are equal, one
of which vanished.

Positions are values: reading the same files from the same position gives the same lines.
"""

import math
import os
from collections.abc import Generator, Iterator

import msgspec

from ml_exporter.config import Source
from ml_exporter.errors import Problem
from ml_exporter.sources import contents, names
from ml_exporter.sources.contents import Content, content_of
from ml_exporter.sources.cut import Cutter
from ml_exporter.sources.handles import Handles
from ml_exporter.sources.newcomers import locate
from ml_exporter.sources.positions import Chunk, FilePosition, Lag, Position, SourceError
from ml_exporter.sources.sight import problem

__all__ = ["Chunk", "FilePosition", "Handles", "Lag", "Position", "SourceError", "chunks", "lag", "lost", "outside"]

ROTATION_GRACE_SECONDS = 5.0
"""How long a rotated file must rest before its last line is complete: writers keep it open until they are told."""
_GZIP_GRACE_SECONDS = 60.0
"""How long a gzip file that ends early must rest before that is a problem: it may still be written."""
_LARGEST_CHUNK_BYTES = 16 << 20
_SMALLEST_CHUNK_BYTES = 2 << 20
"""Chunks are half of what is left, so that two workers have something to do, within these bounds."""
_GZIP_RATIO = 8
"""Guessed, to choose the size of chunks."""
_ENDS_EARLY = "one that ends early"


def chunks(
    settings: Source, position: Position, handles: Handles, now: float
) -> Generator[tuple[Chunk, Position], None, None]:
    """What can be read from `position` on, each chunk with the position behind it, rotated files first.

    Ends at the end of the files as they are now. `now` is the clock in seconds since 1970; it decides only whether a
    file has rested. A chunk is empty when only the position changed. Raises SourceError at the end when a file could
    not be read or none exists.
    """
    before = position
    position, problems = locate(settings, before, handles)
    if position != before:
        yield Chunk(b"", settings.files, 0), position
    to_read = [file for file in position.files if file.is_read and not file.done]
    for file in sorted(to_read, key=_age):
        descriptor = handles.get(file)
        if descriptor is None:
            continue
        latest = file
        try:
            for chunk, moved in _Reading(descriptor, settings, now).read(file):
                position = position.with_file(latest, moved)
                latest = moved
                yield chunk, position
        except OSError as error:
            problems.append(problem(file.path, error))
    handles.close_others(position)
    problems += _wrong(position, now)
    if problems:
        raise SourceError(dict.fromkeys(problems))


def _age(file: FilePosition) -> tuple[bool, bool, int, tuple[int, str]]:
    """Sorts files from the oldest on: of two labels of one prediction the first may count, or the last.

    What was read in part is older than what nobody had seen.
    """
    if not file.rotated:
        return True, True, 0, (0, "")
    return False, file.offset <= file.body, file.modified_ns, names.order(file.path)


def _wrong(position: Position, now: float) -> Iterator[Problem]:
    """Files whose content cannot be read to the end."""
    for file in position.files:
        rested = now - file.modified_ns / 1e9
        if file.wrong and file.is_read and not (file.wrong == _ENDS_EARLY and rested < _GZIP_GRACE_SECONDS):
            expected = "a header line" if not file.offset and not file.path.endswith(".gz") else "a whole gzip file"
            yield Problem(file.path, expected, file.wrong, "Replace the file, or remove it")


def outside(settings: Source, position: Position) -> list[str]:
    """Files that were read, and are not any more since the pattern of the source was changed."""
    paths = set(names.matching(settings.files)[0])
    read = (file for file in position.files if file.is_read and not (file.rotated or file.done))
    return [file.path for file in read if file.path not in paths and os.path.lexists(file.path)]


def lost(before: Position, after: Position) -> list[str]:
    """Files that were truncated or vanished between two positions, with no copy in sight.

    What was written to them since the last look, if anything, was not read, and nobody can tell. Not among them are
    rotated files that were read to their end, and files that a changed pattern does not match any more.
    """
    known = {(file.path, file.key, file.offset) for file in before.files if file.gone and not file.is_hidden}
    here = {file.path for file in after.files if file.is_read}
    new = [file for file in after.files if file.gone and not (file.done or file.is_hidden)]
    new = [file for file in new if (file.path, file.key, file.offset) not in known]
    return [file.path for file in new if file.path in here or not os.path.lexists(file.path)]


def lag(settings: Source, position: Position, now: float) -> Lag:
    """How much of a source's files lies behind `position` unread. Files that cannot be looked at do not count.

    Of a gzip file that is not done, all stored bytes count. Looks only at names and sizes, so any thread may call it.
    """
    known = {file.key: file for file in sorted(position.files, key=lambda file: file.is_read)}
    paths = set(names.matching(settings.files)[0])
    logs = paths | {file.log for file in position.files}
    rotated = {relative.path for relative in names.relatives(logs)} | {file.path for file in position.files}
    unread, newest = 0, -math.inf
    seen: set[tuple[int, int]] = set()
    for path in sorted(paths | rotated):
        try:
            status = os.stat(path)
        except OSError:
            continue
        key = (status.st_dev, status.st_ino)
        if key in seen or (path not in paths and key not in known):
            continue
        seen.add(key)
        bytes_left = _bytes_left(known.get(key), path, status)
        if bytes_left:
            unread, newest = unread + bytes_left, max(newest, status.st_mtime)
    return Lag(unread, max(0.0, now - newest) if unread else 0.0)


def _bytes_left(file: FilePosition | None, path: str, status: os.stat_result) -> int:
    if file is None:
        return status.st_size
    if not file.is_read or (file.done and file.size == status.st_size):
        return 0
    is_gzip = path.endswith(".gz")
    return status.st_size - (file.offset if file.offset <= status.st_size and not is_gzip else 0)


class _Reading:
    """One pass over one file. What is written meanwhile is left for the next: a busy file would starve the others."""

    def __init__(self, descriptor: int, settings: Source, now: float) -> None:
        self._descriptor = descriptor
        self._cutter = Cutter.of(settings)
        self._complete = settings.complete
        self._status = os.fstat(descriptor)
        self._rested = now - self._status.st_mtime >= ROTATION_GRACE_SECONDS

    def read(self, file: FilePosition) -> Iterator[tuple[Chunk, FilePosition]]:
        """Chunks with the position of the file behind each."""
        content = content_of(self._descriptor, file.path)
        if content.compressed and (file.size, file.modified_ns) == (self._status.st_size, self._status.st_mtime_ns):
            return
        begun = self._begun(content, file)
        if begun is None or not (content.compressed or contents.continues(content, begun)):
            return  # truncated since it was located
        if begun != file:
            file = begun
            yield Chunk(b"", file.path, file.offset), file
        window = b""
        while not file.wrong and not (self._cutter.is_csv and not file.header):
            window, is_last = self._window(content, file)
            if window.startswith(b"\0") and self._ends_with_nul(content):
                break  # space reserved for lines to come
            chunk, moved = self._cutter.cut(window, file, self._rested and is_last)
            if moved == file:
                break
            behind = self._behind(content, moved, is_last)
            if not self._stands(content, file, behind, window):
                return
            file = behind
            yield chunk, file
        yield from self._end(content, file, window)

    def _end(self, content: Content, file: FilePosition, window: bytes) -> Iterator[tuple[Chunk, FilePosition]]:
        """What is left of a file that is finished."""
        finished = content.whole if content.compressed else (file.rotated or self._complete) and self._rested
        if finished and not (file.done and not window):
            moved = msgspec.structs.replace(file, offset=file.offset + len(window), done=True, wrong="")
            behind = self._behind(content, moved, True)
            if self._stands(content, file, behind, window):
                yield self._cutter.last(window, file), behind
        elif content.compressed:
            moved = msgspec.structs.replace(file, wrong=content.corrupt or _ENDS_EARLY)
            yield Chunk(b"", file.path, file.offset), self._behind(content, moved, True)

    def _begun(self, content: Content, file: FilePosition) -> FilePosition | None:
        """The position behind a header line; None if the file was truncated while that was read."""
        plain = msgspec.structs.replace(file, wrong="")
        headed = self._cutter.headed(content, plain)
        if headed == file:
            return file
        behind = self._behind(content, headed)
        is_one = contents.begins(content, file) and self._cutter.headed(content, plain) == headed
        return behind if content.compressed or is_one else None

    def _stands(self, content: Content, file: FilePosition, behind: FilePosition, window: bytes) -> bool:
        """Whether what was read between two positions, and their hashes, are of one generation of the log.

        It is when it begins as it began before it was read, and what was read first and last stands where it was read:
        a log that was truncated does not come to hold the same lines again. If not, the next look finds them in a copy.
        """
        if content.compressed:
            return True
        read = window[: behind.offset - file.offset]
        first, last = read[: contents.SIGNED_BYTES], read[-contents.SIGNED_BYTES :]
        stands = content.read(file.offset, len(first)) == first
        stands = stands and content.read(behind.offset - len(last), len(last)) == last
        return stands and contents.begins(content, file) and contents.continues(content, behind)

    def _window(self, content: Content, file: FilePosition) -> tuple[bytes, bool]:
        """What to cut the next chunk from, and whether it reaches the end that the file had at first."""
        end = self._status.st_size
        left = end * _GZIP_RATIO if content.compressed else end - file.offset
        size = min(_LARGEST_CHUNK_BYTES, max(_SMALLEST_CHUNK_BYTES, left // 2))
        if left <= 0:
            return b"", True
        window = self._cutter.window(content, file.offset, size)
        return window, not content.compressed and file.offset + len(window) >= end

    def _ends_with_nul(self, content: Content) -> bool:
        if content.compressed:
            return False
        return content.read(os.fstat(self._descriptor).st_size - 1, 1) == b"\0"

    def _behind(self, content: Content, file: FilePosition, is_last: bool = False) -> FilePosition:
        """The position with hashes of what lies before it and, at the end of the file, its size and time."""
        file = contents.marked(content, contents.signed(content, file))
        if not is_last:
            return file
        return msgspec.structs.replace(file, size=self._status.st_size, modified_ns=self._status.st_mtime_ns)
