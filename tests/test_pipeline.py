"""One model from batches to samples: where windows end, what the clock refuses, and that counters only grow."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON, SECOND

from ml_exporter.baseline import SCORE, SELECTION, Noise, Phi, PsiNoise, SpreadNoise
from ml_exporter.catalogue import BY_NAME, QUALITY, HistogramSample, Sample
from ml_exporter.config import Config, Segment
from ml_exporter.counting import MAX_VERSIONS, Counting, Timing
from ml_exporter.panes import FINE
from ml_exporter.pipeline import alpha, evaluate, learned_windows, windows_at
from ml_exporter.records import LABEL_STATUSES, Batch
from ml_exporter.segments import OTHER, plan
from ml_exporter.strict import Duration
from ml_exporter.vitals.distances import independent_of
from ml_exporter.vitals.history import SIGNALS
from ml_exporter.vitals.windows import Window, Windows

LAYOUT = build.layout()
MATURITY = 30 * MINUTE
Samples = dict[tuple[str, tuple[str, ...]], float]


def fed(times: Iterable[int], now: int, **changes: Any) -> Counting:
    """A count of predictions at these times, all read at `now`."""
    counting = build.counting()
    read = [build.prediction(time, number, **changes) for number, time in enumerate(times)]
    assert counting.predictions(build.batch(read), now) == {}
    return counting


def windows(counting: Counting, now: int) -> Windows:
    return windows_at(counting, "flights", build.model(), build.config().time, now)


def samples(counting: Counting, now: int, config: Config | None = None) -> Samples:
    found = list(evaluate(counting, build.baseline(), "flights", config or build.config(), now))
    plain = {(item.name, item.labels): item.value for item in found if isinstance(item, Sample)}
    assert len(plain) == sum(isinstance(item, Sample) for item in found), "a series came twice"
    return plain


def by_name(found: Iterable[Window], name: str) -> Window:
    return next(window for window in found if window.name == name)


def rows(window: Window) -> int:
    return int(LAYOUT.cells(window.vector, "rows")["rows"][0])


# where windows end


@pytest.mark.parametrize(
    ("after", "end"),
    [
        (10 * SECOND, -MINUTE),  # the clock, less what a pane needs to settle
        (59 * SECOND, -MINUTE),
        (MINUTE, 0),
        (4 * MINUTE, 0),  # the newest row
        (5 * MINUTE, 0),
    ],
)
def test_windows_end_at_the_settled_clock_or_the_newest_row(after: int, end: int) -> None:
    counting = fed([NOON - HOUR, NOON + 59 * SECOND], NOON + after)
    assert {window.end_us for window in windows(counting, NOON + after).current} == {NOON + end}


def test_an_idle_source_advances_by_the_clock() -> None:
    counting = fed([NOON - 10 * SECOND, NOON], NOON)
    active, idle = NOON + 5 * MINUTE, NOON + 5 * MINUTE + 1
    assert by_name(windows(counting, active).current, "5m").end_us == NOON
    assert by_name(windows(counting, idle).current, "5m").end_us == NOON + 4 * MINUTE
    much_later = by_name(windows(counting, NOON + HOUR).current, "5m")
    assert (much_later.end_us, rows(much_later)) == (NOON + 59 * MINUTE, 0)
    assert rows(by_name(windows(counting, NOON + HOUR).current, "1d")) == 2


def test_a_row_from_the_future_does_not_move_a_window_beyond_the_clock() -> None:
    counting = fed([NOON, NOON + 4 * MINUTE], NOON)
    assert by_name(windows(counting, NOON).current, "1h").end_us == NOON - MINUTE


def test_catching_up_follows_the_rows() -> None:
    counting = fed([NOON - 2 * DAY, NOON - DAY], NOON)
    found = by_name(windows(counting, NOON).current, "1d")
    assert (found.start_us, found.end_us, rows(found)) == (NOON - 2 * DAY, NOON - DAY, 1)


def test_every_window_has_its_rows() -> None:
    counting = fed([NOON - minutes * MINUTE for minutes in range(26 * 60)], NOON)
    now = NOON + MINUTE
    found = {window.name: (window.end_us - window.start_us, rows(window)) for window in windows(counting, now).current}
    assert found == {
        "5m": (5 * MINUTE, 5),
        "1h": (HOUR, 60),
        "2h": (2 * HOUR, 120),
        "1d": (DAY, 24 * 60),
    }


def test_quality_windows_end_maturity_ago() -> None:
    now = NOON + MINUTE
    counting = fed([NOON - minutes * MINUTE for minutes in range(26 * 60)], now)
    current, matured = windows(counting, now).current, windows(counting, now).matured
    assert [window.name for window in matured] == ["5m", "1h", "2h", "1d", "30d"]
    assert by_name(current, "1h").end_us - by_name(matured, "1h").end_us == MATURITY
    assert by_name(matured, "1h").end_us == NOON - MATURITY
    assert rows(by_name(matured, "1h")) == 60


def test_without_labels_there_is_nothing_to_mature() -> None:
    counting = Counting(LAYOUT, build.timing(), has_labels=False)
    counting.predictions(build.batch([build.prediction(NOON, 1)]), NOON)
    assert windows(counting, NOON).matured == ()
    names = {name for name, _ in samples(counting, NOON)}
    assert not {name for name in names if "label" in name or "confusion" in name or "accuracy" in name}
    assert LAYOUT.cells(counting.total, "labels")["joinable"][0] == 0


# what the clock withholds and refuses

ALWAYS_THERE = {"ml_window_rows", "ml_window_start_timestamp_seconds", "ml_window_end_timestamp_seconds"}


def windowed(found: Samples) -> set[str]:
    """Names of the gauges over windows, `alpha` aside."""
    return {name for name, _ in found if "window" in BY_NAME[name].labels} - {"ml_false_alarm_alpha"}


def test_stale_gauges_are_withheld() -> None:
    limit = 3 * HOUR
    counting = fed([NOON - limit - MINUTE * minute for minute in range(200)], NOON)
    assert windowed(samples(counting, NOON)) > ALWAYS_THERE
    assert windowed(samples(counting, NOON + MINUTE)) == ALWAYS_THERE
    kept = samples(counting, NOON + MINUTE)
    assert kept["ml_window_rows", ("flights", "1h")] == 60
    assert kept["ml_last_prediction_timestamp_seconds", ("flights",)] == (NOON - limit) / 1e6
    assert kept["ml_predictions_total", ("flights", "v1")] == 200


def test_an_empty_window_has_no_ratios() -> None:
    counting = fed([NOON - HOUR * 10], NOON - HOUR * 10)
    found = samples(counting, NOON)
    assert found["ml_window_rows", ("flights", "1h")] == 0
    assert {name for name, labels in found if "1h" in labels} == {
        *ALWAYS_THERE,
        "ml_false_alarm_alpha",
        "ml_labelled_rows",
    }
    assert "ml_feature_null_ratio" in {name for name, labels in found if "1d" in labels}


def places(refused: Mapping[str, Any]) -> dict[str, list[int]]:
    """Places by reason as plain values."""
    return {reason: found.tolist() for reason, found in refused.items()}


def test_the_clock_refuses_rows_by_reason() -> None:
    counting = build.counting()
    oldest, newest = NOON - build.timing().retention_us, NOON + 5 * MINUTE
    times = [oldest - 1, oldest, NOON, newest, newest + 1, 2**62, -(2**62)]
    found = counting.predictions(build.batch(build.prediction(time, number) for number, time in enumerate(times)), NOON)
    assert places(found) == {"future": [4, 5], "before_windows": [0], "too_late": [6]}
    assert counting.by_version == {"v1": 3}
    assert LAYOUT.cells(counting.total, "rows")["rows"][0] == 3
    assert counting.panes.newest_us == newest


@pytest.mark.parametrize("split", [0, 1, 3, 5, 6])
def test_a_log_that_began_long_ago_is_told_from_rows_that_are_late(split) -> None:
    counting = build.counting()
    oldest = NOON - build.timing().retention_us
    times = [oldest - 2, NOON + 60 * MINUTE, oldest - 1, NOON, oldest - 1, NOON + MINUTE]
    rows = [build.prediction(time, number) for number, time in enumerate(times)]
    refused: dict[str, int] = {}
    for part in (rows[:split], rows[split:]):
        for reason, found in counting.predictions(build.batch(part), NOON).items():
            refused[reason] = refused.get(reason, 0) + len(found)
    assert refused == {"future": 1, "before_windows": 2, "too_late": 1}


def test_the_clock_refuses_labels_from_the_future() -> None:
    counting = fed([NOON] * 3, NOON)
    times = [NOON, NOON + 5 * MINUTE, NOON + 5 * MINUTE + 1]
    read = build.batch(build.label(time, number) for number, time in enumerate(times))
    assert places(counting.labels(read, NOON)) == {"future": [2]}
    assert counting.statuses["matched"] == 2
    assert counting.last_label_us == NOON + 5 * MINUTE


def test_a_batch_in_which_nothing_is_left_changes_nothing() -> None:
    counting = build.counting()
    refused = counting.predictions(build.batch([build.prediction(NOON + DAY, 1)]), NOON)
    assert places(refused) == {"future": [0]}
    assert counting.predictions(build.batch([]), NOON) == {}
    assert counting.labels(build.batch([]), NOON) == {}
    assert places(counting.labels(build.batch([build.label(NOON + DAY, 1)]), NOON)) == {"future": [0]}
    assert (counting.panes.newest_us, counting.panes.changed, counting.last_arrival_us) == (0, set(), 0)


# labels


def test_a_label_falls_into_the_pane_of_its_prediction() -> None:
    counting = fed([NOON, NOON + 10 * MINUTE], NOON + 10 * MINUTE)
    counting.labels(build.batch([build.label(NOON + 20 * MINUTE, 0)]), NOON + 20 * MINUTE)
    panes = counting.panes
    labelled = [
        int(LAYOUT.cells(panes.sum(start, start + MINUTE), "labels")["labelled"][0])
        for start in (NOON, NOON + 10 * MINUTE, NOON + 20 * MINUTE)
    ]
    assert labelled == [1, 0, 0]
    assert LAYOUT.cells(panes.sum(NOON, NOON + MINUTE), "labels")["delay_sum"][0] == 20 * 60 * 1000


def test_a_label_of_a_prediction_whose_minutes_are_gone_falls_into_its_hour() -> None:
    counting = fed([NOON], NOON)
    later = NOON + 9 * HOUR
    counting.predictions(build.batch([build.prediction(later, 1)]), later)
    counting.labels(build.batch([build.label(later, 0)]), later)
    assert LAYOUT.cells(counting.panes.sum(NOON, NOON + HOUR), "labels")["labelled"][0] == 1
    assert not any(key == (FINE, NOON) for key, blob in counting.panes.settle() if blob)


def test_cells_are_never_negative_whatever_order_labels_come_in() -> None:
    counting = build.counting()
    counts = np.ones(LAYOUT.size, np.bool_)
    for feature in ("feature:temp", "feature:wind"):
        LAYOUT.cells(counts, feature)["z"][:] = False  # type: ignore[arg-type]
    for number in range(0, 300, 10):
        now = NOON + number * MINUTE
        counting.labels(build.batch(build.label(now, other) for other in range(number // 2, number + 20, 3)), now)
        counting.predictions(build.batch(build.prediction(now - x * MINUTE, number + x) for x in range(10)), now)
        for start in range(NOON - HOUR, now + HOUR, HOUR):
            assert (counting.panes.sum(start, start + HOUR)[counts] >= 0).all()


def test_every_label_has_one_status() -> None:
    counting = fed([NOON] * 4, NOON)
    read = [
        build.label(NOON, 0),
        build.label(NOON, 0),
        build.label(NOON, 1, "maybe"),
        build.label(NOON, 9),
        build.label(NOON, 9),
    ]
    counting.labels(build.batch(read), NOON)
    assert +counting.statuses == {"matched": 1, "duplicate": 1, "invalid": 1, "early": 2}
    counting.expire(NOON + HOUR)
    assert counting.statuses["orphan"] == 0
    counting.expire(NOON + HOUR + 1)
    assert counting.statuses["orphan"] == 2
    assert set(counting.statuses) <= set(LABEL_STATUSES)


def test_predictions_that_no_label_can_name_do_not_wait() -> None:
    counting = build.counting()
    read = [
        build.prediction(NOON, 1, prediction="maybe"),
        build.prediction(NOON, 2, id=None),
        build.prediction(NOON, 3),
    ]
    counting.predictions(build.batch(read), NOON)
    assert counting.join.shelf.waiting == 1
    assert LAYOUT.cells(counting.total, "labels")["joinable"][0] == 1
    counting.labels(build.batch(build.label(NOON, number) for number in (1, 2, 3)), NOON)
    assert +counting.statuses == {"matched": 1, "early": 2}


# counters


def test_versions_beyond_the_cap_share_a_name() -> None:
    counting = build.counting()
    for number in range(MAX_VERSIONS + 5):
        for time in (NOON, NOON + 1):
            counting.predictions(build.batch([build.prediction(time, number, version=f"v{number:02}")]), NOON)
    assert len(counting.by_version) == MAX_VERSIONS + 1
    assert counting.by_version[OTHER] == 10
    assert {counting.by_version[f"v{number:02}"] for number in range(MAX_VERSIONS)} == {2}
    found = samples(counting, NOON)
    assert sum(value for (name, _), value in found.items() if name == "ml_predictions_total") == 2 * (MAX_VERSIONS + 5)


def test_a_version_that_is_null_or_hostile_is_a_version() -> None:
    counting = build.counting()
    names = [None, "", 'a\n"b"', OTHER]
    read = [build.prediction(NOON, number, version=name) for number, name in enumerate(names)]
    counting.predictions(build.batch(read), NOON)
    assert counting.by_version == {"": 2, 'a\n"b"': 1, OTHER: 1}


def test_versions_are_shown_for_a_day() -> None:
    counting = fed([NOON], NOON)
    later = NOON + DAY
    counting.predictions(build.batch([build.prediction(later, 2, version="v2")]), later)
    shown = {labels[1] for name, labels in samples(counting, later) if name == "ml_model_version_info"}
    assert shown == {"v1", "v2"}
    counting.predictions(build.batch([build.prediction(later + 1, 3, version="v2")]), later)
    shown = {labels[1] for name, labels in samples(counting, later) if name == "ml_model_version_info"}
    assert shown == {"v2"}


def cumulative(counting: Counting, now: int) -> dict[tuple[str, ...], float]:
    """Every number that Prometheus takes for a counter."""
    found: dict[tuple[str, ...], float] = {}
    for item in evaluate(counting, build.baseline(), "flights", build.config(), now):
        if isinstance(item, HistogramSample):
            found |= {(item.name, *item.labels, str(place)): count for place, count in enumerate(item.counts)}
            found[item.name, *item.labels, "sum"] = item.total
        elif BY_NAME[item.name].type == "counter":
            found[item.name, *item.labels] = item.value
    return found


def test_counters_never_go_down() -> None:
    counting, before = build.counting(), {}
    for step in range(40):
        now = NOON + step * 2 * HOUR
        read = [build.prediction(now - x * HOUR, step * 7 + x, version=f"v{step}") for x in range(10)]
        counting.predictions(Batch(build.table(read), 10, violations={"unknown_column": step}), now)
        # Some labels claim to be older than their predictions.
        counting.labels(build.batch(build.label(now - 30 * HOUR * (x % 2), step * 7 + x - 20) for x in range(30)), now)
        counting.expire(now)
        after = cumulative(counting, now)
        assert before.keys() <= after.keys()
        assert all(after[key] >= value for key, value in before.items())
        before = after
    assert before["ml_predictions_total", "flights", OTHER] > 0
    assert before["ml_labels_total", "flights", "orphan"] > 0
    assert before["ml_schema_violations_total", "flights", "unknown_column"] == sum(range(40))


# settings


def test_alpha_is_the_budget_over_all_alerting_series() -> None:
    model, time = build.model(), build.config().time
    drift = 3 + 2 + 1 + 1 + 2  # PSI of three features, mean shift of two, PSI of the scores, class shift, their shape
    drift += 3 + 1  # outliers of three reasons, multivariate drift
    nulls = 3  # all hours of a day count as one test
    assert alpha(model, time) == pytest.approx(1.0 / ((drift + nulls) * 30))
    assert alpha(build.model(false_alarms_per_month=0.5), time) == pytest.approx(0.5 / ((drift + nulls) * 30))
    weekly = build.replace_section(model.windows, features=("1h", "1d", "7d"), head=("1h", "1d", "7d"))
    assert alpha(build.model(windows=weekly), time) == pytest.approx(1.0 / (drift * (30 + 30 / 7) + nulls * 30))
    daily = build.replace_section(model.windows, features=("1d",))
    assert alpha(build.model(windows=daily), time) == pytest.approx(1.0 / (drift * 30)), "nobody reads nulls"


@pytest.mark.parametrize(("hour", "day"), [(3600.0, 86400.0), (6.0, 144.0)])
def test_alpha_is_exported_for_what_alerts_read(hour: float, day: float) -> None:
    model = build.model(windows=build.replace_section(build.model().windows, features=("5m", "1h", "1d", "7d")))
    config = build.replace_section(build.config(), models={"flights": model}, time=build.time(hour=hour, day=day))
    found = samples(fed([NOON], NOON), NOON, config)
    exported = {labels[1:]: value for (name, labels), value in found.items() if name == "ml_false_alarm_alpha"}
    daily = alpha(model, config.time)
    drift = ("feature_psi", "feature_mean_shift", "prediction_psi", "prediction_class_shift")
    drift += ("prediction_outlier_ratio", "multivariate_drift")
    drift += ("prediction_concentration", "prediction_spread")
    assert exported == {(signal, window): daily for signal in drift for window in ("1d", "7d")} | {
        ("feature_null_ratio", "1h"): pytest.approx(daily / 24)
    }


def test_alpha_does_not_depend_on_compressed_time() -> None:
    short = build.time(hour=6.0, day=144.0)
    assert alpha(build.model(), short) == pytest.approx(alpha(build.model(), build.config().time))


def test_panes_are_kept_as_long_as_the_longest_window_reaches() -> None:
    timing = Timing.of(build.model(), build.config().time, build.config().sources["predictions"], 1800.0)
    assert timing.retention_us == 30 * DAY + MATURITY + 2 * DAY
    assert (timing.grace_us, timing.expire_us) == (HOUR, timing.retention_us - DAY), (
        "a label joins while its pane is kept"
    )
    brief = build.model(labels=build.replace_section(build.model().labels, expire_after=Duration(3600.0)))
    assert Timing.of(brief, build.config().time, build.config().sources["predictions"], 1800.0).expire_us == HOUR
    unlabelled = Timing.of(build.model(labels=None), build.config().time, build.config().sources["predictions"], 0.0)
    assert (unlabelled.grace_us, unlabelled.expire_us) == (0, 0)


def test_before_the_first_row_windows_follow_the_clock() -> None:
    counting = build.counting()
    counting.last_arrival_us = NOON  # as after a start
    found = samples(counting, NOON + MINUTE)
    assert found["ml_window_rows", ("flights", "1h")] == 0
    assert found["ml_window_end_timestamp_seconds", ("flights", "1h")] == NOON / 1e6


def test_old_hours_are_forgotten() -> None:
    counting = fed([NOON, NOON + 20 * DAY], NOON + 20 * DAY)
    later = NOON + 40 * DAY
    counting.predictions(build.batch([build.prediction(later, 5)]), later)
    counting.expire(later)
    total = LAYOUT.cells(counting.panes.sum(NOON, NOON + 41 * DAY), "rows")["rows"]
    assert total[0] == 2


def test_distances_that_are_asked_for_share_the_budget_of_false_alarms() -> None:
    time = build.config().time
    features = build.replace_section(build.model().features, distances=("js", "ks"))
    more = alpha(build.model(features=features), time)
    # a day: PSI 3, mean shift 2, score and class 1 each, shape 2, outliers 3, multivariate 1, nulls 3 by the hour;
    # js adds 3 and ks 2
    assert alpha(build.model(), time) == pytest.approx(1 / 30 / 16)
    assert more == pytest.approx(1 / 30 / 21)


# all samples


def remembered(counting: Counting, start: int, end: int) -> None:
    """A history of every signal, with a little noise."""
    draw = np.random.default_rng(7)
    for name, length in counting.history.lengths.items():
        for at in range(start // length * length, end, length):
            counting.history.put((name, at), {signal: 0.5 + 0.1 * float(draw.random()) for signal in SIGNALS})


def test_every_sample_is_declared_and_comes_once() -> None:
    now = NOON + 26 * HOUR
    config = build.config()
    features = build.replace_section(build.model().features, distances=("js", "ks", "wasserstein", "spread"))
    parts = {"segments": {"country": Segment(column="country")}, "comparisons": ("previous", "version")}
    model = build.model(features=features, **parts)
    config = build.replace_section(config, models={"flights": model})
    layout = build.layout(joint=build.JOINT)
    counting = build.counting(layout, bys=plan(model, {}))
    minutes = range(26 * 60)
    read = [
        build.prediction(
            NOON + x * MINUTE, x, fallback=False, error=False, version=f"v{x % 2}", **{"segment:country": "BR"}
        )
        for x in minutes
    ]
    counting.predictions(build.batch(read), now)
    counting.labels(build.batch(build.label(now, x, ("no", "yes")[x % 3 == 0]) for x in minutes if x % 9), now)
    psi = {name: PsiNoise(30, 9.0, 18.0, 1.0) for name in ("temp", SCORE)}
    phis = {name: Phi(30, 2.0) for name in ("accuracy", "concentration", "spread")}
    noise = Noise(psi, phis, spread={"temp": SpreadNoise(30, 0.1, 0.04, 1000.0)})
    baseline = build.baseline(layout, noise={"1d": noise}, window_seconds={"1d": 86400.0})
    baseline = replace(baseline, independent=independent_of(baseline.layout, baseline.vector))
    remembered(counting, now - 60 * DAY, now)
    found = list(evaluate(counting, baseline, "flights", config, now))
    keys = [(item.name, item.labels) for item in found]
    assert len(set(keys)) == len(keys)
    for item in found:
        metric = BY_NAME[item.name]
        assert len(metric.labels) - len(metric.optional) <= len(item.labels) <= len(metric.labels)
        assert isinstance(item, HistogramSample) == (metric.type == "histogram")
        if isinstance(item, Sample):
            assert np.isfinite(item.value)
    assert {item.labels[1:3] for item in found if item.name == "ml_control_limit"} >= {
        (window, signal)
        for window in ("1h", "1d")
        for signal in ("window_rows", "window_latency_seconds_p99", "accuracy")
    }
    own = {name for name in BY_NAME if not name.startswith("ml_exporter") or name.startswith("ml_exporter_join")}
    unlabelled = {f"ml_estimated_{name}{end}" for name in QUALITY for end in ("", "_error")} | {"ml_estimated_bias"}
    assert {name for name, _ in keys} == own - unlabelled - build.NOT_BINARY
    compared = {key[1] for name, key in keys if name.removeprefix("ml_baseline_") in QUALITY}
    assert compared == {"previous_30d"}, "a baseline without labels lacks those of the reference, and estimates"


def test_evaluating_changes_nothing() -> None:
    counting = fed([NOON], NOON)
    first = samples(counting, NOON)
    samples(counting, NOON + 9 * DAY)
    assert samples(counting, NOON) == first


# the 30 days before a day


def answered(days: Mapping[int, tuple[int, int]], now: int) -> Counting:
    """So many predictions a day before `now`, of which so many were right; labels came at once."""
    counting = build.counting()
    for ago in sorted(days, reverse=True):
        rows, right = days[ago]
        time = now - ago * DAY - HOUR
        numbers = range(ago * 1000, ago * 1000 + rows)
        made = [build.prediction(time, number, score=0.9, prediction="yes") for number in numbers]
        counting.predictions(build.batch(made), now)
        known = [build.label(time, number, "yes" if place < right else "no") for place, number in enumerate(numbers)]
        counting.labels(build.batch(known), now)
    return counting


def test_a_day_is_compared_with_the_thirty_days_before_it_by_rows() -> None:
    """The day itself is not among them, nor what came before; a day with more rows counts more."""
    now = NOON + MATURITY + MINUTE
    days = {0: (10, 1), 1: (40, 40), 5: (10, 5), 29: (30, 24), 30: (20, 16), 31: (50, 0)}
    found = samples(answered(days, NOON), now)
    assert found["ml_accuracy", ("flights", "1d")] == 0.1
    before = ("flights", "previous_30d")
    assert found["ml_baseline_labelled_rows", before] == 100.0
    assert found["ml_baseline_accuracy", before] == 0.85
    assert found["ml_baseline_roc_auc", before] == 0.5, "there is one score"
    assert found["ml_accuracy", ("flights", "30d")] == pytest.approx((1 + 40 + 5 + 24) / 90)


def test_without_a_month_or_a_day_there_is_nothing_before() -> None:
    found = samples(answered({0: (10, 5)}, NOON), NOON + MATURITY + MINUTE)
    assert not [key for key in found if key[1][1:] == ("previous_30d",)]
    config = build.config()
    usual = config.models["flights"]
    for changes in ({"quality": ()}, {"head": ("1h",)}):
        windows_ = build.replace_section(usual.windows, **changes)
        changed = build.replace_section(config, models={"flights": build.replace_section(usual, windows=windows_)})
        found = samples(answered({0: (10, 5), 3: (10, 5)}, NOON), NOON + MATURITY + MINUTE, changed)
        assert not [key for key in found if "previous_30d" in key[1]]


# predictions whose id an earlier one had


def test_repeated_predictions_are_counted_in_their_own_window() -> None:
    """In one batch and over batches; rows without an id, or without an answer, are no repetition."""
    counting = fed([NOON - 2 * HOUR] * 40 + [NOON - 10 * MINUTE] * 10, NOON)
    again = [build.prediction(NOON - 9 * MINUTE, number) for number in (0, 1, 2, 60, 60, 61, 62, 63, 64)]
    again += [
        build.prediction(NOON - 8 * MINUTE, 0, id=None),
        build.prediction(NOON - 8 * MINUTE, 0, prediction="maybe"),
    ]
    counting.predictions(build.batch(again), NOON)
    found = samples(counting, NOON + MINUTE)
    assert found["ml_prediction_repeated_ratio", ("flights", "1h")] == 4 / 19
    assert found["ml_prediction_repeated_ratio", ("flights", "1d")] == 4 / 59
    assert counting.join.repeated == 4


def test_few_days_without_labels_do_not_make_drift_provisional() -> None:
    """How labelled and unlabelled rows differ is learned from days that have both; PSI does not wait for them."""
    noise = {name: PsiNoise(windows, 9.0, 9.0, 1.0) for name, windows in ((SCORE, 30), ("temp", 31), (SELECTION, 9))}
    baseline = build.baseline(noise={"1d": Noise(noise, {})}, window_seconds={"1d": 86400.0})
    assert learned_windows(baseline, build.model(), build.config().time) == 30
