"""One log for predictions and labels of two models, through kills; and notes about every line that is refused."""

import json
import logging
import math
import signal
import stat
import time

import pytest
from tests.serve import service
from tests.serve.service import Metrics, append, counted, label, lines, prediction, recount, serve

from ml_exporter.dead_letter import NAME
from ml_exporter.serve import Exporter

MODELS = ("risk", "churn")
FAILURES = "ml_exporter_dead_letter_failures_total"


def prepare(folder, text, **changes):
    """A configuration whose two models share one log."""
    document = service.config("log", **changes)
    del document["sources"]["log-labels"]
    document["sources"]["log"] |= {"model": {"column": "model"}}
    document["models"] = {}
    for name in MODELS:
        settings = service.model("log", baseline=f"{name}.json")
        settings["predictions"]["where"] = {"event": "made"}
        settings["labels"] |= {"source": "log", "where": {"event": "known"}}
        document["models"][name] = settings
    service.write_baselines(folder, text, MODELS)
    (folder / "log.jsonl").touch()
    return service.write_config(folder, document)


def made(model, number, at):
    return prediction(number, at) | {"model": model, "event": "made"}


def known(model, number, at):
    return label(number, at) | {"model": model, "event": "known"}


def notes(folder):
    content = (folder / "state" / NAME).read_text(encoding="ascii")
    return [json.loads(line) for line in content.splitlines()]


def test_kills_while_two_models_share_a_log(baseline_text, tmp_path):
    """Every row is counted once, for its model; every refused line is noted at least once."""
    path, log = prepare(tmp_path, baseline_text), tmp_path / "log.jsonl"
    written, truth = {name: [] for name in MODELS}, {name: [] for name in MODELS}
    bad = set()
    for part in range(4):
        with serve(path, f"killed{part}", ready="/-/healthy") as exporter:
            for _ in range(10):
                first, now = len(written["risk"]), time.time()
                for name in MODELS:
                    numbers = range(first, first + 40)
                    rows, labels = (
                        [made(name, number, now) for number in numbers],
                        [known(name, number, now) for number in numbers if number % 2],
                    )
                    append(log, lines(rows + labels))
                    written[name] += rows
                    truth[name] += labels
                bad.add(log.stat().st_size)
                append(log, b"no JSON\n" + lines([made("other", first, now)]))
                time.sleep(0.05)
            exporter.send(signal.SIGKILL)
            exporter.server.process.wait()
    with serve(path) as exporter:
        rows = len(written["risk"])
        exporter.until(
            lambda found: all(found("ml_window_rows", model=name, window="1d") == rows for name in MODELS), "all rows"
        )
        exporter.send(signal.SIGTERM)
        exporter.server.process.wait()
    for name in MODELS:
        assert counted(path, name) == recount(written[name], truth[name])
    content = log.read_bytes()
    malformed = [note for note in notes(tmp_path) if note["reason"] == "malformed"]
    assert {note["offset"] for note in malformed} == bad
    assert all(content[note["offset"] :].startswith(b"no JSON\n") for note in malformed)
    assert {note["reason"] for note in notes(tmp_path)} == {"malformed", "no_model"}
    assert stat.S_IMODE((tmp_path / "state" / NAME).stat().st_mode) == 0o600


@pytest.fixture
def follow(baseline_text, tmp_path):
    """Return a function that gives a log to an exporter in this process."""
    running = []

    def run(content, **changes):
        path = prepare(tmp_path, baseline_text, **changes)
        append(tmp_path / "log.jsonl", content)
        exporter = Exporter(path)
        running.append(exporter)
        read(exporter)
        return exporter

    yield run
    for exporter in running:
        exporter.close()


def read(exporter):
    while not exporter.read(math.inf):
        pass
    exporter.commit()
    exporter.publish()
    return Metrics(exporter.snapshot.exposition.decode())


def test_notes_that_cannot_be_written_stop_nothing(follow, tmp_path, caplog):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / NAME).mkdir()
    now = time.time()
    with caplog.at_level(logging.ERROR):
        exporter = follow(b"no JSON\n" + lines([made("risk", 1, now)]))
        append(tmp_path / "log.jsonl", b"no JSON\n" + lines([made("risk", 2, now)]))
        found = read(exporter)
    assert found(FAILURES) == 2
    assert found("ml_predictions_total", model="risk", version="v1") == 2
    assert found("ml_exporter_rows_rejected_total", source="log", reason="malformed") == 2
    assert [record.message for record in caplog.records] == [
        f"{NAME}: expected a file that can be written, got Is a directory. Check the disk and permissions."
    ]
    (tmp_path / "state" / NAME).rmdir()
    assert read(exporter)(FAILURES) == 2
    assert len(notes(tmp_path)) == 2


def test_settings_of_the_notes_follow_a_reload(follow, tmp_path, baseline_text):
    exporter = follow(b"first\n")
    prepare(tmp_path, baseline_text, dead_letter={"values": True})
    exporter.reload()
    append(tmp_path / "log.jsonl", b"second\n")
    read(exporter)
    prepare(tmp_path, baseline_text, dead_letter={"max_size": "0B"})
    exporter.reload()
    append(tmp_path / "log.jsonl", b"third\n")
    found = read(exporter)
    assert found("ml_exporter_rows_rejected_total", source="log", reason="malformed") == 3
    assert [note.get("line") for note in notes(tmp_path)] == [None, "second"]
