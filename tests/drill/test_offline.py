"""Drills on real flights, with the generated rules and the tools of a real Prometheus and Alertmanager."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from servers import tools
from tests import flight_logs

from ml_exporter.catalogue import BY_NAME as BY_METRIC
from ml_exporter.cli import cli
from ml_exporter.drill.pack import Pack
from ml_exporter.drill.rows import alone, extent, pieces_of, record, same
from ml_exporter.drill.stage import Stage
from ml_exporter.drilling import Lengths, RuleFiles, Schedule, Suite, context_of, planned
from ml_exporter.errors import ConfigError
from ml_exporter.exposition import Renderer
from ml_exporter.faults import BY_NAME, FAULTS, Played
from ml_exporter.loading import load
from ml_exporter.recorded import read_played
from ml_exporter.replaying import replay
from ml_exporter.rule_tools import Amtool, Promtool
from ml_exporter.waiting import Arrivals

HOUR = 3_600_000_000
DAY = 24 * HOUR
MODEL = "flight_delay"
ROUTING = {
    "default": {"pages": "oncall", "warnings": "channel"},
    "receivers": {name: {"webhook": {"url": f"http://localhost/{name}"}} for name in ("oncall", "channel")},
}
"""No ladder: rules that count how long others have fired take half of the time."""
START = 1365638400 * 1_000_000  # 11 April 2013


@pytest.fixture(scope="module")
def flights(tmp_path_factory) -> Path:
    """Four days of April with their configuration and baseline."""
    folder: Path = tmp_path_factory.mktemp("flights")
    flight_logs.write(folder, "2013-04-09", "2013-04-13")
    shutil.copy(flight_logs.EXAMPLE / "ml-exporter.yaml", folder)
    (folder / "settings.yaml").write_text(
        f"thresholds: {flight_logs.EXAMPLE / 'thresholds.yaml'}\nrouting: routing.yaml\n"
    )
    (folder / "routing.yaml").write_text(yaml.safe_dump(ROUTING))
    logs = [f"--{name}={folder / 'reference' / name}.jsonl" for name in ("predictions", "labels")]
    cli(["baseline", f"--config={folder / 'ml-exporter.yaml'}", *logs], standalone_mode=False)
    return folder


def test_a_drill_of_clean_rows_is_the_replay_of_the_logs(flights):
    """Rows split where a drill begins, sorted into pieces again, are counted as they would have been."""
    loaded = alone(load(flights / "ml-exporter.yaml"), MODEL)
    plan = Schedule(START, START + HOUR, START + 2 * HOUR, START + 3 * HOUR, HOUR)
    recorded = record(loaded, MODEL, plan)
    render = Renderer().render
    drilled = recorded.before.run([Arrivals(pieces_of(MODEL, recorded.rows))], plan.times)
    straight = replay(loaded, {MODEL: read_played(loaded, MODEL)}, plan.times)
    for one, other in zip(drilled, straight, strict=True):
        assert render(one.samples) == render(other.samples)


def test_drills_that_share_what_comes_before_the_start_see_what_they_would_alone(flights):
    plan = Schedule(START, START + 2 * HOUR, START + 3 * HOUR, START + 4 * HOUR, HOUR)
    recorded = record(load(flights / "ml-exporter.yaml"), MODEL, plan)
    pack = Pack(RuleFiles((), (), ()), frozenset(BY_METRIC), Path(), "job", {}, 0)
    stage = Stage(recorded, pack, Promtool(Path()), Amtool(Path(), Path()), Path())
    alone_suite = Suite(plan, {"job": "job", "instance": "drill"}, pack.names)
    pieces = Arrivals(pieces_of(MODEL, recorded.rows))
    for place, instant in enumerate(deepcopy(recorded.before).run([pieces], plan.times)):
        alone_suite.add(place, instant.samples)
    for _ in range(2):
        assert stage._replayed(recorded.rows, range(0)) == alone_suite


def test_what_the_clock_refuses_in_a_drill_is_rejected(flights):
    """So that MLRowsRejected sees it; the lines of a drill are the rows of its logs."""
    plan = Schedule(START, START + 2 * HOUR, START + 4 * HOUR, START + 6 * HOUR, HOUR)
    recorded = record(load(flights / "ml-exporter.yaml"), MODEL, plan)
    pack = Pack(RuleFiles((), (), ()), frozenset(BY_METRIC), Path(), "job", {}, 0)
    stage = Stage(recorded, pack, Promtool(Path()), Amtool(Path(), Path()), Path())
    skewed = BY_NAME["clock_skew"].apply(recorded.rows, plan.injection(7200.0, None), recorded.context)
    suite = stage._replayed(skewed, range(0))
    counts = {
        (labels["source"], labels.get("reason")): list(found.values())
        for name in ("ml_exporter_rows_read_total", "ml_exporter_rows_rejected_total")
        for labels, found in suite.values(name)
    }
    made = recorded.rows.predictions.column("timestamp").to_numpy()
    future, read = counts["predictions", "future"], counts["predictions", None]
    assert future[-1] == np.count_nonzero((made >= plan.start_us) & (made < plan.stop_us)) > 0
    assert future == sorted(future)
    assert read == sorted(read)
    assert read[-1] > future[-1]
    assert counts["predictions", "malformed"][-1] == counts["labels", "future"][-1] == 0


def test_labels_know_their_predictions_even_of_before_the_drill(flights):
    loaded = load(flights / "ml-exporter.yaml")
    rows = record(loaded, MODEL, Schedule(START, START + HOUR, START + 2 * HOUR, START + 3 * HOUR, HOUR)).rows
    made = rows.labels.column("made_us").to_pylist()
    assert None not in made
    assert min(made) < START - HOUR
    assert max(made) >= START


def test_rows_are_the_same_bit_for_bit(flights):
    one = Played(pa.table({"x": [1.0, float("nan"), None], "id": ["a", None, "c"]}))
    assert same(one, Played(pa.table({"x": [1.0, float("nan"), None], "id": ["a", None, "c"]})))
    assert not same(one, Played(pa.table({"x": [1.0, None, float("nan")], "id": ["a", None, "c"]})))
    assert not same(one, Played(one.predictions.slice(1)))


def test_faults_know_the_reference(flights):
    baseline = load(flights / "ml-exporter.yaml").baselines[MODEL]
    context = context_of(baseline)
    assert context.classes == ("on_time", "late")
    assert sum(context.predicted) == pytest.approx(1.0)
    assert context.actual[1] == pytest.approx(0.2276, abs=1e-4)
    above = sum(score >= context.threshold for score in context.scores) / len(context.scores)
    assert above == pytest.approx(context.predicted[1], abs=0.01)
    assert list(context.scores) == sorted(context.scores)


def run(shell, flights, *arguments, when=("2013-04-11T14:00:00Z", "3h", "3h")):
    options = ["--config", flights / "ml-exporter.yaml", "--settings", flights / "settings.yaml"]
    start, duration, recovery = when
    times = ["--start", start, "--duration", duration, "--recovery", recovery, "--lead-in", "1h", "--step", "20m"]
    return shell("drill", *options, "--tools", tools("latest"), *times, *arguments)


def test_a_null_spike_pages_and_resolves_and_what_goes_unnoticed_exits_with_1(shell, flights, tmp_path):
    """One run for all, since it takes its time: a page, a shift that is too short, and errors, which no row has."""
    page, report = tmp_path / "drill.html", tmp_path / "drill.json"
    faults = [option for name in ("null_spike", "mean_shift", "errors") for option in ("--fault", name)]
    options = [*faults, "--sizes", "large", "--feature", "humid", "--html", page, "--json", report]
    code, out, err = run(shell, flights, *options)
    assert code == 1
    assert err.startswith("mean_shift 10: no alert ")
    assert err.count("\n") == 1
    assert "MLFeatureNullRatioHigh (critical, data)" in out
    found = json.loads(report.read_text())
    assert not found["good"]
    spike, shift, lacking = found["drills"]
    assert shift["verdict"] in ("unnoticed", "elsewhere")
    assert lacking["verdict"] == "nothing to change"
    assert (spike["fault"], spike["verdict"], spike["fixed"]) == ("null_spike", "noticed", "2013-04-11T17:00:00Z")
    pages = [item for item in spike["alerts"] if item["pages"]]
    assert {item["labels"]["alertname"] for item in pages} == {"MLFeatureNullRatioHigh"}
    for item in pages:
        assert item["labels"]["feature"] == "humid"
        assert item["receivers"] == ["oncall"]
        assert 0 < item["after_seconds"] <= 2 * 3600
        assert 0 < item["resolved_seconds"] <= 3 * 3600
        assert item["runbook_url"].endswith("/MLFeatureNullRatioHigh.md")
        assert "Feature humid of model flight_delay was null in" in item["description"]
    text = page.read_text()
    assert 'class="level level0"' in text
    assert "limit of feature_null_excess_ratio 0.3" in text
    assert "ml:window_rows" not in text, "a guard is no level to draw"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "drill: expected a fault, got none."),
        (["--all", "--size", "3"], "--size: expected one --fault, got several."),
        (["--fault", "null_spike", "--size", "3"], "--size: expected share of the rows, above 0, at most 1, got 3."),
        (["--fault", "unit_change", "--size", "0"], "--size: expected factor, above 0, got 0. Small, middle and large"),
        (["--all", "--sizes", "huge"], "--sizes: expected some of small, middle, large, got 'huge'."),
        (["--all", "--duration", "soon"], "--duration: expected a duration like 90s, 15m or 12h, got 'soon'."),
        (["--all", "--start", "noon"], "--start: expected an instant with zone, got 'noon'."),
        (["--all", "--step", "500ms"], "--step: expected whole seconds, got '500ms'."),
        (["--all", "--model", "other"], "--model: expected one of flight_delay, got 'other'."),
        (["--all", "--tools", "/nowhere"], "/nowhere: expected promtool, got nothing."),
        (
            ["--all", "--recovery", "30d"],
            "recorded logs: expected rows from 2013-04-10T14:00:00Z to 2013-05-11T17:00:00Z",
        ),
    ],
)
def test_what_cannot_be_drilled_is_said_at_once(shell, flights, arguments, message):
    code, out, err = run(shell, flights, *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_drill_ends_with_the_logs_by_default(flights):
    lengths = Lengths(6 * HOUR, DAY, 12 * HOUR, 15 * HOUR // 60)
    first, last = extent(load(flights / "ml-exporter.yaml"), MODEL)
    plan = planned(lengths, (first, last))
    assert plan.end_us <= last < plan.end_us + lengths.step_us
    assert plan.begin_us % DAY == 0
    assert plan.start_us - plan.begin_us >= lengths.lead_us
    assert plan.times[-1] == plan.end_us or plan.end_us - plan.times[-1] < lengths.step_us
    with pytest.raises(ConfigError, match="Record longer logs"):
        planned(Lengths(6 * HOUR, 3 * DAY, DAY, HOUR), (first, last))


def test_without_a_lead_in_it_is_as_long_as_rules_look_back_and_logs_reach():
    lengths = Lengths(None, DAY, DAY, HOUR)
    for first_us, begin_us in ((0, 3 * DAY), (5 * DAY, 5 * DAY)):
        assert planned(lengths, (first_us, 20 * DAY), 10 * DAY, back_us=7 * DAY).begin_us == begin_us
    assert planned(lengths, (0, 20 * DAY), 10 * DAY).begin_us == 9 * DAY


def test_outages_end_by_their_size_and_others_with_the_injection():
    plan = Schedule(0, DAY, 3 * DAY, 5 * DAY, HOUR)
    assert plan.fix_us(BY_NAME["exporter_dead"], 1.0) == DAY + HOUR
    assert {plan.fix_us(fault, fault.sizes[1]) for fault in FAULTS} == {DAY + HOUR, DAY + 4 * HOUR, 3 * DAY}
