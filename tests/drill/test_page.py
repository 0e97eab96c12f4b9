"""The page of a drill: nothing is loaded, nothing from logs is markup, its style is what its policy allows."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from ml_exporter.drilling import Drilled, Inhibitions, Schedule, Watch, seen_in
from ml_exporter.drilling.alerts import Alert, Span
from ml_exporter.drilling.answers import Answer
from ml_exporter.drilling.charts import LIMIT, Reads
from ml_exporter.drilling.page import page
from ml_exporter.faults import BY_NAME

HOUR = 3_600_000_000
PLAN = Schedule(0, 6 * HOUR, 12 * HOUR, 24 * HOUR, HOUR)
HOSTILE = "\"><script>alert(1)</script>'&\u2028"
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
    return page(HOSTILE, PLAN, [alert], [drilled], {"MLNulls": Reads(frozenset({"ml:nulls"}), frozenset({"nulls"}))})


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
