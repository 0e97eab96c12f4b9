"""The configuration: what is good is read, and what is bad is refused with a text that says where, what and how."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests import build

from ml_exporter.config import (
    Features,
    Labels,
    Model,
    Time,
    answer_kind,
    kinds,
    label_fields,
    parse,
    prediction_fields,
    segment_limits,
    window_seconds,
)
from ml_exporter.errors import ConfigError
from ml_exporter.records import Field
from ml_exporter.strict import Duration, Section

INVALID = sorted(Path(__file__).parent.joinpath("config").glob("invalid-*.yml"))

MINIMAL = """
sources:
  log: {files: predictions.jsonl}
models:
  flights:
    task: binary
    team: ops
    baseline: flights.json
    classes: ["no", "yes"]
    predictions:
      source: log
      columns: {score: score}
"""

FULL = """
state: /var/lib/ml-exporter
interval: 30s
time: {pane: 1s, hour: 2m, day: 48m, stale_after: 500ms, future_tolerance: 0s}
dead_letter: {max_size: 1MiB, values: true}
web: {samples: true, grafana_url: "https://grafana.test/x", prometheus_url: "http://[::1]:9090/"}
sources:
  answers:
    {files: "logs/*.jsonl", format: jsonl, delimiter: ";", settle: 1.5m, idle_after: 1h, max_line_bytes: 64KiB,
     complete: true, model: {column: m}}
  truth: {files: labels.jsonl}
  kinds: {files: kinds.jsonl}
  minutes: {files: minutes.jsonl}
models:
  kind:
    task: multiclass
    team: ops
    baseline: kind.json
    classes: ["early", "on time", "late"]
    predictions:
      source: kinds
      columns: {scores: {late: p.late, early: p.early, on time: p.punctual}}
  delay:
    task: regression
    team: ops
    baseline: delay.json
    predictions: {source: minutes, columns: {prediction: minutes}}
  flights:
    task: binary
    team: ops
    tier: "1"
    baseline: flights.json
    classes: ["on time", "late"]
    decision_threshold: 0.3
    predictions:
      source: answers
      columns:
        {timestamp: meta.ts, id: meta.id, version: v, prediction: a, score: p, latency: t, fallback: f, error: e,
         label: y, label_timestamp: known}
      where: {meta.event: answer}
    labels:
      source: truth
      columns: {id: flight, label: late, timestamp: landed}
      where: {final: "true"}
      align: prediction
      maturity: 6h
      grace: 30m
      expire_after: 7d
      corrections: last
      max_pending: 1000000
    features:
      object: input.features
      prefix: f_
      numeric: {temp: {range: [-30, 50]}, wind: {range: [0, null]}, visib: }
      categorical: {carrier: , "say \\"hi\\"\\n<b>": {}}
      distances: [wasserstein, js]
    latency: {limit: 300ms, unit: us}
    windows: {features: [1d], head: [1h, 1d], quality: [30d, 7d], segments: [1d, 7d]}
    segments: {country: {column: geo.country, limit: 5}, version: }
    comparisons: [previous, last_week, version]
    false_alarms_per_month: 0.5
    series_limit: 500
"""


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem.removeprefix("invalid-"))
def test_each_fault_is_told_exactly(path: Path) -> None:
    """The first line of every bad file is the text that it must give."""
    text = path.read_text(encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        parse(text, path.name)
    assert str(refused.value) == text.splitlines()[0].removeprefix("# ")


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem.removeprefix("invalid-"))
def test_each_fault_is_told_alike_without_libyaml(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    test_each_fault_is_told_exactly(path)


def test_what_is_good_is_read_alike_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    by_default = parse(MINIMAL)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert parse(MINIMAL) == by_default


def test_every_fault_is_told_at_once() -> None:
    text = MINIMAL.replace("team: ops", "tiem: ops").replace("binary", "ternary") + "interval: 1\nextra: {}\n"
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert [problem.where for problem in refused.value.problems] == [
        "config.extra",
        "config.models.flights.tiem",
        "config.models.flights.task",
        "config.models.flights.team",
        "config.interval",
    ]
    assert len(str(refused.value).splitlines()) == 5


def test_every_contradiction_is_told_at_once() -> None:
    text = MINIMAL.replace("source: log", "source: lag").replace('"no", "yes"', '"a", "a"').replace("score: s", "id: s")
    with pytest.raises(ConfigError) as refused:
        parse(text + "time: {pane: 7m, day: 1h}\n    ".rstrip(" "))
    assert [problem.where.removeprefix("config.") for problem in refused.value.problems] == [
        "time.hour",
        "models.flights.predictions.source",
        "models.flights.predictions.columns",
        "models.flights.classes",
    ]


def test_a_minimal_file_gets_the_defaults() -> None:
    config = parse(MINIMAL)
    model = config.models["flights"]
    assert (config.state, config.interval, config.time) == ("state", 15.0, Time())
    assert (model.tier, model.decision_threshold, model.labels, model.features) == ("3", 0.5, None, Features())
    assert (config.sources["log"].settle, config.sources["log"].max_line_bytes) == (60.0, 1 << 20)
    assert window_seconds("1d", config.time) == 86400.0


def test_a_full_file_is_read_whole() -> None:
    config = parse(FULL)
    model, source = config.models["flights"], config.sources["answers"]
    assert (config.interval, config.time.hour, config.time.stale_after) == (30.0, 120.0, 0.5)
    assert (source.settle, source.idle_after, source.max_line_bytes, source.complete) == (90.0, 3600.0, 65536, True)
    assert (model.tier, model.classes, model.latency.limit) == ("1", ("on time", "late"), 0.3)
    assert model.labels is not None
    assert (model.labels.maturity, model.labels.expire_after) == (21600.0, 604800.0)
    assert (model.labels.corrections, model.labels.max_pending) == ("last", 1_000_000)
    assert model.windows.quality == ("30d", "7d")
    numeric = model.features.numeric
    assert [settings and settings.range for settings in numeric.values()] == [(-30, 50), (0, None), None]


def test_segments_and_what_they_read() -> None:
    model = parse(FULL).models["flights"]
    assert segment_limits(model) == {"country": 5, "version": 20}
    assert Field("segment:country", ("geo", "country"), "text") in prediction_fields(model)
    assert "segment:version" not in {item.name for item in prediction_fields(model)}


def test_versions_that_are_compared_are_a_segment() -> None:
    text = MINIMAL.replace("{score: score}", "{score: score, version: v}") + "    comparisons: [version]\n"
    assert segment_limits(parse(text).models["flights"]) == {"version": 20}
    assert segment_limits(parse(MINIMAL).models["flights"]) == {}


def test_the_full_file_has_every_key() -> None:
    """So that a new key cannot escape these tests."""
    sections = (section for section in Section.__subclasses__() if section.__module__.startswith("ml_exporter.config."))
    known = {name for section in sections for name in section.__struct_fields__}
    assert known - keys_of(yaml.safe_load(FULL)) == set()


def keys_of(value: object) -> set[str]:
    """The keys of all mappings in a YAML document."""
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(keys_of(item) for item in value.values()))


def test_fields_follow_the_columns() -> None:
    model = parse(FULL).models["flights"]
    assert prediction_fields(model) == (
        Field("timestamp", ("meta", "ts"), "time", required=True),
        Field("id", ("meta", "id"), "id", required=True),
        Field("version", ("v",), "text"),
        Field("prediction", ("a",), "text"),
        Field("score", ("p",), "number"),
        Field("latency", ("t",), "number", per=1_000_000),
        Field("fallback", ("f",), "flag"),
        Field("error", ("e",), "flag"),
        Field("label", ("y",), "text", may_lack=True),
        Field("label_timestamp", ("known",), "time", may_lack=True),
        Field("segment:country", ("geo", "country"), "text"),
        Field("feature:temp", ("input", "features", "f_temp"), "number"),
        Field("feature:wind", ("input", "features", "f_wind"), "number"),
        Field("feature:visib", ("input", "features", "f_visib"), "number"),
        Field("feature:carrier", ("input", "features", "f_carrier"), "text"),
        Field('feature:say "hi"\n<b>', ("input", "features", 'f_say "hi"\n<b>'), "text"),
    )
    assert model.labels is not None
    assert [(field.name, field.path) for field in label_fields(model.labels)] == [
        ("timestamp", ("landed",)),
        ("id", ("flight",)),
        ("label", ("late",)),
    ]


def test_scores_are_in_the_order_of_the_classes() -> None:
    found = {field.name: (field.path, field.kind) for field in prediction_fields(parse(FULL).models["kind"])}
    assert list(found.items())[2:] == [
        ("score:early", (("p", "early"), "number")),
        ("score:on time", (("p", "punctual"), "number")),
        ("score:late", (("p", "late"), "number")),
    ]


def test_predictions_and_labels_of_a_regression_are_numbers() -> None:
    model = parse(FULL).models["delay"]
    assert prediction_fields(model)[2] == Field("prediction", ("minutes",), "number")
    assert label_fields(Labels("truth"), answer_kind(model))[2] == Field("label", ("label",), "number")


def test_without_labels_an_id_is_not_required() -> None:
    assert [field.required for field in prediction_fields(parse(MINIMAL).models["flights"])] == [True, False, False]


def test_kinds_are_in_the_order_of_the_file() -> None:
    assert list(kinds(build.model()).items()) == [("temp", "numeric"), ("wind", "numeric"), ("carrier", "categorical")]


DURATIONS = {"15s": 15.0, "700ms": 0.7, "1.5h": 5400.0, "0.1s": 0.1, "35d": 3024000.0, "90m": 5400.0, "333ms": 0.333}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations_are_the_nearest_seconds(text: str, seconds: float) -> None:
    assert read(text) == seconds


@given(st.integers(1, 10**7))
def test_milliseconds_and_seconds_agree(milliseconds: int) -> None:
    """So that a limit of 700ms is the bound 0.7 and not 0.7000000000000001."""
    assert read(f"{milliseconds}ms") == milliseconds / 1000


@pytest.mark.parametrize("text", ["15", "15 s", "s", "-5s", "1w", "1h30m", "1e3s", "١s", "", "1.s", ".5s", "inf"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.models\.flights\.latency\.limit: expected a duration like"):
        read(text)


def read(text: str) -> Duration:
    model: Model = parse(f"{MINIMAL}    latency: {{limit: '{text}'}}\n").models["flights"]
    return model.latency.limit


WINDOWS = {"5m": 300.0, "1h": 3600.0, "2h": 7200.0, "1d": 86400.0, "30d": 2592000.0, "90m": 5400.0}


@pytest.mark.parametrize(("name", "seconds"), WINDOWS.items())
def test_window_seconds(name: str, seconds: float) -> None:
    assert window_seconds(name, Time()) == seconds


def test_windows_shrink_with_the_hour_and_the_day() -> None:
    short = build.time(hour=Duration(6), day=Duration(24))
    assert [window_seconds(name, short) for name in ("10m", "1h", "1d", "30d")] == [1.0, 6.0, 24.0, 720.0]


@pytest.mark.parametrize("name", ["", "0m", "01h", "1", "h", "1w", "1.5h", "-1d", "1 h", "1H"])
def test_other_windows_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a window like 5m, 1h or 1d"):
        window_seconds(name, Time())


def test_aliases_and_merges_are_no_duplicates() -> None:
    text = MINIMAL.replace("flights:\n", "flights: &flights\n").replace("  log:", "  more: {files: more.jsonl}\n  log:")
    others = "  others:\n    <<: *flights\n    predictions: {source: more, columns: {score: p}}\n    team: science\n"
    models = parse(text + others).models
    assert (models["flights"].team, models["others"].team, models["others"].task) == ("ops", "science", "binary")
