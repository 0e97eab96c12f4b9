"""Parquet: every type in the place of every kind, rows against the same rows in JSONL, and files that come and go."""

import datetime
import decimal
import json
import math
import os
import uuid

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ml_exporter.config import Source
from ml_exporter.records import Field, Stream
from ml_exporter.sources import parquet_footer
from ml_exporter.sources.follow import Position, SourceError
from ml_exporter.sources.jsonl import parser
from ml_exporter.sources.parquet_files import lag, slices
from ml_exporter.sources.parquet_rows import read_slice
from ml_exporter.sources.parquet_values import read_column
from ml_exporter.sources.rows import split

FIELDS = (
    Field("timestamp", ("timestamp",), "time", True),
    Field("id", ("id",), "id", True),
    Field("version", ("meta", "run", "version"), "text"),
    Field("score", ("score",), "number"),
    Field("fallback", ("fallback",), "flag"),
    Field("feature:x", ("features", "x"), "number"),
    Field("feature:c", ("features", "c"), "text"),
)
STREAM = Stream("m", "predictions", FIELDS)
UTC = datetime.UTC
INSTANT = datetime.datetime(2013, 5, 1, 0, 0, 0, 250_000, UTC)
MICROSECONDS = 1_367_366_400_250_000
NOW = 2e9
START = Position()
INF = math.inf
BAD = object()
"""A value of a wrong type."""


def timestamps(unit, zone="UTC"):
    return pa.array([INSTANT, None]).cast(pa.timestamp(unit, "UTC"), safe=False).cast(pa.timestamp(unit, zone))


def one(value, kind):
    return pa.array([value, None], kind)


WRONG_EVERYWHERE = {"number": BAD, "text": BAD, "id": BAD, "flag": BAD, "time": BAD}
SEVEN = {"number": 7.0, "text": "7", "id": "7", "flag": BAD, "time": 7_000_000}
TEXT = {"number": BAD, "text": "a", "id": "a", "flag": BAD, "time": BAD}
TYPES = {
    **{str(kind): (one(7, kind), SEVEN) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(kind): (one(7, kind), SEVEN) for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    **{str(kind): (one(7, kind), SEVEN) for kind in (pa.float16(), pa.float32(), pa.float64())},
    **{str(kind): (one(7, kind), SEVEN) for kind in (pa.decimal128(9), pa.decimal128(38, 18), pa.decimal256(40, 3))},
    "dictionary of int": (one(7, pa.int8()).dictionary_encode(), SEVEN),
    "largest uint64": (
        one(2**64 - 1, pa.uint64()),
        {"number": 2.0**64, "text": "18446744073709551615", "id": "18446744073709551615", "flag": BAD, "time": None},
    ),
    "exact int64": (one(2**53 + 1, pa.int64()), {"text": "9007199254740993", "id": "9007199254740993"}),
    "double with fraction": (one(0.1, pa.float64()), {"number": 0.1, "text": "0.1", "id": BAD, "time": 100_000}),
    "large double": (one(1e300, pa.float64()), {"number": 1e300, "text": "1e+300", "id": BAD, "time": BAD}),
    "double beyond exact": (one(2.0**53, pa.float64()), {"number": 2.0**53, "id": BAD}),
    "NaN": (one(math.nan, pa.float64()), {"number": None, "text": None, "id": None, "time": None, "flag": BAD}),
    "infinite": (one(INF, pa.float64()), {"number": INF, "text": "inf", "id": BAD, "time": BAD}),
    "minus infinite": (one(-INF, pa.float32()), {"number": INF, "text": "-inf", "id": BAD, "time": BAD}),
    "float": (one(0.1, pa.float32()), {"number": float(np.float32(0.1)), "text": "0.1", "id": BAD}),
    "half": (one(0.5, pa.float16()), {"number": 0.5, "text": "0.5", "id": BAD}),
    "decimal": (one(decimal.Decimal("1.50"), pa.decimal128(9, 2)), {"number": 1.5, "text": "1.50", "id": BAD}),
    "boolean": (one(True, pa.bool_()), {"number": 1.0, "text": "true", "id": BAD, "flag": True, "time": BAD}),
    **{str(kind): (one("a", kind), TEXT) for kind in (pa.string(), pa.large_string(), pa.string_view())},
    **{str(kind): (one(b"a", kind), TEXT) for kind in (pa.binary(), pa.large_binary(), pa.binary(1))},
    "dictionary of text": (one("a", pa.string()).dictionary_encode(), TEXT),
    "dictionary of large text": (one("a", pa.large_string()).dictionary_encode(), TEXT),
    "time as text": (one("2013-05-01T00:00:00.25Z", pa.string()), {"time": MICROSECONDS, "number": BAD}),
    "epoch as text": (one("7", pa.string()), {"time": 7_000_000, "id": "7"}),
    "milliseconds": (one(MICROSECONDS // 1000, pa.int64()), {"time": MICROSECONDS}),
    "nanoseconds": (one(MICROSECONDS * 1000 + 999, pa.uint64()), {"time": MICROSECONDS}),
    **{
        f"timestamp {unit}": (timestamps(unit), {"time": MICROSECONDS, "number": BAD, "id": BAD})
        for unit in ("ms", "us", "ns")
    },
    "timestamp s": (timestamps("s"), {"time": MICROSECONDS - 250_000, "text": "2013-05-01T00:00:00Z"}),
    "timestamp elsewhere": (timestamps("us", "Europe/Berlin"), {"time": MICROSECONDS}),
    "finer than a microsecond": (one(-1, pa.timestamp("ns", "UTC")), {"time": -1}),
    "beyond the year 9999": (one(10**12, pa.timestamp("s", "UTC")), {"time": BAD}),
    "beyond 64 bits": (one(2**62, pa.timestamp("s", "UTC")), {"time": BAD}),
    "unknown zone": (one(0, pa.timestamp("s", "Middle/Earth")), {"time": 0, "text": BAD}),
    **{
        f"timestamp {unit} without zone": (timestamps(unit, None), {"time": BAD, "number": BAD, "id": BAD, "flag": BAD})
        for unit in ("s", "ms", "us", "ns")
    },
    "date": (one(datetime.date(2013, 5, 1), pa.date32()), WRONG_EVERYWHERE | {"text": "2013-05-01"}),
    "date64": (one(datetime.date(2013, 5, 1), pa.date64()), WRONG_EVERYWHERE | {"text": "2013-05-01"}),
    "time of day": (one(datetime.time(1, 2), pa.time32("s")), WRONG_EVERYWHERE | {"text": "01:02:00"}),
    "duration": (one(datetime.timedelta(1), pa.duration("s")), WRONG_EVERYWHERE),
    "list": (one([1], pa.list_(pa.int8())), WRONG_EVERYWHERE),
    "large list": (one(["a"], pa.large_list(pa.string())), WRONG_EVERYWHERE),
    "struct": (one({"a": 1}, pa.struct({"a": pa.int8()})), WRONG_EVERYWHERE),
    "map": (one([("a", 1)], pa.map_(pa.string(), pa.int8())), WRONG_EVERYWHERE),
    "UUID": (
        one(uuid.UUID(int=5).bytes, pa.uuid()),
        {"id": "00000000-0000-0000-0000-000000000005", "text": "00000000-0000-0000-0000-000000000005", "number": BAD},
    ),
    "null": (pa.nulls(2), dict.fromkeys(("number", "text", "id", "flag", "time"))),
}


@pytest.mark.parametrize("kind", ["number", "text", "id", "flag", "time"])
@pytest.mark.parametrize("name", TYPES)
def test_every_type_in_the_place_of_every_kind(name, kind):
    array, expected = TYPES[name]
    for taken in (array, pa.concat_arrays([array, array])[2:]):
        column = read_column(taken, kind)
        value, null = column.array.to_pylist()
        assert null is None
        if kind in expected:
            is_bad = expected[kind] is BAD
            stand_in = INF if kind == "number" else None
            found = None if isinstance(value, float) and math.isnan(value) else value
            if not (name == "largest uint64" and kind == "time"):
                assert found == (stand_in if is_bad else expected[kind])
                assert (column.wrong is not None) == is_bad
        assert column.wrong is None or column.wrong.tolist() == [True, False]
        assert column.no_text is None


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.string(), pa.large_string()])
def test_bytes_that_are_no_text(kind):
    octets = pa.array([b"a", b"\xff", None, b"b\xc3"], pa.large_binary() if kind == pa.large_string() else pa.binary())
    for array in (octets if kind in (pa.binary(), pa.large_binary()) else octets.view(kind),):
        for wanted in ("text", "id", "time"):
            column = read_column(array, wanted)
            assert column.no_text.tolist() == [False, True, False, True]
    assert read_column(octets, "text").array.to_pylist() == ["a", None, None, None]


def test_numbers_in_texts():
    texts = pa.array(["1.5", "-2e3", "x", None, "1e400", "-1e400", "NaN", ""])
    column = read_column(texts, "number")
    assert column.array.to_pylist() == [1.5, -2000.0, INF, None, INF, INF, INF, INF]
    assert column.wrong.tolist() == [True, True, True, False, True, True, True, True]


SCHEMA = pa.schema(
    {
        "timestamp": pa.string(),
        "id": pa.string(),
        "meta": pa.struct({"run": pa.struct({"version": pa.string()}), "host": pa.string()}),
        "score": pa.float64(),
        "fallback": pa.bool_(),
        "features": pa.struct({"x": pa.float64(), "c": pa.string(), "new": pa.int64()}),
    }
)
TEXTS = st.one_of(st.none(), st.text(max_size=4))
ROWS = st.fixed_dictionaries(
    {
        "timestamp": st.sampled_from(["2013-05-01T00:00:00Z", "1367366400", "soon", None]),
        "id": TEXTS,
        "meta": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"run": st.one_of(st.none(), st.fixed_dictionaries({"version": TEXTS})), "host": TEXTS}
            ),
        ),
        "score": st.one_of(st.none(), st.floats()),
        "fallback": st.one_of(st.none(), st.booleans()),
        "features": st.one_of(
            st.none(),
            st.fixed_dictionaries({"x": st.one_of(st.none(), st.floats()), "c": TEXTS, "new": st.just(1)}),
        ),
    }
)


def write(path, rows, schema=SCHEMA, **options):
    """Writes elsewhere and renames, as writers should."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema)
    parquet.write_table(table, f"{path}.partial", **options)
    os.replace(f"{path}.partial", path)


def read(pattern, position=START, now=NOW, fields=FIELDS):
    """All slices of some files with the position behind each, and the problems."""
    found, problems = [], ()
    try:
        for piece, behind in slices(Source(files=str(pattern)), fields, position, now):
            found.append((piece, behind))
    except SourceError as error:
        problems = error.problems
    return found, problems


def parsed(found, stream=STREAM):
    pieces = [split(read_slice(piece, stream.fields), [stream], piece.path) for piece, _ in found]
    tables = [piece.batches[0].table for piece in pieces]
    return pa.concat_tables(tables).combine_chunks(), pieces


def refused(pieces):
    return sorted(
        (int(place), reason)
        for piece in pieces
        for group in (piece.refused, piece.batches[0].refused)
        for reason, places in group.items()
        for place in places
    )


def violations(pieces):
    total = {}
    for piece in pieces:
        for kind, count in piece.batches[0].violations.items():
            total[kind] = total.get(kind, 0) + count
    return total


def ids(found):
    return parsed(found)[0]["id"].to_pylist() if found else []


def row(number=0, **changes):
    return {
        "timestamp": "2013-05-01T00:00:00Z",
        "id": f"id{number}",
        "meta": {"run": {"version": "v1"}, "host": "a"},
        "score": 0.25,
        "fallback": False,
        "features": {"x": number / 2, "c": "JFK"},
    } | changes


def same_numbers(one_table, other):
    for name in one_table.column_names:
        left, right = one_table[name].to_pylist(), other[name].to_pylist()
        if one_table.schema.field(name).type == pa.float64():
            left, right = ([None if v is None or math.isnan(v) else v for v in side] for side in (left, right))
        assert left == right, name


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=25), group=st.integers(1, 30), dictionary=st.booleans())
def test_the_same_rows_as_in_jsonl(tmp_path_factory, rows, group, dictionary):
    folder = tmp_path_factory.mktemp("rows")
    write(folder / "a.parquet", rows, row_group_size=group, use_dictionary=dictionary)
    found, problems = read(folder / "*.parquet")
    table, pieces = parsed(found)
    lines = b"".join(json.dumps(item).encode() + b"\n" for item in rows)
    same = split(parser(FIELDS, 1 << 20, None).parse(lines, 0), [STREAM], "")
    same_numbers(table, same.batches[0].table)
    assert not problems
    assert sum(piece.lines for piece in pieces) == same.lines == len(rows)
    assert violations(pieces) == dict(same.batches[0].violations)
    starts = np.cumsum([0, *(len(json.dumps(item)) + 1 for item in rows)]).tolist()
    assert [(starts[place], reason) for place, reason in refused(pieces)] == refused([same])
    offsets = np.concatenate([piece.batches[0].offsets for piece in pieces]).tolist()
    assert sorted(offsets + [place for place, _ in refused(pieces)]) == list(range(len(rows)))


def test_a_dotted_path_is_a_member_of_a_struct_or_a_flat_column(tmp_path):
    flat = {f"{outer}.{name}": value for outer, name, value in [("features", "x", 1.5), ("features", "c", "JFK")]}
    table = pa.Table.from_pylist([row() | flat | {"features.new": 1} for _ in range(3)])
    write(tmp_path / "flat.parquet", table.drop(["features"]))
    found, _ = read(tmp_path / "flat.parquet")
    result, pieces = parsed(found)
    assert result["feature:x"].to_pylist() == [1.5] * 3
    assert violations(pieces) == {"unknown_column": 3}
    write(tmp_path / "both.parquet", table)
    assert parsed(read(tmp_path / "both.parquet")[0])[0]["feature:x"].to_pylist() == [0.0] * 3


def test_a_name_that_stands_twice_names_no_column(tmp_path):
    table = pa.Table.from_pylist([row()]).append_column("score", pa.array([0.5]))
    write(tmp_path / "a.parquet", table)
    result, pieces = parsed(read(tmp_path / "a.parquet")[0])
    assert result["score"].to_pylist() == [None]
    assert violations(pieces) == {"missing_column": 1}


@pytest.mark.parametrize("features", [[1], [("x", 1.5)], "text"])
def test_features_that_are_no_struct(tmp_path, features):
    kinds = {list: pa.list_(pa.int64()), str: pa.string()}
    kind = pa.map_(pa.string(), pa.float64()) if features == [("x", 1.5)] else kinds[type(features)]
    table = (
        pa.Table.from_pylist([row()], SCHEMA).drop(["features"]).append_column("features", pa.array([features], kind))
    )
    write(tmp_path / "a.parquet", table)
    _, pieces = parsed(read(tmp_path / "a.parquet")[0])
    assert violations(pieces) == {"missing_column": 2}


def test_a_schema_that_evolves(tmp_path):
    """Columns come, go and change their type from file to file; each is read by its own schema."""
    instant = pa.array([INSTANT], pa.timestamp("us", "UTC"))
    base = {"timestamp": instant, "id": pa.array([1])}
    files = {
        "1": base | {"score": pa.array([1], pa.int64())},
        "2": base | {"score": pa.array([0.5]), "fallback": pa.array([True])},
        "3": base | {"score": pa.array(["0.5"]), "features": pa.array([{"x": decimal.Decimal("2.50")}])},
        "4": {"timestamp": pa.array([MICROSECONDS]), "id": pa.array([1.0]), "score": pa.nulls(1)},
        "5": {"timestamp": instant, "id": pa.array(["1"]), "features": pa.array([{"x": [1.5], "c": 7}])},
        "6": {"timestamp": instant, "score": pa.array([0.5])},
        "7": {"id": pa.array(["1"]), "timestamp": instant.cast(pa.timestamp("us"))},
    }
    for name, columns in files.items():
        write(tmp_path / f"{name}.parquet", pa.table(columns))
    found, problems = read(tmp_path / "*.parquet")
    table, pieces = parsed(found[1:])
    assert not problems
    assert table["score"].to_pylist() == [1.0, 0.5, 0.5, None, None]
    assert table["id"].to_pylist() == ["1"] * 5
    assert table["feature:x"].to_pylist() == [None, None, 2.5, None, INF]
    assert table["feature:c"].to_pylist() == [None, None, None, None, "7"]
    assert table["timestamp"].to_pylist() == [MICROSECONDS] * 5
    assert [piece.batches[0].violations for piece in pieces] == [
        {"missing_column": 4},
        {"missing_column": 3},
        {"missing_column": 3, "wrong_type": 1},
        {"missing_column": 4},
        {"missing_column": 3, "wrong_type": 1},
        {},
        {},
    ]
    assert refused(pieces) == [(0, "bad_timestamp"), (0, "missing_column")]


def test_no_wanted_column_at_all(tmp_path):
    write(tmp_path / "a.parquet", pa.table({"other": [1, 2, 3]}))
    _, pieces = parsed(read(tmp_path / "a.parquet")[0])
    assert refused(pieces) == [(number, "missing_column") for number in range(3)]


def test_times_of_spark_in_the_old_type_are_instants(tmp_path):
    times = {"timestamp": pa.array([INSTANT.replace(tzinfo=None)], pa.timestamp("us")), "id": pa.array(["1"])}
    for name, metadata in (("spark", {"org.apache.spark.version": "3.5.0"}), ("other", {})):
        table = pa.table(times).replace_schema_metadata(metadata)
        write(tmp_path / f"{name}.parquet", table, use_deprecated_int96_timestamps=True)
    assert parsed(read(tmp_path / "spark.parquet")[0])[0]["timestamp"].to_pylist() == [MICROSECONDS]
    assert refused(parsed(read(tmp_path / "other.parquet")[0])[1]) == [(0, "bad_timestamp")]


def test_a_row_with_broken_text_is_malformed(tmp_path):
    broken = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    times = pa.array([INSTANT] * 3, pa.timestamp("us", "UTC"))
    write(tmp_path / "a.parquet", pa.table({"timestamp": times, "id": broken, "score": ["0.5", "x", "y"]}))
    table, pieces = parsed(read(tmp_path / "a.parquet")[0])
    assert table["id"].to_pylist() == ["a", "c"]
    assert refused(pieces) == [(1, "malformed")]
    assert violations(pieces) == {"wrong_type": 2, "missing_column": 8}
    assert b"\\xff" in pieces[-1].line_at(1)
    assert json.loads(pieces[-1].line_at(2)) == {"timestamp": str(INSTANT), "id": "c", "score": "y"}


# Files


@pytest.fixture
def small(monkeypatch):
    """Slices of seven rows."""
    monkeypatch.setattr(parquet_footer, "_MOST_ROWS", 7)
    monkeypatch.setattr(parquet_footer, "_FEWEST_ROWS", 7)


@pytest.mark.usefixtures("small")
def test_reading_goes_on_from_every_position(tmp_path):
    write(tmp_path / "a.parquet", [row(number) for number in range(50)], row_group_size=20)
    write(tmp_path / "b.parquet", [row(number) for number in range(50, 60)])
    write(tmp_path / "c.parquet", [])
    whole, _ = read(tmp_path / "*.parquet")
    expected = [f"id{number}" for number in range(60)]
    assert ids(whole) == expected
    assert max(piece.table.num_rows for piece, _ in whole) == 7
    for place, (_, position) in enumerate(whole):
        stored = msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(position))), Position)
        rest, _ = read(tmp_path / "*.parquet", stored)
        assert ids(whole[: place + 1]) + ids(rest) == expected
    assert read(tmp_path / "*.parquet", whole[-1][1]) == ([], ())


def test_old_positions_stay_readable():
    old = {"files": [{"path": "a", "device": 1, "inode": 2, "signature": "", "signed": 0, "offset": 5}]}
    assert msgspec.convert(old, Position).drops == ()


def test_files_that_come_and_go(tmp_path):
    write(tmp_path / "a.parquet", [row(1)])
    found, _ = read(tmp_path / "*.parquet")
    write(tmp_path / "b.parquet", [row(2)])
    more, _ = read(tmp_path / "*.parquet", found[-1][1])
    assert ids(more) == ["id2"]
    os.remove(tmp_path / "a.parquet")
    rest, _ = read(tmp_path / "*.parquet", more[-1][1])
    assert ids(rest) == []
    assert [os.path.basename(drop.path) for drop in rest[-1][1].drops] == ["b.parquet"]


def test_a_file_of_the_same_name_is_read_anew(tmp_path):
    write(tmp_path / "a.parquet", [row(1)])
    found, _ = read(tmp_path / "a.parquet")
    write(tmp_path / "a.parquet", [row(2)])
    more, _ = read(tmp_path / "a.parquet", found[-1][1])
    assert ids(more) == ["id2"]
    parquet.write_table(pa.Table.from_pylist([row(3), row(4)], SCHEMA), tmp_path / "a.parquet")  # in its place
    assert ids(read(tmp_path / "a.parquet", more[-1][1])[0]) == ["id3", "id4"]


def test_a_file_that_was_touched_renamed_or_linked_is_not_read_again(tmp_path):
    write(tmp_path / "a.parquet", [row(1)])
    found, _ = read(tmp_path / "*.parquet")
    os.utime(tmp_path / "a.parquet", (1e9, 1e9))
    found, _ = read(tmp_path / "*.parquet", found[-1][1])
    os.rename(tmp_path / "a.parquet", tmp_path / "b.parquet")
    os.link(tmp_path / "b.parquet", tmp_path / "c.parquet")
    found, _ = read(tmp_path / "*.parquet", found[-1][1])
    assert ids(found) == []
    position = found[-1][1]
    moved = msgspec.structs.replace(position.drops[0], device=position.drops[0].device + 1)
    assert ids(read(tmp_path / "*.parquet", Position(drops=(moved,)))[0]) == []


def test_another_file_with_the_inode_size_and_time_of_one_that_is_gone(tmp_path):
    """File systems hand out a freed inode at once."""
    write(tmp_path / "a.parquet", [row(1)])
    found, _ = read(tmp_path / "*.parquet")
    old = found[-1][1].drops[0]
    write(tmp_path / "b.parquet", [row(2)])
    os.remove(tmp_path / "a.parquet")
    status = os.stat(tmp_path / "b.parquet")
    reused = msgspec.structs.replace(old, inode=status.st_ino, size=status.st_size)
    assert ids(read(tmp_path / "*.parquet", Position(drops=(reused,)))[0]) == ["id2"]


def test_a_folder_that_is_not_mounted_for_a_while(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.parquet", [row(1)])
    found, _ = read(tmp_path / "in" / "*.parquet")
    os.rename(tmp_path / "in", tmp_path / "away")
    nothing, problems = read(tmp_path / "in" / "*.parquet", found[-1][1])
    assert nothing == []
    assert problems
    os.rename(tmp_path / "away", tmp_path / "in")
    assert read(tmp_path / "in" / "*.parquet", found[-1][1]) == ([], ())


def partial(tmp_path, number=1):
    write(tmp_path / "whole", [row(number)])
    content = (tmp_path / "whole").read_bytes()
    os.remove(tmp_path / "whole")
    return content


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_a_file_that_is_still_written(tmp_path, cut):
    """Without a footer it is waited for, then a problem, and read once it is whole; the others are not held back."""
    content, path = partial(tmp_path), tmp_path / "a.parquet"
    path.write_bytes(content[:cut])
    written = path.stat().st_mtime
    write(tmp_path / "b.parquet", [row(2)])
    found, problems = read(tmp_path / "*.parquet", now=written + 1)
    assert ids(found) == ["id2"]
    assert problems == ()
    position = found[-1][1]
    for _ in range(2):
        found, problems = read(tmp_path / "*.parquet", position, now=written + 60)
        position = found[-1][1] if found else position
        assert [problem.where for problem in problems] == [str(path)]
    path.write_bytes(content)
    found, problems = read(tmp_path / "*.parquet", position, now=written + 61)
    assert ids(found) == ["id1"]
    assert problems == ()


def test_a_corrupt_file_is_said_and_read_again_only_when_it_changes(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", [row(number) for number in range(100)], row_group_size=50, use_dictionary=False)
    path = tmp_path / "a.parquet"
    good = path.read_bytes()
    place = parquet.read_metadata(path).row_group(1).column(1).data_page_offset
    path.write_bytes(good[:place] + b"\xff" * 40 + good[place + 40 :])
    write(tmp_path / "b.parquet", [row(200)])
    found, problems = read(tmp_path / "*.parquet")
    assert ids(found) == [f"id{number}" for number in (*range(50), 200)]
    assert [problem.where for problem in problems] == [str(path)]
    opened = []
    monkeypatch.setattr("ml_exporter.sources.parquet_files._opened", opened.append)
    again, problems = read(tmp_path / "*.parquet", found[-1][1])
    assert (again, opened) == ([], [])
    assert [problem.where for problem in problems] == [str(path)]
    monkeypatch.undo()
    path.write_bytes(good)
    assert ids(read(tmp_path / "*.parquet", found[-1][1])[0]) == [f"id{number}" for number in range(50, 100)]
    (tmp_path / "partial").write_bytes(good)
    os.replace(tmp_path / "partial", path)
    assert ids(read(tmp_path / "*.parquet", found[-1][1])[0]) == [f"id{number}" for number in range(50, 100)]
    write(path, [row(number) for number in range(300, 303)])
    assert ids(read(tmp_path / "*.parquet", found[-1][1])[0]) == ["id300", "id301", "id302"]


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").mkdir()
    (tmp_path / "c.parquet").symlink_to("nowhere")
    found, problems = read(tmp_path / "*.parquet")
    assert found == []
    assert len(problems) == 3


def test_a_file_that_cannot_be_looked_at_is_not_forgotten(tmp_path, monkeypatch):
    for number in (1, 2):
        write(tmp_path / f"{number}.parquet", [row(number)])
    found, _ = read(tmp_path / "*.parquet")
    look = os.stat

    def refuse(path, *rest, **options):
        if str(path).endswith("1.parquet"):
            raise PermissionError(13, "Permission denied", path)
        return look(path, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refuse)
        nothing, problems = read(tmp_path / "*.parquet", found[-1][1])
    assert ids(nothing) == []
    assert len(problems) == 1
    position = nothing[-1][1] if nothing else found[-1][1]
    assert ids(read(tmp_path / "*.parquet", position)[0]) == []


@pytest.mark.usefixtures("small")
def test_lag_is_the_bytes_of_rows_not_read(tmp_path):
    settings = Source(files=str(tmp_path / "*.parquet"))
    write(tmp_path / "a.parquet", [row(number) for number in range(14)])
    size = (tmp_path / "a.parquet").stat().st_size
    written = (tmp_path / "a.parquet").stat().st_mtime
    assert lag(settings, Position(), written + 5).bytes == size
    assert lag(settings, Position(), written + 5).seconds == pytest.approx(5)
    found, _ = read(tmp_path / "*.parquet")
    assert [lag(settings, position, written).bytes for _, position in found] == [size, round(size / 2), 0]
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    broken, _ = read(tmp_path / "*.parquet", found[-1][1])
    assert lag(settings, broken[-1][1], written).bytes == 0
