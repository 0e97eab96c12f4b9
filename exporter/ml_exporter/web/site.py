"""Where the exporter is found: the URL that people use, and the path under which requests come in.

As in Prometheus, the prefix of the routes is the path of the external URL unless something else is said, which is
what a proxy needs that takes the path away. No request is needed to know either, so no `Host` header is believed.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import Problem, ProblemsError

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True)
class Site:
    """Paths before the exporter's own ones. They are empty, or begin with a slash and do not end with one."""

    external_url: str = ""
    """What people open, without a slash at its end; empty if it was not said."""
    route_prefix: str = ""
    """What requests have before `/metrics`, as they arrive here."""
    external_path: str = ""
    """What a browser has before `/metrics`: links begin with it. A proxy may turn it into the prefix."""


def site(external_url: str | None, route_prefix: str | None) -> Site:
    """The site that two options describe; None where one was not given. Raises ProblemsError with all that is wrong.

    >>> site("https://example.org/ml/", None)
    Site(external_url='https://example.org/ml', route_prefix='/ml', external_path='/ml')
    >>> site("https://example.org/ml", "/").route_prefix, site(None, "ml/").external_path
    ('', '/ml')
    """
    problems: list[Problem] = []
    url = "" if external_url is None else _url(external_url, problems)
    path = urlsplit(url).path
    prefix = path if route_prefix is None else "/" + route_prefix.strip("/") if route_prefix.strip("/") else ""
    if not _PATH.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        action = "Write for example /ml; letters, digits, `.`, `_`, `~` and `-` may be in it"
        problems.append(Problem("--web.route-prefix", "a path", repr(route_prefix or prefix), action))
    if problems:
        raise ProblemsError(problems)
    return Site(url, prefix, path if external_url is not None else prefix)


def _url(text: str, problems: list[Problem]) -> str:
    """An absolute URL without a slash at its end."""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        fits = fits and not (parts.query or parts.fragment or "@" in parts.netloc)
        fits = fits and _PATH.fullmatch(parts.path.rstrip("/")) is not None
        fits = fits and not {".", ".."} & set(parts.path.split("/"))
    except ValueError:
        fits = False
    if not fits or not text.isascii() or not text.isprintable() or " " in text:
        action = "Write what people open, for example https://example.org/ml"
        problems.append(Problem("--web.external-url", "an http or https URL with a host", repr(text), action))
        return ""
    return text.rstrip("/")


def under(app: ASGIApp, place: Site) -> ASGIApp:
    """The app under the prefix of a site; outside of it, the way to it and nothing else.

    For the app the path begins with what a browser has there, which is `root_path` too.
    """
    prefix, outside = place.route_prefix, place.external_path

    async def prefixed(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if prefix and path in {"/", prefix}:
            target = f"{prefix[1:]}/" if path == "/" else f"{prefix.rpartition('/')[2]}/"
            await RedirectResponse(target, 302)(scope, receive, send)
        elif not path.startswith(f"{prefix}/"):
            await PlainTextResponse("There is no such page.\n", 404)(scope, receive, send)
        else:
            raw = scope.get("raw_path", b"")
            behind = (
                raw[len(prefix) :] if raw.startswith(f"{prefix}/".encode()) else quote(path[len(prefix) :]).encode()
            )
            moved = {"path": outside + path[len(prefix) :], "raw_path": outside.encode() + behind}
            await app({**scope, **moved, "root_path": outside}, receive, send)

    return prefixed
