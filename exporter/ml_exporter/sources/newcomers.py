"""Files that a source did not know: new ones, copies of known ones, and rotated ones that nobody saw while they grew.

What a log was rotated to while the exporter was down is known by its name, and is new if its content is that of no
known file. Rotated files that were there when a log was first followed are noted, so that compressing them later makes
nothing of them.
"""

import os
from collections.abc import Collection, Iterable

import msgspec

from ml_exporter.config import Source
from ml_exporter.errors import Problem
from ml_exporter.sources import contents, names
from ml_exporter.sources.contents import Content, content_of, opened
from ml_exporter.sources.cut import Cutter
from ml_exporter.sources.handles import Handles
from ml_exporter.sources.locate import Search
from ml_exporter.sources.names import Found, Relative
from ml_exporter.sources.positions import FilePosition, Position
from ml_exporter.sources.sight import Sight, problem

_REMEMBERED_DONE = 1000
_REMEMBERED_GONE = 64
_COMPARED_BYTES = 1 << 16
_MOST_LOOKS = 20


def locate(settings: Source, position: Position, handles: Handles) -> tuple[Position, list[Problem]]:
    """The position with every file where it now is, and new ones; what cannot be looked at is a problem.

    Files that are to be read and changed are open then. All of it is true of one instant: what was found while a
    rotation went on is thrown away, and looked for again. If rotations never rest, the position stays as it was.
    """
    logs = {file.log for file in position.files}
    for _ in range(_MOST_LOOKS):
        search = Search(position, handles, Cutter.of(settings).is_csv, Sight.of(settings.files, logs))
        search.look()
        newcomers = _Newcomers(search)
        newcomers.add_matched()
        newcomers.add_unseen()
        found = newcomers.position()
        if search.holds(found, Sight.of(settings.files, logs)):
            return found, search.sight.problems
    return position, []


class _Newcomers:
    """Adds to what a search found."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._added = [file for file in search.nameless if not self._is_elsewhere(file)]
        self._rotating = _rotating(search)
        settled = [file.modified_ns for file in _settled(search.old.files, search.sight)]
        self._forgotten_ns = min(settled) if len(settled) >= _REMEMBERED_DONE else -1

    def add_matched(self) -> None:
        """Take in new files that the pattern matches."""
        search = self._search
        fresh = [found for found in search.sight.matched.values() if found.key not in search.claimed]
        logs = {found.key: self._log_of(found.path) for found in fresh}
        for found in sorted(fresh, key=lambda found: logs[found.key] is not None):  # copies behind their originals
            log = logs[found.key]
            before = search.waiting.get(found.key)
            if log and self._is_copy(found, log):
                self._added.append(msgspec.structs.replace(self._new(found, log), held=True))
            elif before:
                modified_ns = before.modified_ns if before.signed or before.wrong else found.status.st_mtime_ns
                self._open(found, msgspec.structs.replace(before, modified_ns=modified_ns))
            else:
                self._open(
                    found, msgspec.structs.replace(self._new(found, log or found.path), rotated=log in self._rotating)
                )

    def _log_of(self, path: str) -> str | None:
        """The log that a path is a rotated name of."""
        folder, name = os.path.split(path)
        beside = {log for log in self._search.sight.logs if os.path.dirname(log) == folder and log != path}
        found = names.base_of(name, {os.path.basename(log) for log in beside})
        return os.path.join(folder, found[0]) if found else None

    def _new(self, found: Found, log: str) -> FilePosition:
        """A file of which nothing was read. It may go on without a header line of its own."""
        headers = [file for file in self._search.old.files if file.header and file.log == log]
        header = max(headers, key=lambda file: file.modified_ns).header if headers else b""
        real = os.path.realpath(found.path) if os.path.islink(found.path) else ""
        modified_ns = found.status.st_mtime_ns
        return FilePosition(found.path, *found.key, base=log, real=real, header=header, modified_ns=modified_ns)

    def _open(self, found: Found, file: FilePosition) -> None:
        try:
            content = content_of(self._search.handles.open(found.path, found.key), found.path)
            if not contents.continues(content, file):
                file = msgspec.structs.replace(self._new(found, file.log), rotated=file.rotated)
            file = contents.signed(content, file, self._search.is_csv)
        except FileNotFoundError:
            return  # renamed since the look
        except OSError as error:
            self._search.sight.problems.append(problem(found.path, error))
            if file.rotated and any(other.log == file.log for other in self._hidden()):
                return  # perhaps it is that one
        self._added.append(file)
        self._search.claimed.add(file.key)

    def _hidden(self) -> list[FilePosition]:
        return [file for file in self._search.located.values() if file.is_hidden]

    def _is_in_the_making(self, found: Found, log: str) -> bool:
        """Whether more may be written to a copy: it is looked at again then."""
        beside = found.path.removesuffix(".gz") != log and self._search.sight.is_packed_beside(found.path)
        return not found.status.st_size or beside

    def _is_copy(self, found: Found, log: str) -> bool:
        """Whether a rotated file holds only what another file of the same log here also holds, or nothing yet."""
        if self._is_in_the_making(found, log):
            return True
        known = (*self._search.located.values(), *self._added)
        files = [file for file in known if file.log == log and not (file.gone or file.held)]
        try:
            with opened(found.path, found.key) as content:
                if not content.read(0, 1) and not content.corrupt:
                    return True
                return any(self._holds(file, content, found.status.st_size) for file in files)
        except OSError:
            return False

    def _holds(self, file: FilePosition, content: Content, size: int) -> bool:
        descriptor = self._search.handles.get(file)
        if descriptor is not None:
            return _is_copy(content, size, content_of(descriptor, file.path), file)
        try:
            with opened(file.path, file.key) as whole:
                return _is_copy(content, size, whole, file)
        except OSError:
            return False

    def _is_elsewhere(self, nameless: FilePosition) -> bool:
        """Whether a file that lost its name was replaced by one that begins with all it holds."""
        descriptor = self._search.handles.get(nameless)
        if descriptor is None:
            return True
        content, size = content_of(descriptor, nameless.path), os.fstat(descriptor).st_size
        relatives = (found for found in self._search.sight.relatives.values() if found.base == nameless.log)
        for found in (*self._search.sight.matched.values(), *relatives):
            try:
                if found.key not in self._search.claimed:
                    with opened(found.path, found.key) as whole:
                        if _is_part(content, size, whole):
                            return True
            except OSError:
                continue
        return False

    def add_unseen(self) -> None:
        """Take in files to which a log was rotated meanwhile: all whose content is not known."""
        search = self._search
        followed = {file.log for file in search.old.files}
        for relative in search.sight.relatives.values():
            if relative.key in search.claimed or not relative.certain:
                continue
            if relative.base not in followed:
                self._note_foreign(relative)
            else:
                file = msgspec.structs.replace(self._new(relative, relative.base), rotated=True)
                if self._is_copy(relative, relative.base):
                    self._added.append(msgspec.structs.replace(file, held=True))
                elif relative.status.st_mtime_ns > self._forgotten_ns:
                    self._open(relative, file)

    def _note_foreign(self, found: Relative) -> None:
        file = self._new(found, found.base)
        file = msgspec.structs.replace(file, foreign=True, done=True, size=found.status.st_size)
        try:
            with opened(found.path, found.key) as content:
                self._added.append(contents.signed(content, file, self._search.is_csv))
        except OSError:
            return

    def position(self) -> Position:
        """All files, those to be read first, and as many of the others as are worth remembering."""
        search = self._search
        files = [search.located[file] for file in search.old.files if file in search.located]
        files += self._added
        lost = [file for file in search.lost if file.is_signed and not file.foreign]
        gone = [msgspec.structs.replace(file, gone=True, wrong="") for file in lost]
        forgotten = _oldest(_settled(files, search.sight), _REMEMBERED_DONE)
        forgotten |= _oldest(gone, _REMEMBERED_GONE)
        return Position(tuple(file for file in (*files, *gone) if file not in forgotten))


def _rotating(search: Search) -> Collection[str | None]:
    """Logs whose file moved, vanished or was replaced since the last look."""
    new = {file.log for file in search.nameless}
    new |= {
        found.path for key, found in search.sight.matched.items() if key not in search.claimed | search.waiting.keys()
    }
    for key, file in search.waiting.items():  # empty at the last look, and perhaps another file by now
        if not file.signed and search.sight.matched[key].status.st_mtime_ns != file.modified_ns:
            new.add(file.log)
    followed = [file for file in search.old.files if not (file.foreign or file.held or file.gone) or file.is_hidden]
    return {file.log for file in followed if file.log in new or file in search.lost or _has_moved(search, file)}


def _settled(files: Iterable[FilePosition], sight: Sight) -> list[FilePosition]:
    """Files that are not read on, and become more with every rotation. Those that the pattern matches stay known."""
    return [file for file in files if (file.done or not file.is_read) and file.key not in sight.matched]


def _has_moved(search: Search, file: FilePosition) -> bool:
    now = search.located.get(file, file)
    return (now.path, now.rotated) != (file.path, file.rotated)


def _oldest(files: list[FilePosition], kept: int) -> set[FilePosition]:
    """All but the newest `kept` files."""
    return set(sorted(files, key=lambda file: file.modified_ns, reverse=True)[kept:])


def _is_copy(content: Content, size: int, whole: Content, file: FilePosition) -> bool:
    if not content.compressed:
        return _is_part(content, size, whole)
    head = content.read(0, file.signed) if whole.compressed and file.is_signed else b""
    if contents.tells(head):
        return contents.digest(head) == file.signature
    part = content.read(0, _COMPARED_BYTES)
    if len(part) < _COMPARED_BYTES:
        return part != b"" and whole.read(0, len(part)) == part
    first = contents.first_written(whole)
    begin = whole.read(first, _COMPARED_BYTES)
    is_as_long = len(begin) == _COMPARED_BYTES or not content.read(first + len(begin), 1)
    return is_as_long and content.read(first, len(begin)) == begin


def _is_part(content: Content, size: int, whole: Content) -> bool:
    """Whether the bytes of a file are the first ones of another, by their beginning and their end."""
    last = min(size, contents.SIGNED_BYTES)
    places = ((0, last), (size - last, last))
    return size > 0 and all(content.read(*place) == whole.read(*place) for place in places)
