"""Links from alerts to the exporter's own pages: only where its address is known, and right for any name."""

import json
import subprocess
from dataclasses import replace
from urllib.parse import parse_qs, quote_plus, urlsplit

import _jsonnet
import pytest
import yaml
from servers import tools

from ml_exporter import generate, packed
from ml_exporter.generate import Settings

PACK = packed.pack_dir()
URL = "https://ml.test/prefix"
SETTINGS = Settings(exporter_url=URL, runbook_url_pattern=f"{URL}/runbooks/%s")
NAMES = [
    "plain",
    "a b&c=d+e%2Ff",
    "../../etc/passwd?x#y;z",
    "<script>alert(1)</script>",
    'say "hi" it\'s \\ `now`',
    "{{ $labels.model }} {{ printf 1 }}",
    "two\nlines\ttab",
    "東京 é \U0001f6eb",
    "\u202eright to left\u2028",
    "javascript:alert(1)//%00%",
    "-_.~*'()!$,@:",
]


def alerts_of(settings):
    files = generate.render(PACK, settings)
    texts = (files["rules/ml-exporter-alerts.yaml"], files["rules/ml-exporter-escalation.yaml"])
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule], files


@pytest.fixture(scope="module")
def linked():
    """Return the alerts of an exporter whose address is known, and all generated files."""
    return alerts_of(SETTINGS)


def query(model, feature, window=""):
    """The query of a link, as Python encodes it."""
    given = {"model": model, "feature": feature, "window": window}
    return "&".join(f"{key}={quote_plus(text)}" for key, text in given.items() if text)


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_links_carry_any_name(version, linked, tmp_path):
    rule = next(rule for rule in linked[0] if rule["alert"] == "MLFeatureNullRatioHigh")
    links = {key: rule["annotations"][key] for key in ("runbook_url", "page_url")}
    group = {"name": "links", "rules": [{"alert": "Linked", "expr": "x", "annotations": links}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    series = [{"model": name, "feature": feature} for name in NAMES for feature in ("", name)]
    inputs, expected = [], []
    for place, labels in enumerate(series):
        window = ("1h", "")[place % 2]
        given = {key: text for key, text in (labels | {"window": window}).items() if text}
        inside = ",".join(f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in given.items())
        inputs.append({"series": f"x{{{inside}}}", "values": "1"})
        page, book = query(**labels), query(**labels, window=window)
        notes = {"page_url": f"{URL}/models?{page}", "runbook_url": f"{URL}/runbooks/MLFeatureNullRatioHigh?{book}"}
        expected.append({"exp_labels": given, "exp_annotations": notes})
        assert parse_qs(urlsplit(notes["runbook_url"]).query) == {key: [text] for key, text in given.items()}
    checks = [{"eval_time": "0m", "alertname": "Linked", "exp_alerts": expected}]
    suite = {"rule_files": ["rules.yaml"], "tests": [{"input_series": inputs, "alert_rule_test": checks}]}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite, allow_unicode=True))
    command = [tools(version) / "promtool", "test", "rules", tmp_path / "suite.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_about_a_model_leads_to_a_page_and_none_about_the_exporter(linked):
    layers = {rule["alert"]: rule["labels"]["layer"] for rule in linked[0] if "layer" in rule["labels"]}
    for rule in linked[0]:
        notes = rule["annotations"]
        about_a_model = layers[rule["alert"]] != "meta" and rule["alert"] != "MLModelMissing"
        assert (URL in notes.get("page_url", "")) == about_a_model, rule["alert"]
        # The runbook of a model that is missing is the exporter's too, but there are no numbers.
        assert ("?model=" in notes["runbook_url"]) == about_a_model, rule["alert"]
    shown = {rule["alert"]: rule["annotations"].get("page_url", "") for rule in linked[0]}
    assert shown["MLLabelsLate"].endswith("&page=labels")
    assert shown["MLOutlierExcess"].endswith("&page=outliers")
    assert "page=" not in shown["MLAccuracyLow"]


def test_an_escalation_links_as_its_alert_does(linked):
    by_name = {}
    for rule in linked[0]:
        by_name.setdefault(rule["alert"], set()).add(rule["annotations"].get("page_url"))
    assert all(len(found) == 1 for found in by_name.values())


WIKI = "https://wiki.test/runbooks/%s"
ALERT = """
local config = ((import '%s/rules/config.libsonnet') + { _config+:: %s })._config;
local alert = (import '%s/rules/lib/alert.libsonnet').model;
alert(config, 'MLFeatureDrift', 'warning', 'diagnostic', 'drift', 'x', 'S.', 'D').annotations
"""


@pytest.mark.parametrize(
    ("config", "pages", "parameters"),
    [
        ({}, False, False),
        ({"runbookURLPattern": WIKI}, False, False),
        ({"exporterURL": URL}, True, False),
        ({"exporterURL": URL, "runbookURLPattern": WIKI}, True, False),
        ({"exporterURL": URL, "runbookURLPattern": f"{URL}-2/runbooks/%s"}, True, False),
        ({"exporterURL": f"{URL}/", "runbookURLPattern": f"{URL}/runbooks/%s"}, True, True),
    ],
)
def test_links_lead_to_the_exporter_only_where_its_address_is_known(config, pages, parameters):
    notes = json.loads(_jsonnet.evaluate_snippet("alert", ALERT % (PACK, json.dumps(config), PACK)))
    assert ("page_url" in notes) == pages
    assert notes.get("page_url", "").startswith(f"{URL}/models?" if pages else "")
    assert ("?model=" in notes["runbook_url"]) == parameters


ALERTS = [
    {
        "alertname": "MLFeatureNullRatioHigh",
        "severity": "warning",
        "layer": "data",
        "page_url": f"{URL}/models?model=a+b",
    },
    {"alertname": "MLAccuracyLow", "severity": "critical", "layer": "outcome", "page_url": ""},
]


def alert_of(notes):
    """An alert as a template of Alertmanager gets it."""
    shown = {
        "description": '<b> & "d"',
        "runbook_url": f"{URL}/runbooks/x?a=b&c=d",
        "dashboard_url": "https://g.test/d/x",
    }
    shown |= {"page_url": notes["page_url"]} if notes["page_url"] else {}
    labels = {key: text for key, text in notes.items() if key != "page_url"}
    times = {"startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z"}
    return {"status": "firing", "labels": labels, "annotations": shown, **times}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    """Return the receiver that reaches somebody in every way that has a text."""
    routing = tmp_path_factory.mktemp("routing") / "routing.yaml"
    routing.write_text(
        "default: {pages: a, warnings: a}\n"
        "receivers: {a: {slack: {api_url_file: /s, channel: '#x'}, pagerduty: {routing_key_file: /k},\n"
        "                email: {to: a@x.test, from: b@x.test, smarthost: 'x.test:25'},\n"
        "                opsgenie: {api_key_file: /o}}}\n"
    )
    _, files = alerts_of(replace(SETTINGS, routing=routing))
    (found,) = [item for item in yaml.safe_load(files["alertmanager.yaml"])["receivers"] if item["name"] == "a"]
    return found


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_a_message_links_to_the_page_where_there_is_one(version, receiver, tmp_path):
    data = {"status": "firing", "groupLabels": {"model": "a b", "team": "red"}, "alerts": list(map(alert_of, ALERTS))}
    (tmp_path / "data.json").write_text(json.dumps(data | {"commonLabels": {"team": "red"}}))
    pager = receiver["pagerduty_configs"][0]
    texts = {
        "slack": receiver["slack_configs"][0]["text"],
        "email": receiver["email_configs"][0]["text"],
        "pagerduty": pager["details"]["alerts"],
        "opsgenie": receiver["opsgenie_configs"][0]["description"],
    }
    for kind, text in texts.items():
        command = [tools(version) / "amtool", "template", "render", "--template.glob=", f"--template.text={text}"]
        command.append(f"--template.data={tmp_path / 'data.json'}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        outcome, cause = done.stdout.index("MLAccuracyLow"), done.stdout.index("MLFeatureNullRatioHigh")
        assert outcome < cause, kind
        page = f"<{URL}/models?model=a+b|Page>" if kind == "slack" else f"Page: {URL}/models?model=a+b\n"
        assert page in done.stdout[cause:], kind
        assert "Page" not in done.stdout[:cause], kind
        assert done.stdout.count(f"{URL}/runbooks/x?a=b&c=d") == 2, kind
        assert '<b> & "d"' in done.stdout, kind
    assert [link["text"] for link in pager["links"]] == ["Runbook", "Dashboard"]


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_a_message_names_each_alert_once_and_says_what_has_ended(version, receiver, tmp_path):
    nulls, accuracy = map(alert_of, ALERTS)
    alerts = [nulls, nulls | {"status": "resolved"}, accuracy]
    data = {"status": "firing", "groupLabels": {"model": "a b", "team": "red"}, "alerts": alerts}
    (tmp_path / "data.json").write_text(json.dumps(data | {"commonLabels": {"team": "red"}}))
    slack = receiver["slack_configs"][0]
    said = {}
    for part in ("title", "text"):
        command = [
            tools(version) / "amtool",
            "template",
            "render",
            "--template.glob=",
            f"--template.text={slack[part]}",
        ]
        command.append(f"--template.data={tmp_path / 'data.json'}")
        said[part] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said["title"].strip() == "FIRING a b (red): MLFeatureNullRatioHigh, MLAccuracyLow"
    assert said["text"].count("*MLFeatureNullRatioHigh* (warning): ") == 1
    assert said["text"].count("*MLFeatureNullRatioHigh* (warning, resolved): ") == 1
