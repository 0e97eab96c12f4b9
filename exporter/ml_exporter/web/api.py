"""The JSON API: the facts of the newest publish, and their description."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import shown
from ..facts import Facts
from .derived import Derived
from .openapi import ENDPOINTS, OPENAPI_PATH, document

T = TypeVar("T")
Answer = Callable[[Facts, Request], object]
MOST_NAMES = 10
"""Names that an error lists at most."""


class _Text(Convertor[str]):
    """The rest of a path: whatever it is, where Starlette's own `path` stops at the end of a line."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class NotFoundError(Exception):
    """A name that is not there; its text is what the answer says."""


class Api:
    """The routes of the API. `newest` gives the facts of the newest publish, None before the first one."""

    def __init__(self, newest: Callable[[], Facts | None], derived: Derived, version: str) -> None:
        self._newest = newest
        self._derived = derived
        self._version = version

    def routes(self) -> list[Route]:
        """All paths below /api/."""
        register_url_convertor("text", _Text())
        found = [
            Route(item.path.replace("{feature}", "{feature:text}"), self._answering(ANSWERS[item.path]))
            for item in ENDPOINTS
        ]
        return [*found, Route(OPENAPI_PATH, self._described), Route("/api/{path:text}", self._unknown)]

    def _answering(self, answer: Answer) -> Callable[[Request], object]:
        async def respond(request: Request) -> Response:
            facts = self._newest()
            if facts is None:
                return error(503, "/api/v1: expected an evaluation, got none yet. Ask again in a while.")
            try:
                body = await self._derived.run(request, lambda: encoded(answer(facts, request)))
            except NotFoundError as problem:
                return error(404, str(problem))
            return Response(body, media_type="application/json")

        return respond

    async def _described(self, request: Request) -> Response:
        described = document(self._version, request.scope.get("root_path") or "/")
        return Response(encoded(described), media_type="application/json")

    async def _unknown(self, request: Request) -> Response:
        got = shown(request.url.path)
        return error(404, f"path: expected one of those in /api/v1/openapi.json, got {got}.")


def encoded(value: object) -> bytes:
    """JSON of facts: valid for every parser, with its keys in the order in which they are documented."""
    return msgspec.json.encode(value)


def error(status: int, text: str) -> Response:
    """An answer that says in JSON what is wrong."""
    return Response(encoded({"error": text}), status, media_type="application/json")


def found_or_error(found: T | None, where: str, names: Sequence[str], got: str) -> T:
    """What was found; else NotFoundError with some of the names that are there."""
    if found is not None:
        return found
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    expected = f"one of {', '.join(names[:MOST_NAMES])}{more}" if names else "nothing, as there are none"
    raise NotFoundError(f"{where}: expected {expected}, got {shown(got)}.")


def _of(facts: Facts, request: Request, ask: Callable[[str], T | None]) -> T:
    name = request.path_params["model"]
    return found_or_error(ask(name), "model", [item.name for item in facts.models().models], name)


def _model(facts: Facts, request: Request) -> object:
    return _of(facts, request, facts.model)


def _feature(facts: Facts, request: Request) -> object:
    model, name = request.path_params["model"], request.path_params["feature"] or request.query_params.get("name", "")
    names = _of(facts, request, facts.features)
    return found_or_error(facts.feature(model, name), f"{model}: feature", names, name)


ANSWERS: Mapping[str, Answer] = {
    "/api/v1/models": lambda facts, _: facts.models(),
    "/api/v1/models/{model}": _model,
    "/api/v1/models/{model}/features/{feature}": _feature,
    "/api/v1/models/{model}/labels": lambda facts, request: _of(facts, request, facts.labels),
    "/api/v1/models/{model}/outliers": lambda facts, request: _of(facts, request, facts.outliers),
    "/api/v1/rejected": lambda facts, _: facts.rejected(),
}
"""What each path answers with."""
