"""The routes of the pages that show facts, each made from the newest ones off the event loop."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ..facts import Facts
from .derived import Derived
from .pages import At, Pages

Show = Callable[[Facts, At, Request], str | None]
"""Makes a page; None where a name is not configured."""


class People:
    """Pages of facts. `facts` gives the newest, or None before the first evaluation; `at` what a page needs beside."""

    def __init__(
        self, facts: Callable[[], Facts | None], at: Callable[[Request], At], pages: Pages, derived: Derived
    ) -> None:
        self._facts = facts
        self._at = at
        self._pages = pages
        self._derived = derived

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
            page = await self._derived.run(request, lambda: show(facts, at, request))
            return HTMLResponse(self._pages.not_found(at), 404) if page is None else HTMLResponse(page)

        return answer

    async def _landing(self, request: Request) -> Response:
        facts, at = self._facts(), self._at(request)
        page = await self._derived.run(request, lambda: self._pages.landing(at, facts.models() if facts else None))
        return HTMLResponse(page)

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
