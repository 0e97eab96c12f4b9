"""CSV: every kind of cell and record, alone and among good ones, and the two parsers against each other."""

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.records import Field, Stream
from ml_exporter.sources.csv_cells import split_cells
from ml_exporter.sources.csv_rows import CsvParser
from ml_exporter.sources.rows import split

FIELDS = (
    Field("timestamp", ("timestamp",), "time", True),
    Field("id", ("id",), "id", True),
    Field("version", ("version",), "text"),
    Field("score", ("score",), "number"),
    Field("fallback", ("fallback",), "flag"),
    Field("feature:x", ("features", "x"), "number"),
    Field("feature:c", ("features", "c"), "text"),
)
STREAM = Stream("m", "predictions", FIELDS)
LIMIT = 2000
MICROSECONDS = 1_367_366_400_000_000
NAMES = ["timestamp", "id", "version", "score", "fallback", "features.x", "features.c", "extra"]
HEADER = ",".join(NAMES).encode()
BASE = {
    "timestamp": MICROSECONDS,
    "id": "id0",
    "version": "v1",
    "score": 0.25,
    "fallback": False,
    "feature:x": 0.0,
    "feature:c": "JFK",
}


def cells(number=0, **changes):
    row = {
        "timestamp": "2013-05-01T00:00:00Z",
        "id": f"id{number}",
        "version": "v1",
        "score": "0.25",
        "fallback": "false",
        "x": str(number / 2),
        "c": "JFK",
        "extra": "",
    }
    return list((row | changes).values())


def line(number=0, **changes):
    return ",".join(cells(number, **changes)).encode()


def kept(wrong=0, **changes):
    changes = {{"x": "feature:x", "c": "feature:c"}.get(name, name): value for name, value in changes.items()}
    return BASE | changes, {"wrong_type": wrong} if wrong else {}


GOOD = [line(number) for number in range(300)]
WRONG_NUMBER = kept(1, score=math.inf)
CASES = {
    "good": (line(), kept()),
    "empty number": (line(score=""), kept(score=None)),
    "quoted empty number": (line(score='""'), kept(score=None)),
    "blank number": (line(score=" \t"), kept(score=None)),
    **{f"{text} in number": (line(score=text), kept(score=None)) for text in ("NaN", "nan", "NAN", "-nan", "NA")},
    **{f"{text} in number": (line(score=text), kept(score=None)) for text in ("<NA>", "None", "null", "NULL", "\\N")},
    "blanks around null": (line(score=" nan "), kept(score=None)),
    **{f"{text} in number": (line(score=text), kept(score=math.inf)) for text in ("inf", "-inf", "Infinity", "+INF")},
    **{f"{text} in number": (line(score=text), kept(score=math.inf)) for text in ("1e400", "-1e400", "1" + "0" * 400)},
    "tiny number": (line(score="1e-400"), kept(score=0.0)),
    "long integer": (line(score="123456789012345678901"), kept(score=123456789012345678901.0)),
    "many digits": (line(score="0.1000000000000000055511151231257827021181583404541015625"), kept(score=0.1)),
    "quoted number": (line(score='"0.5"'), kept(score=0.5)),
    "leading zeros in number": (line(score="007"), kept(score=7.0)),
    "leading plus": (line(score="+1"), kept(score=1.0)),
    "bare point": (line(score=".5"), kept(score=0.5)),
    "point at the end": (line(score="1."), kept(score=1.0)),
    "exponent": (line(score="-1E-3"), kept(score=-0.001)),
    "blanks around number": (line(score=" 1\t"), kept(score=1.0)),
    "true in number": (line(score="true"), kept(score=1.0)),
    "False in number": (line(score="False"), kept(score=0.0)),
    **{f"{text} in number": (line(score=text), WRONG_NUMBER) for text in ("high", "1_000", "0x10", "12%", ".", "e5")},
    **{f"{text} in number": (line(score=text), WRONG_NUMBER) for text in ("1e", "--1", "1 2", "٣", "nan(1)", "1d")},
    "decimal comma": (line(score='"1,5"'), WRONG_NUMBER),
    "date in number": (line(score="2013-05-01"), WRONG_NUMBER),
    "list in number": (line(score='"[1, 2]"'), WRONG_NUMBER),
    "NUL in quotes": (line(score='"1\0"'), "malformed"),
    "empty text": (line(version=""), kept(version=None)),
    "quoted empty text": (line(version='""'), kept(version=None)),
    "NA in text": (line(c="NA"), kept(c="NA")),
    "nan in text": (line(c="nan"), kept(c="nan")),
    "null in text": (line(c="null"), kept(c="null")),
    "blanks in text": (line(c=" JFK "), kept(c=" JFK ")),
    "number in text": (line(version="1.50"), kept(version="1.50")),
    "delimiter in quotes": (line(version='"a,b"'), kept(version="a,b")),
    "quote in quotes": (line(version='"a""b"'), kept(version='a"b')),
    "newline in quotes": (line(version='"a\nb"'), kept(version="a\nb")),
    "two newlines in quotes": (line(version='"a\n\r\nb"'), kept(version="a\n\r\nb")),
    "only a quote in quotes": (line(version='""""'), kept(version='"')),
    "quote inside a cell": (line(version='5" disk'), kept(version='5" disk')),
    "two quotes inside a cell": (line(version='a"b"'), kept(version='a"b"')),
    "UTF-8": (line(version="é日"), kept(version="é日")),
    "id with zeros": (line(id="007"), kept(id="007")),
    "integer id": (line(id="17"), kept(id="17")),
    "long id": (line(id="12345678901234567890123"), kept(id="12345678901234567890123")),
    "empty id": (line(id=""), "missing_column"),
    **{
        f"{text} flag": (line(fallback=text), kept(fallback=True)) for text in ("true", "True", "TRUE", "t", "1", "1.0")
    },
    **{f"{text} flag": (line(fallback=text), kept()) for text in ("False", "FALSE", "f", "0", "0.0", '"false"')},
    **{f"{text} flag": (line(fallback=text), kept(1, fallback=None)) for text in ("yes", "2", "T", " true", "off")},
    **{f"{text} in flag": (line(fallback=text), kept(fallback=None)) for text in ("", "nan", "NULL", "-NaN")},
    "too few cells": (line()[: line().rindex(b",")], "malformed"),
    "too many cells": (line() + b",", "malformed"),
    "half a line": (line()[:30], "malformed"),
    "half a line behind": (line()[30:], "malformed"),
    "two records": (line() + line(), "malformed"),
    "garbage": (b"garbage", "malformed"),
    "text behind a closing quote": (line(version='"a"b'), "malformed"),
    "carriage return": (line(version="a\rb"), "malformed"),
    "carriage return in quotes": (line(version='"a\rb"'), kept(version="a\rb")),
    "carriage return at both ends": (line() + b"\r\r", "malformed"),
    "NUL inside": (line(version="a\0b"), "malformed"),
    "NUL hole": (b"\0" * 800 + line(), kept()),
    "invalid UTF-8": (line().replace(b"JFK", b"J\xffK"), "malformed"),
    "invalid UTF-8 in an extra column": (line() + b"\xff", "malformed"),
    "byte order mark": (b"\xef\xbb\xbf" + line(), "malformed"),
    "CRLF": (line() + b"\r", kept()),
    "blank": (b"  \t\r", ""),
    "nothing": (b"", ""),
    "header again": (HEADER, ""),
    "header again, quoted": (",".join(f'"{name}"' for name in NAMES).encode(), ""),
    "header again with mark": (b"\xef\xbb\xbf" + HEADER + b"\r", ""),
    "only delimiters": (b",,,,,,,", "missing_column"),
    "too long": (line(version="v" * LIMIT), "too_long"),
    "too long in quotes": (line(version='"' + "v" * LIMIT + '"'), "too_long"),
    "blank before": (b" " + line(), "bad_timestamp"),
    "time without zone": (line(timestamp="2013-05-01T00:00:00"), "bad_timestamp"),
    "word as time": (line(timestamp="yesterday"), "bad_timestamp"),
    "empty time": (line(timestamp=""), "missing_column"),
    "nan time": (line(timestamp="nan"), "bad_timestamp"),
    "time with zone": (line(timestamp="2013-05-01T02:30:00+02:30"), kept()),
    "quoted time": (line(timestamp='"2013-05-01 00:00:00Z"'), kept()),
    "epoch seconds": (line(timestamp="1367366400"), kept()),
    "epoch milliseconds": (line(timestamp="1367366400000"), kept()),
}
FAST = CsvParser(FIELDS, ",", LIMIT)
SLOW = CsvParser(FIELDS, ",", LIMIT, fast=False)


def chunk_of(lines):
    return b"".join(item + b"\n" for item in lines)


def parse(parser, chunk, offset=1000, header=HEADER):
    return split(parser.parse(chunk, header, offset), [STREAM])


def refusals(parsed):
    places = [
        (reason, place) for found in (parsed.refused, parsed.batches[0].refused) for reason, place in found.items()
    ]
    return sorted((int(place), reason) for reason, found in places for place in found)


def assert_same(chunk, offset=1000, header=HEADER, parsers=(FAST, SLOW)):
    """Both parsers give the same batch, which accounts for every record."""
    quick, slow = (parse(parser, chunk, offset, header) for parser in parsers)
    one, other = quick.batches[0], slow.batches[0]
    assert one.table.equals(other.table)
    assert np.array_equal(one.offsets, other.offsets)
    assert refusals(quick) == refusals(slow)
    assert dict(one.violations) == dict(other.violations)
    assert quick.lines == slow.lines == one.table.num_rows + len(refusals(quick))
    for place in (*one.offsets.tolist(), *(place for place, _ in refusals(quick))):
        assert chunk[place - offset :].startswith(quick.line_at(place))
        assert quick.line_at(place) == slow.line_at(place)
    return quick


@pytest.mark.parametrize("name", CASES)
def test_each_case_alone(name):
    content, outcome = CASES[name]
    parsed = parse(SLOW, content + b"\n")
    if outcome == "":
        assert parsed.lines == 0
    elif isinstance(outcome, str):
        assert refusals(parsed) == [(1000, outcome)]
        assert not parsed.batches[0].violations
    else:
        assert parsed.batches[0].table.to_pylist() == [outcome[0]]
        assert parsed.batches[0].violations == outcome[1]
        assert refusals(parsed) == []


@pytest.mark.parametrize("share", [1, 10, 100])
@pytest.mark.parametrize("name", CASES)
def test_each_case_among_good_records(name, share):
    """One record in a hundred, one in ten, or every second one is dirty; good rows stay, in order."""
    content, outcome = CASES[name]
    lines = list(GOOD)
    for place in range(len(lines) - 1, 0, -max(1, 100 // share)):
        lines.insert(place, content)
    parsed = assert_same(chunk_of(lines))
    ids = [item for item in parsed.batches[0].table["id"].to_pylist() if item[:2] == "id" and item != "id0"]
    assert ids == [f"id{number}" for number in range(1, 300)]
    if isinstance(outcome, str) and outcome:
        assert len(refusals(parsed)) == len(lines) - len(GOOD)


@pytest.mark.parametrize("name", CASES)
def test_every_record_is_of_one_case(name):
    assert_same(chunk_of([CASES[name][0]] * 200))


@pytest.mark.parametrize("name", CASES)
def test_first_and_last_record(name):
    content = CASES[name][0]
    assert_same(chunk_of([content, *GOOD[:100], content]))
    assert_same(chunk_of([*GOOD[:100], content])[:-1])


def test_all_cases_shuffled():
    random = np.random.default_rng(1)
    cases = [content for content, _ in CASES.values()]
    for share in (0.01, 0.1, 0.5, 1.0):
        lines = [
            cases[random.integers(len(cases))] if random.random() < share else GOOD[random.integers(300)]
            for _ in range(2000)
        ]
        assert_same(chunk_of(lines))


def test_clean_records_take_the_fast_way(monkeypatch):
    """Otherwise every comparison above would compare the slow parser with itself."""

    def refuse(self, record, offset):
        raise AssertionError(record)

    monkeypatch.setattr("ml_exporter.sources.csv_rows._Slow.take", refuse)
    clean = [
        GOOD,
        [line(number, extra="a:b") for number in range(100)],
        [line(number, score="", c="") for number in range(100)],
        [line(number, score="nan", fallback="") for number in range(100)],
        [line(number, score="high" if number % 2 else "+1", fallback="yes") for number in range(100)],
        [item + b"\r" for item in GOOD],
        [line(number, version='"é ""x"", \n"') for number in range(100)],
        [b",".join(b'"' + cell.encode() + b'"' for cell in cells(number)) for number in range(100)],
        [line(number, id=str(number), timestamp=str(1.3e9 + number)) for number in range(100)],
    ]
    for lines in clean:
        assert parse(FAST, chunk_of(lines)).batches[0].table.num_rows == len(lines)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters(delimiter):
    parsers = [CsvParser(FIELDS, delimiter, LIMIT, fast) for fast in (True, False)]
    lines = [item.replace(b",", delimiter.encode()) for item in [*GOOD, line(version="a;b|c\td")]]
    lines.append(delimiter.join(cells(7, timestamp="", version='"a,b"')).encode())
    parsed = assert_same(chunk_of(lines), header=HEADER.replace(b",", delimiter.encode()), parsers=parsers)
    assert parsed.batches[0].table.num_rows == 300
    assert [reason for _, reason in refusals(parsed)] == ["malformed", "missing_column"]


HEADERS = {
    "no optional column": (b"id,timestamp", 200, {"missing_column": 5 * 200}, []),
    "no time": (HEADER.replace(b"timestamp", b"time"), 0, {}, ["missing_column"] * 200),
    "no id": (HEADER.replace(b"id", b"key"), 0, {}, ["missing_column"] * 200),
    "unknown feature": (HEADER.replace(b"extra", b"features.new"), 200, {"unknown_column": 200}, []),
    "unknown object of features": (HEADER.replace(b"extra", b"features.n.a"), 200, {"unknown_column": 200}, []),
    "double column": (HEADER.replace(b"extra", b"score"), 200, {"missing_column": 200}, []),
    "double time": (HEADER.replace(b"extra", b"timestamp"), 0, {}, ["missing_column"] * 200),
    "double extra": (HEADER.replace(b"version", b"extra"), 200, {"missing_column": 200}, []),
    "no header": (GOOD[299], 0, {}, ["missing_column"] * 200),
    "empty": (b"", 0, {}, ["malformed"] * 200),
    "no UTF-8": (HEADER + b"\xff", 0, {}, ["malformed"] * 200),
    "stray quote": (b'"' + HEADER, 0, {}, ["malformed"] * 200),
    "quoted, with mark": (b'\xef\xbb\xbf"timestamp",' + HEADER.split(b",", 1)[1], 200, {}, []),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(name):
    header, rows, violations, reasons = HEADERS[name]
    width = header.count(b",") + 1
    lines = GOOD[:200] if width > 2 else [b"id1,2013-05-01T00:00:00Z"] * 200
    parsed = assert_same(chunk_of(lines), header=header)
    assert parsed.batches[0].table.num_rows == rows
    assert parsed.batches[0].violations == violations
    assert [reason for _, reason in refusals(parsed)] == reasons


def test_a_column_may_be_read_as_number_and_as_text():
    fields = (
        *FIELDS[:2],
        Field("a", ("score",), "number"),
        Field("b", ("score",), "text"),
        Field("c", ("a", "b"), "id"),
    )
    stream = Stream("m", "predictions", fields)
    chunk = chunk_of([b"%d,i,%d.50,7" % (number, number) for number in range(100)])
    header = b"timestamp,id,score,a.b"
    tables = [split(CsvParser(fields, ",", LIMIT, fast).parse(chunk, header, 0), [stream]) for fast in (True, False)]
    assert tables[0].batches[0].table.equals(tables[1].batches[0].table)
    assert tables[0].batches[0].table.to_pylist()[3] == {
        "timestamp": 3 * 10**6,
        "id": "i",
        "a": 3.5,
        "b": "3.50",
        "c": "7",
    }


def test_a_single_column():
    fields = (Field("timestamp", ("t",), "time", True),)
    for lines in (["5", "", '""', "t", "6"] * 40, ["5", ' "7"', "6 "] * 40):
        chunk = "".join(f"{item}\n" for item in lines).encode()
        parsed = [
            split(CsvParser(fields, ",", 9, fast).parse(chunk, b"t", 0), [Stream("m", "labels", fields)])
            for fast in (True, False)
        ]
        assert parsed[0].batches[0].table.equals(parsed[1].batches[0].table)
        assert parsed[0].lines == parsed[1].lines
        assert refusals(parsed[0]) == refusals(parsed[1])


PIECES = st.sampled_from(
    [
        '"',
        '""',
        ",",
        "\n",
        "\r",
        "\r\n",
        "\0",
        " ",
        "0.5",
        "nan",
        "1e999",
        "true",
        "é",
        "\ufeff",
        "x",
        "2013-05-01T00:00:00Z",
    ]
)
CELLS = st.one_of(st.lists(PIECES, max_size=3).map("".join), st.text(max_size=5), st.floats().map(repr))


@st.composite
def dirty_records(draw):
    row = cells(draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(0, 3))):
        row[draw(st.integers(0, 7))] = draw(CELLS)
    if draw(st.booleans()):
        text = io.StringIO()
        quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        csv.writer(text, quoting=quoting, lineterminator="").writerow(row)
        content = bytearray(text.getvalue().encode("utf-8", "surrogatepass"))
    else:
        content = bytearray(",".join(row).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(content)))
        if draw(st.booleans()):
            content[place:place] = draw(st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff", b'","', b" "]))
        else:
            del content[place : place + draw(st.integers(1, 9))]
    return bytes(content)


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(dirty_records(), max_size=12), times=st.integers(1, 30), end=st.sampled_from([b"\n", b"\r\n", b""])
)
def test_both_parsers_agree(lines, times, end):
    assert_same((chunk_of((lines * times + GOOD[:80])[:400]) + b"".join(lines))[:-1] + end)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab\",\n\r;' é"), max_size=6), min_size=1, max_size=5))
def test_cells_are_what_the_csv_module_reads(row):
    text = io.StringIO()
    csv.writer(text, lineterminator="", quoting=csv.QUOTE_ALL).writerow(row)
    assert split_cells(text.getvalue(), ",") == row
    plain = [cell.replace('"', "").replace(",", "").replace("\n", "").replace("\r", "") for cell in row]
    assert split_cells(",".join(plain), ",") == plain


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_a_chunk_behind_a_header_that_nothing_follows(content):
    parsed = split(CsvParser(FIELDS, ",", LIMIT).parse(content, HEADER, len(HEADER) + 1), [STREAM])
    assert (parsed.lines, parsed.batches[0].table.num_rows) == (0, 0)
