"""The pack's parts of an Alertmanager configuration, put into one that exists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ml_exporter.errors import ConfigError, Problem, shown

_LISTS = ("receivers", "time_intervals", "inhibit_rules")
_RENAME = "Rename it in routing.yaml, or remove it from the file if an earlier merge has put it there"


def read(path: Path) -> dict[str, Any]:
    """An Alertmanager configuration. Raises ConfigError when it cannot be read or has no route."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = Problem(str(path), "a file that can be read", str(error.strerror), "Check the path")
        raise ConfigError([problem]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        got = shown(" ".join(str(error).split()), 200)
        raise ConfigError([Problem(str(path), "a YAML document", got, "Mend the syntax")]) from error
    if not isinstance(found, dict) or not isinstance(found.get("route"), dict):
        got = shown(found if not isinstance(found, dict) else sorted(map(str, found)))
        raise ConfigError([Problem(str(path), "an Alertmanager configuration with a `route`", got, "Check the path")])
    return found


def merged(existing: Mapping[str, Any], parts: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The configuration with our route as the first of its routes, and our receivers, hours and inhibitions added.

    Alerts that are not ours go where they went: our route matches `ML…` names alone and does not continue. Raises
    ConfigError for every name that both use.

    >>> ours = {"route": {"receiver": "b"}, "receivers": [{"name": "b"}]}
    >>> merged({"route": {"receiver": "a"}, "receivers": [{"name": "a"}]}, ours, "alertmanager.yml")
    {'route': {'receiver': 'a', 'routes': [{'receiver': 'b'}]}, 'receivers': [{'name': 'a'}, {'name': 'b'}]}
    """
    problems = [
        Problem(f"{where} {key}", "names that routing.yaml does not use", shown(name), _RENAME)
        for key in _LISTS
        for name in sorted(_names(existing, key) & _names(parts, key))
    ]
    if problems:
        raise ConfigError(problems)
    route = existing["route"]
    result = dict(existing) | {"route": route | {"routes": [parts["route"], *(route.get("routes") or ())]}}
    for key in _LISTS:
        if parts.get(key):
            result[key] = [*(existing.get(key) or ()), *parts[key]]
    return result


def _names(config: Mapping[str, Any], key: str) -> set[str]:
    items = config.get(key) or ()
    if key == "time_intervals":  # the older name of the same table
        items = [*items, *(config.get("mute_time_intervals") or ())]
    return {item["name"] for item in items if "name" in item}
