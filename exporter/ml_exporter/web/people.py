"""The routes of the pages that show facts.

A page is made from the newest facts on a thread of its own, one at a time: however long it takes, and however many are
asked for, a scrape does not wait behind them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ..facts import Facts
from ..facts.answers import Models
from .pages import At, Pages

Source = tuple[Callable[[], Facts | None], Callable[[], Models | None]]
"""The newest facts, and the list of models."""
Show = Callable[[Facts, At, Request], str | None]
"""Makes a page; None where a name is not configured."""


class People:
    """Pages of facts. `source` gives the newest, or None before the first evaluation; `at` what a page needs beside."""

    def __init__(self, source: Source, at: Callable[[Request], At], pages: Pages) -> None:
        self._facts, self._models = source
        self._at = at
        self._pages = pages
        self._thread = ThreadPoolExecutor(1, "pages")

    def routes(self) -> list[Route]:
        """Addresses and what answers them."""
        shown: dict[str, Show] = {
            "/models/{model}": self._model,
            "/models/{model}/labels": self._labels,
            "/models/{model}/outliers": self._outliers,
            "/models/{model}/features/{feature:path}": self._feature,
            "/rejected": lambda facts, at, _: self._pages.rejected(at, facts.rejected()),
        }
        found = [Route(path, self._answer(show), methods=["GET"]) for path, show in shown.items()]
        return [Route("/", self._landing), *found]

    def _answer(self, show: Show) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            facts, at = self._facts(), self._at(request)
            if facts is None:
                return HTMLResponse(self._pages.starting(at), 503)
            page = await asyncio.get_running_loop().run_in_executor(self._thread, show, facts, at, request)
            return HTMLResponse(self._pages.not_found(at), 404) if page is None else HTMLResponse(page)

        return answer

    async def _landing(self, request: Request) -> Response:
        at = self._at(request)
        page = asyncio.get_running_loop().run_in_executor(self._thread, self._list, at)
        return HTMLResponse(await page)

    def _list(self, at: At) -> str:
        return self._pages.landing(at, self._models(), self._facts() is not None)

    def _model(self, facts: Facts, at: At, request: Request) -> str | None:
        found = facts.model(request.path_params["model"])
        return None if found is None else self._pages.model(at, found)

    def _feature(self, facts: Facts, at: At, request: Request) -> str | None:
        name = request.path_params["feature"] or request.query_params.get("name", "")
        found = facts.feature(request.path_params["model"], name)
        return None if found is None else self._pages.feature(at, found)

    def _labels(self, facts: Facts, at: At, request: Request) -> str | None:
        found = facts.labels(request.path_params["model"])
        return None if found is None else self._pages.labels(at, found)

    def _outliers(self, facts: Facts, at: At, request: Request) -> str | None:
        found = facts.outliers(request.path_params["model"])
        return None if found is None else self._pages.outliers(at, found)
