"""Whose rows they are: streams told apart, refusals and violations of each, and nothing lost on the way."""

import numpy as np
import pyarrow as pa
import pytest

from ml_exporter.records import Field, Reject, Stream, union
from ml_exporter.sources.rows import Rows, split

EVENT = ("event",)
TIME, ID = Field("timestamp", ("ts",), "time", True), Field("id", ("id",), "id", True)
SCORE, X = Field("score", ("p",), "number"), Field("feature:x", ("f", "x"), "number")
LABEL = Field("label", ("y",), "text", True)
MADE = Stream("a", "predictions", (TIME, ID, SCORE, X), ((EVENT, "made"),))
KNOWN = Stream("a", "labels", (TIME, ID, LABEL), ((EVENT, "known"),))
ALL = Stream("b", "predictions", (TIME, SCORE))
PATHS = frozenset({("ts",), ("id",), ("p",), ("f",), ("f", "x"), ("y",), EVENT})

# One row a line: time, id, score, x, label, event; "!" has a wrong type, None is null, "-" is absent.
LINES = (
    (1, "i1", 0.5, 1.0, None, "made"),
    (2, "i2", 0.5, "-", "-", "made"),
    (3, None, 0.5, 1.0, "-", "made"),
    (4, "!", 0.5, 1.0, "-", "made"),
    ("!", "!", 0.5, 1.0, "-", "made"),
    ("!", "i6", "!", 1.0, "-", "made"),
    (7, "i1", "-", "-", "yes", "known"),
    (8, "i2", "-", "-", None, "known"),
    (9, "i9", "!", 1.0, "no", "other"),
    ("-", "i10", 0.5, 1.0, "no", None),
)
FIELDS = (TIME, ID, SCORE, X, LABEL, Field("event", EVENT, "text"))
TYPES = {"time": pa.int64(), "number": pa.float64()}


def rows(lines=LINES, first=0, rejects=(), extra=()):
    """These lines as a parser gives them; each is ten bytes long."""
    arrays, wrong = [], {}
    for number, item in enumerate(FIELDS):
        values = [line[number] for line in lines]
        flags = np.array([value == "!" for value in values], bool)
        if flags.any():
            wrong[number] = flags
        known = [None if value in ("!", "-") else value for value in values]
        arrays.append(pa.array(known, TYPES.get(item.kind, pa.string())))
    shapes = [
        PATHS.union(extra) - {item.path for item, value in zip(FIELDS, line, strict=True) if value == "-"}
        for line in lines
    ]
    kinds = tuple(dict.fromkeys(shapes))
    places = np.array([kinds.index(shape) for shape in shapes], np.int64)
    offsets = (np.arange(len(lines)) + first) * 10
    return Rows(FIELDS, tuple(arrays), wrong, kinds, places, offsets, tuple(rejects), lambda at: b"%d" % at)


def plain(parsed):
    """All of it in values that can be compared."""
    return [
        (item.table.to_pylist(), item.lines, dict(item.violations), item.offsets.tolist(), places(item.refused))
        for item in parsed.batches
    ], (parsed.lines, places(parsed.refused))


def places(refused):
    return {reason: found.tolist() for reason, found in refused.items()}


def test_every_stream_gets_its_rows():
    made, known = split([rows()], [MADE, KNOWN]).batches
    assert made.table.to_pylist() == [
        {"timestamp": 1, "id": "i1", "score": 0.5, "feature:x": 1.0},
        {"timestamp": 2, "id": "i2", "score": 0.5, "feature:x": None},
    ]
    assert made.offsets.tolist() == [0, 10]
    assert made.violations == {"missing_column": 1}
    assert places(made.refused) == {"missing_column": [20], "wrong_type": [30, 40], "bad_timestamp": [50]}
    assert made.lines == 6
    assert known.table.to_pylist() == [{"timestamp": 7, "id": "i1", "label": "yes"}]
    assert places(known.refused) == {"missing_column": [70]}


def test_rows_of_no_stream_are_counted():
    parsed = split([rows(rejects=[Reject("malformed", 500), Reject("too_long", 400)])], [MADE, KNOWN])
    assert places(parsed.refused) == {"malformed": [500], "too_long": [400], "no_model": [80, 90]}
    assert parsed.lines == 12


def test_a_row_may_feed_several_streams():
    parsed = split([rows()], [MADE, ALL])
    assert parsed.batches[1].table.column("timestamp").to_pylist() == [1, 2, 3, 4, 7, 8, 9]
    assert parsed.batches[1].violations == {"missing_column": 2, "wrong_type": 1}
    assert places(parsed.batches[1].refused) == {"missing_column": [90], "bad_timestamp": [40, 50]}
    assert not parsed.refused
    assert plain(split([rows()], [MADE]))[0][0] == plain(parsed)[0][0]


def test_unknown_keys_count_only_where_features_are():
    made, known = split([rows(extra=[("f", "new"), ("new",), ("g", "x")])], [MADE, KNOWN]).batches
    assert made.violations == {"missing_column": 1, "unknown_column": 2}
    assert known.violations == {}


def test_conditions_must_all_hold():
    both = Stream("a", "labels", (TIME,), ((EVENT, "known"), (("y",), "yes")))
    assert split([rows()], [both]).batches[0].table.num_rows == 1
    nothing = Stream("a", "labels", (TIME,), ((EVENT, "known"), (("z",), "yes")))
    assert places(split([rows()], [nothing]).refused) == {"no_model": list(range(0, 100, 10))}


@pytest.mark.parametrize("cut", range(1, len(LINES)))
def test_parts_in_any_order_give_the_same(cut):
    parts = [rows(LINES[cut:], first=cut), rows(LINES[:cut])]
    streams = [MADE, KNOWN, ALL]
    assert plain(split(parts, streams)) == plain(split([rows()], streams))


def test_a_field_that_was_not_read_is_absent():
    whole = rows(LINES[6:8])
    less = Rows(
        FIELDS[:2] + FIELDS[4:],
        whole.arrays[:2] + whole.arrays[4:],
        {},
        whole.shapes,
        whole.shape_of,
        whole.offsets,
        (),
        whole.line_at,
    )
    assert plain(split([less], [KNOWN, MADE, ALL])) == plain(split([whole], [KNOWN, MADE, ALL]))


def test_each_path_and_kind_is_read_once():
    assert [(item.path, item.kind) for item in union([MADE, KNOWN, ALL])] == [
        (("ts",), "time"),
        (("id",), "id"),
        (("p",), "number"),
        (("f", "x"), "number"),
        (EVENT, "text"),
        (("y",), "text"),
    ]


def test_without_rows():
    empty = rows(LINES[:0])
    parsed = split([empty], [MADE, KNOWN])
    assert parsed.lines == 0
    assert [batch.table.num_rows for batch in parsed.batches] == [0, 0]
