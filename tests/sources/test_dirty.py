"""Every kind of dirty line in JSONL: what it becomes, alone and among good lines, by the fast and the slow parser."""

from collections import Counter

import pytest
from tests.sources.dirty import CLOCK, FIELDS, KINDS, MOST_LINE_BYTES, STREAM, expected, good, mixed

from ml_exporter.sources.jsonl import parser
from ml_exporter.sources.rows import split
from ml_exporter.sources.scanner import Scanner

ALL = {kind.name: kind for kind in KINDS}
PLACE = 5000
"""Where in its file the chunk begins."""


@pytest.fixture(scope="module")
def fast():
    with Scanner() as scanner:
        yield parser(FIELDS, MOST_LINE_BYTES, scanner)


SLOW = parser(FIELDS, MOST_LINE_BYTES, None)


def found(parser, lines):
    """Rows, refused lines by reason, violations, and the number of lines. Every line can be read back."""
    chunk = b"".join(line + b"\n" for line in lines)
    parsed = split(parser.parse(chunk, PLACE), [STREAM])
    batch = parsed.batches[0]
    places = {line: set() for line in lines}
    begin = 0
    for line in lines:
        places[line].add(begin + PLACE)
        begin += len(line) + 1
    refused = [*parsed.refused.items(), *batch.refused.items()]
    for offset in (*batch.offsets.tolist(), *(place for _, found in refused for place in found.tolist())):
        line = parsed.line_at(offset)
        assert offset in places[line]
    rejects = Counter({reason: len(found) for reason, found in refused})
    assert parsed.lines == batch.table.num_rows + rejects.total()
    return batch.table.to_pylist(), rejects, Counter(batch.violations)


@pytest.mark.parametrize("name", ALL)
def test_alone(fast, name):
    lines = [ALL[name].jsonl]
    wanted = expected(ALL[name], lines, lines[0])
    assert found(SLOW, lines) == found(fast, lines) == wanted


@pytest.mark.parametrize("share", [1, 10, 100])
@pytest.mark.parametrize("name", ALL)
def test_among_good_lines(fast, name, share):
    lines = mixed(ALL[name].jsonl, share)
    assert lines.count(ALL[name].jsonl) == 6 * share
    wanted = expected(ALL[name], lines, ALL[name].jsonl)
    assert found(fast, lines) == wanted
    assert found(SLOW, lines) == wanted


@pytest.mark.parametrize("share", [1, 10, 50])
def test_all_kinds_at_once(fast, share):
    """Each part of the log has another kind of dirty lines; together they give the sum of the parts."""
    parts = [mixed(kind.jsonl, share, 100) for kind in KINDS]
    wanted = [expected(kind, part, kind.jsonl) for kind, part in zip(KINDS, parts, strict=True)]
    rows = [row for part, _, _ in wanted for row in part]
    rejects, violations = (sum((part[index] for part in wanted), Counter()) for index in (1, 2))
    lines = [line for part in parts for line in part]
    assert found(fast, lines) == found(SLOW, lines) == (rows, rejects, violations)


def test_the_clock_is_not_the_business_of_a_parser(fast):
    for kind in CLOCK:
        assert found(fast, [kind.jsonl] * 100)[1] == Counter()


def test_a_byte_order_mark_at_the_start_of_a_file(fast):
    chunk = b"\xef\xbb\xbf" + good(1) + b"\n" + good(2) + b"\n"
    for one in (fast, SLOW):
        assert split(one.parse(chunk, 0), [STREAM]).batches[0].table["id"].to_pylist() == ["i1", "i2"]


def test_there_are_all_kinds():
    """24 kinds that parsers stumble over, and every reason to refuse a line."""
    assert len(KINDS) >= 24
    assert {kind.becomes for kind in (*KINDS, *CLOCK) if isinstance(kind.becomes, str)} == {
        "malformed",
        "wrong_type",
        "missing_column",
        "bad_timestamp",
        "too_long",
        "future",
        "too_late",
    }
