"""Basic authentication: who asks without a valid password gets 401, and cannot make the exporter slow.

A password that was verified is known by a keyed digest, so that a scrape costs no bcrypt. All others are checked one at
a time in a thread of its own; peers take turns, whoever has too many checks waiting is told to wait, and a user who
does not exist costs what one costs who does.
"""

import asyncio
import os
import secrets
import threading
from base64 import b64decode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b

import bcrypt
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..lines import Lines
from ..peers import peer_of_client

_BCRYPT_BYTES = 72
_VERIFIED = 100
_WAITING_PER_PEER = 8
_NICE = 10


class Doorman:
    """Checks passwords against what `users` gives now: bcrypt hashes by name."""

    def __init__(
        self,
        users: Callable[[], Mapping[bytes, bytes]],
        compare: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._users, self._compare = users, compare
        self._secret = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._lines = Lines(_WAITING_PER_PEER)
        self._thread = ThreadPoolExecutor(1, "bcrypt", _step_back)

    @property
    def asks(self) -> bool:
        """Whether there are users at all."""
        return bool(self._users())

    async def admits(self, name: bytes, password: bytes, peer: str) -> bool:
        """Whether this is the password of this user. Raises BusyError."""
        password = password[:_BCRYPT_BYTES]  # what Go compares, too
        users = self._users()
        hashed = users.get(name)
        if hashed is None:
            await self._fits(password, self._stand_in(name, tuple(users.values())), peer, None)
            return False
        key = self._digest(name, hashed, password)
        if key not in self._verified and not await self._fits(password, hashed, peer, key):
            return False
        self._verified[key] = None
        self._verified.move_to_end(key)
        if len(self._verified) > _VERIFIED:
            self._verified.popitem(last=False)
        return True

    async def _fits(self, password: bytes, hashed: bytes, peer: str, key: bytes | None) -> bool:
        async with self._lines.turn(peer):
            if key in self._verified:  # by another request, meanwhile
                return True
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._compare, password, hashed)

    def _stand_in(self, name: bytes, hashes: tuple[bytes, ...]) -> bytes:
        """The hash of some user, always the same for a name, so that names cannot be told apart by their cost."""
        return hashes[int.from_bytes(self._digest(name)[:8]) % len(hashes)]

    def _digest(self, *parts: bytes) -> bytes:
        digest = blake2b(key=self._secret, digest_size=32)
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()


def _step_back() -> None:
    """Let all other threads go first: a guess may wait for rows and scrapes."""
    with suppress(OSError):
        nice = max(_NICE, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def guarded(app: ASGIApp, doorman: Doorman, open_paths: frozenset[str]) -> ASGIApp:
    """The app for those who know a password, and for everybody at `open_paths`. Raises BusyError."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in open_paths or not doorman.asks:
            await app(scope, receive, send)
            return
        given, admitted = _credentials(Headers(scope=scope).get("authorization", "")), False
        status, text, headers = 401, "Unauthorized", {"WWW-Authenticate": 'Basic realm="ml-exporter", charset="UTF-8"'}
        try:
            admitted = given is not None and await doorman.admits(*given, peer_of_client(scope.get("client")))
        except asyncio.CancelledError:  # the server stops while this one waits
            status, text, headers = 503, "Stopping", {}
        if admitted:
            await app(scope, receive, send)
        else:
            await PlainTextResponse(f"{text}\n", status, headers)(scope, receive, send)

    return guard


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    """Name and password of an Authorization header, if that is what it has.

    >>> _credentials("basic YTpiOmM="), _credentials("Bearer YTpi"), _credentials("Basic YQ==")
    ((b'a', b'b:c'), None, None)
    """
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(text.strip(), validate=True).partition(b":")
    except (Base64Error, ValueError):
        return None
    return (name, password) if colon else None
