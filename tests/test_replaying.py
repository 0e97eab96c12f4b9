"""A replay gives what the serving exporter gave, and does not care how the logs are cut."""

import json

import pytest
from tests.replayed import replayed, served
from tests.serve import service
from tests.serve.service import label, prediction

from ml_exporter.loading import load
from ml_exporter.recorded import read_played

START = 1_700_000_000
STEP_US = 15_000_000


@pytest.fixture(scope="module")
def baseline_text(tmp_path_factory):
    return service.make_artefact(tmp_path_factory.mktemp("reference"))


def line(row):
    return json.dumps(row).encode() + b"\n"


def predictions(count=1500, seconds=0.5):
    """Rows with the microsecond at which they are written: two seconds of silence behind every hundred."""
    for number in range(count):
        at = START + number * seconds + number // 100 * 2
        version = "v2" if number > count // 2 else "v1"
        yield round(at * 1e6), line(prediction(number, at, version=version))


def labels(count=1500, seconds=0.5):
    """Labels that come late, some early, some twice, some for nobody."""
    found = []
    for number in range(0, count, 2):
        at = START + number * seconds + number // 100 * 2 + (number * 7 % 60) + (-3 if number % 50 == 0 else 1)
        found += [(round(at * 1e6), line(label(number, at)))] * (2 if number % 30 == 0 else 1)
        if number % 40 == 0:
            found.append((round(at * 1e6), line(label(number + 100_000, at))))
    return sorted(found, key=lambda row: row[0])


def test_a_replay_is_what_was_served(tmp_path, baseline_text):
    path = service.prepare(tmp_path, baseline_text, "risk")
    times = range(START * 1_000_000, (START + 900) * 1_000_000, STEP_US)
    logs = {tmp_path / "risk.jsonl": list(predictions()), tmp_path / "risk-labels.jsonl": labels()}
    found = list(served(path, logs, times))
    loaded = load(path)
    assert found == list(replayed(loaded, {"risk": read_played(loaded, "risk")}, times))
    assert any("ml_accuracy{" in text for text in found[-1])
