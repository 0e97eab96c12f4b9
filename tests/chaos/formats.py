"""How a row becomes a line of a log, in every format, how it is spoiled, and what the line then means."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Change = Callable[[Row], Row]
Spoil = Callable[["Format", Row], bytes]

LINE_BYTES = 4096
"""Longer lines are refused."""
DAY_SECONDS = 600.0
COLUMNS = (
    "timestamp",
    "id",
    "version",
    "prediction",
    "score",
    "latency",
    "fallback",
    "error",
    "features.temp",
    "features.carrier",
    "note",
    "serial",
    "label",
)
NASTY = 'a "note", with\ncommas; <b>&\u2028 \\'


@dataclass(frozen=True)
class Format:
    """A format of logs: its header line, a row as a line, and what may be wrong with a line."""

    name: str
    header: bytes
    render: Callable[[Row], bytes]
    odd: Mapping[str, Change]
    """Strange rows that are rows all the same."""
    dirty: Mapping[str, tuple[str, Spoil]]
    """Lines that are refused: why, and how a row becomes one."""


def meaning(row: Row) -> Row:
    """What the line of a row means, in the encoding of `records`."""
    features = row["features"] or {}
    return {
        "timestamp": round(row["timestamp"] * 1e6),
        "id": row["id"],
        "prediction": row["prediction"],
        "score": _number(row.get("score")),
        "latency": row["latency"],
        "fallback": row["fallback"],
        "error": row["error"],
        "feature:temp": _number(features.get("temp")),
        "feature:carrier": features.get("carrier"),
    }


def _number(value: Any) -> float | None:
    """A number, also in quotes; infinite where it is none."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return float("inf")


def _json(row: Row) -> bytes:
    return json.dumps(row).encode()


def _csv(row: Row) -> bytes:
    flat = row | {f"features.{name}": value for name, value in (row.get("features") or {}).items()}
    return _cells([flat.get(name) for name in COLUMNS])


def _cells(values: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue().encode()


def _with(**changes: Any) -> Change:
    return lambda row: row | changes


def _feature(**changes: Any) -> Change:
    return lambda row: row | {"features": row["features"] | changes}


def _without(name: str) -> Change:
    return lambda row: {key: value for key, value in row.items() if key != name}


def _changed(change: Change) -> Spoil:
    return lambda found, row: found.render(change(row))


def _later(seconds: float) -> Change:
    return lambda row: row | {"timestamp": row["timestamp"] + seconds}


ODD: Mapping[str, Change] = {
    "score is text": _with(score="high"),
    "an unknown class": _with(prediction="maybe"),
    "no score": _with(score=None),
    "an infinite temperature": _feature(temp=float("inf")),
    "an unseen carrier": _feature(carrier="ZZ"),
    "a nasty note": _with(note=NASTY),
    "NaN": _with(score=float("nan")),
}
DIRTY: Mapping[str, tuple[str, Spoil]] = {
    "garbage": ("malformed", lambda _, row: f"\x01\x02 not a row {row['serial']}".encode()),
    "no id": ("missing_column", _changed(_with(id=None))),
    "no time": ("missing_column", _changed(_with(timestamp=None))),
    "unreadable time": ("bad_timestamp", _changed(_with(timestamp="yesterday"))),
    "too long": ("too_long", _changed(_with(note="x" * LINE_BYTES))),
    "an hour ahead": ("future", _changed(_later(3600.0))),
    "from another year": ("too_late", _changed(_later(-400 * DAY_SECONDS))),
    "invalid UTF-8": (
        "malformed",
        lambda found, row: found.render(row | {"version": "v?"}).replace(b"v?", b"\xff\xfe"),
    ),
}

JSONL = Format(
    "jsonl",
    b"",
    _json,
    ODD
    | {
        "number in quotes": lambda row: _feature(temp=str(row["features"]["temp"] or 0.5))(row),
        "features are null": _with(features=None),
        "no key of the score": _without("score"),
    },
    DIRTY
    | {
        "cut in the middle": ("malformed", lambda found, row: found.render(row)[:-7]),
        "two objects in one line": ("malformed", lambda found, row: found.render(row) * 2),
        "an array": ("malformed", lambda _, row: json.dumps([row]).encode()),
        "id is a list": ("wrong_type", _changed(lambda row: row | {"id": [row["id"]]})),
        "no key of the id": ("missing_column", _changed(_without("id"))),
    },
)
CSV = Format(
    "csv",
    ",".join(COLUMNS).encode() + b"\n",
    _csv,
    ODD,
    DIRTY
    | {
        "too few cells": ("malformed", lambda found, row: found.render(row).rsplit(b",", 2)[0]),
        "too many cells": ("malformed", lambda found, row: found.render(row) + b",7"),
        "a stray quote": (
            "malformed",
            lambda found, row: found.render(row | {"version": "v?"}).replace(b"v?", b'"v"1'),
        ),
    },
)
