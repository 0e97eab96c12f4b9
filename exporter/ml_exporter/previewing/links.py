"""Links of panels and values: their variables replaced, and where they lead."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from ml_exporter.previewing.fields import Field
from ml_exporter.previewing.variables import Choices, replaced
from ml_exporter.previewing.views import Address

_OWN = re.compile(r"\$\{__(field|data|value|series)\.([^}:]+)(?::(\w+))?\}")
_NAMED = re.compile(r"""(?:labels|fields)(?:\.(?P<plain>[\w ]+)|\[['"]?(?P<quoted>[^'"\]]+)['"]?\])""")
_DASHBOARD = re.compile(r"(?:https?://[^/]+)?(?:/[\w.-]+)*?/?d/([\w-]+)(?:[/?#].*)?")


@dataclass(frozen=True)
class Context:
    """What the variables of a link stand for."""

    choices: Choices
    builtins: Mapping[str, str]


def addresses(field: Field, context: Context, row: Mapping[str, str], value: str = "") -> tuple[Address, ...]:
    """The links of a value. `row` are its labels, or the cells of its row."""

    def own(found: re.Match[str]) -> str:
        named = _NAMED.fullmatch(found[2])
        text = row.get(named["plain"] or named["quoted"], "") if named else value
        return field.name if found[1] in ("field", "series") and found[2] == "name" else text

    def encoded(found: re.Match[str]) -> str:
        return own(found) if found[3] in ("raw", "text") else quote(own(found), safe="", errors="replace")

    return tuple(
        Address(
            replaced(_OWN.sub(own, str(link.get("title") or "Link")), context.choices, context.builtins),
            replaced(_OWN.sub(encoded, str(link.get("url") or "")), context.choices, context.builtins, "percentencode"),
        )
        for link in field.get("links", ())
    )


def dashboard_of(url: str) -> str:
    """The uid of the dashboard of Grafana that an address opens, or nothing.

    >>> dashboard_of("/d/ml-model/ml?var-model=a"), dashboard_of("https://host/grafana/d/ml-model"), dashboard_of("https://x/")
    ('ml-model', 'ml-model', '')
    """
    found = _DASHBOARD.fullmatch(url)
    return found[1] if found else ""
