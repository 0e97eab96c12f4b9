"""The bytes of a log, whether they are stored plain or compressed with gzip."""

import errno
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from ml_exporter.sources.positions import FilePosition, Key

SIGNED_BYTES = 1024
"""Length of what is hashed at the start of a file (behind a CSV header), and before the place of reading."""
_MAGIC = b"\x1f\x8b\x08"
_INPUT_BYTES, _OUTPUT_BYTES = 1 << 16, 1 << 18
_LAST_BYTES = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


class Content(Protocol):
    """Bytes of a log by their place in it."""

    compressed: bool

    @property
    def whole(self) -> bool:
        """Whether the bytes themselves tell that nothing is missing at the end. Known once they were read to there."""

    @property
    def corrupt(self) -> str:
        """What is wrong with the stored bytes, as far as they were read; empty when nothing is."""

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on; fewer at the end."""

    def read_lines(self, offset: int, size: int) -> bytes:
        """The same without a last incomplete line, where that can be told from the last few bytes."""


class Plain:
    """A file as it is."""

    compressed = False
    whole = False
    corrupt = ""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        """See `Content`."""
        return os.pread(self._descriptor, size, offset)

    def read_lines(self, offset: int, size: int) -> bytes:
        """See `Content`."""
        end = offset + size
        last = os.pread(self._descriptor, min(size, _LAST_BYTES), end - min(size, _LAST_BYTES))
        newline = last.rfind(b"\n")
        return self.read(offset, size if newline < 0 else end - len(last) + newline + 1 - offset)


class Gzip:
    """A gzip file of one or more members, decompressed on the way.

    Reading forward is a stream; going back begins again at the start. Memory is bounded by what is asked for.
    """

    compressed = True

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._restart()

    def _restart(self) -> None:
        self.corrupt = ""
        self._place = 0  # of the next stored byte
        self._begin = 0  # of the buffer in the decompressed bytes
        self._buffer = bytearray()
        self._input = b""  # stored bytes that wait for the decompressor
        self._member = zlib.decompressobj(_GZIP)
        self._between = True  # members, or before the first

    @property
    def whole(self) -> bool:
        """See `Content`."""
        return self._between and not self.corrupt and self._place > 0

    def read(self, offset: int, size: int) -> bytes:
        """See `Content`."""
        if offset < self._begin:
            self._restart()
        while self._begin + len(self._buffer) < offset + size:
            if offset > self._begin:  # what lies before is no longer needed
                before = min(offset - self._begin, len(self._buffer))
                del self._buffer[:before]
                self._begin += before
            if not self._inflate():
                break
        return bytes(self._buffer[offset - self._begin : offset - self._begin + size])

    def read_lines(self, offset: int, size: int) -> bytes:
        """See `Content`."""
        found = self.read(offset, size)
        return found[: found.rfind(b"\n") + 1] or found

    def _inflate(self) -> bool:
        """Decompress some more. False at the end of what is stored, or where it is corrupt."""
        if self.corrupt:
            return False
        if not self._input:
            self._input = os.pread(self._descriptor, _INPUT_BYTES, self._place)
            self._place += len(self._input)
        if self._between:
            self._input = self._input.lstrip(b"\0")  # padding between members
            if not self._input:
                return False
        try:
            found = self._member.decompress(self._input, _OUTPUT_BYTES)
        except zlib.error as error:
            self.corrupt = str(error)
            return False
        ended = not self._input and not found
        self._buffer += found
        self._between = self._member.eof
        self._input = self._member.unused_data if self._between else self._member.unconsumed_tail
        if self._between:
            self._member = zlib.decompressobj(_GZIP)
        return not ended


def content_of(descriptor: int, path: str) -> Content:
    """The content of an open file: gzip where the name or the first bytes say so."""
    is_gzip = path.endswith(".gz") or os.pread(descriptor, len(_MAGIC), 0) == _MAGIC
    return Gzip(descriptor) if is_gzip else Plain(descriptor)


def open_file(path: str, key: Key | None = None) -> int:
    """A descriptor of a regular file. Raises OSError, also when the file is another one than `key` by now."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", path)
    if key not in (None, (status.st_dev, status.st_ino)):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "another file", path)
    return descriptor


@contextmanager
def opened(path: str, key: Key | None = None) -> Iterator[Content]:
    """The content of a file for a short look. Raises OSError as `open_file` does."""
    descriptor = open_file(path, key)
    try:
        yield content_of(descriptor, path)
    finally:
        os.close(descriptor)


def digest(found: bytes) -> str:
    """A hash of some bytes of a log; empty for none."""
    return hashlib.blake2b(found, digest_size=16).hexdigest() if found else ""


def begins(content: Content, file: FilePosition) -> bool:
    """Whether a content has the first bytes of a file."""
    return digest(content.read(0, file.signed)) == file.signature


def continues(content: Content, file: FilePosition) -> bool:
    """Whether a content begins with all that was read of a file: the same first bytes, and those before its place."""
    if not begins(content, file):
        return False
    size = min(file.offset, SIGNED_BYTES)
    before = content.read(file.offset - size, size)
    return len(before) == size and (not file.mark or digest(before) == file.mark)


def tells(head: bytes) -> bool:
    """Whether first bytes tell a log from others: those of a hole do not."""
    return head.strip(b"\0") != b""


def first_written(content: Content) -> int:
    """The place of the first byte that is not NUL: the end of the hole before it."""
    place = 0
    while found := content.read(place, _OUTPUT_BYTES):
        written = found.lstrip(b"\0")
        if written:
            return place + len(found) - len(written)
        place += len(found)
    return place


def marked(content: Content, file: FilePosition) -> FilePosition:
    """The position with a mark of what lies before it. Going back in a gzip file is too slow for that."""
    size = 0 if content.compressed else min(file.offset, SIGNED_BYTES)
    return msgspec.structs.replace(file, mark=digest(content.read(file.offset - size, size)))


def signed(content: Content, file: FilePosition, may_be_headed: bool = False) -> FilePosition:
    """The position with a signature as long as it can be.

    It covers bytes that were not read yet too, unless they hold NULs: space reserved for lines to come. The first line
    of a CSV file of which nothing was read `may_be_headed`: then the signature reaches as far behind it.
    """
    if file.signed >= file.body + SIGNED_BYTES:
        return file
    body = file.body
    if may_be_headed and not file.offset:
        body = content.read(0, 1 << 20).find(b"\n") + 1
    head = content.read(0, body + SIGNED_BYTES)
    nul = head.find(b"\0", min(file.offset, len(head)))
    head = head if nul < 0 else head[:nul]
    return msgspec.structs.replace(file, signature=digest(head), signed=len(head), body=body)
