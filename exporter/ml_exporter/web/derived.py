"""A thread of its own for whatever is made of facts: pages and answers of the API, one at a time, peers in turn.

However long one takes, and however many are asked for, no scrape waits behind them, and the loop that counts shares its
time with at most one of them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from .lines import Lines
from .peers import peer_of_client

T = TypeVar("T")
_WAITING_PER_PEER = 32


class Derived:
    """Runs functions for requests."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "facts")
        self._lines = Lines(_WAITING_PER_PEER)

    async def run(self, request: Request, function: Callable[[], T]) -> T:
        """What the function returns, computed off the event loop. Raises BusyError."""
        async with self._lines.turn(peer_of_client(request.client)):
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)
