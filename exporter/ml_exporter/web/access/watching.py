"""Follows the web configuration file and the certificates that it names: what changes is used without a restart.

It is looked at twice before it is read, so that a file that is still being written, or a certificate whose key comes
a moment later, is not taken for a mistake. What is refused leaves what was in force in force.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from ml_exporter.errors import ConfigError, Problem

from .reading import Access, read

log = logging.getLogger("ml_exporter")
_Signature = tuple[tuple[int, ...], ...]


class WebConfig:
    """A web configuration file. `current` is what is in force; any thread may read it."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises ConfigError with everything that is wrong with it."""
        self._path = path
        self._files: tuple[Path, ...] = (path,)
        self.current = Access()
        self._seen: _Signature = ()
        self._changing: _Signature = ()
        self._problems = self._take(first=True)
        if self._problems:
            raise ConfigError(self._problems)

    def look(self, now: bool = False) -> tuple[Problem, ...]:
        """Take over what has changed and rests since the last look, or with `now` at once.

        Gives the problems for which what is on disk is not in force.
        """
        signature = _signature(self._files)
        rests, self._changing = signature == self._changing, signature
        if signature == self._seen or not (rests or now):
            return self._problems
        self._problems = self._take(first=False)
        for problem in self._problems:
            log.error("web configuration refused: %s", problem)
        if not self._problems:
            log.info("web configuration reloaded %s", self._path.name)
        return self._problems

    def _take(self, first: bool) -> tuple[Problem, ...]:
        before = _signature(self._files)
        reading = read(self._path)
        if reading.files != self._files:  # their state must be known from before the reading
            self._files = reading.files
            before = _signature(self._files)
            reading = read(self._path)
        self._seen = self._changing = before
        problems = reading.problems or (() if first else tuple(_weaker(self.current, reading.access, self._path.name)))
        if not problems:
            self.current = reading.access
        return problems


def _signature(files: Iterable[Path]) -> _Signature:
    """What changes when one of the files does."""
    return tuple(map(_state, files))


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode


def _weaker(old: Access, new: Access, where: str) -> Iterable[Problem]:
    """What a new reading no longer asks for. Half a file that parses must not open the door."""
    action = "Put it back, or restart to serve without it"
    if old.users and not new.users:
        yield Problem(f"{where}.basic_auth_users", "a user, as there was", "nobody", action)
    if old.tls and not new.tls:
        yield Problem(f"{where}.tls_server_config", "a certificate, as there was", "nothing", action)
    if old.tls and new.tls and old.tls.context.verify_mode > new.tls.context.verify_mode:
        yield Problem(f"{where}.tls_server_config.client_auth_type", "the old policy or a stricter one", "less", action)
    if old.tls and new.tls and old.tls.allowed_names and not new.tls.allowed_names:
        yield Problem(f"{where}.tls_server_config.client_allowed_sans", "a name, as there was", "nothing", action)
