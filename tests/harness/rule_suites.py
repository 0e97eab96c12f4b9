"""Suites of promtool, as the tests write them: without what is the same in all of them.

A suite in tests/rules/*.test.yaml has no `rule_files` and no `group_eval_order`; both are filled in here. Its `warm_up`
is a time for which models and their baselines are known before the first sample, so that they are not new. It runs on
the rules that it names and on what these read, since all of them over hours take long.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from servers import tools

Document = dict[str, Any]

OUT = Path(__file__).parents[2] / "rules" / "out"
FILES = ("ml-exporter-rules.yaml", "ml-exporter-alerts.yaml")
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
NAME = re.compile(r"\bml:[\w:]+")


def seconds(text: str) -> int:
    """The seconds of a duration like 1h30m."""
    return sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([dhms])", text))


def committed() -> dict[str, Document]:
    """The generated files of rules by name."""
    return {name: yaml.safe_load((OUT / name).read_text()) for name in FILES}


def groups_of(files: Mapping[str, Document]) -> list[Document]:
    """All groups, in the order in which they build on each other."""
    return [group for name in FILES for group in files[name]["groups"]]


def text_of(rule: Document) -> str:
    """All that a rule may read something in: its expression and its texts."""
    return " ".join([rule["expr"], *rule.get("annotations", {}).values()])


def needed(groups: list[Document], names: Iterable[str]) -> list[Document]:
    """The alerts and records of these names, and the records that they read, directly or not."""
    wanted = set(names)
    rules = [rule for group in groups for rule in group["rules"]]
    by_name: dict[str, list[Document]] = {}
    for rule in rules:
        by_name.setdefault(rule.get("record", ""), []).append(rule)
    found: set[int] = set()
    waiting = [rule for rule in rules if (rule.get("alert") or rule["record"]) in wanted]
    while waiting:
        rule = waiting.pop()
        if id(rule) not in found:
            found.add(id(rule))
            waiting += read_by(rule, by_name)
    kept = [group | {"rules": [rule for rule in group["rules"] if id(rule) in found]} for group in groups]
    return [group for group in kept if group["rules"]]


def read_by(rule: Document, by_name: Mapping[str, list[Document]]) -> list[Document]:
    """The records that a rule reads; of thresholds, those of the signals that it names, or all if it names none."""
    text = text_of(rule)
    signals = set(re.findall(r'signal="(\w+)"', text))
    found = [item for name in set(NAME.findall(text)) for item in by_name.get(name, ())]
    return [item for item in found if not signals or item.get("labels", {}).get("signal", "") in signals | {""}]


def warmed_up(document: Document) -> Document:
    """A suite with its warm-up: models and baselines are there from the start, everything else begins after it."""
    delay = seconds(document.pop("warm_up", "0s"))
    if not delay:
        return document
    for test in document["tests"]:
        steps = delay // seconds(test["interval"])
        for item in test["input_series"]:
            early = item["series"].startswith(("ml_model_info", "ml_baseline_info"))
            # `1x4` are five samples, `_x4` are four.
            item["values"] = f"{f'1x{steps - 1}' if early else f'_x{steps}'} {item['values']}"
        for check in (*test.get("promql_expr_test", ()), *test.get("alert_rule_test", ())):
            check["eval_time"] = f"{delay + seconds(check['eval_time'])}s"
    return document


def load(path: Path) -> Document:
    """A suite of tests/rules as promtool takes it, but for the rules."""
    return warmed_up(yaml.safe_load(path.read_text()))


def named(document: Document, groups: list[Document]) -> list[Document]:
    """The rules that the checks of a suite name, and what those read."""
    checks = [{key: item for key, item in test.items() if key != "input_series"} for test in document["tests"]]
    words = set(re.findall(r"[\w:]+", str(checks)))
    return needed(groups, words)


def run(document: Document, groups: list[Document], folder: Path, version: str) -> tuple[bool, str]:
    """Run a suite on some groups of rules; returns whether it passes, and what promtool said."""
    (folder / "rules.yaml").write_text(yaml.dump({"groups": groups}, Dumper=yaml.CSafeDumper))
    whole = document | {"rule_files": ["rules.yaml"], "group_eval_order": [group["name"] for group in groups]}
    (folder / "suite.yaml").write_text(yaml.dump(whole, Dumper=yaml.CSafeDumper))
    command = [tools(version) / "promtool", "test", "rules", folder / "suite.yaml"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.returncode == 0, found.stdout + found.stderr
