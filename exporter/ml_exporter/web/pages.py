"""The pages for people. Names and versions come from logs and are hostile: all is escaped, nothing runs."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from . import words
from .links import Link

_RUNBOOK_NAME = re.compile(r"ML[A-Za-z0-9]+")


@dataclass(frozen=True)
class ModelRow:
    """One model as the landing page shows it."""

    name: str
    team: str
    tier: str
    task: str
    versions: tuple[str, ...]
    last_prediction_seconds: float | None
    """Event time in Unix seconds; None before the first prediction."""
    rows_1d: int | None
    state: str
    """In words: `ok`, `no data`, ..."""


@dataclass(frozen=True)
class At:
    """Where and when a page is made: what every page needs beside its own content. Times in Unix seconds."""

    page: str
    """Its address below the route prefix, percent-encoded."""
    link: Link
    """How it links to others."""
    now: float
    rendered_at: float | None
    """When the facts were evaluated; None before the first time."""


class Pages:
    """Renders the pages. The folder of runbooks is read once, so no request can reach another file."""

    def __init__(self, version: str, runbooks: Path | None) -> None:
        loader = PackageLoader("ml_exporter.web")
        self._environment = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
        )
        shown = (words.utc, words.number, words.share, words.duration, words.name, words.plain)
        self._environment.filters.update({function.__name__: function for function in shown})
        style = loader.get_source(self._environment, "style.css")[0]
        self._environment.globals.update(version=version, style=Markup(style))  # noqa: S704  # our own file
        self.style_digest = f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}"
        """What the Content-Security-Policy allows as style."""
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        """Raw HTML is shown as text."""
        self._runbooks = _read_runbooks(runbooks)

    def landing(self, at: At, models: Sequence[ModelRow], state: str) -> str:
        """The models and how they are. `state` is that of the exporter, in words."""
        return self._render("landing.html", at, models=models, state=state)

    def runbook_index(self, at: At) -> str:
        """Links to every runbook."""
        return self._render("runbooks.html", at, names=sorted(self._runbooks))

    def runbook(self, at: At, name: str) -> str | None:
        """One runbook, or None if there is none of this name."""
        if name not in self._runbooks:
            return None
        # What scrolls must be reachable by keyboard. No other `<pre>` can be there: raw HTML is off.
        html = self._markdown.render(self._runbooks[name]).replace("<pre>", '<pre tabindex="0">')
        return self._render("runbook.html", at, name=name, html=Markup(html))  # noqa: S704  # raw HTML is off

    def not_found(self, at: At) -> str:
        """The page for every other path."""
        return self._render("not_found.html", at)

    def _render(self, template: str, at: At, **values: object) -> str:
        return self._environment.get_template(template).render(at=at, **values)


def _read_runbooks(folder: Path | None) -> dict[str, str]:
    """The text of every runbook, by the name of its alert."""
    files = folder.glob("*.md") if folder else ()
    return {path.stem: path.read_text(encoding="utf-8") for path in files if _RUNBOOK_NAME.fullmatch(path.stem)}
