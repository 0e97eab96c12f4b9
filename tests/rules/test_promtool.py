"""The generated rules under promtool, oldest and newest supported: they are valid, and every suite passes."""

import subprocess
from pathlib import Path

import pytest
import yaml
from servers import tools

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "rules" / "out"
RULES = [OUT / "ml-exporter-rules.yaml", OUT / "ml-exporter-alerts.yaml"]
SUITES = sorted(HERE.glob("*.test.yaml"))
VERSIONS = ("floor", "latest")


@pytest.mark.parametrize("version", VERSIONS)
def test_rules_are_valid(version):
    command = [tools(version) / "promtool", "check", "rules", "--lint-fatal", *RULES]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name.removesuffix(".test.yaml"))
def test_suite(suite, version):
    command = [tools(version) / "promtool", "test", "rules", suite]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_suites_evaluate_the_groups_in_order():
    """Promtool shuffles groups that a suite does not order, and a level would then be one step late at times."""
    groups = [group["name"] for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    for suite in SUITES:
        assert yaml.safe_load(suite.read_text())["group_eval_order"] == groups, suite.name


def test_every_alert_has_a_suite_that_sees_it_firing():
    alerts = {
        rule["alert"]
        for group in yaml.safe_load(RULES[1].read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    asserted = {
        item["alertname"]
        for suite in SUITES
        for test in yaml.safe_load(suite.read_text())["tests"]
        for item in test.get("alert_rule_test", [])
        if item["exp_alerts"]
    }
    assert asserted == alerts
