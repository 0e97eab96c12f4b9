"""Data quality, predictions, latency, performance: a fault of each kind is notified, and so is its end after the fix.

One exporter serves four models of equal traffic, one a fault. An hour takes four seconds, a day sixteen.
"""

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from servers import Prometheus, WebhookReceiver, alertmanager, fetch, prometheus, tools, until
from tests.serve import service

FACTOR = 7200
"""What `for`, the quiet day of a new model and the timers of Alertmanager are divided by."""
TIME = {"pane": "1s", "hour": "4s", "day": "16s", "stale_after": "30s", "future_tolerance": "5s"}
RATE = 60
"""Predictions a second of a model."""
LABEL_DELAY = 0.5
UNLABELLED = "anomaly"
"""With labels it would page for its accuracy, which mutes what explains it."""
GRAFANA = "https://grafana.example.org"
Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of alert: the model that has its fault, the fault, and what is told of it."""

    model: str
    changes: Row
    """What the fault changes in predictions."""
    alert: str
    severity: str
    text: str
    """The beginning of the description: what was measured, then the limit."""
    first: str
    """The first thing to do, which ends the description."""
    dashboard: str
    """Where its link leads, with what it carries along but the model."""
    wrong: bool = False
    """Whether the fault is a model that is wrong. Then it is bad to be below the limit."""


KINDS = [
    Kind(
        "quality",
        {"features": {"temp": None, "carrier": "AA"}},
        "MLFeatureNullRatioHigh",
        "critical",
        r"Feature temp of model quality was null in [\d.]+% of the predictions of the last hour, 0% in the reference\. "
        r"The difference of ([\d.]+)% is above the limit of ([\d.]+)%",
        "First see which other features of the same upstream are null too, and what was deployed there.",
        "ml-features?var-feature=temp&from=now-24h",
    ),
    Kind(
        "anomaly",
        {"score": 0.9, "prediction": "yes"},
        "MLPredictionClassShift",
        "warning",
        r"Class (?:yes|no) of model anomaly had a share of [\d.]+% over the last day, [\d.]+% in the reference\. "
        r"The difference of ([\d.]+)% has reached the limit of ([\d.]+)%",
        "First see whether features drifted or are null, and whether the version of the model changed.",
        "ml-model?from=now-7d",
    ),
    Kind(
        "latency",
        {"latency": 0.9},
        "MLLatencyOverLimit",
        "critical",
        r"([\d.]+)% of the predictions of model latency in the last hour were slower than its latency limit; "
        r"([\d.]+)% may be",
        "First see whether traffic rose or a version was deployed at the time when the share rose.",
        "ml-latency?from=now-24h",
    ),
    Kind(
        "performance",
        {},
        "MLAccuracyLow",
        "critical",
        r"Model performance was right in [\d.]+% of the labelled predictions of one day, "
        r"and with 95 % confidence in at most ([\d.]+)%; the limit is ([\d.]+)%",
        "First rule out wrong or missing labels (coverage, share of each class), then wrong inputs (nulls, drift).",
        "ml-model?from=now-7d",
        wrong=True,
    ),
]


def predicted(number: int, at: float, **changes: Any) -> Row:
    return service.prediction(number, at, version="v1", **changes)


def labelled(number: int, at: float, wrong: bool) -> Row:
    """The label of a prediction: right nine times of ten, or as often wrong."""
    says = service.prediction(number, at)["prediction"]
    right = (number % 10 > 0) != wrong
    return {"timestamp": at, "id": f"p{number}", "label": says if right else {"yes": "no", "no": "yes"}[says]}


class Traffic:
    """Writes the logs of all models as the clock goes on, each with its fault while that is switched on."""

    def __init__(self, folder: Path, since: float) -> None:
        self.faulty: set[str] = set()
        self._folder = folder
        self._since = since
        self._next = {"predictions": 0, "labels": 0}
        self._wrong: set[int] = set()
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        writer = threading.Thread(target=self._run, daemon=True)
        writer.start()
        try:
            yield
        finally:
            self._over.set()
            writer.join()

    def write(self) -> None:
        """What is due since the last time."""
        now = time.time()
        made, known = self._due("predictions", now), self._due("labels", now - LABEL_DELAY)
        for kind in KINDS:
            faulty = kind.model in self.faulty
            if kind.wrong and faulty:
                self._wrong.update(made)
            times = ((number, self._since + number / RATE) for number in made)
            rows = (predicted(number, at, **(kind.changes if faulty else {})) for number, at in times)
            service.append(self._folder / f"{kind.model}.jsonl", service.lines(rows))
            times = ((number, self._since + number / RATE + LABEL_DELAY) for number in known)
            labels = (labelled(number, at, kind.wrong and number in self._wrong) for number, at in times)
            if kind.model != UNLABELLED:
                service.append(self._folder / f"{kind.model}-labels.jsonl", service.lines(labels))

    def _due(self, log: str, end: float) -> range:
        first, self._next[log] = self._next[log], max(self._next[log], int((end - self._since) * RATE))
        return range(first, self._next[log])

    def _run(self) -> None:
        while not self._over.wait(0.2):
            self.write()


def configured(folder: Path) -> Path:
    """Four models with one baseline, of four minutes."""
    names = [kind.model for kind in KINDS]
    document = service.config(*names) | {"interval": "500ms", "time": TIME}
    del document["models"][UNLABELLED]["labels"], document["sources"][f"{UNLABELLED}-labels"]
    start = 1_700_000_000
    times = [start + number / RATE for number in range(240 * RATE)]
    logs = {
        "reference.jsonl": (predicted(number, at) for number, at in enumerate(times)),
        "reference-labels.jsonl": (labelled(number, at + LABEL_DELAY, False) for number, at in enumerate(times)),
    }
    for name, rows in logs.items():
        (folder / name).write_bytes(service.lines(rows))
    for source in document["sources"].values():
        (folder / source["files"]).touch()
    path = service.write_config(folder, document)
    command = [*service.COMMAND[:3], "baseline", "--config", path, "--model", names[0]]
    command += ["--predictions", "reference.jsonl", "--labels", "reference-labels.jsonl"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE)
    service.write_baselines(folder, (folder / f"{names[0]}.json").read_text(), names)
    return path


def generated(folder: Path, path: Path, exporter: str, webhook: str) -> Path:
    """The pack for this exporter, from the command line."""
    settings = {"exporter_url": exporter, "runbook_url_pattern": f"{exporter}/runbooks/%s"}
    settings |= {"grafana_url": GRAFANA, "webhook_url": webhook}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    pack = folder / "pack"
    options = ["--config", path, "--settings", folder / "settings.yaml", "--divide-durations", str(FACTOR)]
    command = [*service.COMMAND[:3], "generate", "--out", pack, *options]
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return pack


@dataclass(frozen=True)
class Chain:
    """What runs."""

    exporter: str
    prometheus: Prometheus
    webhook: WebhookReceiver
    traffic: Traffic


@contextmanager
def chain(folder: Path) -> Iterator[Chain]:
    """Everything, with clean traffic that began a day ago."""
    path = configured(folder)
    traffic = Traffic(folder, time.time() - 20)
    with WebhookReceiver() as webhook, traffic.running(), service.serve(path) as exporter:
        url = exporter.server.url
        pack = generated(folder, path, url, webhook.url)
        with alertmanager(tools("latest"), (pack / "alertmanager.yaml").read_text(), folder) as manager:
            config = {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address(manager.server.url)]}]}]},
                "scrape_configs": [{"job_name": "ml-exporter", "static_configs": [{"targets": [address(url)]}]}],
            }
            rules = sorted((pack / "rules").glob("*.yaml"))
            with prometheus(tools("latest"), config, folder, rules) as prom:
                yield Chain(url, prom, webhook, traffic)


def address(url: str) -> str:
    return url.removeprefix("http://")


def told(webhook: WebhookReceiver, kind: Kind, status: str, after: float) -> tuple[float, Row] | None:
    """The first notification after then that has the alert of this kind in this status: its time, and the alert."""
    wanted = {"alertname": kind.alert, "model": kind.model, "severity": kind.severity}
    for notification in webhook.notifications:
        for alert in notification.payload["alerts"] if notification.time > after else ():
            if (
                alert["status"] == status
                and wanted.items() <= alert["labels"].items()
                and "escalation" not in alert["labels"]
            ):
                return notification.time, alert
    return None


def check(kind: Kind, alert: Row, exporter: str) -> None:
    """What a person reads, and where the links lead."""
    notes, labels = alert["annotations"], alert["labels"]
    found = re.match(kind.text, notes["description"])
    assert found, notes["description"]
    value, limit = map(float, found.groups())
    assert value <= limit if kind.wrong else value >= limit  # both are rounded
    assert notes["description"].endswith(kind.first)
    assert labels["team"] == "ops"
    assert notes["dashboard_url"] == f"{GRAFANA}/d/{kind.dashboard}&to=now".replace("?", f"?var-model={kind.model}&")
    asked = "".join(f"&{key}={labels[key]}" for key in ("feature", "window") if key in labels)
    assert notes["runbook_url"] == f"{exporter}/runbooks/{kind.alert}?model={kind.model}{asked}"
    page = fetch(notes["runbook_url"]).decode()  # raises for any status but 200
    for title in (kind.alert, "First five minutes", "Diagnosis", "Mitigation", "Escalation"):
        assert re.search(rf"<h[12][^>]*>{title}</h[12]>", page), title
    assert f"<bdi>{kind.model}</bdi>" in page[page.index('id="now"') : page.index("Meaning")]
    assert "$model" not in page
    assert notes["summary"] in page
    assert f"<bdi>{labels.get('feature', kind.model)}</bdi></h1>" in fetch(notes["page_url"]).decode()


def are_known(prom: Prometheus) -> bool:
    """Whether all models have been seen for their quiet day."""
    return len(prom.query("ml:model:owner")) == len(KINDS) and not prom.query("ml:model:new")


def test_each_kind_of_alert_arrives_and_resolves_after_the_fix(tmp_path, capsys):
    with chain(tmp_path) as running:
        until(lambda: are_known(running.prometheus), 60, "models that are not new")
        before = {(alert["labels"]["alertname"], alert["labels"].get("model")) for alert in running.prometheus.alerts()}
        assert not before & {(kind.alert, kind.model) for kind in KINDS}
        begun = time.time()
        running.traffic.faulty |= {kind.model for kind in KINDS}
        fixed: dict[str, float] = {}
        ended: dict[str, float] = {}

        def all_ended() -> bool:
            for kind in KINDS:
                if kind.model in fixed:
                    found = told(running.webhook, kind, "resolved", fixed[kind.model])
                    if found:
                        ended.setdefault(kind.model, found[0])
                elif found := told(running.webhook, kind, "firing", begun):
                    check(kind, found[1], running.exporter)
                    fixed[kind.model] = time.time()
                    running.traffic.faulty.discard(kind.model)
            return len(ended) == len(KINDS)

        until(all_ended, 90, "the end of every alert")
    with capsys.disabled():
        for kind in KINDS:
            arrived, over = fixed[kind.model] - begun, ended[kind.model] - fixed[kind.model]
            print(f"\n{kind.alert}: told {arrived:.1f} s after the fault, its end {over:.1f} s after the fix", end="")
