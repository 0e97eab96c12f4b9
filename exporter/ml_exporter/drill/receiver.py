"""A webhook that remembers what Alertmanager told it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ml_exporter.errors import ExporterError
from ml_exporter.prometheus import fits

MAX_BYTES = 4 << 20
SECONDS = 10.0


@dataclass
class Receiver:
    """The alerts of all notifications so far: labels and status."""

    port: int = 0
    alerts: list[tuple[Mapping[str, str], str]] = field(default_factory=list)

    def heard(self, labels: Mapping[str, str], status: str) -> bool:
        """Whether an alert with these labels came with a status (`firing`, `resolved`)."""
        return any(known == status and fits(own, labels) for own, known in list(self.alerts))

    def take(self, body: bytes) -> None:
        """Remembers a notification. Raises ValueError or KeyError for anything else."""
        self.alerts += [(item["labels"], item["status"]) for item in json.loads(body)["alerts"]]


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            try:
                receiver.take(self.rfile.read(length) if 0 < length <= MAX_BYTES else b"")
                self.send_response(200)
            except (ValueError, KeyError, TypeError):
                self.send_response(400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing: what arrives is the log."""

    return Handler


@contextmanager
def listening(host: str, port: int) -> Iterator[Receiver]:
    """A receiver at an address, until the body ends. Raises ExporterError where it cannot listen."""
    receiver = Receiver()
    try:
        server = ThreadingHTTPServer((host, port), _handler(receiver))
    except OSError as error:
        raise ExporterError(f"--listen: expected a free address, got {error.strerror}. Give another.") from error
    receiver.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
