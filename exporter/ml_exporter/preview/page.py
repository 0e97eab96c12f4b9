"""Dashboards as one page: no script, nothing that is loaded, everything from labels and logs escaped."""

import math
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from ml_exporter.preview import drawing, lines
from ml_exporter.preview.asking import Looked
from ml_exporter.preview.drawing import Drawn
from ml_exporter.preview.paper import Sheet
from ml_exporter.previewing.answers import Event
from ml_exporter.previewing.dashboards import Link
from ml_exporter.previewing.links import dashboard_of
from ml_exporter.previewing.seeing import Seen
from ml_exporter.previewing.times import iso
from ml_exporter.previewing.variables import replaced
from ml_exporter.previewing.views import Chart, Heat, Lanes

WIDTH = 1400
"""Pixels of the 24 columns of a dashboard."""
_LINE = 26
_INNER = 34
"""Pixels that a panel takes left and right of its picture."""
_EMPTY_LINK = re.compile(r'<a href="([^"]*)"[^>]*>(?=</a>)')


@dataclass(frozen=True)
class Picture:
    """A panel with its picture, if it has one, and the links of its head."""

    seen: Seen
    drawn: Drawn | None
    links: tuple[tuple[str, str], ...]
    """Titles and addresses, of those that can be opened from here."""

    @property
    def kind(self) -> str:
        """The name of what it shows."""
        return type(self.seen.view).__name__.lower()


@dataclass(frozen=True)
class Part:
    """A heading and its panels."""

    title: str
    pictures: tuple[Picture, ...]


def page(looked: Sequence[Looked], source: str, now: float) -> str:
    """The whole page, with a policy that lets nothing but its own style in."""
    loader = PackageLoader("ml_exporter.preview")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = loader.get_source(environment, "preview.css")[0]
    uids = [item.dashboard.uid for item in looked]
    environment.filters.update(
        iso=iso, markdown=_markdown, inline=_inline, spark=_spark, address=lambda url: address(url, uids)
    )
    values: dict[str, Any] = {
        "dashboards": [
            (item, list(_parts(item, number, uids)), list(_links(item, looked))) for number, item in enumerate(looked)
        ],
        "findings": [text for item in looked for text in item.findings()],
        "source": re.sub(r"//[^/@]*@", "//", source),
        "now": now,
        "style": Markup(style),  # noqa: S704 - our own file
        "digest": b64encode(sha256(style.encode()).digest()).decode(),
        "markup": Markup,
    }
    text = environment.get_template("preview.html").render(values)
    return text.encode(errors="replace").decode()


def address(url: str, uids: Sequence[str]) -> str:
    """Where a link leads from this page: to a dashboard that is in it, to the network, or nowhere.

    >>> address("/d/ml-model?var-model=a", ["ml-model"]), address("javascript:alert(1)", []), address("/d/other", [])
    ('#d-ml-model', '', '')
    """
    uid = dashboard_of(url)
    if uid in uids:
        return f"#d-{uid}"
    return url if re.match(r"https?://[^/\s]", url) and not re.search(r"[\x00-\x20]", url) else ""


def _parts(item: Looked, number: int, uids: Sequence[str]) -> Iterator[Part]:
    events = [event for annotated in item.annotations for event in annotated.events]
    for place, row in enumerate(item.rows):
        pictures = [
            Picture(seen, _drawn(seen, events, f"p{number}-{place}-{index}"), tuple(_heads(seen, uids)))
            for index, seen in enumerate(row.panels)
        ]
        yield Part(row.title, tuple(pictures))


def _drawn(seen: Seen, events: Sequence[Event], key: str) -> Drawn | None:
    """The picture of what changes over time."""
    place, view = seen.panel.place, seen.view
    width = float(max(WIDTH * place.width // 24 - _INNER, 240))
    height = float(min(max(place.height * _LINE - 20, 150), 420))
    lasts = f"from {iso(seen.range.start)} to {iso(seen.range.end)} UTC; the numbers are in the table below"
    sheet = Sheet(width, height, key, f"{seen.title}, {lasts}")
    if isinstance(view, Chart):
        return lines.chart(view, events, sheet)
    if isinstance(view, Lanes):
        return drawing.lanes(view, events, sheet)
    if isinstance(view, Heat):
        return drawing.heat(view, sheet)
    return None


def _heads(seen: Seen, uids: Sequence[str]) -> Iterator[tuple[str, str]]:
    for link in seen.panel.links:
        title, url = _replaced(link, seen.context)
        if address(url, uids):
            yield title, address(url, uids)


def _links(item: Looked, looked: Sequence[Looked]) -> Iterator[tuple[str, str]]:
    """The links of a dashboard. One by tags leads to all dashboards of the page that have them."""
    uids = [other.dashboard.uid for other in looked]
    for link in item.dashboard.links:
        if not link.tags:
            title, url = _replaced(link, item.context)
            if address(url, uids):
                yield title, address(url, uids)
            continue
        for other in looked:
            if set(link.tags) <= set(other.dashboard.tags) and other is not item:
                yield other.dashboard.title, f"#d-{other.dashboard.uid}"


def _replaced(link: Link, context: Any) -> tuple[str, str]:
    title = replaced(link.title, context.choices, context.builtins)
    return title, replaced(link.url, context.choices, context.builtins, "percentencode")


def _markdown(text: str) -> Markup:
    """A text panel: Markdown without HTML and pictures."""
    html: str = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(text)
    return _named_links(html)


def _inline(text: str) -> Markup:
    """A description: the same within one paragraph."""
    html: str = MarkdownIt("commonmark", {"html": False}).disable("image").renderInline(text)
    return _named_links(html)


def _named_links(html: str) -> Markup:
    """Rendered Markdown in which a link without a text, such as a picture without one, shows its address."""
    return Markup(_EMPTY_LINK.sub(r"\g<0>\1", html))  # noqa: S704 - raw HTML is off, and the address is escaped


def _spark(values: Sequence[float]) -> str:
    """Points of a small line in a box of 100 by 20."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:
        return ""
    low, high = min(finite), max(finite)
    step = 100 / (len(finite) - 1)
    heights = [(value - low) / (high - low) if high > low else 0.5 for value in finite]
    return " ".join(f"{index * step:.1f},{19 - 18 * height:.1f}" for index, height in enumerate(heights))
