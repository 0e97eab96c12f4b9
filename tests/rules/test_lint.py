"""The checklist of a first-class rules pack, box by box: what is checked here, and where the rest is.

A box is either a test of this file, or named in `ELSEWHERE` with the test that holds it, or in `NOT_SO` with a reason.
"""

import re
import subprocess
from pathlib import Path

import pytest
import rule_suites
import yaml
from servers import tools

ROOT = Path(__file__).parents[2]
OUT = ROOT / "rules" / "out"
ESCALATION = yaml.safe_load((OUT / "ml-exporter-escalation.yaml").read_text())["groups"]
GROUPS = rule_suites.groups_of(rule_suites.committed())
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
BOOKS = {path.stem: path.read_text() for path in (ROOT / "runbooks").glob("*.md")}
PAGES = [ROOT / "README.md", ROOT / "rules" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

ELSEWHERE = {
    "check rules on the oldest and the newest version, both lint clean": "rules/test_promtool.py::test_rules_are_valid",
    "at most 20 rules a group, names of at most 40 characters, intervals of at most 5m": "rules/test_pack.py"
    "::test_groups_are_small_and_well_named",
    "no topk in alerts": "rules/test_pack.py::test_an_alert_reads_no_raw_series",
    "minimum sample guards": "rules/test_pack.py::test_statistics_need_enough_rows",
    "joins have one series on the right": "rules/test_pack.py::test_joins_have_one_series_on_the_right",
    "names, severity, layer, model": "rules/test_pack.py::test_name_and_labels",
    "a static summary, links to runbook and dashboard": "rules/test_pack.py::test_annotations",
    "value, limit and first action in the description": "rules/test_pack.py"
    "::test_description_names_value_limit_and_first_action",
    "for and keep_firing_for": "rules/test_pack.py::test_durations",
    "check-config on the oldest and the newest Alertmanager": "rules/test_alertmanager.py"
    "::test_the_committed_configuration_is_valid",
    "a table of routes": "rules/test_alertmanager.py::test_routes",
    "the heartbeat repeats before its interval": "rules/test_alertmanager.py"
    "::test_the_heartbeat_repeats_before_its_interval_is_over",
    "muting and silences, live": "live/test_alertmanager.py::test_a_silence_made_from_the_page_acknowledges_it",
    "every alert: fire, not fire, blip, resolve, missing data": "rules/test_promtool.py"
    "::test_every_alert_obeys_the_laws_or_says_why_not",
    "a check by mutations": "rules/test_mutations.py::test_a_broken_rule_is_noticed",
    "coverage: every alert is seen firing": "rules/test_promtool.py::test_every_alert_is_seen_firing",
    "a linter of dashboards": "dashboards/test_lint.py::test_dashboard",
    "queries of panels parse and name what exists": "rules/test_pack.py::test_queries_of_dashboards_and_runbooks_parse",
    "links of dashboards resolve": "dashboards/test_links.py::test_every_dashboard_can_be_reached_from_the_overview",
    "generated files are committed and fresh": "rules/test_generate.py::test_committed_files_are_fresh",
    "one runbook an alert": "rules/test_pack.py::test_every_alert_has_a_runbook_and_every_runbook_an_alert",
    "sections of a runbook": "rules/test_pack.py::test_runbook_is_complete",
    "queries of runbooks run": "rules/test_runbook_queries.py::test_every_query_finds_something",
}
"""Boxes that other tests tick."""
NOT_SO = {
    "level:metric:operations": "Records are ml:<signal>, the worst of the replicas: one name a signal, for people too.",
}
"""Boxes that stay open, and why."""

META = {
    "a heartbeat": "MLWatchdog",
    "the exporter is down": "MLExporterDown",
    "it is absent": "MLExporterAbsent",
    "it is stale": "MLExporterStale",
    "a model vanished": "MLModelMissing",
    "ground truth is late": "MLLabelsLate",
    "predictions without label": "MLLabelCoverageLow",
    "a cap of series is reached": "MLSeriesCapped",
    "rules cannot be evaluated": "MLRuleEvaluationFailing",
    "a threshold is missing": "MLThresholdMissing",
}
NO_REGEX_BUT = {
    "ml:rule_evaluation_failures": "Prometheus puts the path of the file before the name of a group",
    "ml:version_quality_loss": "measures that are compared alike",
}
NEVER_ZERO = {
    "ml:window_rows)": "a share of no rows does not exist",
    "max by (model, window) (ml:window_rows)": "a share of no rows does not exist",
    "ml:volume_usual_rows": "both days had enough rows",
    "ml:feature_psi_critical": "a noise floor is above zero",
}
"""Denominators without a guard of their own, and why."""
STATES = {
    "MLBaselineMismatch": "more than one baseline is one too many",
    "MLExporterDown": "up is 0 or 1",
    "MLReloadFailed": "0 or 1",
    "MLWebConfigRefused": "0 or 1",
    "MLSourceFailing": "0 or 1",
    "MLStateFailing": "0 or 1",
    "MLStateSetAside": "any damage",
    "MLSeriesCapped": "any series that is left out",
    "MLRuleEvaluationFailing": "any failure",
    "MLDeadLetterFailing": "any failure",
    "MLThresholdMissing": "any series without a limit",
}
"""Alerts that compare with 0 or 1: states, not measures."""
WITHOUT_HISTORY = {"MLLabelSelectionBias": "labelled and unlabelled rows of one window"}
"""Alerts over a day that have a noise floor and compare with no past."""
OTHER_PROJECTS = {"MLServer"}
"""Names that look like alerts."""
FLOOR = {
    "group": {"name", "interval", "rules"},
    "rule": {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"},
}
"""Fields that Prometheus 2.42 knows; later ones are `labels` and `query_offset` of groups."""


def plain(expr: str) -> str:
    """An expression with empty texts, so that what looks like an operator is one."""
    return re.sub(r'"[^"]*"', '""', expr)


def anchors(text: str) -> set[str]:
    """What a page can be linked to, as GitHub makes it of its headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=list(ELSEWHERE))
def test_a_box_is_ticked_elsewhere(place):
    file, _, name = place.partition("::")
    assert f"def {name}" in (ROOT / "tests" / file).read_text()


def test_open_boxes_have_a_reason():
    assert all(len(reason) > 40 for reason in NOT_SO.values())


def test_what_is_read_was_recorded_before():
    """Records before alerts before escalation: in the order of files and groups everything is there when it is read."""
    known = {"ml:threshold:override", "ml:model:expected"}
    every = known | {rule["record"] for rule in RULES if "record" in rule}
    for rule in RULES:
        read = set(rule_suites.NAME.findall(re.sub(r"offset \w+", "", rule["expr"]))) & every
        own = {rule.get("record")}
        assert read - known <= own, rule.get("record") or rule["alert"]
        known |= own - {None}
    texts = [rule["expr"] for group in ESCALATION for rule in group["rules"]]
    assert all(set(rule_suites.NAME.findall(text)) == set() and "ALERTS{" in text for text in texts)


def test_groups_of_records_hold_no_alert():
    for group in GROUPS:
        is_alerts = group["name"].endswith(".alerts")
        assert is_alerts or group["name"].endswith(".rules")
        assert is_alerts == any("alert" in rule for rule in group["rules"])


def test_regular_expressions_are_the_exception():
    assert {rule.get("record") or rule["alert"] for rule in RULES if "=~" in rule["expr"]} == set(NO_REGEX_BUT)


def test_denominators_are_above_zero():
    for expr in (plain(rule["expr"]) for rule in RULES):
        for found in re.finditer(r"/(?: on \([^)]*\))?(?: group_left \(\))?\s+(.+)", expr):
            below = found[1] + expr[found.end() :][:200]
            guarded = re.search(r"> 0|>= \d", below)
            assert guarded or any(below.startswith(name) for name in NEVER_ZERO), below


def test_the_job_comes_from_the_settings():
    jobs = {name for rule in RULES for name in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert jobs == {"ml-exporter"}
    for path in (ROOT / "rules").rglob("*.libsonnet"):
        assert not re.search(r'job="\w', path.read_text()), path


def test_what_compares_with_the_past_waits_for_some():
    """A new model or baseline has windows that are not full; whatever is compared over a day is quiet then."""
    compared = re.compile(r":significant|baseline_loss|month_loss|estimated_quality_loss|ml:control_limit")
    for rule in ALERTS:
        if 'window="1d"' in rule["expr"] and compared.search(rule["expr"]):
            assert ("unless on (model)" in rule["expr"]) != (rule["alert"] in WITHOUT_HISTORY), rule["alert"]


def test_nothing_is_newer_than_the_floor():
    assert all(set(group) <= FLOOR["group"] for group in (*GROUPS, *ESCALATION))
    assert all(set(rule) <= FLOOR["rule"] for group in (*GROUPS, *ESCALATION) for rule in group["rules"])


def test_a_threshold_is_no_literal():
    literal = re.compile(r"(?:>=|<=|==|!=|>|<) *-?\d")
    assert {rule["alert"] for rule in ALERTS if literal.search(plain(rule["expr"]))} == set(STATES)


def test_values_have_a_unit():
    """Only counts stand as they are."""
    for rule in ALERTS:
        bare = re.findall(r"{{ \$value }}", rule["annotations"]["description"])
        is_count = re.search(r"\bcount by |vector", rule["expr"])
        assert not bare or is_count or rule["alert"] in STATES, rule["alert"]


@pytest.mark.parametrize("name", META.values(), ids=list(META))
def test_the_monitor_is_monitored(name):
    assert name in {rule["alert"] for rule in ALERTS}


def test_alertmanager_takes_the_file_in_its_strict_mode():
    command = [
        tools("latest") / "amtool",
        "--enable-feature=utf8-strict-mode",
        "check-config",
        OUT / "alertmanager.yaml",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_alertmanager_reads_no_outdated_key():
    for name in ("alertmanager.yaml", "alertmanager-parts.yaml"):
        text = (OUT / name).read_text()
        assert not re.search(r"^[\s-]*(source_|target_)?match(_re)?:", text, re.MULTILINE)


@pytest.mark.parametrize("name", BOOKS)
def test_links_of_a_runbook_lead_somewhere(name):
    """The other way round: a runbook names only alerts and pages that exist."""
    text = BOOKS[name]
    assert set(re.findall(r"\bML[A-Z]\w+", text)) <= set(BOOKS)
    for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", text):
        assert target.startswith(("http", "/", "?")) or not target or (ROOT / "runbooks" / target).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_name_only_alerts_and_headings_that_exist(page):
    text = page.read_text()
    assert set(re.findall(r"\bML[A-Z][a-z]\w+", text)) <= set(BOOKS) | OTHER_PROJECTS
    for target, heading in re.findall(r"\]\(([\w./-]*\.md)?#([\w-]+)\)", text):
        there = (page.parent / target).read_text() if target else text
        assert heading in anchors(there), f"{target}#{heading}"
