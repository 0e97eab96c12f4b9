"""Recorded logs come in the order of arrival, however they are spread over files, and go on from any mark."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serve import service
from tests.serve.service import label, prediction

from ml_exporter.faults.played import ARRIVAL
from ml_exporter.loading import load
from ml_exporter.recorded import Recorded, read_played
from ml_exporter.recorded.arriving import LOOKED_AHEAD, arrivals

START = 1_700_000_000
COUNT = 400


def expected_arrivals(times, following, latest, tolerance, possible):
    """The same in a loop."""
    found = []
    for place, own in enumerate(times):
        below = [*times[place + 1 :], *following][:LOOKED_AHEAD]
        wrong = own > possible or (below and own > max(below) + tolerance)
        latest = max(latest, latest if wrong else own)
        found.append(latest)
    return found


TIMES = st.lists(st.integers(0, 60), max_size=30)


@given(TIMES, TIMES, st.integers(0, 40), st.integers(0, 10), st.integers(20, 70))
def test_arrivals(times, following, latest, tolerance, possible):
    arrays = (np.array(times, np.int64), np.array(following, np.int64))
    found = arrivals(*arrays, latest, (tolerance, possible))
    assert found.tolist() == expected_arrivals(times, following, latest, tolerance, possible)


@given(TIMES, st.integers(0, 30))
def test_arrivals_of_a_file_in_pieces(times, cut):
    """Where it is cut makes no difference, as long as the rows below are seen."""
    array = np.array(times, np.int64)
    whole = arrivals(array, array[:0], 0, (5, 100))
    first = arrivals(array[:cut], array[cut:], 0, (5, 100))
    latest = int(first.max(initial=0))
    assert [*first, *arrivals(array[cut:], array[:0], latest, (5, 100))] == whole.tolist()


def test_a_clock_that_is_wrong_holds_nobody_up():
    """A client that flushes late arrives late, one from the future with the others."""
    array = np.array([100, 101, 900, 102, 103, 50, 51, 104], np.int64)
    assert arrivals(array, array[:0], 0, (10, 10_000)).tolist() == [100, 101, 101, 102, 103, 103, 103, 104]


@pytest.fixture(scope="module")
def baseline_text(tmp_path_factory):
    return service.make_artefact(tmp_path_factory.mktemp("reference"))


def rows():
    """Predictions with the time of their label, the predictions in the order of time."""
    for number in range(COUNT):
        yield number, START + number, START + number + 5 + number * 7 % 90


def write_whole(folder):
    service.append(folder / "risk.jsonl", service.lines(prediction(number, at) for number, at, _ in rows()))
    known = sorted(rows(), key=lambda row: row[2])
    service.append(folder / "risk-labels.jsonl", service.lines(label(number, at) for number, _, at in known))


def read(path):
    """Return id and arrival of all predictions, then of all labels, after a check of the order of the pieces."""
    found, last = ([], []), -1
    for played in read_played(load(path), "risk"):
        ends = []
        for kept, table in zip(found, (played.predictions, played.labels), strict=True):
            if table.num_rows:
                times = table.column(ARRIVAL).to_numpy()
                assert (np.diff(times) >= 0).all()
                assert times[0] >= last
                ends.append(times[-1])
                kept.extend(zip(table.column("id").to_pylist(), times.tolist(), strict=True))
        last = max(ends, default=last)
    return found


def test_many_files_are_one_log(tmp_path, baseline_text):
    """Two replicas side by side, one of which was rotated twice and compressed."""
    whole, spread = tmp_path / "whole", tmp_path / "spread"
    for folder in (whole, spread):
        folder.mkdir()
    path = service.prepare(whole, baseline_text, "risk")
    write_whole(whole)
    document = service.config("risk")
    document["sources"]["risk"]["files"] = "replica-?.jsonl"
    service.write_baselines(spread, baseline_text, ["risk"])
    service.write_config(spread, document)
    lines = (whole / "risk.jsonl").read_bytes().splitlines(keepends=True)
    (spread / "replica-a.jsonl").write_bytes(b"".join(lines[::2][150:]))
    (spread / "replica-a.jsonl.1").write_bytes(b"".join(lines[::2][60:150]))
    (spread / "replica-a.jsonl.2.gz").write_bytes(gzip.compress(b"".join(lines[::2][:60])))
    (spread / "replica-b.jsonl").write_bytes(b"".join(lines[1::2]))
    (spread / "risk-labels.jsonl").write_bytes((whole / "risk-labels.jsonl").read_bytes())
    found = read(path)
    assert [len(kind) for kind in found] == [COUNT, COUNT]
    assert found == read(spread / "ml-exporter.yaml")


@pytest.mark.parametrize("seed", [None, 1])
def test_parquet_in_any_order_is_sorted(tmp_path, baseline_text, seed):
    """With labels in the records: a row arrives when its label is known, and row groups may overlap."""
    document = service.config("risk")
    document["sources"] = {"risk": {"files": "risk.parquet", "format": "parquet", "settle": "0s", "idle_after": "1s"}}
    model = document["models"]["risk"]
    model["predictions"]["columns"] |= {"label": "label", "label_timestamp": "known"}
    model["labels"] = {"maturity": "1s"}
    service.write_baselines(tmp_path, baseline_text, ["risk"])
    path = service.write_config(tmp_path, document)
    found = [prediction(number, at) | {"label": "yes", "known": known} for number, at, known in rows()]
    table = pa.Table.from_pylist(found)
    for name in ("timestamp", "known"):
        times = pa.array([round(row[name] * 1e6) for row in found], pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(name), name, times)
    order = np.argsort([known for *_, known in rows()], kind="stable")
    if seed is not None:
        order = np.random.default_rng(seed).permutation(COUNT)
    pq.write_table(table.take(pa.array(order)), tmp_path / "risk.parquet", row_group_size=50)
    predictions, labels = read(path)
    assert not labels
    assert sorted(predictions) == sorted((f"p{number}", known * 1_000_000) for number, _, known in rows())


@pytest.mark.parametrize("after", [-1, 0, 7, 250, 399, 600])
def test_reading_goes_on_from_any_mark(tmp_path, baseline_text, after):
    """What was handed out until an instant and what comes from its marks are all rows, each once."""
    path = service.prepare(tmp_path, baseline_text, "risk")
    write_whole(tmp_path)
    everything = [row for kind in read(path) for row in kind]
    now_us = (START + after) * 1_000_000
    with Recorded(load(path)) as logs:
        for piece in logs.pieces():
            if piece.until_us >= now_us:
                break
        marks = json.loads(json.dumps({name: mark.latest_us for name, mark in logs.marks(now_us).items()}))
        kept = logs.marks(now_us)
    assert all(latest <= now_us for latest in marks.values())
    rest = []
    with Recorded(load(path), marks=kept, after_us=now_us) as logs:
        for piece in logs.pieces():
            for played in piece.played.values():
                for table in (played.predictions, played.labels):
                    if table.num_rows:
                        rest += zip(table.column("id").to_pylist(), table.column(ARRIVAL).to_pylist(), strict=True)
    assert sorted(rest) == sorted(row for row in everything if row[1] > now_us)
