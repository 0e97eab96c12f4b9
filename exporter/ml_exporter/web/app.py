"""The routes: what is answered under which path, from the newest snapshot alone."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..facts import Facts
from .api import Api
from .derived import Derived
from .links import feature_path, link_from, model_path, page_of
from .outside import NOWHERE, Outside
from .pages import Asked, At, Pages, Reported
from .people import People

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PARTS = ("labels", "outliers")
_CHUNK_BYTES = 256 * 1024
_STALE_AFTER_INTERVALS = 5
_STALE_AFTER_AT_LEAST_SECONDS = 120.0


@dataclass(frozen=True)
class Snapshot:
    """All that the web side knows: one rendering, and the rows of the landing page. Times in Unix seconds."""

    exposition: bytes
    compressed: bytes
    """The exposition as gzip."""
    rendered_at: float
    ready: bool
    """Whether the sources were caught up with once."""
    interval_seconds: float
    """Time between two evaluations, by which is judged whether the next one is overdue."""
    models: tuple[str, ...]
    """Names of all models."""
    facts: Facts | None = None
    """What the pages and the JSON API say in detail."""
    outside: Outside = NOWHERE
    """What pages may link to beside the exporter."""


def create_app(
    newest: Callable[[], Snapshot | None],
    clock: Callable[[], float],
    version: str,
    runbooks: Path | None = None,
) -> ASGIApp:
    """The ASGI app. `newest` gives the last snapshot or None before the first, `clock` the Unix time.

    `runbooks` is a folder of Markdown files, read once. When the last rendering is older than five intervals
    and two minutes, `/metrics` and `/-/healthy` answer 503, so that `up` and staleness work as everybody
    expects. Before the first rendering `/metrics` answers 503, and after two minutes `/-/healthy` does too.
    """
    pages, derived = Pages(version, runbooks), Derived()
    routes = _Routes(newest, clock, pages, derived)
    people = People(routes.facts, routes.at, pages, derived)
    router = Router(
        [
            Route("/metrics", routes.metrics),
            Route("/-/healthy", routes.healthy),
            Route("/-/ready", routes.ready),
            Route("/models", routes.to_model),
            Route("/runbooks", routes.to_runbooks),
            Route("/runbooks/", routes.runbook_index),
            Route("/runbooks/{name}", routes.runbook),
            *people.routes(),
            *Api(routes.facts, derived, version).routes(),
            Route("/{path:path}", routes.not_found),
        ],
        redirect_slashes=False,
    )
    return _with_headers(router, _security_headers(pages.style_digest))


class _Routes:
    """The handlers. Each is a function of the newest snapshot and the clock."""

    def __init__(
        self, newest: Callable[[], Snapshot | None], clock: Callable[[], float], pages: Pages, derived: Derived
    ) -> None:
        self._newest = newest
        self._derived = derived
        self._clock = clock
        self._pages = pages
        self._started_at = clock()

    async def metrics(self, request: Request) -> Response:
        snapshot = self._newest()
        overdue = self._overdue(snapshot)
        if snapshot is None or overdue:
            return PlainTextResponse(overdue or "Nothing was evaluated yet.\n", 503)
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if accepts_gzip(",".join(request.headers.getlist("accept-encoding"))):
            return _ChunkedResponse(snapshot.compressed, headers={**headers, "Content-Encoding": "gzip"})
        return _ChunkedResponse(snapshot.exposition, headers=headers)

    async def healthy(self, request: Request) -> Response:
        overdue = self._overdue(self._newest())
        return PlainTextResponse(overdue or "ml-exporter is healthy.\n", 503 if overdue else 200)

    async def ready(self, request: Request) -> Response:
        snapshot = self._newest()
        if snapshot is not None and snapshot.ready:
            return PlainTextResponse("ml-exporter is ready.\n")
        return PlainTextResponse("ml-exporter is still catching up with its sources.\n", 503)

    async def to_model(self, request: Request) -> Response:
        """From the names in a query, as an alert links to them, to the page of a model, a feature or a part."""
        snapshot, asked, link = self._newest(), _asked(request), self.at(request).link
        if snapshot is None or not asked.model:
            return RedirectResponse(link("/"), 302)
        if asked.model not in _names(snapshot):
            return await self.not_found(request)
        facts = snapshot.facts
        if facts is not None and asked.feature in (facts.features(asked.model) or ()):
            return RedirectResponse(link(feature_path(asked.model, asked.feature)), 302)
        part = request.query_params.get("page", "")
        return RedirectResponse(link(model_path(asked.model, part if part in _PARTS else "")), 302)

    async def to_runbooks(self, request: Request) -> Response:
        return RedirectResponse("runbooks/", 308)

    async def runbook_index(self, request: Request) -> Response:
        return HTMLResponse(self._pages.runbook_index(self.at(request), _asked(request), _names(self._newest())))

    async def runbook(self, request: Request) -> Response:
        snapshot, name = self._newest(), request.path_params["name"].removesuffix(".md")
        reported = Reported(_names(snapshot), snapshot.facts, snapshot.exposition) if snapshot else Reported()
        at, asked = self.at(request), _asked(request)
        page = await self._derived.run(request, lambda: self._pages.runbook(at, name, asked, reported))
        return await self.not_found(request) if page is None else HTMLResponse(page)

    async def not_found(self, request: Request) -> Response:
        return HTMLResponse(self._pages.not_found(self.at(request)), 404)

    def facts(self) -> Facts | None:
        """The newest facts."""
        snapshot = self._newest()
        return None if snapshot is None else snapshot.facts

    def at(self, request: Request) -> At:
        """Where and when the page that is asked for is made."""
        page, snapshot = page_of(request.scope), self._newest()
        overdue = self._overdue(snapshot).strip()
        if snapshot is None:
            return At(page, link_from(page), self._clock(), None, overdue or "The exporter is starting.")
        ready = "ready" if snapshot.ready else "catching up with its sources"
        state = overdue or f"The exporter is {ready}."
        return At(page, link_from(page), self._clock(), snapshot.rendered_at, state, snapshot.outside)

    def _overdue(self, snapshot: Snapshot | None) -> str:
        """Why the last rendering must not be served any more; empty if it may."""
        last = self._started_at if snapshot is None else snapshot.rendered_at
        interval = 0.0 if snapshot is None else snapshot.interval_seconds
        limit = max(_STALE_AFTER_INTERVALS * interval, _STALE_AFTER_AT_LEAST_SECONDS)
        age = self._clock() - last
        if age <= limit:
            return ""
        return f"The last evaluation is {age:.0f} s old; the limit is {limit:.0f} s. See the exporter's log.\n"


def _asked(request: Request) -> Asked:
    query = request.query_params
    return Asked(query.get("model", ""), query.get("feature", ""), query.get("window", ""))


def _names(snapshot: Snapshot | None) -> tuple[str, ...]:
    return () if snapshot is None else snapshot.models


class _ChunkedResponse(Response):
    """A response sent in pieces, each when the last was taken: a slow reader holds one of them, not all.

    Between two of them others are served: the kernel may take many at once.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), _CHUNK_BYTES):
            piece = self.body[start : start + _CHUNK_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


def accepts_gzip(accept_encoding: str) -> bool:
    r"""Whether an Accept-Encoding header asks for gzip.

    >>> accepts_gzip("deflate, gzip;q=0.5"), accepts_gzip("gzip;\tq=0"), accepts_gzip("identity")
    (True, False, False)
    """
    for choice in accept_encoding.lower().split(","):
        coding, _, weight = "".join(choice.split()).partition(";")
        if coding == "gzip":
            return re.fullmatch(r"q=0(\.0*)?", weight) is None
    return False


def _security_headers(style_digest: str) -> dict[str, str]:
    """Headers that keep a browser from running, loading or framing anything that a log put into a page."""
    policy = f"default-src 'none'; style-src '{style_digest}'; base-uri 'none'; form-action 'none'"
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _with_headers(app: ASGIApp, headers: dict[str, str]) -> ASGIApp:
    async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await app(scope, receive, send_with_headers)

    return with_headers
