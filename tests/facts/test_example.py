"""The example that other tests show is made of the facts' own types."""

from dataclasses import fields

import msgspec
import pytest
from example_facts import CATEGORY, FEATURE, HOSTILE, MODEL, ExampleFacts

from ml_exporter.facts import Facts


@pytest.fixture
def example() -> Facts:
    return ExampleFacts()


def test_every_answer_of_the_example_survives_json(example):
    found = [
        *(example.models(), example.rejected(), example.outliers(MODEL)),
        *(example.model(name) for name in (MODEL, "quiet")),
        *(example.feature(MODEL, name) for name in (FEATURE, HOSTILE)),
        *(example.labels(name) for name in (MODEL, "quiet")),
    ]
    for item in found:
        read = msgspec.json.decode(msgspec.json.encode(item), type=type(item))
        assert read == item
        assert fields(read)


def test_unknown_names_give_none(example):
    assert example.model("nobody") is example.labels("nobody") is example.outliers("nobody") is None
    assert example.feature(MODEL, CATEGORY) is None
