"""The generated rules under promtool, oldest and newest supported: they are valid, and every suite passes."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from servers import tools

from ml_exporter.catalogue import BY_NAME

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "rules" / "out"
RULES = [OUT / "ml-exporter-rules.yaml", OUT / "ml-exporter-alerts.yaml"]
SUITES = sorted(HERE.glob("*.test.yaml"))
VERSIONS = ("floor", "latest")
WITHOUT_PARTS = {"exporter.test.yaml"}


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


def of_parts(series):
    """A series once for each kind of part of a model that its metric has, far below and far above any limit."""
    name, inside = re.fullmatch(r"([\w:]+)\{(.*)\}", series).groups()
    optional = BY_NAME[name].optional if name in BY_NAME else ()
    parts = ['segment_by="country",segment="%s"'] if "segment_by" in optional else []
    parts += ['class="%s"', 'class="%s",segment_by="country",segment="BR"'] if "class" in optional else []
    for part in parts:
        yield from ((f"{name}{{{inside},{part % value}}}", f"{value}x1000") for value in ("0", "1000000000"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name.removesuffix(".test.yaml"))
def test_segments_and_classes_change_nothing_of_what_fires(suite, tmp_path):
    document = yaml.safe_load(suite.read_text()) | {"rule_files": [str(path) for path in RULES]}
    added = 0
    for test in document["tests"]:
        given = [item["series"] for item in test["input_series"]]
        more = [{"series": name, "values": values} for series in given for name, values in of_parts(series)]
        added += len(more)
        test["input_series"] += more
    assert added or suite.name in WITHOUT_PARTS
    path = tmp_path / suite.name
    path.write_text(yaml.safe_dump(document))
    command = [tools("latest") / "promtool", "test", "rules", path]
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
