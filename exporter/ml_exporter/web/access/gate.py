"""Everything that a request passes before the app, from the outside to the inside."""

import logging
from collections.abc import Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..bare import BARE_HEADERS
from ..lifecycle import Lifecycle, with_lifecycle
from ..lines import BusyError
from ..site import Site, under
from .reading import Access
from .users import Doorman, guarded

log = logging.getLogger("ml_exporter")
_OPEN = ("/-/healthy", "/-/ready")


def gate(app: ASGIApp, place: Site, lifecycle: Lifecycle, access: Callable[[], Access]) -> ASGIApp:
    """The app behind passwords, under its prefix, with its lifecycle, and with the headers that were configured.

    `access` gives what is in force. Health is told to everybody: who probes it should need no secret.
    """
    inside = under(with_lifecycle(app, lifecycle), place)
    open_paths = frozenset(place.route_prefix + path for path in _OPEN)
    return answered(guarded(inside, Doorman(lambda: access().users), open_paths), lambda: access().headers)


def answered(app: ASGIApp, headers: Callable[[], Mapping[str, str]]) -> ASGIApp:
    """The app with headers on every answer, and with an answer where it raises."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun, given = True, MutableHeaders(scope=message)
                for name, value in BARE_HEADERS.items():
                    given.setdefault(name, value)
                given.update(headers())
            await send(message)

        try:
            await app(scope, receive, send_with_headers)
        except BusyError:
            answer = PlainTextResponse("Too many requests of yours are waiting.\n", 429, {"Retry-After": "1"})
            await answer(scope, receive, send_with_headers)
        except Exception:
            if begun:
                raise
            log.exception("web server: no answer could be made")
            await PlainTextResponse("Internal Server Error\n", 500)(scope, receive, send_with_headers)

    return answered
