"""One connection: uvicorn's, with the deadlines and caps that uvicorn lacks."""

import asyncio
import logging
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .bare import BARE_HEADERS

log = logging.getLogger("ml_exporter")


@dataclass(frozen=True)
class Limits:
    """What one connection and one peer may use. Whoever goes beyond is disconnected."""

    header_seconds: float = 10.0
    """From the connection to its first byte, again for a TLS handshake, and again from the first byte of a request to
    its whole header."""
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


class Connection(H11Protocol):
    """uvicorn's connection with one timer that always runs: for the header, for the request, or for idleness."""

    def __init__(
        self,
        limits: Limits,
        tls: Tls | None,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._limits, self._tls = limits, tls
        self.ended: asyncio.Future[None] = self.loop.create_future()
        """Done when nothing is left of the connection."""
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None
        self._timed_cycle: object = None
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve, unless the peer's certificate has no name that is allowed."""
        if self._tls is None or self._tls.admits(transport.get_extra_info("peercert")):
            super().connection_made(transport)
            self._enter("header", self._limits.header_seconds)
        else:
            log.debug("TLS client without an allowed name peer=%s", transport.get_extra_info("peername"))
            transport.abort()

    def abort(self) -> None:
        """End at once, whatever was written and not read."""
        if self._is_open:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_open:
            super().connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def _is_open(self) -> bool:
        return self.transport is not None  # uvicorn has none before its `connection_made`

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request, of which no more may come than one header and one body."""
        self._received_bytes += len(data)
        if self._received_bytes > self._limits.header_bytes + self._limits.body_bytes:
            self.transport.abort()
            return
        if self._phase == "idle":
            self._enter("header", self._limits.header_seconds)
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, instead of an answer that was not begun; after one, only end."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True  # what the app says now is for nobody
        headers = {**BARE_HEADERS, "Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
        for event in (
            h11.Response(status_code=400, reason="Bad Request", headers=list(headers.items())),
            h11.Data(data=f"{msg}\n".encode()),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

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
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in self.headers}:
                self.send_400_response("A body has one length.")  # a proxy may have seen another request
                return
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
