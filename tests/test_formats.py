"""A few days of real flights give the very same baseline and gauges in every format."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests import convert, flight_logs

EXPORTER = Path(sys.executable).with_name("ml-exporter")
CONFIG = (flight_logs.EXAMPLE / "ml-exporter.yaml").read_text()
SUFFIXES = {"jsonl": ".jsonl", "csv": ".csv", "parquet": "-*.parquet"}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Return the rows of four logs by their path below the folder, without suffix."""
    folder = tmp_path_factory.mktemp("flights")
    flight_logs.write(folder, "2013-04-01", "2013-04-04")
    names = [f"{place}/{kind}" for place in ("reference", "logs") for kind in ("predictions", "labels")]
    return {name: convert.rows_of(folder / f"{name}.jsonl") for name in names}


def run(folder, *arguments):
    done = subprocess.run([EXPORTER, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def results(rows, tmp_path_factory):
    """Return baseline and gauges by format."""
    found = {}
    for name, suffix in SUFFIXES.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "reference").mkdir()
        (folder / "logs").mkdir()
        for stem, log in rows.items():
            writers = {"jsonl": convert.to_jsonl, "csv": convert.to_csv, "parquet": convert.to_parquet}
            writers[name](log, folder / stem)
        text = CONFIG.replace(".jsonl}", f"{suffix}, format: {name}}}")
        assert text.count(f"format: {name}") == 2
        (folder / "ml-exporter.yaml").write_text(text)
        logs = ["--predictions", f"reference/predictions{suffix}", "--labels", f"reference/labels{suffix}"]
        run(folder, "baseline", *logs)
        found[name] = (folder / "baseline.json").read_text(), gauges(run(folder, "once"))
    return found


def gauges(text):
    """An exposition without the times of the run."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("ml_exporter_batch_last_"))


@pytest.mark.parametrize("name", [name for name in SUFFIXES if name != "jsonl"])
def test_the_same_baseline_and_gauges_as_from_jsonl(results, name):
    assert results[name][0] == results["jsonl"][0]
    assert results[name][1] == results["jsonl"][1]
    assert "ml_roc_auc" in results[name][1]
