"""Every kind of dirty line of `dirty` in Parquet: what it becomes, alone and among good rows.

A dirty row has a schema of its own where its type differs; then it is in another file than the good ones.
"""

import math
import os
from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.sources.dirty import FIELDS, KINDS, MISSING, NOW_US, ROW, STREAM, UNKNOWN, WRONG, Kept

from ml_exporter.config import Source
from ml_exporter.sources.parquet_files import slices
from ml_exporter.sources.parquet_rows import read_slice
from ml_exporter.sources.positions import Position
from ml_exporter.sources.rows import split

INSTANT = datetime.fromtimestamp(NOW_US / 1e6, UTC)
INFINITE = float("inf")
FEATURES = pa.struct({"temp": pa.float64(), "wind": pa.float64(), "carrier": pa.string()})
SCHEMA = pa.schema(
    {
        "timestamp": pa.timestamp("us", "UTC"),
        "id": pa.string(),
        "version": pa.string(),
        "prediction": pa.string(),
        "score": pa.float64(),
        "features": FEATURES,
    }
)
NO_FEATURES = Kept({"feature:temp": None, "feature:wind": None, "feature:carrier": None}, (MISSING,) * 3)
NO_LINES = "rows are not lines of text"
WHOLE_FILE = "the file as a whole is broken; see test_parquet"


def good(number=0):
    features = {"temp": 1.5, "wind": 2.5, "carrier": "AA"}
    row = {"timestamp": INSTANT, "id": f"i{number}", "version": "v1", "prediction": "yes", "score": 0.75}
    return pa.Table.from_pylist([row | {"features": features}], SCHEMA)


def with_column(name, value, kind):
    table = good()
    return table.set_column(table.schema.get_field_index(name), name, pa.array([value], kind))


def broken_text():
    carrier = pa.array([b"A\xff"]).view(pa.string())
    features = pa.StructArray.from_arrays([pa.array([1.5]), pa.array([2.5]), carrier], fields=list(FEATURES))
    return with_column("features", None, FEATURES).set_column(5, "features", features)


KINDS_IN_PARQUET: dict[str, tuple[pa.Table, Kept | str] | str] = {
    "NaN literal": (with_column("score", math.nan, pa.float64()), Kept({"score": None})),
    "Infinity literal": (with_column("score", -math.inf, pa.float64()), Kept({"score": INFINITE})),
    "number in quotes": (with_column("score", "0.75", pa.string()), Kept({}, (WRONG,))),
    "boolean for a number": (with_column("score", True, pa.bool_()), Kept({"score": 1.0})),
    "number for a text": (with_column("version", 1, pa.int32()), Kept({"version": "1"})),
    "integer for a number": (with_column("score", 1, pa.int8()), Kept({"score": 1.0})),
    "column missing": (good().drop(["score"]), Kept({"score": None}, (MISSING,))),
    "column too many": (good().append_column("extra", pa.array([1])), Kept()),
    "feature too many": (
        with_column("features", {"temp": 1.5, "wind": 2.5, "carrier": "AA", "new": 1}, None),
        Kept({}, (UNKNOWN,)),
    ),
    "carriage return at the end": NO_LINES,
    "features null": (with_column("features", None, FEATURES), NO_FEATURES),
    "features a list": (with_column("features", [1.5, 2.5], pa.list_(pa.float64())), NO_FEATURES),
    "truncated": WHOLE_FILE,
    "garbage": WHOLE_FILE,
    "hole of NUL bytes": WHOLE_FILE,
    "invalid UTF-8": (broken_text(), "malformed"),
    "byte order mark within": NO_LINES,
    "blank": NO_LINES,
    "newline lost": NO_LINES,
    "duplicate key": (good().append_column("score", pa.array([0.25])), Kept({"score": None}, (MISSING,))),
    "1e400": "a double cannot hold it",
    "list for a record": NO_LINES,
    "word for a number": (with_column("score", "high", pa.large_string()), Kept({"score": INFINITE}, (WRONG,))),
    "list for a number": (with_column("score", [0.75], None), Kept({"score": INFINITE}, (WRONG,))),
    "id missing": (good().drop(["id"]), MISSING),
    "id null": (with_column("id", None, pa.string()), MISSING),
    "id a fraction": (with_column("id", 1.5, pa.float64()), WRONG),
    "time without zone": (with_column("timestamp", INSTANT.replace(tzinfo=None), pa.timestamp("us")), "bad_timestamp"),
    "word for a time": (with_column("timestamp", "yesterday", pa.string()), "bad_timestamp"),
    "time missing": (with_column("timestamp", None, pa.timestamp("us", "UTC")), MISSING),
    "too long": NO_LINES,
    # and those that only Parquet has
    "date for a time": (with_column("timestamp", INSTANT.date(), pa.date32()), "bad_timestamp"),
    "list for a text": (with_column("version", ["v1"], None), Kept({"version": None}, (WRONG,))),
    "map for features": (with_column("features", [("temp", 1.5)], pa.map_(pa.string(), pa.float64())), NO_FEATURES),
    "column of nulls": (with_column("score", None, pa.null()), Kept({"score": None})),
    "text in a dictionary": (
        good().set_column(2, "version", pa.array(["v1"]).dictionary_encode()),
        Kept(),
    ),
}
ALL = {name: found for name, found in KINDS_IN_PARQUET.items() if not isinstance(found, str)}


def log(folder, rows):
    """Writes rows, each a table, into one file a schema, and returns them in the order in which they will be read."""
    groups = []
    for row in rows:
        group = next((group for group in groups if group[0].schema.equals(row.schema)), None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    for number, group in enumerate(groups):
        target = folder / f"{number:03}.parquet"
        parquet.write_table(pa.concat_tables(group), f"{target}.partial", row_group_size=100)
        os.replace(f"{target}.partial", target)
    return [row for group in groups for row in group]


def found(folder):
    """Rows, refused rows by reason, and violations of all files."""
    rows, rejects, violations, lines = [], Counter(), Counter(), 0
    for piece, _ in slices(Source(files=str(folder / "*.parquet"), format="parquet"), FIELDS, Position(), 2e9):
        parsed = split(read_slice(piece, FIELDS), [STREAM])
        batch = parsed.batches[0]
        refused = [*parsed.refused.items(), *batch.refused.items()]
        places = [*batch.offsets.tolist(), *(place for _, group in refused for place in group.tolist())]
        assert sorted(places) == list(range(piece.offset, piece.offset + piece.table.num_rows))
        assert all(parsed.line_at(place).startswith(b"{") for place in places)
        rows += [{name: _or_null(value) for name, value in row.items()} for row in batch.table.to_pylist()]
        rejects.update({reason: len(group) for reason, group in refused})
        violations.update(batch.violations)
        lines += parsed.lines
    assert lines == len(rows) + rejects.total()
    return rows, rejects, violations


def _or_null(value):
    return None if isinstance(value, float) and math.isnan(value) else value


def expected(becomes, rows, dirty):
    kept, rejects, violations = [], Counter(), Counter()
    for row in rows:
        if row is not dirty:
            kept.append(ROW | {"id": row["id"][0].as_py()})
        elif isinstance(becomes, Kept):
            kept.append(becomes.row)
            violations.update(becomes.violations)
        else:
            rejects[becomes] += 1
    return kept, rejects, violations


@pytest.mark.parametrize("share", [0.0, 1, 10, 100])
@pytest.mark.parametrize("name", ALL)
def test_every_kind(tmp_path, name, share):
    """Alone (0), and as so many percent of 300 rows, spread evenly."""
    dirty, becomes = ALL[name]
    every = int(100 / (share or 100))
    rows = [dirty if number % every == every // 2 else good(number) for number in range(300 if share else 1)]
    order = log(tmp_path, rows)
    assert sum(row is dirty for row in order) == max(1, 3 * share)
    assert found(tmp_path) == expected(becomes, order, dirty)


def test_all_kinds_at_once(tmp_path):
    """Files of every kind one after the other give the sum of the parts."""
    total = [], Counter(), Counter()
    for number, (dirty, becomes) in enumerate(ALL.values()):
        folder = tmp_path / "parts" / f"{number:03}"
        folder.mkdir(parents=True)
        part = expected(becomes, log(folder, [good(number), dirty, good(number + 1)]), dirty)
        total = total[0] + part[0], total[1] + part[1], total[2] + part[2]
        for file in sorted(folder.iterdir()):
            os.replace(file, tmp_path / f"{number:03}-{file.name}")
    assert found(tmp_path) == total


def test_every_kind_is_looked_at():
    assert [kind.name for kind in KINDS] == list(KINDS_IN_PARQUET)[: len(KINDS)]
