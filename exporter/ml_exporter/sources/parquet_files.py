"""Parquet files that drop into a folder, read once each, in slices of bounded size.

A file is complete when it appears under its name: writers write elsewhere and rename. One that has no valid footer when
it comes is looked at again until it has rested for `GRACE_SECONDS`. Then it is a problem of the source, as is one that
is corrupt further in. Such a file is read again only when it changes, and does not hinder the others; what was read of
it before stays counted.

Finished files are remembered as long as the pattern matches them. One that is replaced by another is read anew,
whatever its name; one that was renamed, touched, or seen after a restart of the machine is not.
"""

import errno
import math
import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import msgspec
import pyarrow as pa
from pyarrow import parquet

from ml_exporter.config import Source
from ml_exporter.errors import Problem
from ml_exporter.records import Field
from ml_exporter.sources.drops import Drop, Seen, found_again
from ml_exporter.sources.follow import Lag, Position, SourceError
from ml_exporter.sources.names import matching
from ml_exporter.sources.parquet_footer import (
    groups_behind,
    instants_without_zone,
    rows_at_once,
    signature,
    signature_at,
)
from ml_exporter.sources.parquet_rows import Slice, layout

GRACE_SECONDS = 5.0
"""How long a file without a valid footer must rest before it is a problem."""
_BUFFER_BYTES = 1 << 20
_EMPTY = pa.RecordBatch.from_arrays([], names=[])


@dataclass(frozen=True)
class _Found:
    """The files that a pattern matches, by path; those that cannot be looked at; and what is wrong."""

    statuses: dict[str, os.stat_result]
    hidden: frozenset[str]
    problems: list[Problem]


def slices(
    settings: Source, wanted: tuple[Field, ...], position: Position, now: float
) -> Generator[tuple[Slice, Position], None, None]:
    """All rows behind `position`, in slices with the position behind each, files in the order of their paths.

    `now` is the clock in seconds since 1970. A slice is empty when only the position changed. Raises SourceError at the
    end when a file cannot be read or none exists.
    """
    found = _look(settings.files)
    problems = found.problems
    drops = found_again(found.statuses, position.drops, Seen(signature_at, found.hidden))
    if drops != position.drops:
        position = Position(drops=drops)
        yield Slice(_EMPTY, frozenset(), settings.files, 0), position
    for drop in drops:
        latest = drop
        try:
            for one, moved in _read(drop, wanted):
                position = position.with_drop(latest, moved)
                latest = moved
                yield one, position
        except FileNotFoundError:
            continue
        except (OSError, pa.ArrowException) as error:
            failed = msgspec.structs.replace(latest, problem=_reason(error))
            if isinstance(error, OSError) and error.errno:  # the disk or a permission, which may be mended
                problems.append(_problem(failed))
            elif latest.rows or abs(now - latest.modified_ns / 1e9) >= GRACE_SECONDS:
                position = position.with_drop(latest, failed)
                latest = failed
                yield Slice(_EMPTY, frozenset(), drop.path, 0), position
        if latest.problem:
            problems.append(_problem(latest))
    if problems:
        raise SourceError(problems)


def _read(drop: Drop, wanted: tuple[Field, ...]) -> Iterator[tuple[Slice, Drop]]:
    """The rows of a file that were not read yet, and the drop behind each slice."""
    if drop.is_read or drop.problem:
        return
    with pa.OSFile(drop.path) as source, _opened(source) as file:
        if not _is_still(source, drop):
            return
        place = layout(file.schema_arrow, wanted)
        instants = instants_without_zone(file.metadata)
        drop = msgspec.structs.replace(drop, signature=signature(source), total=file.metadata.num_rows)
        if drop.is_read:
            yield Slice(_EMPTY, frozenset(), drop.path, 0), drop
        for number, first in groups_behind(file.metadata, drop.rows):
            row = first
            count = rows_at_once(file.metadata.row_group(number), place.columns)
            for batch in file.iter_batches(count, [number], list(place.columns)):
                unread = batch.slice(max(0, drop.rows - row))
                row += batch.num_rows
                if unread.num_rows:
                    one = Slice(unread, place.keys, drop.path, drop.rows, instants)
                    drop = msgspec.structs.replace(drop, rows=row)
                    yield one, drop


def _opened(source: pa.NativeFile) -> parquet.ParquetFile:
    """Pages are read one by one, not whole columns ahead, so that memory is bounded."""
    return parquet.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)


def lag(settings: Source, position: Position, now: float) -> Lag:
    """How much of the files was not read: bytes, by the share of rows where a file was read in part.

    Files that cannot be read do not count. Looks only at names and sizes, so any thread may call it.
    """
    found = _look(settings.files)
    unread, newest = 0, -math.inf
    for drop in found_again(found.statuses, position.drops, Seen(signature_at, found.hidden)):
        if drop.path in found.statuses and not drop.problem and not drop.is_read:
            unread += drop.unread_bytes
            newest = max(newest, drop.modified_ns / 1e9)
    return Lag(unread, max(0.0, now - newest) if unread else 0.0)


def _look(pattern: str) -> _Found:
    paths, problems = matching(pattern)
    statuses: dict[str, os.stat_result] = {}
    hidden = []
    for path in paths:
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "no regular file", path)
            statuses[path] = status
        except OSError as error:
            hidden.append(path)
            problems.append(Problem(path, "a file that can be read", _reason(error), "Check it and its permissions"))
    return _Found(statuses, frozenset(hidden), problems)


def _problem(drop: Drop) -> Problem:
    action = "Replace or remove it: it is read again when it changes. Writers write elsewhere and rename"
    return Problem(drop.path, "a Parquet file", drop.problem, action)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).strip().partition("\n")[0].rstrip(".")


def _is_still(source: pa.NativeFile, drop: Drop) -> bool:
    """Whether an open file is the one that was found under its name."""
    status = os.fstat(source.fileno())
    return (status.st_ino, status.st_size, status.st_mtime_ns) == (drop.inode, drop.size, drop.modified_ns)
