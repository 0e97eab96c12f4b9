"""A real Alertmanager with the generated configuration: grouping, muting, ladder, silences, heartbeat, foreign alerts.

Timers are divided by 60, so half an hour is half a minute and notifications leave after a second.
"""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from servers import WebhookReceiver, alertmanager, fetch, prometheus, tools, until

from ml_exporter import generate, packed
from ml_exporter.generate import Settings

PACK = packed.pack_dir()
VERSIONS = ("floor", "latest")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LADDER = [
    {"after": "30m", "role": "lead", "receivers": ["lead", "stakeholders"]},
    {"after": "1h", "role": "head", "receivers": "head"},
]
PAGE = {"alertname": "MLAccuracyLow", "severity": "critical", "layer": "outcome", "family": "quality", "tier": "1"}
NULLS = {"alertname": "MLFeatureNullRatioHigh", "severity": "critical", "layer": "data", "family": "nulls", "tier": "1"}
DRIFT = {"alertname": "MLFeatureDrift", "severity": "warning", "layer": "diagnostic", "family": "drift", "tier": "1"}


def a_day_off():
    """A day of the week that is neither today nor tomorrow, so that it is night here whenever the test runs."""
    return DAYS[(datetime.now(UTC).weekday() + 3) % 7]


@contextmanager
def running(version, folder, foreign=False):
    """Alertmanager with the generated configuration, and the receiver of all its webhooks."""
    with WebhookReceiver() as webhook:
        names = ("oncall", "channel", "lead", "head", "stakeholders", "night", "deadman")
        routing = {
            "default": {"pages": "oncall", "warnings": "channel", "office_hours": "always", "ladder": LADDER},
            "teams": {"search": {"warnings": "night", "office_hours": "day off"}},
            "tiers": {"3": {"wakes": False}},
            "office_hours": {
                "always": {"weekdays": ["sunday:saturday"], "start": "00:00", "end": "24:00"},
                "day off": {"weekdays": [a_day_off()], "start": "08:00", "end": "18:00"},
            },
            "heartbeat": "deadman",
            "receivers": {name: {"webhook": {"url": f"{webhook.url}/{name}"}} for name in names},
        }
        (folder / "routing.yaml").write_text(yaml.safe_dump(routing))
        settings = Settings(routing=folder / "routing.yaml", divide_durations=60)
        if foreign:
            other = {
                "route": {"receiver": "ops", "group_wait": "1s", "group_interval": "1s", "group_by": ["alertname"]},
                "receivers": [{"name": "ops", "webhook_configs": [{"url": f"{webhook.url}/ops"}]}],
            }
            (folder / "foreign.yaml").write_text(yaml.safe_dump(other))
            settings = Settings(**(vars(settings) | {"merge_into": folder / "foreign.yaml"}))
        text = generate.render(PACK, settings)["alertmanager.yaml"]
        with alertmanager(tools(version), text, folder) as manager:
            yield manager, webhook


def alert(labels, model="fraud", team="payments", **more):
    return {
        "labels": labels | {"model": model, "team": team} | more,
        "annotations": {"summary": "s", "description": "d", "runbook_url": "r", "dashboard_url": "b"},
        "endsAt": (datetime.now(UTC) + timedelta(minutes=10)).isoformat(),
    }


def names_of(notification):
    return sorted((item["labels"]["alertname"], item["labels"]["model"]) for item in notification.payload["alerts"])


def told(webhook, path):
    return [item for item in webhook.notifications if item.path == f"/{path}"]


def states(manager):
    """Return the state of each alert by its model and its step of the ladder."""
    labels = ((item["labels"], item["status"]["state"]) for item in manager.alerts())
    return {(found["model"], found.get("escalation", "")): state for found, state in labels}


def muted(manager):
    """Return name and severity of what is inhibited."""
    return {
        (item["labels"]["alertname"], item["labels"]["severity"])
        for item in manager.alerts()
        if item["status"]["inhibitedBy"]
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_one_page_for_one_incident(version, tmp_path):
    with running(version, tmp_path) as (manager, webhook):
        twin = alert(NULLS | {"severity": "warning"})
        manager.post([alert(NULLS), twin, alert(PAGE), alert(DRIFT), alert(DRIFT, model="churn")])
        page = webhook.wait_for(lambda item: item.path == "/oncall" and len(item.payload["alerts"]) == 2, 20)
        assert names_of(page) == [("MLAccuracyLow", "fraud"), ("MLFeatureNullRatioHigh", "fraud")]
        assert page.payload["groupLabels"] == {"model": "fraud", "team": "payments"}
        channel = webhook.wait_for(lambda item: item.path == "/channel", 20)
        # That of fraud is what broken data fakes, and its nulls page.
        assert names_of(channel) == [("MLFeatureDrift", "churn")]
        expected = {("MLFeatureDrift", "warning"), ("MLFeatureNullRatioHigh", "warning")}
        until(lambda: muted(manager) == expected, 10, "two alerts that are muted")
        assert len(told(webhook, "channel")) == 1
        assert manager.server.warnings() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_at_night_pages_and_escalations_come_and_warnings_wait(version, tmp_path):
    with running(version, tmp_path) as (manager, webhook):
        asleep = alert(PAGE, model="toy", team="search", tier="3")
        manager.post([alert(DRIFT, team="search"), asleep, alert(PAGE, team="search", escalation="1"), alert(PAGE)])
        first = webhook.wait_for(lambda item: item.path == "/lead", 20)
        assert names_of(first) == [("MLAccuracyLow", "fraud")]
        webhook.wait_for(lambda item: item.path == "/stakeholders", 20)
        webhook.wait_for(lambda item: item.path == "/oncall", 20)
        # The warning would have left after two seconds; the heartbeats prove that these have passed.
        for _ in range(6):
            manager.post([alert({"alertname": "MLWatchdog", "severity": "none"}, model="none")])
        webhook.wait_for(lambda item: item.path == "/deadman" and item.time > first.time + 4, 20)
        assert told(webhook, "night") == []
        assert {name for item in told(webhook, "oncall") for name in names_of(item)} == {("MLAccuracyLow", "fraud")}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_silence_made_from_the_page_acknowledges_it(version, tmp_path):
    with running(version, tmp_path) as (manager, webhook):
        base = alert(PAGE)
        matchers = [{"name": key, "value": text, "isRegex": False} for key, text in base["labels"].items()]
        now = datetime.now(UTC)
        silence = {
            "matchers": matchers,
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "on call",
            "comment": "I look at it",
        }
        fetch(f"{manager.server.url}/api/v2/silences", silence)
        manager.post([base, alert(PAGE, escalation="1"), alert(PAGE, model="churn", escalation="1")])
        webhook.wait_for(lambda item: item.path == "/lead", 20)
        expected = {("fraud", ""): "suppressed", ("fraud", "1"): "suppressed", ("churn", "1"): "active"}
        until(lambda: states(manager) == expected, 10, "two alerts that are silenced and one that is not")
        assert {name for item in told(webhook, "lead") for name in names_of(item)} == {("MLAccuracyLow", "churn")}
        assert told(webhook, "oncall") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_inside_a_foreign_configuration(version, tmp_path):
    with running(version, tmp_path, foreign=True) as (manager, webhook):
        foreign = {"labels": {"alertname": "DiskFull", "severity": "critical", "model": "fraud"}}
        manager.post([foreign, alert(NULLS), alert(DRIFT)])
        ops = webhook.wait_for(lambda item: item.path == "/ops", 20)
        assert names_of(ops) == [("DiskFull", "fraud")]
        page = webhook.wait_for(lambda item: item.path == "/oncall", 20)
        assert names_of(page) == [("MLFeatureNullRatioHigh", "fraud")]
        until(lambda: any(item["status"]["inhibitedBy"] for item in manager.alerts()), 10, "a muted alert")
        assert {item.path for item in webhook.notifications} == {"/ops", "/oncall"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_page_that_stays_open_climbs_the_ladder(version, tmp_path):
    """Rule of the page, generated rules of its escalation, Alertmanager: who is called, and not before their time."""
    with running("latest", tmp_path) as (manager, webhook):
        settings = Settings(routing=tmp_path / "routing.yaml", divide_durations=300)
        ladder = tmp_path / "escalation.yaml"
        ladder.write_text(generate.render(PACK, settings)["rules/ml-exporter-escalation.yaml"])
        labels = {"severity": "critical", "model": "fraud", "team": "payments", "tier": "1", "layer": "outcome"}
        rule = {"alert": "MLLatencyOverLimit", "expr": "vector(1)", "labels": labels}
        base = tmp_path / "base.yaml"
        base.write_text(json.dumps({"groups": [{"name": "base", "interval": "1s", "rules": [rule]}]}))
        config = {
            "global": {"evaluation_interval": "1s"},
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [manager.server.url.removeprefix("http://")]}]}]
            },
        }
        with prometheus(tools(version), config, tmp_path, [base, ladder]) as prom:
            page = webhook.wait_for(lambda item: item.path == "/oncall", 30)
            lead = webhook.wait_for(lambda item: item.path == "/lead", 60)
            (called,), (open_page,) = lead.payload["alerts"], page.payload["alerts"]
            began, escalated = (datetime.fromisoformat(item["startsAt"]) for item in (open_page, called))
            assert escalated - began >= timedelta(seconds=4)  # half an hour is six seconds, and one may be missing
            assert called["labels"] == labels | {"alertname": "MLLatencyOverLimit", "escalation": "1"}
            assert "Called now: lead (lead, stakeholders)" in called["annotations"]["description"]
            webhook.wait_for(lambda item: item.path == "/head", 60)
            rule["expr"] = "vector(1) < 0"
            base.write_text(json.dumps({"groups": [{"name": "base", "interval": "1s", "rules": [rule]}]}))
            prom.reload()
            webhook.wait_for(lambda item: item.path == "/lead" and item.payload["status"] == "resolved", 60)
