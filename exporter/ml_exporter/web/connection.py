"""One connection: uvicorn's, with the deadlines, caps and TLS handshake that uvicorn lacks.

A handshake happens here and not in the listening socket, so that it has a deadline, counts for its peer, and begins
with the certificate that is there now.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .accepting import Turns
from .peers import Peers, peer_of

log = logging.getLogger("ml_exporter")
_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True)
class Limits:
    """What one connection and one peer may use. Whoever goes beyond is disconnected."""

    header_seconds: float = 10.0
    """From the connection, or on a kept one from the next request's first byte, to the whole header.

    A TLS handshake has as long, before it."""
    request_seconds: float = 30.0
    """From the header to the end of the request's body and to a response that was read."""
    idle_seconds: float = 75.0
    """Between two requests; longer than a usual scrape interval, so that Prometheus keeps its connection."""
    connections_per_peer: int = 64
    new_per_second: float = 50.0
    """New connections of one peer in the long run; `new_at_once` is how far it may be ahead."""
    new_at_once: int = 200
    connections: int = 256
    """Of all peers. Beyond it the peer with the most loses its oldest; nobody is refused."""
    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024


@dataclass(frozen=True)
class Tls:
    """What a handshake needs."""

    context: ssl.SSLContext
    allowed_names: frozenset[str] = frozenset()
    """Names of which a client's certificate must have one as it is spelled; empty: they do not matter."""

    def admits(self, certificate: Any) -> bool:
        """Whether a client with this certificate, as `ssl` describes it, may stay."""
        return not self.allowed_names or not self.allowed_names.isdisjoint(names_of(certificate or {}))


def names_of(certificate: Any) -> set[str]:
    """The alternative names of a certificate as Go spells them: DNS, e-mail, IP and URI.

    >>> sorted(names_of({"subjectAltName": (("DNS", "prom.example.org"), ("IP Address", "2001:DB8:0:0:0:0:0:1"))}))
    ['2001:db8::1', 'prom.example.org']
    """
    found = set()
    for kind, text in certificate.get("subjectAltName", ()):
        if kind in {"DNS", "email", "URI"}:
            found.add(text)
        elif kind == "IP Address":
            found.add(str(ip_address(text.strip())))
    return found


@dataclass(frozen=True)
class Shared:
    """What all connections of a server share."""

    limits: Limits
    peers: Peers
    turns: Turns
    tls: Callable[[], Tls | None]
    """What a new connection shakes hands with; None for plain HTTP."""


class Connection(H11Protocol):
    """uvicorn's connection with one timer that always runs: for the header, for the request, or for idleness.

    It aborts instead of closing: a close waits until the peer has read what was written, which may be never.
    """

    def __init__(
        self,
        shared: Shared,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._peers, self._shared = shared.limits, shared.peers, shared
        self._peer = ""
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None
        self._timed_cycle: object = None
        self._received_bytes = 0
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection for its peer, or refuse it; then shake hands, if that is asked for."""
        name = transport.get_extra_info("peername")
        self._peer = peer_of(name[0]) if name else ""
        if not self._peers.enter(self._peer, self, transport.abort):
            transport.abort()
            return
        tls = self._shared.tls()
        if tls is None:
            self._begin(transport)
        else:
            transport.pause_reading()
            self._timer = self.loop.call_later(self._limits.header_seconds, transport.abort)
            self._shared.turns.add(self._peer, lambda: self._start(transport, tls))

    def _start(self, transport: asyncio.Transport, tls: Tls) -> None:
        if not transport.is_closing():
            self._handshake = self.loop.create_task(self._shake_hands(transport, tls))

    async def _shake_hands(self, transport: asyncio.Transport, tls: Tls) -> None:
        secured = None
        try:
            secured = await self.loop.start_tls(
                transport,
                self,
                tls.context,
                server_side=True,
                ssl_handshake_timeout=self._limits.header_seconds,
                ssl_shutdown_timeout=_GOODBYE_SECONDS,
            )
        except OSError as error:  # of ssl too
            log.debug("TLS handshake failed peer=%s: %s", self._peer, error)
            transport.abort()
        if secured is None or transport.is_closing():
            self._leave()
        elif tls.admits(secured.get_extra_info("peercert")):
            self._begin(secured)
        else:
            log.debug("TLS client without an allowed name peer=%s", self._peer)
            self._leave()
            secured.abort()

    def _begin(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._enter("header", self._limits.header_seconds)
        if self._early:
            self.data_received(self._early)
            self._early = b""

    def _leave(self) -> None:
        self._peers.leave(self._peer, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
        self._leave()
        if self._is_open:
            super().connection_lost(exc)

    @property
    def _is_open(self) -> bool:
        return self.transport is not None  # uvicorn has none before its `connection_made`

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, of which no more may come than one header and one body."""
        if not self._is_open:  # it came with the end of the handshake, which this does not know of yet
            self._early += data
            return
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
