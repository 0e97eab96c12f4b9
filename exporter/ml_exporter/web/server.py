"""The HTTP server: uvicorn in a thread of its own, with the deadlines and caps that uvicorn lacks.

uvicorn alone keeps a connection with a half-sent header, or with a response that nobody reads, open for ever.
Here every connection always has a deadline, and one peer may hold only so many. Nobody is refused because of what
others hold: with such a limit, a single peer could shut out Prometheus.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from ..errors import Problem, ProblemsError
from .accepting import AcceptingServer
from .connection import Limits, Tls

_BACKLOG = 1024
_START_SECONDS = 10.0
_SHUTDOWN_SECONDS = 2


@dataclass(frozen=True)
class Address:
    """Where to listen. An empty host means every address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host or '*'}:{self.port}"


class Server:
    """Serves an ASGI app on addresses from a daemon thread with an event loop of its own.

    `tls` gives what a new connection shakes hands with; None for plain HTTP. `start` returns when the addresses accept
    connections; ProblemsError with all that cannot be used. Port 0 takes a free one. `alive` turns false when the
    thread has died, which the caller must watch: nothing else notices.
    """

    def __init__(
        self,
        app: ASGIApp,
        addresses: Sequence[Address],
        limits: Limits | None = None,
        tls: Callable[[], Tls | None] = lambda: None,
    ) -> None:
        self.addresses = tuple(addresses)
        """Where it listens; the ports asked for until `start`."""
        limits = limits or Limits()
        self._uvicorn = AcceptingServer(_uvicorn_config(app, limits), limits, tls)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port of the first address."""
        return self.addresses[0].port

    @property
    def alive(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind the addresses and serve them."""
        listeners = _listen_all(self.addresses)
        ports = [listener.getsockname()[1] for listener in listeners]
        self.addresses = tuple(map(Address, (address.host for address in self.addresses), ports))
        self._thread = threading.Thread(target=self._serve, args=(listeners,), name="web", daemon=True)
        self._thread.start()
        give_up = time.monotonic() + _START_SECONDS
        while not self._uvicorn.started:
            if not self.alive or time.monotonic() > give_up:
                got = "no answer" if self.alive else "a thread that ended"
                problem = Problem("web server", f"a start in {_START_SECONDS:.0f} s", got, "See the log above")
                raise ProblemsError([problem])
            time.sleep(0.01)

    def stop(self) -> None:
        """Close the addresses, let running responses end for two seconds, and wait for the thread."""
        self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join(timeout=_SHUTDOWN_SECONDS + _START_SECONDS)

    def _serve(self, listeners: list[socket.socket]) -> None:
        with ExitStack() as stack:
            for listener in listeners:
                stack.enter_context(listener)
            self._uvicorn.run(listeners)


def _listen_all(addresses: Iterable[Address]) -> list[socket.socket]:
    listeners, problems = [], []
    for address in addresses:
        try:
            listeners.append(_listen(address.host, address.port))
        except (OSError, ValueError) as error:
            where, action = f"web.listen-address {address}", "Free it or choose another"
            problems.append(Problem(where, "an address that can be listened on", _reason(error), action))
    if problems:
        for listener in listeners:
            listener.close()
        raise ProblemsError(problems)
    return listeners


def _reason(error: OSError | ValueError) -> str:
    """What hinders listening, without what the library wraps around it."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; an empty host means every address, IPv4 and IPv6."""
    listener = _bound(host, port)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what it accepts has it, too
    return listener


def _bound(host: str, port: int) -> socket.socket:
    if port not in range(65536):
        raise ValueError("a port beyond 65535")
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address, family=family, backlog=_BACKLOG)


def _uvicorn_config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",  # a line for every malformed request would let a peer fill the log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(limits.idle_seconds),
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        h11_max_incomplete_event_size=limits.header_bytes,
    )
