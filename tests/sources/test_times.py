"""Times against Python's own parser, and epoch numbers by their unit."""

import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_exporter.sources.times import LAST_MICROSECOND, microseconds

UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
ZONES = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)


def micros(value):
    return (value - EPOCH) // datetime.timedelta(microseconds=1)


@given(
    st.lists(
        st.tuples(
            st.datetimes(timezones=ZONES),
            st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
            st.sampled_from("T "),
        )
    )
)
def test_equals_datetime(values):
    texts = [value.isoformat(separator, precision) for value, precision, separator in values]
    expected = [micros(datetime.datetime.fromisoformat(text)) for text in texts]
    assert microseconds(pa.array(texts, pa.string())).to_pylist() == expected


@given(st.lists(st.text("0123456789-:.TZ+ ,t", min_size=15, max_size=36), max_size=5))
def test_what_is_read_python_reads_too(texts):
    for text, read in zip(texts, microseconds(pa.array(texts, pa.string())).to_pylist(), strict=True):
        if read is not None and not text.lstrip("-").replace(".", "", 1).isdigit():
            assert read == micros(datetime.datetime.fromisoformat(text))


def test_every_day_of_the_calendar():
    days = [EPOCH.replace(year=1) + datetime.timedelta(days=number) for number in range(0, 3_652_058, 13)]
    assert microseconds(pa.array([day.isoformat() for day in days])).to_pylist() == [micros(day) for day in days]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01t00:00:01z", 1_000_000),
        ("1970-01-01 00:00:01,5+00:00", 1_500_000),
        ("1970-01-01T00:00:01.123456789-0100", 3_601_123_456),
        ("1970-01-01T00:00:01+01", -3_599_000_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ("1900-02-29T00:00:00Z", None),
        ("1970-00-01T00:00:00Z", None),
        ("1970-01-00T00:00:00Z", None),
        ("1970-04-31T00:00:00Z", None),
        ("1970-01-01T24:00:00Z", None),
        ("1970-01-01T00:60:00Z", None),
        ("1970-01-01T00:00:60Z", None),
        ("1970-01-01T00:00:00+24:00", None),
        ("1970-01-01T00:00:00+00:60", None),
        ("1970-01-01T00:00:00", None),
        ("1970-01-01T00:00:00.5", None),
        ("1970-01-01T00:00:00.Z", None),
        ("1970-01-01T00:00:00.1234567890Z", None),
        ("1970-01-01T00:00:00 Z", None),
        ("1970/01/01T00:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("197O-01-01T00:00:00Z", None),
        ("19700101T000000Z", None),
        ("", None),
        ("0", 0),
        ("-1", -1_000_000),
        ("1.5", 1_500_000),
        ("1.7e9", 1_700_000_000_000_000),
        ("1700000000", 1_700_000_000_000_000),
        ("1700000000.123456", 1_700_000_000_123_456),
        ("1700000000123", 1_700_000_000_123_000),
        ("1700000000123.5", 1_700_000_000_123_500),
        ("1700000000123456", 1_700_000_000_123_456),
        ("1700000000123456789", 1_700_000_000_123_456),
        ("99999999999", 99_999_999_999_000_000),
        ("9" * 19, 10_000_000_000_000_000),
        ("9" * 30, None),
        ("1e300", None),
        ("nan", None),
        ("1_000", None),
        (None, None),
    ],
)
def test_single_texts(text, expected):
    for texts in ([text], [text, "2013-05-01T00:00:00Z", None, "x"]):
        assert microseconds(pa.array(texts, pa.string())).to_pylist()[0] == expected


def test_slices_and_empty():
    texts = pa.array(["x", "1970-01-01T00:00:01Z", "2"]).slice(1)
    assert microseconds(texts).to_pylist() == [1_000_000, 2_000_000]
    assert microseconds(pa.array([], pa.string())).to_pylist() == []
    assert microseconds(pa.array([None], pa.string())).to_pylist() == [None]


def test_last_microsecond():
    assert microseconds(pa.array(["9999-12-31T23:59:59.999999Z"])).to_pylist() == [LAST_MICROSECOND]
