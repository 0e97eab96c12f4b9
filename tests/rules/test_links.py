"""Links from alerts to the exporter's own pages: only where its address is known, and right for any name."""

import json
import subprocess
from dataclasses import replace
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
import yaml
from servers import tools

from ml_exporter import generate
from ml_exporter.generate import Settings

PACK = generate.pack_dir()
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


@pytest.mark.parametrize(
    ("settings", "pages", "parameters"),
    [
        (Settings(), False, False),
        (Settings(runbook_url_pattern="https://wiki.test/runbooks/%s"), False, False),
        (Settings(exporter_url=URL), True, False),
        (Settings(exporter_url=URL, runbook_url_pattern="https://wiki.test/runbooks/%s"), True, False),
        (Settings(exporter_url=URL, runbook_url_pattern=f"{URL}-2/runbooks/%s"), True, False),
        (replace(SETTINGS, exporter_url=URL + "/"), True, True),
    ],
)
def test_links_lead_to_the_exporter_only_where_its_address_is_known(settings, pages, parameters):
    alerts, _ = alerts_of(settings)
    notes = next(rule["annotations"] for rule in alerts if rule["alert"] == "MLFeatureDrift")
    assert ("page_url" in notes) == pages
    assert notes.get("page_url", "").startswith(f"{URL}/models?" if pages else "")
    assert ("?model=" in notes["runbook_url"]) == parameters


def test_notifications_show_the_page_where_there_is_one(tmp_path):
    routing = tmp_path / "routing.yaml"
    routing.write_text(
        "default: {pages: a, warnings: a}\n"
        "receivers: {a: {slack: {api_url_file: /s, channel: '#x'}, pagerduty: {routing_key_file: /k},\n"
        "                email: {to: a@x.test, from: b@x.test, smarthost: 'x.test:25'}}}\n"
    )
    _, files = alerts_of(replace(SETTINGS, routing=routing))
    (receiver,) = [item for item in yaml.safe_load(files["alertmanager.yaml"])["receivers"] if item["name"] == "a"]
    page = "{{ with .Annotations.page_url }}"
    assert page in receiver["slack_configs"][0]["text"]
    assert page in receiver["email_configs"][0]["text"]
    assert page in receiver["pagerduty_configs"][0]["details"]["alerts"]
