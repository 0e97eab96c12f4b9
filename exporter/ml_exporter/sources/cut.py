r"""Chunks cut at the end of a line or, in CSV, of a record.

- A line longer than the limit is handed over in part, so that the parser rejects it once, and skipped.
- Bytes that are NUL at the start of a line are skipped: the hole that a writer leaves who keeps his place in a
  truncated file.
- A CSV record that is another header ends a chunk; it is the header of the next.
- A CSV record with a quote that never closes: see `quoted`. In a file that has rested its first line is handed over
  alone, so that the parser rejects it, and reading goes on at the next line.
"""

import csv
from dataclasses import dataclass

import msgspec

from ml_exporter.config import Source
from ml_exporter.sources.contents import Content
from ml_exporter.sources.csv_header import next_header
from ml_exporter.sources.positions import Chunk, FilePosition
from ml_exporter.sources.quoted import record_ends

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Cutter:
    """How a source's files are cut. `delimiter` is empty for formats without quotes."""

    limit: int
    delimiter: bytes

    @classmethod
    def of(cls, settings: Source) -> "Cutter":
        """The cutter of a source."""
        return cls(settings.max_line_bytes, settings.delimiter.encode() if settings.format == "csv" else b"")

    @property
    def is_csv(self) -> bool:
        """Whether files have a header line, and quotes."""
        return bool(self.delimiter)

    def window(self, content: Content, offset: int, size: int) -> bytes:
        """What to cut a chunk from: at least what a record of the limit needs."""
        size = max(size, self.limit + 1)
        return content.read(offset, size) if self.is_csv else content.read_lines(offset, size)

    def cut(self, window: bytes, file: FilePosition, gives_up: bool) -> tuple[Chunk, FilePosition]:
        """The whole lines at the start of a window, and the position behind them; unchanged when there are none.

        With `gives_up` a record that is still open after its first line is taken as broken.
        """
        begin = 0
        if file.skipping:
            begin = window.find(b"\n") + 1
            if not begin:
                moved = msgspec.structs.replace(file, offset=file.offset + len(window))
                return Chunk(b"", file.path, file.offset, file.header), moved
        if window.startswith(b"\0", begin):
            begin = len(window) - len(window[begin:].lstrip(b"\0"))
        end = max(begin, self._end(window, begin, gives_up))
        lines = window[begin:end] if begin or end < len(window) else window
        too_long = not lines and len(window) - begin > self.limit
        if too_long:
            lines, end = window[begin : begin + self.limit + 1] + b"\n", len(window)
        header = file.header
        found = (
            next_header(lines, header, self.delimiter.decode(), self.limit) if self.is_csv and not too_long else None
        )
        if found and found[0] == 0:  # rows below it are of another chunk than those above
            line = lines[: found[1]].removeprefix(_BYTE_ORDER_MARK).rstrip(b"\r\n")
            lines, end, header = b"", begin + found[1], line
        elif found:
            lines, end = lines[: found[0]], begin + found[0]
        moved = msgspec.structs.replace(file, offset=file.offset + end, skipping=too_long, header=header)
        return Chunk(lines, file.path, file.offset + begin, file.header), moved

    def _end(self, window: bytes, begin: int, gives_up: bool) -> int:
        """The end of the last whole line or record."""
        if not self.is_csv or b'"' not in window:
            return window.rfind(b"\n", begin) + 1
        ends = record_ends(window[begin:], self.delimiter, self.limit, whole=False)
        if len(ends):
            return begin + int(ends[-1])
        if not gives_up or begin == len(window):
            return 0
        first = begin + int(record_ends(window[begin:], self.delimiter, self.limit)[0])
        return first if first < len(window) else 0

    def last(self, window: bytes, file: FilePosition) -> Chunk:
        """What is left at the end of a finished file: a last line without newline, or records with an open quote."""
        return Chunk(b"" if file.skipping else window, file.path, file.offset, file.header)

    def headed(self, content: Content, file: FilePosition) -> FilePosition:
        """The position behind the header line. Unchanged where that is not complete yet, or was read.

        A writer that goes on in a truncated or a new file may not write the header again. So a first line that shares
        no name with the header of the file before, and has as many cells, is a row.
        """
        if not self.is_csv or file.offset:
            return file
        first = content.read(0, self.limit + 1 + len(_BYTE_ORDER_MARK))
        start = len(_BYTE_ORDER_MARK) * first.startswith(_BYTE_ORDER_MARK)
        start += len(first[start:]) - len(first[start:].lstrip(b"\0\r\n"))
        ends = record_ends(first[start:], self.delimiter, self.limit, whole=False)
        if not len(ends):
            wrong = f"one of more than {self.limit:,} bytes" if len(first) - start > self.limit else ""
            return msgspec.structs.replace(file, wrong=wrong)
        header = first[start : start + int(ends[0])].rstrip(b"\r\n")
        if file.header and self._is_row(header, file.header):
            return msgspec.structs.replace(file, body=0, wrong="")
        body = start + int(ends[0])
        return msgspec.structs.replace(file, header=header, body=body, offset=body, wrong="")

    def _is_row(self, line: bytes, header: bytes) -> bool:
        cells, names = self._cells(line), self._cells(header)
        return len(cells) == len(names) and not set(cells) & set(names) - {""}

    def _cells(self, line: bytes) -> list[str]:
        text = line.decode(errors="replace")
        try:
            return next(csv.reader([text], delimiter=self.delimiter.decode()), [])
        except csv.Error:
            return []
