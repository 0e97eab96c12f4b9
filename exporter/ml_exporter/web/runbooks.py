"""Runbooks as pages: with the names of a model in their queries, and what the alert reads.

A runbook is our own Markdown; the names are not. They are put into it after it was parsed, so that a name can be no
markup, and into a query as the quoted text of PromQL.
"""

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from .words import visible

_NAME = re.compile(r"ML[A-Za-z0-9]+")
_COMMENT = re.compile(r"^<!--.*-->\n", re.MULTILINE)
_READS = re.compile(r"<!-- Reads ([\w, ]+?)(?: over ([\w, ]+?))?( of segments)?\. -->")
_KIND = re.compile(r"<!-- Layer (\w+), severity ([\w, ]+)\. -->")
_MEANING = re.compile(r"^## Meaning\n\n(.+?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
PLACEHOLDER = "$model"
"""What a runbook about models has in its queries."""
_DASHBOARD = re.compile(r"opens the dashboard `(ml-[a-z]+)`")
_PLACEHOLDER = re.compile(r"\$(model|feature)\b")
_TITLE = re.compile(r"\A# .*\n")
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MENTION = re.compile(r"\b(ML[A-Z][A-Za-z0-9]+)\b")


@dataclass(frozen=True)
class Reads:
    """What an alert reads: metrics, the windows that it names (none: all), and whether it is about segments."""

    metrics: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    segments: bool = False


@dataclass(frozen=True)
class Runbook:
    """One runbook as written, without its title and comments."""

    name: str
    text: str
    reads: Reads
    layer: str = ""
    """Layer of its alert; empty in a runbook that does not say it, as those written by hand."""
    severities: tuple[str, ...] = ()
    meaning: str = ""
    """Its first sentence."""
    dashboard: str = ""
    """The uid of the dashboard that its alert opens."""


def read_runbooks(folder: Path | None) -> Mapping[str, Runbook]:
    """Every runbook of a folder, by the name of its alert. Read once, so that no request can reach another file."""
    files = folder.glob("*.md") if folder else ()
    named = {path.stem: path.read_text(encoding="utf-8") for path in files if _NAME.fullmatch(path.stem)}
    return {name: _book(name, text) for name, text in sorted(named.items())}


def _book(name: str, text: str) -> Runbook:
    below, kind = _TITLE.sub("", _COMMENT.sub("", text)), _KIND.search(text)
    meaning, dashboard = _MEANING.search(below), _DASHBOARD.search(text)
    layer, severities = (kind[1], tuple(kind[2].split(", "))) if kind else ("", ())
    return Runbook(
        name,
        below,
        _reads(text),
        layer,
        severities,
        " ".join(meaning[1].split()) if meaning else "",
        dashboard[1] if dashboard else "",
    )


def _reads(text: str) -> Reads:
    found = _READS.search(text)
    if found is None:
        return Reads()
    metrics = tuple(name for name in found[1].split(", ") if name.startswith("ml_"))
    return Reads(metrics, tuple(found[2].split(", ")) if found[2] else (), found[3] is not None)


def as_html(
    book: Runbook, names: Mapping[str, str], known: Mapping[str, Runbook], link: Callable[[str], str]
) -> Markup:
    """A runbook below its title as HTML.

    `names` fill its placeholders `$model` and `$feature`. Where it mentions another of the `known` runbooks, it leads
    there: `link` gives the address by name.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(book.text)
    for token in tokens:
        if token.type in {"fence", "code_block"}:
            token.content = _filled(token.content, names, promql)
        elif token.children is not None:
            others = {name for name in known if name != book.name}
            token.children = list(_inline(token.children, names, others, link))
    _label_cells(tokens)
    html: str = markdown.renderer.render(tokens, markdown.options, {})
    # What scrolls must be reachable by keyboard. No other `<pre>` can be there: raw HTML is off, names are text.
    return Markup(html.replace("<pre>", '<pre tabindex="0">'))  # noqa: S704


def _label_cells(tokens: Sequence[Token]) -> None:
    """Tables become cards on a phone: every cell says what its column is."""
    titles, place = list[str](), 0
    for token, content in pairwise(tokens):
        if token.type == "table_open":
            token.attrSet("class", "cards")
            titles = []
        elif token.type == "tr_open":
            place = 0
        elif token.type == "th_open":
            token.attrSet("scope", "col")
            titles.append(content.content)
        elif token.type == "td_open":
            token.attrSet("data-label", titles[place])
            place += 1
            # A cell beside its label is one thing, not a piece for each `code` in it. This markup is ours.
            first, last = Token("html_inline", "", 0, content="<span>"), Token("html_inline", "", 0, content="</span>")
            content.children = [first, *(content.children or ()), last]


def _inline(
    tokens: Sequence[Token], names: Mapping[str, str], others: Container[str], link: Callable[[str], str]
) -> Iterator[Token]:
    """The pieces of a paragraph with names in place of the placeholders, and links to other runbooks."""
    inside = 0
    for token in tokens:
        inside += token.nesting if token.type.startswith("link_") else 0
        if token.type == "code_inline":
            token.content = _filled(token.content, names, promql)
        if token.type != "text":
            yield token
            continue
        for place, text in enumerate(_MENTION.split(token.content)):
            leads = place % 2 == 1 and text in others and not inside
            if leads:
                yield Token("link_open", "a", 1, attrs={"href": link(text)})
            yield Token("text", "", 0, content=_filled(text, names, visible))
            if leads:
                yield Token("link_close", "a", -1)


def _filled(text: str, names: Mapping[str, str], write: Callable[[str], str]) -> str:
    """The text with every placeholder that has a name replaced by it."""
    return _PLACEHOLDER.sub(lambda found: write(names[found[1]]) if found[1] in names else found[0], text)


def promql(text: str) -> str:
    r"""A text as it stands between the double quotes of PromQL, with everything escaped that nobody could see.

    >>> promql('a "b" \\ c\n\u202ed\U000e0001')
    'a \\"b\\" \\\\ c\\n\\u202ed\\U000e0001'
    """
    return "".join(_ESCAPED.get(c) or (_code(c) if visible(c) != c else c) for c in text)


def _code(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
