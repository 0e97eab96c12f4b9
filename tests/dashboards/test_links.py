"""Every link leads somewhere: from alerts and runbooks to dashboards, from panels and values to other dashboards."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from boards import BOARDS, all_panels, panels

ROOT = Path(__file__).parents[2]
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "rules/out/ml-exporter-alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
LIMIT = re.compile(r'ml:threshold:effective\{(signal="\w+",severity="\w+"(?:,window="\w+")?)')
alerts = pytest.mark.parametrize(
    "rule", ALERTS, ids=[f"{rule['alert']}-{rule['labels']['severity']}" for rule in ALERTS]
)
PANELS = all_panels()
each_panel = pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board['uid']}-{panel['title']}" for board, panel in PANELS]
)


def variables(board):
    return {item["name"] for item in board["templating"]["list"]}


def resolve(url):
    """The dashboard that an address leads to, and the names of the variables that it sets."""
    address = urlsplit(url)
    board = BOARDS[re.fullmatch(r"/d/([\w-]+)", address.path)[1]]
    asked = {name.removeprefix("var-") for name, _ in parse_qsl(address.query) if name.startswith("var-")}
    asked |= set(re.findall(r"\$\{(\w+):queryparam\}", address.query))
    assert asked <= variables(board), url
    return board, asked


def rendered(url, labels):
    """The text of an annotation, as Prometheus fills it in; every value is `x`."""
    url = re.sub(r"{{ with \$labels\.(\w+) }}(.*?){{ end }}", lambda at: at[2] if at[1] in labels else "", url)
    url = re.sub(r"{{ (?:\$labels\.(\w+)|\.) \| urlquery }}", "x", url)
    assert "{{" not in url
    return url


@alerts
def test_an_alert_leads_to_a_dashboard_that_draws_its_limit(rule):
    url = rendered(rule["annotations"]["dashboard_url"], {"model", "feature", "segment_by", "segment", "source"})
    board, asked = resolve(url)
    assert ("model" in asked) == (rule["labels"]["layer"] != "meta" and "model" in variables(board))
    query = dict(parse_qsl(urlsplit(url).query))
    day = 'window="1d"' in rule["expr"]
    assert (query["from"], query["to"]) == ("now-7d" if day else "now-24h", "now")
    drawn = set(LIMIT.findall(" ".join(target["expr"] for panel in panels(board) for target in panel["targets"])))
    assert set(LIMIT.findall(rule["expr"])) <= drawn


@alerts
def test_an_alert_of_a_feature_names_it_and_the_others_do_not(rule):
    url = rule["annotations"]["dashboard_url"]
    one = rule["labels"]["family"] in {"nulls", "values"}
    assert ("var-feature" in url) == one
    if one:
        assert "/d/ml-features?" in url
    assert "var-feature" not in rendered(url, {"model"})


@each_panel
def test_a_panel_leads_onward_and_keeps_model_and_time(board, panel):
    assert panel["links"]
    for link in panel["links"]:
        assert link["title"]
        assert link["targetBlank"] is False
        target, asked = resolve(link["url"])
        assert target is not board, "a link to where one is"
        assert "datasource" in asked
        assert link["url"].endswith("${__url_time_range}")
        if "model" in variables(board) & variables(target):
            assert "model" in asked


@each_panel
def test_values_lead_onward_and_keep_time(board, panel):
    found = list(panel["fieldConfig"]["defaults"].get("links", ()))
    for item in panel["fieldConfig"]["overrides"]:
        found += [link for look in item["properties"] if look["id"] == "links" for link in look["value"]]
    for link in found:
        target, asked = resolve(re.sub(r"\$\{__(data\.fields|field\.labels)\.\w+:percentencode\}", "x", link["url"]))
        assert link["url"].endswith("${__url_time_range}")
        assert "datasource" in asked
        if {"model", "feature"} <= variables(target):
            assert "model" in asked
        kind = "data.fields" if panel["type"] == "table" else "field.labels"
        for name, label in re.findall(rf"var-(\w+)=\$\{{__{kind}\.(\w+):percentencode\}}", link["url"]):
            assert name == label
            given = " ".join(f"{target['expr']} {target['legendFormat']}" for target in panel["targets"])
            assert re.search(rf"\b{label}\b", given), "no series has the label"
        assert re.search(r"__(data|field)\.", link["url"])


def test_every_dashboard_can_be_reached_from_the_overview():
    reached, new = set(), {"ml-overview"}
    while new:
        reached |= new
        text = " ".join(str(BOARDS[uid]["panels"]) for uid in new)
        new = set(re.findall(r"/d/([\w-]+)\?", text)) - reached
    assert reached == set(BOARDS)


@alerts
def test_a_runbook_names_the_dashboard_of_its_alert(rule):
    text = (ROOT / "runbooks" / f"{rule['alert']}.md").read_text()
    (uid,) = re.findall(r"opens the dashboard `([\w-]+)`", text)
    assert BOARDS[uid] is resolve(rendered(rule["annotations"]["dashboard_url"], {"model"}))[0]
    assert set(re.findall(r"/d/([\w-]+)", text)) <= set(BOARDS)
