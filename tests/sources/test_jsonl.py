"""Every kind of dirty line, alone and among good ones, and the two parsers against each other."""

import json
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.records import Field, Stream, union
from ml_exporter.sources.jsonl import parser
from ml_exporter.sources.rows import split
from ml_exporter.sources.scanner import Scanner

FIELDS = (
    Field("timestamp", ("timestamp",), "time", True),
    Field("id", ("id",), "id", True),
    Field("version", ("version",), "text"),
    Field("score", ("score",), "number"),
    Field("fallback", ("fallback",), "flag"),
    Field("feature:x", ("features", "x"), "number"),
    Field("feature:c", ("features", "c"), "text"),
)
LIMIT = 2000
MICROSECONDS = 1_367_366_400_000_000


def record(number=0, **changes):
    features = {"x": number / 2, "c": "JFK"} | changes.pop("features", {})
    row = {
        "timestamp": "2013-05-01T00:00:00Z",
        "id": f"id{number}",
        "version": "v1",
        "score": 0.25,
        "fallback": False,
        "features": features,
    }
    return row | changes


def line(number=0, **changes):
    return json.dumps(record(number, **changes)).encode()


def replaced(old, new):
    content = line()
    assert old in content
    return content.replace(old, new)


GOOD = [line(number) for number in range(300)]
BASE = {
    "timestamp": MICROSECONDS,
    "id": "id0",
    "version": "v1",
    "score": 0.25,
    "fallback": False,
    "feature:x": 0.0,
    "feature:c": "JFK",
}


def kept(violations=(), **changes):
    changes = {name.replace("_x", ":x").replace("_c", ":c"): value for name, value in changes.items()}
    return BASE | changes, Counter(violations)


MISSING, UNKNOWN, WRONG = "missing_column", "unknown_column", "wrong_type"
CASES = {
    "good": (line(), kept()),
    "NaN literal": (replaced(b"0.25", b"NaN"), kept(score=None)),
    "NaN in text": (replaced(b'"JFK"', b"NaN"), kept(feature_c=None)),
    "Infinity literal": (replaced(b"0.25", b"Infinity"), kept(score=math.inf)),
    "minus Infinity": (replaced(b"0.25", b"-Infinity"), kept(score=math.inf)),
    "1e400": (replaced(b"0.25", b"1e400"), kept(score=math.inf)),
    "-1e400": (replaced(b"0.25", b"-1e400"), kept(score=math.inf)),
    "huge integer": (replaced(b"0.25", b"1" + b"0" * 400), kept(score=math.inf)),
    "long integer": (replaced(b"0.25", b"123456789012345678901"), kept(score=123456789012345678901.0)),
    "nan in lower case": (replaced(b"0.25", b"nan"), "malformed"),
    "inf in lower case": (replaced(b"0.25", b"-inf"), "malformed"),
    "nan in an extra column": (line(extra=1).replace(b'"extra": 1', b'"extra": nan'), "malformed"),
    "-inf in an extra column": (line(extra=1).replace(b'"extra": 1', b'"extra": -inf'), "malformed"),
    "number as string": (line(score="0.5"), kept([WRONG], score=0.5)),
    "other string in number": (line(score="high"), kept([WRONG], score=math.inf)),
    "empty string in number": (line(score=""), kept([WRONG], score=math.inf)),
    "blanks around number string": (line(score=" 1 "), kept([WRONG], score=math.inf)),
    "list in number": (line(score=[1]), kept([WRONG], score=math.inf)),
    "object in number": (line(score={"a": 1}), kept([WRONG], score=math.inf)),
    "empty object in number": (line(score={}), kept([WRONG], score=math.inf)),
    "list of blanks in number": (replaced(b"0.25", b"[ \t]"), kept([WRONG], score=math.inf)),
    "list with a comma too many": (replaced(b"0.25", b"[1,]"), "malformed"),
    "list with an empty object": (line(score=[{}]), kept([WRONG], score=math.inf)),
    "list of words as number": (line(score=["a", 'b"', ":"]), kept([WRONG], score=math.inf)),
    "list with nan": (replaced(b"0.25", b"[nan]"), "malformed"),
    "list with NaN": (replaced(b"0.25", b"[NaN]"), kept([WRONG], score=math.inf)),
    "list of lists": (line(score=[[1], [2]]), kept([WRONG], score=math.inf)),
    "list in flag": (line(fallback=[True]), kept([WRONG], fallback=None)),
    "list in text with blanks": (replaced(b'"v1"', b"[ 1.50 ,\ttrue]"), kept(version="[1.50,true]")),
    "empty list in text": (line(version=[]), kept(version="[]")),
    "list of infinities in text": (replaced(b'"v1"', b"[1e400, -0]"), kept(version="[1e400,-0]")),
    "extra list": (line(extra=[1, "a", None]), kept()),
    "extra list with a wrong number": (line(extra=0).replace(b'"extra": 0', b'"extra": [01]'), "malformed"),
    "extra list with a bare word": (line(extra=0).replace(b'"extra": 0', b'"extra": [inf]'), "malformed"),
    "extra list that is not closed": (line(extra=0).replace(b'"extra": 0', b'"extra": [1'), "malformed"),
    "extra list with invalid UTF-8": (line(extra=["a?"]).replace(b"a?", b"a\xff"), "malformed"),
    "boolean in number": (line(score=True), kept(score=1.0)),
    "integer in number": (line(score=3), kept(score=3.0)),
    "null number": (line(score=None), kept(score=None)),
    "number in text": (line(version=1), kept(version="1")),
    "number in text as spelled": (replaced(b'"v1"', b"1.50"), kept(version="1.50")),
    "minus zero in text": (replaced(b'"v1"', b"-0"), kept(version="-0")),
    "exponent in text": (replaced(b'"v1"', b"1e5"), kept(version="1e5")),
    "boolean in text": (line(features={"c": True}), kept(feature_c="true")),
    "list in text": (line(version=[1, "a\n", None]), kept(version='[1,"a\\n",null]')),
    "object in text": (replaced(b'"v1"', b'{"a": 1.0}'), kept(version='{"a":1.0}')),
    "escapes in text": (line(version="é\n\t/\U0001f600"), kept(version="é\n\t/\U0001f600")),
    "quote in text": (line(version='a"b\\'), kept(version='a"b\\')),
    "colon first in text": (line(version=':"'), kept(version=':"')),
    "unescaped UTF-8": (json.dumps(record(version="é日"), ensure_ascii=False).encode(), kept(version="é日")),
    "lone surrogate": (line(version="\ud800"), "malformed"),
    "NUL escape": (line(version="a\0b"), kept(version="a\0b")),
    "integer id": (line(id=17), kept(id="17")),
    "real id": (line(id=1.5), WRONG),
    "list as id": (line(id=[1]), WRONG),
    "boolean id": (line(id=True), WRONG),
    "null id": (line(id=None), MISSING),
    "NaN id": (line(id=math.nan), MISSING),
    "number in flag": (line(fallback=1), kept([WRONG], fallback=None)),
    "string in flag": (line(fallback="true"), kept([WRONG], fallback=None)),
    "null in flag": (line(fallback=None), kept(fallback=None)),
    "missing column": (replaced(b'"score": 0.25, ', b""), kept([MISSING], score=None)),
    "missing required column": (replaced(b'"id": "id0", ', b""), MISSING),
    "missing timestamp": (replaced(b'"timestamp"', b'"time"'), MISSING),
    "missing feature": (replaced(b'"x": 0.0, ', b""), kept([MISSING], feature_x=None)),
    "other key with null for a missing one": (
        replaced(b'"score": 0.25', b'"sc0re": null'),
        kept([MISSING], score=None),
    ),
    "feature outside of the object": (
        replaced(b'"features": {"x": 0.0, ', b'"x": 0.0, "features": {'),
        kept([MISSING], feature_x=None),
    ),
    "column inside of the object": (
        replaced(b'"fallback": false, "features": {', b'"features": {"fallback": false, '),
        kept([MISSING, UNKNOWN], fallback=None),
    ),
    "extra column": (line(extra={"a": [1, {"b": 2}]}), kept()),
    "unknown feature": (line(features={"new": 1}), kept([UNKNOWN])),
    "unknown nested feature": (line(features={"new": {"a": 1, "b": 2}}), kept([UNKNOWN])),
    "features null": (
        line()[: -len(b'{"x": 0.0, "c": "JFK"}}')] + b"null}",
        kept([MISSING] * 2, feature_x=None, feature_c=None),
    ),
    "features list": (
        line()[: -len(b'{"x": 0.0, "c": "JFK"}}')] + b"[1]}",
        kept([MISSING] * 2, feature_x=None, feature_c=None),
    ),
    "features empty": (
        line()[: -len(b'{"x": 0.0, "c": "JFK"}}')] + b"{}}",
        kept([MISSING] * 2, feature_x=None, feature_c=None),
    ),
    "features list of objects": (
        replaced(b'{"x": 0.0, "c": "JFK"}', b'[{"z": 1}]'),
        kept([MISSING] * 2, feature_x=None, feature_c=None),
    ),
    "duplicate key": (replaced(b'"score": 0.25', b'"score": 0.75, "score": 0.25'), kept()),
    "duplicate feature": (replaced(b'"x": 0.0', b'"x": 9, "x": 0.0'), kept()),
    "duplicate unknown": (replaced(b'"x": 0.0', b'"x": 0.0, "z": 9, "z": 0.0'), kept([UNKNOWN])),
    "types swapped": (line(score="0.5", version=5), kept([WRONG], score=0.5, version="5")),
    "CRLF": (line() + b"\r", kept()),
    "blanks around": (b" \t" + line() + b"  ", kept()),
    "other spacing": (json.dumps(record(), separators=(",", ":")).encode(), kept()),
    "wide spacing": (line().replace(b": ", b" :  ").replace(b", ", b" ,\t"), None),
    "other order": (json.dumps(record(), sort_keys=True).encode(), kept()),
    "NUL hole": (b"\0" * 800 + line(), kept()),
    "blank": (b"  \t\r", ""),
    "truncated": (line()[:-9], "malformed"),
    "garbage": (b"garbage", "malformed"),
    "half a line behind": (b'0.25, "features": {"x": 1.0}}', "malformed"),
    "two objects": (line() + line(), "malformed"),
    "two objects, blank between": (line() + b" " + line(), "malformed"),
    "list line": (b"[" + line() + b"]", "malformed"),
    "number line": (b"5", "malformed"),
    "null line": (b"null", "malformed"),
    "string line": (json.dumps("a").encode(), "malformed"),
    "empty object": (b"{}", MISSING),
    "invalid UTF-8": (replaced(b"JFK", b"J\xffK"), "malformed"),
    "invalid UTF-8 in an extra column": (line(extra="a?").replace(b"a?", b"a\xff"), "malformed"),
    "BOM within": (b"\xef\xbb\xbf" + line(), "malformed"),
    "control character": (replaced(b"JFK", b"J\tK"), "malformed"),
    "NUL inside": (replaced(b"JFK", b"J\0K"), "malformed"),
    "trailing comma": (line()[:-1] + b",}", "malformed"),
    "trailing comma inside": (line()[:-2] + b",}}", "malformed"),
    "trailing comma and blank": (line()[:-1] + b", }", "malformed"),
    "comment": (line().replace(b", ", b",/**/ ", 1), "malformed"),
    "single quotes": (line().replace(b'"', b"'"), "malformed"),
    "leading zero": (replaced(b"0.25", b"00.25"), "malformed"),
    "leading plus": (replaced(b"0.25", b"+0.25"), "malformed"),
    "hexadecimal": (replaced(b"0.25", b"0x25"), "malformed"),
    "two points": (replaced(b"0.25", b"0.2.5"), "malformed"),
    "too long": (line(version="v" * LIMIT), "too_long"),
    "deep": (line(extra=0).replace(b'"extra": 0', b'"extra": ' + b"[" * 900 + b"]" * 900), None),
    "ISO with zone": (line(timestamp="2013-05-01T02:30:00+02:30"), kept()),
    "ISO with blank": (line(timestamp="2013-05-01 00:00:00.000000+00:00"), kept()),
    "ISO with nanoseconds": (line(timestamp="2013-05-01T00:00:00.000001999Z"), kept(timestamp=MICROSECONDS + 1)),
    "time without zone": (line(timestamp="2013-05-01T00:00:00"), "bad_timestamp"),
    "date only": (line(timestamp="2013-05-01"), "bad_timestamp"),
    "month 13": (line(timestamp="2013-13-01T00:00:00Z"), "bad_timestamp"),
    "February 29": (line(timestamp="2013-02-29T00:00:00Z"), "bad_timestamp"),
    "word as time": (line(timestamp="yesterday"), "bad_timestamp"),
    "boolean time": (line(timestamp=True), "bad_timestamp"),
    "list as time": (line(timestamp=[]), "bad_timestamp"),
    "null time": (line(timestamp=None), MISSING),
    "epoch s": (line(timestamp=1367366400), kept()),
    "epoch s with fraction": (line(timestamp=1367366400.25), kept(timestamp=MICROSECONDS + 250_000)),
    "epoch ms": (line(timestamp=1367366400000), kept()),
    "epoch us": (line(timestamp=MICROSECONDS), kept()),
    "epoch ns": (line(timestamp=MICROSECONDS * 1000 + 999), kept()),
    "epoch in quotes": (line(timestamp="1367366400"), kept()),
    "huge epoch": (line(timestamp=1e300), "bad_timestamp"),
    "infinite time": (line(timestamp=math.inf), "bad_timestamp"),
}


@pytest.fixture(scope="module")
def fast():
    with Scanner() as scanner:
        yield parser(FIELDS, LIMIT, scanner)


SLOW = parser(FIELDS, LIMIT, None)
STREAM = Stream("flights", "predictions", FIELDS)


def chunk_of(lines):
    return b"".join(item + b"\n" for item in lines)


@dataclass(frozen=True)
class Found:
    """What one stream gets of a chunk, and all refusals: pairs of place and reason."""

    table: pa.Table
    offsets: list[int]
    rejects: list[tuple[int, str]]
    violations: dict[str, int]
    lines: int


def parse(parser, chunk, offset=1000, stream=STREAM):
    """The batch of a single stream. Accounts for every line."""
    parsed = split(parser.parse(chunk, offset), [stream])
    batch = parsed.batches[0]
    refused = [
        (place, reason)
        for found in (parsed.refused, batch.refused)
        for reason, places in found.items()
        for place in places.tolist()
    ]
    found = Found(batch.table, batch.offsets.tolist(), sorted(refused), dict(batch.violations), parsed.lines)
    assert found.lines == len(found.offsets) + len(found.rejects)
    for place in (*found.offsets, *(place for place, _ in found.rejects)):
        assert parsed.line_at(place) == chunk[place - offset :].split(b"\n", 1)[0]
    return found


def assert_same(fast, chunk, offset=1000):
    """Both parsers give the same batch."""
    quick, slow = parse(fast, chunk, offset), parse(SLOW, chunk, offset)
    assert quick == slow
    assert quick.table.schema.equals(slow.table.schema)
    return quick


@pytest.mark.parametrize("name", CASES)
def test_each_case_alone(name):
    content, outcome = CASES[name]
    batch = parse(SLOW, content + b"\n")
    if outcome == "":
        assert batch.lines == 0
    elif isinstance(outcome, str):
        assert batch.rejects == [(1000, outcome)]
        assert batch.table.num_rows == 0
        assert not batch.violations
    elif outcome is not None:
        assert batch.table.to_pylist() == [outcome[0]]
        assert batch.violations == outcome[1]
        assert batch.rejects == []


@pytest.mark.parametrize("share", [1, 10, 100])
@pytest.mark.parametrize("name", CASES)
def test_each_case_among_good_lines(fast, name, share):
    """One line in a hundred, one in ten, or every second one is dirty; good rows stay, in order."""
    content, outcome = CASES[name]
    lines = list(GOOD)
    for place in range(len(lines) - 1, 0, -max(1, 100 // share)):
        lines.insert(place, content)
    batch = assert_same(fast, chunk_of(lines))
    ids = [item for item in batch.table["id"].to_pylist() if item not in ("id0", "17")]
    assert ids == [f"id{number}" for number in range(1, 300)]
    if isinstance(outcome, str) and outcome:
        assert len(batch.rejects) == len(lines) - len(GOOD)


@pytest.mark.parametrize("name", CASES)
def test_every_line_is_of_one_case(fast, name):
    assert_same(fast, chunk_of([CASES[name][0]] * 200))


@pytest.mark.parametrize("name", CASES)
def test_first_and_last_line(fast, name):
    content = CASES[name][0]
    assert_same(fast, chunk_of([content, *GOOD[:100], content]))
    assert_same(fast, chunk_of([*GOOD[:100], content])[:-1])


def test_all_cases_shuffled(fast):
    random = np.random.default_rng(1)
    cases = [content for content, _ in CASES.values()]
    for share in (0.01, 0.1, 0.5, 1.0):
        lines = [
            cases[random.integers(len(cases))] if random.random() < share else GOOD[random.integers(300)]
            for _ in range(2000)
        ]
        assert_same(fast, chunk_of(lines))


def test_clean_lines_take_the_fast_way(monkeypatch, fast):
    """Otherwise every comparison above would compare the slow parser with itself."""
    monkeypatch.setattr("ml_exporter.sources.jsonl.read_line", refuse)
    clean = [
        GOOD,
        [line(number, extra="a:b") for number in range(100)],
        [line(number, score=None, features={"c": None, "y": 1}) for number in range(100)],
        [line(number, score=math.nan) for number in range(100)],
        [line(number, score=str(number), version=number, id=number, timestamp=1.3e9 + number) for number in range(100)],
        [line(number, score="high" if number % 2 else True, fallback=None) for number in range(100)],
        [item + b"\r" for item in GOOD],
        [line(number, version="é\n") for number in range(100)],
        [json.dumps(record(number), separators=(",", ":")).encode() for number in range(100)],
        GOOD[:100]
        + [line(number, extra=2) for number in range(100)]
        + [line(number, features={"q": 2}) for number in range(100)],
        [json.dumps(record(number) | {f"key{number % 7}": 1}).encode() for number in range(700)],
        [line(number, score=[number], version=[1.5, None], fallback=[]) for number in range(100)],
        [line(number, extra=[number, "a", None, "{[,"], features={"x": []}) for number in range(100)],
    ]
    for lines in clean:
        assert parse(fast, chunk_of(lines)).table.num_rows == len(lines)


def refuse(line, wanted):
    raise AssertionError(line)


def of_models(models, count, seed=1):
    """Lines of several models in any order, each with features of its own."""
    random = np.random.default_rng(seed)
    names = [models[index] for index in random.integers(0, len(models), count)]
    return [
        json.dumps({"model": name, "ts": 1, "id": str(number), name: {"x": number / 2, f"c{name}": name}}).encode()
        for number, name in enumerate(names)
    ]


def streams_of_models(models):
    return [
        Stream(
            name,
            "predictions",
            (
                Field("timestamp", ("ts",), "time", True),
                Field("id", ("id",), "id", True),
                Field("feature:x", (name, "x"), "number", True),
                Field("feature:c", (name, f"c{name}"), "text"),
            ),
            ((("model",), name),),
        )
        for name in models
    ]


@pytest.mark.parametrize("models", [2, 5, 20])
def test_lines_of_several_models_take_the_fast_way(monkeypatch, models):
    """No model has the columns that another one requires."""
    names = [f"m{number}" for number in range(models)]
    streams, lines = streams_of_models(names), of_models(names, 3000)
    with Scanner() as scanner:
        slow = split(parser(union(streams), LIMIT, None).parse(chunk_of(lines), 0), streams)
        monkeypatch.setattr("ml_exporter.sources.jsonl.read_line", refuse)
        fast = split(parser(union(streams), LIMIT, scanner).parse(chunk_of(lines), 0), streams)
    assert sum(batch.table.num_rows for batch in fast.batches) == 3000
    assert not fast.refused
    for one, other in zip(fast.batches, slow.batches, strict=True):
        assert one.table.equals(other.table)
        assert one.offsets.tolist() == other.offsets.tolist()
        assert one.violations == other.violations == {}


def test_what_a_stream_refuses_takes_the_fast_way(monkeypatch, fast):
    """A wrong clock or a missing id must not make reading slow."""
    monkeypatch.setattr("ml_exporter.sources.jsonl.read_line", refuse)
    for change, reason in (
        ({"timestamp": "2013-05-01T00:00:00"}, "bad_timestamp"),
        ({"timestamp": None}, MISSING),
        ({"id": 1.5}, WRONG),
        ({"id": True}, WRONG),
        ({"id": [1, 2]}, WRONG),
        ({"timestamp": [1]}, "bad_timestamp"),
        ({"id": None}, MISSING),
    ):
        assert {found for _, found in parse(fast, chunk_of([line(n, **change) for n in range(99)])).rejects} == {reason}
    without = [item.replace(b'"id"', b'"key"') for item in GOOD[:99]]
    assert {found for _, found in parse(fast, chunk_of(without)).rejects} == {MISSING}
    unwanted = [json.dumps({"message": "hello", "n": number}).encode() for number in range(99)]
    assert len(parse(fast, chunk_of(unwanted)).rejects) == 99


def test_byte_order_mark_at_the_start_of_a_file(fast):
    batch = assert_same(fast, b"\xef\xbb\xbf" + chunk_of(GOOD), offset=0)
    assert batch.table.num_rows == 300


def test_reject_names_the_place_of_its_line(fast):
    batch = parse(fast, chunk_of([*GOOD[:100], b"", b"garbage", GOOD[0]]), 50)
    assert batch.lines == 102
    assert batch.rejects == [(50 + sum(len(item) + 1 for item in GOOD[:100]) + 1, "malformed")]


def test_empty_chunk(fast):
    assert parse(fast, b"").lines == 0
    assert parse(fast, b"\n\n").lines == 0


def test_hostile_keys(fast):
    """Keys become SQL names: quotes, blanks, tags, keys that differ only in case."""
    names = ['a"b', "it's", "x y", "<b>", "é", "a.b", "select", "", "Id"]
    fields = (FIELDS[0], FIELDS[1], *(Field(f"feature:{name}", ("f'\"", name), "number") for name in names))
    stream = Stream("flights", "predictions", fields)
    with Scanner() as scanner:
        quick, slow = parser(fields, LIMIT, scanner), parser(fields, LIMIT, None)
        for ascii_only in (True, False):
            rows = [{"timestamp": 1, "id": str(n), "f'\"": dict.fromkeys(names, n)} for n in range(100)]
            chunk = chunk_of([json.dumps(row, ensure_ascii=ascii_only).encode() for row in rows])
            found = parse(quick, chunk, stream=stream)
            assert found == parse(slow, chunk, stream=stream)
            assert found.table.num_rows == 100


JSON_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        [
            "0.5",
            "1e5",
            "-3",
            "null",
            "NaN",
            "true",
            ":",
            '":',
            '",',
            '"',
            "\\",
            "{}",
            "2013-05-01T00:00:00Z",
            "1367366400",
        ]
    ),
)
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["timestamp", "id", "version", "score", "fallback", "features", "x", "c", "extra", "a:", ","])


@st.composite
def dirty_lines(draw):
    row = record(draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(0, 2))):
        target = draw(st.sampled_from([row, row["features"]])) if isinstance(row.get("features"), dict) else row
        name = draw(NAMES)
        if draw(st.booleans()):
            target[name] = draw(JSON_VALUES)
        else:
            target.pop(name, None)
    text = json.dumps(
        row, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([(", ", ": "), (",", ":")]))
    )
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(content)))
        if draw(st.booleans()):
            content[place:place] = draw(
                st.sampled_from(
                    [b'"', b":", b",", b"{", b"}", b" ", b"\\", b"0", b"null", b"\0", b'":', b'"x": 1, ', b"[", b"\xff"]
                )
            )
        else:
            del content[place : place + draw(st.integers(1, 9))]
    return bytes(content).replace(b"\n", b" ")


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(dirty_lines(), max_size=12), times=st.integers(1, 70))
def test_both_parsers_agree(fast, lines, times):
    """Each generated line is repeated among good ones, so that most become a group with a skeleton of its own."""
    chunk = chunk_of((lines * times + GOOD[:80])[:900])
    assert_same(fast, chunk)


MANY = [
    STREAM,
    Stream("strict", "predictions", (*FIELDS[:4], Field("score", ("score",), "number", True)), ((("version",), "v1"),)),
    Stream("truth", "labels", (*FIELDS[:2], Field("label", ("features", "c"), "text", True))),
    Stream("other", "labels", (Field("timestamp", ("c",), "time"), Field("id", ("x",), "id")), ((("extra",), "a"),)),
]
"""Streams that want different rows of the same lines."""


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(dirty_lines(), max_size=12), times=st.integers(1, 70), cut=st.integers(0, 200))
def test_both_parsers_agree_for_many_streams(lines, times, cut):
    """And a line gives the same, whatever chunk it is in."""
    streams = MANY
    lines = (lines * times + GOOD[:80])[:900]
    with Scanner() as scanner:
        quick, slow = parser(union(streams), LIMIT, scanner), parser(union(streams), LIMIT, None)
        found = [split(one.parse(chunk_of(lines), 0), streams) for one in (quick, slow)]
    halves = [chunk_of(lines[:cut]), chunk_of(lines[cut:])]
    parts = [split(slow.parse(half, place), streams) for half, place in zip(halves, (0, len(halves[0])), strict=True)]
    for index, stream in enumerate(streams):
        one, other = (item.batches[index] for item in found)
        assert one.table.equals(other.table)
        assert one.offsets.tolist() == other.offsets.tolist()
        assert one.violations == other.violations
        assert places_of(one.refused) == places_of(other.refused)
        pieces = [item.batches[index] for item in parts]
        assert pa.concat_tables([item.table for item in pieces]).equals(one.table), stream
        assert sum((Counter(item.violations) for item in pieces), Counter()) == one.violations
    assert places_of(found[0].refused) == places_of(found[1].refused)
    assert found[0].lines == found[1].lines == sum(item.lines for item in parts)


def places_of(refused):
    return {reason: places.tolist() for reason, places in refused.items()}


@pytest.mark.parametrize("count", [3, 100], ids=["slow", "fast"])
@pytest.mark.parametrize(
    ("spelled", "text"),
    [("2", "2"), ("2.50", "2.50"), ("true", "true"), ('"2"', "2"), ('"a\\u00e9"', "aé"), ("[1, 2]", "[1,2]")],
)
def test_a_condition_is_on_the_text_of_a_value(fast, count, spelled, text):
    stream = Stream("flights", "predictions", FIELDS[:2], ((("event",), text),))
    rows = [json.dumps(record(number) | {"event": "?"}).replace('"?"', spelled).encode() for number in range(count)]
    others = [json.dumps(record(number) | {"event": None}).encode() for number in range(count)]
    with Scanner() as scanner:
        found = split(parser(union([stream]), LIMIT, scanner).parse(chunk_of(rows + others), 0), [stream])
    assert found.batches[0].table.num_rows == count
    assert {reason: len(places) for reason, places in found.refused.items()} == {"no_model": count}
