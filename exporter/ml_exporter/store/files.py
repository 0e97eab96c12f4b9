"""Runs as files: written once, synced, then mapped into memory for reading.

A file has a header of one page (magic, length and checksum of a JSON text), then each column on a page of its own, then
the filter of hashes. A column that has one value throughout is a number in the header, the others and the filter have a
checksum there, which `checking` reads them against. A run that is being merged is written a slice at a time, with room
for the rows that may come; room that is not needed is a hole in the file.

Files of before the checksums lack that key of the header, and are read; a release of then reads those of now.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_exporter.errors import Problem, StateError
from ml_exporter.join import Columns, Filter, Run

FOLDER = "runs"
_MAGIC = b"MLXRUN1\n"
PAGE = 4096
_CONSTANTS = ("segment", "actual", "label_us", "state")
"""Columns that may have one value throughout; they come last, so that the file ends where they would begin."""


def run_path(directory: Path, number: int) -> Path:
    """Where the run of a number lies in a state directory."""
    return directory / FOLDER / f"{number:08d}.run"


def write_run(path: Path, dtype: np.dtype[Any], room: int, slices: Iterable[Columns]) -> int:
    """Writes a run of at most `room` rows and syncs it with its folder. Returns how many rows it has.

    Raises OSError, and leaves no file then; nor does it when there are no rows.
    """
    made = False
    try:
        with path.open("xb", buffering=0) as file:
            rows = _Writer(file.fileno(), dtype, room).write(slices)
            os.fsync(file.fileno())
        made = rows > 0
        return rows
    finally:
        if made:
            sync_folder(path.parent)
        else:
            path.unlink(missing_ok=True)


class _Writer:
    """Writes the columns of one file side by side."""

    def __init__(self, descriptor: int, dtype: np.dtype[Any], room: int) -> None:
        self._descriptor = descriptor
        names = dtype.names or ()
        self._types = {name: dtype[name] for name in sorted(names, key=lambda name: (name in _CONSTANTS, name))}
        self._starts: dict[str, int] = {}
        self._constants: dict[str, Any] = {}
        self._sums: dict[str, int] = {}
        self._filter = Filter.empty(room)
        self._filter_start = end = PAGE
        end = _aligned(end + len(self._filter.bits))
        for name, kind in self._types.items():
            self._starts[name] = end
            end = _aligned(end + room * kind.itemsize)
        self._rows = 0

    def write(self, slices: Iterable[Columns]) -> int:
        """Writes the slices one after the other, then what was learned from them."""
        for columns in slices:
            if len(columns["hash"]):
                self._filter.add(columns["hash"])
                for name in self._types:
                    self._append(name, columns[name])
                self._rows += len(columns["hash"])
        _write(self._descriptor, self._filter.bits.tobytes(), self._filter_start)
        _write(self._descriptor, self._header(), 0)
        return self._rows

    def _append(self, name: str, column: npt.NDArray[Any]) -> None:
        if name in _CONSTANTS and (self._rows == 0 or name in self._constants):
            value = self._constants.setdefault(name, column[0])
            if (column == value).all():
                return
            del self._constants[name]
            self._put(name, 0, np.full(self._rows, value, column.dtype))
        self._put(name, self._rows, column)

    def _put(self, name: str, row: int, column: npt.NDArray[Any]) -> None:
        """Writes what follows on the rows that were put before."""
        kind = self._types[name]
        content = column.astype(kind.base, copy=False).tobytes()
        self._sums[name] = zlib.crc32(content, self._sums.get(name, 0))
        _write(self._descriptor, content, self._starts[name] + row * kind.itemsize)

    def _checksums(self) -> list[tuple[int, int, int]]:
        """Where something begins, how many bytes it has, and its checksum."""
        bits = self._filter.bits.tobytes()
        sizes = {name: self._rows * self._types[name].itemsize for name in self._sums}
        columns = [(self._starts[name], sizes[name], found) for name, found in self._sums.items()]
        return [(self._filter_start, len(bits), zlib.crc32(bits)), *columns]

    def _header(self) -> bytes:
        columns = [
            [name, kind.base.str, list(kind.shape), self._starts[name], _plain(self._constants.get(name))]
            for name, kind in self._types.items()
        ]
        document = {"rows": self._rows, "columns": columns, "filter": [self._filter_start, self._filter.width]}
        document |= {"checksums": self._checksums()}
        text = json.dumps(document).encode()
        head = _MAGIC + len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little") + text
        return head.ljust(PAGE, b"\0")


def open_run(path: Path, facts: Mapping[str, Any]) -> Run:
    """The run in a file; `facts` are the fields of `Run` that the manifest holds. Raises StateError if damaged."""
    try:
        content = np.memmap(path, np.uint8, "r")
        document = read_header(content[:PAGE].tobytes())
        rows, (start, width) = document["rows"], document["filter"]
        columns = {}
        for name, kind, shape, offset, constant in document["columns"]:
            columns[name] = _column(content, np.dtype((kind, tuple(shape))), rows, offset, constant)
        bits = content[start : start + (1 << (width - 3))]
        if len(bits) != 1 << (width - 3):
            raise ValueError(f"{len(content)} bytes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damage(path, error) from error
    return Run(columns=columns, filter=Filter(width, np.asarray(bits)), **facts)


def damage(path: Path, error: Exception) -> StateError:
    """What is wrong with a run that cannot be used."""
    got = " ".join(str(error).split()) or type(error).__name__
    return StateError([Problem(str(path), "an undamaged run", got, "Restore it, or let it be set aside")])


def set_run_aside(directory: Path, number: int) -> None:
    """Keeps a run that cannot be used under another name, for somebody to look at."""
    path = run_path(directory, number)
    with suppress(OSError):
        path.rename(path.with_suffix(".damaged"))


def read_header(page: bytes) -> Any:
    """The header of a run in its first page. Raises ValueError when it is damaged."""
    if not page.startswith(_MAGIC):
        raise ValueError("no header")
    length, found = int.from_bytes(page[8:12], "little"), int.from_bytes(page[12:16], "little")
    text = page[16 : 16 + length]
    if zlib.crc32(text) != found:
        raise ValueError("a damaged header")
    return json.loads(text)


def _column(
    content: npt.NDArray[np.uint8], kind: np.dtype[Any], rows: int, start: int, constant: object
) -> npt.NDArray[Any]:
    if constant is not None:
        return np.broadcast_to(np.array(constant, kind.base), (rows, *kind.shape))
    end = start + rows * kind.itemsize
    if end > len(content):
        raise ValueError(f"{len(content)} bytes, but its columns need {end}")
    return np.asarray(content[start:end]).view(kind.base).reshape(rows, *kind.shape)


def _write(descriptor: int, content: bytes, offset: int) -> None:
    """All of it: a single call may write less, for example when the disk is nearly full."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _aligned(offset: int) -> int:
    return -(-offset // PAGE) * PAGE


def _plain(value: Any) -> Any:
    return None if value is None else value.item()


def sync_folder(path: Path) -> None:
    """Makes names that were added to a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
