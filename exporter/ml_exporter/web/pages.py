"""The pages for people. Names and versions come from logs and are hostile: all is escaped, nothing runs."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

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
        self._environment.filters["utc"] = utc
        style = loader.get_source(self._environment, "style.css")[0]
        self._environment.globals.update(version=version, style=Markup(style))  # noqa: S704  # our own file
        self.style_digest = f"sha256-{b64encode(sha256(style.encode()).digest()).decode()}"
        """What the Content-Security-Policy allows as style."""
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        """Raw HTML is shown as text."""
        self._runbooks = _read_runbooks(runbooks)

    def landing(self, models: Sequence[ModelRow], rendered_at: float | None, state: str) -> str:
        """What this is, how it is, and its models. `rendered_at` in Unix seconds, None before the first."""
        return self._render("landing.html", models=models, rendered_at=rendered_at, state=state)

    def runbook_index(self) -> str:
        """Links to every runbook."""
        return self._render("runbooks.html", names=sorted(self._runbooks))

    def runbook(self, name: str) -> str | None:
        """One runbook, or None if there is none of this name."""
        if name not in self._runbooks:
            return None
        # What scrolls must be reachable by keyboard. No other `<pre>` can be there: raw HTML is off.
        html = self._markdown.render(self._runbooks[name]).replace("<pre>", '<pre tabindex="0">')
        return self._render("runbook.html", name=name, html=Markup(html))  # noqa: S704  # raw HTML is off

    def not_found(self) -> str:
        """The page for every other path."""
        return self._render("not_found.html")

    def _render(self, template: str, **values: object) -> str:
        return self._environment.get_template(template).render(values)


def utc(seconds: float | None) -> str:
    """A time as text; a dash where there is none or no calendar reaches.

    >>> utc(1_700_000_000.9), utc(None), utc(1e30)
    ('2023-11-14 22:13:20 UTC', '–', '–')
    """
    try:
        return "–" if seconds is None else f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "–"


def _read_runbooks(folder: Path | None) -> dict[str, str]:
    """The text of every runbook, by the name of its alert."""
    files = folder.glob("*.md") if folder else ()
    return {path.stem: path.read_text(encoding="utf-8") for path in files if _RUNBOOK_NAME.fullmatch(path.stem)}
