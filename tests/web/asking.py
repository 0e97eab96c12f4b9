"""How tests ask an app for a page, and read it."""

import asyncio
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """What an app sent: status, headers and body."""

    status_code: int
    headers: Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


def ask(app: ASGIApp, method: str, path: str, headers: dict[str, str]) -> Answer:
    """Call an app as the server does, with any path (a client library would tidy it up first)."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    scope = {"type": "http", "method": method, "path": unquote(path), "headers": raw}
    scope |= {"raw_path": path.encode(), "query_string": query.encode()}
    asyncio.run(app(scope, receive, send))
    start, *pieces = sent
    assert not pieces[-1].get("more_body", False)
    return Answer(start["status"], Headers(raw=start["headers"]), b"".join(piece["body"] for piece in pieces))


class Tags(HTMLParser):
    """Every tag with its attributes, and whether each one that opens also closes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}

    @property
    def own_links(self) -> list[str | None]:
        """Links of the page's own content."""
        start = next(place for place, (tag, _) in enumerate(self.tags) if tag == "main")
        end = next(place for place, (tag, _) in enumerate(self.tags) if tag == "footer")
        return [attributes["href"] for tag, attributes in self.tags[start:end] if tag == "a"]

    @property
    def links(self) -> list[str | None]:
        return [attributes["href"] for tag, attributes in self.tags if tag == "a"]
