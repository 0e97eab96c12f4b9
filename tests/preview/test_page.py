"""The page of a preview: nothing is loaded, nothing from labels is markup, and it can be read without seeing it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace

import pytest
from tests.previewing.made import dashboard, panel, target, variable

from ml_exporter.errors import ExporterError
from ml_exporter.preview import When, look
from ml_exporter.preview.page import address, page
from ml_exporter.prometheus import Points, Sample

HOSTILE = "\"><script>alert(1)</script>'&]]></svg></style>$x$\u202e\x00\x1b\n\ud800{{7*7}}"
ROWS = {"type": "row", "title": HOSTILE, "gridPos": {"x": 0, "y": 5, "w": 24, "h": 1}}


class Reader(HTMLParser):
    """Elements, attributes and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name):
        return [attributes[name] for _, attributes in self.tags if name in attributes]


class Stub:
    """A Prometheus that answers everything with two series of hostile labels."""

    server = SimpleNamespace(url="http://user:secret@prometheus:9090")

    def __init__(self, failing=()):
        self.failing, self.asked = failing, []

    def query(self, expression, at=None):
        self.fail(expression)
        return [Sample({"job": HOSTILE, "le": "0.5"}, 1.0), Sample({"job": "b", "le": "+Inf"}, 2.0)]

    def query_range(self, expression, span, step):
        self.fail(expression)
        times = tuple(span.start + number * step for number in range(10))
        return [
            Points({"job": HOSTILE, "le": "0.5"}, times, tuple(map(float, range(10)))),
            Points({"job": "b", "le": "+Inf"}, times, (float("nan"), float("inf"), *map(float, range(8)))),
        ]

    def label_values(self, label, selector, span):
        self.fail(selector)
        return [HOSTILE, "b"]

    def fail(self, expression):
        self.asked.append(expression)
        if any(text in expression for text in self.failing):
            raise ExporterError(f"no such thing: {HOSTILE}")


KINDS = ("timeseries", "stat", "gauge", "bargauge", "barchart", "state-timeline", "status-history", "heatmap")


def everything(uid="d", **changes):
    links = [{"title": HOSTILE, "url": "javascript:alert(1)"}, {"title": "On", "url": "/d/e?var-model=${model}"}]
    look = {"defaults": {"unit": HOSTILE, "links": links, "custom": {"fillOpacity": 10}}, "overrides": []}
    panels = [
        panel(kind, target(), title=HOSTILE, description=HOSTILE, fieldConfig=look, links=links) for kind in KINDS
    ]
    panels.append(panel("table", target(format="table", instant=True, range=False), title="$model", fieldConfig=look))
    panels.append(
        panel("text", options={"content": f"**bold** {HOSTILE} [x](javascript:alert(1)) ![](http://a/b.png)"})
    )
    annotation = {"name": HOSTILE, "expr": "ALERTS", "titleFormat": "{{job}}", "iconColor": "red", "enable": True}
    own = {
        "uid": uid,
        "title": HOSTILE,
        "description": HOSTILE,
        "templating": {"list": [variable()]},
        "annotations": {"list": [annotation]},
        "tags": ["t"],
        "links": [
            {"type": "dashboards", "title": "All", "tags": ["t"]},
            {"title": "Bad", "url": "javascript:alert(1)"},
        ],
    }
    return dashboard(
        *panels, ROWS, panel("nodeGraph", target(), gridPos={"x": 0, "y": 6, "w": 24, "h": 8}), **own | changes
    )


def drawn(*dashboards, stub=None):
    stub = stub or Stub()
    looked = [look(stub, item, When(7200.0), {}) for item in dashboards]
    return page(looked, stub.server.url, 7200.0), looked


@pytest.fixture(scope="module")
def text():
    return drawn(everything(), everything("e", title="E"))[0]


def test_what_labels_say_is_text(text):
    read = Reader(text)
    assert "script" not in {tag for tag, _ in read.tags}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on") or name == "style"]
    assert "alert(1)" in "".join(read.text)
    assert "{{7*7}}" in "".join(read.text)
    assert "49" not in re.findall(r"x\$(\d+)", text)
    assert text.count("<svg") == text.count("</svg>")


def test_nothing_is_loaded_and_the_policy_lets_only_the_own_style_in(text):
    read = Reader(text)
    (policy,) = [found for tag, found in read.tags if "http-equiv" in found]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy["content"].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert not {tag for tag, _ in read.tags} & {"img", "link", "iframe", "object", "image", "form", "base"}
    assert {place for place in read.values("href") if not place.startswith("#")} == {"http://a/b.png"}, (
        "a link, no image"
    )
    assert "url(" not in style
    assert not re.search(r"url\((?!#)", text)


def test_links_lead_to_what_is_in_the_page(text):
    read = Reader(text)
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    assert {"#d-d", "#d-e"} <= set(read.values("href"))
    assert {place[1:] for place in read.values("href") if place.startswith("#")} <= set(ids)
    assert {name for found in read.values("aria-labelledby") for name in found.split()} <= set(ids)
    assert address("https://wiki/x", []) == "https://wiki/x"
    assert address("https://wiki/\nx", []) == ""


def test_every_picture_has_words_and_headings_follow_each_other(text):
    read = Reader(text)
    pictures = [found for tag, found in read.tags if tag == "svg"]
    assert all(found.get("aria-label") if "role" in found else found.get("aria-hidden") for found in pictures)
    assert len([found for found in pictures if "role" in found]) == 8
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    assert read.values("lang") == ["en"]


def test_colours_are_those_of_the_page_in_light_and_dark(text):
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    light, dark = (set(re.findall(r"--([\w]+):", part)) for part in style.split("@media (prefers-color-scheme: dark)"))
    used = set(re.findall(r"var\(--(\w+)\)", text))
    assert used <= light
    assert light == dark & light
    assert "#fe01" not in text
    assert not re.search(r'(?:fill|stroke)="#000000"', text)


def test_the_password_in_an_address_is_not_shown(text):
    assert "secret" not in text
    assert "http://prometheus:9090" in text


def test_what_failed_stands_in_its_place_and_is_told():
    text, (looked,) = drawn(everything(), stub=Stub(failing=["ALERTS", "ml_model_info"]))
    found = list(looked.findings())
    assert any(line.startswith("d: variable model: no such thing") for line in found)
    assert any(line.startswith("d: annotation ") for line in found)
    assert any("got 'nodeGraph'" in line for line in found)
    read = Reader(text)
    assert "no such thing" in "".join(read.text)
    assert "script" not in {tag for tag, _ in read.tags}


def test_variables_get_into_queries_and_panels_are_repeated():
    repeated = panel("stat", target('up{m="$model"}[$__rate_interval]'), repeat="model", title="Of $model")
    multi = variable(multi=True, includeAll=True)
    stub = Stub()
    _, (looked,) = drawn(dashboard(repeated, templating={"list": [multi]}), stub=stub)
    assert [seen.title for seen in looked.panels()] == [f"Of {HOSTILE}", "Of b"]
    assert stub.asked[-1] == 'up{m="b"}[240s]'
    assert json.loads('"' + re.search(r'm="(.*)"\}', stub.asked[-2])[1].replace("\x00", "").replace("\x1b", "") + '"')
