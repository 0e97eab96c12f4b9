"""Would the suites notice? Rules are broken one at a time, and some suite must then fail.

`make test` flips the first comparison of every eighth alert and drops the guard of every twelfth. `make soak` breaks
everything that `mutations` knows.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import rule_replicas
import rule_suites
import rule_worlds
from rule_laws import CLOCKS, LAWS
from rule_worlds import Law

HERE = Path(__file__).parent
OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!="}
COMPARISON = re.compile(r"(?<= )(>=|<=|==|>|<)(?= )|(?<=\n)(>=|<=|==|>|<)(?= )")
GUARD = re.compile(r"\s*and on \([^)]*\)\s+ml:\w+:enough(\{[^}]*\})?(?!\s+offset)")
NEW = re.compile(r"\s*unless on \(model\)\s+ml:model:new")
UNLESS = re.compile(r"\s*unless on \(model\)\s+\(\n.*?\n    \)", re.DOTALL)

Rule = dict[str, Any]
Mutation = tuple[str, Rule]


def flipped(rule: Rule) -> Iterator[Mutation]:
    for number, found in enumerate(COMPARISON.finditer(rule["expr"])):
        expr = rule["expr"][: found.start()] + OPPOSITE[found[0]] + rule["expr"][found.end() :]
        yield f"comparison {number + 1} flipped", rule | {"expr": expr}


def without_parts(rule: Rule) -> Iterator[Mutation]:
    for what, pattern in (("guard", GUARD), ("quiet period", NEW), ("recovery", UNLESS)):
        for number, found in enumerate(pattern.finditer(rule["expr"])):
            expr = rule["expr"][: found.start()] + rule["expr"][found.end() :]
            yield f"{what} {number + 1} dropped", rule | {"expr": expr}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            yield f"{key} dropped", {name: value for name, value in rule.items() if name != key}


def swapped(rule: Rule) -> Iterator[Mutation]:
    if rule.get("record", "").endswith("_info"):
        return  # always 1, so the largest is the smallest
    for old, new in (("max without", "min without"), ("min without", "max without"), ("- on", "+ on"), ("abs(", "(")):
        if old in rule["expr"]:
            yield f"{old.strip('(')} swapped", rule | {"expr": rule["expr"].replace(old, new, 1)}


def name_of(rule: Rule) -> str:
    labels = rule.get("labels", {})
    parts = [rule.get("alert") or rule["record"], labels.get("signal"), labels.get("severity"), labels.get("window")]
    return " ".join(part for part in parts if part)


@cache
def documents() -> dict[str, Any]:
    return rule_suites.committed()


def mutations() -> Iterator[tuple[str, str, Rule, Rule]]:
    """Every mutation: an id, the file, the rule and what it becomes."""
    for file, document in documents().items():
        for group in document["groups"]:
            for rule in group["rules"]:
                for what, mutant in (*flipped(rule), *without_parts(rule), *swapped(rule)):
                    yield f"{name_of(rule)}: {what}", file, rule, mutant


ALL = list(mutations())
OF_ALERTS = [item for item in ALL if "alert" in item[2]]
SAMPLE = [
    *[item for item in OF_ALERTS if item[0].endswith("comparison 1 flipped")][::8],
    *[item for item in OF_ALERTS if ": guard " in item[0]][::12],
]


def laws_for(rule: Rule) -> list[Law]:
    """The laws of the alerts that read a rule, or are it."""
    groups = rule_suites.groups_of(documents())
    return [law for law in LAWS if any(rule in group["rules"] for group in rule_suites.needed(groups, [law.alert]))]


def suites_for(rule: Rule) -> list[Path]:
    # The suite of the levels first: it is short and notices most broken records.
    suites = sorted(HERE.glob("*.test.yaml"), key=lambda path: (not path.name.startswith("models"), path.name))
    wanted = rule.get("alert")
    return [suite for suite in suites if wanted is None or wanted in suite.read_text()]


def failures(folder: Path, groups: list[Rule], rule: Rule) -> Iterator[str]:
    """The suites that fail on some groups of rules, one after the other."""
    if rule_replicas.taken([rule]):
        document = rule_replicas.suite([rule])
        if not rule_suites.run(document, rule_suites.needed(groups, [rule["record"]]), folder, "latest")[0]:
            yield "replicas"
    alerts = {item["alert"]: item for group in groups for item in group["rules"] if "alert" in item}
    for law in laws_for(rule):
        step, warm_up = CLOCKS[law.alert]
        known = {law.alert: alerts[law.alert]} if rule.get("alert") != law.alert else {law.alert: rule}
        document = rule_worlds.world([law], known, step, warm_up)
        if not rule_suites.run(document, rule_suites.needed(groups, [law.alert]), folder, "latest")[0]:
            yield law.alert
    for suite in suites_for(rule):
        document = rule_suites.load(suite)
        if not rule_suites.run(document, rule_suites.named(document, groups), folder, "latest")[0]:
            yield suite.name


def is_noticed(folder: Path, file: str, rule: Rule, mutant: Rule) -> bool:
    changed = deepcopy(documents())
    for group in changed[file]["groups"]:
        group["rules"] = [mutant if item == rule else item for item in group["rules"]]
    return next(failures(folder, rule_suites.groups_of(changed), rule), "") != ""


def test_the_unbroken_rules_pass_in_the_same_place(tmp_path):
    _, file, rule, _ = SAMPLE[0]
    assert not is_noticed(tmp_path, file, rule, rule)


@pytest.mark.parametrize(("name", "file", "rule", "mutant"), SAMPLE, ids=[item[0] for item in SAMPLE])
def test_a_broken_alert_is_noticed(tmp_path, name, file, rule, mutant):
    assert is_noticed(tmp_path, file, rule, mutant), name


@pytest.mark.soak
@pytest.mark.parametrize(("name", "file", "rule", "mutant"), ALL, ids=[item[0] for item in ALL])
def test_a_broken_rule_is_noticed(tmp_path, name, file, rule, mutant):
    assert is_noticed(tmp_path, file, rule, mutant), name
