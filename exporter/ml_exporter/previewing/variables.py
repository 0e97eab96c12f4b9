"""Variables of dashboards: the values they may have, the one that is chosen, and texts in which they are replaced.

Replaced in a query, values are escaped as the Prometheus data source of Grafana does it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ml_exporter.previewing.dashboards import Variable

ALL = "$__all"
_REFERENCE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}|\[\[(\w+?)(?::(\w+))?\]\]")
_LABEL_VALUES = re.compile(r"label_values\(\s*(?:(?P<selector>.+?)\s*,\s*)?(?P<label>[a-zA-Z_]\w*)\s*\)", re.DOTALL)
_QUERY_RESULT = re.compile(r"query_result\((?P<query>.+)\)", re.DOTALL)
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Chosen:
    """What is chosen of a variable: values, or all of them."""

    variable: Variable
    values: tuple[str, ...]
    is_all: bool = False

    def text(self) -> str:
        """For people."""
        return "All" if self.is_all else " + ".join(self.values)


Choices = Mapping[str, Chosen]


@dataclass(frozen=True)
class LabelValues:
    """A question for the values of a label, perhaps of the series that a selector chooses alone."""

    selector: str
    label: str


@dataclass(frozen=True)
class QueryResult:
    """A question for the series of a query, as text."""

    query: str


def question(query: str) -> LabelValues | QueryResult | None:
    """What a variable of kind `query` asks, or nothing where this is not known.

    >>> question('label_values(up{job="a, b"}, instance)')
    LabelValues(selector='up{job="a, b"}', label='instance')
    """
    if found := _LABEL_VALUES.fullmatch(query.strip()):
        return LabelValues(found["selector"] or "", found["label"])
    if found := _QUERY_RESULT.fullmatch(query.strip()):
        return QueryResult(found["query"])
    return None


def literal(variable: Variable) -> list[str]:
    """The values of a variable that asks nobody."""
    if variable.kind in ("custom", "interval"):
        parts = [part.strip() for part in re.split(r"(?<!\\),", variable.query)]
        return [part.rpartition(" : ")[2].replace("\\,", ",") for part in parts if part]
    return [variable.query]


def options(variable: Variable, found: Sequence[str]) -> list[str]:
    """The values that may be chosen: those that its expression lets through, in its order."""
    values = list(found)
    if variable.regex:
        expression = re.compile(re.sub(r"\(\?<(\w+)>", r"(?P<\1>", variable.regex.strip("/")))
        matches = [(value, expression.search(value)) for value in values]
        values = [next(iter(match.groups()), value) or value for value, match in matches if match]
    return _sorted(list(dict.fromkeys(values)), variable.sort)


def _sorted(values: list[str], sort: int) -> list[str]:
    """In the order of Grafana: none, alphabetical, numerical or without case, each up and down."""
    if not sort:
        return values

    def number(value: str) -> tuple[float, str]:
        match = _NUMBER.search(value)
        return (float(match[0]) if match else -1.0, value)

    key: Callable[[str], object] = (str, number, str.lower, number)[(sort - 1) // 2]
    return sorted(values, key=key, reverse=sort % 2 == 0)  # type: ignore[arg-type]


def chosen(variable: Variable, found: Sequence[str], wanted: str | None) -> Chosen:
    """What is shown: what was asked for, what the dashboard says, or the first.

    Several values are asked for with commas where the variable may have several.
    """
    if wanted is not None:
        parts = tuple(wanted.split(",")) if variable.is_multi else (wanted,)
        return Chosen(variable, parts)
    kept = tuple(value for value in variable.current if value in found)
    if variable.includes_all and (ALL in variable.current or not kept):
        return Chosen(variable, tuple(found), is_all=True)
    return Chosen(variable, kept or tuple(found[:1]))


def in_query(item: Chosen) -> str:
    """A value as PromQL reads it inside double quotes."""
    if item.is_all and item.variable.all_value:
        return item.variable.all_value
    if not item.variable.is_multi and not item.variable.includes_all:
        return _escaped("".join(item.values))
    escaped = [_regex_escaped(value) for value in item.values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _regex_escaped(value: str) -> str:
    """For a regular expression inside double quotes."""
    plain = value.replace("\\", "\\\\\\\\").replace('"', '\\"').replace("\n", "\\n")
    return _SPECIAL.sub(lambda found: "\\\\" + found[0], plain)


_FORMATS: Mapping[str, Callable[[Chosen], str]] = {
    "query": in_query,
    "text": Chosen.text,
    "raw": lambda item: ",".join(item.values),
    "csv": lambda item: ",".join(item.values),
    "pipe": lambda item: "|".join(item.values),
    "regex": lambda item: in_query(Chosen(item.variable, item.values)).replace("\\\\", "\\"),
    "json": lambda item: json.dumps(item.values if len(item.values) != 1 else item.values[0]),
    "doublequote": lambda item: ",".join(json.dumps(value) for value in item.values),
    "percentencode": lambda item: quote(",".join(item.values), safe="", errors="replace"),
    "queryparam": lambda item: "&".join(_parameters(item)),
}


def _parameters(item: Chosen) -> list[str]:
    values = (ALL,) if item.is_all else item.values
    return [f"var-{item.variable.name}={quote(value, safe='', errors='replace')}" for value in values]


def replaced(text: str, choices: Choices, builtins: Mapping[str, str], form: str = "text") -> str:
    """A text with its variables replaced, in a form of Grafana. Names that nobody knows stay as they are."""

    def one(found: re.Match[str]) -> str:
        name = found[1] or found[2] or found[5]
        if found[3] is None and name in builtins:
            return builtins[name]
        if name == "__all_variables":
            return "&".join(part for item in choices.values() for part in _parameters(item))
        if name not in choices:
            return found[0]
        return _FORMATS.get(found[4] or found[6] or form, _FORMATS["raw"])(choices[name])

    return _REFERENCE.sub(one, text)
