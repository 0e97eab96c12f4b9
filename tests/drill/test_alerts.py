"""Spans of alerts, what mutes them, and what a drill concludes."""

import pytest

from ml_exporter.drilling import Alert, Inhibitions, Schedule, Span, Watch, pending_in, seen_in, verdict_of
from ml_exporter.drilling.alerts import alerts_of, without
from ml_exporter.drilling.answers import Answer
from ml_exporter.drilling.muting import Matcher
from ml_exporter.faults import BY_NAME

PLAN = Schedule(0, 20, 50, 100, 10)
RULES = {
    "inhibit_rules": [
        {
            "source_matchers": ['alertname=~"ML.+"', 'severity="critical"', 'layer="data"'],
            "target_matchers": ['alertname=~"ML.+"', "layer=diagnostic"],
            "equal": ["model"],
        }
    ]
}


def alert(name: str, *firing: tuple[int, int | None], pending: tuple[tuple[int, int | None], ...] = (), **labels: str):
    full = tuple(sorted({"alertname": name, "model": "m", "severity": "warning", "layer": "data", **labels}.items()))
    return Alert(full, tuple(Span(*item) for item in pending), tuple(Span(*item) for item in firing))


def test_alerts_have_spans_by_state_and_the_earliest_comes_first():
    def labels(name, state):
        return (("__name__", "ALERTS"), ("alertname", name), ("alertstate", state))

    rows = [
        (10, [("B", "pending")]),
        (20, [("B", "firing"), ("A", "pending")]),
        (30, [("B", "firing")]),
        (50, [("B", "firing")]),
        (100, [("A", "firing")]),
    ]
    found = [Answer("ALERTS", at, tuple((labels(*item), 1.0) for item in items)) for at, items in rows]
    found.append(Answer("ml:x", 40, ((labels("C", "firing"), 1.0),)))
    assert alerts_of(found, PLAN) == (
        Alert((("alertname", "B"),), (Span(10, 20),), (Span(20, 40), Span(50, 60))),
        Alert((("alertname", "A"),), (Span(20, 30),), (Span(100, None),)),
    )


def test_what_fires_on_clean_logs_too_is_left_out():
    faulty, clean = alert("MLA", (20, 60)), alert("MLA", (0, 30), (50, 60))
    assert without(faulty, {clean.labels: clean}, PLAN.times) == (Span(30, 50),)
    assert without(faulty, {}, PLAN.times) == faulty.firing


@pytest.mark.parametrize(
    ("text", "fits", "not_fits"),
    [
        ('a="x y"', "x y", "x"),
        ("a=x", "x", "xy"),
        ('a!="x"', "", "x"),
        ('a=~"x|y.*"', "yes", "axe"),
        ('a !~ "x.+"', "x", "xy"),
        (r'a="q\"uote\\"', 'q"uote\\', "quote"),
        ('a=~"(x|)"', "", "y"),
    ],
)
def test_matchers_are_those_of_alertmanager(text, fits, not_fits):
    matcher = Matcher.parse(text)
    assert matcher.fits({"a": fits})
    assert not matcher.fits({"a": not_fits})


def test_a_matcher_that_is_none_is_refused():
    with pytest.raises(ValueError, match="expected name, operator and value, got 'severity'"):
        Matcher.parse("severity")


def test_inhibitions_need_both_sides_equal_labels_and_a_source_that_fires():
    rules = Inhibitions.parse(RULES)
    source = alert("MLNulls", (30, 60), severity="critical")
    target = alert("MLDrift", (20, 80), layer="diagnostic")
    other_model = alert("MLDrift", (20, 80), layer="diagnostic", model="n")
    assert rules.muted_by(target, [source, target], 30) == source.labels
    assert rules.muted_by(target, [source, target], 20) is None
    assert rules.muted_by(target, [source, target], 60) is None
    assert rules.muted_by(other_model, [source], 40) is None
    assert rules.muted_by(source, [target, source], 40) is None


def test_an_alert_that_both_sides_match_is_not_muted_by_its_like():
    rules = Inhibitions.parse(
        {
            "inhibit_rules": [
                {"source_matchers": ["severity=critical"], "target_matchers": ['model=~".+"'], "equal": ["model"]}
            ]
        }
    )
    one, other = (alert(name, (0, None), severity="critical") for name in ("MLA", "MLB"))
    assert rules.muted_by(one, [one, other], 40) is None
    assert rules.muted_by(alert("MLC", (0, None)), [one, other], 40) == one.labels


def judged(fault: str, *alerts: Alert, clean: tuple[Alert, ...] = ()):
    watch = Watch(clean, Inhibitions.parse(RULES), lambda labels: (f"to-{labels['severity']}",))
    seen = tuple(seen_in(alerts, watch, PLAN, 50, {}))
    return seen, pending_in(alerts, seen, watch), verdict_of(BY_NAME[fault], seen)


def test_what_is_seen_says_when_to_whom_and_what_muted_it():
    page = alert("MLNulls", (30, 60), severity="critical")
    drift = alert("MLDrift", (30, 60), layer="diagnostic")
    late = alert("MLDrift", (40, None), layer="diagnostic", feature="b")
    seen, pending, verdict = judged(
        "null_spike", page, drift, late, alert("MLWatchdog", (0, None)), alert("MLX", pending=((20, 30),))
    )
    assert verdict == "noticed"
    assert [(item.after_seconds * 1e6, item.resolved_seconds and item.resolved_seconds * 1e6) for item in seen] == [
        (10, 10), (10, 10), (20, None),
    ]  # fmt: skip
    assert [(item.paged, item.muted_by, item.always_muted) for item in seen] == [
        (True, (), False),
        (False, ("MLNulls",), True),
        (False, ("MLNulls",), False),
    ]
    assert seen[0].receivers == ("to-critical",)
    assert [item.name for item in pending] == ["MLX"]


@pytest.mark.parametrize(
    ("fault", "alerts", "verdict"),
    [
        ("null_spike", [alert("MLA", (30, 40))], "noticed"),
        ("null_spike", [alert("MLA", (30, 40), layer="diagnostic")], "elsewhere"),
        ("null_spike", [], "unnoticed"),
        ("null_spike", [alert("MLA", (0, 20))], "unnoticed"),
        ("covariate_shift", [], "quiet"),
        ("covariate_shift", [alert("MLA", (30, 40), layer="diagnostic")], "quiet"),
        ("covariate_shift", [alert("MLA", (30, 40), layer="outcome")], "told"),
        ("covariate_shift", [alert("MLA", (30, 40), layer="diagnostic", severity="critical")], "paged"),
    ],
)
def test_verdicts(fault, alerts, verdict):
    assert judged(fault, *alerts)[2] == verdict


def test_a_fault_is_not_noticed_by_what_fires_anyway():
    assert judged("null_spike", alert("MLA", (30, 40)), clean=(alert("MLA", (0, None)),))[2] == "unnoticed"
