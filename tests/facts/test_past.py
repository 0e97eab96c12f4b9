"""Since when something is beyond its noise: what was put into the log at an hour is found at that hour."""

from dataclasses import replace

import pytest
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON
from tests.facts.looked import every_value, exported, facts

from ml_exporter.baseline import Noise, Phi, PsiNoise
from ml_exporter.catalogue import QUALITY
from ml_exporter.pipeline import evaluate

NOW = NOON + 5 * HOUR
MATURITY = 30 * MINUTE
NIGHT = (4 * HOUR, 8 * HOUR)
"""No rows come in these hours of a day."""
WINDOWS = 40
QUIET = Noise(
    {"temp": PsiNoise(WINDOWS, 8.0, 20.0, 1.0), "carrier": PsiNoise(WINDOWS, 3.0, 6.0, 1.0)},
    {"null:temp": Phi(WINDOWS, 1.0), "mean:temp": Phi(WINDOWS, 1.0), "accuracy": Phi(WINDOWS, 1.0)},
)
REFERENCE = [build.prediction(NOON + number * MINUTE, number) for number in range(400)]
RIGHT = {row["id"]: row["prediction"] for number, row in enumerate(REFERENCE) if number % 20}
BASELINE = replace(
    build.baseline(cells=build.vector(build.layout(), REFERENCE, RIGHT)),
    noise={"1d": QUIET, "1h": QUIET},
    window_seconds={"1h": 3600.0, "1d": 86400.0},
)


def counted(days, change, labelled=None, an_hour=20):
    """Rows of some days up to now, each as `change` makes it from its time, with a label half an hour later."""
    counting = build.counting()
    first = (NOW - days * DAY) // HOUR * HOUR
    times = [
        start + place * (HOUR // an_hour)
        for start in range(first, NOW, HOUR)
        if not NIGHT[0] <= start % DAY < NIGHT[1]
        for place in range(an_hour)
    ]
    times = [at for at in times if at < NOW]
    rows = [build.prediction(at, number, **change(at, number)) for number, at in enumerate(times)]
    for start in range(0, len(rows), 2000):
        counting.predictions(build.batch(rows[start : start + 2000]), NOW)
    actual = labelled or (lambda at, row: row["prediction"])
    labels = [
        build.label(at + MATURITY - 1, number, actual(at, row))
        for number, (at, row) in enumerate(zip(times, rows, strict=True))
        if at + MATURITY <= NOW
    ]
    counting.labels(build.batch(labels), NOW)
    counting.last_arrival_us = 0
    return counting


def since(counting, metric, window="1d", **labels):
    """Since when a value is beyond: of the page of the model, and of that of the feature."""
    found = facts(counting, NOW, baseline=BASELINE)
    answers = [every_value(found.model("flights"))]
    if "feature" in labels:
        answers.append([value for page in found.feature("flights", labels["feature"]).windows for value in page.values])
    (one, *same) = [
        value
        for values in answers
        for value in values
        if (value.metric, value.window) == (metric, window) and labels.items() <= value.labels.items()
    ]
    assert same == [one] * (len(answers) - 1)
    return one.since


def nulls_from(at_us, share=0.4):
    return lambda at, number: {"feature:temp": None} if at >= at_us and number % 10 < share * 10 else {}


@pytest.mark.parametrize("hours", [3, 14, 46])
def test_nulls_begin_at_their_hour_over_nights_without_rows(hours):
    begun = NOW - hours * HOUR
    counting = counted(3, nulls_from(begun), an_hour=10)
    for window in ("1h", "1d"):
        found = since(counting, "ml_feature_null_ratio", window, feature="temp")
        assert (found.at, found.span, found.or_earlier, found.before) == (begun / 1e6, "hour", False, 0.0)


@pytest.mark.parametrize("an_hour", [2, 5])
def test_hours_of_few_rows_by_chance_without_nulls_end_nothing(an_hour):
    """Of the rows since noon of the day before two of ten are null, so many hours have none."""
    begun = NOON - DAY
    counting = counted(3, nulls_from(begun, 0.2), an_hour=an_hour)
    found = since(counting, "ml_feature_null_ratio", feature="temp")
    assert abs(found.at * 1e6 - begun) <= 5 * HOUR


def test_nulls_that_are_older_than_the_hours_begin_at_their_day_or_earlier():
    begun = (NOW // DAY - 4) * DAY
    found = since(counted(6, nulls_from(begun), an_hour=5), "ml_feature_null_ratio", feature="temp")
    assert (found.at, found.span, found.or_earlier, found.before) == (begun / 1e6, "day", False, 0.0)
    always = since(counted(4, nulls_from(0), an_hour=5), "ml_feature_null_ratio", feature="temp")
    assert (always.at * 1e6 // DAY, always.or_earlier, always.before) == (NOW // DAY - 4, True, None)


def test_what_was_never_beyond_has_no_beginning():
    found = facts(counted(3, lambda at, number: {}, an_hour=5), NOW, baseline=BASELINE)
    for value in every_value(found.model("flights")):
        assert value.since is None or value.area != "data"


@pytest.mark.parametrize("days", [0, 2])
def test_drift_begins_at_its_day(days):
    begun = (NOW // DAY - days) * DAY
    moved = counted(4, lambda at, number: {"feature:temp": 35.0 + number % 3} if at >= begun else {})
    for metric in ("ml_feature_psi", "ml_feature_mean_shift_sigmas"):
        found = since(moved, metric, feature="temp")
        assert (found.at, found.span, found.or_earlier) == (begun / 1e6, "day", False), metric
        days = facts(moved, NOW, baseline=BASELINE).feature("flights", "temp").days
        (before,) = [day for day in days if day.end_at == found.at]
        assert found.before == (before.psi if metric == "ml_feature_psi" else before.mean_shift_sigmas)


def test_quality_begins_at_the_day_of_its_predictions():
    begun = (NOW // DAY - 2) * DAY
    wrong = {"yes": "no", "no": "yes"}
    moved = counted(
        4, lambda at, number: {}, lambda at, row: wrong[row["prediction"]] if at >= begun else row["prediction"]
    )
    found = since(moved, "ml_accuracy")
    assert (found.at, found.span, found.or_earlier, found.before) == (begun / 1e6, "day", False, 1.0)
    listed = facts(moved, NOW, baseline=BASELINE).models().models[0].outcome
    assert next(value.since for value in listed if value.metric == "ml_accuracy") == found


def test_a_day_says_what_its_window_said():
    """The window of a day, at its end (for quality when its labels had come), is the same as that day later."""
    counting = counted(4, lambda at, number: {})
    found = facts(counting, NOW, baseline=BASELINE).model("flights")
    assert [day.rows for day in found.days[1:-1]] == [20 * 20] * 3
    assert [(day.complete, day.labels_complete) for day in found.days] == [(True, True)] * 4 + [(False, False)]
    compared = 0
    for day in found.days[1:-1]:
        for late_us in (0, MATURITY):
            config, now_us = build.config(), int(day.end_at * 1e6) + MINUTE + late_us
            samples = evaluate(counting, BASELINE, "flights", config, now_us)
            then = exported(samples)
            for value in day.values:
                if (value.metric.removeprefix("ml_") in QUALITY) == bool(late_us):
                    key = (value.metric, frozenset({"model": "flights", "window": "1d", **value.labels}.items()))
                    assert then[key] == value.value, value.metric
                    compared += 1
    assert compared > 30
