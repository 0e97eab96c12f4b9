"""The HTTP server: uvicorn in a thread of its own, with the deadlines and caps that uvicorn lacks.

uvicorn alone keeps a connection with a half-sent header, or with a response that nobody reads, open for ever.
Here every connection always has a deadline, and one peer may hold only so many. There is no global limit:
with one, a single peer could shut out Prometheus.
"""

import asyncio
import math
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ..errors import Problem, ProblemsError

_BACKLOG = 128
_START_SECONDS = 10.0
_SHUTDOWN_SECONDS = 2


@dataclass(frozen=True)
class Limits:
    """What one connection and one peer may use. Whoever goes beyond is disconnected."""

    header_seconds: float = 10.0
    """From the connection, or on a kept one from the next request's first byte, to the whole header."""
    request_seconds: float = 30.0
    """From the header to the end of the request's body and to a response that was read."""
    idle_seconds: float = 75.0
    """Between two requests; longer than a usual scrape interval, so that Prometheus keeps its connection."""
    connections_per_peer: int = 64
    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024


class Server:
    """Serves an ASGI app on one address from a daemon thread with an event loop of its own.

    `start` returns when the address accepts connections; ProblemsError if it cannot be used. Port 0 takes a
    free one. `alive` turns false when the thread has died, which the caller must watch: nothing else notices.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, limits: Limits | None = None) -> None:
        self._host, self._port = host, port
        self._uvicorn = uvicorn.Server(_uvicorn_config(app, limits or Limits()))
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the one asked for until `start`."""
        return self._port

    @property
    def alive(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind the address and serve it."""
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="web", daemon=True)
        self._thread.start()
        give_up = time.monotonic() + _START_SECONDS
        while not self._uvicorn.started:
            if not self.alive or time.monotonic() > give_up:
                got = "no answer" if self.alive else "a thread that ended"
                problem = Problem("web server", f"a start in {_START_SECONDS:.0f} s", got, "See the log above")
                raise ProblemsError([problem])
            time.sleep(0.01)

    def stop(self) -> None:
        """Close the address, let running responses end for two seconds, and wait for the thread."""
        self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=_SHUTDOWN_SECONDS + _START_SECONDS)

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            self._uvicorn.run([listener])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; an empty host means every address, IPv4 and IPv6."""
    try:
        if port not in range(65536):
            raise ValueError("a port beyond 65535")
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except (OSError, ValueError) as error:
        where = f"web.listen-address {host}:{port}"
        problem = Problem(where, "an address that can be listened on", str(error), "Free it or choose another")
        raise ProblemsError([problem]) from error


def _uvicorn_config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    peers: Counter[str] = Counter()
    return uvicorn.Config(
        app,
        http=partial(_Connection, limits, peers),  # type: ignore[arg-type]  # uvicorn only calls it
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",  # a line for every malformed request would let a peer fill the log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=limits.header_bytes,
    )


class _Connection(H11Protocol):
    """uvicorn's connection with one timer that always runs: for the header, for the request, or for idleness.

    It aborts instead of closing: a close waits until the peer has read what was written, which may be never.
    """

    def __init__(
        self,
        limits: Limits,
        peers: Counter[str],
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._peers = peers
        self._peer = ""
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None
        self._timed_cycle: object = None
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection for its peer, or refuse it."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self._peers[self._peer] += 1
        self._enter("header", self._limits.header_seconds)
        if self._peers[self._peer] > self._limits.connections_per_peer:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
        self._peers[self._peer] -= 1
        if not self._peers[self._peer]:
            del self._peers[self._peer]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, of which no more may come than one header and one body."""
        self._received_bytes += len(data)
        if self._received_bytes > self._limits.header_bytes + self._limits.body_bytes:
            self.transport.abort()
            return
        if self._phase == "idle":
            self._enter("header", self._limits.header_seconds)
        super().data_received(data)

    def handle_events(self) -> None:
        """Read what has arrived; it may have ended a header or a body."""
        super().handle_events()
        self._follow()

    def on_response_complete(self) -> None:
        """End a response; the next request may be waiting already."""
        super().on_response_complete()
        self._follow()

    def _follow(self) -> None:
        """Set the timer for what the connection now waits for."""
        if self.cycle is not self._timed_cycle:
            self._timed_cycle = self.cycle
            self._received_bytes = 0
            self._enter("request", self._limits.request_seconds)
        if self._phase == "request" and self.conn.their_state is h11.IDLE:
            self._received_bytes = 0
            if self.conn.trailing_data[0]:
                self._enter("header", self._limits.header_seconds)
            else:
                self._enter("idle", self._limits.idle_seconds)

    def _enter(self, phase: str, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._phase = phase
        self._timer = self.loop.call_later(seconds, self.transport.abort)
