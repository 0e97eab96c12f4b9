"""Everything that a request passes before the app, from the outside to the inside."""

from collections.abc import Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..lifecycle import Lifecycle, with_lifecycle
from ..site import Site, under
from .reading import Access
from .users import Doorman, guarded

_OPEN = ("/-/healthy", "/-/ready")


def gate(app: ASGIApp, place: Site, lifecycle: Lifecycle, access: Callable[[], Access]) -> ASGIApp:
    """The app behind passwords, under its prefix, with its lifecycle, and with the headers that were configured.

    `access` gives what is in force. Health is told to everybody: who probes it should need no secret.
    """
    inside = under(with_lifecycle(app, lifecycle), place)
    open_paths = frozenset(place.route_prefix + path for path in _OPEN)
    return _with_headers(guarded(inside, Doorman(lambda: access().users), open_paths), lambda: access().headers)


def _with_headers(app: ASGIApp, headers: Callable[[], Mapping[str, str]]) -> ASGIApp:
    async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers())
            await send(message)

        await app(scope, receive, send_with_headers)

    return with_headers
