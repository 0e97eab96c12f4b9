"""Teams, tiers, office hours, ladders and receivers of routing.yaml under amtool, and what is refused of it."""

import json
import subprocess
from pathlib import Path

import pytest
import rjsonnet
import yaml
from servers import tools

from ml_exporter import generate, packed
from ml_exporter.errors import ConfigError, ExporterError
from ml_exporter.generate import Settings

PACK = packed.pack_dir()
VERSIONS = ("floor", "latest")
ROUTING = """
default:
  pages: oncall
  warnings: channel
  office_hours: utc
  ladder:
  - {after: 30m, role: lead, receivers: [lead, stakeholders]}
  - {after: 1h, role: head, receivers: head}
teams:
  payments: {pages: [pager, channel], escalation: receiver, office_hours: berlin}
  search: {ladder: []}
tiers:
  "1": {wakes: true}
  "3": {wakes: false}
office_hours:
  berlin: {weekdays: ['monday:friday'], start: '08:00', end: '18:00', location: Europe/Berlin}
  utc: {weekdays: ['monday:thursday', friday], start: '09:00', end: '17:00'}
heartbeat: oncall
receivers:
  oncall: {opsgenie: {api_key_file: /etc/alertmanager/secrets/ml/opsgenie, team: ml, api_url: 'https://api.eu.test/'}}
  channel: {slack: {channel: '#ml', api_url_file: /etc/alertmanager/secrets/ml/slack}}
  pager: {pagerduty: {routing_key_file: /etc/alertmanager/secrets/ml/pagerduty}}
  lead: {email: {to: a@x.test, from: b@x.test, smarthost: 'smtp.x.test:587', auth_username: b,
                 auth_password_file: /etc/alertmanager/secrets/ml/smtp, require_tls: true}}
  head: {webhook: {url: 'http://x.test/head', credentials_file: /etc/alertmanager/secrets/ml/token}}
  stakeholders: {webhook: {url: 'http://x.test/s'}}
"""
FOREIGN = """
global: {resolve_timeout: 7m}
route:
  receiver: ops
  group_by: [alertname]
  routes:
  - {receiver: dba, matchers: ['service="db"'], continue: true}
  - {receiver: night, matchers: ['severity="critical"'], active_time_intervals: [never]}
inhibit_rules:
- {source_matchers: ['alertname="DatacenterDown"'], target_matchers: ['severity="warning"'], equal: [site]}
receivers: [{name: ops}, {name: dba}, {name: night}]
time_intervals: [{name: never, time_intervals: [{years: ['2020']}]}]
"""
WARNING = {"alertname": "MLFeatureDrift", "severity": "warning", "model": "m", "tier": "1"}
PAGE = {"alertname": "MLAccuracyLow", "severity": "critical", "model": "m", "tier": "1"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The pack of the routing above, merged into a foreign configuration too, written to a folder."""
    folder = tmp_path_factory.mktemp("routing")
    (folder / "routing.yaml").write_text(ROUTING)
    (folder / "foreign.yaml").write_text(FOREIGN)
    made = generate.render(PACK, Settings(routing=folder / "routing.yaml"))
    both = generate.render(PACK, Settings(routing=folder / "routing.yaml", merge_into=folder / "foreign.yaml"))
    (folder / "whole.yaml").write_text(made["alertmanager.yaml"])
    (folder / "merged.yaml").write_text(both["alertmanager.yaml"])
    return folder


def amtool(version, *arguments):
    found = subprocess.run([tools(version) / "amtool", *arguments], capture_output=True, text=True, check=False)
    return found.returncode, found.stdout + found.stderr


def routed(version, path, labels):
    """The receivers of an alert. amtool warns on stderr that a file overrides its address."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = [tools(version) / "amtool", "config", "routes", "test", f"--config.file={path}", *pairs]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return [name for line in found.stdout.split() for name in line.split(",")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["whole", "merged"])
def test_the_configuration_is_valid(version, name, files):
    code, text = amtool(version, "check-config", files / f"{name}.yaml")
    assert code == 0, text


@pytest.mark.parametrize(("version", "name"), [("floor", "whole"), ("latest", "merged")])
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (PAGE | {"team": "payments"}, "pager+channel"),
        (PAGE | {"team": "payments", "tier": "3"}, "pager+channel"),
        (PAGE | {"team": "search"}, "oncall"),
        (PAGE | {"team": "other"}, "oncall"),
        (PAGE | {"team": "other", "escalation": "1"}, "lead+stakeholders"),
        (PAGE | {"team": "other", "escalation": "2"}, "head"),
        (PAGE | {"team": "other", "tier": "3", "escalation": "2"}, "head"),
        (WARNING | {"team": "payments"}, "channel"),
        (WARNING | {"team": "other"}, "channel"),
        ({"alertname": "MLWatchdog", "severity": "none", "model": "none"}, "oncall"),
        (PAGE | {"team": "other", "severity": "info"}, "nobody"),
    ],
)
def test_our_alerts_go_where_routing_says(version, name, labels, receiver, files):
    assert routed(version, files / f"{name}.yaml", labels) == [receiver]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": "DiskFull", "severity": "critical"},
        {"alertname": "SlowQuery", "severity": "warning", "service": "db"},
        {"alertname": "SlowQuery", "severity": "critical", "service": "db", "model": "m", "team": "payments"},
        {"alertname": "Anything"},
    ],
)
def test_foreign_alerts_go_where_they_went(version, labels, files):
    assert routed(version, files / "merged.yaml", labels) == routed(version, files / "foreign.yaml", labels)


def test_a_merge_keeps_all_that_was_there(files):
    before, after = (yaml.safe_load((files / f"{name}.yaml").read_text()) for name in ("foreign", "merged"))
    assert after["global"] == before["global"]
    assert after["route"] | {"routes": after["route"]["routes"][1:]} == before["route"]
    for key in ("receivers", "inhibit_rules", "time_intervals"):
        assert after[key][: len(before[key])] == before[key]
    for rule in after["inhibit_rules"][1:]:
        assert "model" in rule.get("equal", ()) or "MLExporterDown" in rule["source_matchers"][0]


def test_a_second_merge_is_refused_by_name(files):
    with pytest.raises(ConfigError) as caught:
        generate.render(PACK, Settings(routing=files / "routing.yaml", merge_into=files / "merged.yaml"))
    assert f"{files / 'merged.yaml'} receivers: expected names that routing.yaml does not use, got 'oncall'." in str(
        caught.value
    )
    assert str(caught.value).count("\n") > 5, "all of them at once"


@pytest.mark.parametrize(
    ("text", "message"),
    [("[]", "expected an Alertmanager configuration with a `route`"), ("a: [", "expected a YAML document"), (None, "")],
)
def test_what_cannot_be_merged_into_is_said(text, message, tmp_path):
    path = tmp_path / "other.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"other\.yaml: expected") as caught:
        generate.render(PACK, Settings(merge_into=path))
    assert message in str(caught.value)


def ours(files):
    (route,) = yaml.safe_load((files / "whole.yaml").read_text())["route"]["routes"]
    return route["routes"]


def test_only_warnings_and_sleeping_tiers_wait_for_office_hours(files):
    for route in ours(files):
        hours = route.get("active_time_intervals")
        if 'severity="warning"' in route["matchers"]:
            assert hours == ["berlin" if 'team="payments"' in route["matchers"] else "utc"]
        elif 'tier=~"3"' in route["matchers"]:
            assert hours
        else:
            assert hours is None


def test_a_rung_is_called_at_once(files):
    rungs = [route for route in ours(files) if any(item.startswith('escalation="') for item in route["matchers"])]
    waits = {route["group_wait"] for route in rungs if 'escalation=""' not in route["matchers"]}
    assert waits == {"0s"}


def test_no_secret_is_in_the_result_and_outcomes_come_first(files):
    text = (files / "whole.yaml").read_text()
    receivers = {item["name"]: item for item in yaml.safe_load(text)["receivers"]}
    pager = receivers["pager+channel"]
    assert set(pager) == {"name", "pagerduty_configs", "slack_configs"}
    assert pager["pagerduty_configs"][0]["routing_key_file"] == "/etc/alertmanager/secrets/ml/pagerduty"
    for message in (pager["slack_configs"][0]["text"], receivers["lead"]["email_configs"][0]["text"]):
        assert message.index('eq .Labels.layer "outcome"') < message.index('ne .Labels.layer "outcome"')
        assert "runbook_url" in message


BASE = "default: {pages: a, warnings: a%s}\nreceivers: {a: {webhook: {url: 'http://x.test'}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE % ", escalation: receiver", "expected a pagerduty or opsgenie among the pages of default"),
        (BASE % ", office_hours: mars", "expected a name of office hours (none), got mars"),
        (
            BASE % ", ladder: [{after: 1h, role: r, receivers: a}, {after: 30m, role: r, receivers: a}]",
            "each later than the one before, got 30m after 1h",
        ),
        (BASE % ", ladder: [{after: 30m, role: r, receivers: b}]", "expected a receiver (a), got b"),
        (BASE % ", ladder: [{after: soon, role: r, receivers: a}]", "expected a duration like"),
        (BASE % "" + "tiers: {'3': {wakes: false}}", "expected office hours of default, because tier 3"),
        (
            BASE % "" + "office_hours: {h: {weekdays: [monday], start: '18:00', end: '08:00'}}",
            "Expected `start` before `end`",
        ),
        *(
            (
                BASE % "" + f"office_hours: {{h: {{weekdays: ['{days}'], start: '08:00', end: '18:00'}}}}",
                f"got '{days}'",
            )
            for days in ("monday:sunday", "mon", "monday:tuesday:friday", "")
        ),
        (
            "default: {pages: a, warnings: a}\nreceivers: {a: {webhook: {url_file: /x}}}",
            "expected an Alertmanager of 0.26 or later for `url_file` in the webhook of receiver a, got 0.25.",
        ),
        (
            "default: {pages: a, warnings: a}\nreceivers: {a: {webhook: {}}}",
            "in the webhook of receiver a, got neither",
        ),
        (
            "default: {pages: a, warnings: a}\nreceivers: {a: {pagerduty: {routing_key: x}}}",
            "name one as `routing_key_file`.",
        ),
        (BASE % "" + "alertmanager: newest", "Expected `str` matching regex"),
    ],
)
def test_what_routing_cannot_mean_is_refused(text, message, tmp_path):
    path = tmp_path / "routing.yaml"
    path.write_text(text)
    with pytest.raises(ExporterError) as caught:
        generate.render(PACK, Settings(routing=path))
    assert message in str(caught.value)


def test_a_newer_alertmanager_reads_the_address_of_a_webhook_from_a_file(tmp_path):
    path = tmp_path / "routing.yaml"
    path.write_text(
        "default: {pages: a, warnings: a}\nalertmanager: '0.26'\nreceivers: {a: {webhook: {url_file: /run/url}}}"
    )
    text = generate.render(PACK, Settings(routing=path))["alertmanager.yaml"]
    (tmp_path / "am.yaml").write_text(text)
    code, said = amtool("latest", "check-config", tmp_path / "am.yaml")
    assert code == 0, said


def resources_of(folder, text):
    path = folder / "operator.yaml"
    path.write_text(text)
    made = generate.render(PACK, Settings(routing=path, operator_namespace="ml"))
    return {Path(name).stem: yaml.safe_load(item) for name, item in made.items() if name.startswith("operator-")}


@pytest.fixture(scope="module")
def resources(tmp_path_factory):
    return resources_of(tmp_path_factory.mktemp("operator"), ROUTING.replace("Europe/Berlin", "UTC"))


def test_the_operator_gets_the_same_rules_with_the_label_of_its_namespace(resources, tmp_path):
    found = resources
    assert set(found) == {
        "operator-alertmanagerconfig",
        "operator-prometheusrule-alerts",
        "operator-prometheusrule-rules",
    }
    for name, item in found.items():
        assert item["metadata"]["namespace"] == "ml"
        assert item["apiVersion"].startswith("monitoring.coreos.com/")
        if item["kind"] == "PrometheusRule":
            path = tmp_path / f"{name}.yaml"
            path.write_text(yaml.safe_dump(item["spec"]))
            command = [tools("floor") / "promtool", "check", "rules", path]
            checked = subprocess.run(command, capture_output=True, text=True, check=False)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            rules = [rule for group in item["spec"]["groups"] for rule in group["rules"]]
            assert {rule["labels"].get("namespace") for rule in rules if "alert" in rule} <= {"ml"}


def test_the_operators_route_is_ours_with_secrets_by_name(resources):
    spec = resources["operator-alertmanagerconfig"]["spec"]
    assert spec["route"]["matchers"] == [{"name": "alertname", "matchType": "=~", "value": "ML.+"}]
    first = spec["route"]["routes"][0]
    assert first["groupInterval"] == "1m"
    by_name = {item["name"]: item for item in spec["receivers"]}
    assert by_name["pager"]["pagerdutyConfigs"][0]["routingKey"] == {"name": "ml", "key": "pagerduty"}
    assert by_name["lead"]["emailConfigs"][0]["authPassword"] == {"name": "ml", "key": "smtp"}
    assert by_name["oncall"]["opsgenieConfigs"][0]["apiKey"] == {"name": "ml", "key": "opsgenie"}
    credentials = by_name["head"]["webhookConfigs"][0]["httpConfig"]["authorization"]["credentials"]
    assert credentials == {"name": "ml", "key": "token"}
    assert spec["inhibitRules"][0]["sourceMatch"][0]["matchType"] == "=~"
    assert {item["name"] for item in spec["muteTimeIntervals"]} == {"berlin", "utc"}
    assert "_" not in "".join(key for key in _keys(spec) if key.isidentifier())


def _keys(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROUTING, "expected office hours in UTC for the operator, whose resources know no location, got berlin"),
        (
            ROUTING.replace("Europe/Berlin", "UTC").replace("/etc/alertmanager/secrets/ml/token", "/run/token"),
            "expected credentials_file like /etc/alertmanager/secrets/<secret>/<key> for the operator, got /run/token",
        ),
    ],
)
def test_what_the_operator_cannot_express_is_refused(text, message, tmp_path):
    with pytest.raises(ExporterError) as caught:
        resources_of(tmp_path, text)
    assert message in str(caught.value)


def test_the_mixin_gives_the_same_resources():
    snippet = (
        f"((import '{PACK}/rules/mixin.libsonnet') + {{ _config+:: {{ operatorNamespace: 'monitoring' }} }})"
        ".operator.alertmanagerconfig"
    )
    committed = (PACK / "rules" / "out" / "operator-alertmanagerconfig.yaml").read_text()
    assert json.loads(rjsonnet.evaluate_snippet("x", snippet)) == yaml.safe_load(committed)
