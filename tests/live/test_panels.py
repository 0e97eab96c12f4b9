"""Every query of every panel, variable and annotation of the dashboards has data in a real Prometheus."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from servers import WebhookReceiver, alertmanager, prometheus, tools, until
from tests.filled import blocks, fill, going_on, moved
from tests.serve import service

from ml_exporter.preview import ALL, When, look, read_dashboards
from ml_exporter.prometheus import Prometheus, Server

MODELS = ("flight_delay", "delay_kind", "delay_minutes")
FEW_DAYS = "control limits need more days of history than were replayed"
BATCH = "a finished run of `once` leaves it, and none is scraped here"
SHORT = "five minutes are five seconds here, in which no twenty labels come"
ALL_SET = "everything has a limit here, so that the panels of those that have none by default draw it"
_EMPTY = {
    FEW_DAYS: {
        ("ml-labels", "Accuracy"): "KLM",
        ("ml-latency", "0.99 quantile and what its past leads to expect, one day"): "BCD",
        ("ml-latency", "Rows in a day, and what its past leads to expect"): "BCD",
        ("ml-model", "Confidence"): "CDE",
    },
    BATCH: {("ml-exporter", "Batch runs"): "ABC", ("ml-exporter", "Lines of the last batch run"): "AB"},
    SHORT: {("ml-labels", "Wrong answers by the clock"): "A"},
    ALL_SET: {("ml-exporter", "Series without a limit"): "A"},
}
EMPTY = {(*place, ref): why for why, places in _EMPTY.items() for place, refs in places.items() for ref in refs}
"""What is rightly without data: dashboard, panel and query, and why."""
BY_CHANCE = {place for place, why in EMPTY.items() if why == SHORT}
"""What has data or none, as the labels of a few seconds have it."""
PATIENCE_SECONDS = 300
"""How long what should have data may be without. Rates need samples of a minute, levels of levels some evaluations."""


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Return what was replayed, once for all versions."""
    return fill(tmp_path_factory.mktemp("past"))


def config(manager, folder):
    """Rules are evaluated every second; the targets are in a file, since Prometheus is one of them."""
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager.removeprefix("http://")]}]}]},
        "scrape_configs": [
            {
                "job_name": job,
                "honor_labels": job == "replay",
                "file_sd_configs": [{"files": [str(folder / f"{job}.json")], "refresh_interval": "1s"}],
            }
            for job in ("ml-exporter", "prometheus", "alertmanager", "replay")
        ],
    }


def scrape(folder, **servers):
    """Name the targets of the jobs."""
    for job, url in servers.items():
        targets = [{"targets": [url.removeprefix("http://")]}]
        (folder / f"{job.replace('_', '-')}.json").write_text(json.dumps(targets))


def manager_config(webhook):
    """Everything goes to a webhook at once."""
    receiver = {"name": "all", "webhook_configs": [{"url": webhook}]}
    route = {"receiver": "all", "group_wait": "0s", "group_interval": "1s", "group_by": ["alertname"]}
    return {"route": route, "receivers": [receiver]}


@contextmanager
def running(version, past, folder):
    """Run Prometheus over the past, an exporter and an Alertmanager."""
    path = service.prepare(folder, service.make_artefact(folder), "risk")
    past = moved(past, folder / "moved")
    blocks(past, folder / "prometheus")
    with (
        WebhookReceiver() as webhook,
        going_on(past) as replay,
        service.serve(path) as exporter,
        alertmanager(tools(version), manager_config(webhook.url), folder) as manager,
        prometheus(tools(version), config(manager.server.url, folder), folder, past.rules) as prom,
    ):
        urls = {"ml_exporter": exporter.server.url, "alertmanager": manager.server.url, "replay": replay}
        scrape(folder, **urls, prometheus=prom.server.url)
        until(lambda: prom.query("count(up == 1) >= 4"), 60, "all targets")
        service.append(folder / "risk.jsonl", service.predictions(300) + b"{spoiled\n")
        webhook.wait_for(lambda _: True, 60)
        yield prom


def asked(url, dashboard, when, model) -> Iterator[tuple[tuple[str, str, str], bool]]:
    """Every question of a dashboard, and whether it has data. None may fail."""
    wanted = {"model": model} if any(item.name == "model" for item in dashboard.variables) else {}
    looked = look(Prometheus(Server(url, timeout_seconds=60.0)), dashboard, when, wanted)
    assert list(looked.findings()) == []
    for name, item in looked.choices.items():
        yield (dashboard.uid, "variable", name), bool(item.values)
    for item in looked.annotations:
        yield (dashboard.uid, "annotation", item.annotation.name), bool(item.events)
    for seen in looked.panels():
        for answer in seen.answers:
            values = [value for series in answer.series for value in series.values]
            yield (dashboard.uid, seen.panel.title, answer.target.ref), not all(map(math.isnan, values))


def shown(url, dashboards) -> dict[tuple[str, str, str], bool]:
    """What the dashboards ask, and whether it has data for any model."""
    now = time.time()
    when = When(now, str(round((now - 2400) * 1000)), str(round((now + 60) * 1000)), 60.0)
    found: dict[tuple[str, str, str], bool] = {}
    for dashboard in dashboards:
        for model in MODELS:
            for place, has_data in asked(url, dashboard, when, model):
                found[place] = found.get(place, False) or has_data
    return found


def unlisted(found):
    """What has no data and should."""
    return sorted({place for place, has_data in found.items() if not has_data} - set(EMPTY))


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_every_query_has_data(version, past, tmp_path):
    dashboards = read_dashboards(past.dashboards, ALL)
    with running(version, past, tmp_path) as prom:
        deadline = time.monotonic() + PATIENCE_SECONDS
        found = shown(prom.server.url, dashboards)
        while (missing := {uid for uid, *_ in unlisted(found)}) and time.monotonic() < deadline:
            time.sleep(1)
            again = shown(prom.server.url, [item for item in dashboards if item.uid in missing])
            found |= {place: has_data or found[place] for place, has_data in again.items()}
    assert len(found) > 400
    assert not unlisted(found), "\n".join(map(str, ["without data", *unlisted(found)]))
    assert set(found) >= set(EMPTY)
    stale = sorted(place for place in set(EMPTY) - BY_CHANCE if found[place])
    assert not stale, "\n".join(map(str, ["listed as empty, but has data", *stale]))
