"""How fields look: overrides, mappings, thresholds, units, colours."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.previewing.made import read_panel

from ml_exporter.previewing.fields import Shown, field
from ml_exporter.previewing.units import scale, written

DASHED = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}}
RED = {"id": "color", "value": {"mode": "fixed", "fixedColor": "dark-red"}}


def config(*overrides, **defaults):
    made = [{"matcher": {"id": kind, "options": on}, "properties": list(own)} for kind, on, own in overrides]
    return read_panel("timeseries", fieldConfig={"defaults": defaults, "overrides": made})


def test_overrides_choose_by_name_expression_type_and_query():
    panel = config(
        ("byRegexp", "/^critical/", [RED, DASHED]),
        ("byName", "a", [{"id": "unit", "value": "s"}]),
        ("byType", "string", [{"id": "custom.width", "value": 5}]),
        ("byFrameRefID", "B", [{"id": "decimals", "value": 2}]),
        unit="short",
        custom={"lineWidth": 1},
    )
    limit = field(panel, "critical limit")
    assert (limit.color, limit.get("custom.lineStyle")["dash"], limit.unit) == ("red", [8, 6], "short")
    assert (field(panel, "a").unit, field(panel, "a").get("custom.lineWidth")) == ("s", 1)
    assert field(panel, "b", "string").get("custom.width") == 5
    assert field(panel, "b", ref="B").decimals == 2
    assert field(panel, "b").color == ""


def test_thresholds_and_mappings():
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
    mappings = [
        {"type": "value", "options": {"2": {"text": "critical", "color": "purple"}}},
        {"type": "range", "options": {"from": 3, "to": 4, "result": {"text": "some"}}},
        {"type": "special", "options": {"match": "nan", "result": {"text": "none"}}},
        {"type": "regex", "options": {"pattern": "/^x/", "result": {"text": "an x"}}},
    ]
    found = field(config(thresholds={"mode": "absolute", "steps": steps}, mappings=mappings, unit="percentunit"), "a")
    assert found.shown(0.5) == Shown("50%", "green")
    assert found.shown(1) == Shown("100%", "red")
    assert found.shown(2) == Shown("critical", "purple")
    assert found.shown(3.5) == Shown("some", "red")
    assert found.shown(math.nan).text == "none"
    assert found.shown("xy").text == "an x"
    assert found.shown("y").text == "y"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.12345, "percentunit", "12.3%"),
        (12.5, "percent", "12.5%"),
        (90, "s", "1.5 min"),
        (0.0123, "s", "12.3 ms"),
        (86_400 * 3, "s", "3 d"),
        (-90, "s", "-1.5 min"),
        (1500, "ms", "1.5 s"),
        (0, "s", "0 s"),
        (1_234_567, "short", "1.23 Mil"),
        (2048, "bytes", "2 KiB"),
        (2000, "decbytes", "2 kB"),
        (0.25, "reqps", "0.25 req/s"),
        (1234, "none", "1234"),
        (3, "widgets", "3 widgets"),
        (3, "suffix: km", "3 km"),
        (1, "bool_yes_no", "yes"),
        (0, "dateTimeAsIso", "1970-01-01 00:00:00"),
        (math.inf, "s", "∞"),
    ],
)
def test_units(value, unit, text):
    assert written(value, unit) == text


@given(
    st.floats(1e-12, 1e15), st.sampled_from(["s", "ms", "short", "bytes", "percentunit", "none", "reqps", "decbytes"])
)
def test_a_text_says_the_value_to_half_a_percent(value, unit):
    """What is written, times the factor of its suffix, is the value, unless it is too small for its unit."""
    found = scale(unit, value)
    number = float(written(value, unit).removesuffix(found.suffix))
    assert number * found.factor == pytest.approx(value, rel=0.0051, abs=1e-6 * found.factor)
