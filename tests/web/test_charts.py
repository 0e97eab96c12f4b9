"""Charts: whatever the values, well-formed markup that stays inside its box; whatever the labels, text."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.web.charts import WIDTH, Bar, Points, histogram, line, meter
from ml_exporter.web.words import number, share

HOSTILE = [
    "<script>alert(1)</script>",
    '" onload="alert(1)',
    "'><svg onload=alert(1)>",
    "{{ 7 * 7 }}",
    "a\x00\x1b[31m\n\u2028",
    "\u202egnp.exe\u2066",
    "שלום",
    "x" * 10_000,
    "",
]
ANYTHING = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


def parsed(svg: str) -> ET.Element:
    """Reads a chart as XML, which it has to be, and looks at every number in it."""
    root = ET.fromstring(svg)
    assert "nan" not in svg.lower().split("aria-label")[0]
    for element in root.iter():
        assert not any(name.startswith("on") or name == "style" for name in element.attrib)
        for name in ("x", "y", "width", "height", "cx", "cy"):
            number = float(element.attrib.get(name, 0))
            assert math.isfinite(number)
            assert -40 <= number <= WIDTH + 1
        for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", element.attrib.get("d", "")):
            assert -40 <= float(number) <= WIDTH + 1
    return root


@given(st.lists(st.tuples(ANYTHING, ANYTHING, st.booleans()), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_shares_make_a_chart_within_its_box(rows: list[tuple[float | None, float | None, bool]]) -> None:
    bars = [Bar(f"bin {place}", *row) for place, row in enumerate(rows)]
    drawn = [value for row in rows for value in row[:2] if value is not None and math.isfinite(value)]
    svg = histogram(bars, "anything")
    assert bool(svg) == bool(drawn)
    if svg:
        assert sum(e.attrib.get("class") in {"then", "now"} for e in parsed(svg)) == len(drawn)
        assert sum(e.attrib.get("class") == "carries" for e in parsed(svg)) == sum(row[2] for row in rows)


@given(st.lists(st.tuples(st.floats(0, 4e9), ANYTHING), max_size=40), st.lists(ANYTHING, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_values_make_a_line_within_its_box(
    points: list[tuple[float, float | None]], limits: list[float | None], is_share: bool
) -> None:
    points.sort(key=lambda point: point[0])
    svg = line(Points(points, [("limit", value) for value in limits], share if is_share else number), "anything")
    assert bool(svg) == any(value is not None and math.isfinite(value) for _, value in points)
    if svg:
        parsed(svg)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_labels_stay_text(hostile: str) -> None:
    honest = {element.tag for element in parsed(histogram([Bar("a", 0.5, 0.5, True)], "x")).iter()}
    root = parsed(histogram([Bar(hostile, 0.5, 0.25, True)], hostile))
    assert {element.tag for element in root.iter()} <= honest
    texts = [element.text or "" for element in root.iter()]
    assert max(map(len, texts)) < 200
    assert not any(c in "".join(texts) for c in "\x00\x1b\u202e\u2066\u2028")
    root = parsed(line(Points([(0.0, 0.5), (60.0, 0.6)], [(hostile, 0.5)]), hostile))
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {"svg", "path", "text"}


def test_nothing_makes_no_chart() -> None:
    assert histogram([], "x") == ""
    assert histogram([Bar("a", None, math.nan)], "x") == ""
    assert line(Points([]), "x") == ""
    assert line(Points([(0.0, None), (1.0, math.inf)]), "x") == ""
    assert meter(None, 1.0) == meter(1.0, None) == meter(1.0, 0.0) == meter(math.nan, 1.0) == ""


def test_one_bin_and_one_point_are_drawn() -> None:
    assert [e.attrib["class"] for e in parsed(histogram([Bar("all", 1.0, 1.0)], "x")) if "rect" in e.tag] == [
        "then",
        "now",
    ]
    dots = [e for e in parsed(line(Points([(5.0, 0.2)]), "x")) if "circle" in e.tag]
    assert len(dots) == 1


def test_bars_are_as_tall_as_their_shares() -> None:
    svg = parsed(histogram([Bar("a", 0.1, 0.2), Bar("b", 0.9, 0.8)], "x"))
    heights = [float(e.attrib["height"]) for e in svg if "rect" in e.tag]
    assert [round(height / heights[2], 2) for height in heights] == [0.11, 0.22, 1.0, 0.89]


def test_a_line_is_broken_where_values_are_missing() -> None:
    points = [(0.0, 0.1), (1.0, 0.2), (2.0, None), (3.0, 0.3), (4.0, None), (5.0, 0.1), (6.0, 0.4)]
    svg = line(Points(points), "x")
    (path,) = re.findall(r'class="now-line" d="([^"]*)"', svg)
    assert path.count("M") == 2
    assert svg.count("<circle") == 1


def test_many_bins_name_some() -> None:
    svg = histogram([Bar(f"b{place}", 0.01, 0.01) for place in range(100)], "x")
    assert 10 <= svg.count(">b") <= 20


def test_a_meter_is_red_beyond_its_limit_and_never_too_long() -> None:
    assert 'class="now" x="0" y="2" width="25.0"' in meter(0.5, 1.0)
    assert 'class="over" x="0" y="2" width="100.0"' in meter(1e308, 1e-300)
    assert 'width="0.0"' in meter(-1.0, 1.0)
