"""Where the files of a position are now: under their own names, under rotated ones, copied, compressed or gone.

A file is found by device and inode, and must still begin with all that was read of it (`contents.continues`). Where
that fails, its content is looked for under the names that rotation gives and among new files: it was copied before it
was truncated, compressed, or replaced. A file of which nothing was read is not looked for: wherever its content is, it
is new there.
"""

import errno
import os
from dataclasses import dataclass, field

import msgspec

from ml_exporter.sources import contents, names
from ml_exporter.sources.contents import Content, content_of, continues, opened
from ml_exporter.sources.handles import Handles
from ml_exporter.sources.names import Found, Relative
from ml_exporter.sources.positions import HIDDEN, FilePosition, Key, Position
from ml_exporter.sources.sight import Sight, problem


@dataclass
class Search:
    """The files of a position among those in sight.

    `located` maps files of the old position to where they now are; `lost` are those that were not found; `waiting` are
    those of which nothing was read, by key: they may be copies in the making, so they are looked at like new ones.
    """

    old: Position
    handles: Handles
    is_csv: bool
    sight: Sight
    located: dict[FilePosition, FilePosition] = field(default_factory=dict)
    lost: list[FilePosition] = field(default_factory=list)
    waiting: dict[Key, FilePosition] = field(default_factory=dict)
    nameless: list[FilePosition] = field(default_factory=list)
    claimed: set[Key] = field(default_factory=set)
    _open_sizes: dict[FilePosition, int] = field(default_factory=dict)

    def look(self) -> None:
        """Find the files of the old position."""
        self._by_name()
        self._by_content()
        for file in self._open_sizes.keys() & set(self.lost):
            self.lost.remove(file)
            self.located[file] = msgspec.structs.replace(file, rotated=True)
            self.claimed.add(file.key)
        self.located = {old: self._signed(now) for old, now in self.located.items()}

    def holds(self, found: Position, later: Sight) -> bool:
        """Whether what was `found` still is so in a later sight: names, and the content of every file to be read."""
        read = [file for file in found.files if file.is_read]
        return self.sight.agrees(later) and all(self._still_continues(file, later) for file in read)

    def _still_continues(self, file: FilePosition, later: Sight) -> bool:
        descriptor = self.handles.get(file)
        if descriptor is None:
            return self.sight.is_untouched(file.path, later)
        return file.done or continues(content_of(descriptor, file.path), file)

    def _signed(self, file: FilePosition) -> FilePosition:
        descriptor = self.handles.get(file)
        if descriptor is None or not file.is_read:
            return file
        return contents.signed(content_of(descriptor, file.path), file, self.is_csv)

    def _by_name(self) -> None:
        """Find files by device and inode."""
        files = sorted(self.old.files, key=lambda file: (file.gone, file.foreign))
        strays = self._strays()
        for file in files:
            at = self.sight.matched.get(file.key)
            if file.held or (file.foreign and at):
                continue
            found = at or self.sight.relatives.get(file.key) or strays.get(file.key)
            if _is_unread(file) and (at or isinstance(found, Relative)):
                if at and at.path == file.path:
                    self.waiting[file.key] = file
                continue
            now = None if file.key in self.claimed else self._same(file, found)
            if now:
                self.located[file] = now
                self.claimed.add(now.key)
            elif file.offset or file.rotated or file.key not in {other.key for other in self.nameless}:
                self.lost.append(file)

    def _strays(self) -> dict[Key, Found]:
        """Files that have one of the inodes, under any other name."""
        missing = {file.key for file in self.old.files} - self.sight.matched.keys() - self.sight.relatives.keys()
        strays = {found.key: found for found in names.by_inode(missing, self.sight.logs)} if missing else {}
        for file in self.old.files:
            if file.real and file.key in missing:
                try:
                    found = Found(file.real, os.stat(file.real))
                except OSError:
                    continue
                strays[found.key] = found
        return strays

    def _same(self, file: FilePosition, found: Found | None) -> FilePosition | None:
        """Where a file is now, if `found`, which has its inode, or the file that is still open continues it."""
        if found is None:
            return self._nameless(file)
        moved = self._moved(file, found)
        status = found.status
        unchanged = (file.size, file.modified_ns) == (status.st_size, status.st_mtime_ns) and not file.gone
        if not (file.signed or (unchanged if file.done else self.handles.get(file) is not None)):
            return None  # nothing tells it from whatever has its inode by now
        is_all_read = file.offset == status.st_size and not moved.rotated and self.handles.get(file) is None
        if not unchanged or not (file.done or file.wrong or is_all_read):
            try:
                if not self._continues(file, found):
                    return None
            except OSError as error:
                if file.is_read and error.errno != errno.ENOENT:
                    self.sight.problems.append(problem(found.path, error))
                return file
        is_done = file.done and (unchanged or not moved.is_read)
        return moved if is_done == file.done else msgspec.structs.replace(moved, done=is_done)

    def _nameless(self, file: FilePosition) -> FilePosition | None:
        if file.path in self.sight.blind or file.log in self.sight.blind:
            return file
        descriptor = self.handles.get(file)
        if descriptor is None or file.gone or file.done:
            return None
        status = os.fstat(descriptor)
        if (file.offset or file.rotated) and continues(content_of(descriptor, file.path), file):
            self._open_sizes[file] = status.st_size
            return None
        # it was truncated too
        self.nameless.append(FilePosition(file.path, *file.key, base=file.log, rotated=True, header=file.header))
        self.nameless[-1] = msgspec.structs.replace(self.nameless[-1], modified_ns=status.st_mtime_ns)
        return None

    def _continues(self, file: FilePosition, found: Found) -> bool:
        if file.is_read:
            return continues(content_of(self.handles.open(found.path, found.key), found.path), file)
        with opened(found.path, found.key) as content:
            return continues(content, file)

    def _moved(self, file: FilePosition, found: Found) -> FilePosition:
        """The same file at another path, and whether it is a rotated one there."""
        matched = self.sight.matched.get(found.key)
        no_longer = not matched and not isinstance(found, Relative) and found.path == file.log and not file.rotated
        rotated, base = file.rotated or found.path != file.path, file.log
        if matched and found.path == file.log:
            rotated = False
        elif found.path == file.path:
            pass
        elif matched and os.path.basename(found.path) == os.path.basename(file.path):  # the folder has another name
            rotated, base = file.rotated, base if file.rotated else found.path
        rotated = rotated and not file.foreign
        return msgspec.structs.replace(file, path=found.path, base=base, rotated=rotated, gone=no_longer)

    def _by_content(self) -> None:
        """Find what was read of a lost file in another one: a copy, compressed, or put in its place."""
        signed = [file for file in self.lost if file.is_signed]
        candidates: dict[Key, Found] = {}
        newly = {file.log for file in signed if _is_newly_lost(file)}
        for found in (
            *self.sight.matched.values(),
            *(self.sight.relatives.values() if signed else ()),
            *(names.relatives(newly, deep=True) if newly else ()),
        ):
            if found.key not in self.claimed:
                candidates.setdefault(found.key, found)
        for found in sorted(candidates.values(), key=lambda found: (found.path.endswith(".gz"), -found.status.st_size)):
            lost = [file for file in signed if file in self.lost]
            if not lost:
                break
            try:
                with opened(found.path, found.key) as content:
                    self._claim(content, found, lost)
            except OSError as error:
                if found.key not in self.sight.matched:
                    self._look_again(found, error)

    def _look_again(self, found: Found, error: OSError) -> None:
        """Lost files that may be behind a path that cannot be read now are looked for again."""
        if error.errno != errno.ENOENT:
            self.sight.problems.append(problem(found.path, error))
        base = found.base if isinstance(found, Relative) else found.path
        for file in [file for file in self.lost if file.log == base and _is_newly_lost(file)]:
            self.lost.remove(file)
            self.located[file] = msgspec.structs.replace(file, gone=True, wrong=HIDDEN)

    def _claim(self, content: Content, found: Found, lost: list[FilePosition]) -> None:
        """Give a file to the lost one that it continues, or that was copied before its last rows were written."""
        head = content.read(0, max(file.signed for file in lost))
        for file in sorted(lost, key=lambda file: -file.offset):
            if len(head) < file.signed or contents.digest(head[: file.signed]) != file.signature:
                continue
            size = found.status.st_size
            is_short = not content.compressed and size < file.offset and found.path != file.log
            is_short = is_short and file not in self._open_sizes and contents.tells(head[: file.signed])
            if not is_short and not (continues(content, file) and self._is_better(content, file, found)):
                continue
            now = msgspec.structs.replace(
                self._moved(file, found), device=found.key[0], inode=found.key[1], gone=False, wrong="", size=-1
            )
            if is_short:
                now = msgspec.structs.replace(now, offset=size, mark="", done=True)
            if now.done:
                now = msgspec.structs.replace(now, size=size, modified_ns=found.status.st_mtime_ns)
            else:
                self.handles.open(found.path, found.key)
            self.located[file] = now
            self.lost.remove(file)
            self.claimed.add(found.key)
            self.waiting.pop(found.key, None)
            return

    def _is_better(self, content: Content, file: FilePosition, found: Found) -> bool:
        """Whether a file that continues another is to be read instead, if that is open still, without a name.

        It is when it took its place, or holds more: the log was replaced, then rotated.
        """
        size = self._open_sizes.get(file)
        return size is None or found.path == file.log or (not file.rotated and content.read(size, 1) != b"")


def _is_unread(file: FilePosition) -> bool:
    """Whether nothing was read of a file: then it claims nothing, and whatever has its name is looked at as new."""
    return file.offset <= file.body and not (file.foreign or file.done)


def _is_newly_lost(file: FilePosition) -> bool:
    """Whether a lost file was there at the last look, or is behind a path that cannot be read."""
    return not file.gone or file.is_hidden
