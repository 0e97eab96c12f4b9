"""A log source from its files to batches: reading in one thread, parsing in two, results in order.

A chunk is parsed once, whatever number of streams the source has, and split into a batch for each of them.

Two workers parse at the same time, each with a DuckDB connection of its own, while the caller's thread reads ahead by
at most `_IN_FLIGHT` chunks. An error in a worker is raised to the caller in its turn. Memory stays bounded by the
chunks in flight, whatever the backlog. Many sources may share the workers: each keeps memory of its own for large
chunks.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from types import TracebackType

from ml_exporter.config import Source
from ml_exporter.records import Stream, union
from ml_exporter.sources.follow import Lag, Position, SourceError
from ml_exporter.sources.formats import FORMATS, Piece
from ml_exporter.sources.rows import Parsed, split
from ml_exporter.sources.scanner import Scanner

_WORKERS = 2
_IN_FLIGHT = 3


class Workers:
    """The threads that parse, and a scanner for each. Close them after every source that uses them."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="parse")
        self.scanners: SimpleQueue[Scanner] = SimpleQueue()
        for _ in range(_WORKERS):
            self.scanners.put(Scanner())

    def close(self) -> None:
        """Stop the threads and free the scanners."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        while not self.scanners.empty():
            self.scanners.get().close()


class Tail:
    """Follows the files of one source. Holds open files: close it, or use it in a `with` block.

    Without `workers` it has its own.
    """

    def __init__(self, settings: Source, streams: Sequence[Stream], workers: Workers | None = None) -> None:
        self._settings = settings
        self._streams = streams
        self._wanted = union(streams)
        self._format = FORMATS[settings.format]
        self._reader = self._format.reader(settings, self._wanted)
        self._owns_workers = workers is None
        self._workers = workers or Workers()

    def batches(self, position: Position, stop: Event, now: float) -> Iterator[tuple[Parsed, Position]]:
        """All rows from `position` to the end of the files as they are now: chunks, each with the position behind it.

        Ends when nothing more is there, or soon after `stop` is set; call it again with the last position to go on. A
        chunk is empty when only the position changed. `now` is the clock in seconds since 1970. Raises SourceError,
        after everything that could be read, when a file could not.
        """
        pending: deque[tuple[Future[Parsed], Position]] = deque()
        reader = self._reader.pieces(position, now)
        problems: list[SourceError] = []
        try:
            for piece, behind in _collecting(reader, problems):
                if stop.is_set():
                    break
                pending.append((self._workers.threads.submit(self._parse, piece), behind))
                if len(pending) == _IN_FLIGHT:
                    yield _result(pending)
            while pending and not stop.is_set():
                yield _result(pending)
        finally:
            reader.close()
            for future, _ in pending:
                future.cancel()
        for problem in problems:
            raise problem

    def lag(self, position: Position, now: float) -> Lag:
        """What was not read yet. Any thread may ask."""
        return self._reader.lag(position, now)

    def outside(self, position: Position) -> list[str]:
        """Files that were read before the pattern of the source was changed, and are not any more."""
        return self._reader.outside(position)

    def _parse(self, piece: Piece) -> Parsed:
        scanner = self._workers.scanners.get()
        try:
            rows = self._format.parse(piece, self._wanted, self._settings, scanner)
        finally:
            self._workers.scanners.put(scanner)
        return split(rows, self._streams, piece.path)

    def __enter__(self) -> "Tail":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files, and stop the workers if they are its own."""
        self._reader.close()
        if self._owns_workers:
            self._workers.close()


def _collecting(
    reader: Generator[tuple[Piece, Position], None, None], problems: list[SourceError]
) -> Iterator[tuple[Piece, Position]]:
    """What a reader gives; the error with which it ends goes to `problems`, so that what came before is not lost."""
    try:
        yield from reader
    except SourceError as error:
        problems.append(error)


def _result(pending: deque[tuple[Future[Parsed], Position]]) -> tuple[Parsed, Position]:
    """The oldest batch, when its worker has it."""
    future, position = pending.popleft()
    return future.result(), position
