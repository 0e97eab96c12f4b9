"""Lives of an exporter: a real process each, born without the cost of an import, so that many can be killed."""

import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from ml_exporter import serve
from ml_exporter.dead_letter import DeadLetter
from ml_exporter.web import Address, Site


def _live(path: Path, port: int, log: Path) -> None:
    serve.DeadLetter = partial(DeadLetter, most=1 << 30)  # type: ignore[misc, assignment]  # every line is noted
    logging.basicConfig(filename=log, level="INFO", format="time=%(asctime)s level=%(levelname)s %(message)s")
    serve.run(path, serve.Web([Address("127.0.0.1", port)], Site(), lifecycle=False), None)


class Cradle:
    """Starts exporters."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.chaos.life"])

    @contextmanager
    def life(self, path: Path, port: int, log: Path) -> Iterator[BaseProcess]:
        """A serving exporter in a process of its own; whatever is left of it is killed."""
        process = self._context.Process(target=_live, args=(path, port, log), daemon=True)
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()
