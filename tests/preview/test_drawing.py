"""Pictures: what is drawn lies where the numbers say, and any options of Grafana that we know can be drawn."""

import math
import re

import pytest
from tests.previewing.made import CONTEXT, RANGE, answer, read_panel, series

from ml_exporter.preview import drawing, lines
from ml_exporter.preview.paper import INKS, Sheet, ink, plain
from ml_exporter.previewing.answers import Event
from ml_exporter.previewing.seeing import see


def sheet():
    return Sheet(400.0, 200.0, "k", "what it shows")


def chart(values, events=(), overrides=(), **custom):
    found = series(values, job="a"), series([5, 6, 7], job="b")
    looks = [{"matcher": {"id": "byName", "options": name}, "properties": own} for name, own in overrides]
    panel = read_panel("timeseries", fieldConfig={"defaults": custom, "overrides": looks})
    return lines.chart(see(panel, [answer(*found)], RANGE, CONTEXT).view, list(events), sheet())


def path(svg, title):
    """The points of the path below a title."""
    text = re.search(rf"<title>{title}[^<]*</title><path d=\"([^\"]+)\"", svg)[1]
    return [tuple(map(float, point.split())) for point in re.split("[MLz]", text) if point.strip()]


def test_a_line_rises_as_its_values_do():
    points = path(chart([1, 2, 3]).svg, "a ")
    assert [round(x - points[0][0], 1) for x, _ in points] == pytest.approx([0.0, 5.5, 11.0], abs=0.2)
    assert points[0][1] > points[1][1] > points[2][1]
    assert points[0][1] - points[1][1] == pytest.approx(points[1][1] - points[2][1], abs=0.2)


@pytest.mark.parametrize(
    "custom",
    [
        {"drawStyle": "bars"},
        {"drawStyle": "bars", "stacking": {"mode": "normal"}},
        {"drawStyle": "points"},
        {"lineInterpolation": "stepAfter", "fillOpacity": 20},
        {"scaleDistribution": {"type": "log"}},
        {"thresholdsStyle": {"mode": "dashed"}},
        {"spanNulls": True},
        {"lineWidth": 0},
        {"axisSoftMin": -5, "axisSoftMax": 50},
    ],
)
@pytest.mark.parametrize("values", [[1, None, 3], [1], [0, 0, 0], [math.nan, math.inf], [-1e12, 1e12]])
def test_whatever_the_options_and_values(custom, values):
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 2}]
    drawn = chart(values, unit="s", thresholds={"steps": steps}, custom=custom)
    assert drawn.svg.startswith("<svg ")
    assert "nan" not in re.findall(r' d="([^"]*)"', drawn.svg)


def test_bands_dashes_axes_and_events():
    band = [
        ("a", [{"id": "custom.fillBelowTo", "value": "b"}]),
        ("b", [{"id": "custom.axisPlacement", "value": "right"}]),
    ]
    found = chart([1, 2, 3], [Event(0.0, 600.0, "It <began>", "blue")], [band[0]])
    assert "It &lt;began&gt;" in found.svg
    assert 'opacity="0.2"' in found.svg
    assert chart([1, 2, 3], overrides=[band[1]]).svg
    assert [stroke.color for stroke in found.strokes] == ["series0", "series1"]


def test_lines_beyond_the_colours_are_dashed():
    many = answer(*(series([1], job=str(number)) for number in range(30)))
    found = lines.strokes(see(read_panel(), [many], RANGE, CONTEXT).view.lines)
    assert len({(stroke.color, stroke.dashes) for stroke in found}) == 30


def test_lanes_beyond_the_most_are_counted():
    many = answer(*(series([1, 2], job=f"{number}\x00$") for number in range(50)))
    found = drawing.lanes(see(read_panel("state-timeline"), [many], RANGE, CONTEXT).view, [], sheet())
    assert found.left_out == 10
    assert found.svg.count("<title>") == 80


def test_colours_are_names_until_the_page_is_shown():
    assert ink("red") == f"#fe01{INKS.index('red'):02x}"
    assert ink("#123456") == "#123456"
    assert plain("a\x00b\ud800") == "a\ufffdb\ufffd"
