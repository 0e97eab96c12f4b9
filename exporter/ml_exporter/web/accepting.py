"""Accepts connections a few at a time, and starts handshakes fewer still, so that a flood leaves time for scrapes.

asyncio accepts as many as the backlog holds before it looks at anything else, and makes a protocol for each before it
can be refused. Here whoever is over a limit is closed at once, handshakes start in turns of their peers, and between
two rounds of them every open connection is served.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

import uvicorn

from .peers import Pace, Peers, peer_of

log = logging.getLogger("ml_exporter")
_BATCH = 8
_STARTS = 2
_WITHOUT_FILES_SECONDS = 1.0


class Turns:
    """Work that waits for its turn: peers in a circle, a little of it in each round of the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._usher: asyncio.Task[None] | None = None

    def add(self, peer: str, work: Callable[[], None]) -> None:
        """Do this in the peer's turn. Needs a running event loop."""
        self._waiting.setdefault(peer, deque()).append(work)
        if self._usher is None or self._usher.done():
            self._usher = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            for _ in range(min(_STARTS, len(self._waiting))):
                peer = next(iter(self._waiting))
                line = self._waiting.pop(peer)
                line.popleft()()
                if line:
                    self._waiting[peer] = line  # behind all others
            await asyncio.sleep(0)


class AcceptingServer(uvicorn.Server):
    """uvicorn's server with sockets that it accepts from itself."""

    def __init__(self, config: uvicorn.Config, peers: Peers, pace: Pace) -> None:
        super().__init__(config)
        self._peers, self._pace = peers, pace
        self._listeners: list[socket.socket] = []
        self._made: set[asyncio.Task[object]] = set()

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
            if self._peers.has_room(peer) and self._pace.allows(peer, loop.time()):
                accepted.setblocking(False)
                self._begin(accepted)
            else:
                accepted.close()

    def _begin(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        task = loop.create_task(loop.connect_accepted_socket(connection, accepted))
        self._made.add(task)
        task.add_done_callback(self._made.discard)
