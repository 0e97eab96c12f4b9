"""How a field looks: the options of its panel and the overrides that choose it, by its name or type."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_exporter.previewing.dashboards import Override, Panel, Properties
from ml_exporter.previewing.units import written

NUMBER, STRING, TIME = "number", "string", "time"
_SHADE = re.compile(r"^(?:super-light|light|semi-dark|dark)-")
_FAMILIES = frozenset(("red", "orange", "yellow", "green", "blue", "purple"))
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_EXPRESSION = re.compile(r"/(?P<body>.*)/(?P<flags>[a-z]*)", re.DOTALL)


def color_of(name: object) -> str:
    """A colour of Grafana as one that the page knows: the name of a family, `text`, or #rrggbb. Else nothing.

    >>> color_of("semi-dark-red"), color_of("#F2495C"), color_of("url(javascript:1)")
    ('red', '#F2495C', '')
    """
    text = _SHADE.sub("", str(name))
    return text if text in _FAMILIES or text == "text" or _HEX.fullmatch(text) else ""


@dataclass(frozen=True)
class Step:
    """A threshold: from its value on, the colour holds."""

    value: float
    color: str


@dataclass(frozen=True)
class Shown:
    """What a value says: its text, and a colour where it has one."""

    text: str
    color: str = ""


@dataclass(frozen=True)
class Field:
    """A field with its name and everything that holds for it."""

    name: str
    properties: Properties

    def get(self, name: str, default: Any = None) -> Any:
        """An option, or the default where it is not set."""
        found = self.properties.get(name)
        return default if found is None else found

    @property
    def unit(self) -> str:
        """The id of its unit."""
        return str(self.get("unit", "none"))

    @property
    def decimals(self) -> int | None:
        """How many, where that is set."""
        return self.get("decimals")  # type: ignore[no-any-return]

    @property
    def color(self) -> str:
        """Its fixed colour, or nothing."""
        found = self.get("color", {})
        return color_of(found.get("fixedColor", "")) if found.get("mode") == "fixed" else ""

    @property
    def is_hidden(self) -> bool:
        """Whether it is left out of the picture."""
        hidden = self.get("custom.hideFrom", {})
        return bool(hidden.get("viz") or self.get("custom.hidden"))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its thresholds from low to high; the first begins at minus infinity."""
        found = self.get("thresholds", {}).get("steps", ())
        return tuple(
            Step(float("-inf") if item.get("value") is None else float(item["value"]), color_of(item.get("color")))
            for item in found
        )

    def threshold_color(self, value: float) -> str:
        """The colour of the highest threshold that is reached."""
        reached = [step.color for step in self.steps if value >= step.value]
        return reached[-1] if reached else ""

    def shown(self, value: float | str) -> Shown:
        """A value as text, by its mappings, unit and thresholds."""
        mapped = self._mapped(value)
        if isinstance(value, str):
            return mapped or Shown(value)
        color = self.threshold_color(value)
        if mapped:
            return Shown(mapped.text or written(value, self.unit, self.decimals), mapped.color or color)
        return Shown(written(value, self.unit, self.decimals), color)

    def _mapped(self, value: float | str) -> Shown | None:
        """What the mappings make of it, or nothing."""
        for mapping in self.get("mappings", ()):
            result = _mapping(mapping["type"], mapping.get("options", {}), value)
            if result is not None:
                return Shown(str(result.get("text") or ""), color_of(result.get("color", "")))
        return None


def _mapping(kind: str, options: Mapping[str, Any], value: float | str) -> Mapping[str, Any] | None:
    """The result of a mapping that fits."""
    found: Mapping[str, Any] | None = None
    if kind == "value":
        key = value if isinstance(value, str) else f"{value:.15g}"
        found = options.get(key)
    elif kind == "range" and not isinstance(value, str):
        low, high = options.get("from"), options.get("to")
        fits = (low is None or value >= low) and (high is None or value <= high)
        found = options["result"] if fits else None
    elif kind == "special":
        empty = options.get("match") in ("null", "nan", "null+nan", "empty")
        found = options["result"] if empty and (value in ("", None) or value != value) else None  # noqa: PLR0124 - NaN
    elif kind == "regex" and isinstance(value, str):
        found = options["result"] if expression(options["pattern"]).search(value) else None
    return found


def expression(text: str) -> re.Pattern[str]:
    """A regular expression of Grafana, with or without slashes around it."""
    found = _EXPRESSION.fullmatch(text)
    body, flags = (found["body"], found["flags"]) if found else (text, "")
    return re.compile(body, re.IGNORECASE if "i" in flags else 0)


def field(panel: Panel, name: str, kind: str = NUMBER, ref: str = "") -> Field:
    """The field of a panel with this name. What overrides say last, holds; one may change the name itself."""
    properties = dict(panel.properties)
    for override in panel.overrides:
        if _chooses(override, name, kind, ref):
            properties |= override.properties
    shown = properties.get("displayName")
    return Field(str(shown) if shown and "${" not in str(shown) else name, properties)


def _chooses(override: Override, name: str, kind: str, ref: str) -> bool:
    argument = override.argument
    if override.matcher == "byName":
        return bool(argument == name)
    if override.matcher == "byRegexp":
        return expression(str(argument)).search(name) is not None
    if override.matcher == "byType":
        return bool(argument == kind)
    if override.matcher == "byFrameRefID":
        return bool(argument == ref)
    names: Sequence[str] = argument.get("names", ()) if isinstance(argument, Mapping) else ()
    return override.matcher == "byNames" and name in names


MATCHERS = frozenset(("byName", "byRegexp", "byType", "byFrameRefID", "byNames"))
"""Those that are known here."""
