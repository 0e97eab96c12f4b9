"""One running exporter reads the same rows in every format, and shows the same for each model."""

import time

import pytest
from tests import convert
from tests.serve import service

ROWS = 3000
FORMATS = {"jsonl": "{}.jsonl", "csv": "{}.csv", "parquet": "{}-[0-9]*.parquet"}
NAMES_THE_MODEL = ("ml_baseline_info",)


WRITERS = {"jsonl": convert.to_jsonl, "csv": convert.to_csv, "parquet": convert.to_parquet}


def models(found, name):
    """Every series of a model, without its name."""
    rest = {}
    for (metric, labels), value in found.values.items():
        if ("model", name) in labels and not metric.endswith("_created") and metric not in NAMES_THE_MODEL:
            rest[metric, labels - {("model", name)}] = value
    return rest


@pytest.fixture
def exporter(baseline_text, tmp_path):
    document = service.config(*FORMATS)
    for name, files in FORMATS.items():
        for source in (name, f"{name}-labels"):
            document["sources"][source] |= {"files": files.format(source), "format": name}
    service.write_baselines(tmp_path, baseline_text, FORMATS)
    path = service.write_config(tmp_path, document)
    at = time.time() - 60
    rows = [service.prediction(number, round(at + number / 100, 3)) for number in range(ROWS)]
    labels = [service.label(number, row["timestamp"] + 0.5) for number, row in enumerate(rows)]
    for name in FORMATS:
        WRITERS[name](rows, tmp_path / name)
        WRITERS[name](labels, tmp_path / f"{name}-labels")
    with service.serve(path) as running:
        yield running


def labelled(found, name):
    return sum(found("ml_labels_total", model=name, status=status) or 0 for status in ("matched",))


def test_every_format_shows_the_same(exporter):
    def settled(found):
        return all(labelled(found, name) == ROWS and found("ml_accuracy", model=name, window="1d") for name in FORMATS)

    def same(found):
        if not settled(found):
            return False
        first, *others = (models(found, name) for name in FORMATS)
        return all(other == first for other in others)

    found = exporter.until(same, "the same series for every format")
    assert len(models(found, "parquet")) > 100
    for name in FORMATS:
        assert found("ml_exporter_rows_read_total", source=name) == ROWS
        assert found("ml_exporter_source_up", source=name) == 1
        assert found("ml_exporter_source_lag_bytes", source=name) == 0


def test_a_file_that_drops_while_serving_is_read_once_and_a_broken_one_is_said(exporter):
    name, folder = "parquet", exporter.folder
    exporter.until_counted(name, ROWS)
    rows = [service.prediction(number, time.time() - 1) for number in range(ROWS, ROWS + 30)]
    convert.to_parquet(rows, folder / "parquet-7")
    exporter.until_counted(name, ROWS + 30)
    (folder / "parquet-8.parquet").write_bytes(b"PAR1 no footer")
    exporter.until(lambda found: found("ml_exporter_source_up", source=name) == 0, "a source that is down")
    (folder / "parquet-8.parquet").unlink()
    found = exporter.until(lambda found: found("ml_exporter_source_up", source=name) == 1, "a source that is up")
    assert found("ml_predictions_total", model=name, version="v1") == ROWS + 30
