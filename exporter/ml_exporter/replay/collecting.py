"""Instants become samples, samples parts, and parts files: in this process, or in one beside it with its own core.

An instant is handed over as values (`Ready`): while its vitals are computed, the logs of the next one are counted. It
is the same code on the same numbers, so it gives the same files.
"""

import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from ml_exporter.errors import Problem, ProblemsError
from ml_exporter.loading import Loaded
from ml_exporter.replay import text
from ml_exporter.replay.parts import Part, Whole
from ml_exporter.replaying import Ready


class Collecting(Protocol):
    """Takes in instants, and writes their samples."""

    @property
    def samples(self) -> int:
        """How many samples were not written yet; one beside may be an instant behind."""

    def take(self, ready: Ready) -> None:
        """Takes in an instant."""

    def write(self, path: Path) -> int:
        """Writes the samples that were taken in as a part; returns how many they are. Raises OSError."""

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Makes parts a whole file. Raises OSError."""

    def close(self) -> None:
        """Forgets what was not written."""


class Here:
    """Everything in this process."""

    def __init__(self, loaded: Loaded, labels: Mapping[str, str]) -> None:
        self._loaded, self._labels = loaded, labels
        self._part = Part(labels)

    @property
    def samples(self) -> int:
        """See `Collecting`."""
        return len(self._part)

    def take(self, ready: Ready) -> None:
        """See `Collecting`."""
        instant = ready.instant(self._loaded)
        self._part.add(instant.now_us, instant.samples)

    def write(self, path: Path) -> int:
        """See `Collecting`."""
        part, self._part = self._part, Part(self._labels)
        part.write(path)
        return len(part)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """See `Collecting`."""
        text.write(Whole.of(parts), path)

    def close(self) -> None:
        """See `Collecting`."""


class Beside:
    """Everything in a process beside this one. One order at a time is on its way, so that memory holds one instant."""

    def __init__(self, loaded: Loaded, labels: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, loaded, labels), daemon=True)
        self._process.start()
        there.close()
        self._is_asked = False
        self.samples = 0

    def take(self, ready: Ready) -> None:
        """See `Collecting`."""
        self.samples = self._answer() if self._is_asked else self.samples
        self._ask(("take", ready))

    def write(self, path: Path) -> int:
        """See `Collecting`."""
        if self._is_asked:
            self._answer()
        self._ask(("write", path))
        self.samples = 0
        return self._answer()

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """See `Collecting`."""
        self._ask(("join", parts, path))
        self._answer()

    def _ask(self, order: object) -> None:
        try:
            self._line.send(order)
        except ConnectionError as error:
            raise self._ended() from error
        self._is_asked = True

    def _answer(self) -> int:
        try:
            answer = self._line.recv()
        except (EOFError, ConnectionError) as error:
            raise self._ended() from error
        self._is_asked = False
        if isinstance(answer, OSError):
            raise answer
        return int(answer)

    def _ended(self) -> ProblemsError:
        self._process.join(1.0)
        got = f"its end with the code {self._process.exitcode}"
        action = "Run the same command again to go on. If memory was short, give it more"
        return ProblemsError([Problem("replay", "an answer of its second process", got, action)])

    def close(self) -> None:
        """See `Collecting`."""
        self._line.close()
        self._process.join()


def _serve(line: Connection, loaded: Loaded, labels: Mapping[str, str]) -> None:
    """Takes orders until nobody gives any. Signals to a whole group of processes are for the one who gives them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    here = Here(loaded, labels)
    with suppress(EOFError, ConnectionError):
        while True:
            order = line.recv()
            try:
                answer: int | OSError = _obey(here, order)
            except OSError as error:
                answer = error
            line.send(answer)


def _obey(here: Here, order: object) -> int:
    match order:
        case "take", Ready() as ready:
            here.take(ready)
        case "write", Path() as path:
            return here.write(path)
        case "join", [*parts], Path() as path:
            here.join([part for part in parts if isinstance(part, Path)], path)
    return here.samples
