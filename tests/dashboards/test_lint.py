"""What a linter of dashboards asks for, and what we ask for beyond that.

The rules of grafana/dashboard-linter, in our words: one variable for the data source, which everything uses; variables
that are read anew when the time range changes; panels with title, description, unit and queries; queries that parse,
use `$__rate_interval`, aggregate counters by a rate, and select what the dashboard is about; nobody can edit it.
Its rules on `job` and `instance` do not fit: a level has neither, so that a restarted exporter changes nothing.
"""

import re

import pytest
from boards import BOARDS, all_panels, filled, queries

from ml_exporter.catalogue import BY_NAME

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
PANELS = all_panels()
each_panel = pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board['uid']}-{panel['title']}" for board, panel in PANELS]
)
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
TYPES = {"timeseries", "stat", "heatmap", "state-timeline", "table"}
UIDS = {"ml-overview", "ml-model", "ml-features", "ml-labels", "ml-latency", "ml-alerts", "ml-exporter"}
FLEET = {"ml-overview", "ml-alerts", "ml-exporter"}
COUNTER_FUNCTIONS = ("rate", "increase")


def variables(board):
    return {item["name"]: item for item in board["templating"]["list"]}


def names(text):
    """The variables that a text reads, without Grafana's own."""
    return {name for name in re.findall(r"\$\{?(\w+)", text) if not name.startswith("__")}


def test_there_is_one_dashboard_for_each_question():
    assert set(BOARDS) == UIDS
    assert all(board["uid"] == name for name, board in BOARDS.items())
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)


@boards
def test_dashboard(board):
    assert len(board["uid"]) <= 40
    assert board["schemaVersion"] == 36
    assert board["editable"] is False
    assert board["timezone"] == "utc"
    assert board["tags"] == ["ml-exporter"]
    assert board["description"]
    assert "id" not in board
    (by_tag,) = [link for link in board["links"] if link["type"] == "dashboards"]
    assert (by_tag["tags"], by_tag["includeVars"], by_tag["keepTime"]) == (board["tags"], True, True)


@boards
def test_variables(board):
    first, *others = board["templating"]["list"]
    assert (first["name"], first["label"], first["type"], first["query"]) == (
        "datasource",
        "Data source",
        "datasource",
        "prometheus",
    )
    known = set()
    if board["uid"] not in FLEET:
        assert others[0]["name"] == "model"
        assert not others[0].get("multi"), "a page about one model"
    for item in others:
        assert item["label"]
        assert item["datasource"] == DATASOURCE
        assert item["refresh"] == 2, "read when the time range changes"
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", item["query"]["query"]).groups()
        assert label == item["name"]
        assert names(series) <= known, "a variable reads only those before it"
        assert item.get("multi", False) == item.get("includeAll", False)
        if item.get("multi"):
            assert item["allValue"] in {".+", "ML.+"}
            assert item["current"]["value"] == ["$__all"]
        known.add(item["name"])
    used = set().union(*(names(text) for text in strings([board["panels"], board["annotations"], others])))
    assert used == set(variables(board)), "every variable is used, and every one that is used exists"


def strings(value):
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


@boards
def test_panels_lie_beside_each_other(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"] if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in board["panels"])
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert max(x for x, _ in cells) < 24
    height = max(y for _, y in cells) + 1
    assert len(cells) == 24 * height, "there are holes between the panels"
    assert height <= 100, "a wall that nobody reads"


@each_panel
def test_panel_explains_itself(board, panel):
    assert panel["title"]
    assert panel["type"] in TYPES
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert "Bad:" in panel["description"]
    assert panel["interval"] in {"1m", "1h"}
    assert panel["targets"]
    assert [item["refId"] for item in panel["targets"]] == [chr(65 + place) for place in range(len(panel["targets"]))]
    for item in (panel, *panel["targets"]):
        assert item["datasource"] == DATASOURCE
    for target in panel["targets"]:
        assert target["legendFormat"], "a line without a name"
        assert ("format" in target) == (panel["type"] in {"table", "heatmap"})


@each_panel
def test_query_is_about_what_the_dashboard_is_about(board, panel):
    known = {"vector(1)"} | {"max (ml:threshold:", "max(alertmanager", "max(prometheus"}
    for target in panel["targets"]:
        query = target["expr"]
        if board["uid"] in FLEET:
            continue
        assert 'model="$model"' in query or query in known
    for name, item in variables(board).items():
        if item.get("multi"):
            for query in (target["expr"] for target in panel["targets"]):
                assert not re.search(rf'[^~]"\${name}"', query), "several values need =~"


@pytest.mark.parametrize("query", queries())
def test_counters_are_read_by_a_rate(query):
    counters = [name for name, metric in BY_NAME.items() if metric.type == "counter"]
    series = [f"{name}{end}" for name, m in BY_NAME.items() if m.type == "histogram" for end in ("_bucket", "_count")]
    for name in re.findall(r"\bml_\w+", query):
        if name in counters or name in series:
            assert re.search(rf"\b({'|'.join(COUNTER_FUNCTIONS)})\({name}\b", query)
    for function, window in re.findall(r"\b(rate|irate|delta|idelta)\([^\[]*\[([^\]]+)\]", query):
        assert window == "$__rate_interval", function
    assert "irate" not in query
    assert "$__interval" not in filled(query)


@each_panel
def test_legend(board, panel):
    """Lines of one panel have different names, and limits look like limits on every panel."""
    legends = [target["legendFormat"] for target in panel["targets"] if target["legendFormat"] != "__auto"]
    assert len(set(legends)) == len(legends)
    looks = {item["matcher"]["options"]: item["properties"] for item in panel["fieldConfig"]["overrides"]}
    for target in panel["targets"] if panel["type"] == "timeseries" else ():
        legend = target["legendFormat"]
        limit = "ml:threshold:" in target["expr"] and "ml:threshold:missing" not in target["expr"]
        is_limit = limit and not target["expr"].startswith("count")
        assert is_limit == bool(re.match(r"(warning|critical) limit|at least", legend))
        if is_limit or legend.startswith("noise floor"):
            (found,) = [look for pattern, look in looks.items() if re.match(pattern.strip("/"), legend)]
            assert any(item["id"] == "custom.lineStyle" for item in found)
    if panel["type"] == "timeseries":
        assert panel["options"]["legend"]["showLegend"] is True


@boards
def test_bands_have_both_their_ends(board):
    for panel in board["panels"]:
        legends = {target["legendFormat"] for target in panel.get("targets", ())}
        for item in panel.get("fieldConfig", {}).get("overrides", ()):
            assert {look["value"] for look in item["properties"] if look["id"] == "custom.fillBelowTo"} <= legends


@boards
def test_annotations_say_what_they_ask_as_every_version_of_grafana_reads_it(board):
    for item in board["annotations"]["list"]:
        assert (item["target"]["expr"], item["target"]["interval"]) == (item["expr"], item["step"])


@boards
def test_deployments_and_pages_are_marked_and_warnings_on_request(board):
    marked = {item["name"]: item for item in board["annotations"]["list"]}
    if board["uid"] not in FLEET:
        assert "ml_model_version_info" in marked["New version"]["expr"]
        assert 'severity="critical",model="$model"' in marked["Pages"]["expr"]
    if board["uid"] != "ml-alerts":  # its panels show them all
        assert (marked["Pages"]["enable"], marked["Warnings"]["enable"]) == (True, False)
        assert 'severity="warning"' in marked["Warnings"]["expr"]
        assert all('alertstate="firing",escalation=""' in marked[name]["expr"] for name in ("Pages", "Warnings"))


@each_panel
def test_what_is_ranked_is_ranked_in_the_query_or_the_table(board, panel):
    if panel["type"] == "table":
        kinds = [item["id"] for item in panel["transformations"]]
        assert kinds[:3] == ["merge", "organize", "sortBy"]
        names_of = panel["transformations"][1]["options"]["renameByName"].values()
        labels = panel["transformations"][1]["options"]["indexByName"]
        (order,) = panel["transformations"][2]["options"]["sort"]
        assert order["field"] in {*names_of, *labels}
        assert all(target["instant"] and target["format"] == "table" for target in panel["targets"])
        known = {*names_of, *labels}
        assert {item["matcher"]["options"] for item in panel["fieldConfig"]["overrides"]} <= known
    else:
        for target in panel["targets"]:
            lines = re.search(r"topk\(\d+, max_over_time\(", target["expr"])
            assert ("topk" not in target["expr"]) or lines or panel["title"] == "Time to evaluate the rules"
