"""Latency over the limit exactly, and quantiles interpolated in their bucket."""

import math

import pytest
from tests import build

from ml_exporter.vitals import latency
from ml_exporter.vitals.windows import Windows

LAYOUT = build.layout()
"""Its buckets end at 0.1, 0.5 and 1 second."""


def windows(seconds: list[float | None], limit: float = 0.5) -> Windows:
    return build.windows(build.vector(LAYOUT, [{"latency": value} for value in seconds]), limit_seconds=limit)


@pytest.mark.parametrize(
    ("seconds", "limit", "share"),
    [
        ([0.1, 0.5, 0.5000000000000001, 2.0], 0.5, 2 / 4),
        ([0.1, 0.5, 0.5000000000000001, 2.0], 1.0, 1 / 4),
        ([0.1, 0.10000000000000002], 0.1, 1 / 2),
        ([0.0, None, -1.0, float("inf"), float("nan")], 0.5, 0.0),
        ([0.3], 0.5, 0.0),
    ],
)
def test_over_limit_is_exact(seconds: list[float | None], limit: float, share: float) -> None:
    found = build.values(latency.over_limit(windows(seconds, limit), build.baseline()))
    assert found == {("ml_window_latency_over_limit_ratio", "1d"): share}


def within(first: int, here: int, last: int) -> float:
    """How far a rank of 100 lies between two others, in log-odds."""
    odds = [math.log((rank + 0.5) / (100.5 - rank)) for rank in (first, here, last)]
    return (odds[1] - odds[0]) / (odds[2] - odds[0])


def test_quantiles_are_interpolated_in_their_bucket() -> None:
    seconds: list[float | None] = [0.05] * 40 + [0.3] * 40 + [0.7] * 15 + [3.0] * 5
    found = build.values(latency.quantiles(windows(seconds), build.baseline()))
    assert found == {
        ("ml_window_latency_seconds", "1d", "0.5"): pytest.approx(0.1 * 5 ** within(40, 50, 80)),
        ("ml_window_latency_seconds", "1d", "0.9"): pytest.approx(0.5 * 2 ** within(80, 90, 95)),
        ("ml_window_latency_seconds", "1d", "0.99"): 1.0,
    }


@pytest.mark.parametrize("seconds", [[], [None], [-1.0]])
def test_without_a_latency_there_is_no_gauge(seconds: list[float | None]) -> None:
    found = windows(seconds)
    assert build.values(latency.over_limit(found, build.baseline())) == {}
    assert build.values(latency.quantiles(found, build.baseline())) == {}
