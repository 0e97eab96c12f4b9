"""Open files, so that one that is renamed away or deleted can still be read to its end."""

import os
from dataclasses import dataclass, field

from ml_exporter.sources.contents import open_file
from ml_exporter.sources.positions import FilePosition, Key, Position

_LARGEST_NUMBER = 256


@dataclass
class Handles:
    """Open files by device and inode.

    Only a cache: losing it loses nothing but files that were deleted or moved elsewhere before they were read to the
    end. At most the 256 files that were written to last stay open. Not for use by two threads at a time.
    """

    _open: dict[Key, int] = field(default_factory=dict)

    def open(self, path: str, key: Key | None = None) -> int:
        """A descriptor of the file that now has this name. Raises OSError, also when it is another one than `key`."""
        if key is not None and key in self._open:
            return self._open[key]
        descriptor = open_file(path, key)
        status = os.fstat(descriptor)
        kept = self._open.setdefault((status.st_dev, status.st_ino), descriptor)
        if kept != descriptor:
            os.close(descriptor)
        return kept

    def get(self, file: FilePosition) -> int | None:
        """The descriptor of a file, if it is open."""
        return self._open.get(file.key)

    def close_others(self, position: Position) -> None:
        """Close every file that the position does not name, that it has done with, or that others are newer than."""
        read = [file for file in position.files if file.is_read and not (file.done or file.wrong)]
        read.sort(key=lambda file: file.modified_ns, reverse=True)
        for key in set(self._open) - {file.key for file in read[:_LARGEST_NUMBER]}:
            os.close(self._open.pop(key))

    def close(self) -> None:
        """Close every file."""
        self.close_others(Position())
