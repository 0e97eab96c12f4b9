"""The generated dashboards, and what can be asked of them: panels, queries, links."""

import json
from pathlib import Path

OUT = Path(__file__).parents[2] / "dashboards" / "out"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(OUT.glob("*.json"))}

# What Grafana puts in place of its own variables, for a range of six hours.
RANGE = {"$__rate_interval": "5m", "$__interval": "1m", "$__range_s": "21600", "$__range": "21600s"}


def panels(board):
    """The panels of a dashboard, without the headers of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def all_panels():
    """All pairs of a dashboard and one of its panels."""
    return [(board, panel) for board in BOARDS.values() for panel in panels(board)]


def queries():
    """Every query of every panel and annotation, as written."""
    found = [target["expr"] for _, panel in all_panels() for target in panel["targets"]]
    return found + [item["expr"] for board in BOARDS.values() for item in board["annotations"]["list"]]


def filled(query):
    """A query with Grafana's own variables replaced; those of the dashboard are inside quotes and parse as they are."""
    for name, value in RANGE.items():
        query = query.replace(name, value)
    return query
