"""Why a value, or what it is judged by, is absent: in words, with the very numbers that the vitals use."""

from collections.abc import Callable, Iterator, Mapping

from ml_exporter.baseline import SCORE
from ml_exporter.catalogue import QUALITY
from ml_exporter.facts.answers import Value
from ml_exporter.facts.answers.values import Role
from ml_exporter.facts.companions import BASELINE, ESTIMATE, INTERVAL, signal
from ml_exporter.facts.valued import Place
from ml_exporter.facts.views import View
from ml_exporter.facts.windows import absent, windows_of
from ml_exporter.facts.words import amount, waiting
from ml_exporter.layout import FeatureBins
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.charts import OWN_OUTSIDE
from ml_exporter.statistics.dispersion import PROVISIONAL_WINDOWS
from ml_exporter.vitals import drift, quality, shape, truth
from ml_exporter.vitals.distances import METRICS, log_deviation
from ml_exporter.vitals.estimate import FEWEST_ROWS, NOISE
from ml_exporter.vitals.history import MINIMUM_ROWS, SIGNALS
from ml_exporter.vitals.labels import scores_by_label
from ml_exporter.vitals.windows import Shortage, Window, phi_of, psi_noise_of, spread_noise_of

Why = Callable[[View, Window, Place], str | None]

UNDEFINED: Mapping[str, str] = {
    "precision": "no labelled prediction is of the positive (or this) class",
    "recall": "no label is of the positive (or this) class",
    "f1": "no labelled prediction and no label is of the positive (or this) class",
    "roc_auc": "it takes labelled rows with a score, both of the class and not of it",
    "roc_auc_macro": "it takes labelled rows with scores of at least one class and of the others",
    "log_loss": "no labelled prediction has a score",
    "brier_score": "no labelled prediction has a score",
    "calibration_gap": "no labelled prediction has a score",
    "r2": "it takes two labels that differ",
}
"""When a measure is not defined though there are labelled rows."""
NOTHING = "nothing in the window defines it"
PSI_CRITICAL_MAXIMUM = 1.0
"""Beyond this critical value a window is too short to say anything; the rules' `psiCriticalMaximum`."""
NOISE_OF_PSI = ("ml_feature_psi", "ml_prediction_psi")
"""Metrics with a critical value that is that of independent rows where no noise was learned."""
TOO_SHORT = "the window is too short for an alert: its critical value {critical} is above {most}"


def role_of(view: View, metric: str) -> Role:
    """The role of the windows that a metric is of."""
    if metric.startswith("ml_label_"):
        return "matured"
    if metric == "ml_labelled_rows" or metric.removeprefix("ml_") in QUALITY:
        return "matured" if view.windows.arrived is None else "arrived"
    return "current"


def reasons(view: View, place: Place, found: Value) -> Mapping[str, str]:
    """Why whatever the value of a place could have is absent."""
    return dict(_reasons(view, place, found))


def _reasons(view: View, place: Place, found: Value) -> Iterator[tuple[str, str]]:
    metric = place.metric
    windows = windows_of(view, role_of(view, metric))
    window = next((item for item in windows if item.name == place.window), None)
    if found.value is None:
        yield "value", _no_value(view, window, place)
    elif window is not None:
        if found.judged is not None and found.critical is None:
            yield "critical", _no_critical(view, window, place)
        if metric.endswith("_psi") and found.critical is not None and found.critical > PSI_CRITICAL_MAXIMUM:
            yield "alert", TOO_SHORT.format(critical=amount(found.critical), most=amount(PSI_CRITICAL_MAXIMUM))
        if metric in NOISE_OF_PSI:
            yield from _assumed(view, window, place)
        if metric in INTERVAL and found.lower is None:
            yield "interval", _no_interval(view, window, place)
    if metric in BASELINE and found.baseline is None:
        yield "baseline", "the reference does not define it"
    if metric in ESTIMATE and found.estimated is None and not place.labels and _is_current(view, place.window):
        yield "estimated", _no_estimate(view, place)
    charted = signal(metric, {**place.labels, "window": place.window})
    if charted is not None and place.window in ("1h", "1d") and found.control is None:
        yield "control", _no_control(view, place.window, charted)


def _assumed(view: View, window: Window, place: Place) -> Iterator[tuple[str, str]]:
    """What a critical value takes for granted where the reference's own windows did not show it."""
    noise = psi_noise_of(view.known.baseline, window, place.labels.get("feature", SCORE))
    known = noise.windows if noise else 0
    if known < PROVISIONAL_WINDOWS:
        lacking = waiting(Shortage(known, PROVISIONAL_WINDOWS, "windows of the reference"))
        yield "noise", f"no baseline noise for {window.name}, so rows are taken as independent: {lacking}"


def _is_current(view: View, name: str) -> bool:
    return any(window.name == name for window in view.windows.current)


def _no_value(view: View, window: Window | None, place: Place) -> str:
    if window is None:
        return absent(view, role_of(view, place.metric), place.window)
    layout = view.known.baseline.layout
    if not int(layout.cells(window.vector, "rows")["rows"][0]):
        return "no rows in the window"
    why = WHY.get(place.metric, _of_quality if place.metric.removeprefix("ml_") in QUALITY else _nothing)
    return why(view, window, place) or NOTHING


def _nothing(view: View, window: Window, place: Place) -> str | None:
    return None


def _item(view: View, place: Place) -> FeatureBins:
    name = place.labels["feature"]
    return next(item for item in view.known.baseline.layout.features if item.name == name)


def _psi(view: View, window: Window, place: Place) -> str | None:
    baseline, item = view.known.baseline, _item(view, place)
    here, there = (drift.grouped(baseline, vector, item) for vector in (window.vector, baseline.vector))
    return _waiting(drift.shortage(here, there, item))


def _values(view: View, window: Window, place: Place) -> str | None:
    """Of what is a share or mean of the valid values."""
    layout, name = view.known.baseline.layout, FEATURE_PREFIX + _item(view, place).name
    if not int(layout.cells(window.vector, name)["valid"][0]):
        return "no valid values in the window"
    valid = int(layout.cells(view.known.baseline.vector, name)["valid"][0])
    return waiting(Shortage(valid, 2, "valid values in the reference")) if valid < 2 else None


def _rows(view: View, window: Window, place: Place) -> str | None:
    return "no rows in the window since the feature is counted as it is now"


def _chain(view: View, window: Window, place: Place) -> str | None:
    item = _item(view, place)
    name = next(name for name, metric in METRICS.items() if place.metric == f"ml_feature_{metric}")
    if name not in view.known.baseline.independent.get(item.name, {}):
        return "the feature does not vary in the reference, or the baseline was made by an earlier release"
    return _values(view, window, place)


def _factor(view: View, window: Window, place: Place) -> str | None:
    item, baseline = _item(view, place), view.known.baseline
    noise = spread_noise_of(baseline, window, item.name)
    known = noise.windows if noise else 0
    if known < PROVISIONAL_WINDOWS:
        return waiting(Shortage(known, PROVISIONAL_WINDOWS, "windows of the reference"))
    if log_deviation(baseline.layout, window.vector, item) is None:
        return "the values of the window are all the same, or fewer than two"
    return None


def _scores(view: View, window: Window, place: Place) -> str | None:
    baseline = view.known.baseline
    here, there = (drift.grouped_scores(baseline, vector) for vector in (window.vector, baseline.vector))
    return _waiting(drift.shortage(here, there, None), "answers")


def _answers(view: View, window: Window, place: Place) -> str | None:
    rows = int(drift.answers(view.known.baseline.layout, window.vector).sum())
    return waiting(Shortage(rows, 2, "predictions with an answer that is counted")) if rows < 2 else None


def _class(view: View, window: Window, place: Place) -> str | None:
    return "every prediction, or none, is of this class, in the window as in the reference"


def _selection(view: View, window: Window, place: Place) -> str | None:
    unlabelled, labelled = scores_by_label(view.known.baseline, window.vector)
    if not unlabelled.sum():
        return "every prediction of the window with a score has a label: there is nothing to compare with"
    return _waiting(drift.shortage(labelled, unlabelled, None), "labelled predictions")


def _of_quality(view: View, window: Window, place: Place) -> str | None:
    found = quality.labelled(view.known.baseline.layout, window.vector)
    if not found.rows:
        rows = int(view.known.baseline.layout.cells(window.vector, "rows")["rows"][0])
        return f"none of {rows:,} predictions of the window has a label"
    return UNDEFINED.get(place.metric.removeprefix("ml_"))


def _waiting(found: Shortage | None, what: str | None = None) -> str | None:
    if found is None:
        return None
    return waiting(found if what is None else found._replace(what=found.what.replace("values", what)))


WHY: Mapping[str, Why] = {
    "ml_feature_psi": _psi,
    "ml_feature_js_distance": _psi,
    "ml_feature_mean_shift_sigmas": _values,
    "ml_feature_ks_statistic": _chain,
    "ml_feature_wasserstein": _chain,
    "ml_feature_spread_factor": _factor,
    "ml_feature_null_ratio": _rows,
    "ml_feature_invalid_ratio": _rows,
    "ml_feature_out_of_range_ratio": _values,
    "ml_feature_unseen_category_ratio": _values,
    "ml_multivariate_drift": lambda *_: "no rows in the window since rows are judged as they are now",
    "ml_prediction_outlier_ratio": lambda *_: "no rows in the window since rows are judged as they are now",
    "ml_prediction_class_ratio": lambda *_: "no prediction of the window is of a known class",
    "ml_prediction_class_shift_sigmas": _class,
    "ml_prediction_psi": _scores,
    "ml_prediction_mean_shift_sigmas": lambda *_: "no prediction of the window is a number",
    "ml_prediction_concentration_ratio": _answers,
    "ml_prediction_spread": _answers,
    "ml_prediction_confidence_mean": lambda *_: "no prediction of the window has a score",
    "ml_prediction_fallback_ratio": lambda *_: "no row of the window says whether it was a default answer",
    "ml_prediction_error_ratio": lambda *_: "no row of the window says whether it failed",
    "ml_prediction_repeated_ratio": lambda *_: "no prediction of the window has an id and an answer",
    "ml_window_latency_seconds": lambda *_: "no prediction of the window has a latency",
    "ml_window_latency_over_limit_ratio": lambda *_: "no prediction of the window has a latency",
    "ml_label_coverage_ratio": lambda *_: "no prediction of the window has an id and an answer, which a label needs",
    "ml_label_selection_psi": _selection,
}
"""Why a value is absent over a window that has rows, by metric; measures of quality apart."""


def _no_critical(view: View, window: Window, place: Place) -> str:
    statistic = {
        "ml_prediction_concentration_ratio": shape.CONCENTRATION,
        "ml_prediction_spread": shape.SPREAD,
    }.get(place.metric)
    if statistic is not None and not phi_of(view.known.baseline, window, statistic).windows:
        return f"no baseline noise for {window.name}: the reference has no two windows to learn it from"
    return f"no baseline noise for {window.name}"


def _no_interval(view: View, window: Window, place: Place) -> str:
    name = place.metric.removeprefix("ml_")
    name = f"{name}:{place.labels['class']}" if "class" in place.labels else name
    measure = quality.labelled(view.known.baseline.layout, window.vector).named.get(name)
    if measure is None or measure.stands_on is None:
        return "it takes more rows"
    if measure.stands_on.have < measure.stands_on.need:
        return waiting(measure.stands_on)
    return "the value lies at the end of its range, where its error is not known"


def _no_estimate(view: View, place: Place) -> str:
    baseline = view.known.baseline
    lacking = truth.shortage(baseline.layout, baseline.vector)
    if lacking is not None:
        return waiting(lacking)
    window = next(item for item in view.windows.current if item.name == place.window)
    known = phi_of(baseline, window, NOISE + place.metric.removeprefix("ml_")).windows
    if known < PROVISIONAL_WINDOWS:
        return waiting(Shortage(known, PROVISIONAL_WINDOWS, f"windows of the reference with {FEWEST_ROWS} labels each"))
    return "the rows of the window do not define it"


def _no_control(view: View, window: str, charted: str) -> str:
    chart = view.chart(window, charted)
    if chart is None or chart.lack is None:
        what = "labelled rows" if SIGNALS[charted].matures else "rows"
        return f"control limits need a complete {window} with {MINIMUM_ROWS} {what}, and none is known yet"
    if chart.lack == "points" and chart.shortage is not None:
        need = chart.shortage
        return f"control limits need {need.need:,.0f} {need.what}, and {int(need.have):,} are known"
    if chart.lack == "spread":
        return "no control limits: all values of the past are the same"
    return f"no control limits: more than {OWN_OUTSIDE:.0%} of the past values would lie beyond them"
