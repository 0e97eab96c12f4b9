"""Why something is missing, at every boundary: below it what it waits for, from it on the thing itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON
from tests.facts.looked import every_value, facts

from ml_exporter.baseline import Noise, Phi, PsiNoise
from ml_exporter.charting import MINIMUM_DAYS
from ml_exporter.config import parse
from ml_exporter.facts.reasons import NOTHING, PSI_CRITICAL_MAXIMUM
from ml_exporter.facts.words import amount, duration, waiting
from ml_exporter.statistics.auc import MINIMUM_ROWS_PER_CLASS
from ml_exporter.statistics.charts import DEVIATION_POINTS
from ml_exporter.statistics.dispersion import PROVISIONAL_WINDOWS
from ml_exporter.statistics.intervals import MINIMUM_ROWS
from ml_exporter.vitals.estimate import NOISE
from ml_exporter.vitals.history import MINIMUM_ROWS as HISTORY_ROWS
from ml_exporter.vitals.windows import Shortage

NOW = NOON + 3 * HOUR


def counted(rows, labels=(), now=NOW, layout=None):
    """A counting that has read all of these."""
    counting = build.counting(layout)
    counting.predictions(build.batch(rows), now)
    if labels:
        counting.labels(build.batch(labels), now)
    counting.last_arrival_us = 0  # idle: windows go on with the clock
    return counting


def value(found, metric, window="1d", **labels):
    """The one value of a model with these labels."""
    known = [item for item in every_value(found.model("flights")) if (item.metric, item.window) == (metric, window)]
    (one,) = [item for item in known if labels.items() <= item.labels.items() and "segment" not in item.labels]
    return one


def rows(count, **changes):
    """Rows of two hours ago."""
    return [build.prediction(NOON + number % 60 * MINUTE, number, **changes) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9, 40])
@pytest.mark.parametrize("labelled", [0, 1, 2, 9, 40])
def test_whatever_is_absent_is_explained_and_nothing_else_is(count, labelled):
    made = rows(count) or rows(1)
    labels = [build.label(NOON + HOUR, number, ("no", "yes")[number % 2]) for number in range(labelled)]
    found = facts(counted(made, labels), NOW).model("flights")
    assert found.stale is None
    assert {item.metric for item in every_value(found)} >= {"ml_feature_psi", "ml_roc_auc", "ml_prediction_spread"}
    for item in every_value(found):
        assert ("value" in item.missing) == (item.value is None), item
        if item.value is not None and item.judged:
            assert ("critical" in item.missing) == (item.critical is None), item
        if item.value is None:
            assert item.critical is item.lower is None


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_the_same_holds_for_other_tasks(kind, count):
    layout = getattr(build, kind)()
    numbers = kind == "regression"
    many = [row | {"prediction": float(at % 9) if numbers else "abc"[at % 3]} for at, row in enumerate(rows(400))]
    many = [row | ({} if numbers else {f"score:{name}": 1 / 3 for name in "abc"}) for row in many]
    made = many[:count]
    labels = [build.label(NOON + HOUR, at, float(at % 7) if numbers else "abc"[at % 2]) for at in range(count)]
    model = build.model(task=kind, classes=() if numbers else ("a", "b", "c"))
    config = build.replace_section(build.config(), models={"flights": model})
    baseline = build.baseline(layout, build.vector(layout, many))
    found = facts(counted(made, labels, layout=layout), NOW, baseline=baseline, config=config).model("flights")
    measures = {item.metric for item in found.values}
    wanted = {"ml_r2", "ml_mean_error"} if numbers else {"ml_f1", "ml_roc_auc_macro", "ml_log_loss", "ml_recall_macro"}
    assert measures >= wanted | {"ml_prediction_spread", "ml_label_coverage_ratio"}
    for item in every_value(found):
        assert ("value" in item.missing) == (item.value is None), item
        assert item.missing.get("value") != NOTHING, item


def test_without_any_prediction_nothing_is_complete():
    found = facts(build.counting(), NOW).model("flights")
    assert found.summary.state == "no predictions"
    assert found.summary.last_prediction_at is None
    assert any("first prediction" in text for text in found.summary.next_steps)


def test_stale_windows_say_since_when_and_what_the_limit_is():
    counting, later = counted(rows(5)), NOW + 4 * HOUR
    counting.last_arrival_us = later  # as for a source that fails
    found = facts(counting, later).model("flights")
    assert found.stale == "the last window ended 6h 56m ago; gauges are withheld after 3h"
    assert found.summary.state == "stale"
    assert {item.metric for item in found.values} == {"ml_window_rows"}
    assert "7h" in found.summary.next_steps[0] or "6h 5" in found.summary.next_steps[0]


@pytest.mark.parametrize("count", [3, 9, 10, 11, 20])
def test_categories_wait_for_the_rows_that_keep_one(count):
    made = rows(count, **{"feature:carrier": "AA"})
    found = value(facts(counted(made), NOW), "ml_feature_psi", feature="carrier")
    baseline = build.baseline()
    bins = baseline.layout.cells(baseline.vector, "feature:carrier")["bins"]
    need = int(np.ceil(5 * bins.sum() / bins[:-1].max()))
    assert need == 15
    if count < need:
        assert found.missing["value"] == f"waiting for {count} of {need} values in the window"
    else:
        assert found.value is not None


def test_a_feature_without_values():
    found = facts(counted(rows(30, **{"feature:temp": None})), NOW)
    psi, shift = (value(found, f"ml_feature_{name}", feature="temp").missing for name in ("psi", "mean_shift_sigmas"))
    assert psi["value"] == "waiting for 0 of 1 values in the window"
    assert shift["value"] == "no valid values in the window"
    assert value(found, "ml_feature_null_ratio", feature="temp").value == 1.0
    feature = found.feature("flights", "temp")
    assert feature.windows[0].missing == {"psi": "waiting for 0 of 1 values in the window"}
    assert feature.windows[0].summary.mean is None
    assert feature.windows[0].psi_bins == ()


def labelled(count, positives, layout=None):
    made = rows(count)
    labels = [build.label(NOON + HOUR, number, "yes" if number < positives else "no") for number in range(count)]
    return counted(made, labels, layout=layout)


@pytest.mark.parametrize("positives", [MINIMUM_ROWS_PER_CLASS - 1, MINIMUM_ROWS_PER_CLASS])
def test_an_auc_waits_for_rows_of_the_rarer_class(positives):
    found = value(facts(labelled(300, positives), NOW), "ml_roc_auc")
    if positives < MINIMUM_ROWS_PER_CLASS:
        assert found.lower is None
        assert found.missing["interval"] == "waiting for 99 of 100 labelled rows of the rarer class"
    else:
        assert found.lower < found.value < found.upper
        assert "interval" not in found.missing


@pytest.mark.parametrize("count", [MINIMUM_ROWS - 1, MINIMUM_ROWS])
def test_the_mean_error_of_a_regression_waits_for_labelled_rows(count):
    layout = build.regression()
    made = [row | {"prediction": float(place % 9)} for place, row in enumerate(rows(count))]
    labels = [build.label(NOON + HOUR, number, float(number % 7)) for number in range(count)]
    text = build.CONFIG.replace("task: binary", "task: regression").replace('classes: ["no", "yes"]\n', "\n")
    config = parse(text.replace("score: score, ", ""))
    baseline = build.baseline(layout, build.vector(layout, made))
    counting = counted(made, labels, layout=layout)
    found = value(facts(counting, NOW, baseline=baseline, config=config), "ml_mean_error")
    assert found.value is not None
    assert found.missing.get("interval") == (None if count == MINIMUM_ROWS else "waiting for 99 of 100 labelled rows")


def test_measures_that_labelled_rows_do_not_define():
    found = facts(labelled(30, 0), NOW)
    assert value(found, "ml_recall").missing["value"] == "no label is of the positive (or this) class"
    assert "both of the class and not of it" in value(found, "ml_roc_auc").missing["value"]
    assert value(found, "ml_accuracy").value is not None
    nothing = facts(counted(rows(30)), NOW)
    assert value(nothing, "ml_accuracy").missing["value"] == "none of 30 predictions of the window has a label"
    assert value(nothing, "ml_label_coverage_ratio").value == 0.0


def remembered(days, confidence):
    """A counting of a day that knows the days before it; `confidence` gives that of each, the newest first."""
    counting = labelled(60, 30)
    counting.history.begin(0)
    for number in range(1, days + 1):
        values = {"window_rows": 50.0, "prediction_confidence_mean": confidence(number)}
        counting.history.put(("1d", (NOW // DAY - number - 1) * DAY), values)
    return counting


@pytest.mark.parametrize("days", [0, 1, DEVIATION_POINTS - 1, 60])
def test_limits_of_a_day_wait_for_days(days):
    found = value(
        facts(remembered(days, lambda number: 0.5 + number * 7 % 5 / 50), NOW), "ml_prediction_confidence_mean"
    )
    assert (found.control is None) == ("control" in found.missing) == (days < 60)
    if not days:
        told = f"control limits need a complete 1d with {HISTORY_ROWS} rows, and none is known yet"
        assert found.missing["control"] == told
    elif days < 60:
        assert found.missing["control"] == f"control limits need {DEVIATION_POINTS} days, and {days} are known"


def test_days_that_resemble_each_other_count_for_less():
    found = value(facts(remembered(12, lambda number: 0.5 + number / 100), NOW), "ml_prediction_confidence_mean")
    told = "control limits need 10 independent days (as many as 12 similar ones are worth), and "
    assert found.missing["control"].startswith(told)


@pytest.mark.parametrize(
    ("confidence", "told"),
    [
        (lambda number: 0.5, "no control limits: all values of the past are the same"),
        (lambda number: 0.5 + (number % 2) * 1e-4 + (number % 12 == 0) * 0.3, "would lie beyond them"),
    ],
)
def test_a_past_without_a_usual_level(confidence, told):
    found = value(facts(remembered(49, confidence), NOW), "ml_prediction_confidence_mean")
    assert found.control is None
    assert told in found.missing["control"]


@pytest.mark.parametrize("days", [MINIMUM_DAYS - 1, MINIMUM_DAYS])
def test_limits_of_an_hour_need_two_weeks(days):
    counting = labelled(60, 30)
    history = counting.history
    history.begin(0)
    for number in range(1, days + 1):
        values = {"window_rows": 50.0, "prediction_confidence_mean": 0.5 + number * 7 % 5 / 50}
        for hour in range(24):
            history.put(("1h", (NOW // DAY - number) * DAY + hour * HOUR), values)
        history.put(("1d", (NOW // DAY - number) * DAY), values)
    found = value(facts(counting, NOW), "ml_prediction_confidence_mean", "1h")
    if days < MINIMUM_DAYS:
        told = f"control limits need {MINIMUM_DAYS} days with this hour, and {days} are known"
        assert found.missing["control"] == told
    else:
        assert found.control, found.missing
        assert found.control.lower < found.control.centre < found.control.upper


@pytest.mark.parametrize("windows", [PROVISIONAL_WINDOWS - 1, PROVISIONAL_WINDOWS])
def test_estimates_wait_for_windows_of_the_reference(windows):
    layout = build.layout()
    many = [build.prediction(NOON + number * MINUTE, number) for number in range(400)]
    actual = {f"p{number}": ("no", "yes")[number % 2] for number in range(400)}
    noise = {"1d": Noise({}, {NOISE + "accuracy": Phi(windows, 1.0)})}
    baseline = build.baseline(layout, build.vector(layout, many, actual), noise=noise, window_seconds={"1d": 86400.0})
    found = value(facts(labelled(60, 30), NOW, baseline=baseline), "ml_accuracy")
    if windows < PROVISIONAL_WINDOWS:
        assert found.missing["estimated"] == "waiting for 4 of 5 windows of the reference with 20 labels each"
    else:
        assert found.estimated is not None
        assert "estimated" not in found.missing


def test_estimates_wait_for_labels_of_the_reference():
    found = value(facts(labelled(60, 30), NOW), "ml_accuracy")
    assert found.missing["estimated"] == "waiting for 0 of 100 labelled rows of the reference"
    assert found.missing["baseline"] == "the reference does not define it"


def test_a_matured_window_needs_panes_that_are_kept():
    counting = counted(rows(30))
    counting.timing = replace(counting.timing, maturity_us=6 * HOUR)
    found = facts(counting, NOW).model("flights")
    assert list(found.missing_windows) == ["matured 5m"]
    told = found.missing_windows["matured 5m"]
    assert "panes of 1m are kept for 3h" in told
    assert "ends 6h ago" in told
    assert facts(counting, NOW).labels("flights").matures.startswith("labels of the current 1d mature in 5h 5")


def test_no_noise_for_the_shape_of_the_answers():
    found = value(facts(counted(rows(30)), NOW), "ml_prediction_spread")
    assert found.value is not None
    assert found.missing["critical"].startswith("no baseline noise for 1d")


@pytest.mark.parametrize("windows", [0, PROVISIONAL_WINDOWS - 1, PROVISIONAL_WINDOWS])
def test_a_critical_value_says_what_it_takes_for_granted(windows):
    noise = {"1d": Noise({"temp": PsiNoise(windows, 5.0, 4.0, 2.0)} if windows else {}, {})}
    baseline = build.baseline(noise=noise, window_seconds={"1d": 86400.0})
    found = value(facts(counted(rows(60)), NOW, baseline=baseline), "ml_feature_psi", feature="temp")
    if windows < PROVISIONAL_WINDOWS:
        told = "no baseline noise for 1d, so rows are taken as independent: "
        assert found.missing["noise"] == f"{told}waiting for {windows} of 5 windows of the reference"
    else:
        assert "noise" not in found.missing


def test_a_window_that_is_too_short_for_an_alert_says_so():
    rules = (Path(__file__).parents[2] / "rules" / "config.libsonnet").read_text()
    assert f"psiCriticalMaximum: {PSI_CRITICAL_MAXIMUM:g}," in rules
    few, many = (value(facts(counted(rows(count)), NOW), "ml_prediction_psi") for count in (3, 60))
    assert few.critical > 1.0 > many.critical
    assert few.missing["alert"].startswith("the window is too short for an alert: its critical value ")
    assert "alert" not in many.missing


def test_a_window_says_where_its_panes_begin():
    found = facts(counted(rows(30)), NOW).model("flights").windows
    assert {window.first_pane_at for window in found if window.name == "1d"} == {NOON / 1e6}
    assert {window.first_pane_at - window.start_at for window in found if window.name == "5m"} == {0.0}


def test_series_beyond_the_limit_are_said():
    found = facts(counted(rows(30)), NOW, dropped=7).model("flights")
    assert found.series_dropped == 7
    assert any("7 series are not exported" in text for text in found.summary.next_steps)


def test_words():
    assert waiting(Shortage(199.999, 200, "rows")) == "waiting for 199 of 200 rows"
    assert [duration(seconds) for seconds in (0, 59.4, 3600, 90_061)] == ["0s", "59s", "1h", "1d 1h"]
    assert amount(0.25) == "0.25"
