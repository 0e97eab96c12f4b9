"""The bridge to matplotlib: figures whose colours are variables of the page, as SVG that can stand inside HTML.

The page is light or dark after the picture was drawn. So every colour is drawn as a code of its place in a table, and
becomes `var(--name)` in the SVG. Ids are left out but for what the SVG itself refers to.
"""

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.figure import Figure

SERIES = 12
INKS: tuple[str, ...] = ("text", "quiet", "line", "page", "red", "orange", "yellow", "green", "blue", "purple")
INKS += tuple(f"series{number}" for number in range(SERIES))
"""Names of the colours, as the page's style defines them."""
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}"
_CODE = re.compile(r"#fe01([0-9a-f]{2})")
_KEPT = re.compile(r"(?:^|;)\s*(?!font|stroke-linejoin|stroke-linecap|stroke-miterlimit)([a-z-]+): ([^;]+)")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LONG = re.compile(r"(\d+\.\d)\d+")
DPI = 72.0


def ink(name: str) -> str:
    """A colour to draw with: one of INKS by name, or itself."""
    return f"#fe01{INKS.index(name):02x}" if name in INKS else name


@dataclass
class Sheet:
    """A picture to draw: its size in pixels, a key that no other of the page has, what it shows, and its tooltips."""

    width: float
    height: float
    key: str
    alternative: str
    names: dict[str, str] = field(default_factory=dict)

    def named(self, text: str) -> str:
        """A gid that carries a tooltip."""
        gid = f"t{len(self.names)}"
        self.names[gid] = plain(text)
        return gid

    def figure(self) -> Figure:
        """An empty figure."""
        return Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI, facecolor="none")


def svg(drawn: Figure, sheet: Sheet) -> str:
    """The figure as an `svg` element that HTML may hold as it is."""
    buffer = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": sheet.key, "path.simplify_threshold": 0.5}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")  # the browser has other fonts; here they are only measured
        drawn.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 - written above
    _clean(root, sheet.names, sheet.key)
    root.set("role", "img")
    root.set("aria-label", plain(sheet.alternative))
    ElementTree.register_namespace("", _SVG[1:-1])
    ElementTree.register_namespace("xlink", _LINK[1:-1])
    return ElementTree.tostring(root, encoding="unicode")


def _clean(root: ElementTree.Element, names: Mapping[str, str], key: str) -> None:
    """Colours become variables, ids unique or none, fonts those of the page."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{_SVG}metadata", f"{_SVG}style"):
                parent.remove(child)
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own is not None and own in names:
            title = ElementTree.Element(f"{_SVG}title")
            title.text = names[own]
            element.insert(0, title)
        if own in used:
            element.set("id", f"{key}-{own}")
        _restyle(element, key)
        _shorten(element)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)


def _shorten(element: ElementTree.Element) -> None:
    """Tenths of a pixel are enough, and spaces between elements say nothing."""
    if "d" in element.attrib:
        element.set("d", " ".join(_LONG.sub(r"\1", element.attrib["d"]).split()))
    for part in ("text", "tail"):
        if (getattr(element, part) or "x").isspace():
            setattr(element, part, None)
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _restyle(element: ElementTree.Element, key: str) -> None:
    for name, value in list(element.attrib.items()):
        if name == f"{_LINK}href" and value.startswith("#"):
            element.set("href", f"#{key}-{value[1:]}")
            del element.attrib[name]
        elif "url(#" in value:
            element.set(name, value.replace("url(#", f"url(#{key}-"))
    style = element.attrib.pop("style", "")
    if element.tag == f"{_SVG}text" and (anchor := re.search(r"text-anchor: (\w+)", style)):
        element.set("text-anchor", anchor[1])
    for name, value in _KEPT.findall(style):
        element.set(name, _CODE.sub(lambda found: f"var(--{INKS[int(found[1], 16)]})", value.strip()))
    if element.tag == f"{_SVG}text" and "fill" not in element.attrib:
        element.set("fill", "var(--text)")


def plain(text: str) -> str:
    """A text without what XML cannot hold: control characters and halves of pairs become U+FFFD."""
    return _CONTROL.sub("\ufffd", text)
