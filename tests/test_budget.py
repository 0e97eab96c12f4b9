"""Which series go when there are too many: an order that is written down, never chance."""

import random

import pytest

from ml_exporter.budget import KINDS, by_kind, capped
from ml_exporter.catalogue import HistogramSample, Sample

SAMPLES = [
    Sample("ml_model_info", ("m", "binary", "3", "ops"), 1),
    Sample("ml_window_rows", ("m", "1d"), 1),
    Sample("ml_window_rows", ("m", "7d"), 2),
    Sample("ml_feature_psi", ("m", "1h", "reference", "temp"), 3),
    Sample("ml_feature_psi", ("m", "1d", "reference", "temp"), 4),
    Sample("ml_feature_psi", ("m", "1d", "previous", "temp"), 5),
    Sample("ml_version_prediction_psi", ("m", "1d", "v2", "v1"), 6),
    HistogramSample("ml_label_delay_seconds", ("m",), (1.0, 2.0), (0, 0, 0), 0.0),
    Sample("ml_window_rows", ("m", "1d", "country", "BR"), 7),
    Sample("ml_accuracy", ("m", "1d", "country", "BR"), 8),
    Sample("ml_window_rows", ("m", "7d", "country", "__other__"), 9),
    Sample("ml_recall", ("m", "1d", "", "country", "__other__"), 10),
]
ORDER = [10, 9, 8, 7, 2, 6, 5, 3, 4]
"""Values in the order in which they go; the rest goes last."""


def test_series_are_counted_by_kind_a_histogram_with_all_of_its_own() -> None:
    assert by_kind(SAMPLES) == dict(zip(KINDS, (4, 1, 2, 1, 1, 2 + 5), strict=True))


@pytest.mark.parametrize("gone", range(len(ORDER) + 1))
def test_they_go_in_the_order_of_their_kinds_the_last_of_a_kind_first(gone: int) -> None:
    kept = capped(SAMPLES, 16 - gone)
    assert {sample.value for sample in SAMPLES if isinstance(sample, Sample) and sample not in kept} == {*ORDER[:gone]}
    assert kept == [sample for sample in SAMPLES if sample in kept]


def test_a_lower_limit_only_takes_more_away_and_nothing_goes_below_the_limit() -> None:
    chance = random.Random(1)
    mixed = SAMPLES[:]
    chance.shuffle(mixed)
    before = mixed
    for limit in range(20, -1, -1):
        kept = capped(mixed, limit)
        assert sum(by_kind(kept).values()) <= limit
        assert all(sample in before for sample in kept)
        before = kept
    assert before == []
