"""A live drill through a real chain, from exporter to webhook, and what it says when a link is cut."""

import json
import re
import subprocess
from contextlib import contextmanager

import pytest
import yaml
from servers import alertmanager, free_port, prometheus, tools, until
from tests.serve import service

from ml_exporter import generate, packed
from ml_exporter.drilling import Alert, Inhibitions, Span
from ml_exporter.generate import Settings

FACTOR = 600.0
"""Alerts wait for a six-hundredth of their time; windows are those of `service`, where an hour takes a minute."""
DRILL = [*service.COMMAND[:3], "drill", "--live", "--model", "drill", "--interval", "1s", "--rows", "20"]


@contextmanager
def chain(folder, port, version="latest", rules=True):
    """Run the chain around a drill model whose pages go to a webhook; yields the options of a live drill."""
    document = service.config("drill")
    document["models"]["drill"] |= {"team": "drill"}
    del document["models"]["drill"]["labels"]
    settings = document["models"]["drill"]
    artefact = service.make_artefact(folder, {**settings, "predictions": service.model("any")["predictions"]})
    service.write_baselines(folder, artefact, ["drill"])
    path = service.write_config(folder, document)
    (folder / "drill.jsonl").touch()
    hook = {"webhook": {"url": f"http://127.0.0.1:{port}/"}}
    routing = {
        "default": {"pages": "other", "warnings": "other"},
        "teams": {"drill": {"pages": "drill", "warnings": "other"}},
    }
    routing["receivers"] = {"drill": hook, "other": {"webhook": {"url": f"http://127.0.0.1:{free_port()}/"}}}
    (folder / "routing.yaml").write_text(yaml.safe_dump(routing))
    pack = generate.render(
        packed.pack_dir(), Settings(job="ml-exporter", routing=folder / "routing.yaml", divide_durations=FACTOR)
    )
    generate.write(folder / "pack", pack)
    found = sorted((folder / "pack" / "rules").glob("*.yaml")) if rules else []
    with service.serve(path) as exporter, alertmanager(tools(version), pack["alertmanager.yaml"], folder) as manager:
        targets = {"ml-exporter": exporter.server.url, "am": manager.server.url}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [targets["am"].removeprefix("http://")]}]}]},
            "scrape_configs": [
                {
                    "job_name": "ml-exporter",
                    "static_configs": [{"targets": [targets["ml-exporter"].removeprefix("http://")]}],
                }
            ],
        }
        with prometheus(tools(version), config, folder, found) as prom:
            yield [
                *DRILL, "--config", path, "--prometheus", prom.server.url, "--alertmanager", manager.server.url,
            ], manager  # fmt: skip


def drilled(options, *more):
    return subprocess.run([*options, *more], capture_output=True, text=True, check=False)


def test_the_notification_of_a_drill_arrives_and_so_does_its_end(tmp_path):
    port = free_port()
    with chain(tmp_path, port) as (options, _):
        done = drilled(options, "--listen", f"127.0.0.1:{port}", "--timeout", "300s")
    assert (done.returncode, done.stderr) == (0, "")
    steps = [line.partition(" s  ")[2] or line.strip() for line in done.stdout.splitlines()]
    assert steps == [
        "the marked predictions in Prometheus",
        "MLFeatureNullRatioHigh firing in Prometheus",
        "the alert in Alertmanager",
        "it goes to drill",
        "the notification",
        "the end of the alert in Prometheus, after clean predictions",
        "the notification of its end",
    ]
    rows = [json.loads(line) for line in (tmp_path / "drill.jsonl").read_text().splitlines()]
    assert {row["version"] for row in rows} == {"drill"}
    assert all(row["id"].startswith("drill-") for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert rows[0]["features"] == {"temp": None, "carrier": rows[0]["features"]["carrier"]}
    assert rows[-1]["features"]["temp"] is not None


def test_a_receiver_that_does_not_answer_is_noticed(tmp_path):
    with chain(tmp_path, free_port()) as (options, _):
        done = drilled(options, "--timeout", "300s", "--until-notified")
    assert done.returncode == 1
    assert re.fullmatch(
        r"live drill: expected a notification, got \d+ that failed\. See Alertmanager's log\.\n", done.stderr
    )


def test_missing_rules_are_noticed(tmp_path):
    with chain(tmp_path, free_port(), rules=False) as (options, _):
        for seconds in (15, 60, 240):  # a slow machine needs more for the first step alone
            done = drilled(options, "--timeout", f"{seconds}s")
            if "the marked predictions in Prometheus" in done.stdout:
                break
    assert done.returncode == 1
    assert "the marked predictions in Prometheus" in done.stdout, done.stderr
    assert done.stderr == (
        f"live drill: expected MLFeatureNullRatioHigh firing in Prometheus within {seconds} s, got none. "
        "Check that Prometheus has loaded the generated rules.\n"
    )


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_inhibitions_are_computed_as_alertmanager_does(version, tmp_path):
    """Every pair of layers, severities and models: what the offline drill calls muted is what Alertmanager mutes."""
    pack = generate.render(packed.pack_dir(), Settings())["alertmanager.yaml"]
    rules = Inhibitions.parse(yaml.safe_load(pack))
    found = [
        {"alertname": f"ML{layer.title()}{severity.title()}{model.title()}", "layer": layer, "severity": severity,
         "model": model, "family": layer, "team": "t", "tier": "1"}
        for layer in ("outcome", "data", "diagnostic", "freshness", "meta")
        for severity in ("warning", "critical")
        for model in (("none",) if layer == "meta" else ("a", "b") if severity == "warning" else ("a",))
    ]  # fmt: skip
    alerts = [Alert(tuple(sorted(labels.items())), (), (Span(0, None),)) for labels in found]
    for source in alerts:
        if source.label("severity") != "critical":
            continue
        folder = tmp_path / source.name
        folder.mkdir()
        together = [source, *(alert for alert in alerts if alert.label("severity") == "warning")]
        with alertmanager(tools(version), pack, folder) as manager:
            manager.post([{"labels": dict(alert.labels)} for alert in together])
            until(lambda: len(manager.alerts()) == len(together), 10, "all alerts")  # noqa: B023
            muted = until(lambda: settled(manager, len(together)), 10, "states")  # noqa: B023
        expected = {alert.name for alert in together if rules.muted_by(alert, together, 1)}
        assert muted["names"] == expected, source.name


def settled(manager, count):
    """Names of inhibited alerts, once every alert went through its route."""
    found = manager.alerts()
    if len(found) < count or any(item["status"]["state"] == "unprocessed" for item in found):
        return None
    return {"names": {item["labels"]["alertname"] for item in found if item["status"]["inhibitedBy"]}}
