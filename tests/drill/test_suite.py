"""Samples in, promtool's own words out: what the rule engine of Prometheus sees is what was sampled."""

import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from servers import tools

from ml_exporter.catalogue import HistogramSample, Sample
from ml_exporter.drilling import ALERTS, Question, RuleFiles, Schedule, Suite, alerts_of, names_read, read
from ml_exporter.drilling.suite import _values

MINUTE = 60_000_000
DAY = 1440 * MINUTE
BEGIN = 15_000 * DAY
HOSTILE = 'a"b\\c\n{x="y"} 1, é\u2028'


def schedule(minutes: int, step: int = 1) -> Schedule:
    return Schedule(
        BEGIN, BEGIN + 2 * step * MINUTE, BEGIN + 4 * step * MINUTE, BEGIN + minutes * MINUTE, step * MINUTE
    )


def rule_file(folder, *rules) -> RuleFiles:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": list(rules)}]}))
    return RuleFiles((str(path),), ("g",), tuple(rule["alert"] for rule in rules if "alert" in rule))


def asked(folder, suite: Suite, rules: RuleFiles, *questions: Question, version: str = "latest"):
    """What promtool answers."""
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(suite.document(rules, questions), width=10**9), encoding="utf-8")
    done = subprocess.run(
        [tools(version) / "promtool", "test", "rules", path], capture_output=True, text=True, check=False
    )
    return read(done.stdout + "\n" + done.stderr, suite.schedule)


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_every_sample_arrives(tmp_path, version):
    suite = Suite(schedule(10), {"job": "ml"}, frozenset({"ml_window_rows", "ml_last_label_timestamp_seconds"}))
    for place in range(11):
        gauges = [Sample("ml_window_rows", (HOSTILE, "1h"), place / 7)] if place != 5 else []
        instant = Sample("ml_last_label_timestamp_seconds", ("m",), BEGIN / 1e6 + place)
        suite.add(place, [*gauges, instant, Sample("ml_labelled_rows", ("m", "1h"), 3.0)])
    questions = [Question('{__name__=~"ml_.+"}', BEGIN + place * MINUTE) for place in range(11)]
    found = asked(tmp_path, suite, rule_file(tmp_path), *questions, version=version).series
    assert [answer.at_us for answer in found] == [item.at_us for item in questions]
    for place, answer in enumerate(found):
        values = {dict(labels)["__name__"]: (dict(labels)["model"], value) for labels, value in answer.series}
        expected = {"ml_last_label_timestamp_seconds": ("m", place)}
        if place != 5:
            expected["ml_window_rows"] = (HOSTILE, place / 7)
        assert values == expected, place


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_a_step_of_five_minutes_hides_no_level_from_the_alert_that_reads_it(tmp_path, version):
    """Recording rules and alerts are in different groups, evaluated one after the other."""
    plan = schedule(60, step=5)
    suite = Suite(plan, {}, frozenset({"ml_window_rows"}))
    for place, _ in enumerate(plan.times):
        suite.add(place, [Sample("ml_window_rows", ("m", "1h"), 10.0 if 3 <= place < 8 else 0.0)])
    level = {"record": "ml:window_rows", "expr": "ml_window_rows"}
    alert = {
        "alert": "MLRows",
        "expr": "ml:window_rows > 5",
        "for": "10m",
        "annotations": {"text": "{{ $value }} rows"},
    }
    levels, alerts = tmp_path / "levels.yaml", tmp_path / "alerts.yaml"
    levels.write_text(yaml.safe_dump({"groups": [{"name": "levels", "rules": [level]}]}))
    alerts.write_text(yaml.safe_dump({"groups": [{"name": "alerts", "rules": [alert]}]}))
    rules = RuleFiles((str(levels), str(alerts)), ("levels", "alerts"), ("MLRows",))
    found = asked(tmp_path, suite, rules, *(Question(ALERTS, at_us) for at_us in plan.times), version=version)
    (seen,) = alerts_of(found.series, plan)
    start = plan.times[3]
    assert [(item.since_us - start, item.until_us - start) for item in seen.pending] == [(0, 10 * MINUTE)]
    assert [(item.since_us - start, item.until_us - start) for item in seen.firing] == [(10 * MINUTE, 25 * MINUTE)]
    assert found.annotations == {} or found.annotations[seen.labels] == {"text": "10 rows"}


def test_a_dead_exporter_is_down_and_its_series_end(tmp_path):
    suite = Suite(schedule(10), {"job": "ml"}, frozenset({"ml_window_rows"}))
    for place in range(11):
        suite.add(place, [Sample("ml_window_rows", ("m", "1h"), 1.0)], scraped=place not in (4, 5))
    questions = [Question("up or ml_window_rows", BEGIN + place * MINUTE) for place in (3, 4, 5, 6)]
    found = asked(tmp_path, suite, rule_file(tmp_path), *questions).series
    there = [{dict(labels)["__name__"]: value for labels, value in answer.series} for answer in found]
    alive, dead = {"up": 1.0, "ml_window_rows": 1.0}, {"up": 0.0}
    assert there == [alive, dead, dead, alive]


def test_a_histogram_has_its_three_kinds_of_series(tmp_path):
    name = "ml_prediction_latency_seconds"
    suite = Suite(schedule(1), {}, frozenset({f"{name}_bucket", f"{name}_count", f"{name}_sum"}))
    suite.add(0, [HistogramSample(name, ("m",), (0.5, 1.0), (2, 1, 4), 12.5)])
    (answer,) = asked(tmp_path, suite, rule_file(tmp_path), Question(f'{{__name__=~"{name}.*"}}', BEGIN)).series
    found = {
        (dict(labels)["__name__"].removeprefix(name), dict(labels).get("le")): value for labels, value in answer.series
    }
    assert found == {
        ("_bucket", "0.5"): 2, ("_bucket", "1.0"): 3, ("_bucket", "+Inf"): 7, ("_count", None): 7, ("_sum", None): 12.5,
    }  # fmt: skip


def test_what_is_no_failed_expectation_is_an_error(tmp_path):
    suite = Suite(schedule(2), {"job": "ml"}, frozenset())
    suite.add(0, [])
    with pytest.raises(ValueError, match="parse error"):
        asked(tmp_path, suite, rule_file(tmp_path), Question("sum(", BEGIN))
    broken = rule_file(tmp_path, {"record": "ml:x", "expr": "up + on () group_left () (up or vector(1))"})
    with pytest.raises(ValueError, match="many"):
        asked(tmp_path, suite, broken)


@given(
    st.dictionaries(st.integers(0, 12), st.sampled_from([0.0, 0.5, -1e-5, 1e300])),
    st.integers(1, 5),
)
def test_notation_says_every_value_as_often_as_it_should(found, times):
    words = _values(found, 13, times).split()
    unrolled = []
    for word in words:
        text, _, more = word.partition("x")
        unrolled += [text] * (1 + int(more or 0))
    assert len(unrolled) == 13 * times
    for place in range(13):
        own = unrolled[place * times : (place + 1) * times]
        if place in found:
            assert own == [repr(found[place])] * times
        else:
            ends = place - 1 in found
            assert own == (["stale"] if ends else ["_"]) + ["_"] * (times - 1)


def test_the_metrics_that_rules_read_are_found_in_expressions_and_templates():
    assert names_read('x: ml_a{b="c"} / ml:b and {{ with query `ml_c` }}') == {"ml_a", "ml_c"}
