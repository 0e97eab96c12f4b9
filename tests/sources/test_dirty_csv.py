"""Every kind of dirty line of `dirty` in CSV: what it becomes, alone and among good records, by both parsers."""

from collections import Counter

import pytest
from tests.sources.dirty import FIELDS, KINDS, MISSING, MOST_LINE_BYTES, ROW, STREAM, WRONG, Dirty, Kept

from ml_exporter.sources.csv_rows import CsvParser
from ml_exporter.sources.rows import split

HEADER = b"timestamp,id,version,prediction,score,features.temp,features.wind,features.carrier"
GOOD = b"2026-01-01T00:00:00Z,i0,v1,yes,0.75,1.5,2.5,AA"
INFINITE = float("inf")
NULLS = {"feature:temp": None, "feature:wind": None, "feature:carrier": None}
NOT_IN_A_RECORD = "the header names the columns of every record; see test_csv.test_headers"

KINDS_IN_CSV: dict[str, tuple[bytes, Kept | str | None] | str] = {
    "NaN literal": (GOOD.replace(b"0.75", b"NaN"), Kept({"score": None})),
    "Infinity literal": (GOOD.replace(b"0.75", b"Infinity"), Kept({"score": INFINITE})),
    "number in quotes": (GOOD.replace(b"0.75", b'"0.75"'), Kept()),
    "boolean for a number": (GOOD.replace(b"0.75", b"True"), Kept({"score": 1.0})),
    "number for a text": (GOOD.replace(b"v1", b"1"), Kept({"version": "1"})),
    "integer for a number": (GOOD.replace(b"0.75", b"1"), Kept({"score": 1.0})),
    "column missing": (GOOD.replace(b"0.75,", b""), "malformed"),
    "column too many": (GOOD + b",1", "malformed"),
    "feature too many": NOT_IN_A_RECORD,
    "carriage return at the end": (GOOD + b"\r", Kept()),
    "features null": (GOOD.replace(b"1.5,2.5,AA", b",,"), Kept(NULLS)),
    "features a list": (GOOD.replace(b"1.5,2.5,AA", b'"[1.5, 2.5]"'), "malformed"),
    "truncated": (GOOD[:30], "malformed"),
    "garbage": (b"Traceback (most recent call last):", "malformed"),
    "hole of NUL bytes": (b"\0" * 300 + GOOD, Kept()),
    "invalid UTF-8": (GOOD.replace(b"AA", b"A\xff"), "malformed"),
    "byte order mark within": (b"\xef\xbb\xbf" + GOOD, "malformed"),
    "blank": (b" ", None),
    "newline lost": (GOOD + GOOD, "malformed"),
    "duplicate key": NOT_IN_A_RECORD,
    "1e400": (GOOD.replace(b"0.75", b"1e400"), Kept({"score": INFINITE})),
    "list for a record": (b"[1, 2]", "malformed"),
    "word for a number": (GOOD.replace(b"0.75", b"high"), Kept({"score": INFINITE}, (WRONG,))),
    "list for a number": (GOOD.replace(b"0.75", b'"[0.75, 1]"'), Kept({"score": INFINITE}, (WRONG,))),
    "id missing": NOT_IN_A_RECORD,
    "id null": (GOOD.replace(b"i0", b""), MISSING),
    "id a fraction": (GOOD.replace(b"i0", b"1.5"), Kept({"id": "1.5"})),
    "time without zone": (GOOD.replace(b"00Z", b"00"), "bad_timestamp"),
    "word for a time": (GOOD.replace(b"2026-01-01T00:00:00Z", b"yesterday"), "bad_timestamp"),
    "time missing": (GOOD.replace(b"2026-01-01T00:00:00Z", b""), MISSING),
    "too long": (GOOD.replace(b"v1", b"v" * 2000), "too_long"),
    # and those that only CSV has
    "quote that never closes": (GOOD.replace(b"v1", b'"v1'), "malformed"),
    "text behind a closing quote": (GOOD.replace(b"v1", b'"v"1'), "malformed"),
    "quote within a cell": (GOOD.replace(b"v1", b'5" disk'), Kept({"version": '5" disk'})),
    "line end in quotes": (GOOD.replace(b"v1", b'"v\n1"'), Kept({"version": "v\n1"})),
    "NUL within": (GOOD.replace(b"v1", b"v\0001"), "malformed"),
    "header again": (HEADER, None),
}
ALL = {name: found for name, found in KINDS_IN_CSV.items() if not isinstance(found, str)}
PLACE = 5000
FAST = CsvParser(FIELDS, ",", MOST_LINE_BYTES)
SLOW = CsvParser(FIELDS, ",", MOST_LINE_BYTES, fast=False)


def good(number):
    return GOOD.replace(b"i0", b"i%d" % number)


def mixed(record, share, count=600):
    """`count` records of which `share` percent are of a kind, spread evenly, the others clean with ids that ascend."""
    every = 100 // share
    return [record if number % every == every // 2 else good(number + 1) for number in range(count)]


def found(parser, records):
    """Rows, refused records by reason, and violations. Every record can be read back."""
    parsed = split(parser.parse(b"".join(record + b"\n" for record in records), HEADER, PLACE), [STREAM])
    batch = parsed.batches[0]
    begin, places = PLACE, {}
    for record in records:
        places[begin] = record.removesuffix(b"\r")
        begin += len(record) + 1
    refused = [*parsed.refused.items(), *batch.refused.items()]
    for offset in (*batch.offsets.tolist(), *(place for _, group in refused for place in group.tolist())):
        assert parsed.line_at(offset) == places[offset]
    rejects = Counter({reason: len(group) for reason, group in refused})
    assert parsed.lines == batch.table.num_rows + rejects.total()
    return batch.table.to_pylist(), rejects, Counter(batch.violations)


def expected(becomes, records, dirty):
    """What a log of these records has to give: rows in order, rejects by reason and violations by kind."""
    rows, rejects, violations = [], Counter(), Counter()
    for number, record in enumerate(records):
        if record != dirty:
            rows.append(ROW | {"id": f"i{number + 1}"})
        elif isinstance(becomes, Kept):
            rows.append(becomes.row)
            violations.update(becomes.violations)
        elif becomes is not None:
            rejects[becomes] += 1
    return rows, rejects, violations


@pytest.mark.parametrize("name", ALL)
def test_alone(name):
    record, becomes = ALL[name]
    wanted = expected(becomes, [record], record)
    assert found(SLOW, [record]) == found(FAST, [record]) == wanted


@pytest.mark.parametrize("share", [1, 10, 100])
@pytest.mark.parametrize("name", ALL)
def test_among_good_records(name, share):
    record, becomes = ALL[name]
    records = mixed(record, share)
    assert records.count(record) == 6 * share
    wanted = expected(becomes, records, record)
    assert found(FAST, records) == wanted
    assert found(SLOW, records) == wanted


@pytest.mark.parametrize("share", [1, 10, 50])
def test_all_kinds_at_once(share):
    """Each part of the log has another kind of dirty records; together they give the sum of the parts."""
    parts = [mixed(record, share, 100) for record, _ in ALL.values()]
    wanted = [expected(becomes, part, record) for (record, becomes), part in zip(ALL.values(), parts, strict=True)]
    rows = [row for part, _, _ in wanted for row in part]
    rejects, violations = (sum((part[index] for part in wanted), Counter()) for index in (1, 2))
    records = [record for part in parts for record in part]
    assert found(FAST, records) == found(SLOW, records) == (rows, rejects, violations)


def test_every_kind_is_looked_at():
    kinds: list[Dirty] = list(KINDS)
    assert [kind.name for kind in kinds] == list(KINDS_IN_CSV)[: len(kinds)]
