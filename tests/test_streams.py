"""Streams of one source: which may share rows, and which must be told apart."""

import pytest
from tests.test_ingest import config

from ml_exporter.config import parse, streams_of
from ml_exporter.errors import ConfigError
from ml_exporter.records import Field, Stream
from ml_exporter.streams import apart, misread, overlaps

SCORE, OTHER = Field("score", ("a",), "number"), Field("score", ("b",), "number")
TIME = Field("timestamp", ("t",), "time", True)


def stream(model, role="predictions", fields=(TIME, SCORE), **where):
    return Stream(model, role, fields, tuple(((key,), value) for key, value in where.items()))


@pytest.mark.parametrize(
    ("first", "second", "are_apart"),
    [
        ({}, {}, False),
        ({"e": "x"}, {}, False),
        ({"e": "x"}, {"e": "x"}, False),
        ({"e": "x"}, {"e": "y"}, True),
        ({"e": "x"}, {"k": "y"}, False),
        ({"e": "x", "k": "1"}, {"e": "x", "k": "2"}, True),
        ({"e": "x", "k": "1"}, {"e": "x"}, False),
    ],
)
def test_apart_where_one_column_has_two_texts(first, second, are_apart):
    one, other = stream("m", **first), stream("m", "labels", **second)
    assert apart(one, other) is apart(other, one) is are_apart
    assert list(overlaps([one, other])) == ([] if are_apart else [(one, other)])


def test_two_models_may_share_rows_with_an_answer_of_each():
    assert list(overlaps([stream("m"), stream("n", fields=(TIME, OTHER))])) == []
    assert list(overlaps([stream("m"), stream("n")])) == [(stream("m"), stream("n"))]
    assert list(overlaps([stream("m"), stream("n", "labels")])) == []
    assert list(overlaps([stream("m", "labels"), stream("n", "labels")])) == []


def test_a_path_is_read_as_one_thing():
    text, flag = Field("feature:a", ("a",), "text"), Field("fallback", ("a",), "flag")
    assert list(misread([stream("m"), stream("n")])) == []
    assert list(misread([stream("m"), stream("n", fields=(text,))])) == [(("a",), "a number", "text")]
    assert list(misread([stream("n", fields=(text, flag))])) == [(("a",), "text", "a flag")]
    same_text = (Field("id", ("a",), "id"), Field("timestamp", ("a",), "time"), text)
    assert list(misread([stream("m", fields=same_text, a="x")])) == []
    assert list(misread([stream("m", a="x")])) == [(("a",), "a number", "text")]


def test_streams_of_a_source():
    found = streams_of(parse(config()), "log")
    assert [(item.model, item.role) for item in found] == [
        ("flights", "predictions"),
        ("ships", "predictions"),
        ("flights", "labels"),
        ("ships", "labels"),
    ]
    assert found[3].where == ((("model",), "ships"), (("event",), "known"))
    assert streams_of(parse(config()), "truth") == ()


def test_a_source_of_one_model_may_have_no_conditions():
    found = parse(config("", ["flights"], "truth", made="", known=""))
    assert [item.where for name in found.sources for item in streams_of(found, name)] == [(), ()]


def test_every_clash_is_told_at_once():
    with pytest.raises(ConfigError) as error:
        parse(config("", made="", known=""), "ml-exporter.yaml")
    assert [problem.where for problem in error.value.problems] == [
        "ml-exporter.yaml.models.ships.predictions",
        "ml-exporter.yaml.models.flights.labels",
        "ml-exporter.yaml.models.ships.labels",
    ]
