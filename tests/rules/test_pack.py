"""What holds for every alert, record, panel and runbook of the generated pack."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from boards import filled, queries
from servers import tools

from ml_exporter.catalogue import BY_NAME

ROOT = Path(__file__).parents[2]
OUT = ROOT / "rules" / "out"
GROUPS = [
    group
    for name in ("ml-exporter-rules.yaml", "ml-exporter-alerts.yaml")
    for group in yaml.safe_load((OUT / name).read_text())["groups"]
]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDS = {rule["record"] for rule in RULES if "record" in rule} | {"ml:threshold:override", "ml:model:expected"}
RUNBOOKS = {path.stem: path.read_text() for path in (ROOT / "runbooks").glob("*.md")}
HEADINGS = ["Meaning", "Impact", "First five minutes", "Diagnosis", "Mitigation", "Escalation", "Afterwards"]
PARTS = ["Correlated alerts", "Recent deployments and pipeline changes", "Feature store and upstream latency"]
LAYERS = {"outcome", "data", "diagnostic", "freshness", "meta"}
NAME = re.compile(r"\bml[_:][a-zA-Z0-9_:]+")
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}

alerts = pytest.mark.parametrize(
    "rule", ALERTS, ids=[f"{rule['alert']}-{rule['labels']['severity']}" for rule in ALERTS]
)


def runbook_queries():
    """Every block of PromQL holds one query a line, or one over several lines."""
    for text in RUNBOOKS.values():
        for block in re.findall(r"```promql\n(.*?)```", text, re.DOTALL):
            yield from (line.strip() for line in block.splitlines() if line.strip())


def seconds(text):
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([dhms])", text))


def unknown_names(text):
    suffixes = ("_bucket", "_sum", "_count")
    for name in NAME.findall(text):
        histogram = next((name.removesuffix(end) for end in suffixes if name.endswith(end)), "")
        is_histogram = histogram in BY_NAME and BY_NAME[histogram].type == "histogram"
        if name not in BY_NAME and name not in RECORDS and not is_histogram:
            yield name


def test_groups_are_small_and_well_named():
    names = [group["name"] for group in GROUPS]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 40 for name in names)
    assert {group["name"]: len(group["rules"]) for group in GROUPS if len(group["rules"]) > 20} == {}
    assert all(0 < seconds(group["interval"]) <= 300 for group in GROUPS)


def test_no_series_is_recorded_twice():
    records = [(rule["record"], tuple(sorted(rule.get("labels", {}).items()))) for rule in RULES if "record" in rule]
    assert len(set(records)) == len(records)


@alerts
def test_name_and_labels(rule):
    assert re.fullmatch(r"ML([A-Z][a-z0-9]+)+", rule["alert"])
    assert len(rule["alert"]) <= 40
    labels = rule["labels"]
    assert labels["layer"] in LAYERS
    assert labels["family"]
    assert not any("{{" in value for value in labels.values()), "a value in a label restarts `for`"
    if rule["alert"] == "MLWatchdog":
        assert labels["severity"] == "none"
    else:
        assert labels["severity"] in {"critical", "warning", "info"}
    if labels["layer"] == "meta":
        assert labels["model"] == "none"
        assert labels["team"]
        assert labels["tier"]
    else:
        owned = rule["expr"].endswith("* on (model) group_left (team, tier)\n  ml:model:owner")
        assert owned or rule["expr"].startswith("ml:model:expected ")


@alerts
def test_annotations(rule):
    annotations = rule["annotations"]
    assert re.fullmatch(r"[A-Z][^{}]*\.", annotations["summary"])
    assert "{{" in annotations["description"]
    assert annotations["runbook_url"].endswith(f"/runbooks/{rule['alert']}.md")


@alerts
def test_description_names_value_limit_and_first_action(rule):
    description = rule["annotations"]["description"]
    assert "$value" in description or rule["alert"] in {"MLExporterAbsent", "MLModelMissing", "MLPredictionsAbsent"}
    assert re.search(r"\b(limit|expected|needed|may be|value)\b", description)
    assert "First " in description or rule["alert"] == "MLWatchdog"


@alerts
def test_durations(rule):
    values = re.sub(r"ml:\w+:enough\{[^}]*\}", "", rule["expr"])  # a guard beside counters has a window of its own
    windows = [seconds(window) for window in re.findall(r'window="([^"]+)"', values)]
    if rule["alert"] == "MLWatchdog":
        assert "for" not in rule
    else:
        assert seconds(rule["for"]) >= max(120, min(windows, default=0) / 4)
    if windows:
        assert seconds(rule["keep_firing_for"]) >= 600, "a short gap in the data would look like a recovery"


@alerts
def test_an_alert_reads_no_raw_series(rule):
    raw = set(re.findall(r"\bml_\w+", re.sub(r'"[^"]*"', '""', rule["expr"])))
    assert raw == set()
    assert "topk" not in rule["expr"]
    assert "bottomk" not in rule["expr"]


@alerts
def test_statistics_need_enough_rows(rule):
    if rule["labels"]["layer"] in {"outcome", "data", "diagnostic"}:
        wanted = "labelled_rows" if rule["labels"]["family"] == "quality" else "window_rows"
        if "ml:volume_" in rule["expr"]:  # few rows now are what it is about; those of before must be enough
            assert rule["expr"].count("ml:volume_") == 1
        else:
            assert re.search(rf"ml:(segment_)?{wanted}:enough", rule["expr"])


@pytest.mark.parametrize("rule", RULES, ids=[rule.get("record") or rule["alert"] for rule in RULES])
def test_joins_have_one_series_on_the_right(rule):
    """What group_left joins is aggregated by the very labels of `on`, or a record with one series for them."""
    for on, right in re.findall(r"on \(([^)]*)\) group_left \([^)]*\)\s+(.+)", rule["expr"]):
        by = (f"max by ({on}) (", f"(sum by ({on}) (") if on else "max ("
        assert right.startswith(by) or re.match(r"ml:(threshold:effective\{.*severity=|model:owner$)", right), right


@pytest.mark.parametrize("rule", RULES, ids=[rule.get("record") or rule["alert"] for rule in RULES])
def test_rules_name_only_what_exists(rule):
    text = rule["expr"] + " " + " ".join(rule.get("annotations", {}).values())
    assert list(unknown_names(text)) == []


@pytest.mark.parametrize("name", [name for name, metric in BY_NAME.items() if metric.optional])
def test_whoever_reads_a_metric_that_segments_or_classes_have_selects_the_whole_model(name):
    reads = re.compile(rf"\b{name}\b(?:\{{([^}}]*)\}})?")
    found = [rule["expr"] for rule in RULES] + queries() + list(runbook_queries())
    for selectors in (read[1] or "" for query in found for read in reads.finditer(query)):
        labels = dict(re.findall(r'(\w+)!?="([^"]*)"', selectors))
        assert labels.keys() >= set(BY_NAME[name].optional) - {"segment"}, f"{name}{{{selectors}}}"


def test_every_level_that_a_panel_or_alert_reads_is_recorded():
    used = set(NAME.findall(" ".join([rule["expr"] for rule in ALERTS] + queries())))
    assert {name for name in used if name.startswith("ml:")} <= RECORDS


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    assert set(RUNBOOKS) == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("name", RUNBOOKS)
def test_runbook_is_complete(name):
    text = RUNBOOKS[name]
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert re.findall(r"^### (.+)$", text, re.MULTILINE)[: len(PARTS)] == PARTS
    first = text.split("## First five minutes")[1].split("## Diagnosis")[0]
    assert re.search(
        r"[Vv]alidate the (data|model|label|input|output|request|score|log|time)|Validate (wh|how|that)", first
    )
    assert "promql" in first.split(" log ")[0], "the numbers come before any log"
    assert "```promql" in text
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", text)
    for section in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert len(section.split()) >= 8
    if any(rule["labels"]["family"] == "quality" for rule in ALERTS if rule["alert"] == name):
        assert "### Label latency" in text
        assert "holdout" in text
    assert list(unknown_names(text)) == []


@pytest.mark.parametrize("name", RUNBOOKS)
def test_a_runbook_says_nothing_twice(name):
    """What an alert says itself, its kind must not add to: at three in the morning every line is read."""
    sections = dict(re.findall(r"^## (.+?)\n(.+?)(?=^## |\Z)", RUNBOOKS[name], re.MULTILINE | re.DOTALL))
    for title in ("First five minutes", "Mitigation", "Escalation"):
        text = sections[title]
        queries = [line for block in re.findall(r"```promql\n(.*?)```", text, re.DOTALL) for line in block.split("\n")]
        plain = re.sub(r"^ *(?:-|\d+\.) ", ". ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
        leads = [" ".join(item.split()[:6]) for item in re.split(r"[.:;]\s", plain)]
        said = [item.strip() for item in queries if item.strip()] + [item for item in leads if item.count(" ") == 5]
        assert [item for item in said if said.count(item) > 1] == [], title


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_queries_of_dashboards_and_runbooks_parse(version, tmp_path):
    found = [filled(query) for query in [*queries(), *runbook_queries()]]
    assert len(found) > 100
    rules = [{"record": "query", "labels": {"number": str(place)}, "expr": query} for place, query in enumerate(found)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [tools(version) / "promtool", "check", "rules", path]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_limit_of_an_alert_is_drawn():
    def limits(text):
        return set(re.findall(r'ml:threshold:effective\{(signal="\w+",severity="\w+"(?:,window="\w+")?)', text))

    read = {limit for rule in ALERTS if rule["labels"]["layer"] != "meta" for limit in limits(rule["expr"])}
    assert read <= limits(" ".join(queries()))
