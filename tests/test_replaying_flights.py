"""A replay of a day of real flights is, byte for byte, what an exporter showed that was fed at the same times.

Late labels, two versions side by side, segments, comparisons with earlier windows, spoiled rows, refused lines.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests import flight_logs
from tests.replayed import replayed_files, served

from ml_exporter.loading import load

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


def with_refused(log, rows):
    """The rows, and refused lines among them, each written with the row above; the first, with the one below."""
    for number, row in enumerate(rows):
        at, refused = micros(row["timestamp"].removesuffix("Z")), {}
        if number % 70 == 0:
            refused["future"] = json.dumps(row | {"timestamp": "2031-01-01T00:00:00Z"}).encode()
        if number % 90 == 0 and log == "predictions":
            refused["too_late"] = json.dumps(row | {"timestamp": "2012-01-01T00:00:00Z"}).encode()
        if number % 110 == 0:
            refused["missing_column"] = json.dumps({name: row[name] for name in row if name != "timestamp"}).encode()
        if number % 130 == 0:
            refused["bad_timestamp"] = json.dumps(row | {"timestamp": "noon"}).encode()
        malformed = [b'{"timestamp": '] * (number % 50 == 0)
        lines = [*malformed[number:], json.dumps(row).encode(), *refused.values(), *malformed[:number]]
        yield from ((at, line + b"\n") for line in lines)


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
        found[log] = list(with_refused(name, rows))
        assert found[log] == sorted(found[log], key=lambda row: row[0])
        log.write_bytes(b"")
    return found


def test_a_day_of_flights(folder):
    rows, path = recorded(folder), folder / "ml-exporter.yaml"
    shown = list(served(path, rows, range(BEGIN, END, STEP_US), DAY))
    loaded = load(path)
    for expected, found in zip(shown, replayed_files(loaded, range(DAY, END, STEP_US)), strict=True):
        assert found == expected
    text = "\n".join(found)
    for part in ('segment="JFK"', 'peer="2013.', 'baseline="previous"', "ml_accuracy{", 'kind="unknown_column",'):
        assert part in text
    violations = [line for line in found if line.startswith("ml_schema_violations_total{")]
    assert all(float(line.split()[-1]) > 0 for line in violations)
    rejected = [line for line in found if line.startswith("ml_exporter_rows_rejected_total{")]
    for reason in ("malformed", "future", "too_late", "missing_column", "bad_timestamp"):
        assert max(float(line.split()[-1]) for line in rejected if f'"{reason}"' in line) > 5
