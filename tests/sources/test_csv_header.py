"""A header that stands again in mid-file, as it was or changed: every row is read by the header above it."""

import json
import random
import threading

import msgspec
import pytest
from tests.sources.test_csv import FIELDS, STREAM, cells

from ml_exporter.config import Source
from ml_exporter.sources import follow
from ml_exporter.sources.csv_header import next_header
from ml_exporter.sources.follow import Position
from ml_exporter.sources.tail import Tail

NAMES = ["timestamp", "id", "version", "score", "fallback", "features.x", "features.c", "extra"]
CHANGES = {
    "again": NAMES,
    "other order": ["features.x", "timestamp", "score", "id", "version", "fallback", "features.c", "extra"],
    "one more": [*NAMES, "new"],
    "one less": [name for name in NAMES if name != "extra"],
    "one instead of another": [name if name != "score" else "probability" for name in NAMES],
    "one twice": [name if name != "extra" else "id" for name in NAMES],
}


def header(names, quoted=False):
    return ",".join(f'"{name}"' if quoted else name for name in names)


def record(names, number):
    row = dict(zip(NAMES, cells(number, extra="7", version=f'"v\n{number}"'), strict=True))
    return ",".join(row.get(name, "0.5") for name in names)


def read(path, position=Position()):  # noqa: B008 - a value
    """Rows, refused rows by reason, and the last position, after a restart at every chunk."""
    rows, refused = [], {}
    while True:
        with Tail(Source(files=str(path), format="csv"), [STREAM]) as tail:
            found = next(iter(tail.batches(position, threading.Event(), 4e9)), None)
        if found is None:
            return rows, refused
        parsed, behind = found
        position = msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(behind))), Position)
        rows += parsed.batches[0].table.to_pylist()
        for group in (parsed.refused, parsed.batches[0].refused):
            for reason, places in group.items():
                refused[reason] = refused.get(reason, 0) + len(places)


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_rows_below_another_header(tmp_path, monkeypatch, name, quoted):
    monkeypatch.setattr(follow, "_SMALLEST_CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(follow, "_LARGEST_CHUNK_BYTES", 1 << 12)
    path, numbers = tmp_path / "log.csv", random.Random(1)
    lines, number, wanted = [], 0, []
    for names in (NAMES, CHANGES[name], NAMES, CHANGES[name]):
        mark = "\ufeff" if quoted and number else ""
        lines.append(mark + header(names, quoted))
        for _ in range(numbers.randrange(50, 400)):
            lines.append(record(names, number))
            is_known = names.count("id") == 1
            wanted += [(f"id{number}", 0.25 if "score" in names else None, number / 2)] if is_known else []
            number += 1
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows, refused = read(path)
    assert [(row["id"], row["score"], row["feature:x"]) for row in rows] == wanted
    assert refused == ({} if len(wanted) == number else {"missing_column": number - len(wanted)})


def test_a_header_that_shares_too_little_is_no_row():
    """Its names are counted as a malformed record or an unreadable time, like any other record that makes no sense."""
    content = b"a,b,c,d\n1,2,3,4\n"
    assert next_header(content, b"id,timestamp,score,version", ",", 100) is None
    assert next_header(b"id,timestamp,x,y\n", b"id,timestamp,score,version", ",", 100) is None
    assert next_header(b"id,timestamp,score,y\n", b"id,timestamp,score,version", ",", 100) == (0, 21)


def test_values_that_are_names_of_columns():
    content = b'1,label,x\n2,"label",y\n3,"a\nid,label,time\n",z\n'
    assert next_header(content, b"id,label,time", ",", 100) is None
    assert next_header(content + b"time,label,id\n", b"id,label,time", ",", 100) == (len(content), len(content) + 14)


@pytest.mark.parametrize("names", [b"", b"id", b",", b'a"b,c', b'"', b"\xff,a"])
def test_headers_that_nothing_can_be_compared_with(names):
    assert next_header(b"id,label\n" * 3, names, ",", 100) is None


def test_no_fields_are_lost():
    assert [".".join(field.path) for field in FIELDS] == NAMES[:-1]
