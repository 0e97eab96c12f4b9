"""A real Prometheus scrapes a serving exporter: no warning, and the samples that /metrics shows."""

import math
import subprocess
import time

import pytest
from servers import fetch, prometheus, tools, until
from tests.serve import service


def config_for(url):
    job = {"job_name": "ml-exporter", "static_configs": [{"targets": [url.removeprefix("http://")]}]}
    return {"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}


def scraped(prom, names):
    """Return the samples of metrics by name and labels, without the labels of the target."""
    found = {}
    for sample in prom.query('{__name__=~"%s"}' % "|".join(names)):  # noqa: UP031 - braces
        labels = {key: value for key, value in sample.labels.items() if key not in ("job", "instance", "__name__")}
        found[sample.labels["__name__"], frozenset(labels.items())] = sample.value
    return found


def is_steady(key):
    """Whether a series keeps its value while the logs rest."""
    name, _ = key
    moving = ("_timestamp_seconds", "_duration_seconds", "_lag_seconds")
    return name.startswith("ml_") and not name.endswith(moving) and name != "ml_exporter_join_pending_rows"


def steady(found):
    """Return what is steady, without labels that have no value: those are none to Prometheus."""
    return {
        (name, frozenset((key, text) for key, text in labels if text)): value
        for (name, labels), value in found.values.items()
        if is_steady((name, labels))
    }


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_a_scrape_is_what_metrics_shows(version, tmp_path):
    path = service.prepare_hostile(tmp_path, 200, time.time() - 30)
    with service.serve(path) as exporter, prometheus(tools(version), config_for(exporter.server.url), tmp_path) as prom:
        exporter.until(lambda found: found("ml_window_rows", model="risk", window="1d") == 200, "200 rows")
        until(lambda: [target["health"] for target in prom.targets()] == ["up"], 30, "the target to be up")
        got: dict = {}

        def differences():
            """What both do not have alike. Rows leave the window of an hour meanwhile, so it may be something once."""
            expected = steady(exporter.metrics())
            got.clear()
            got.update(scraped(prom, {name for name, _ in expected}))
            return {item for item in expected.items() ^ got.items() if not math.isnan(item[1])}

        until(lambda: not differences(), 30, "the same samples")
        until(lambda: prom.targets()[0]["lastError"] == "", 10, "a target without an error")
        assert prom.server.warnings() == []
        check = [tools(version) / "promtool", "check", "metrics"]
        lint = subprocess.run(check, input=fetch(f"{exporter.server.url}/metrics"), capture_output=True, check=False)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")
    assert any(("version", service.HOSTILE) in labels for _, labels in got)
    assert any(("feature", service.HOSTILE) in labels for _, labels in got)
    assert len(got) > 150
