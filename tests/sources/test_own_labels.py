"""Labels in prediction records: a record may lack them, and a time of the label that is unreadable loses no row."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from tests import build

from ml_exporter.config import parse, prediction_stream
from ml_exporter.ingest import read_all

CONFIG = """
sources: {log: {files: "log.FORMAT", format: FORMAT}}
models:
  m:
    task: binary
    team: ops
    baseline: m.json
    classes: ["no", "yes"]
    predictions: {source: log, columns: {score: p, label: y, label_timestamp: known}}
    labels: {maturity: 1h}
"""
AT = 1_700_000_000
ROWS = [
    {"timestamp": AT, "id": 1, "p": 0.5},
    {"timestamp": AT, "id": 2, "p": 0.5, "y": None, "known": None},
    {"timestamp": AT, "id": 3, "p": 0.5, "y": "yes", "known": AT + 5},
    {"timestamp": AT, "id": 4, "p": 0.5, "y": "no", "known": "yesterday"},
    {"timestamp": AT, "id": 5, "p": 0.5, "y": "no"},
]


def content(form: str, repeat: int) -> str:
    """The rows as a log has them, each so many times."""
    rows = [row for row in ROWS for _ in range(repeat)]
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    names = ["timestamp", "id", "p", "y", "known"]
    texts = (["" if row.get(name) is None else str(row[name]) for name in names] for row in rows)
    return "".join(",".join(line) + "\n" for line in (names, *texts))


@pytest.mark.parametrize("repeat", [1, 200])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_every_record_is_kept(form: str, repeat: int, tmp_path: Path) -> None:
    log = tmp_path / f"log.{form}"
    log.write_text(content(form, repeat))
    config = parse(CONFIG.replace("FORMAT", form))
    found = read_all(config.sources["log"], [str(log)], prediction_stream("m", config), tmp_path)
    violations = sum((Counter(batch.violations) for batch in found.batches), Counter[str]())
    table = pa.concat_tables(batch.table for batch in found.batches).to_pydict()
    assert table["id"] == [str(number) for number in range(1, 6) for _ in range(repeat)]
    assert table["label"] == [value for value in (None, None, "yes", "no", "no") for _ in range(repeat)]
    stamp = (AT + 5) * build.SECOND
    assert table["label_timestamp"] == [value for value in (None, None, stamp, None, None) for _ in range(repeat)]
    assert found.rejected == {}
    assert violations == {"wrong_type": repeat}, "the unreadable time; a record without a label is as it should be"
