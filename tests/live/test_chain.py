"""An alert travels from Prometheus through Alertmanager to a webhook, and so does its end."""

from pathlib import Path

import pytest
import yaml
from servers import Notification, WebhookReceiver, alertmanager, prometheus, tools, until


def write_rule(path: Path, expression: str) -> Path:
    rule = {"alert": "MLTest", "expr": expression, "labels": {"severity": "critical"}}
    path.write_text(yaml.safe_dump({"groups": [{"name": "test", "interval": "1s", "rules": [rule]}]}))
    return path


def prometheus_config(alertmanager_url: str) -> dict:
    target = alertmanager_url.removeprefix("http://")
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [target]}]}]},
    }


def alertmanager_config(webhook_url: str) -> dict:
    return {
        "route": {"receiver": "page", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": "page", "webhook_configs": [{"url": f"{webhook_url}/page"}]}],
    }


def is_page(status: str):
    def accepts(notification: Notification) -> bool:
        return notification.path == "/page" and notification.payload["status"] == status

    return accepts


@pytest.mark.parametrize("alertmanager_version", ["floor", "latest"])
@pytest.mark.parametrize("prometheus_version", ["floor", "latest"])
def test_an_alert_is_delivered_and_resolves(prometheus_version, alertmanager_version, tmp_path):
    rules = write_rule(tmp_path / "rules.yml", "vector(1)")
    with (
        WebhookReceiver() as webhook,
        alertmanager(tools(alertmanager_version), alertmanager_config(webhook.url), tmp_path) as alerting,
        prometheus(tools(prometheus_version), prometheus_config(alerting.server.url), tmp_path, [rules]) as prom,
    ):
        delivered = webhook.wait_for(is_page("firing"), 60)
        assert delivered.payload["commonLabels"] == {"alertname": "MLTest", "severity": "critical"}
        assert [alert["state"] for alert in prom.alerts()] == ["firing"]
        assert [alert["status"]["state"] for alert in alerting.alerts()] == ["active"]
        # Prometheus tells Alertmanager before it writes its own samples.
        stored = until(lambda: prom.query("ALERTS"), 10, "the alert as a series")
        assert [sample.labels["alertstate"] for sample in stored] == ["firing"]

        write_rule(rules, "vector(1) < 0")
        prom.reload()
        resolved = webhook.wait_for(is_page("resolved"), 60)
        assert resolved.payload["alerts"][0]["labels"]["alertname"] == "MLTest"
        until(lambda: not prom.alerts(), 10, "no alert in Prometheus")
        assert {rule["health"] for rule in prom.rules()} == {"ok"}
        assert prom.server.warnings() == []
        assert alerting.server.warnings() == []
