"""What survives an exporter that is killed, stopped, cannot write, or loses a part of itself."""

import random
import resource
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing

import pytest
from servers import until
from tests.serve import service
from tests.serve.service import (
    SOON,
    append,
    counted,
    label,
    lines,
    prediction,
    predictions,
    recount,
    run_to_the_end,
    serve,
)

from ml_exporter.store import FILE


class Writer(threading.Thread):
    """A service that writes predictions and labels, not always in whole lines, until it is told to end."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.ending = folder, threading.Event()
        self.predictions, self.labels = [], []

    def run(self):
        chance = random.Random(5)
        while not self.ending.is_set():
            now, first = time.time(), len(self.predictions)
            fresh = [prediction(number, now) for number in range(first, first + 50)]
            known = [label(chance.randrange(first + 60), now) for _ in range(40)]  # twice, never, too early
            self.predictions += fresh
            self.labels += known
            for name, content in (("risk.jsonl", lines(fresh)), ("risk-labels.jsonl", lines(known))):
                cut = chance.randrange(len(content))
                append(self.folder / name, content[:cut])
                time.sleep(0.005)
                append(self.folder / name, content[cut:])

    def end(self):
        self.ending.set()
        self.join()


def matured(found, written):
    """Whether the matured day holds all labelled rows."""
    return found("ml_labelled_rows", model="risk", window="1d") == sum(recount(*written).confusion.values())


def test_kill_at_any_instant_loses_and_doubles_nothing(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    writer = Writer(tmp_path)
    writer.start()
    for number, seconds in enumerate((0.0, 0.45, 0.9, 1.3)):
        with serve(path, f"killed{number}", ready="/-/healthy") as exporter:
            time.sleep(seconds)  # no moment is special: that is the point
            exporter.send(signal.SIGKILL)
            exporter.server.process.wait()
    writer.end()
    written = writer.predictions, writer.labels
    with serve(path) as exporter:
        exporter.until(lambda found: found("ml_window_rows", model="risk", window="1d") == len(written[0]), "all rows")
        exporter.until(lambda found: matured(found, written), "all labels")
    assert counted(path, "risk") == recount(*written)
    assert min(counted(path, "risk").confusion.values()) > 50


def test_after_sigterm_windows_go_on_and_counters_start_again(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    now = time.time()
    rows, known = [prediction(number, now - 20) for number in range(200)], [label(number, now) for number in range(150)]
    append(tmp_path / "risk.jsonl", lines(rows))
    append(tmp_path / "risk-labels.jsonl", lines(known))
    with serve(path, "first") as exporter:
        before = exporter.until(lambda found: found("ml_accuracy", model="risk", window="1d"), "an accuracy")
        assert before("ml_labelled_predictions_total", model="risk") == 150
        exporter.send(signal.SIGTERM)
        assert exporter.server.process.wait(120) == 0
    with serve(path, "second") as exporter:
        after = exporter.until(lambda found: found("ml_accuracy", model="risk", window="1d"), "an accuracy")
        append(tmp_path / "risk.jsonl", lines([prediction(0, now - 20)]))
        counting = exporter.until_counted("risk", 1)
    names = ("ml_feature_", "ml_accuracy", "ml_roc_auc", "ml_labelled_rows")
    of_the_day = {("window", "1d"), ("window", "7d")}  # which no row leaves while this runs
    gauges = {key for key in before.values if key[0].startswith(names) and key[1] & of_the_day}
    assert len(gauges) > 20
    assert {key: after.values[key] for key in gauges} == {key: before.values[key] for key in gauges}
    assert after("ml_predictions_total", model="risk", version="v1") is None
    assert after("ml_prediction_latency_seconds_count", model="risk") == 0
    assert counting("ml_labelled_predictions_total", model="risk") == 0
    assert counting("ml_exporter_rows_read_total", source="risk") == 1
    assert counted(path, "risk").rows == 201


def test_a_full_disk_is_told_and_survived(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    written = [prediction(number, time.time() - 5) for number in range(60)]
    append(tmp_path / "risk.jsonl", lines(written[:20]))
    with serve(path, "full") as exporter:
        exporter.until_counted("risk", 20)
        pid = exporter.server.process.pid
        endless = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, endless))
        append(tmp_path / "risk.jsonl", lines(written[20:40]))
        full = exporter.until(lambda found: found("ml_exporter_state_up") == 0.0, "the state to fail")
        exporter.until_counted("risk", 40)
        exporter.send(signal.SIGHUP)  # what is not committed would be read twice: not now
        exporter.until(lambda found: found("ml_exporter_config_last_reload_successful") == 0.0, "a refused reload")
        exporter.send(signal.SIGKILL)
        exporter.server.process.wait()
    assert full("ml_exporter_source_up", source="risk") == 1.0
    with serve(path, "again") as exporter:
        exporter.until_counted("risk", 20)  # those of the commit that failed
        pid = exporter.server.process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, endless))
        append(tmp_path / "risk.jsonl", lines(written[40:]))
        exporter.until(lambda found: found("ml_exporter_state_up") == 0.0, "the state to fail")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (endless, endless))
        exporter.until(lambda found: found("ml_exporter_state_up") == 1.0, "the state to recover")
        exporter.until_counted("risk", 40)
        exporter.send(signal.SIGKILL)
        exporter.server.process.wait()
        assert exporter.log().count("commit failed") == 1
    assert counted(path, "risk").rows == 60


DYING_PARSER = """
from ml_exporter.sources.tail import Tail
parse = Tail._parse
def dying(tail, chunk):
    if b"p7" in chunk.content:
        raise MemoryError("no memory for a chunk")
    return parse(tail, chunk)
Tail._parse = dying
"""
DYING_WEB = """
import threading
from ml_exporter.web import server
run = server.uvicorn.Server.run
def dying(self, sockets):
    threading.Timer(0.5, setattr, (self, "should_exit", True)).start()
    run(self, sockets)
server.uvicorn.Server.run = dying
"""
DYING_COUNT = """
from ml_exporter.join import Join
def dying(self, fresh):
    raise RuntimeError("after the rows were counted")
Join.predictions = dying
"""


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        (DYING_PARSER, "MemoryError: no memory for a chunk"),
        (DYING_WEB, "RuntimeError: web server: expected a running thread, got one that ended"),
        (DYING_COUNT, "RuntimeError: after the rows were counted"),
    ],
    ids=["parser", "web", "count"],
)
def test_a_part_that_dies_ends_the_process(patch, error, baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(10))
    done = run_to_the_end(path, [sys.executable, "-c", f"{patch}\nfrom ml_exporter.cli import main\nmain()", "serve"])
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert error in done.stderr
    if patch is DYING_COUNT:
        with serve(path) as exporter:  # no row of the batch that failed was committed
            exporter.until_counted("risk", 10)
        assert counted(path, "risk").rows == 10


def test_a_state_directory_that_cannot_be_used(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    (tmp_path / "state").write_text("a file")
    done = run_to_the_end(path)
    assert done.returncode == 2
    assert f"{tmp_path / 'state'}: expected a state directory that can be written, got" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_state_is_set_aside_and_told(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(60))
    with serve(path, "first") as exporter:
        exporter.until_counted("risk", 60)
    (tmp_path / "state" / FILE).write_bytes(b"what a broken disk gives back")
    with serve(path, "second") as exporter:
        found = exporter.until_counted("risk", 60)  # all logs are read again
        assert found("ml_exporter_state_set_aside") == 1
        assert found("ml_exporter_state_up") == 1
        assert "It was set aside as damaged-" in exporter.log()
        (tmp_path / "state" / FILE).rename(tmp_path / "moved")
        append(tmp_path / "risk.jsonl", predictions(40, first=60))
        exporter.until_counted("risk", 100)
        until((tmp_path / "state" / FILE).exists, SOON, "the state to be written again")
        assert "vanished. It is written again." in exporter.log()
    assert counted(path, "risk").rows == 100


def test_a_panes_checksum_is_verified_at_the_start(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(60))
    with serve(path, "first") as exporter:
        exporter.until_counted("risk", 60)
    with closing(sqlite3.connect(tmp_path / "state" / FILE)) as state, state:
        cells = bytearray(state.execute("SELECT cells FROM panes WHERE kind = 'hour'").fetchone()[0])
        cells[-1] ^= 1
        state.execute("UPDATE panes SET cells = ? WHERE kind = 'hour'", (bytes(cells),))
    with serve(path, "second") as exporter:
        assert exporter.until_counted("risk", 60)("ml_exporter_state_set_aside") == 1
    assert counted(path, "risk").rows == 60


def test_reading_pauses_while_nothing_can_be_written_and_memory_is_full(baseline_text, tmp_path):
    """As much as memory may hold is fifty rows here."""
    path = service.prepare(tmp_path, baseline_text, "risk")
    append(tmp_path / "risk.jsonl", predictions(10))
    limited = "import ml_exporter.serve as s; s.UNSAVED_ROWS = 50; from ml_exporter.cli import main; main()"
    with serve(path, "paused", command=[sys.executable, "-c", limited, "serve"]) as exporter:
        exporter.until_counted("risk", 10)
        pid = exporter.server.process.pid
        endless = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, endless))
        append(tmp_path / "risk.jsonl", predictions(60, first=10))
        exporter.until(lambda found: found("ml_exporter_state_up") == 0.0, "the state to fail")
        exporter.until_counted("risk", 70)
        append(tmp_path / "risk.jsonl", predictions(30, first=70))
        exporter.until(lambda found: found("ml_exporter_source_lag_bytes", source="risk") > 0, "a lag")
        until(lambda: "reading pauses until the state can be written" in exporter.log(), SOON, "a pause")
        exporter.until_counted("risk", 70)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (endless, endless))
        found = exporter.until_counted("risk", 100)
        assert "reading goes on" in exporter.log()
        exporter.until(lambda found: found("ml_exporter_source_lag_bytes", source="risk") == 0, "no lag")
    assert counted(path, "risk").rows == 100
    assert found("ml_exporter_state_up") == 1.0
