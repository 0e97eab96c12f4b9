"""Values as YAML that people like to read: keys in the usual order, expressions of several lines as blocks."""

from typing import Any

import yaml

KEYS = (
    "name", "interval", "record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations", "rules",
    "summary", "description", "runbook_url", "dashboard_url", "page_url",
    "receiver", "matchers", "source_matchers", "target_matchers", "group_by", "group_wait", "group_interval",
    "repeat_interval", "routes", "global", "route", "inhibit_rules", "receivers",
)  # fmt: skip
"""The order in which people expect the keys of rules and routes. Other keys follow, sorted."""


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def as_yaml(value: Any) -> str:
    r"""A value as YAML.

    >>> print(as_yaml({"labels": {"b": "1"}, "alert": "A", "expr": "x\n> 1"}), end="")
    alert: A
    expr: |-
      x
      > 1
    labels:
      b: '1'
    """
    return yaml.dump(_ordered(value), Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True)


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        known = [key for key in KEYS if key in value]
        return {key: _ordered(value[key]) for key in known + sorted(set(value) - set(KEYS))}
    return value
