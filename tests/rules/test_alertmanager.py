"""The Alertmanager configuration under amtool, oldest and newest: it is valid, and routes as routing.yaml says."""

import re
import subprocess
from dataclasses import replace

import pytest
import yaml
from servers import tools

from ml_exporter import drilling, generate, packed
from ml_exporter.drilling.alerts import Span
from ml_exporter.errors import ExporterError
from ml_exporter.generate import Settings

PACK = packed.pack_dir()
VERSIONS = ("floor", "latest")
ROUTING = """
default: {pages: oncall, warnings: channel}
teams:
  payments: {pages: payments-oncall, warnings: payments-channel}
heartbeat: deadman
receivers:
  oncall:
    webhook: {url: 'http://hooks.test/ml', credentials_file: /etc/secrets/token}
    email: {to: a@example.test, from: b@example.test, smarthost: 'smtp.example.test:587', auth_username: b,
            auth_password_file: /etc/secrets/smtp}
  channel:
    slack: {channel: '#ml', api_url_file: /etc/secrets/slack}
  payments-oncall: {webhook: {url: 'http://hooks.test/p'}}
  payments-channel: {webhook: {url: 'http://hooks.test/c'}}
  deadman: {webhook: {url: 'http://hooks.test/d'}}
"""


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    """The path of a configuration made from the routing above, which lies beside it."""
    folder = tmp_path_factory.mktemp("routed")
    source = folder / "routing.yaml"
    source.write_text(ROUTING)
    path = folder / "alertmanager.yaml"
    path.write_text(generate.render(PACK, Settings(routing=source))["alertmanager.yaml"])
    return path


def amtool(version, *arguments):
    command = [tools(version) / "amtool", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_committed_configuration_is_valid(version):
    found = amtool(version, "check-config", PACK / "rules" / "out" / "alertmanager.yaml")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_a_configuration_with_every_kind_of_receiver_is_valid(version, routed):
    found = amtool(version, "check-config", routed)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (
            {"alertname": "MLAccuracyLow", "severity": "critical", "team": "payments", "model": "fraud"},
            "payments-oncall",
        ),
        (
            {"alertname": "MLAccuracyLow", "severity": "warning", "team": "payments", "model": "fraud"},
            "payments-channel",
        ),
        ({"alertname": "MLAccuracyLow", "severity": "critical", "team": "other", "model": "churn"}, "oncall"),
        ({"alertname": "MLFeatureDrift", "severity": "warning", "team": "other", "model": "churn"}, "channel"),
        ({"alertname": "MLExporterDown", "severity": "critical", "team": "ml-platform", "model": "none"}, "oncall"),
        ({"alertname": "MLFeatureDrift", "severity": "info", "team": "payments", "model": "fraud"}, "nobody"),
        ({"alertname": "MLWatchdog", "severity": "none", "team": "ml-platform", "model": "none"}, "deadman"),
        ({"alertname": "KubePodCrashLooping", "severity": "critical", "team": "payments"}, "channel"),
    ],
)
def test_routes(version, routed, labels, receiver):
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = ["config", "routes", "test", f"--config.file={routed}", f"--verify.receivers={receiver}"]
    found = amtool(version, *command, *pairs)
    assert found.returncode == 0, found.stdout + found.stderr


def test_pages_of_a_model_are_one_notification(routed):
    (ours,) = yaml.safe_load(routed.read_text())["route"]["routes"]
    assert ours["group_by"] == ["model", "team"]
    assert not any("group_by" in route or "continue" in route for route in ours["routes"])


def test_an_inhibition_touches_only_our_alerts_and_compares_labels_that_all_of_them_have(routed):
    alerts = [
        rule
        for group in yaml.safe_load((PACK / "rules" / "out" / "ml-exporter-alerts.yaml").read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    twins, data, quality, exporter = yaml.safe_load(routed.read_text())["inhibit_rules"]
    assert twins["source_matchers"] == ['alertname=~"ML.+"', 'severity="critical"']
    assert twins["target_matchers"] == ['alertname=~"ML.+"', 'severity="warning"']
    assert {"alertname", "model"} < set(twins["equal"])
    for rule in (data, quality):
        for side in ("source_matchers", "target_matchers"):
            assert 'alertname=~"ML.+"' in rule[side]
        assert 'severity="critical"' in rule["source_matchers"]
        assert 'layer="diagnostic"' in rule["target_matchers"]
        assert rule["equal"] == ["model"]
    assert 'layer="data"' in data["source_matchers"]
    assert 'family="quality"' in quality["source_matchers"]
    # The last names alerts on both sides, which exist; what pages is muted by none.
    named = {name for side in exporter.values() for name in re.findall(r"ML\w+", str(side))}
    assert named <= {alert["alert"] for alert in alerts}
    pages = {alert["alert"] for alert in alerts if alert["labels"]["severity"] == "critical"}
    assert not pages & set(re.findall(r"ML\w+", str(exporter["target_matchers"])))
    assert all(
        alert["labels"]["layer"] != "diagnostic" for alert in alerts if alert["labels"]["severity"] == "critical"
    )
    # Every alert has the label: on its own, from its owner, or from the list of expected models.
    for alert in alerts:
        has = "model" in alert["labels"] or "on (model) group_left (team, tier)" in alert["expr"]
        assert has or alert["alert"] == "MLModelMissing"


def fires(name, severity, **labels):
    """An alert that fires from the beginning on."""
    both = {"alertname": name, "severity": severity, "team": "t", "tier": "1", "model": "m"} | labels
    return drilling.Alert(tuple(sorted(both.items())), (), (Span(0, None),))


def test_what_pages_mutes_its_own_warning_and_no_other(routed):
    """Every label that both have and that tells their series apart is compared; a rung of the ladder mutes no page."""
    inhibitions = drilling.Inhibitions.parse(yaml.safe_load(routed.read_text()))
    page = fires("MLFeatureNullRatioHigh", "critical", layer="data", feature="a")
    rung = fires("MLFeatureNullRatioHigh", "critical", layer="data", feature="a", escalation="1")
    schema = fires("MLSchemaViolations", "critical", layer="data", kind="type")
    refused = fires("MLRowsRejected", "critical", layer="meta", model="none", source="a")
    all_of_them = [page, rung, schema, refused]

    def muted(*labels, **more):
        return inhibitions.muted_by(fires(*labels, **more), all_of_them, 0) is not None

    assert muted("MLFeatureNullRatioHigh", "warning", layer="data", feature="a")
    assert not muted("MLFeatureNullRatioHigh", "warning", layer="data", feature="b")
    assert not muted("MLFeatureNullRatioHigh", "warning", layer="data", feature="a", model="other")
    assert not muted("MLFeatureInvalidHigh", "warning", layer="data", feature="a")
    assert muted("MLSchemaViolations", "warning", layer="data", kind="type")
    assert not muted("MLSchemaViolations", "warning", layer="data", kind="column")
    assert muted("MLRowsRejected", "warning", layer="meta", model="none", source="a")
    assert not muted("MLRowsRejected", "warning", layer="meta", model="none", source="b")
    assert not any(inhibitions.muted_by(item, all_of_them, 0) for item in all_of_them)


def test_the_heartbeat_repeats_before_its_interval_is_over(routed):
    (ours,) = yaml.safe_load(routed.read_text())["route"]["routes"]
    heartbeat = next(route for route in ours["routes"] if route["receiver"] == "deadman")
    assert (heartbeat["group_interval"], heartbeat["repeat_interval"]) == ("1m", "50s")


def test_a_webhook_for_everything(routed):
    settings = Settings(routing=routed.with_name("routing.yaml"))
    text = generate.render(PACK, replace(settings, webhook_url="http://127.0.0.1:1/"))["alertmanager.yaml"]
    receivers = [item for item in yaml.safe_load(text)["receivers"] if item["name"] != "nobody"]
    assert len(receivers) == 5
    for item in receivers:
        assert item == {
            "name": item["name"],
            "webhook_configs": [{"send_resolved": True, "url": "http://127.0.0.1:1/"}],
        }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{default: {pages: a, warnings: b}, receivers: {a: {webhook: {url: u}}}}", "expected a receiver (a), got b"),
        (
            "{default: {pages: a, warnings: a}, teams: {t: {pages: c, warnings: a}},"
            " receivers: {a: {webhook: {url: u}}}}",
            "expected a receiver (a), got c",
        ),
        ("{default: {pages: a, warnings: a}, heartbeat: h, receivers: {a: {webhook: {url: u}}}}", "got h"),
        (
            "{default: {pages: a, warnings: a}, receivers: {a: {}}}",
            "expected a webhook, slack, email, pagerduty or opsgenie in receiver a, got nothing",
        ),
        ("{default: {pages: a, warnings: a}, receivers: {a: {pager: {}}}}", "unknown field `pager`"),
        (
            "{default: {pages: a, warnings: a}, receivers: {a: {slack: {channel: c}}}}",
            "missing required field `api_url_file`",
        ),
        ("{receivers: {}}", "missing required field `default`"),
    ],
)
def test_a_wrong_routing_file_is_refused(tmp_path, text, message):
    path = tmp_path / "routing.yaml"
    path.write_text(text)
    with pytest.raises(ExporterError) as caught:
        generate.render(PACK, Settings(routing=path))
    assert message in str(caught.value)
