"""A running exporter and logs that grow, rotate, vanish and stop. One process; every test has a model of its own."""

import html
import os
import re
import time

import pytest
from servers import fetch
from tests.serve import service
from tests.serve.service import append, lines, prediction, predictions, serve

MODELS = (
    "appended",
    "partial",
    "renamed",
    "truncated",
    "vanishing",
    "unreadable",
    "folder",
    "empty",
    "stopped",
    "lost",
    "many",
)
STALE_SECONDS = 4


@pytest.fixture(scope="module")
def exporter(baseline_text, tmp_path_factory):
    """Return one exporter that follows the logs of all models."""
    folder = tmp_path_factory.mktemp("follow")
    path = service.prepare(folder, baseline_text, *MODELS)
    document = service.config(*MODELS)
    document["time"]["stale_after"] = f"{STALE_SECONDS}s"
    document["sources"]["stopped"]["idle_after"] = "1h"
    document["sources"]["many"]["files"] = "many-*.jsonl"
    service.write_config(folder, document)
    append(folder / "appended.jsonl", predictions(5))
    (folder / "many.jsonl").rename(folder / "many-1.jsonl")
    with serve(path) as running:
        yield running


def test_rows_that_are_appended_are_counted(exporter):
    log = exporter.folder / "appended.jsonl"
    exporter.until_counted("appended", 5)
    append(log, predictions(3, first=5))
    exporter.until_counted("appended", 8)


def test_a_partial_last_line_waits(exporter):
    log = exporter.folder / "partial.jsonl"
    append(log, predictions(2))
    before = exporter.until_counted("partial", 2)
    line = predictions(1, first=2)
    append(log, line[:40])
    waiting = exporter.until(lambda found: found("ml_exporter_source_lag_bytes", source="partial") == 40, "40 bytes")
    append(log, line[40:])
    after = exporter.until_counted("partial", 3)
    for found, rows in ((before, 2), (waiting, 2), (after, 3)):
        assert found("ml_exporter_rows_read_total", source="partial") == rows
        assert found("ml_exporter_rows_rejected_total", source="partial", reason="malformed") == 0


def test_rename_and_create(exporter):
    log = exporter.folder / "renamed.jsonl"
    append(log, predictions(4))
    exporter.until_counted("renamed", 4)
    with log.open("ab", buffering=0) as old:
        log.rename(log.with_suffix(".jsonl.1"))
        append(log, predictions(3, first=4))
        old.write(predictions(2, first=7))  # the service still writes to the file it opened
        exporter.until_counted("renamed", 9)
        append(log, predictions(1, first=9))
        exporter.until_counted("renamed", 10)


def test_truncation(exporter):
    log = exporter.folder / "truncated.jsonl"
    append(log, predictions(6))
    exporter.until_counted("truncated", 6)
    os.truncate(log, 0)
    append(log, predictions(2, first=6))
    found = exporter.until_counted("truncated", 8)
    assert found("ml_exporter_files_lost_total", source="truncated") == 1
    assert found("ml_exporter_files_lost_total", source="renamed") == 0


@pytest.mark.parametrize("name", ["vanishing", "folder", "unreadable"])
def test_a_source_that_fails_says_so_and_comes_back(exporter, name):
    log = exporter.folder / f"{name}.jsonl"
    append(log, predictions(2))
    exporter.until_counted(name, 2)
    log.unlink()
    if name == "folder":
        log.mkdir()
    elif name == "unreadable":
        log.symlink_to(log.name)  # even root cannot open a loop
    failing = exporter.until(lambda found: found("ml_exporter_source_up", source=name) == 0.0, "the source to fail")
    assert failing("ml_exporter_source_up", source=f"{name}-labels") == 1.0
    append(exporter.folder / "empty-labels.jsonl", lines([service.label(1, time.time())]))  # others go on
    told = f"{log}: expected a log file that can be read, got "
    assert told in html.unescape(fetch(exporter.server.url).decode())
    if name == "folder":
        log.rmdir()
    log.unlink(missing_ok=True)
    append(log, predictions(3, first=2))
    back = exporter.until_counted(name, 5)
    assert back("ml_exporter_source_up", source=name) == 1.0
    logged = [line for line in exporter.log().splitlines() if f"source={name}" in line]
    levels = [re.search(r"level=(\w+)", line)[1] for line in logged]
    assert (levels[0], levels[-1]) == ("ERROR", "INFO")
    assert len(levels) < 5  # once for each error, not for each attempt
    assert f"source fails source={name}: {told}" in logged[0]


def test_an_empty_log_is_fine(exporter):
    found = exporter.metrics()
    assert found("ml_exporter_source_up", source="empty") == 1.0
    assert found("ml_exporter_rows_read_total", source="empty") == 0.0
    assert found("ml_predictions_total", model="empty", version="") == 0.0
    assert found("ml_last_prediction_timestamp_seconds", model="empty") is None


def test_a_glob_takes_new_files_whatever_their_name(exporter):
    append(exporter.folder / "many-1.jsonl", predictions(2))
    exporter.until_counted("many", 2)
    with open(os.fsencode(exporter.folder) + b"/many-\xff.jsonl", "wb") as log:  # a name that is no UTF-8
        log.write(predictions(3, first=2))
    found = exporter.until_counted("many", 5)
    assert found("ml_exporter_state_up") == 1.0
    os.symlink(b"many-\xfe.jsonl", os.fsencode(exporter.folder) + b"/many-\xfe.jsonl")
    exporter.until(lambda found: found("ml_exporter_source_up", source="many") == 0.0, "a source that fails in part")
    append(exporter.folder / "many-1.jsonl", predictions(1, first=5))
    exporter.until_counted("many", 6)
    assert "many-?.jsonl: expected a log file that can be read" in fetch(exporter.server.url).decode()


def windowed(found, model):
    """Names of the gauges over windows."""
    return {name for name in found.names(model) if any("window" in labels for labels in found.series(name))}


ALWAYS = {f"ml_window_{what}" for what in ("rows", "start_timestamp_seconds", "end_timestamp_seconds")}
ALWAYS |= {"ml_false_alarm_alpha"}


@pytest.mark.parametrize("name", ["stopped", "lost"])
def test_what_is_stale_is_withheld(exporter, name):
    """A log that stops, before `idle_after`, and one that is lost: a source that fails is never idle."""
    log = exporter.folder / f"{name}.jsonl"
    written = [prediction(number, time.time() - number / 10) for number in range(50)]
    append(log, lines(written))

    def fresh(found):
        """Whether gauges are there. As long as they are not, rows go on coming: a slow machine is no stale log."""
        if windowed(found, name) > ALWAYS:
            return True
        written.append(prediction(len(written), time.time()))
        append(log, lines(written[-1:]))
        return False

    exporter.until(fresh, "gauges")
    exporter.until_counted(name, len(written))
    if name == "lost":
        log.unlink()
    stale = exporter.until(lambda found: windowed(found, name) == ALWAYS, "no gauges")
    end = stale("ml_window_end_timestamp_seconds", model=name, window="1d")
    assert end is not None
    assert time.time() - end > STALE_SECONDS
    newest = max(row["timestamp"] for row in written)
    assert stale("ml_last_prediction_timestamp_seconds", model=name) == pytest.approx(newest, abs=1e-3)
    assert stale("ml_predictions_total", model=name, version="v1") == len(written)
    assert 0 < stale("ml_window_rows", model=name, window="1d") <= len(written)  # those of full panes
    exporter.until(fresh, "gauges again")


def test_it_still_answers(exporter):
    assert fetch(f"{exporter.server.url}/-/healthy")
    assert "Traceback" not in exporter.log()


def test_a_second_exporter_is_refused(exporter):
    done = service.run_to_the_end(exporter.folder / "ml-exporter.yaml")
    assert done.returncode == 2
    assert "a state directory that can be written, got one that another process has locked" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
