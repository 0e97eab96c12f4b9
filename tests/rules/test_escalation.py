"""Who is called next, under promtool: a page that stays open calls each rung in turn, with the labels of the page."""

import re
import subprocess
from dataclasses import replace

import pytest
import yaml
from servers import tools

from ml_exporter import generate, packed
from ml_exporter.generate import Settings

PACK = packed.pack_dir()
VERSIONS = ("floor", "latest")
FILE = PACK / "rules" / "out" / "ml-exporter-escalation.yaml"
ALERTS = PACK / "rules" / "out" / "ml-exporter-alerts.yaml"
LABELS = {"model": "fraud", "team": "payments", "tier": "1", "severity": "critical"}
TEAMS = """
default: {pages: a, warnings: a, ladder: [{after: 30m, role: lead, receivers: b}]}
teams:
  payments: {ladder: [{after: 15m, role: payments lead, receivers: [b, a]}, {after: 45m, role: director, receivers: b}]}
  pager: {pages: p, escalation: receiver}
  quiet: {ladder: []}
  same: {pages: b}
receivers:
  a: {webhook: {url: 'http://x.test'}}
  b: {webhook: {url: 'http://y.test'}}
  p: {pagerduty: {routing_key_file: /etc/alertmanager/secrets/ml/key}}
"""


def rules_of(text):
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def families():
    return {
        rule["alert"]: rule["labels"]["family"]
        for rule in rules_of(ALERTS.read_text())
        if "alert" in rule and rule["labels"]["severity"] == "critical"
    }


def firing(name, values, **labels):
    inside = ",".join(f'{key}="{value}"' for key, value in (LABELS | {"family": "x", "layer": "y"} | labels).items())
    return {"series": f'ALERTS{{alertname="{name}",alertstate="firing",{inside}}}', "values": values}


def levels(rule_file, series, minutes, version="latest", folder=None):
    """The levels of escalation that fire at a minute, as promtool's engine sees them."""
    checks = [{"expr": "ALERTS{escalation!=''}", "eval_time": f"{minutes}m", "exp_samples": []}]
    suite = {
        "rule_files": [str(rule_file)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": checks}],
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite))
    command = [tools(version) / "promtool", "test", "rules", path]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    text = found.stdout + found.stderr
    assert re.search(r"\berror\b", text.lower()) is None, text
    got = text.partition("got:")[2]
    return sorted(part.split('"')[0] for part in got.split('escalation="')[1:]), got


@pytest.mark.parametrize("version", VERSIONS)
def test_the_committed_rules_are_valid(version):
    command = [tools(version) / "promtool", "check", "rules", "--lint-fatal", FILE]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_alert_that_pages_has_every_rung_and_no_other_has_one():
    found = {(rule["alert"], rule["labels"]["escalation"]) for rule in rules_of(FILE.read_text())}
    assert found == {(name, level) for name in families() for level in ("1", "2")}
    groups = yaml.safe_load(FILE.read_text())["groups"]
    assert all(len(group["rules"]) <= 20 and len(group["name"]) <= 40 for group in groups)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(families()))
def test_each_page_climbs_the_ladder_when_it_stays_open(name, version, tmp_path):
    first = 120 if families()[name] == "quality" else 30
    series = [firing(name, "1x400")]
    assert levels(FILE, series, first - 5, version, tmp_path)[0] == []
    found, text = levels(FILE, series, first + 2, version, tmp_path)
    assert found == ["1"]
    for label in (f'alertname="{name}"', 'model="fraud"', 'team="payments"', 'tier="1"', 'severity="critical"'):
        assert label in text
    assert levels(FILE, series, first + 32, version, tmp_path)[0] == ["1", "2"]


@pytest.mark.parametrize(
    ("values", "minutes", "expected"),
    [
        ("1x10 _x200", 32, []),  # a short episode
        ("1x20 _x1 1x200", 33, ["1"]),  # Prometheus was restarted
        ("1x40 _x200", 46, []),  # the page has resolved
        ("1x15 _x10 1x200", 40, []),  # two episodes are not one
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_only_a_page_that_stays_open_is_escalated(version, values, minutes, expected, tmp_path):
    # A gap in ALERTS is at most the lookback of 5 minutes long; `_` alone would be bridged by it, so the end is stale.
    series = [firing("MLLatencyOverLimit", values.replace("_x200", "stale _x200").replace("_x10 ", "stale _x9 "))]
    assert levels(FILE, series, minutes, version, tmp_path)[0] == expected


def test_warnings_and_escalations_are_not_escalated(tmp_path):
    series = [
        firing("MLAccuracyLow", "1x400", severity="warning"),
        firing("MLAccuracyLow", "1x400", escalation="1", model="other"),
    ]
    assert levels(FILE, series, 390, folder=tmp_path)[1].count("escalation=") <= 1  # the one that was put in


@pytest.fixture(scope="module")
def teams(tmp_path_factory):
    """Rules for teams with ladders of their own, and the settings they were made with."""
    folder = tmp_path_factory.mktemp("teams")
    (folder / "routing.yaml").write_text(TEAMS)
    settings = Settings(routing=folder / "routing.yaml")
    files = generate.render(PACK, settings)
    path = folder / "escalation.yaml"
    path.write_text(files["rules/ml-exporter-escalation.yaml"])
    return path


@pytest.mark.parametrize(
    ("team", "expected"),
    [
        ("payments", {18: ["1"], 48: ["1", "2"]}),
        ("pager", {18: [], 48: []}),
        ("quiet", {18: [], 48: []}),
        ("same", {18: [], 48: ["1"]}),
        ("unknown", {18: [], 48: ["1"]}),
    ],
)
def test_teams_have_their_own_ladders(team, expected, teams, tmp_path):
    series = [firing("MLLatencyOverLimit", "1x400", team=team)]
    for minutes, found in expected.items():
        assert levels(teams, series, minutes, folder=tmp_path)[0] == found


def test_the_notification_says_who_is_called(teams):
    rule = next(item for item in rules_of(teams.read_text()) if "payments lead" in item["annotations"]["description"])
    assert "Called now: payments lead (b, a)" in rule["annotations"]["description"]
    assert rule["annotations"]["runbook_url"].endswith(f"{rule['alert']}.md")


def test_durations_can_be_divided_for_a_demo(tmp_path):
    settings = replace(Settings(), divide_durations=60)
    rules = rules_of(generate.render(PACK, settings)["rules/ml-exporter-escalation.yaml"])
    first = next(rule for rule in rules if rule["alert"] == "MLLatencyOverLimit")
    assert "[30s:1s]) >= 27" in first["expr"]
