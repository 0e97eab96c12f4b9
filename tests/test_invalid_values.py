"""What a log says in place of numbers is kept as it stands there, whatever the format, and shown where allowed."""

import csv
import json
import math
from threading import Event

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import build
from tests.build import DAY, MINUTE, NOON, SECOND
from tests.facts.looked import facts

from ml_exporter.config import Source
from ml_exporter.outlying import KEPT, TEXT_CHARACTERS, LastTexts
from ml_exporter.records import Batch, Field, Stream
from ml_exporter.sources.follow import Position
from ml_exporter.sources.tail import Tail

NOW = NOON + 3 * build.HOUR
FIELDS = (
    Field("timestamp", ("timestamp",), "time", True),
    Field("id", ("id",), "id"),
    Field("prediction", ("prediction",), "text"),
    Field("score", ("score",), "number"),
    Field("feature:temp", ("features", "temp"), "number"),
    Field("feature:wind", ("features", "wind"), "number"),
)
STREAM = Stream("flights", "predictions", FIELDS)


def of_log(settings):
    """The rows of a log, which is one chunk."""
    with Tail(settings, [STREAM]) as tail:
        (batch,) = (parsed.batches[0] for parsed, _ in tail.batches(Position(), Event(), math.inf) if parsed.lines)
    return batch


def written(folder, form, temps):
    """A log with a row a minute, in which `temps` are the values of one feature."""
    rows = [
        {"timestamp": (NOON + place * MINUTE) / SECOND, "id": f"{place}", "prediction": "yes", "score": 0.7}
        for place in range(len(temps))
    ]
    path = folder / f"log.{form}"
    if form == "jsonl":
        lines = [row | {"features": {"temp": temp, "wind": 5.0}} for row, temp in zip(rows, temps, strict=True)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    elif form == "csv":
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*rows[0], "features.temp", "features.wind"])
            writer.writerows([*row.values(), temp, 5.0] for row, temp in zip(rows, temps, strict=True))
    else:
        table = pa.Table.from_pylist(rows).append_column("features.temp", pa.array(list(map(str, temps))))
        pq.write_table(table.append_column("features.wind", pa.array([5.0] * len(rows))), path)
    settings = msgspec.convert({"files": str(path), "format": form, "complete": True}, Source)
    return of_log(settings)


@pytest.mark.parametrize("rows", [3, 300], ids=["slow", "fast"])
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_every_format_says_what_stands_there(form, rows, tmp_path):
    temps = [10.5] * rows
    temps[0], temps[1] = "1,5", "<b>n/a</b>"
    counting = build.counting()
    counting.predictions(written(tmp_path, form, temps), NOW)
    found = facts(counting, NOW).feature("flights", "temp").invalid
    assert [(item.value, item.at * SECOND) for item in found.values] == [
        ("<b>n/a</b>", NOON + MINUTE),
        ("1,5", NOON),
    ]
    hidden = facts(counting, NOW, samples=False).feature("flights", "temp").invalid
    assert (hidden.values, hidden.kept) == ((), 2)
    assert "web: {samples: true}" in hidden.note
    assert facts(counting, NOW).feature("flights", "wind").invalid.kept == 0
    assert facts(counting, NOW).feature("flights", "carrier").invalid is None
    counting.panes.newest_us = NOON + DAY + MINUTE
    counting.expire(NOON + DAY + MINUTE)
    assert facts(counting, NOW).feature("flights", "temp").invalid.kept == 1


def test_a_list_and_a_number_too_large_are_spelled_as_the_log_does(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = ['"features": {"temp": [1.50, null]}', '"features": {"temp": 1e999}']
    path.write_text("".join(f'{{"timestamp": {NOON // SECOND + place}, {line}}}\n' for place, line in enumerate(lines)))
    counting = build.counting()
    counting.predictions(of_log(Source(files=str(path))), NOW)
    assert list(counting.invalid["temp"].texts) == ["[1.50,null]", "1e999"]


def test_rows_that_the_clock_refuses_do_not_shift_the_others(tmp_path):
    batch = written(tmp_path, "jsonl", ["a", "b", 1.0, "c"])
    counting = build.counting()
    counting.predictions(batch, NOON + MINUTE - counting.timing.future_us)
    assert list(counting.invalid["temp"].texts) == ["a", "b"]


def test_rows_without_a_log_have_no_texts():
    counting = build.counting()
    rows = build.table([build.prediction(NOON, 1, **{"feature:temp": float("inf")})])
    counting.predictions(Batch(rows, 1, offsets=np.arange(1)), NOW)
    assert counting.invalid == {}


def test_only_the_last_different_texts_are_kept_and_cut():
    last = LastTexts()
    for number in (*range(100), 90):
        last.note(f"{number:03}" + "x" * 1000, number)
    assert len(last.texts) == KEPT
    assert list(last.texts)[-1].startswith("090x")
    assert {len(text) for text in last.texts} == {TEXT_CHARACTERS}
