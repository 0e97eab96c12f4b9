"""Names that rotation gives: `log.1`, `log-20130105`, `log.2013-01-05.gz`, `log-2013-01-05T13.log`, `log.old`."""

import glob
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ml_exporter.errors import Problem
from ml_exporter.sources.positions import Key

_SUFFIX = re.compile(r"[.\-_](\d[\dTZ:._+\-]*|old|bak|prev|last)")
_NUMBERED = re.compile(r"\.([1-9]\d{0,4})$")
"""Such files are renamed at every rotation, so that the highest number is the oldest."""
_DATE_DIGITS = 8


@dataclass(frozen=True)
class Found:
    """A name in a folder and the file behind it."""

    path: str
    status: os.stat_result

    @property
    def key(self) -> Key:
        """Device and inode."""
        return self.status.st_dev, self.status.st_ino


@dataclass(frozen=True)
class Relative(Found):
    """A file whose name tells that it is a rotated one of the log `base`.

    Not `certain` when a log of its own could be named so: `log-1.csv` beside `log.csv`.
    """

    base: str
    certain: bool


def matching(pattern: str) -> tuple[list[str], list[Problem]]:
    """The files that a pattern matches, and the problem when there is none."""
    if not glob.has_magic(pattern) or os.path.lexists(pattern):
        return [pattern], []
    paths = sorted(glob.glob(pattern, recursive=True))
    problem = Problem(pattern, "at least one file", "none", "Check the pattern, or wait until the log is written")
    return paths, [] if paths else [problem]


def base_of(name: str, bases: Collection[str]) -> tuple[str, bool] | None:
    """The one of `bases` that a file name is rotated from, and whether that is certain.

    >>> base_of("app.log-20130105.gz", {"app.log"}), base_of("app.1.log", {"app.log"}), base_of("b.log", {"app.log"})
    (('app.log', True), ('app.log', False), None)
    """
    bare = name.removesuffix(".gz")
    stem, extension = os.path.splitext(bare)
    for at in (at for at, sign in enumerate(bare) if sign in ".-_" and at):
        if bare[:at] in bases and _SUFFIX.fullmatch(bare, at):
            return bare[:at], True
        base = stem[:at] + extension
        if at < len(stem) and base in bases and _SUFFIX.fullmatch(stem, at):
            return base, sum(sign.isdigit() for sign in stem[at:]) >= _DATE_DIGITS
    return (bare, True) if bare != name and bare in bases else None


def order(path: str) -> tuple[int, str]:
    """Sorts rotated names of one log from the oldest on, for files whose times are equal.

    >>> sorted(["app.log.2.gz", "app.log.1", "app.log.10"], key=order)
    ['app.log.10', 'app.log.2.gz', 'app.log.1']
    >>> sorted(["app.log-000002", "app.log-000001.gz", "app.log-20130105"], key=order)
    ['app.log-000001.gz', 'app.log-000002', 'app.log-20130105']
    """
    bare = path.removesuffix(".gz")
    numbered = _NUMBERED.search(bare)
    return (-int(numbered[1]), "") if numbered else (0, bare)


def relatives(logs: Collection[str], deep: bool = False) -> Iterator[Relative]:
    """Rotated files of `logs`, in the folders where those are; with `deep` also in the folders directly below."""
    folders: dict[str, set[str]] = {}
    for path in logs:
        folder, name = os.path.split(path)
        folders.setdefault(folder, set()).add(name)
    for folder, bases in folders.items():
        for entry in _entries(folder, deep):
            name = entry.name
            if name in bases and os.path.dirname(entry.path) == folder:
                continue
            rotated = base_of(name, bases) if _may_be_rotated(name) else None
            if rotated:
                try:
                    found = os.stat(entry.path)
                except OSError:
                    continue
                yield Relative(entry.path, found, os.path.join(folder, rotated[0]), rotated[1])


def _may_be_rotated(name: str) -> bool:
    return any(sign in name for sign in "0123456789") or name.endswith((".gz", "old", "bak", "prev", "last"))


def _entries(folder: str, deep: bool) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder or ".") as entries:
            found = list(entries)
    except OSError:
        return
    yield from found
    for entry in found if deep else ():
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, False)


def by_inode(keys: Collection[Key], logs: Collection[str]) -> Iterator[Found]:
    """Files of the same folders that have one of some inodes, whatever their names."""
    inodes = {inode for _, inode in keys}
    for folder in {os.path.dirname(path) for path in logs}:
        for entry in _entries(folder, False):
            if entry.inode() in inodes:
                try:
                    found = Found(entry.path, os.stat(entry.path))
                except OSError:
                    continue
                if found.key in keys:
                    yield found
