"""Reads the classic JSON of Grafana, once, into frozen values."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_exporter.errors import ConfigError, Problem, shown
from ml_exporter.previewing.dashboards import (
    Annotation,
    Dashboard,
    Link,
    Override,
    Panel,
    Place,
    Properties,
    Row,
    Target,
    Variable,
)


def read(text: str, where: str) -> Dashboard:
    """A dashboard from its JSON. Raises ConfigError."""
    try:
        found = json.loads(text)
        if not isinstance(found["panels"], list):
            raise TypeError
        return _dashboard(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = Problem(where, "a dashboard in the classic JSON of Grafana", shown(text), "Give another file")
        raise ConfigError([problem]) from error


def _dashboard(found: Mapping[str, Any]) -> Dashboard:
    time = found.get("time", {})
    return Dashboard(
        uid=str(found["uid"]),
        title=str(found["title"]),
        description=str(found.get("description") or ""),
        start=str(time.get("from", "now-6h")),
        end=str(time.get("to", "now")),
        variables=tuple(_variable(item) for item in found.get("templating", {}).get("list", ())),
        annotations=tuple(_annotations(found.get("annotations", {}).get("list", ()))),
        links=tuple(_link(item) for item in found.get("links", ())),
        tags=tuple(found.get("tags", ())),
        rows=tuple(_rows(found["panels"])),
    )


def _rows(panels: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Panels by the row above them. A collapsed row holds its own."""
    ordered = sorted(panels, key=lambda item: (item["gridPos"].get("y", 0), item["gridPos"].get("x", 0)))
    title, repeat, held = "", "", list[Panel]()
    for item in ordered:
        if item["type"] != "row":
            held.append(_panel(item))
            continue
        if held or title:
            yield Row(title, tuple(held), repeat)
        title, repeat = str(item.get("title") or ""), str(item.get("repeat") or "")
        held = [_panel(inner) for inner in item.get("panels") or ()]
    if held or title:
        yield Row(title, tuple(held), repeat)


def _panel(found: Mapping[str, Any]) -> Panel:
    place, config = found["gridPos"], found.get("fieldConfig", {})
    return Panel(
        kind=str(found["type"]),
        title=str(found.get("title") or ""),
        description=str(found.get("description") or ""),
        place=Place(place.get("x", 0), place.get("y", 0), place["w"], place["h"]),
        targets=tuple(_target(item) for item in found.get("targets", ()) if not item.get("hide")),
        properties=flat(config.get("defaults", {})),
        overrides=tuple(_override(item) for item in config.get("overrides", ())),
        options=found.get("options", {}),
        transformations=tuple(
            (item["id"], item.get("options", {}))
            for item in found.get("transformations", ())
            if not item.get("disabled")
        ),
        links=tuple(_link(item) for item in found.get("links", ())),
        interval=str(found.get("interval") or ""),
        max_points=found.get("maxDataPoints"),
        repeat=str(found.get("repeat") or ""),
    )


def flat(defaults: Mapping[str, Any]) -> Properties:
    """Options of a field as overrides name them.

    >>> flat({"unit": "s", "custom": {"lineWidth": 1}})
    {'unit': 's', 'custom.lineWidth': 1}
    """
    own = {key: value for key, value in defaults.items() if key != "custom"}
    return own | {f"custom.{key}": value for key, value in defaults.get("custom", {}).items()}


def _override(found: Mapping[str, Any]) -> Override:
    matcher = found["matcher"]
    properties = {item["id"]: item.get("value") for item in found["properties"]}
    return Override(matcher["id"], matcher.get("options"), properties)


def _target(found: Mapping[str, Any]) -> Target:
    return Target(
        ref=str(found.get("refId", "A")),
        expression=str(found["expr"]),
        legend=str(found.get("legendFormat") or ""),
        format=str(found.get("format", "time_series")),
        is_instant=bool(found.get("instant")) and not found.get("range"),
        interval=str(found.get("interval") or ""),
    )


def _link(found: Mapping[str, Any]) -> Link:
    tags = tuple(found.get("tags", ())) if found.get("type") == "dashboards" else ()
    return Link(str(found.get("title") or ""), str(found.get("url") or ""), tags)


def _variable(found: Mapping[str, Any]) -> Variable:
    query, current = found.get("query", ""), found.get("current", {}).get("value", ())
    return Variable(
        name=str(found["name"]),
        label=str(found.get("label") or found["name"]),
        kind=str(found["type"]),
        query=str(query.get("query", "") if isinstance(query, dict) else query),
        regex=str(found.get("regex") or ""),
        sort=int(found.get("sort", 0)),
        is_multi=bool(found.get("multi")),
        includes_all=bool(found.get("includeAll")),
        all_value=str(found.get("allValue") or ""),
        current=tuple(map(str, current)) if isinstance(current, (list, tuple)) else (str(current),),
        is_hidden=found.get("hide") == 2,
    )


def _annotations(found: Sequence[Mapping[str, Any]]) -> Iterator[Annotation]:
    """Those that a query finds; those that people wrote are in the database of Grafana."""
    for item in found:
        target = item.get("target") or {}
        expression = item.get("expr") or target.get("expr")
        if item.get("enable", True) and expression:
            yield Annotation(
                name=str(item["name"]),
                expression=str(expression),
                step=str(item.get("step") or target.get("interval") or "60s"),
                title=str(item.get("titleFormat") or item["name"]),
                text=str(item.get("textFormat") or ""),
                color=str(item.get("iconColor") or "blue"),
            )
