"""Everything that a log may hold: good rows are counted, each loss is counted by reason, the exporter stays up."""

import json
import math
import time
from collections import Counter
from urllib.parse import quote

import pytest
from servers import fetch
from tests.serve import service
from tests.serve.service import HOSTILE, Metrics, append, label, lines, prediction, serve

from ml_exporter import __version__
from ml_exporter.records import LABEL_STATUSES, REJECT_REASONS, VIOLATION_KINDS
from ml_exporter.serve import Exporter
from ml_exporter.web import Address, Server, create_app

NOW = 1_800_000_000.0


def row(**changes):
    """Return a good prediction with changes; a value of `...` removes its key."""
    found = prediction(999, NOW - 20) | changes
    return {key: value for key, value in found.items() if value is not ...}


def line(**changes):
    return lines([row(**changes)])


def features(**changes):
    return row()["features"] | changes


REJECTED = {
    "no JSON": (b"time=12 level=info\n", "malformed"),
    "half an object": (line()[:40] + b"\n", "malformed"),
    "two objects": (line()[:-1] + line(), "malformed"),
    "two objects with a blank": (line()[:-1] + b" " + line(), "malformed"),
    "a list": (b"[" + line()[:-1] + b"]\n", "malformed"),
    "a number": (b"17\n", "malformed"),
    "null": (b"null\n", "malformed"),
    "invalid UTF-8": (line().replace(b'"v1"', b'"\xff\xfe"'), "malformed"),
    "half a surrogate pair": (line().replace(b'"v1"', b'"\\ud800"'), "malformed"),
    "NUL inside": (line().replace(b'"v1"', b'"v\0"'), "malformed"),
    "too deep": (b'{"a":' + b"[" * 1800 + b"]" * 1800 + b"}\n", "malformed"),
    "an id that is a fraction": (line(id=1.5), "wrong_type"),
    "an id that is a list": (line(id=["p1"]), "wrong_type"),
    "an id that is true": (line(id=True), "wrong_type"),
    "no id": (line(id=...), "missing_column"),
    "an id that is null": (line(id=None), "missing_column"),
    "no timestamp": (line(timestamp=...), "missing_column"),
    "an empty object": (b"{}\n", "missing_column"),
    "no zone": (line(timestamp="2027-01-15T08:00:00"), "bad_timestamp"),
    "a date": (line(timestamp="2027-01-15"), "bad_timestamp"),
    "a word for a time": (line(timestamp="now"), "bad_timestamp"),
    "a time that is true": (line(timestamp=True), "bad_timestamp"),
    "infinite time": (line(timestamp=math.inf), "bad_timestamp"),
    "13th month": (line(timestamp="2027-13-01T00:00:00Z"), "bad_timestamp"),
    "beyond the limit": (line(note="x" * 5000), "too_long"),
    "the future": (line(timestamp=NOW + 6), "future"),
    "a millennium ahead": (line(timestamp="9027-01-01T00:00:00Z"), "future"),
    "too old": (line(timestamp=NOW - 40 * service.DAY_SECONDS), "too_late"),
    "before 1970": (line(timestamp=-5), "too_late"),
}
KEPT = {
    "a blank line": (b"\n  \n", {}, {}),
    "a key nobody asked for": (line(colour="red"), {}, {}),
    "a key twice": (line()[:-2] + b', "score": 0.5}\n', {}, {}),
    "windows line end": (line()[:-1] + b"\r\n", {}, {}),
    "NaN": (line(features=features(temp=math.nan)), {"ml_feature_null_ratio": 1}, {}),
    "null": (line(features=features(temp=None)), {"ml_feature_null_ratio": 1}, {}),
    "Infinity": (line(features=features(temp=math.inf)), {"ml_feature_invalid_ratio": 1}, {}),
    "-Infinity": (line(features=features(temp=-math.inf)), {"ml_feature_invalid_ratio": 1}, {}),
    "too large": (line().replace(b'"temp": 23.0', b'"temp": 1e999'), {"ml_feature_invalid_ratio": 1}, {}),
    "a number in quotes": (line(features=features(temp="12.5")), {}, {"wrong_type": 1}),
    "a word for a number": (line(features=features(temp="warm")), {"ml_feature_invalid_ratio": 1}, {"wrong_type": 1}),
    "a list for a number": (line(features=features(temp=[1])), {"ml_feature_invalid_ratio": 1}, {"wrong_type": 1}),
    "no value": (line(features={"carrier": "AA"}), {"ml_feature_null_ratio": 1}, {"missing_column": 1}),
    "an unknown feature": (line(features=features(depth=1)), {}, {"unknown_column": 1}),
    "no features": (line(features=...), {"ml_feature_null_ratio": 1}, {"missing_column": 2}),
    "features are a list": (line(features=[1, 2]), {"ml_feature_null_ratio": 1}, {"missing_column": 2}),
    "out of range": (line(features=features(temp=900)), {"ml_feature_out_of_range_ratio": 1}, {}),
    "an epoch in ns": (line(timestamp=int((NOW - 20) * 1e9)), {}, {}),
    "an unknown class": (line(prediction="maybe"), {}, {}),
    "a score that is none": (line(score=17.5), {}, {}),
    "negative latency": (line(latency=-3), {}, {}),
}


@pytest.fixture
def follow(baseline_text, tmp_path):
    """Return a function that gives a log to an exporter in this process and returns what it serves."""
    running = []

    def run(content, labels=b"", **changes):
        path = service.prepare(tmp_path, baseline_text, "risk", **changes)
        document = service.config("risk", **changes)
        document["sources"]["risk"]["max_line_bytes"] = "4KiB"
        service.write_config(tmp_path, document)
        append(tmp_path / "risk.jsonl", content)
        append(tmp_path / "risk-labels.jsonl", labels)
        exporter = Exporter(path, lambda: NOW)
        running.append(exporter)
        while not exporter.read(math.inf):
            pass
        exporter.commit()
        exporter.clock = lambda: NOW + 3.0  # the log is idle
        exporter.publish()
        return exporter

    yield run
    for exporter in running:
        exporter.close()


def served(exporter):
    return Metrics(exporter.snapshot.exposition.decode())


def landing_page(exporter):
    server = Server(create_app(lambda: exporter.snapshot, lambda: NOW, __version__), [Address("127.0.0.1", 0)])
    server.start()
    try:
        return fetch(f"http://127.0.0.1:{server.port}/").decode()
    finally:
        server.stop()


def answers(exporter, *paths):
    """Return what the API says under some paths: JSON without anything that JSON does not know."""
    server = Server(create_app(lambda: exporter.snapshot, lambda: NOW, __version__), [Address("127.0.0.1", 0)])
    server.start()
    try:
        bodies = [fetch(f"http://127.0.0.1:{server.port}/api/v1/{path}") for path in paths]
    finally:
        server.stop()
    return [json.loads(body.decode(), parse_constant=pytest.fail) for body in bodies]


def between(content, count):
    """Return a line in the middle of good rows."""
    good = [prediction(number, NOW - 20) for number in range(count)]
    return lines(good[: count // 2]) + content + lines(good[count // 2 :])


def rejected(found, source):
    """Return how many rows were refused, by reason. Every reason has its series from the start."""
    metric = "ml_exporter_rows_rejected_total"
    counts = {reason: found(metric, source=source, reason=reason) for reason in REJECT_REASONS}
    assert None not in counts.values()
    return {reason: count for reason, count in counts.items() if count}


def check(found, rows, refused, violations):
    """Check every counter of what was read and what was lost."""
    assert rejected(found, "risk") == refused
    assert found("ml_exporter_rows_read_total", source="risk") == rows + sum(refused.values())
    assert found("ml_predictions_total", model="risk", version="v1") == rows
    assert found("ml_window_rows", model="risk", window="1d") == rows
    kinds = {kind: found("ml_schema_violations_total", model="risk", kind=kind) for kind in VIOLATION_KINDS}
    assert kinds == dict.fromkeys(VIOLATION_KINDS, 0.0) | violations
    assert found("ml_exporter_source_up", source="risk") == 1.0


@pytest.mark.parametrize("count", [4, 200], ids=["few", "many"])
@pytest.mark.parametrize(("content", "reason"), REJECTED.values(), ids=REJECTED.keys())
def test_a_row_that_is_refused(follow, content, reason, count):
    check(served(follow(between(content, count))), count, {reason: 1.0}, {})


@pytest.mark.parametrize("count", [4, 200], ids=["few", "many"])
@pytest.mark.parametrize(("content", "temp", "violations"), KEPT.values(), ids=KEPT.keys())
def test_a_row_that_is_kept(follow, content, temp, violations, count):
    found = served(follow(between(content, count)))
    rows = count + (1 if content.strip() else 0)
    check(found, rows, {}, violations)
    ratios = ("ml_feature_null_ratio", "ml_feature_invalid_ratio")
    counts = {name: found(name, model="risk", window="1d", feature="temp") * rows for name in ratios}
    assert counts == pytest.approx({name: temp.get(name, 0) for name in ratios})
    beyond = found("ml_feature_out_of_range_ratio", model="risk", window="1d", feature="temp")
    assert (beyond > 0) == ("ml_feature_out_of_range_ratio" in temp)


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\0" * 5000, b"\n\n"], ids=["BOM", "NUL hole", "blank lines"])
def test_the_start_of_a_file(follow, start):
    check(served(follow(start + between(b"", 4))), 4, {}, {})


def test_everything_at_once(follow):
    content = b"".join(between(dirty, 2) for dirty, *_ in (*REJECTED.values(), *KEPT.values()))
    found = served(follow(content))
    refused = Counter(reason for _, reason in REJECTED.values())
    violations = {kind: sum(item.get(kind, 0) for _, _, item in KEPT.values()) for kind in VIOLATION_KINDS}
    kept = 2 * (len(REJECTED) + len(KEPT)) + len(KEPT) - 1
    check(found, kept, refused, violations)


def test_labels_that_are_refused(follow):
    good = [label(number, NOW) for number in range(4)]
    dirty = [
        b"no label\n",
        lines([good[0] | {"id": 0.5}]),
        lines([{"id": "p1", "label": "yes"}]),
        lines([good[0] | {"label": None}]),
        lines([good[0] | {"timestamp": "yesterday"}]),
        lines([good[0] | {"timestamp": NOW + 60}]),
        lines([good[0] | {"label": "maybe"}]),
        lines([good[0] | {"id": "nobody"}]),
    ]
    found = served(follow(between(b"", 4), b"".join(lines(good[:2]) + item for item in dirty) + lines(good)))
    expected = {"malformed": 1.0, "wrong_type": 1.0, "missing_column": 2.0, "bad_timestamp": 1.0, "future": 1.0}
    assert rejected(found, "risk-labels") == expected
    statuses = {labels["status"]: found("ml_labels_total", **labels) for labels in found.series("ml_labels_total")}
    assert statuses == dict.fromkeys(LABEL_STATUSES, 0) | {"matched": 4, "early": 1, "duplicate": 16, "invalid": 1}
    assert found("ml_labelled_predictions_total", model="risk") == 4


def test_label_values_that_explode_in_number(follow):
    numbers = range(10_000)
    rows = (row(id=f"p{n}", version=f"v{n}", prediction=f"c{n}", features=features(carrier=f"AIR{n}")) for n in numbers)
    exporter = follow(lines(rows))
    found = served(exporter)
    versions = found.series("ml_predictions_total")
    assert len(versions) == 21
    assert found("ml_predictions_total", model="risk", version="__other__") == 9_980
    assert sum(found("ml_predictions_total", **labels) or 0 for labels in versions) == 10_000
    assert len(found.series("ml_model_version_info")) == 21
    assert found("ml_feature_unseen_category_ratio", model="risk", window="1d", feature="carrier") == 1.0
    assert found("ml_exporter_series", model="risk") < 500
    page = landing_page(exporter)
    assert len(page) < 20_000


def test_a_log_of_which_nothing_is_usable_says_why(follow):
    exporter = follow(lines(row(id=f"p{n}", timestamp=NOW - 40 * service.DAY_SECONDS) for n in range(1_200)) + b"{\n")
    assert "every row was refused (1,200 before_windows, 1 malformed)" in landing_page(exporter)


@pytest.mark.parametrize("count", [4, 200], ids=["few", "many"])
def test_hostile_names(tmp_path, count):
    path = service.prepare_hostile(tmp_path, count, NOW - 20)
    exporter = Exporter(path, lambda: NOW)
    assert exporter.read(math.inf)
    exporter.clock = lambda: NOW + 3.0
    exporter.publish()
    found = served(exporter)
    page = landing_page(exporter)
    told = answers(exporter, "models", "models/risk", "models/risk/labels", "models/risk/outliers", "rejected")
    features = answers(exporter, *(f"models/risk/features/{quote(name, safe='')}" for name in (HOSTILE, f"{HOSTILE}2")))
    exporter.close()
    assert told[0]["models"][0]["versions"] == [HOSTILE]
    assert [item["name"] for item in told[1]["versions"]] == [HOSTILE]
    assert {item["label"] for item in features[1]["windows"][0]["histogram"]} == {HOSTILE, "other"}
    assert [item["windows"][0]["summary"]["rows"] for item in features] == [count, count]
    assert found("ml_predictions_total", model="risk", version=HOSTILE) == count
    assert {labels["feature"] for labels in found.series("ml_feature_null_ratio")} == {HOSTILE, f"{HOSTILE}2"}
    assert {labels["class"] for labels in found.series("ml_prediction_class_ratio")} == {HOSTILE, "yes"}
    assert found("ml_schema_violations_total", model="risk", kind="missing_column") == 0
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;&amp;.jsonl" in page


def test_a_real_exporter_stays_up(baseline_text, tmp_path):
    path = service.prepare(tmp_path, baseline_text, "risk")
    clock = ("future", "too_late")  # they follow the real clock
    dirty = b"".join(content for content, reason in REJECTED.values() if reason not in clock)
    now = time.time()
    with serve(path) as exporter:
        append(tmp_path / "risk.jsonl", lines([prediction(1, now)]) + dirty + lines([prediction(2, now)]))
        found = exporter.until_counted("risk", 2)
        assert fetch(f"{exporter.server.url}/-/healthy")
        assert found("ml_exporter_rows_read_total", source="risk") >= 2 + len(REJECTED) - 4
        assert exporter.log().count("\n") == 1, json.dumps(exporter.log())
