"""Dashboards are read once: rows, queries, what is hidden, and what is no dashboard."""

import pytest
from tests.previewing.made import PLACE, dashboard, panel, target

from ml_exporter.errors import ConfigError
from ml_exporter.previewing.reading import read


def row(title, y, *panels):
    return {"type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": list(panels)}


def test_rows_hold_the_panels_below_them():
    places = [PLACE | {"y": y, "x": x} for y, x in ((0, 0), (2, 8), (2, 0))]
    made = [panel(title=name, gridPos=place) for name, place in zip("abc", places, strict=True)]
    found = dashboard(made[1], row("First", 1), made[0], made[2], row("Closed", 9, panel(title="d")))
    names = [(item.title, [inner.title for inner in item.panels]) for item in found.rows]
    assert names == [("", ["a"]), ("First", ["c", "b"]), ("Closed", ["d"])]


def test_a_hidden_query_is_not_asked():
    (found,) = dashboard(panel("stat", target(hide=True), target("down", instant=True, range=False))).panels()
    assert [(item.expression, item.is_instant) for item in found.targets] == [("down", True)]


def test_annotations_of_people_are_left_to_grafana():
    listed = [
        {"name": "People", "type": "dashboard", "enable": True},
        {"name": "Off", "expr": "a", "enable": False},
        {"name": "New", "expr": "b", "titleFormat": "{{v}}", "iconColor": "blue"},
    ]
    (found,) = dashboard(annotations={"list": listed}).annotations
    assert (found.name, found.expression, found.title, found.step) == ("New", "b", "{{v}}", "60s")


def test_annotations_as_newer_versions_keep_them():
    listed = [{"name": "New", "target": {"refId": "Anno", "expr": "b", "interval": "5m"}}]
    (found,) = dashboard(annotations={"list": listed}).annotations
    assert (found.expression, found.title, found.step) == ("b", "New", "5m")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"panels": {}}', '{"uid": "a", "title": "b", "panels": [{}]}'])
def test_what_is_no_dashboard(text):
    with pytest.raises(ConfigError, match=r"d\.json: expected a dashboard in the classic JSON of Grafana, got "):
        read(text, "d.json")
