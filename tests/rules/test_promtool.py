"""The generated rules under promtool, oldest and newest supported: they are valid, and every suite passes."""

import re
import subprocess
from pathlib import Path

import pytest
import rule_suites
from rule_laws import BY_HAND, LAWS
from servers import tools

from ml_exporter.catalogue import BY_NAME

HERE = Path(__file__).parent
RULES = [rule_suites.OUT / name for name in rule_suites.FILES]
GROUPS = rule_suites.groups_of(rule_suites.committed())
SUITES = sorted(HERE.glob("*.test.yaml"))
VERSIONS = ("floor", "latest")
WITHOUT_PARTS = {"ages.test.yaml", "exporter.test.yaml"}

suites = pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name.removesuffix(".test.yaml"))


@pytest.mark.parametrize("version", VERSIONS)
def test_rules_are_valid(version):
    command = [tools(version) / "promtool", "check", "rules", "--lint-fatal", *RULES]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("version", VERSIONS)
@suites
def test_suite(suite, version, tmp_path):
    document = rule_suites.load(suite)
    passes, said = rule_suites.run(document, rule_suites.named(document, GROUPS), tmp_path, version)
    assert passes, said


def of_parts(series):
    """A series once for each kind of part of a model that its metric has, far below and far above any limit."""
    name, inside = re.fullmatch(r"([\w:]+)\{(.*)\}", series).groups()
    optional = BY_NAME[name].optional if name in BY_NAME else ()
    parts = ['segment_by="country",segment="%s"'] if "segment_by" in optional else []
    parts += ['class="%s"', 'class="%s",segment_by="country",segment="BR"'] if "class" in optional else []
    for part in parts:
        yield from ((f"{name}{{{inside},{part % value}}}", f"{value}x1000") for value in ("0", "1000000000"))


@suites
def test_segments_and_classes_change_nothing_of_what_fires(suite, tmp_path):
    document = rule_suites.load(suite)
    groups = rule_suites.named(document, GROUPS)
    added = 0
    for test in document["tests"]:
        given = [item["series"] for item in test["input_series"]]
        more = [{"series": name, "values": values} for series in given for name, values in of_parts(series)]
        added += len(more)
        test["input_series"] += more
    assert added or suite.name in WITHOUT_PARTS
    passes, said = rule_suites.run(document, groups, tmp_path, "latest")
    assert passes, said


def test_every_alert_is_seen_firing():
    alerts = {rule["alert"] for group in GROUPS for rule in group["rules"] if "alert" in rule}
    tests = [test for suite in SUITES for test in rule_suites.load(suite)["tests"]]
    by_hand = {item["alertname"] for test in tests for item in test.get("alert_rule_test", []) if item["exp_alerts"]}
    counted = [
        item["labels"] for test in tests for check in test.get("promql_expr_test", []) for item in check["exp_samples"]
    ]
    by_hand |= set(re.findall(r'alertname="(\w+)"', " ".join(counted)))
    assert by_hand | {law.alert for law in LAWS} == alerts


def test_every_alert_obeys_the_laws_or_says_why_not():
    """At each of its severities."""
    alerts = {
        (rule["alert"], rule["labels"]["severity"]) for group in GROUPS for rule in group["rules"] if "alert" in rule
    }
    laws = {(law.alert, severity) for law in LAWS for values in law.moving.values() for severity in values}
    assert {name for name, _ in alerts - laws} == set(BY_HAND)
    assert all(len(reason) > 10 for reason in BY_HAND.values())
