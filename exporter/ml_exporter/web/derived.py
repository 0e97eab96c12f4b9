"""A thread of its own for whatever is made of facts: pages and answers of the API, one at a time.

However long one takes, and however many are asked for, no scrape waits behind them, and the loop that counts shares its
time with at most one of them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Derived:
    """Runs functions in the order of asking."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "facts")

    async def run(self, function: Callable[[], T]) -> T:
        """What the function returns, computed off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)
