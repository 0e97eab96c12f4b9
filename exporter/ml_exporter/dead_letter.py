r"""The dead-letter file: for lines that were refused, where they lie and why.

JSON lines in `dead-letter.jsonl` in the state directory, for its owner alone. Notes are kept in memory until `write`,
which is called before the commit of the same rows: a crash may note a line twice, never not at all. Of one source and
reason few lines are noted before each commit, and then how many more there were, so that a flood of bad lines costs
little. The file is renamed to `dead-letter.jsonl.1` when it holds half of the configured size.

Text in it is plain ASCII. Bytes of a path or line that are no UTF-8 are spelled `\xff`.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ml_exporter.records import Ints

NAME = "dead-letter.jsonl"
MOST_NOTES = 20
"""Lines that are noted of one source and reason before each commit."""
LINE_BYTES = 1000
"""Bytes of a line that are noted at most."""
DIGEST_BYTES = 8
NOTE_BYTES = 2048
"""About how many bytes a note takes."""


@dataclass(frozen=True)
class Note:
    """One line that was refused: its place (bytes, in a Parquet file rows) in a file, and a hash of its bytes."""

    source: str
    path: str
    offset: int
    reason: str
    digest: str
    line: bytes | None


@dataclass
class DeadLetter:
    """Notes lines that were refused. `max_bytes` 0 turns it off.

    `failures` counts writes that failed, `error` is the text of the last one, empty after a success.
    """

    path: Path
    max_bytes: int
    values: bool
    most: int = MOST_NOTES
    failures: int = 0
    error: str = ""
    _notes: list[Note] = field(default_factory=list)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, source: str, reason: str, path: str, places: Ints, line_at: Callable[[int], bytes]) -> None:
        """Keeps in mind until the next `write` that lines of a file were refused. `line_at` gives their bytes."""
        if not self.max_bytes:
            return
        key = (source, reason)
        for place in places[: max(0, self.most - self._seen[key])].tolist():
            line = line_at(place)
            digest = hashlib.blake2b(line, digest_size=DIGEST_BYTES).hexdigest()
            kept = line[:LINE_BYTES] if self.values else None
            self._notes.append(Note(source, path, place, reason, digest, kept))
        self._seen[key] += len(places)

    def write(self, now: float) -> None:
        """Appends everything noted. `now` is in seconds since 1970. When it fails, the notes wait for the next time."""
        if not self._seen:
            return
        try:
            append(self.path, [line.encode("ascii") for line in self._lines(now)], self.max_bytes // 2)
        except OSError as error:
            self.failures += 1
            self.error = (
                f"{NAME}: expected a file that can be written, got {error.strerror}. Check the disk and permissions."
            )
            return
        self.error = ""
        self._notes.clear()
        self._seen.clear()

    def _lines(self, now: float) -> Iterator[str]:
        time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        for note in self._notes:
            found: dict[str, object] = {
                "time": time,
                "source": note.source,
                "file": spelled(os.fsencode(note.path)),
                "offset": note.offset,
                "reason": note.reason,
                "digest": note.digest,
            }
            if note.line is not None:
                found["line"] = spelled(note.line)
            yield json.dumps(found) + "\n"
        for (source, reason), count in self._seen.items():
            if count > self.most:
                yield json.dumps({"time": time, "source": source, "reason": reason, "more": count - self.most}) + "\n"


def append(path: Path, lines: Sequence[bytes], half: int) -> None:
    """Appends lines to a file, which moves to `.1` before it holds more than `half` bytes. Each line is shorter."""
    older = path.with_name(path.name + ".1")
    for file in (path, older):
        if _size(file) > half:  # the cap was lowered
            file.unlink()
    waiting: list[bytes] = []
    size = _size(path) + 1
    for line in lines:
        if size + len(line) > half:
            _write(path, waiting)
            if _size(path):
                path.replace(older)
            waiting, size = [], 1
        waiting.append(line)
        size += len(line)
    _write(path, waiting)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _write(path: Path, lines: Sequence[bytes]) -> None:
    """Appends and syncs. Leaves no part of it behind when that fails; mends a last line that a crash has cut."""
    if not lines:
        return
    content = b"".join(lines)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content
        try:
            written = 0
            while written < len(content):
                written += os.write(descriptor, content[written:])
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def last_notes(path: Path, most: int) -> list[dict[str, object]]:
    """The last notes of a file and its predecessor, newest first, as far as their ends can be read.

    Notes that only count other lines are not among them.
    """
    found: list[dict[str, object]] = []
    for file in (path, path.with_name(path.name + ".1")):
        if len(found) < most:
            notes = (_note(line) for line in reversed(_end(file, most * NOTE_BYTES)))
            found += [note for note in notes if note is not None]
    return found[:most]


def _end(path: Path, most_bytes: int) -> list[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most_bytes))
            return file.read().split(b"\n")
    except OSError:
        return []


def _note(line: bytes) -> dict[str, object] | None:
    """One note; None for a line that is cut, or no note of a line."""
    try:
        note = json.loads(line)
    except ValueError:
        return None
    return note if isinstance(note, dict) and "offset" in note else None


def spelled(octets: bytes) -> str:
    r"""Bytes as text that shows every byte.

    >>> spelled(b"caf\xc3\xa9 \xff")
    'café \\xff'
    """
    return octets.decode("utf-8", "backslashreplace")
