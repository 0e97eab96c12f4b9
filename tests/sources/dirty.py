"""The kinds of dirty lines that logs have, each once, as a log spells it and what has to become of it.

Every line is a variation of `GOOD`, the row number 0. Columns of other formats stand beside the JSON text.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ml_exporter.records import Field, Stream

FIELDS = (
    Field("timestamp", ("timestamp",), "time", True),
    Field("id", ("id",), "id", True),
    Field("version", ("version",), "text"),
    Field("prediction", ("prediction",), "text"),
    Field("score", ("score",), "number"),
    Field("feature:temp", ("features", "temp"), "number"),
    Field("feature:wind", ("features", "wind"), "number"),
    Field("feature:carrier", ("features", "carrier"), "text"),
)
STREAM = Stream("flights", "predictions", FIELDS)
MOST_LINE_BYTES = 1000
NOW_US = 1_767_225_600_000_000
"""The clock of the tests: the time of every good row."""

CONFIG = """
sources:
  log: {files: "%s", max_line_bytes: 1000B}
  truth: {files: labels/*.jsonl}
models:
  flights:
    task: binary
    team: ops
    baseline: flights.baseline.json
    classes: ["no", "yes"]
    predictions: {source: log, columns: {version: version, prediction: prediction, score: score}}
    labels: {source: truth, maturity: 1h}
    features: {object: features, numeric: {temp: , wind: }, categorical: {carrier: }}
"""
"""The configuration that reads these fields; the model of `tests.build` has its layout."""

GOOD = (
    b'{"timestamp": "2026-01-01T00:00:00Z", "id": "i0", "version": "v1", "prediction": "yes", "score": 0.75,'
    b' "features": {"temp": 1.5, "wind": 2.5, "carrier": "AA"}}'
)
ROW = {
    "timestamp": NOW_US,
    "id": "i0",
    "version": "v1",
    "prediction": "yes",
    "score": 0.75,
    "feature:temp": 1.5,
    "feature:wind": 2.5,
    "feature:carrier": "AA",
}


def good(number: int) -> bytes:
    """A clean line; only its id depends on the number."""
    return GOOD.replace(b"i0", b"i%d" % number)


@dataclass(frozen=True)
class Kept:
    """A row that is kept, with what is not as in `ROW`, and its violations."""

    changes: dict[str, Any] = field(default_factory=dict)
    violations: tuple[str, ...] = ()

    @property
    def row(self) -> dict[str, Any]:
        """The whole row."""
        return ROW | self.changes


@dataclass(frozen=True)
class Dirty:
    """One kind of dirty line.

    `becomes` is the row that is kept, the reason why it is refused, or None: no line at all.
    """

    name: str
    jsonl: bytes
    becomes: Kept | str | None


MISSING, UNKNOWN, WRONG = "missing_column", "unknown_column", "wrong_type"
INFINITE = float("inf")

KINDS = (
    Dirty("NaN literal", GOOD.replace(b"0.75", b"NaN"), Kept({"score": None})),
    Dirty("Infinity literal", GOOD.replace(b"0.75", b"Infinity"), Kept({"score": INFINITE})),
    Dirty("number in quotes", GOOD.replace(b"0.75", b'"0.75"'), Kept({}, (WRONG,))),
    Dirty("boolean for a number", GOOD.replace(b"0.75", b"true"), Kept({"score": 1.0})),
    Dirty("number for a text", GOOD.replace(b'"v1"', b"1"), Kept({"version": "1"})),
    Dirty("integer for a number", GOOD.replace(b"0.75", b"1"), Kept({"score": 1.0})),
    Dirty("column missing", GOOD.replace(b'"score": 0.75, ', b""), Kept({"score": None}, (MISSING,))),
    Dirty("column too many", GOOD.replace(b'"version"', b'"extra": 1, "version"'), Kept()),
    Dirty("feature too many", GOOD.replace(b'"temp"', b'"new": 1, "temp"'), Kept({}, (UNKNOWN,))),
    Dirty("carriage return at the end", GOOD + b"\r", Kept()),
    Dirty(
        "features null",
        GOOD[: GOOD.index(b'{"temp"')] + b"null}",
        Kept({"feature:temp": None, "feature:wind": None, "feature:carrier": None}, (MISSING,) * 3),
    ),
    Dirty(
        "features a list",
        GOOD[: GOOD.index(b'{"temp"')] + b"[1.5, 2.5]}",
        Kept({"feature:temp": None, "feature:wind": None, "feature:carrier": None}, (MISSING,) * 3),
    ),
    Dirty("truncated", GOOD[:70], "malformed"),
    Dirty("garbage", b"Traceback (most recent call last):", "malformed"),
    Dirty("hole of NUL bytes", b"\0" * 300 + GOOD, Kept()),
    Dirty("invalid UTF-8", GOOD.replace(b"AA", b"A\xff"), "malformed"),
    Dirty("byte order mark within", b"\xef\xbb\xbf" + GOOD, "malformed"),
    Dirty("blank", b" ", None),
    Dirty("newline lost", GOOD + GOOD, "malformed"),
    Dirty("duplicate key", GOOD.replace(b'"score"', b'"score": 0.25, "score"'), Kept()),
    Dirty("1e400", GOOD.replace(b"0.75", b"1e400"), Kept({"score": INFINITE})),
    Dirty("list for a record", b"[1, 2]", "malformed"),
    Dirty("word for a number", GOOD.replace(b"0.75", b'"high"'), Kept({"score": INFINITE}, (WRONG,))),
    Dirty("list for a number", GOOD.replace(b"0.75", b"[0.75]"), Kept({"score": INFINITE}, (WRONG,))),
    # and one for each reason that is not above
    Dirty("id missing", GOOD.replace(b'"id": "i0", ', b""), MISSING),
    Dirty("id null", GOOD.replace(b'"i0"', b"null"), MISSING),
    Dirty("id a fraction", GOOD.replace(b'"i0"', b"1.5"), WRONG),
    Dirty("time without zone", GOOD.replace(b"00Z", b"00"), "bad_timestamp"),
    Dirty("word for a time", GOOD.replace(b"2026-01-01T00:00:00Z", b"yesterday"), "bad_timestamp"),
    Dirty("time missing", GOOD.replace(b'"timestamp"', b'"time"'), MISSING),
    Dirty("too long", GOOD.replace(b"v1", b"v" * 2000), "too_long"),
)

CLOCK = (
    Dirty("from the future", GOOD.replace(b"2026", b"2027"), "future"),
    Dirty("from a year ago", GOOD.replace(b"2026", b"2025"), "too_late"),
)
"""Lines that a parser keeps and the clock refuses."""


def mixed(kind: bytes, share: int, count: int = 600) -> list[bytes]:
    """`count` lines of which `share` percent are of a kind, spread evenly, the others clean with ids that ascend."""
    every = 100 // share
    return [kind if number % every == every // 2 else good(number + 1) for number in range(count)]


def expected(kind: Dirty, lines: list[bytes], dirty: bytes) -> tuple[list[dict[str, Any]], Counter[str], Counter[str]]:
    """What a log of these lines has to give: rows in order, rejects by reason and violations by kind."""
    rows, rejects, violations = [], Counter[str](), Counter[str]()
    for number, line in enumerate(lines):
        if line != dirty:
            rows.append(ROW | {"id": f"i{number + 1}"})
        elif isinstance(kind.becomes, Kept):
            rows.append(kind.becomes.row)
            violations.update(kind.becomes.violations)
        elif kind.becomes is not None:
            rejects[kind.becomes] += 1
    return rows, rejects, violations
