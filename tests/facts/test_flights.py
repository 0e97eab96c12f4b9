"""The facts of real flights say what `/metrics` says, and what the logs themselves say."""

import json
import math
import re
import time
from datetime import UTC, datetime

import msgspec
import pandas as pd
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests import flight_logs
from tests.facts.looked import every_value, numbers
from tests.web.asking import Tags
from tests.web.test_app import ask

from ml_exporter.baseline import dump
from ml_exporter.config import parse
from ml_exporter.facts.answers import FeatureFacts, LabelFacts, ModelFacts, Models, OutlierFacts, Rejected
from ml_exporter.fielddocs import classes_of
from ml_exporter.make_baseline import ReferenceLogs, make
from ml_exporter.serve import Exporter
from ml_exporter.web import create_app
from ml_exporter.web.links import feature_path
from ml_exporter.web.openapi import ENDPOINTS, described

MODEL, DAY = "flight_delay", 86400.0
NOW = datetime(2013, 4, 30, 20, tzinfo=UTC).timestamp()
APART = {
    "ml_window_start_timestamp_seconds",
    "ml_window_end_timestamp_seconds",
    "ml_false_alarm_alpha",
    "ml_feature_psi_overdispersion",
}
"""Metrics of windows that are no number of a value: windows have bounds of their own, the others are for rules."""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flights")
    flight_logs.write(folder, "2013-04-27", "2013-05-01")
    document = yaml.safe_load((flight_logs.EXAMPLE / "ml-exporter.yaml").read_text())
    document["web"] = {"samples": True}
    document["models"][MODEL] |= {
        "segments": {"origin": {"column": "features.origin"}},
        "comparisons": ["previous", "version"],
    }
    config = folder / "ml-exporter.yaml"
    config.write_text(yaml.safe_dump(document))
    logs = ReferenceLogs(("reference/predictions.jsonl",), ("reference/labels.jsonl",))
    made = make(parse(config.read_text()), MODEL, logs, folder)
    (folder / "baseline.json").write_text(dump(made.baseline))
    running = Exporter(config, clock=lambda: NOW)
    while not running.read(time.monotonic() + 1.0):
        running.commit()
    running.commit()
    running.publish()
    yield running
    running.close()


@pytest.fixture(scope="module")
def facts(exporter):
    return exporter.snapshot.facts


@pytest.fixture(scope="module")
def scraped(exporter):
    """Every sample of the rendering, by name and labels."""
    families = text_string_to_metric_families(exporter.snapshot.exposition.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def logged(exporter):
    """The predictions that were read."""
    path = exporter.loaded.directory / "logs" / "predictions.jsonl"
    rows = pd.json_normalize([json.loads(line) for line in path.read_text().splitlines()])
    rows["at"] = (pd.to_datetime(rows["timestamp"], utc=True) - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    return rows[rows["at"] <= NOW + 300]


def test_every_number_is_the_exported_one_and_every_exported_one_is_shown(facts, scraped):
    found = facts.model(MODEL)
    shown = {}
    for value in every_value(found):
        for number, series in numbers(value, MODEL):
            shown[series] = number
            assert scraped[series] == number
    of_windows = {key for key in scraped if "window" in dict(key[1]) and key[0] not in APART}
    compared = {key for key in scraped if dict(key[1]).get("baseline") in ("reference", "previous_30d")}
    apart = {key for key in compared if key[0] in {*APART, "ml_baseline_info", "ml_baseline_created_timestamp_seconds"}}
    days = {key for key in compared if dict(key[1])["baseline"] == "previous_30d"}
    assert len(shown) > 500
    assert (of_windows | compared) - apart - shown.keys() <= days  # measures that the window of a day does not define


def test_all_that_is_missing_has_a_reason_and_nothing_else(facts):
    for value in every_value(facts.model(MODEL)):
        assert ("value" in value.missing) == (value.value is None)
        assert all(text and len(text) < 200 for text in value.missing.values())
        if "control" in value.missing:
            assert value.control is None
            assert "control limits" in value.missing["control"]


def test_windows_and_versions(facts, scraped):
    found = facts.model(MODEL)
    for window in found.windows:
        if window.role == "current":
            labels = frozenset({"model": MODEL, "window": window.name}.items())
            assert window.rows == scraped["ml_window_rows", labels] == found.summary.rows[window.name]
            assert window.start_at == scraped["ml_window_start_timestamp_seconds", labels]
            assert window.end_at == scraped["ml_window_end_timestamp_seconds", labels]
        else:
            assert window.matures_at <= NOW
    for version in found.versions:
        labels = frozenset({"model": MODEL, "version": version.name}.items())
        assert version.predictions == scraped["ml_predictions_total", labels]
    assert list(found.missing_windows) == ["matured 5m"]
    assert "3h" in found.missing_windows["matured 5m"]
    assert found.summary.next_steps[0].startswith("Labels of the current 1d mature in ")


def test_what_each_bin_adds_is_the_psi(facts, scraped):
    for name in facts.features(MODEL):
        for window in facts.feature(MODEL, name).windows:
            labels = {"model": MODEL, "window": window.name, "baseline": "reference", "feature": name}
            assert window.psi == scraped.get(("ml_feature_psi", frozenset(labels.items())))
            assert (window.psi is None) == ("psi" in window.missing) == (window.psi_bins == ())
            if window.psi is None:
                continue
            assert math.fsum(part.contribution for part in window.psi_bins) == pytest.approx(window.psi, rel=1e-12)
            assert sum(part.count for part in window.psi_bins) == window.summary.valid
            assert sum(part.share for part in window.psi_bins) == pytest.approx(1.0)
            places = [place for part in window.psi_bins for place in part.bins]
            assert len(set(places)) == len(places)
            filled = {place for place, item in enumerate(window.histogram) if item.count or item.baseline_count}
            assert filled <= set(places)


def test_histograms_hold_the_values_of_the_log(facts, logged):
    window = facts.feature(MODEL, "temp").windows[0]
    rows = logged[(logged["at"] >= window.start_at) & (logged["at"] < window.end_at)]["features.temp"]
    for item in window.histogram:
        inside = (rows >= (item.lower if item.lower is not None else -math.inf)) & (
            rows < (item.upper if item.upper is not None else math.inf)
        )
        assert item.count == inside.sum()
    window = facts.feature(MODEL, "carrier").windows[0]
    rows = logged[(logged["at"] >= window.start_at) & (logged["at"] < window.end_at)]["features.carrier"]
    counts = {item.label: item.count for item in window.histogram if item.label != "other"}
    assert {name: count for name, count in counts.items() if count} == rows.value_counts().to_dict()


def test_days_and_hours_are_those_of_the_log(facts, logged):
    found = facts.feature(MODEL, "wind_gust")
    assert [point.end_at - point.start_at for point in found.days] == [DAY] * len(found.days)
    assert len(found.hours) == 48
    for point in (*found.days, *found.hours):
        rows = logged[(logged["at"] >= point.start_at) & (logged["at"] < point.end_at)]["features.wind_gust"]
        assert point.summary.rows == len(rows)
        if len(rows):
            assert point.summary.null_ratio == pytest.approx(rows.isna().mean())
        if rows.notna().any():
            assert point.summary.mean == pytest.approx(rows.mean(), rel=1e-6)
        if rows.notna().sum() > 1 and rows.std() > 0:
            assert point.summary.deviation == pytest.approx(rows.std(), rel=5e-3)
    whole = found.windows[0]
    assert whole.name == "1d"
    assert whole.summary.rows == logged["at"].between(whole.start_at, whole.end_at, inclusive="left").sum()


def test_labels(facts, scraped):
    found = facts.labels(MODEL)
    assert {item.status: item.count for item in found.counts} == {
        dict(key[1])["status"]: value for key, value in scraped.items() if key[0] == "ml_labels_total"
    }
    longest = next(window for window in found.windows if window.name == found.delay_window)
    assert sum(item.count for item in found.delays) == longest.labelled
    assert sum(item.share for item in found.delays) == pytest.approx(1.0)
    assert [item.seconds for item in found.quantiles] == sorted(item.seconds for item in found.quantiles)
    matured = [day for day in found.days if day.matured]
    assert matured
    assert all(0.85 < day.labelled / day.joinable <= 1 for day in matured if day.joinable)
    labels = frozenset({"model": MODEL, "side": "predictions"}.items())
    assert found.pending_predictions == scraped["ml_exporter_join_pending_rows", labels]


def test_the_last_outliers_are_rows_of_the_log(exporter, facts, logged):
    found, counting = facts.outliers(MODEL), exporter.fleet.countings[MODEL]
    outliers = int(counting.layout.cells(counting.total, "outliers")["outliers"][0])
    assert found.kept == len(found.last) == min(20, outliers) > 0
    known = dict(zip(logged["id"], zip(logged["at"], logged["model_version"], strict=True), strict=True))
    for item in found.last:
        at, version = known[item.id]
        assert item.at == pytest.approx(at, abs=1e-5)
        assert item.version == version
        assert item.reasons
        assert set(item.reasons) <= set(found.reasons)


def test_refused_rows(facts, scraped):
    found = facts.rejected()
    for source in found.sources:
        for item in source.rejections:
            labels = frozenset({"source": source.name, "reason": item.reason}.items())
            assert item.count == scraped["ml_exporter_rows_rejected_total", labels]
            assert item.roles == {"predictions" if source.predictions_of else "labels": item.count}
        assert source.rows_rejected == sum(item.count for item in source.rejections)
    assert found.lines
    assert {line.reason for line in found.lines} == {"future"}


PATHS = {
    "/api/v1/models": Models,
    f"/api/v1/models/{MODEL}": ModelFacts,
    f"/api/v1/models/{MODEL}/features/temp": FeatureFacts,
    f"/api/v1/models/{MODEL}/features/carrier": FeatureFacts,
    f"/api/v1/models/{MODEL}/labels": LabelFacts,
    f"/api/v1/models/{MODEL}/outliers": OutlierFacts,
    "/api/v1/rejected": Rejected,
}


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_valid_and_in_the_documented_order(exporter, path):
    app = create_app(lambda: exporter.snapshot, lambda: NOW, "1.2.3")
    answer = ask(app, "GET", path, {})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    document = json.loads(answer.text, parse_constant=pytest.fail)
    assert msgspec.json.decode(answer.content, type=PATHS[path], strict=True)
    kind = PATHS[path].__name__
    schemas = json.loads(ask(app, "GET", "/api/v1/openapi.json", {}).text)["components"]["schemas"]
    assert list(document) == list(schemas[kind]["properties"])
    assert kind in {item.answer.__name__ for item in ENDPOINTS}


def test_every_page_of_the_flights_is_whole_and_small(exporter, facts):
    app = create_app(lambda: exporter.snapshot, lambda: NOW, "1.2.3")
    parts = [f"/models/{MODEL}{part}" for part in ("", "/labels", "/outliers")]
    for path in ["/", "/rejected", *parts, *(feature_path(MODEL, name) for name in facts.features(MODEL))]:
        answer = ask(app, "GET", path, {})
        assert answer.status_code == 200
        assert not Tags(answer.text).open
        assert not re.search(r"\b(None|nan|inf|Markup|object at)\b", re.sub(r"<style>.*?</style>", "", answer.text))
        assert len(answer.content) < 200_000


def test_every_field_is_documented():
    for item in described():
        assert item.text, item.name
        for field in item.fields:
            assert field.text.endswith("."), f"{item.name}.{field.name}"
    assert classes_of(msgspec.inspect)  # of any module
