"""The formats of a source: how its files are read, and how what was read becomes rows. A literal table.

Text formats follow files that grow and give chunks of bytes. Parquet files drop and give slices of typed columns.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ml_exporter.config import Source
from ml_exporter.records import Field
from ml_exporter.sources import follow, parquet_files
from ml_exporter.sources.csv_rows import CsvParser
from ml_exporter.sources.follow import Chunk, Handles, Lag, Position
from ml_exporter.sources.jsonl import parser
from ml_exporter.sources.parquet_rows import Slice, read_slice
from ml_exporter.sources.rows import Rows
from ml_exporter.sources.scanner import Scanner

Piece = Chunk | Slice


class Reader(Protocol):
    """Reads the files of one source. Not for use by two threads at a time, but for `lag`, which any thread may ask."""

    def pieces(self, position: Position, now: float) -> Generator[tuple[Piece, Position], None, None]:
        """What can be read from `position` on, each piece with the position behind it.

        A piece is empty when only the position changed. `now` is the clock in seconds since 1970. Raises SourceError at
        the end when a file could not be read or none exists.
        """

    def lag(self, position: Position, now: float) -> Lag:
        """What was not read yet."""

    def outside(self, position: Position) -> list[str]:
        """Files that were read, and are not any more since the pattern of the source was changed."""

    def close(self) -> None:
        """Close every file."""


@dataclass(frozen=True)
class _Growing:
    """Text files that grow."""

    settings: Source
    wanted: tuple[Field, ...]
    handles: Handles = field(default_factory=Handles)

    def pieces(self, position: Position, now: float) -> Generator[tuple[Piece, Position], None, None]:
        """See `Reader`."""
        return follow.chunks(self.settings, position, self.handles, now)

    def lag(self, position: Position, now: float) -> Lag:
        """See `Reader`."""
        return follow.lag(self.settings, position, now)

    def outside(self, position: Position) -> list[str]:
        """See `Reader`."""
        return follow.outside(self.settings, position)

    def close(self) -> None:
        """See `Reader`."""
        self.handles.close()


@dataclass(frozen=True)
class _Dropping:
    """Parquet files that drop."""

    settings: Source
    wanted: tuple[Field, ...]

    def pieces(self, position: Position, now: float) -> Generator[tuple[Piece, Position], None, None]:
        """See `Reader`."""
        return parquet_files.slices(self.settings, self.wanted, position, now)

    def lag(self, position: Position, now: float) -> Lag:
        """See `Reader`."""
        return parquet_files.lag(self.settings, position, now)

    def outside(self, position: Position) -> list[str]:
        """See `Reader`. A finished file is read to its end or not at all."""
        return []

    def close(self) -> None:
        """See `Reader`. Files are open only while they are read."""


@dataclass(frozen=True)
class Format:
    """`reader` of a source's files for the fields that its streams want, and `parse`: the rows of a piece.

    `parse` may run in any thread, with a scanner of its own.
    """

    reader: Callable[[Source, tuple[Field, ...]], Reader]
    parse: Callable[[Any, tuple[Field, ...], Source, Scanner], Sequence[Rows]]


def _jsonl(chunk: Chunk, wanted: tuple[Field, ...], settings: Source, scanner: Scanner) -> Sequence[Rows]:
    return parser(wanted, settings.max_line_bytes, scanner).parse(chunk.content, chunk.offset)


def _csv(chunk: Chunk, wanted: tuple[Field, ...], settings: Source, _scanner: Scanner) -> Sequence[Rows]:
    return CsvParser(wanted, settings.delimiter, settings.max_line_bytes).parse(
        chunk.content, chunk.header, chunk.offset
    )


def _parquet(piece: Slice, wanted: tuple[Field, ...], _settings: Source, _scanner: Scanner) -> Sequence[Rows]:
    return read_slice(piece, wanted)


FORMATS: Mapping[str, Format] = {
    "jsonl": Format(_Growing, _jsonl),
    "csv": Format(_Growing, _csv),
    "parquet": Format(_Dropping, _parquet),
}
