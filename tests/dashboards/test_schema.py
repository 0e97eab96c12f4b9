"""The dashboards are what Grafana's own schema library reads: nothing is unknown to it, and every value has its type.

The library is generated from the schemas of Grafana. The version that fits 10.1 is the oldest that there is.
"""

import builtins
import enum
import json
import re
import types
import typing

import pytest
from boards import BOARDS
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as schema
from grafana_foundation_sdk.models import units

boards = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))

# What the schema of an annotation leaves to the data source: how Prometheus' events are named, and the query as newer
# versions keep it.
_QUERY = "target/(refId|expr|interval|range|instant)"
BEYOND = re.compile(rf"/annotations/list/\d+/(step|titleFormat|textFormat|tagKeys|{_QUERY})")


@pytest.fixture(scope="module", autouse=True)
def plugins():
    register_default_plugins()


def lost(before, after, path=""):
    """The paths of all that is in `before`, and not or otherwise in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            yield from lost(before[key], after.get(key, "nothing"), f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}/{place}")
    elif before != after:
        yield path


def fits(value, hint):
    """Whether a value has the type that the library declares. Its objects are looked into by `misfits`."""
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Union | types.UnionType:
            found = any(fits(value, item) for item in arguments)
        case typing.Literal:
            found = value in arguments
        case builtins.list:
            found = isinstance(value, list) and all(fits(item, arguments[0]) for item in value)
        case builtins.dict:
            found = isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values())
        case _:
            found = fits_class(value, hint)
    return found


def fits_class(value, hint):
    if hint in {typing.Any, object}:
        return True
    if hint in {int, float}:
        return isinstance(value, int | hint) and not isinstance(value, bool)
    if issubclass(hint, enum.Enum):
        return value in set(hint) | {item.value for item in hint}
    if isinstance(value, dict) and hasattr(hint, "from_json"):  # what the library leaves as it was read
        return not list(misfits(hint.from_json(value)))
    return isinstance(value, hint)


def misfits(value, path=""):
    """The paths of all values in objects of the library that do not have the declared type."""
    if isinstance(value, list | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from misfits(item, f"{path}/{key}")
    elif type(value).__module__.startswith("grafana_foundation_sdk.models") and not isinstance(value, enum.Enum):
        for name, hint in typing.get_type_hints(type(value)).items():
            item = getattr(value, name)
            if not fits(item, hint):
                yield f"{path}/{name}: {item!r} is no {hint}"
            yield from misfits(item, f"{path}/{name}")


@boards
def test_the_library_of_grafana_reads_everything(board):
    after = json.loads(JSONEncoder().encode(schema.Dashboard.from_json(board)))
    assert [path for path in lost(board, after) if not BEYOND.fullmatch(path)] == []


@boards
def test_every_value_has_the_type_of_the_schema(board):
    assert list(misfits(schema.Dashboard.from_json(board))) == []


def test_what_does_not_fit_is_seen():
    board = json.loads(json.dumps(BOARDS["ml-model"]))
    panel = next(item for item in board["panels"] if item["type"] == "timeseries")
    panel["gridPos"]["w"] = "8"
    panel["options"]["legend"]["displayMode"] = "chair"
    panel["options"]["unheard"] = 1
    read = schema.Dashboard.from_json(board)
    assert len(list(misfits(read))) == 2
    assert "unheard" in " ".join(lost(board, json.loads(JSONEncoder().encode(read))))


@boards
def test_units_are_those_of_grafana(board):
    known = {value for value in vars(units).values() if isinstance(value, str)}
    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"] if panel["type"] != "row"}
    for panel in board["panels"]:
        for item in panel.get("fieldConfig", {}).get("overrides", ()):
            used |= {look["value"] for look in item["properties"] if look["id"] == "unit"}
    assert used <= known
