"""Pages are made one at a time, and nobody's queue is in front of another's."""

import asyncio
import threading

from starlette.requests import Request

from ml_exporter.web.derived import Derived
from ml_exporter.web.lines import BusyError


def request(host: str) -> Request:
    return Request({"type": "http", "client": (host, 1), "headers": []})


def test_peers_take_turns_and_whoever_asks_too_much_is_refused():
    free, order, derived = threading.Event(), [], Derived()

    def make(name: str) -> str:
        assert free.wait(20)
        order.append(name)
        return name

    async def ask(host: str) -> str:
        try:
            return await derived.run(request(host), lambda: make(host))
        except BusyError:
            return "busy"

    async def crowd():
        crawler = [asyncio.create_task(ask("192.0.2.1")) for _ in range(50)]
        await asyncio.sleep(0)
        person = asyncio.create_task(ask("192.0.2.2"))
        await asyncio.sleep(0)
        free.set()
        return await asyncio.gather(*crawler), await person

    crawler, person = asyncio.run(crowd())
    assert (crawler.count("192.0.2.1"), crawler.count("busy")) == (32, 18)
    assert person == "192.0.2.2"
    assert order.index("192.0.2.2") <= 2
    assert derived._lines._lines == {}
