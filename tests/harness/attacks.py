"""Attacks on a serving exporter, each of them what a peer without a password, or a slow one with it, can do.

    python attacks.py PORT CA AUTHORIZATION

attacks 127.0.0.1:PORT over TLS from many loopback addresses, until its standard input ends, and then prints as JSON how
often each attack was begun, and what an answer should never have held. The authority is in the file CA;
AUTHORIZATION is a header that is right, for those who read slowly.
"""

import asyncio
import json
import logging
import os
import ssl
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

HOST = "127.0.0.1"
FORBIDDEN = (b"root:", b"basic_auth_users", b"PRIVATE KEY")
PATHS = [
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/..%5c..%5cetc%5cpasswd",
    "/..%252f..%252fetc/passwd",
    "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "/..;/..;/etc/passwd",
    "//etc/passwd",
    "/runbooks/../../../../etc/passwd",
    "/runbooks/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/runbooks/%2e%2e%2f%2e%2e%2fweb.yml",
    "/runbooks/....//....//etc/passwd",
    "/runbooks/%00../etc/passwd",
    "/models/..%2f..%2fweb.yml",
    "/models/%2e%2e/web.yml",
    "/api/v1/models/..%2f..%2fserver.key",
    "/static/../server.key",
    "http://localhost/etc/passwd",
    "file:///etc/passwd",
]
"""Ways out of a folder, in every encoding."""


@dataclass
class Target:
    """What is attacked, and what was done to it."""

    port: int
    context: ssl.SSLContext
    authorization: str
    asked: int = 0
    """Paths to which an answer came."""
    running: bool = True
    begun: Counter[str] = field(default_factory=Counter)
    leaked: list[str] = field(default_factory=list)

    async def connect(
        self, source: str, secured: bool = True, limit: int = 65536
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from a loopback address, with or without TLS."""
        tls = {"ssl": self.context, "server_hostname": "localhost", "ssl_handshake_timeout": 5} if secured else {}
        return await asyncio.wait_for(
            asyncio.open_connection(HOST, self.port, local_addr=(source, 0), limit=limit, **tls), 10
        )

    def hello(self) -> bytes:
        """Return what a client sends first."""
        outgoing = ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            self.context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
        return outgoing.read()


Attack = Callable[[Target, str], Awaitable[None]]


async def half_header(target: Target, source: str) -> None:
    """Send a header byte by byte, without an end."""
    _, writer = await target.connect(source)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ")
    with suppress(OSError):
        for _ in range(100):
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.2)
    writer.transport.abort()


async def idle(target: Target, source: str) -> None:
    """Connect, and say nothing, not even hello."""
    reader, writer = await target.connect(source, secured=False)
    await asyncio.wait_for(reader.read(), 30)
    writer.transport.abort()


async def half_hello(target: Target, source: str) -> None:
    """Begin a handshake, and leave it there."""
    reader, writer = await target.connect(source, secured=False)
    writer.write(target.hello()[:100])
    await asyncio.wait_for(reader.read(), 30)
    writer.transport.abort()


async def crowd(target: Target, source: str) -> None:
    """Hold three hundred connections at once."""
    opened = await asyncio.gather(*(target.connect(source, secured=False) for _ in range(300)), return_exceptions=True)
    await asyncio.sleep(0.5)
    for one in opened:
        if not isinstance(one, BaseException):
            one[1].transport.abort()


async def handshakes(target: Target, source: str) -> None:
    """Shake hands, and go."""
    _, writer = await target.connect(source)
    writer.transport.abort()


async def oversized(target: Target, source: str) -> None:
    """Send a body of a gigabyte, then a header of a megabyte."""
    for head in [b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", b"GET / HTTP/1.1\r\nX: "]:
        _, writer = await target.connect(source)
        with suppress(OSError):
            writer.write(head)
            for _ in range(100):
                writer.write(b"a" * 10_000)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.transport.abort()


async def traversal(target: Target, source: str) -> None:
    """Ask for files, as somebody who may ask."""
    for path in PATHS:
        reader, writer = await target.connect(source)
        head = f"GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: {target.authorization}\r\n\r\n"
        writer.write(head.encode())
        with suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 20)
            target.asked += answer.startswith(b"HTTP/1.1 ")
            if answer[9:10] == b"2" or any(text in answer for text in FORBIDDEN):
                target.leaked.append(path)
        writer.transport.abort()


async def guesses(target: Target, source: str) -> None:
    """Try passwords, of a user who exists and of others, on one connection."""
    reader, writer = await target.connect(source)
    for number in range(20):
        name = "prometheus" if number % 2 else f"user{number}"
        guess = b64encode(f"{name}:{os.urandom(4).hex()}".encode()).decode()
        writer.write(f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {guess}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        if answer[9:12] not in (b"401", b"429"):
            target.leaked.append(f"guess {guess}")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r")[0])
        await reader.readexactly(length)
    writer.transport.abort()


async def slow_reader(target: Target, source: str) -> None:
    """Ask for everything, and read hardly anything of it."""
    reader, writer = await target.connect(source, limit=16)
    head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {target.authorization}\r\n\r\n"
    writer.write(head.encode())
    for _ in range(20):
        if not await asyncio.wait_for(reader.read(16), 30):
            break
        await asyncio.sleep(0.5)
    writer.transport.abort()


ATTACKS: dict[str, tuple[Attack, int, int]] = {
    # What is done, by how many at once from each address, and from how many addresses.
    "half_header": (half_header, 10, 3),
    "idle": (idle, 10, 10),
    "half_hello": (half_hello, 10, 3),
    "crowd": (crowd, 1, 2),
    "spread": (idle, 1, 120),
    "handshakes": (handshakes, 2, 2),
    "oversized": (oversized, 2, 2),
    "traversal": (traversal, 1, 1),
    "guesses": (guesses, 8, 4),
    "slow_reader": (slow_reader, 10, 2),
}


async def again_and_again(name: str, attack: Attack, target: Target, source: str) -> None:
    """Carry out an attack without an end; whatever ends one, the next follows."""
    while target.running:
        target.begun[name] += 1
        with suppress(OSError, TimeoutError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError):
            await attack(target, source)
        await asyncio.sleep(0.02)


async def run(target: Target) -> None:
    """Carry out all attacks at once until the standard input ends."""
    tasks = []
    for block, (name, (attack, at_once, addresses)) in enumerate(ATTACKS.items(), start=1):
        for address in range(1, addresses + 1):
            source = f"127.1.{block}.{address}"
            tasks += [asyncio.create_task(again_and_again(name, attack, target, source)) for _ in range(at_once)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    target.running = False
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=5)


def main(port: str, authority: str, authorization: str) -> None:
    """Attack, and report."""
    target = Target(int(port), ssl.create_default_context(cafile=authority), authorization)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # of transports that were aborted
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop.run_until_complete(run(target))
    print(json.dumps({"begun": target.begun, "leaked": sorted(set(target.leaked))}), flush=True)
    os._exit(0)  # whatever still waits in the loop


if __name__ == "__main__":
    main(*sys.argv[1:])
