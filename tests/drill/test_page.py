"""The page of a drill: nothing is loaded, nothing from logs is markup, its style is what its policy allows."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from ml_exporter.drilling import Drilled, Inhibitions, Schedule, Watch, seen_in
from ml_exporter.drilling.alerts import Alert, Span
from ml_exporter.drilling.answers import Answer
from ml_exporter.drilling.charts import LIMIT, Level, Reads, charts_of
from ml_exporter.drilling.page import page
from ml_exporter.faults import BY_NAME

HOUR = 3_600_000_000
PLAN = Schedule(0, 6 * HOUR, 12 * HOUR, 24 * HOUR, HOUR)
HOSTILE = "\"><script>alert(1)</script>'&\u2028"
NULLS = Reads(frozenset({Level("ml:nulls")}), frozenset({"nulls"}))
LABELS = {
    "alertname": "MLNulls",
    "model": HOSTILE,
    "feature": HOSTILE,
    "severity": "warning",
    "layer": "data",
    "window": "1h",
}


class Reader(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def rendered(runbook: str = "https://wiki/MLNulls"):
    alert = Alert(tuple(sorted(LABELS.items())), (Span(6 * HOUR, 8 * HOUR),), (Span(8 * HOUR, None),))
    level = {name: LABELS[name] for name in ("model", "feature", "window")} | {"__name__": "ml:nulls"}
    limit = level | {"__name__": LIMIT, "signal": "nulls", "severity": "warning"}
    answers = [Answer("q", at * HOUR, ((tuple(sorted(level.items())), at / 24),)) for at in range(24)]
    answers.append(Answer("q", 12 * HOUR, ((tuple(sorted(limit.items())), 0.25),)))
    watch = Watch((alert,), Inhibitions(()), lambda labels: (HOSTILE,))
    told = {alert.labels: {"runbook_url": runbook, "description": HOSTILE}}
    seen = tuple(seen_in([alert], Watch((), watch.inhibitions, watch.receivers), PLAN, 12 * HOUR, told))
    drilled = Drilled(BY_NAME["null_spike"], 0.4, PLAN, seen, (alert,), "noticed", tuple(answers))
    return page(HOSTILE, PLAN, [alert], [drilled], {"MLNulls": NULLS})


def test_what_logs_say_is_text():
    text = rendered()
    read = Reader(text)
    assert "script" not in {tag for tag, _ in read.tags}
    assert HOSTILE in "".join(read.text)
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")]


def test_nothing_is_loaded_and_only_the_own_style_is_allowed():
    text = rendered()
    read = Reader(text)
    assert not [tag for tag, _ in read.tags if tag in {"img", "link", "iframe", "object", "embed", "use", "image"}]
    assert not [attributes for _, attributes in read.tags if "src" in attributes or "style" in attributes]
    (policy,) = [item["content"] for tag, item in read.tags if tag == "meta" and "http-equiv" in item]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style


def test_series_limits_and_firings_are_drawn():
    read = Reader(rendered())
    classes = [attributes.get("class") for tag, attributes in read.tags if tag in {"path", "rect"}]
    assert {"level level0", "limit", "firing", "pending", "fault", "axis"} <= set(classes)
    (line,) = [attributes["d"] for _, attributes in read.tags if attributes.get("class") == "level level0"]
    assert line.count("M") == 1
    assert line.count("L") == 23


def test_only_web_addresses_become_links():
    for address, shown in (("https://wiki/x", True), ("javascript:alert(1)", False), ("data:text/html,x", False)):
        links = [attributes["href"] for tag, attributes in Reader(rendered(address)).tags if tag == "a"]
        assert (address in links) == shown


def lines(levels, limit=None, reads=("ml:losses", ())):
    """The names and paths of the lines of a chart of an alert, whose levels are values by hour."""
    alert = Alert((("alertname", "MLWorse"), ("model", "m"), ("window", "1d")), (), (Span(8 * HOUR, None),))
    answers = [
        Answer("q", at * HOUR, tuple((labels, values[at]) for labels, values in levels.items())) for at in range(24)
    ]
    if limit is not None:
        answers.append(Answer("q", 12 * HOUR, (((("__name__", LIMIT), ("model", "m"), ("signal", "losses")), limit),)))
    (seen,) = seen_in([alert], Watch((), Inhibitions(()), lambda labels: ()), PLAN, 12 * HOUR, {})
    drilled = Drilled(BY_NAME["concept_drift"], 0.9, PLAN, (seen,), (), "noticed", tuple(answers))
    found = {"MLWorse": Reads(frozenset({Level(*reads)}), frozenset({"losses"}))}
    ((_, chart),) = charts_of(drilled, found)
    return {line.name: line.path for line in chart.lines}


def level(name, **labels):
    return tuple(sorted({"__name__": name, "model": "m", "window": "1d", **labels}.items()))


def test_each_series_is_a_line_of_its_own():
    rising, flat = [at / 24 for at in range(24)], [0.5] * 24
    found = lines({level("ml:losses", measure="auc"): rising, level("ml:losses", measure="f1"): flat})
    assert found.keys() == {"ml:losses 1d auc", "ml:losses 1d f1"}
    heights = [float(part.split()[1]) for part in re.split("[ML]", found["ml:losses 1d auc"]) if part]
    assert heights == sorted(heights, reverse=True)


def test_of_many_series_those_that_cross_the_limit_are_drawn_or_the_nearest():
    series = {level("ml:losses", measure=f"low{place}"): [-place] * 24 for place in range(9)}
    crossing = {level("ml:losses", measure="auc"): [at / 24 for at in range(24)]}
    assert lines(series | crossing, 0.5).keys() == {"ml:losses 1d auc"}
    assert lines(series, 0.5).keys() == {"ml:losses 1d low0"}


def test_only_the_series_that_the_alert_selects_are_drawn():
    series = {level("ml:losses", q=q): [float(q)] * 24 for q in ("0.5", "0.99")}
    assert lines(series, reads=("ml:losses", (("q", "0.99"),))).keys() == {"ml:losses 1d 0.99"}
