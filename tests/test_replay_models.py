"""One replay of several models: logs of every format, and one log that models share."""

import os
import re
import signal

import pytest
from tests import convert
from tests.replayed import replayed_files, served
from tests.serve import service
from tests.serve.test_shared_source import known, made
from tests.serve.test_shared_source import prepare as shared_log
from tests.test_replay import OPTIONS, TARGET, equal, same_files, samples
from tests.test_replaying import START, baseline_text, line

from ml_exporter.loading import load
from ml_exporter.recorded import Recorded
from ml_exporter.replay import running
from ml_exporter.replaying import Replaying
from ml_exporter.waiting import Arrivals

assert baseline_text
ROWS = 240
STEP_US = 15_000_000
WRITERS = {"jsonl": convert.to_jsonl, "csv": convert.to_csv, "parquet": convert.to_parquet}
NAMES_THE_MODEL = ("ml_baseline_info", "ml_exporter_series")


@pytest.fixture
def path(baseline_text, tmp_path):
    """Return a configuration of three models with the same rows in three formats, and two models with one log."""
    document = service.config(*WRITERS)
    shared = shared_log(tmp_path, baseline_text).read_text()
    rows = [service.prediction(number, float(START + number)) for number in range(ROWS)]
    labels = [service.label(number, row["timestamp"] + 5) for number, row in enumerate(rows)]
    for name, write in WRITERS.items():
        for source, logged in ((name, rows), (f"{name}-labels", labels)):
            files = f"{source}-[0-9]*.parquet" if name == "parquet" else f"{source}.{name}"
            document["sources"][source] |= {"files": files, "format": name}
            write(logged, tmp_path / source)
    other = service.yaml.safe_load(shared)
    document["sources"] |= other["sources"]
    document["models"] |= other["models"]
    service.write_baselines(tmp_path, baseline_text, WRITERS)
    for number in range(0, ROWS, 2):
        both = [
            row
            for name in other["models"]
            for row in (made(name, number, START + number), known(name, number, START + number))
        ]
        service.append(tmp_path / "log.jsonl", service.lines(both))
    return service.write_config(tmp_path, document)


def of_model(found, name):
    """Return the samples of a model without its name."""
    label = ("model", name)
    return {
        (metric, labels - {label}, at): value
        for (metric, labels, at), value in found.items()
        if label in labels and metric not in NAMES_THE_MODEL
    }


def value(found, metric, at, **labels):
    return found[metric, frozenset((labels | TARGET).items()), at]


def test_several_models_in_every_format(path, tmp_path, shell, monkeypatch):
    """Each is as if it were alone in any format, and interrupting them changes nothing."""
    assert shell("replay", "--config", path, "--output", tmp_path / "whole", *OPTIONS)[0] == 0
    found = samples(tmp_path / "whole")
    csv, jsonl, parquet = (of_model(found, name) for name in ("csv", "jsonl", "parquet"))
    assert any(metric == "ml_accuracy" for metric, _, _ in jsonl)
    assert equal(csv, jsonl)
    assert equal(parquet, jsonl)
    last = max(at for _, _, at in found)
    for source in ("csv", "jsonl", "parquet", "csv-labels", "parquet-labels"):
        assert value(found, "ml_exporter_rows_read_total", last, source=source) == ROWS
    assert value(found, "ml_exporter_rows_read_total", last, source="log") == ROWS * 2
    for name in ("risk", "churn"):
        assert value(found, "ml_predictions_total", last, model=name, version="v1") == ROWS / 2
    take, out = running.Run._take, tmp_path / "out"

    def interrupted(run, now_us):
        take(run, now_us)
        if run._record.instants in (4, 9):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(running.Run, "_take", interrupted)
    for instants in (4, 9):
        code, script, err = shell("replay", "--config", path, "--output", out, *OPTIONS)
        assert (code, script) == (130, "")
        assert re.search(rf": {instants} instants, \d+ samples, interrupted", err)
    monkeypatch.undo()
    assert shell("replay", "--config", path, "--output", out, *OPTIONS)[0] == 0
    assert same_files(out, tmp_path / "whole")


def lines_of_both(count):
    """Yield lines as written: of both models, of none, no JSON, from the future, and without a time."""
    for number in range(count):
        at, name = START + number, ("risk", "churn")[number % 2]
        yield at, line(made(name, number, at))
        if number % 3 == 0:
            yield at, line(known(name, number, at))
        if number % 5 == 0:
            yield at, line(made("nobody", number, at))
        if number % 7 == 3:
            yield at, b"no JSON\n"
        if number % 11 == 2:
            yield at, line(made(name, number, at + 1e6))
        if number % 13 == 4:
            yield at, line({"event": "made", "model": name, "id": "x"})


def test_a_shared_log_is_counted_as_it_was_served(tmp_path, baseline_text):
    path = shared_log(tmp_path, baseline_text)
    times = range(START * 1_000_000, (START + ROWS + 60) * 1_000_000, STEP_US)
    rows = [(round(at * 1e6), text) for at, text in lines_of_both(ROWS)]
    shown = list(served(path, {tmp_path / "log.jsonl": rows}, times))
    assert shown == list(replayed_files(load(path), times))
    rejected = [text for text in shown[-1] if text.startswith("ml_exporter_rows_rejected_total{")]
    assert sum(float(text.split()[-1]) > 10 for text in rejected) == len(
        ("malformed", "missing_column", "no_model", "future")
    )


def test_what_was_read_is_known_from_any_mark(path):
    """Lines until a mark and those behind it are all lines, each once."""
    loaded = load(path)
    times = range(START * 1_000_000, (START + ROWS) * 1_000_000, STEP_US)
    whole = Replaying(loaded)
    with Recorded(loaded) as logs:
        for _ in whole.looks([Arrivals(logs.pieces())], times):
            pass
    first, middle = Replaying(loaded), times[len(times) // 2]
    with Recorded(loaded) as logs:
        for now_us in first.looks([Arrivals(logs.pieces())], times):
            if now_us == middle:
                break
        marks = logs.marks(middle)
    with Recorded(loaded, marks=marks, after_us=middle) as logs:
        for _ in first.looks([Arrivals(logs.pieces())], range(middle + STEP_US, times.stop, STEP_US)):
            pass
    assert first.tallies == whole.tallies
    assert sum(whole.tallies.read.values()) > 5 * ROWS
