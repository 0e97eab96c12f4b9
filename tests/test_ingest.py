"""Feeds: one source for several models, labels after their predictions, and dirty lines from the file to the notes."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests import build
from tests.sources import dirty

from ml_exporter.config import label_stream, parse, prediction_stream
from ml_exporter.dead_letter import NAME, DeadLetter
from ml_exporter.facts.rows import rejections
from ml_exporter.ingest import Feed, Fleet, read_all, source_samples
from ml_exporter.loading import Loaded
from ml_exporter.records import Batch, Stream
from ml_exporter.sources.rows import Parsed

NOW = build.NOON + build.HOUR
KINDS = {kind.name: kind for kind in (*dirty.KINDS, *dirty.CLOCK)}


def fleet_of(text, folder, dead_letter=None):
    config = parse(text)
    return Fleet.of(Loaded(config, folder, dict.fromkeys(config.models, build.baseline())), dead_letter)


def read(fleet, now_us=NOW):
    assert fleet.read(lambda: now_us, lambda: False)
    return fleet


def rows(fleet, model):
    """Predictions counted for a model since the start."""
    return sum(fleet.countings[model].by_version.values())


def rejected(fleet):
    return {feed.name: {reason: count for reason, count in feed.rejected.items() if count} for feed in fleet.feeds}


def written(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def check_notes(notes, kind):
    """Every note leads to its line. Returns how many there are of each file."""
    content = notes.read_text(encoding="ascii").splitlines() if notes.exists() else []
    found = [json.loads(line) for line in content]
    for note in found:
        line = Path(note["file"]).read_bytes()[note["offset"] :].split(b"\n", 1)[0]
        assert line == kind.jsonl
        assert note["reason"] == kind.becomes
        assert note["digest"] == hashlib.blake2b(line, digest_size=8).hexdigest()
        assert note["line"] == line[:1000].decode("utf-8", "backslashreplace")
    assert len({(note["file"], note["offset"]) for note in found}) == len(found)
    return Counter(note["file"] for note in found)


@pytest.mark.parametrize("name", KINDS)
def test_dirty_lines_from_the_file_to_the_notes(tmp_path, name):
    """Files in which 1, 10 and 100 % of the lines are of one kind."""
    kind = KINDS[name]
    good, rejects, violations, noted = 0, Counter(), Counter(), Counter()
    for share in (1, 10, 100):
        log = tmp_path / f"{share}.jsonl"
        lines = [dirty.good(1), *dirty.mixed(kind.jsonl, share, 300)]
        log.write_bytes(b"".join(line + b"\n" for line in lines))
        rows_of_file, rejects_of_file, violations_of_file = dirty.expected(kind, lines, kind.jsonl)
        good += len(rows_of_file)
        rejects += rejects_of_file
        violations += violations_of_file
        noted[str(log)] = rejects_of_file.total()
    dead_letter = DeadLetter(tmp_path / NAME, 1 << 20, values=True, most=1000)
    fleet = read(fleet_of(dirty.CONFIG % "*.jsonl", tmp_path, dead_letter), dirty.NOW_US)
    dead_letter.write(0.0)
    counting, feed = fleet.countings["flights"], fleet.feeds[0]
    assert rows(fleet, "flights") == good
    assert counting.layout.cells(counting.total, "rows")["rows"][0] == good
    assert +feed.rejected == rejects
    assert +counting.violations == violations
    assert feed.rows_read == good + rejects.total()
    assert check_notes(tmp_path / NAME, kind) == +noted
    fleet.close()


MODEL = """
  {name}:
    task: binary
    team: ops
    baseline: {name}.json
    classes: ["no", "yes"]
    predictions:
      source: log
      columns: {{version: version, prediction: prediction, score: score, latency: latency}}
      {made}
    labels: {{source: {labels}, maturity: 30m, {known}}}
    features:
      object: {object}
      numeric: {{temp: , wind: }}
      categorical: {{carrier: }}
"""


def config(source="model: {column: model}", models=("flights", "ships"), labels="log", **changes):
    """Models that share one source. Their features are in objects of their own, so their rows have different keys."""
    events = {"made": "where: {event: made}", "known": "where: {event: known}"} | changes
    text = "".join(MODEL.format(name=name, object=name, labels=labels, **events) for name in models)
    return (
        f'sources:\n  log: {{files: "log.jsonl", {source}}}\n  truth: {{files: "truth.jsonl", {source}}}\nmodels:{text}'
    )


def record(model, number, event="made", **changes):
    """A prediction or label of a model."""
    time = build.NOON + number * build.SECOND
    if event == "known":
        found = {"timestamp": time + build.MINUTE, "id": f"{model}{number}", "label": ("no", "yes")[number % 2]}
    else:
        row = build.prediction(time, number, id=f"{model}{number}")
        inner = {key.removeprefix("feature:"): value for key, value in row.items() if key.startswith("feature:")}
        found = {key: value for key, value in row.items() if not key.startswith("feature:")} | {model: inner}
    return {"model": model, "event": event} | found | changes


def shuffled(seed=1, models=("flights", "ships"), count=400):
    """Predictions of all models in one log, and labels of every third, each some lines later."""
    random = np.random.default_rng(seed)
    made = [record(model, number) for number in range(count) for model in models]
    known = [record(model, number, "known") for number in range(0, count, 3) for model in models]
    places = [2 * number + random.random() for number in range(len(made))]
    places += [6 * number + random.integers(1, 200) for number in range(len(known))]
    return [(made + known)[place] for place in np.argsort(places, kind="stable")]


def test_one_log_feeds_several_models(tmp_path):
    """The same as if each had logs of its own."""
    records = shuffled()
    written(tmp_path / "log.jsonl", records)
    fleet = read(fleet_of(config(), tmp_path))
    assert [feed.name for feed in fleet.feeds] == ["log"]
    assert fleet.feeds[0].rows_read == len(records)
    assert rejected(fleet) == {"log": {}}
    for model in ("flights", "ships"):
        alone = tmp_path / model
        alone.mkdir()
        own = [item for item in records if item["model"] == model]
        written(alone / "log.jsonl", [item for item in own if item["event"] == "made"])
        written(alone / "truth.jsonl", [item for item in own if item["event"] == "known"])
        single = read(fleet_of(config("", [model], "truth", made="", known=""), alone))
        mine, theirs = fleet.countings[model], single.countings[model]
        assert mine.total.tolist() == theirs.total.tolist()
        assert mine.violations == theirs.violations
        assert mine.statuses["matched"] == theirs.statuses["matched"] == 134
        assert rows(fleet, model) == 400
        single.close()
    fleet.close()


def test_rows_of_no_model_are_counted_and_noted(tmp_path):
    records = [record("flights", number) for number in range(200)]
    records += [record("trains", number) for number in range(150)]
    records += [record("flights", number, "started") for number in range(100)]
    records += [{"message": "hello", "number": number} for number in range(90)]
    written(tmp_path / "log.jsonl", records)
    dead_letter = DeadLetter(tmp_path / NAME, 1 << 20, values=False)
    fleet = read(fleet_of(config(), tmp_path, dead_letter))
    assert rejected(fleet) == {"log": {"no_model": 340}}
    assert rows(fleet, "flights") == 200
    dead_letter.write(0.0)
    notes = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert [note["reason"] for note in notes] == ["no_model"] * 21
    assert notes[-1]["more"] == 320
    fleet.close()


def test_names_from_a_log_add_nothing(tmp_path):
    """However many models a log names, there are as many series, and as much memory."""
    with (tmp_path / "log.jsonl").open("w") as log:
        for number in range(20_000):
            log.write(json.dumps({"model": f"m{number}\n\u202e\x00", "event": "made"}) + "\n")
    dead_letter = DeadLetter(tmp_path / NAME, 1 << 20, values=True)
    fleet = fleet_of(config(), tmp_path, dead_letter)
    before = len(list(source_samples(fleet, 0.0)))
    read(fleet)
    assert len(list(source_samples(fleet, 0.0))) == before
    assert rejected(fleet) == {"log": {"no_model": 20_000}}
    assert len(dead_letter._notes) == 20
    fleet.close()


def test_a_record_scored_by_two_models(tmp_path):
    """Two models may want the same rows when they read different answers from them."""
    text = config("", made="", known="where: {event: known}").replace("score: score", "score: NAME", 2)
    text = text.replace("prediction: prediction, ", "").replace("source: log, maturity", "source: truth, maturity")
    text = text.replace("score: NAME", "score: a", 1).replace("score: NAME", "score: b", 1)
    row = record("flights", 7, a=0.25, b=0.75) | {"ships": record("ships", 7)["ships"]}
    written(tmp_path / "log.jsonl", [row, row | {"timestamp": "never"}, {"timestamp": None, "id": "x"}])
    written(tmp_path / "truth.jsonl", [record("flights", 7, "known")])
    dead_letter = DeadLetter(tmp_path / NAME, 1 << 20, values=False)
    fleet = read(fleet_of(text, tmp_path, dead_letter))
    assert rows(fleet, "flights") == rows(fleet, "ships") == 1
    assert fleet.feeds[0].rows_read == 3
    # refused by both models for the same reason, but one line each
    assert rejected(fleet)["log"] == {"bad_timestamp": 1, "missing_column": 1}
    assert [fleet.countings[name].statuses["matched"] for name in ("flights", "ships")] == [1, 1]
    fleet.close()


def test_refused_lines_are_counted_by_role_too():
    """A line that two roles refuse counts for each of them, and once for the source; some belong to nobody."""
    refused = [{"bad_timestamp": np.array([10, 20])}, {"bad_timestamp": np.array([20, 30])}]
    batches = tuple(Batch(pa.table({}), 0, refused=places) for places in refused)
    streams = tuple(Stream("flights", role, ()) for role in ("predictions", "labels"))
    feed = Feed("log", None, streams, (None, None))
    feed._take(Parsed(batches, 4, {"malformed": np.array([5])}, lambda place: b""), NOW)
    assert feed.rejected == Counter(bad_timestamp=3, malformed=1)
    assert feed.by_role == Counter(
        {("predictions", "bad_timestamp"): 2, ("labels", "bad_timestamp"): 2, (None, "malformed"): 1}
    )
    found = rejections(feed.rejected, feed.by_role)
    assert [(item.reason, item.count, item.roles) for item in found] == [
        ("bad_timestamp", 3, {"predictions": 2, "labels": 2}),
        ("malformed", 1, {"unknown": 1}),
    ]


def test_labels_wait_for_predictions_of_their_models(tmp_path):
    """Labels in a log of their own are read when no predictions are left, whichever model is behind."""
    written(tmp_path / "log.jsonl", [record(model, n) for n in range(50) for model in ("flights", "ships")])
    written(tmp_path / "truth.jsonl", [record(model, n, "known") for n in range(50) for model in ("flights", "ships")])
    fleet = fleet_of(config(labels="truth"), tmp_path)
    assert [feed.name for feed in fleet.feeds] == ["log", "truth"]
    fleet.read(lambda: NOW, lambda: fleet.feeds[0].rows_read > 0)
    assert [feed.rows_read for feed in fleet.feeds] == [100, 0]
    read(fleet)
    for model in ("flights", "ships"):
        statuses = fleet.countings[model].statuses
        assert (statuses["matched"], statuses["early"]) == (50, 0)
    fleet.close()


def test_label_and_prediction_in_one_chunk(tmp_path):
    """Predictions of a chunk come first, so that a label before its prediction does not have to wait."""
    written(tmp_path / "log.jsonl", [record("flights", 1, "known"), record("flights", 1)])
    fleet = read(fleet_of(config(models=["flights"]), tmp_path))
    assert fleet.countings["flights"].statuses["early"] == 0
    assert fleet.countings["flights"].statuses["matched"] == 1
    fleet.close()


def test_a_failing_source_holds_all_its_models(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    fleet = fleet_of(config(), tmp_path)
    for counting in fleet.countings.values():
        counting.panes.newest_us = build.NOON
    read(fleet)
    fleet.hold_failing(NOW)
    assert [counting.last_arrival_us for counting in fleet.countings.values()] == [NOW, NOW]
    for name in fleet.countings:
        assert "log.jsonl" in next(fleet.troubles(name, usable=True))
    fleet.close()


def test_a_place_is_kept_by_source(tmp_path):
    records = shuffled()
    written(tmp_path / "log.jsonl", records[:500])
    first = read(fleet_of(config(), tmp_path))
    written(tmp_path / "log.jsonl", records)
    second = fleet_of(config(), tmp_path)
    second.restore(first.positions())
    read(second)
    assert [fleet.feeds[0].rows_read for fleet in (first, second)] == [500, len(records) - 500]
    first.close()
    second.close()


@pytest.mark.parametrize("model", ["flights", "ships"])
def test_reference_logs_are_split_too(tmp_path, model):
    written(tmp_path / "log.jsonl", shuffled())
    found = parse(config())
    source = found.sources["log"]
    made = read_all(source, ["log.jsonl"], prediction_stream(model, found), tmp_path)
    known = read_all(source, ["log.jsonl"], label_stream(model, found.models[model].labels, found), tmp_path)
    assert sum(batch.table.num_rows for batch in made.batches) == 400
    assert sum(batch.table.num_rows for batch in known.batches) == 134
    assert made.rejected == Counter(no_model=400 + 2 * 134)


def test_one_reason_is_counted_once_a_line(tmp_path):
    """`rows_rejected` never says more than there were lines."""
    Path(tmp_path / "log.jsonl").write_bytes(b"garbage\n" * 3 + b"\n")
    fleet = read(fleet_of(config(), tmp_path))
    assert rejected(fleet) == {"log": {"malformed": 3}}
    assert fleet.feeds[0].rows_read == 3
    fleet.close()
