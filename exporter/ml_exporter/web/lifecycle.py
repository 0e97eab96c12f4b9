"""`POST /-/reload` and `POST /-/quit`, as Prometheus has them: forbidden unless they were enabled."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

log = logging.getLogger("ml_exporter")
_METHODS = ["POST", "PUT"]


class Reloads:
    """Reloads that were asked for and not begun yet. Any thread, and a signal handler, may ask."""

    def __init__(self) -> None:
        self._asked: deque[Future[tuple[str, ...]]] = deque()

    def ask(self) -> "Future[tuple[str, ...]]":
        """Ask for a reload that begins after now. It gives the problems for which it was refused, if it was."""
        asked: Future[tuple[str, ...]] = Future()
        self._asked.append(asked)
        return asked

    def answer(self, reload: Callable[[], tuple[str, ...]]) -> None:
        """Reload once for all who asked so far, if somebody did, and tell them."""
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        if asked:
            problems = reload()
            for one in asked:
                one.set_result(problems)


@dataclass(frozen=True)
class Lifecycle:
    """What may be asked for over HTTP. Without `enabled` every question is answered with 403."""

    enabled: bool
    reload: Callable[[], "Future[tuple[str, ...]]"]
    quit: Callable[[], None]


def with_lifecycle(app: ASGIApp, lifecycle: Lifecycle) -> ASGIApp:
    """The app, and before it the two routes."""

    async def reload(request: Request) -> Response:
        refused = _refused(request, lifecycle.enabled)
        if refused:
            return refused
        log.info("reload asked for over HTTP peer=%s", request.client.host if request.client else "")
        problems = await asyncio.wrap_future(lifecycle.reload())
        if problems:
            return _text("\n".join(["The configuration was not reloaded.", *problems]), 500)
        return _text("The configuration was reloaded.", 200)

    async def leave(request: Request) -> Response:
        refused = _refused(request, lifecycle.enabled)
        if refused:
            return refused
        log.info("end asked for over HTTP peer=%s", request.client.host if request.client else "")
        lifecycle.quit()
        return _text("Requesting termination... Goodbye!", 200)

    routes = [Route("/-/reload", reload, methods=_METHODS), Route("/-/quit", leave, methods=_METHODS)]
    return Router(routes, redirect_slashes=False, default=app)


def _refused(request: Request, enabled: bool) -> Response | None:
    if not enabled:
        return _text("Lifecycle API is not enabled. Start with --web.enable-lifecycle.", 403)
    if _is_foreign(request):
        return _text("The page of another site must not ask for this.", 403)
    return None


def _is_foreign(request: Request) -> bool:
    """Whether a browser says that the page of another site asks: it would send credentials along."""
    kind, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if kind is not None:
        return kind not in {"same-origin", "none"}
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _text(text: str, status: int) -> Response:
    return PlainTextResponse(f"{text}\n", status)
