"""Ends of CSV records: the fast search agrees with a plain state machine, and cutting changes nothing."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_exporter.sources.quoted import record_ends


def plain(content, delimiter, limit, whole):
    """The same by the definition, one byte at a time."""
    if whole and content and content[-1:] != b"\n":
        return [min(end, len(content)) for end in plain(content + b"\n", delimiter, limit, whole)]
    ends, start = [], 0
    while start < len(content):
        end = _plain_end(content, start, delimiter)
        first_line = content.find(b"\n", start) + 1
        over = (end if end else len(content)) - start > limit
        if end is None and not whole and not over:
            break
        if end is None or end == "broken" or over:
            if not first_line:
                break
            end = first_line
        ends.append(end)
        start = end
    return ends


def _plain_end(content, start, delimiter):
    inside, field_start, at = False, True, start
    while at < len(content):
        byte = content[at : at + 1]
        if inside:
            if byte == b'"':
                rest = content[at + 1 : at + 3]
                if rest[:1] == b'"':
                    at += 1
                elif rest[:1] in (b"\n", delimiter) or rest == b"\r\n":
                    inside = False
                elif rest in (b"", b"\r"):
                    return None
                else:
                    return content.find(b"\n", start) + 1 or None
        elif byte == b"\n":
            return at + 1
        elif byte == b'"' and field_start:
            inside = True
        field_start = not inside and byte == delimiter
        at += 1
    return None


pieces = st.lists(st.sampled_from(['"', "\n", ",", "a", "\r\n", '""', '","', '"\n"', "bcd"]), max_size=40)


@settings(max_examples=1500, deadline=None)
@given(pieces, st.booleans(), st.sampled_from([1, 5, 12, 1000]))
def test_as_defined(found, whole, limit):
    content = "".join(found).encode()
    assert record_ends(content, b",", limit, whole).tolist() == plain(content, b",", limit, whole)


@settings(max_examples=500, deadline=None)
@given(pieces, st.sampled_from([5, 12, 1000]), st.data())
def test_a_chunk_cut_at_a_record_has_the_same_records(found, limit, data):
    content = "".join(found).encode()
    ends = record_ends(content, b",", limit, whole=False).tolist()
    if not ends:
        return
    cut = data.draw(st.sampled_from(ends))
    assert record_ends(content[:cut], b",", limit).tolist() == [end for end in ends if end <= cut]
    behind = record_ends(content[cut:], b",", limit, whole=False) + cut
    assert behind.tolist() == [end for end in ends if end > cut]


cells = st.text(st.sampled_from("ab\",\n;' é"), max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=8), st.sampled_from(",;|\t"))
def test_what_the_csv_module_writes(rows, delimiter):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    sizes = [writer.writerow(row) for row in rows]
    content = text.getvalue().encode()
    ends = record_ends(content, delimiter.encode(), 1 << 20)
    assert len(ends) == len(sizes)
    begins = [0, *ends[:-1].tolist()]
    records = [content[begin:end].decode() for begin, end in zip(begins, ends.tolist(), strict=True)]
    assert [next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter)) for record in records] == rows


@pytest.mark.parametrize("stray", [b'1,"open', b'2,"a"b', b'3,5" pipe', b'"', b'4,"""'])
def test_a_stray_quote_costs_its_own_line(stray):
    good = b'7,"x"\n8,"y\nz"\n' * 30_000
    content = good + stray + b"\n" + good
    assert len(record_ends(content, b",", 1 << 16)) == 120_001


def test_a_last_record_without_newline_is_one_record():
    content = b'1,"two\nlines"'
    assert record_ends(content, b",", 100).tolist() == [len(content)]
    assert record_ends(content, b",", 100, whole=False).tolist() == []


def test_many_stray_quotes():
    lines = [b'%d,"q"' % number if number % 10 else b'%d,"o" "p"' % number for number in range(50_000)]
    content = b"\n".join(lines) + b"\n"
    assert np.array_equal(record_ends(content, b",", 1 << 16), np.flatnonzero(np.frombuffer(content, "u1") == 10) + 1)
