"""How far files were read, as values that survive a restart, and what reading gives."""

from dataclasses import dataclass

import msgspec

from ml_exporter.errors import ProblemsError
from ml_exporter.sources.drops import Drop

Key = tuple[int, int]
"""Device and inode."""
HIDDEN = "a file behind a path that cannot be read"


class SourceError(ProblemsError):
    """Some files of a source cannot be read. Raised after everything else was."""


class FilePosition(msgspec.Struct, frozen=True):
    """How far one file was read. Bytes are those of the log: of a gzip file the decompressed ones.

    `signature` hashes its first `signed` bytes, `mark` the last ones before `offset`. `skipping` tells that `offset`
    lies inside a line that was rejected for its length.

    `base` is the path by which the file was first known, `real` the target if that was a symbolic link. `rotated`: it
    lost its name. `done`: it is finished and was read to its end. `gone`: it is nowhere to be found, or no longer
    asked for. `foreign`: a rotated file that was there before its log was followed. `held`: a copy of another file
    here, not read as long as that one is whole.

    `size` (as stored) and `modified_ns` are what the file had when it was last read to its end. `header` is the header
    line of CSV, `body` the place behind it. `wrong` tells what keeps the rest of the file from being read.
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
    mark: str = ""
    base: str = ""
    real: str = ""
    gone: bool = False
    foreign: bool = False
    held: bool = False
    size: int = -1
    modified_ns: int = 0
    header: bytes = b""
    body: int = 0
    wrong: str = ""

    @property
    def key(self) -> Key:
        """Device and inode."""
        return self.device, self.inode

    @property
    def log(self) -> str:
        """The path by which the file was first known."""
        return self.base or self.path

    @property
    def is_read(self) -> bool:
        """Whether this file is to be read when it has something new."""
        return not (self.gone or self.foreign or self.held)

    @property
    def is_hidden(self) -> bool:
        """Whether this lost file may be behind a path that cannot be read now."""
        return self.gone and self.wrong == HIDDEN

    @property
    def is_signed(self) -> bool:
        """Whether the signature tells this file from others: one that covers only a CSV header does not."""
        return self.signed > self.body


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

    def with_file(self, old: FilePosition, new: FilePosition) -> "Position":
        """The same with one file changed."""
        return Position(tuple(new if file is old else file for file in self.files))


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
