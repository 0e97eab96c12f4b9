"""Files that drop: complete when they appear, known again by what they are, forgotten when they are gone."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec


class Drop(msgspec.Struct, frozen=True):
    """How far one file was read: `rows` of its `total` (-1 as long as that is unknown).

    It is known by its inode, size and time of change and its device or path. Where only the time differs, by
    `signature`, a hash of its footer: it was only touched. `problem` tells why it cannot be read as it is now.
    """

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    signature: str = ""
    rows: int = 0
    total: int = -1
    problem: str = ""

    @property
    def is_read(self) -> bool:
        """Whether nothing more is to be read of it."""
        return self.rows == self.total

    @property
    def unread_bytes(self) -> int:
        """About how much of it was not read."""
        return self.size if self.total <= 0 else round(self.size * (1 - self.rows / self.total))


@dataclass(frozen=True)
class Seen:
    """How to look closer: `signature` hashes the footer of the file at a path ("" where there is none).

    `hidden` are paths at which nobody may look now.
    """

    signature: Callable[[str], str]
    hidden: frozenset[str] = frozenset()


def found_again(found: Mapping[str, os.stat_result], known: Sequence[Drop], seen: Seen) -> tuple[Drop, ...]:
    """A drop for each of the files `found` by path, in their order: what is known of it, or a new one.

    A file that has two names counts once. Files of which nobody can tell are kept as they are; so is everything when
    there is no file at all, because then a folder is likely not mounted.
    """
    if not found:
        return tuple(known)
    by_inode: dict[tuple[int, int], list[Drop]] = {}
    for drop in known:
        by_inode.setdefault((drop.inode, drop.size), []).append(drop)
    by_path = {drop.path: [drop] for drop in known}
    drops: dict[tuple[int, int], Drop] = {}
    for path, status in found.items():
        key = (status.st_dev, status.st_ino)
        if key not in drops:
            likely = by_inode.get((status.st_ino, status.st_size), []) + by_path.get(path, [])
            same = _same(path, status, likely, seen)
            drops[key] = next(same, _new(path, status))
    kept = {drop.path for drop in drops.values()}
    hidden = (drop for drop in known if drop.path in seen.hidden and drop.path not in kept)
    return (*drops.values(), *hidden)


def _same(path: str, status: os.stat_result, known: list[Drop], seen: Seen) -> Iterator[Drop]:
    """Those of some drops that are this file. One with a problem may go on where it stopped, once it has changed."""
    for drop in (drop for drop in known if drop.size == status.st_size):
        is_inode = drop.inode == status.st_ino and (drop.device == status.st_dev or drop.path == path)
        is_mended = bool(drop.problem) and drop.path == path
        if is_inode and drop.modified_ns == status.st_mtime_ns:
            yield msgspec.structs.replace(drop, path=path, device=status.st_dev)
        elif (is_inode or is_mended) and drop.signature and seen.signature(path) == drop.signature:
            yield msgspec.structs.replace(
                _new(path, status), signature=drop.signature, rows=drop.rows, total=drop.total
            )


def _new(path: str, status: os.stat_result) -> Drop:
    return Drop(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
