"""Reads runs again and compares them with their checksums, so that what a disk damages does not stay unnoticed.

Every run is read after a start (in the background, so that the start does not wait for it), before it is merged, which
would give what is damaged a new checksum, and once a day.
"""

import errno
import threading
import time
import zlib
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

from ml_exporter.errors import StateError
from ml_exporter.join import Run
from ml_exporter.store.files import PAGE, damage, read_header, run_path

EVERY_SECONDS = 86_400.0
_PIECE = 1 << 20


class Checker:
    """Which runs are to be read again, and which were found damaged."""

    def __init__(self, directory: Path, stop: threading.Event) -> None:
        self._directory = directory
        self._stop = stop
        self._last: dict[int, float] = {}
        self._found: dict[int, StateError] = {}

    def add(self, runs: Iterable[Run]) -> None:
        """These were on the disk before the process began, and are to be read soon."""
        self._last |= {run.number: -EVERY_SECONDS for run in runs}

    def due(self, runs: Iterable[Run]) -> list[int]:
        """The numbers of the runs to be read now; they are not due again before a day is over.

        `runs` are all that there are; those that were not there before were just written.
        """
        now = time.monotonic()
        self._last = {run.number: self._last.get(run.number, now) for run in runs}
        found = [number for number, last in self._last.items() if now - last >= EVERY_SECONDS]
        self._last |= dict.fromkeys(found, now)
        return found

    def check(self, numbers: Iterable[int]) -> bool:
        """Reads runs, in any thread. Returns whether they are what was written; one that vanished is nobody's fault."""
        numbers = tuple(numbers)
        for number in numbers:
            try:
                check_run(run_path(self._directory, number), self._stop)
            except StateError as error:
                self._found[number] = error
        return self._found.keys().isdisjoint(numbers)

    def lost(self, runs: list[Run]) -> list[Run]:
        """Those that were found damaged and all older ones, which hold versions that a damaged one overrides."""
        places = (place for place, run in enumerate(runs) if run.number in self._found)
        return runs[: max(places, default=-1) + 1]

    def told(self, runs: Iterable[Run]) -> list[str]:
        """What to say of runs that were set aside, of which some were found damaged."""
        found = (self._found.pop(run.number, None) for run in runs)
        return [f"{error} It was set aside with all older ones of its model." for error in found if error]


def check_run(path: Path, stop: threading.Event) -> None:
    """Reads a run until told to stop. Raises StateError if it is not what was written.

    One of before the checksums is as good as its header.
    """
    try:
        with path.open("rb", buffering=0) as file:
            for start, size, expected in read_header(file.read(PAGE)).get("checksums", ()):
                found = _checksum(file, start, size, stop)
                if found != expected and not stop.is_set():
                    raise ValueError(f"another checksum of the {size} bytes from {start} on")
    except ValueError as error:
        raise damage(path, error) from error
    except OSError as error:
        if error.errno == errno.EIO:
            raise damage(path, error) from error


def _checksum(file: FileIO, start: int, size: int, stop: threading.Event) -> int:
    file.seek(start)
    found, piece = 0, bytearray(_PIECE)
    while size and not stop.is_set():
        read = file.readinto(memoryview(piece)[:size])
        if not read:
            raise ValueError(f"a file that ends {size} bytes early")
        found, size = zlib.crc32(memoryview(piece)[:read], found), size - read
    return found
