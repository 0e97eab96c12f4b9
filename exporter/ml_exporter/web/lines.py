"""One after the other, peers in turn: for work that is done in a thread of its own and must not pile up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class BusyError(Exception):
    """Too much of this peer is waiting already."""


@dataclass
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Lines:
    """A line for each peer, of at most `longest`, and one turn at a time for all of them."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._lines: dict[str, _Line] = {}
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def turn(self, peer: str) -> AsyncIterator[None]:
        """Wait behind at most one of every other peer for each of one's own. Raises BusyError."""
        line = self._lines.setdefault(peer, _Line())
        if line.waiting >= self._longest:
            raise BusyError
        line.waiting += 1
        try:
            async with line.lock, self._one:
                yield
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[peer]
