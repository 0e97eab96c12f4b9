"""A state that cannot be used is set aside under another name, never deleted."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ml_exporter.store.files import FOLDER, sync_folder
from ml_exporter.store.schema import FILE, WAL

PREFIX = "damaged-"
_PARTS = (FILE, WAL, f"{FILE}-shm", f"{FILE}-journal")


def set_aside(directory: Path, keep: Iterable[Path] = ()) -> Path:
    """Moves the database and its runs to a folder beside it, and returns that. Raises OSError.

    Runs in `keep` are still in use: they get a second name there.
    """
    target = _new_folder(directory)
    kept = {path.name for path in keep}
    for name in _PARTS:
        with suppress(FileNotFoundError):
            (directory / name).rename(target / name)
    for path in sorted((directory / FOLDER).glob("*.run")):
        if path.name in kept:
            with suppress(OSError):  # a file system without second names: then the run stays where it is in use
                os.link(path, target / path.name)
        else:
            path.rename(target / path.name)
    sync_folder(directory)
    return target


def damaged(directory: Path) -> int:
    """How many states and runs were set aside and wait for somebody to look at them."""
    return sum(1 for _ in directory.glob(f"{PREFIX}*")) + sum(1 for _ in (directory / FOLDER).glob("*.damaged"))


def _new_folder(directory: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for number in range(1, 1000):
        target = directory / (f"{PREFIX}{stamp}" + (f"-{number}" if number > 1 else ""))
        with suppress(FileExistsError):
            target.mkdir(mode=0o700)
            return target
    raise FileExistsError(str(target))
