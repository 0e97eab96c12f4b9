"""What stands on disk under the names of a source at one instant.

A folder cannot be looked at in one instant. While it is listed and its files are opened one after another, a rotation
may rename, copy, truncate and compress: a file shows up under two names, under none, or under the name of another.
So a look is taken twice, before and behind all that is decided from it, and only two looks that agree count
(`newcomers.locate`).
"""

import errno
import os
import stat
from dataclasses import dataclass, field

from ml_exporter.errors import Problem, shown
from ml_exporter.sources import names
from ml_exporter.sources.names import Found, Relative
from ml_exporter.sources.positions import Key

_MISSING = (errno.ENOENT, errno.ENOTDIR)


def problem(path: str, error: OSError) -> Problem:
    """A file that cannot be read."""
    return Problem(
        path, "a log file that can be read", error.strerror or shown(error), "Check the file and its permissions"
    )


@dataclass
class Sight:
    """The files that the pattern of a source matches, and the rotated ones beside its `logs`.

    `blind` are paths that cannot be looked at, though something may be there.
    """

    matched: dict[Key, Found] = field(default_factory=dict)
    relatives: dict[Key, Relative] = field(default_factory=dict)
    logs: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    blind: set[str] = field(default_factory=set)
    _statuses: dict[str, os.stat_result | None] = field(default_factory=dict)

    @classmethod
    def of(cls, pattern: str, known: set[str]) -> "Sight":
        """Look at the files of a pattern and at those rotated from them or from `known` logs."""
        paths, problems = names.matching(pattern)
        sight = cls(problems=problems)
        for path in paths:
            sight._match(path)
        sight.logs = known | {found.path for found in sight.matched.values()}
        for relative in names.relatives(sight.logs):
            sight._statuses[relative.path] = relative.status
            if relative.key not in sight.matched:
                sight.relatives.setdefault(relative.key, relative)
        return sight

    def _match(self, path: str) -> None:
        self._statuses[path] = None
        try:
            found = Found(path, os.stat(path))
            if not stat.S_ISREG(found.status.st_mode):
                raise OSError(errno.EINVAL, "no regular file", path)
        except OSError as error:
            self.problems.append(problem(path, error))
            self.blind |= set() if error.errno in _MISSING else {path}
            return
        self._statuses[path] = found.status
        self.matched.setdefault(found.key, found)

    def is_packed_beside(self, path: str) -> bool:
        """Whether a gzip file stands beside the plain one: then it may not be whole yet."""
        return path.endswith(".gz") and path.removesuffix(".gz") in self._statuses

    def agrees(self, later: "Sight") -> bool:
        """Whether every name still leads to the same file, and none became shorter. A file may have grown."""
        if self._statuses.keys() != later._statuses.keys():
            return False
        pairs = [(then, later._statuses[path]) for path, then in self._statuses.items()]
        return all(
            then is now if then is None or now is None else os.path.samestat(then, now) and then.st_size <= now.st_size
            for then, now in pairs
        )

    def is_untouched(self, path: str, later: "Sight") -> bool:
        """Whether a file was not written to since. Also true of a file that is seen under no name."""
        then, now = self._statuses.get(path), later._statuses.get(path)
        return then is None or now is None or (then.st_size, then.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
