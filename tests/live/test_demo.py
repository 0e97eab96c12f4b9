"""The demo as a visitor runs it: from the command to the page, and nothing left behind."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from servers import tools, until

DEMO = Path(__file__).parents[2] / "examples/01-flights"
LONGEST_SECONDS = 900


@contextmanager
def playing(out, **environment):
    """Run the demo in a session of its own; give the process and a function that returns its output so far."""
    if (DEMO / "out/cache").is_dir():  # the model is trained and the flights are scored only once
        shutil.copytree(DEMO / "out/cache", out / "cache")
    settings = os.environ | {"COLUMNS": "300", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"} | environment
    with (out / "demo.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, DEMO / "demo.py", "--out", out],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=settings,
            start_new_session=True,
        )
    watchdog = threading.Timer(LONGEST_SECONDS, process.kill)
    watchdog.start()
    try:
        yield process, (out / "demo.log").read_text
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
    until(lambda: not alive(process.pid), 15, "no process of the demo to be left")


def alive(session):
    """Return the processes of a session that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it ended meanwhile
            continue
        if int(its_session) == session and state != "Z":
            found.append(stat.parent.name)
    return found


def accuracy_limit():
    """Return the accuracy below which the model of the demo pages."""
    rows = yaml.safe_load((DEMO / "thresholds.yaml").read_text())
    (row,) = (row for row in rows if (row["signal"], row["severity"]) == ("accuracy", "critical"))
    return row["overrides"][0]["value"]


def test_the_demo_delivers_a_page(tmp_path):
    tools("latest")
    with playing(tmp_path) as (process, output):
        assert process.wait() == 0, output()
        assert alive(process.pid) == []
    shown = output()
    assert "page delivered to the webhook" in shown
    assert re.search(r"MLAccuracyLow +model flight_delay +team travel +tier 1", shown)
    told = re.search(r"right in ([\d.]+)% .* at most ([\d.]+)%; the limit is ([\d.]+)%", shown)
    assert told is not None
    value, upper, limit = map(float, told.groups())
    assert value < upper < limit == pytest.approx(100 * accuracy_limit())
    assert re.search(r"Runbook: +http://127\.0\.0\.1:\d+/runbooks/MLAccuracyLow", shown)
    assert re.search(r"Page: +http://127\.0\.0\.1:\d+/models\?model=flight_delay", shown)
    assert "firing  MLAccuracyLow (critical)" in shown
    assert "Traceback" not in shown
    assert f"without Grafana: {tmp_path / 'preview.html'}\n" in shown
    drawn = (tmp_path / "preview.html").read_text()
    assert "make demo ARGS=--keep" in shown
    assert "Not everything could be shown" not in drawn
    assert "MLAccuracyLow" in drawn


def test_without_servers_the_exporter_runs_alone_until_ctrl_c(tmp_path):
    with playing(tmp_path, ML_EXPORTER_TOOLS=str(tmp_path / "none")) as (process, output):
        until(lambda: process.poll() is not None or "22 Apr 14:00" in output(), 120, "the first hour to be played")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(120) == 130, output()
        assert alive(process.pid) == []
    shown = output()
    assert "so the exporter runs alone" in shown
    assert "Run `make tools`" in shown
    assert re.search(r"exporter at http://127\.0\.0\.1:\d+", shown)
    assert "Traceback" not in shown


@pytest.mark.soak
def test_without_servers_it_says_what_would_have_paged(tmp_path):
    with playing(tmp_path, ML_EXPORTER_TOOLS=str(tmp_path / "none")) as (process, output):
        assert process.wait() == 0, output()
        assert alive(process.pid) == []
    limit = f"{accuracy_limit():.0%}".replace("%", " %")
    assert f"The whole interval of the accuracy lies below {limit}. With Prometheus this would page" in output()
