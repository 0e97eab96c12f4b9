"""Small dashboards and answers that the tests start from."""

import json

from ml_exporter.previewing.answers import Answer, Series
from ml_exporter.previewing.dashboards import Target
from ml_exporter.previewing.links import Context
from ml_exporter.previewing.reading import read
from ml_exporter.previewing.times import Range

RANGE = Range(0.0, 3600.0)
CONTEXT = Context({}, {})
PLACE = {"x": 0, "y": 0, "w": 8, "h": 8}


def target(expr="up", **changes):
    return {"refId": "A", "expr": expr, "legendFormat": "{{job}}", "range": True, "interval": "1m"} | changes


def panel(kind="timeseries", *targets, **changes):
    """The JSON of a panel."""
    own = {"type": kind, "title": kind, "description": "What it means.", "gridPos": PLACE, "targets": list(targets)}
    return own | changes


def variable(name="model", query="label_values(ml_model_info, model)", **changes):
    return {"name": name, "type": "query", "query": query, **changes}


def dashboard(*panels, **changes):
    """A dashboard as read."""
    own = {"uid": "d", "title": "D", "panels": list(panels), "time": {"from": "now-1h", "to": "now"}}
    return read(json.dumps(own | changes), "d.json")


def read_panel(*arguments, **changes):
    """A panel as read."""
    (found,) = dashboard(panel(*arguments, **changes)).panels()
    return found


def series(values, step=60.0, **labels):
    """Values by time from 0 on; None is a missing sample."""
    points = [(place * step, float(value)) for place, value in enumerate(values) if value is not None]
    return Series(labels, tuple(at for at, _ in points), tuple(value for _, value in points))


def answer(*found, legend="{{job}}", ref="A", form="time_series", error=""):
    instant = form == "table"
    return Answer(Target(ref, "up", legend, form, instant, ""), "up", 60.0, tuple(found), error)
