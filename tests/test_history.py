"""The history: a row is a function of the panes of its window, whatever the order of rows, looks and restarts."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests import build, history_rows
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.charting import MINIMUM_DAYS, charts_of, remember
from ml_exporter.counting import Counting
from ml_exporter.history import BLOCK, KEPT_DAYS, History
from ml_exporter.store import Store
from ml_exporter.vitals.history import SIGNALS, control_limits
from ml_exporter.vitals.windows import Chart, Window, Windows

FIRST = NOON - 12 * HOUR
"""The start of a day."""
MATURITY = 30 * MINUTE


# rows


def logs(seed: int, days: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Two predictions an hour at least, most of them with a label that comes within a day."""
    draw = random.Random(seed)
    times = sorted(draw.randrange(FIRST, FIRST + days * DAY) for _ in range(days * 24 * 8))
    made = [build.prediction(time, number) for number, time in enumerate(times)]
    known = [
        build.label(time + draw.randrange(DAY), number, draw.choice(("yes", "no")))
        for number, time in enumerate(times)
        if draw.random() < 0.8
    ]
    return made, known


def same(counting: Counting, _: int) -> Counting:
    """No restart."""
    return counting


def played(
    counting: Counting,
    logs: tuple[list[dict[str, object]], list[dict[str, object]]],
    looks: Iterable[int],
    after: Callable[[Counting, int], Counting] = same,
) -> Counting:
    """Rows as they come: a third of the predictions up to five hours late. `after` each look may restart."""
    draw = random.Random(11)
    events = [(row["timestamp"] + (draw.randrange(5 * HOUR) if draw.random() < 0.3 else 0), row) for row in logs[0]]
    events += [(row["timestamp"], row) for row in logs[1]]
    events.sort(key=lambda event: event[0])
    place = 0
    for now in looks:
        fresh = []
        while place < len(events) and events[place][0] <= now:
            fresh.append(events[place][1])
            place += 1
        for wanted, take in (("score", counting.predictions), ("label", counting.labels)):
            rows = [row for row in fresh if wanted in row]
            if rows:
                take(build.batch(rows), now)
        remember(counting, now)
        counting.expire(now)
        counting = after(counting, now)
    return counting


@pytest.mark.parametrize("minutes", [7, 60, 1000])
def test_rows_are_those_of_the_panes_however_often_one_looks(minutes: int) -> None:
    counting, end = build.counting(), FIRST + 5 * DAY
    played(counting, logs(1, 4), range(FIRST, end, minutes * MINUTE))
    found = history_rows.rows(counting)
    assert found == history_rows.expected(counting)
    assert len(found) > 90
    rows = counting.layout.cells(counting.panes.sum(FIRST + DAY, FIRST + 2 * DAY), "rows")["rows"][0]
    assert found["1d", FIRST + DAY]["window_rows"] == rows
    assert "accuracy" in found["1d", FIRST + DAY]


def test_the_order_of_rows_and_looks_changes_nothing() -> None:
    made, known = logs(2, 4)
    often, once = build.counting(grace_us=DAY), build.counting(grace_us=DAY)
    played(often, (made, known), [*range(FIRST, FIRST + 6 * DAY, 20 * MINUTE)])
    random.Random(3).shuffle(made)
    later = FIRST + 6 * DAY
    once.predictions(build.batch(made), later)
    once.labels(build.batch(known), later)
    for counting in (often, once):
        counting.last_arrival_us = 0
        remember(counting, later)
    assert history_rows.rows(once) == history_rows.rows(often)


def test_a_restart_at_any_time_changes_nothing(tmp_path: Path) -> None:
    """Restarts, without a farewell, between looks; late rows that were not computed yet are not forgotten."""
    rows, looks, draw = logs(4, 3), [*range(FIRST, FIRST + 4 * DAY, 90 * MINUTE)], random.Random(5)
    at_once = played(build.counting(), rows, looks)
    stores = [Store(tmp_path)]

    def after(counting: Counting, now: int) -> Counting:
        stores[-1].commit({"flights": counting}, {})
        if draw.random() < 0.7:
            return counting
        stores[-1].close()
        stores.append(Store(tmp_path))
        again = build.counting()
        assert stores[-1].load("flights", again) == ()
        again.last_arrival_us = counting.last_arrival_us
        return again

    often = played(build.counting(), rows, looks, after)
    stores[-1].close()
    assert len(stores) > 10
    assert history_rows.rows(often) == history_rows.expected(often) == history_rows.rows(at_once)


def test_the_first_hour_and_day_are_not_known_to_be_whole() -> None:
    counting = build.counting()
    played(counting, logs(1, 3), [FIRST + 3 * DAY])
    found = history_rows.rows(counting)
    assert min(start for name, start in found if name == "1h") == FIRST + HOUR
    assert min(start for name, start in found if name == "1d") == FIRST + DAY


def test_labels_count_when_they_have_matured() -> None:
    counting = build.counting()
    made = [build.prediction(FIRST + number * MINUTE, number) for number in range(180)]
    counting.predictions(build.batch(made), FIRST + 180 * MINUTE)
    known = [build.label(FIRST + number * MINUTE, number) for number in range(180)]
    counting.labels(build.batch(known), FIRST + 180 * MINUTE)
    remember(counting, FIRST + 2 * HOUR + MATURITY)
    assert "accuracy" not in history_rows.rows(counting)["1h", FIRST + HOUR]
    remember(counting, FIRST + 2 * HOUR + MATURITY + MINUTE)
    assert history_rows.rows(counting)["1h", FIRST + HOUR]["label_coverage_ratio"] == 1.0


def test_of_few_rows_only_their_number_is_kept() -> None:
    counting = build.counting()
    rows = [(0, 10), (1, 19), (2, 20), (3, 10)]
    numbers = [(FIRST + hour * HOUR + place * MINUTE) for hour, count in rows for place in range(count)]
    counting.predictions(build.batch(build.prediction(time, place) for place, time in enumerate(numbers)), FIRST + DAY)
    counting.last_arrival_us = 0
    remember(counting, FIRST + DAY)
    found = history_rows.rows(counting)
    assert found["1h", FIRST + HOUR] == {"window_rows": 19.0}
    assert found["1h", FIRST + 2 * HOUR].keys() > {"window_rows", "window_latency_seconds_p50"}
    assert found["1h", FIRST + 5 * HOUR] == {"window_rows": 0.0}


def test_rows_are_computed_a_few_at_a_time_but_never_lose_their_panes() -> None:
    counting = build.counting()
    made, _ = logs(6, 3)
    counting.predictions(build.batch(made), FIRST + 3 * DAY)
    for _ in range(100):
        remember(counting, FIRST + 3 * DAY, most=1)
    assert len(counting.history.due) == 0
    assert history_rows.rows(counting) == history_rows.expected(counting)
    again = build.counting(retention_us=DAY)
    again.predictions(build.batch(made), FIRST + DAY)
    remember(again, FIRST + 3 * DAY, most=0)
    again.panes.advance(FIRST + 5 * DAY)
    again.last_arrival_us = 0
    remember(again, FIRST + 5 * DAY, most=0)
    assert ("1h", FIRST + HOUR) in history_rows.rows(again), "its pane goes now"


def test_a_pane_that_is_gone_and_comes_again_does_not_change_its_row() -> None:
    counting = build.counting()
    played(counting, logs(7, 2), range(FIRST, FIRST + 2 * DAY, HOUR))
    before = history_rows.rows(counting)["1h", FIRST + 2 * HOUR]
    counting.panes.drop_before("hour", FIRST + 10 * HOUR)
    counting.join.oldest_us = FIRST + 10 * HOUR
    counting.history.touch(np.array([FIRST + 2 * HOUR]), labels=False)
    assert history_rows.rows(counting)["1h", FIRST + 2 * HOUR] == before


def test_rows_are_kept_for_400_days() -> None:
    history = History.of(HOUR, DAY)
    history.begin(FIRST)
    for name, length in history.lengths.items():
        for start in range(FIRST, FIRST + 800 * DAY, length * 7):
            history.put((name, start), {"window_rows": 1.0})
    history.changed.clear()
    newest = FIRST + 800 * DAY
    history.expire(newest)
    for name, length in history.lengths.items():
        first, values = history.series(name, "window_rows")
        assert newest - KEPT_DAYS * DAY - BLOCK * length < first <= newest - KEPT_DAYS * DAY
        assert np.isfinite(values).sum() >= KEPT_DAYS * DAY // length // 7
    assert {name for name, _ in history.changed} == {"1h", "1d"}


# limits


def history_of(values: Callable[[int], float], signal: str, days: int) -> Counting:
    """A model with hours and days of one signal; `values` takes the number of an hour, of a day that of its first."""
    counting = build.counting()
    for name, length in counting.history.lengths.items():
        for number in range(days * DAY // length):
            hour = number * (length // HOUR)
            counting.history.put((name, FIRST + number * length), {"window_rows": 50.0, signal: values(hour)})
    return counting


def charts(counting: Counting, end: int, *, matured: bool = False) -> dict[tuple[str, str], Chart]:
    windows = [Window("1h", 3600.0, end - HOUR, end, build.layout().zeros())]
    start = (end - DAY) // HOUR * HOUR
    windows.append(Window("1d", 86400.0, start, end, build.layout().zeros()))
    found = charts_of(counting, windows, windows if matured else [], 86400.0)
    return {(item.window, item.signal): item for item in found}


def test_before_the_first_day_is_over_no_days_are_looked_through() -> None:
    """However many there were since 1970: those of compressed time are short."""
    counting = build.counting()
    counting.history = History.of(1, 2)
    counting.history.put(("1h", NOON), {"window_rows": 50.0})
    day = Window("1d", 86400.0, NOON, NOON + 2, build.layout().zeros())
    (found,) = charts_of(counting, [day], [], 86400.0)
    assert (found.signal, found.lack) == ("window_rows", "points")


def test_limits_come_from_days_before_the_window_alone() -> None:
    """What lies in the window, or partly, must not widen the limits that it is judged by."""
    draw = np.random.default_rng(1)
    usual = draw.normal(1.0, 0.02, 24 * 100)
    end = FIRST + 60 * DAY + 12 * HOUR

    def value(hour: int) -> float:
        return float(usual[hour]) if hour < 24 * 59 + 12 else 9.0

    signal = "window_latency_seconds_p50"
    found = charts(history_of(value, signal, 61), end)
    clean = charts(history_of(lambda hour: float(usual[hour]), signal, 61), end)
    assert found["1d", signal] == clean["1d", signal]
    assert found["1d", signal].upper < 1.1
    assert found["1h", signal].upper < 1.3, "one evening of sixty"


def test_an_hour_is_compared_with_that_hour_of_other_days() -> None:
    draw = np.random.default_rng(2)

    def value(hour: int) -> float:
        return (10.0 if hour % 24 < 8 else 1000.0) * float(draw.lognormal(0, 0.05))

    counting = history_of(value, "window_rows", 40)
    night, day = (charts(counting, FIRST + 40 * DAY + hour * HOUR)["1h", "window_rows"] for hour in (4, 15))
    assert night.lower < 10 < night.upper < 20
    assert 700 < day.lower < 1000 < day.upper
    dawn = charts(counting, FIRST + 40 * DAY + 8 * HOUR + 30 * MINUTE)["1h", "window_rows"]
    assert dawn.lower < 10 < dawn.centre < 1000 < dawn.upper
    assert charts(counting, FIRST + 40 * DAY + 8 * HOUR)["1h", "window_rows"].upper > 1000, "patterns move"


def test_there_are_no_limits_before_two_weeks_of_an_hour_and_they_say_why() -> None:
    draw = np.random.default_rng(3)
    for days, lack in ((MINIMUM_DAYS - 1, "points"), (3 * MINIMUM_DAYS, None)):
        counting = history_of(lambda _: float(draw.normal(0.9, 0.01)), "accuracy", days)
        assert charts(counting, FIRST + days * DAY, matured=True)["1h", "accuracy"].lack == lack
    constant = charts(history_of(lambda _: 0.5, "accuracy", 60), FIRST + 60 * DAY, matured=True)
    assert constant["1h", "accuracy"].lack == constant["1d", "accuracy"].lack == "spread"
    jumps = history_of(lambda hour: 0.9 if hour % (24 * 12) else 0.1, "accuracy", 200)
    assert charts(jumps, FIRST + 200 * DAY, matured=True)["1d", "accuracy"].lack in ("stability", "points")
    windows = Windows("flights", (), (), (), 0.01, 0.5, charts=tuple(constant.values()))
    assert list(control_limits(windows, build.baseline())) == []


def test_limits_of_a_share_are_shares_and_of_a_duration_above_zero() -> None:
    draw = np.random.default_rng(4)
    noisy = history_of(lambda _: float(draw.beta(3, 1)), "accuracy", 60)
    slow = history_of(lambda _: float(draw.lognormal(0, 2)), "window_latency_seconds_p99", 60)
    for counting, signal, most in ((noisy, "accuracy", 1.0), (slow, "window_latency_seconds_p99", np.inf)):
        for window in ("1h", "1d"):
            chart = charts(counting, FIRST + 60 * DAY, matured=True)[window, signal]
            assert 0.0 <= chart.lower < chart.centre < chart.upper <= most
            assert (chart.span is None) == (window == "1h")


def test_days_without_any_row_say_nothing() -> None:
    """A model that was switched off for a month is not one with much noise in its traffic."""
    draw = np.random.default_rng(5)

    def value(hour: int) -> float:
        return 0.0 if 24 * 30 <= hour < 24 * 60 else float(draw.normal(1000, 10))

    chart = charts(history_of(value, "window_rows", 100), FIRST + 100 * DAY)
    assert chart["1d", "window_rows"].lower > 800
    assert chart["1h", "window_rows"].lower > 800


def test_every_measure_of_the_catalogue_is_a_signal_with_a_scale() -> None:
    assert {name: signal.scale for name, signal in SIGNALS.items() if signal.scale == "signed"}.keys() == {
        "calibration_gap",
        "mean_error",
        "r2",
    }
    assert SIGNALS["f1_macro"].scale == "share"


# false alarms, and what must not be missed


def series(kind: str, days: int, draw: np.random.Generator) -> np.ndarray:
    """Rows an hour: independent, correlated from hour to hour, or with the pattern of a day and a week."""
    hours = days * 24
    noise = draw.normal(size=hours)
    if kind == "correlated":
        for place in range(1, hours):
            noise[place] = 0.9 * noise[place - 1] + np.sqrt(1 - 0.81) * noise[place]
    level = np.full(hours, 1000.0)
    if kind == "weekly":
        hour = np.arange(hours)
        level *= (1.2 + np.sin(hour % 24 / 24 * 2 * np.pi)) * np.where(hour // 24 % 7 < 5, 1.0, 0.6)
    return np.round(level * np.exp(0.1 * noise))


def outside(kind: str, days: int, draws: int, factor: float = 1.0) -> dict[str, float]:
    """Share of the windows after a history that lie beyond its limits, of those that have limits."""
    draw, beyond, judged = np.random.default_rng(6), {"1h": 0, "1d": 0}, {"1h": 0, "1d": 0}
    for _ in range(draws):
        rows = series(kind, days + 1, draw)
        counting = build.counting()
        for name, length in counting.history.lengths.items():
            width = length // HOUR
            sums = rows.reshape(-1, width).sum(axis=1)
            for number in range(days * 24 // width):
                counting.history.put((name, FIRST + number * length), {"window_rows": float(sums[number])})
        hour = int(draw.integers(24))
        checks = (
            ("1d", FIRST + (days + 1) * DAY, rows[-24:].sum()),
            ("1h", FIRST + days * DAY + (hour + 1) * HOUR, rows[days * 24 + hour]),
        )
        for name, end, value in checks:
            chart = charts(counting, end)[name, "window_rows"]
            if chart.lack is None:
                judged[name] += 1
                beyond[name] += not chart.lower <= value * factor <= chart.upper
    return {name: beyond[name] / max(judged[name], 1) for name in beyond}


def at_most(rate: float, count: int) -> float:
    """What a rate is below in all but one of a thousand simulations."""
    return float(stats.binom.isf(0.001, count, rate)) / count


@pytest.mark.parametrize("kind", ["independent", "correlated", "weekly"])
@pytest.mark.parametrize("days", [21, 60])
def test_without_change_few_windows_lie_outside(kind: str, days: int) -> None:
    draws = 60
    found = outside(kind, days, draws)
    assert found["1h"] <= at_most(0.003, draws)
    assert found["1d"] <= at_most(0.015, draws)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["independent", "correlated", "weekly"])
@pytest.mark.parametrize("days", [21, 60, 200])
def test_false_alarms_of_many_windows(kind: str, days: int) -> None:
    """Of a day 0.27 % where limits are exact, of an hour a 24th of it; short or correlated histories know less."""
    draws = 1000 if days < 100 else 300
    found = outside(kind, days, draws)
    assert found["1h"] <= at_most(0.001, draws)
    assert found["1d"] <= at_most(0.01, draws)


@pytest.mark.parametrize("factor", [0.2, 5.0])
@pytest.mark.parametrize("kind", ["independent", "weekly"])
def test_a_fifth_and_five_times_the_rows_lie_outside(kind: str, factor: float) -> None:
    """Of an hour not always where weekends differ from other days: its limits hold for both."""
    found = outside(kind, 60, 20, factor)
    assert found["1d"] == 1.0
    assert found["1h"] >= (1.0 if kind == "independent" else 0.7)
