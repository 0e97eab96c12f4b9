"""The time of a dashboard, and the steps of its queries."""

import pytest

from ml_exporter.errors import ConfigError
from ml_exporter.previewing.times import Range, Steps, aligned, builtins, duration, instant

DAY = Range(0.0, 86_400.0)


def test_a_step_is_at_least_the_interval_of_its_query():
    assert Steps(DAY).of("1m", 10_000) == (60.0, 60.0)
    assert Steps(DAY).of("", 10_000) == (15.0, 15.0)
    assert Steps(DAY).of("1m", 288) == (300.0, 60.0)
    assert Steps(Range(0.0, 300.0), forced=1.0).of("1m", 10) == (1.0, 1.0)
    assert Steps(Range(0.0, 86_400.0 * 365)).of("1m", 10**9)[0] >= 86_400 * 365 / 11_000


def test_the_interval_of_rates_spans_four_scrapes():
    assert builtins(DAY, 60.0, 60.0)["__rate_interval"] == "240s"
    assert builtins(DAY, 600.0, 60.0)["__rate_interval"] == "660s"
    found = builtins(DAY, 1.0, 1.0)
    assert (found["__range"], found["__interval"], found["__interval_ms"]) == ("86400s", "1s", "1000")


def test_points_lie_on_multiples_of_the_step():
    assert aligned(Range(61.0, 125.0), 60.0) == Range(60.0, 120.0)


@pytest.mark.parametrize("text", ["yesterday", "2013-01-01", "now-", "now-1x"])
def test_what_is_no_instant(text):
    with pytest.raises(ConfigError, match="time: expected now"):
        instant(text, 0.0)


def test_what_is_no_duration():
    with pytest.raises(ConfigError, match="interval: expected a duration"):
        duration("often")
    assert instant("1700000000000", 0.0) == 1_700_000_000
