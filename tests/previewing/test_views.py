"""What panels show: lines with gaps, lanes, heat maps, numbers, tables, and what cannot be shown."""

import math

from tests.previewing.made import CONTEXT, RANGE, answer, read_panel, series

from ml_exporter.previewing.seeing import see
from ml_exporter.previewing.views import Bars, Chart, Heat, Lanes, Nothing, Numbers, Rows, Words


def view(panel, *answers):
    seen = see(panel, answers, RANGE, CONTEXT)
    assert seen.problems == ()
    return seen.view


def table(*rows, ref="A"):
    found = (series([value], job=job, team=team) for job, team, value in rows)
    return answer(*found, ref=ref, form="table")


def test_lines_break_where_samples_are_missing():
    found = view(read_panel("timeseries"), answer(series([1, 2, None, 4], job="a")))
    assert isinstance(found, Chart)
    (line,) = found.lines
    assert line.field.name == "a"
    assert line.times == (0.0, 60.0, 120.0, 180.0)
    assert line.values[:2] == (1.0, 2.0)
    assert math.isnan(line.values[2])
    assert [shown.text for shown in line.calculated] == ["1", "4", "4"]


def test_a_legend_names_series_and_calculations():
    panel = read_panel("timeseries", options={"legend": {"calcs": ["mean", "lastNotNull"]}})
    found = view(panel, answer(series([1, 3], job="a", q="0.5"), legend=" {{ job }}  at {{q}} {{none}}"))
    assert found.headings == ("Mean", "Last")
    assert found.lines[0].field.name == "a at 0.5"
    auto = view(panel, answer(series([1], __name__="up", job="a"), legend="__auto"))
    assert auto.lines[0].field.name == 'up{job="a"}'


def test_what_is_hidden_is_no_line():
    hidden = {
        "matcher": {"id": "byName", "options": "a"},
        "properties": [{"id": "custom.hideFrom", "value": {"viz": True}}],
    }
    panel = read_panel("timeseries", fieldConfig={"defaults": {}, "overrides": [hidden]})
    found = view(panel, answer(series([1], job="a"), series([1], job="b")))
    assert [line.field.name for line in found.lines] == ["b"]


def test_equal_states_that_touch_are_one_span():
    mappings = [{"type": "value", "options": {"1": {"text": "firing", "color": "red"}}}]
    panel = read_panel("state-timeline", fieldConfig={"defaults": {"mappings": mappings}, "overrides": []})
    found = view(panel, answer(series([1, 1, None, 1, 2], job="a")))
    assert isinstance(found, Lanes)
    (lane,) = found.lanes
    assert [(span.start, span.end, span.shown.text) for span in lane.spans] == [
        (0.0, 120.0, "firing"),
        (180.0, 240.0, "firing"),
        (240.0, 300.0, "2"),
    ]


def test_a_heat_map_shows_what_is_in_each_bucket_alone():
    rows = [series([5, 5], le="+Inf"), series([1, 0], le="0.1"), series([3, 5], le="1.0")]
    found = view(read_panel("heatmap", options={"yAxis": {"unit": "s"}}), answer(*rows))
    assert isinstance(found, Heat)
    assert (found.names, found.unit) == (("0.1", "1.0", "+Inf"), "s")
    assert found.cells == ((1.0, 0.0), (2.0, 5.0), (2.0, 0.0))


def test_a_number_is_the_last_and_its_trend():
    found = view(read_panel("stat", options={"textMode": "value"}), answer(series([1, 2, math.nan], job="a")))
    assert isinstance(found, Numbers)
    (item,) = found.items
    assert (item.name, item.shown.text, item.trend[:2]) == ("", "2", (1.0, 2.0))
    several = view(read_panel("stat"), answer(series([1], job="a"), series([2], job="b")))
    assert [(item.name, item.shown.text) for item in several.items] == [("a", "1"), ("b", "2")]
    name = view(read_panel("stat", options={"textMode": "name"}), answer(series([1], job="a")))
    assert name.items[0].shown.text == "a"


def test_bars_lie_between_the_least_and_the_most():
    found = view(read_panel("bargauge"), answer(series([1], job="a"), series([4], job="b")))
    assert isinstance(found, Bars)
    assert [item.share for item in found.items] == [0.25, 1.0]
    limits = {"defaults": {"min": 0, "max": 8}, "overrides": []}
    gauge = view(read_panel("gauge", fieldConfig=limits), answer(series([4], job="b")))
    assert gauge.items[0].share == 0.5
    chart = view(read_panel("barchart"), table(("a", "x", 1), ("b", "y", 2)))
    assert [(item.name, item.share) for item in chart.items] == [("a x", 0.5), ("b y", 1.0)]


MERGED = [
    {"id": "merge", "options": {}},
    {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {"team": 0, "job": 1},
            "renameByName": {"Value #A": "Rows", "Value #B": "Limit", "team": "Team"},
        },
    },
    {"id": "sortBy", "options": {"sort": [{"field": "Rows", "desc": True}]}},
]


def test_tables_are_merged_organized_and_sorted():
    found = view(
        read_panel("table", transformations=MERGED),
        table(("a", "x", 1), ("b", "y", 3), ref="A"),
        table(("b", "y", 5), ("c", "z", 6), ref="B"),
    )
    assert isinstance(found, Rows)
    assert found.headings == ("Team", "job", "Rows", "Limit")
    texts = [tuple(cell.shown.text for cell in row) for row in found.rows]
    assert texts == [("y", "b", "3", "5"), ("x", "a", "1", ""), ("z", "c", "", "6")]


def test_other_transformations():
    joined = [{"id": "joinByField", "options": {"byField": "job", "mode": "outer"}}]
    found = view(
        read_panel("table", transformations=joined), table(("a", "x", 1), ref="A"), table(("a", "x", 2), ref="B")
    )
    assert found.headings[:2] == ("job", "Time")
    assert len(found.rows) == 1
    reduced = [
        {"id": "reduce", "options": {"reducers": ["max", "mean"]}},
        {"id": "limit", "options": {"limitField": 1}},
    ]
    found = view(read_panel("table", transformations=reduced), answer(series([1, 3], job="a"), series([5], job="b")))
    assert [tuple(cell.shown.text for cell in row) for row in found.rows] == [("a", "3", "2")]
    grouped = {"job": {"operation": "groupby"}, "Value": {"operation": "aggregate", "aggregations": ["sum"]}}
    steps = [{"id": "groupBy", "options": {"fields": grouped}}]
    found = view(read_panel("table", transformations=steps), table(("a", "x", 1), ("a", "y", 2), ("b", "z", 3)))
    assert [tuple(cell.shown.text for cell in row) for row in found.rows] == [("a", "3"), ("b", "3")]
    named = [{"id": "filterFieldsByName", "options": {"include": {"pattern": "/^(job|Value)$/"}}}]
    found = view(read_panel("table", transformations=named), table(("a", "x", 1)))
    assert found.headings == ("job", "Value")


def test_links_of_cells_know_their_row():
    links = [{"title": "To ${__data.fields.job}", "url": '/d/m?var-m=${__data.fields["job"]}&v=${__value.raw}'}]
    panel = read_panel("table", fieldConfig={"defaults": {"links": links}, "overrides": []})
    found = view(panel, table(("a b", "x", 1)))
    (link,) = found.rows[0][found.headings.index("job")].links
    assert (link.title, link.url) == ("To a b", "/d/m?var-m=a%20b&v=a%20b")


def test_what_cannot_be_shown_is_said():
    seen = see(read_panel("nodeGraph"), [answer(series([1]))], RANGE, CONTEXT)
    assert isinstance(seen.view, Nothing)
    assert "panel: expected one of" in seen.problems[0]
    assert "got 'nodeGraph'" in seen.problems[0]
    steps = [{"id": "calculateField", "options": {}}]
    (problem,) = see(read_panel("table", transformations=steps), [table(("a", "x", 1))], RANGE, CONTEXT).problems
    assert "got 'calculateField'" in problem
    override = {"matcher": {"id": "byValue", "options": {}}, "properties": []}
    panel = read_panel("timeseries", fieldConfig={"defaults": {}, "overrides": [override]})
    (problem,) = see(panel, [], RANGE, CONTEXT).problems
    assert problem.startswith("overrides byValue: expected one of")


def test_a_query_that_failed_leaves_the_others():
    seen = see(read_panel(), [answer(error="no such thing"), answer(series([1], job="a"), ref="B")], RANGE, CONTEXT)
    assert seen.problems == ("query A: no such thing",)
    assert isinstance(seen.view, Chart)


def test_no_answer_is_no_problem():
    for kind in ("timeseries", "stat", "table", "state-timeline", "heatmap", "bargauge", "barchart", "gauge"):
        assert isinstance(view(read_panel(kind), answer()), Nothing)
    assert view(read_panel("text", options={"content": "# A"})) == Words("# A")
