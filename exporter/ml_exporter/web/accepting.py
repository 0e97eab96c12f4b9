"""Accepts connections and serves each in a task: before its first byte one costs hardly anything.

asyncio accepts as many as the backlog holds before it looks at anything else, and makes a transport, a protocol and
TLS for each before it can be refused. Here whoever is over a limit is closed at once. Who is not waits as a bare socket
until it says something. Then handshakes start in turns of their peers, with the certificate that is there at that
moment, and between two rounds of them every open connection is served.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import uvicorn

from .connection import Connection, Limits, Tls
from .peers import Pace, Peers, peer_of

log = logging.getLogger("ml_exporter")
_BATCH = 32
_STARTS = 8
_WITHOUT_FILES_SECONDS = 1.0
_GOODBYE_SECONDS = 2.0


class Turns:
    """Work that waits for its turn: peers in a circle, a little of it in each round of the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._usher: asyncio.Task[None] | None = None

    async def wait(self, peer: str) -> None:
        """Return in the peer's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(peer, deque()).append(turn)
        if self._usher is None or self._usher.done():
            self._usher = asyncio.create_task(self._work())
        await turn

    async def _work(self) -> None:
        while self._waiting:
            for _ in range(min(_STARTS, len(self._waiting))):
                peer = next(iter(self._waiting))
                line = self._waiting.pop(peer)
                _set(line.popleft())
                if line:
                    self._waiting[peer] = line  # behind all others
            await asyncio.sleep(0)


class AcceptingServer(uvicorn.Server):
    """uvicorn's server with sockets that it accepts from itself.

    `tls` gives what a new connection shakes hands with; None for plain HTTP.
    """

    def __init__(self, config: uvicorn.Config, limits: Limits, tls: Callable[[], Tls | None]) -> None:
        super().__init__(config)
        self._limits, self._tls = limits, tls
        self.peers = Peers(limits.connections_per_peer, limits.connections)
        """Whose connections are open."""
        self._pace = Pace(limits.new_per_second, limits.new_at_once)
        self._turns = Turns()
        self._listeners: list[socket.socket] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets=[])
        self._listeners = sockets or []
        for listener in self._listeners:
            listener.setblocking(False)
            self._watch(listener)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and let what runs end."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
        self._listeners = []
        await super().shutdown(sockets=sockets)

    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_BATCH):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no file left for it: the one that is ready would stay so
                log.error("web server: cannot accept for a second: %s", error)
                loop.remove_reader(listener)
                loop.call_later(_WITHOUT_FILES_SECONDS, self._watch, listener)
                return
            peer = peer_of(address[0])
            if self.peers.has_room(peer) and self._pace.allows(peer, loop.time()):
                self._begin(accepted, peer)
            else:
                accepted.close()

    def _begin(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._attend(accepted, peer))
        self.peers.enter(peer, task, task.cancel)
        task.add_done_callback(lambda _: self.peers.leave(peer, task))

    async def _attend(self, accepted: socket.socket, peer: str) -> None:
        """Serve a connection until it ends, or until this is cancelled.

        It is aborted then and not closed: a close waits until the peer has read what was written, which may be never.
        """
        try:
            with ExitStack() as until_it_is_taken:
                until_it_is_taken.callback(accepted.close)
                async with asyncio.timeout(self._limits.header_seconds):
                    await _first_byte(accepted)
                    if self._tls() is not None:
                        await self._turns.wait(peer)
                until_it_is_taken.pop_all()
            connection = await self._connect(accepted)
        except OSError as error:  # of ssl too, and deadlines
            log.debug("no connection peer=%s: %s", peer, str(error) or type(error).__name__)
            return
        try:
            await connection.ended
        finally:
            connection.abort()

    async def _connect(self, accepted: socket.socket) -> Connection:
        """Give a socket to a transport, and shake hands if that is asked for."""
        tls, secured = self._tls(), dict[str, Any]()
        if tls is not None:
            secured = {"ssl": tls.context, "ssl_handshake_timeout": self._limits.header_seconds}
            secured["ssl_shutdown_timeout"] = _GOODBYE_SECONDS
        try:
            _, connection = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: Connection(self._limits, tls, self.config, self.server_state, self.lifespan.state),
                accepted,
                **secured,
            )
        except BaseException:
            with suppress(OSError):  # asyncio may not have ended it; now its transport will
                accepted.shutdown(socket.SHUT_RDWR)
            raise
        return connection


async def _first_byte(connection: socket.socket) -> None:
    """Return when the peer has said something, which remains to be read. Raises OSError if it has left instead."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(connection, _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(connection)
    if not connection.recv(1, socket.MSG_PEEK):
        raise ConnectionResetError("it left without a word")


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():  # it may have been cancelled
        future.set_result(None)
