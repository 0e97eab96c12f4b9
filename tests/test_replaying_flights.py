"""A replay of a day of real flights is, byte for byte, what an exporter showed that was fed at the same times.

Late labels, two versions side by side, segments, comparisons with earlier windows, spoiled rows.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests import flight_logs
from tests.replayed import replayed, served

from ml_exporter.loading import load
from ml_exporter.recorded import read_played

STEP_US = 1_800_000_000


def micros(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


BEGIN, DAY, END = micros("2013-04-11"), micros("2013-04-12"), micros("2013-04-13")


def configuration():
    document = yaml.safe_load((flight_logs.EXAMPLE / "ml-exporter.yaml").read_text())
    model = document["models"]["flight_delay"]
    model["segments"] = {"origin": {"column": "features.origin"}, "version": None}
    model["comparisons"] = ["previous", "version"]
    model["windows"] = {"head": ["5m", "1h", "1d"], "features": ["1h", "1d"], "quality": ["1h", "1d"]}
    model["labels"]["maturity"] = "3h"
    return document


def spoiled(number, row):
    """Every row as it was logged, but for the version and some values of a wrong type, missing or unknown."""
    row["model_version"] = "2013.2" if number % 3 == 0 and number > 700 else "2013.1"
    if number % 40 == 0:
        row["features"]["temp"] = "warm"
    if number % 41 == 0:
        del row["features"]["wind_gust"]
    if number % 43 == 0:
        row["features"]["moon"] = 1
    return row


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two days of flights, with the labels of the second."""
    folder = tmp_path_factory.mktemp("flights")
    flight_logs.write(folder, "2013-04-11", "2013-04-13")
    (folder / "ml-exporter.yaml").write_text(yaml.safe_dump(configuration()))
    making = [Path(sys.executable).with_name("ml-exporter"), "baseline", "--predictions", "reference/predictions.jsonl"]
    subprocess.run([*making, "--labels", "reference/labels.jsonl"], cwd=folder, check=True, capture_output=True)
    return folder


def recorded(folder):
    """The rows with the microseconds of their writing, by log, and the logs emptied."""
    found = {}
    for name in ("predictions", "labels"):
        log = folder / "logs" / f"{name}.jsonl"
        rows = [json.loads(line) for line in log.read_bytes().splitlines()]
        if name == "predictions":
            rows = [spoiled(number, row) for number, row in enumerate(rows)]
        found[log] = [(micros(row["timestamp"].removesuffix("Z")), json.dumps(row).encode() + b"\n") for row in rows]
        assert found[log] == sorted(found[log], key=lambda row: row[0])
        log.write_bytes(b"")
    return found


def test_a_day_of_flights(folder):
    rows, path = recorded(folder), folder / "ml-exporter.yaml"
    shown = list(served(path, rows, range(BEGIN, END, STEP_US), DAY))
    loaded = load(path)
    logs = {"flight_delay": read_played(loaded, "flight_delay")}
    for expected, found in zip(shown, replayed(loaded, logs, range(DAY, END, STEP_US)), strict=True):
        assert found == expected
    text = "\n".join(found)
    for part in ('segment="JFK"', 'peer="2013.', 'baseline="previous"', "ml_accuracy{", 'kind="unknown_column",'):
        assert part in text
    violations = [line for line in found if line.startswith("ml_schema_violations_total{")]
    assert all(float(line.split()[-1]) > 0 for line in violations)
