"""Segments, earlier windows and pairs of versions: which windows they are, and what is computed from them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.baseline import Noise, Phi
from ml_exporter.layout import Vector
from ml_exporter.panes import Panes
from ml_exporter.parts import MAX_BLOCKS, earlier_of, pairs_of, segments_of
from ml_exporter.segments import NONE, OTHER, By, Segments
from ml_exporter.statistics.differences import difference_interval
from ml_exporter.statistics.dispersion import interval_sigmas
from ml_exporter.statistics.intervals import wilson
from ml_exporter.vitals import earlier, prediction, quality, segments, versions
from ml_exporter.vitals.windows import Earlier, Pair, Segment, Window, Windows

LAYOUT = build.layout()
HEAD = LAYOUT.head
SPAN = (NOON - DAY, NOON)


def window(vector: Vector, name: str = "1d", seconds: float = 86400.0) -> Window:
    return Window(name, seconds, *SPAN, vector)


def windows(**parts: Any) -> Windows:
    return replace(build.windows(LAYOUT.zeros()), current=(), **parts)


def answered(no: int, yes: int) -> Vector:
    return build.vector(LAYOUT, [{"prediction": name} for name in ["no"] * no + ["yes"] * yes])


def labelled(right: int, wrong: int) -> Vector:
    rows = [{"id": f"p{number}", "prediction": "yes", "score": 0.7} for number in range(right + wrong)]
    actual = {f"p{number}": ("yes", "no")[number >= right] for number in range(right + wrong)}
    return build.vector(LAYOUT, rows, actual)


# segments


def test_a_segment_has_the_gauges_of_the_whole_with_its_labels() -> None:
    current, matured = window(answered(3, 1)), window(labelled(80, 20))
    part = Segment("country", "BR", (current,), (matured,))
    found = build.values(segments.segments(windows(segments=(part,)), build.baseline(LAYOUT)))
    labels = ("country", "BR")
    assert found["ml_window_rows", "1d", *labels] == 4
    assert found["ml_prediction_class_ratio", "1d", "yes", *labels] == 1 / 4
    assert found["ml_labelled_rows", "1d", *labels] == 100
    whole = build.values(quality.measures("flights", matured, build.baseline(LAYOUT)))
    of_classes = {"precision", "recall", "f1", "roc_auc"}
    for (name, *rest), value in whole.items():
        middle = ("",) if any(name.startswith(f"ml_{item}") for item in of_classes) else ()
        assert found[(name, *rest, *middle, *labels)] == value
    assert len(found) == len(whole) + 3


def test_intervals_of_a_segment_are_widened_by_the_phi_of_the_whole() -> None:
    noise = {"1d": Noise({}, {"accuracy": Phi(30, 4.0)})}
    baseline = build.baseline(LAYOUT, noise=noise, window_seconds={"1d": 86400.0})
    part = Segment("country", "BR", (), (window(labelled(80, 20)),))
    found = build.values(segments.segments(windows(segments=(part,)), baseline))
    ends = (found["ml_accuracy_lower", "1d", "country", "BR"], found["ml_accuracy_upper", "1d", "country", "BR"])
    assert ends == pytest.approx(tuple(wilson(80, 100, 4.0, interval_sigmas(30, 4.0)) or ()))


def panes(rows: dict[int, int]) -> Panes:
    """Panes of a head with so many rows at these times."""
    found = Panes(HEAD, build.grid())
    found.advance(NOON)
    for time_us, count in rows.items():
        vector = HEAD.zeros()
        HEAD.cells(vector, "rows")["rows"][0] = count
        found.add_groups(found.keys(np.array([time_us])), vector[None, :])
    return found


def scoped(by: By, rows: dict[str, dict[int, int]]) -> Segments:
    found = Segments(HEAD, build.grid(), (by,))
    found.values[0].restore([name for name in rows if name not in (NONE, OTHER)])
    for name, counts in rows.items():
        found.scopes[by.name, name] = panes(counts)
    return found


def test_values_come_in_the_order_of_their_names_those_without_rows_here_too() -> None:
    at = NOON - 5 * MINUTE
    rows = {OTHER: {at: 7}, "DE": {at: 2}, "BR": {NOON - 3 * DAY: 1}, NONE: {at: 1}}
    by = By("country", "segment:country", "c", limit=5, known=("BR", "FR"))
    found = list(segments_of(scoped(by, rows), NOON, [window(HEAD.zeros())], []))
    assert [(item.value, int(item.current[0].vector[0])) for item in found] == [
        ("BR", 0),
        ("DE", 2),
        (NONE, 1),
        (OTHER, 7),
    ]


# earlier windows


def kept(found: Panes, window_: Window, reach_us: int = 40 * DAY) -> dict[str, int]:
    names = ("previous", "last_week")
    return {item.baseline: int(item.vector[0]) for item in earlier_of(found, [window_], names, (NOON - reach_us, DAY))}


def hourly(days: int) -> Panes:
    """An hour's rows are its distance to noon in hours."""
    return panes({NOON - ago * HOUR: ago for ago in range(1, days * 24 + 1)})


def test_the_day_before_and_the_same_day_a_week_earlier() -> None:
    day = window(HEAD.zeros())
    assert kept(hourly(9), day) == {"previous": sum(range(25, 49)), "last_week": sum(range(7 * 24 + 1, 8 * 24 + 1))}


def test_an_hour_within_the_last_three_has_the_hour_before_by_the_minute() -> None:
    found = panes({NOON - ago * MINUTE: 1 if ago <= 90 else 5 for ago in range(1, 180)})
    hour = Window("1h", 3600.0, NOON - 90 * MINUTE, NOON - 30 * MINUTE, HEAD.zeros())
    assert kept(found, hour) == {"previous": 60 * 5}


def test_an_hour_of_last_week_is_a_whole_one_and_five_minutes_have_none() -> None:
    found = hourly(9)
    end = NOON - 17 * MINUTE
    hour = Window("1h", 3600.0, end - HOUR, end, HEAD.zeros())
    assert kept(found, hour)["last_week"] == 7 * 24 + 2
    assert "last_week" not in kept(found, Window("5m", 300.0, end - 5 * MINUTE, end, HEAD.zeros()))


@pytest.mark.parametrize(
    ("days", "expected"), [(1, set()), (2, {"previous"}), (7, {"previous"}), (8, {"previous", "last_week"})]
)
def test_an_earlier_window_that_is_not_whole_gives_nothing(days: int, expected: set[str]) -> None:
    assert set(kept(hourly(days), window(HEAD.zeros()))) == expected


def test_an_earlier_window_beyond_what_is_kept_gives_nothing() -> None:
    assert set(kept(hourly(9), window(HEAD.zeros()), reach_us=3 * DAY)) == {"previous"}


def test_comparisons_make_panes_stay_longer() -> None:
    model, settings = build.model(), build.config()
    source = settings.sources["predictions"]

    def days(*comparisons: str, features: tuple[str, ...] = ("1d",), longest: str = "1d") -> float:
        chosen = build.replace_section(model.windows, features=features, head=features, quality=(longest,))
        changed = build.replace_section(model, windows=chosen, comparisons=comparisons)
        return type(build.timing()).of(changed, settings.time, source, 0.0).retention_us / DAY

    assert (days(), days("previous"), days("last_week")) == (3.0, 4.0, 10.0)
    assert days("last_week", "previous", features=("1d", "7d")) == 16.0
    assert days("last_week", longest="30d") == 32.0


def test_psi_and_shifts_against_an_earlier_window() -> None:
    rows = [build.prediction(NOON, number) for number in range(200)]
    now = build.vector(LAYOUT, rows)
    then = build.vector(LAYOUT, [row | {"feature:temp": row["feature:temp"] + 5.0} for row in rows])
    same = Earlier("previous", window(now), now)
    moved = Earlier("last_week", window(now), then)
    baseline = build.baseline(LAYOUT)
    found = build.values(earlier.earlier(windows(earlier=(same, moved)), baseline))
    assert found["ml_feature_psi", "1d", "previous", "temp"] == 0.0
    assert found["ml_prediction_psi", "1d", "previous"] == 0.0
    assert found["ml_feature_psi", "1d", "last_week", "temp"] > 0.1
    assert found["ml_feature_mean_shift_sigmas", "1d", "last_week", "temp"] == pytest.approx(-1.0)
    assert found["ml_prediction_class_shift_sigmas", "1d", "last_week", "yes"] == 0.0
    assert not [name for name, *_ in found if "critical" in name]


def test_class_shift_against_an_earlier_window_is_a_pooled_z_widened_by_phi() -> None:
    noise = {"1d": Noise({}, {"class:yes": Phi(30, 4.0)})}
    baseline = build.baseline(LAYOUT, noise=noise, window_seconds={"1d": 86400.0})
    pair = Earlier("previous", window(answered(70, 30)), answered(160, 40))
    found = build.values(earlier.earlier(windows(earlier=(pair,)), baseline))
    pooled = 70 / 300
    z = (0.3 - 0.2) / math.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 200) * 4.0)
    assert found["ml_prediction_class_shift_sigmas", "1d", "previous", "yes"] == pytest.approx(z)


def test_nothing_to_compare_with_is_no_series() -> None:
    pair = Earlier("previous", window(answered(0, 0)), answered(160, 40))
    assert list(earlier.earlier(windows(earlier=(pair,)), build.baseline(LAYOUT))) == []


# versions

VERSION = By("version", "version", "v", limit=5)


def test_only_panes_in_which_both_served_are_compared_with_the_peer_that_has_most_rows() -> None:
    old = {NOON - ago * HOUR: 100 for ago in range(4, 20)}
    rows = {
        "v1": old,
        "v2": {NOON - ago * HOUR: 10 for ago in range(4, 8)},
        "v3": {NOON - ago * HOUR: 20 for ago in (6, 7, 30)},
        OTHER: {NOON - 4 * HOUR: 999},
        NONE: {NOON - 4 * HOUR: 999},
    }
    found = {item.version: item for item in pairs_of(scoped(VERSION, rows), NOON, [window(HEAD.zeros())])}
    assert found["v2"].peer == "v1"
    assert found["v2"].here[:, 0].tolist() == [10] * 4
    assert found["v2"].there[:, 0].tolist() == [100] * 4
    assert found["v3"].here[:, 0].tolist() == [20, 20]
    assert found["v1"].peer == "v2", "v2 and v3 have 40 rows beside it, and the first name is taken"


def test_versions_that_follow_each_other_are_not_compared() -> None:
    rows = {"v1": {NOON - 9 * HOUR: 100}, "v2": {NOON - 8 * HOUR: 100}}
    assert list(pairs_of(scoped(VERSION, rows), NOON, [window(HEAD.zeros())])) == []


def test_one_version_has_no_peer() -> None:
    assert list(pairs_of(scoped(VERSION, {"v1": {NOON - 9 * HOUR: 100}}), NOON, [window(HEAD.zeros())])) == []


def test_many_panes_are_added_up_to_runs() -> None:
    rows = {NOON - ago * MINUTE: 3 for ago in range(1, 121)}
    two_hours = Window("2h", 7200.0, NOON - 2 * HOUR, NOON, HEAD.zeros())
    pair = next(pairs_of(scoped(VERSION, {"v1": rows, "v2": rows}), NOON, [two_hours]))
    assert pair.here.shape == (MAX_BLOCKS, HEAD.size)
    assert pair.here[:, 0].sum() == 360
    assert set(pair.here[:, 0].tolist()) == {6, 9}


def pair_of(here: list[Vector], there: list[Vector]) -> Pair:
    parts = [np.stack([vector[: HEAD.size] for vector in side]) for side in (here, there)]
    return Pair(window(HEAD.zeros()), "v2", "v1", *parts)


KEY = ("1d", "v2", "v1")


def test_scores_and_classes_of_two_versions() -> None:
    draw = np.random.default_rng(4)

    def scores(count: int, mean: float) -> Vector:
        found = np.clip(draw.normal(mean, 0.2, count), 0, 1)
        return build.vector(LAYOUT, [{"score": s, "prediction": ("no", "yes")[s >= 0.5]} for s in found.tolist()])

    baseline = build.baseline(LAYOUT)
    alike = pair_of([scores(100, 0.4) for _ in range(6)], [scores(300, 0.4) for _ in range(6)])
    other = pair_of([scores(100, 0.6) for _ in range(6)], [scores(300, 0.4) for _ in range(6)])
    found = build.values(versions.versions(windows(versions=(alike,)), baseline))
    assert found["ml_version_prediction_psi", *KEY] < found["ml_version_prediction_psi_critical", *KEY]
    assert abs(found["ml_version_class_shift_sigmas", *KEY, "yes"]) < 3
    critical = stats.chi2.isf(0.01, 3) * (1 / 600 + 1 / 1800)
    assert found["ml_version_prediction_psi_critical", *KEY] == pytest.approx(critical)
    found = build.values(versions.versions(windows(versions=(other,)), baseline))
    assert found["ml_version_prediction_psi", *KEY] > found["ml_version_prediction_psi_critical", *KEY]
    assert found["ml_version_class_shift_sigmas", *KEY, "yes"] > 5
    counts = [prediction.shares(HEAD, part.sum(axis=0))["yes"] for part in (other.here, other.there)]
    pooled = (counts[0] * 600 + counts[1] * 1800) / 2400
    z = (counts[0] - counts[1]) / math.sqrt(pooled * (1 - pooled) * (1 / 600 + 1 / 1800))
    assert found["ml_version_class_shift_sigmas", *KEY, "yes"] == pytest.approx(z)


def test_the_difference_of_quality_is_made_of_both_intervals() -> None:
    pair = pair_of([labelled(560, 140)], [labelled(480, 320)])
    found = build.values(versions.versions(windows(version_quality=(pair,)), build.baseline(LAYOUT)))
    assert found["ml_version_quality_difference", *KEY, "accuracy"] == pytest.approx(0.2)
    ends = [wilson(560, 700), wilson(480, 800)]
    assert ends[0] is not None
    assert ends[1] is not None
    lower, upper = difference_interval((0.8, ends[0]), (0.6, ends[1]))
    assert found["ml_version_quality_difference_lower", *KEY, "accuracy"] == pytest.approx(lower)
    assert found["ml_version_quality_difference_upper", *KEY, "accuracy"] == pytest.approx(upper)
    measured = {metric for name, *_, metric in found if name == "ml_version_quality_difference"}
    assert measured == {
        "accuracy",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "log_loss",
        "brier_score",
        "calibration_gap",
    }


def test_versions_without_labels_in_common_panes_have_no_difference_of_quality() -> None:
    pair = pair_of([answered(5, 5)], [labelled(48, 32)])
    assert list(versions.versions(windows(version_quality=(pair,)), build.baseline(LAYOUT))) == []


@pytest.mark.parametrize("difference", [0.0, 0.03])
def test_the_interval_holds_the_difference_and_moves_with_it(difference: float) -> None:
    """1,000 windows of 12 panes whose accuracy differs from pane to pane, alike for both versions."""
    draw = np.random.default_rng(9)
    held, above, cell = 0, 0, HEAD.by_name["quality"].start
    for _ in range(1000):
        rate = np.clip(draw.normal(0.8, 0.08, 12), 0.5, 0.95)
        sides = []
        for rows, shift in ((100, difference), (300, 0.0)):
            matrix = np.zeros((12, HEAD.size), np.int64)
            served = draw.binomial(rows * 2, 0.5, 12)
            right = draw.binomial(served, rate + shift)
            matrix[:, cell + 3], matrix[:, cell + 1] = right, served - right  # true and false positives
            sides.append(matrix)
        pair = Pair(window(HEAD.zeros()), "v2", "v1", *sides)
        found = build.values(versions.versions(windows(version_quality=(pair,)), build.baseline(LAYOUT)))
        ends = [found[f"ml_version_quality_difference_{end}", *KEY, "accuracy"] for end in ("lower", "upper")]
        held += ends[0] <= difference <= ends[1]
        above += ends[0] > 0
    assert 930 <= held <= 970
    assert (above > 300) if difference else (above <= 40)
