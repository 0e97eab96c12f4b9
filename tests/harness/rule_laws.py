"""The table of alerts for `rule_worlds`: what each reads, with values just below and beyond its limit."""

from dataclasses import replace

from rule_worlds import Law, Limit

HOUR = 'window="1h"'
DAY = 'window="1d"'
ROWS_HOUR = {f"ml_window_rows {HOUR}": 1000.0}
ROWS_DAY = {f"ml_window_rows {DAY}": 1000.0}
FEW_HOUR = {"few rows": {f"ml_window_rows {HOUR}": 49.0}}
FEW_DAY = {"few rows": {f"ml_window_rows {DAY}": 199.0}}
LABELLED = {f"ml_labelled_rows {DAY}": 400.0}
FEW_LABELS = {"few labels": {f"ml_labelled_rows {DAY}": 99.0}}


def excess(alert: str, kind: str, values: dict[str, float], critical: float | None = None) -> Law:
    """A share of a feature, above that of the reference (2 %) and above noise: a critical value, or chance."""
    feature = 'feature="x"'
    share = f"ml_feature_{kind}_ratio {HOUR},{feature}"
    baseline = f'ml_feature_baseline_{kind}_ratio baseline="reference",{feature}'
    rows = f"ml_window_rows {HOUR}"
    noise = f'ml_feature_{kind}_critical_ratio {HOUR},baseline="reference",{feature}'
    silent = {"few rows": {rows: 49.0, share: 0.99}, "as in the reference": {baseline: 0.9}}
    silent["noise"] = {share: 0.08, rows: 100.0} if critical is None else {noise: 0.95}
    return Law(
        alert,
        moving={share: values},
        fixed={baseline: 0.02, rows: 1e5} | ({} if critical is None else {noise: critical}),
        silent=silent,
        limit=Limit(f"feature_{kind}_excess_ratio", 0.9, 0.005, "1h", feature),
    )


def drift(alert: str, metric: str, labels: str, values: tuple[float, float], floor: float) -> Law:
    """A statistic of a day against the baseline, with its critical value. One in sigmas has a sign."""
    signed = metric.endswith("_sigmas")
    critical = f"{metric.removesuffix('_sigmas')}_critical_sigmas" if signed else f"{metric}_critical"
    more = f",{labels}" if labels else ""
    statistic = f'{metric} {DAY},baseline="reference"{more}'
    noise = f'{critical} {DAY},baseline="reference"{more}'
    silent = {**FEW_DAY, "noise": {noise: values[1] + 0.1}}
    if not signed:
        silent["window too short"] = {noise: 1.1, statistic: 5.0}
    return Law(
        alert,
        moving={statistic: {"below": values[0], "warning": values[1]}},
        fixed={noise: floor, **ROWS_DAY},
        silent=silent,
        firing={"downwards": {statistic: -values[1]}} if signed else {},
        limit=Limit(metric.removeprefix("ml_"), values[1] + 1, floor, "1d", labels),
        settles=True,
    )


def share_of_requests(alert: str, metric: str, values: dict[str, float]) -> Law:
    """A share over an hour, whose alert ends when five minutes show that it is over."""
    short, rows = f'{metric} window="5m"', 'ml_window_rows window="5m"'
    over = {short: values["below"]}
    return Law(
        alert,
        moving={f"{metric} {HOUR}": values, short: values},
        fixed={**ROWS_HOUR, rows: 100.0},
        silent={**FEW_HOUR, "over": over},
        firing={"over by few rows": {**over, rows: 19.0}},
        limit=Limit(metric.removeprefix("ml_"), 0.9, values["below"] / 2, "1h"),
    )


def quality(alert: str, name: str, values: dict[str, float], needed: dict[str, float] | None = None) -> Law:
    """A measure over a day, with the end of its interval that decides, and two hours where it pages."""
    low = values["below"] > max(values[item] for item in values if item != "below")
    moving, fixed = {f"ml_{name} {DAY}": values}, dict(LABELLED)
    silent, firing = dict(FEW_LABELS), {}
    if name.endswith("_macro"):
        # As low as it gets, so that no margin of few rows hides what the guard is for.
        silent = {reason: {**held, f"ml_{name} {DAY}": 0.0} for reason, held in FEW_LABELS.items()}
    else:
        end = f"ml_{name}_{'upper' if low else 'lower'} {DAY}"
        moving[end] = values
        silent["the interval reaches the limit"] = {end: values["below"]}
    if "critical" in values:
        short, rows = f'ml_{name} window="2h"', 'ml_labelled_rows window="2h"'
        moving[short] = values
        fixed[rows] = 50.0
        silent["over"] = {short: values["below"]}
        firing["over by few labels"] = {short: values["below"], rows: 19.0}
    lenient, strict = (-1.0, 9.0) if low else (1e9, values["below"] / 2)
    limit = Limit(name, lenient, strict, "1d", needed=needed or {})
    return Law(alert, moving=moving, fixed=fixed, silent=silent, firing=firing, limit=limit)


def macro(alert: str, name: str) -> Law:
    """A macro average of 400 rows, so its margin is 5 points."""
    return quality(alert, name, {"below": 0.56, "warning": 0.54}, {"warning": 0.6})


def distance(name: str, limit: float) -> Law:
    """A distance that was asked for. Whatever its critical value, it is compared with it."""
    law = drift("MLFeatureDistanceHigh", f"ml_feature_{name}", 'feature="x"', (limit - 0.01, limit + 0.05), 0.02)
    silent = {reason: held for reason, held in law.silent.items() if reason != "window too short"}
    return replace(law, silent=silent, part=f" {name}")


def spread_factor() -> Law:
    """A factor that is as far from 1 upwards as downwards."""
    law = distance("spread_factor", 1.5)
    (statistic,) = law.moving
    return replace(law, firing={"closer together": {statistic: 0.6}})


def signed_drift(alert: str, metric: str, values: tuple[float, float]) -> Law:
    """A statistic of a model with a sign and a critical value, which has no upper bound."""
    law = drift(alert, metric, "", values, 0.1)
    (statistic,) = law.moving
    silent = {reason: held for reason, held in law.silent.items() if reason != "window too short"}
    return replace(law, silent=silent, firing={"downwards": {statistic: -values[1]}})


def share_of_day(alert: str, kind: str, values: tuple[float, float], metric: str = "", labels: str = "") -> Law:
    """A share of a day above that of the reference (2 %), with its critical excess."""
    name, more = metric or kind, f",{labels}" if labels else ""
    share = f"ml_prediction_{name}_ratio {DAY}{more}"
    baseline = f'ml_prediction_baseline_{name}_ratio baseline="reference"{more}'
    noise = f'ml_prediction_{name}_critical_ratio {DAY},baseline="reference"{more}'
    return Law(
        alert,
        moving={share: {"below": values[0], "warning": values[1]}},
        fixed={baseline: 0.02, noise: 0.001, **ROWS_DAY},
        silent={**FEW_DAY, "as in the reference": {baseline: 0.9}, "noise": {noise: 0.9}},
        limit=Limit(f"prediction_{kind}_excess_ratio", 0.9, (values[0] - 0.02) / 2, "1d"),
        settles=True,
    )


def limit_of(signal: str, bound: str) -> str:
    """A control limit of a day."""
    return f'ml_control_limit {DAY},signal="{signal}",bound="{bound}"'


def control(alert: str, series: str, signal: str, below: float, beyond: float, bound: str) -> Law:
    """A value of a day against the control limit in the middle of the two."""
    of_labels = signal == "accuracy"
    return Law(
        alert,
        moving={series: {"below": below, "warning": beyond}},
        fixed={limit_of(signal, bound): (below + beyond) / 2, **(LABELLED if of_labels else ROWS_DAY)},
        silent={**(FEW_LABELS if of_labels else FEW_DAY), "no limits": {limit_of(signal, bound): None}},
        settles=True,
    )


CLASS = f'{DAY},class="yes"'
VERSIONS = f'{DAY},version="2",peer="1"'
ACCURACY_APART = {
    end: f'ml_version_quality_difference_{end} {VERSIONS},metric="accuracy"' for end in ("lower", "upper")
}
ERROR_APART = f'ml_version_quality_difference_lower {VERSIONS},metric="mean_absolute_error"'
GAP = {end: f"ml_calibration_gap_{end} {DAY}" for end in ("lower", "upper")}
BASELINE_GAP = 'ml_baseline_calibration_gap baseline="reference"'
SPREAD = f"ml_prediction_spread {DAY}"
SEGMENT = 'segment_by="country",segment="BR"'
BASELINE_INFO = 'ml_baseline_info baseline="reference",dispersion="learned",fingerprint='
READ = "ml_exporter_rows_read_total"
UNWANTED = ("no_model", "before_windows")
DAYS = 86400.0

FAST = (
    excess("MLFeatureNullRatioHigh", "null", {"below": 0.069, "warning": 0.1, "critical": 0.4}, critical=0.01),
    excess("MLFeatureInvalidHigh", "invalid", {"below": 0.029, "warning": 0.1, "critical": 0.4}),
    excess("MLFeatureOutOfRangeHigh", "out_of_range", {"below": 0.069, "warning": 0.12}),
    excess("MLFeatureUnseenHigh", "unseen_category", {"below": 0.069, "warning": 0.12}),
    share_of_requests(
        "MLPredictionErrorHigh", "ml_prediction_error_ratio", {"below": 0.019, "warning": 0.05, "critical": 0.2}
    ),
    share_of_requests(
        "MLPredictionFallbackHigh", "ml_prediction_fallback_ratio", {"below": 0.049, "warning": 0.1, "critical": 0.3}
    ),
    share_of_requests("MLLatencyOverLimit", "ml_window_latency_over_limit_ratio", {"below": 0.049, "critical": 0.1}),
    Law(
        "MLLatencyQuantileHigh",
        moving={f'ml_window_latency_seconds {HOUR},q="0.99"': {"below": 0.49, "warning": 0.6}},
        fixed={f'ml_window_latency_seconds {HOUR},q="0.999"': 9.0, **ROWS_HOUR},
        silent=FEW_HOUR,
        limit=Limit("window_latency_seconds", 5.0, 0.1, "1h"),
    ),
    quality("MLAccuracyLow", "accuracy", {"below": 0.71, "warning": 0.6, "critical": 0.4}),
    quality(
        "MLPrecisionLow",
        "precision",
        {"below": 0.61, "warning": 0.5, "critical": 0.3},
        {"warning": 0.6, "critical": 0.4},
    ),
    quality(
        "MLRecallLow", "recall", {"below": 0.61, "warning": 0.5, "critical": 0.3}, {"warning": 0.6, "critical": 0.4}
    ),
    quality(
        "MLMeanAbsoluteErrorHigh",
        "mean_absolute_error",
        {"below": 9.9, "warning": 11, "critical": 21},
        {"warning": 10, "critical": 20},
    ),
    quality(
        "MLRootMeanSquaredErrorHigh",
        "root_mean_squared_error",
        {"below": 9.9, "warning": 11, "critical": 21},
        {"warning": 10, "critical": 20},
    ),
    Law(
        "MLLabelsLate",
        best=True,
        moving={"ml_last_label_timestamp_seconds": {"below": 2.9 * DAYS, "warning": 3.1 * DAYS}},
        limit=Limit("label_age_seconds", 9 * DAYS, DAYS),
        ages=("ml_last_label_timestamp_seconds",),
    ),
    Law(
        "MLPredictionsRepeated",
        moving={f"ml_prediction_repeated_ratio {HOUR}": {"below": 0.049, "warning": 0.06}},
        fixed=ROWS_HOUR,
        silent=FEW_HOUR,
        limit=Limit("prediction_repeated_ratio", 0.9, 0.01, "1h"),
    ),
    Law(
        "MLSourceLagging",
        moving={"ml_exporter_source_lag_seconds": {"below": 599, "warning": 601}},
        identity="source",
    ),
    Law("MLSourceFailing", moving={"ml_exporter_source_up": {"below": 1, "warning": 0}}, identity="source"),
)

COUNTED = (
    Law(
        "MLRowsRejected",
        moving={'ml_exporter_rows_rejected_total reason="malformed"': {"below": 0.9, "warning": 5, "critical": 80}},
        fixed={READ: 100.0, **{f'ml_exporter_rows_rejected_total reason="{reason}"': 90.0 for reason in UNWANTED}},
        silent={"few lines": {READ: 1.5}, "many more lines": {READ: 100000.0}},
        identity="source",
        grows_for="1h",
    ),
    Law(
        "MLSeriesCapped",
        moving={"ml_exporter_series_dropped_total": {"below": 0, "warning": 4}},
        identity="reason",
        grows_for="15m",
    ),
)

SLOW = (
    drift("MLFeatureDrift", "ml_feature_psi", 'feature="x"', (0.19, 0.3), 0.1),
    drift("MLFeatureMeanShift", "ml_feature_mean_shift_sigmas", 'feature="x"', (2.9, 3.5), 0.5),
    drift("MLPredictionDrift", "ml_prediction_psi", "", (0.19, 0.3), 0.1),
    drift("MLPredictionMeanShift", "ml_prediction_mean_shift_sigmas", "", (0.9, 1.5), 0.5),
    Law(
        "MLPredictionClassShift",
        moving={f"ml_prediction_class_ratio {CLASS}": {"below": 0.59, "warning": 0.61}},
        fixed={
            'ml_prediction_baseline_class_ratio baseline="reference",class="yes"': 0.5,
            f'ml_prediction_class_shift_sigmas baseline="reference",{CLASS}': 5.0,
            f'ml_prediction_class_shift_critical_sigmas baseline="reference",{CLASS}': 3.0,
            **ROWS_DAY,
        },
        silent={**FEW_DAY, "noise": {f'ml_prediction_class_shift_critical_sigmas baseline="reference",{CLASS}': 6.0}},
        firing={
            "downwards": {
                f"ml_prediction_class_ratio {CLASS}": 0.39,
                f'ml_prediction_class_shift_sigmas baseline="reference",{CLASS}': -5.0,
            }
        },
        limit=Limit("prediction_class_shift_ratio", 0.5, 0.05, "1d"),
        settles=True,
    ),
    share_of_day("MLOutlierExcess", "outlier", (0.06, 0.08)),
    share_of_day("MLPredictionAbsurd", "absurd", (0.022, 0.024), "outlier", 'reason="prediction"'),
    share_of_day("MLPredictionFrozen", "concentration", (0.21, 0.23)),
    signed_drift("MLMultivariateDrift", "ml_multivariate_drift", (0.45, 0.55)),
    *(distance(name, limit) for name, limit in (("js_distance", 0.1), ("ks_statistic", 0.1), ("wasserstein", 0.25))),
    spread_factor(),
    Law(
        "MLPredictionSpreadChange",
        moving={SPREAD: {"below": 2.55, "warning": 2.65}},
        fixed={
            'ml_prediction_baseline_spread baseline="reference"': 2.0,
            f'ml_prediction_spread_critical {DAY},baseline="reference"': 0.4,
            **ROWS_DAY,
        },
        silent={**FEW_DAY, "noise": {f'ml_prediction_spread_critical {DAY},baseline="reference"': 0.7}},
        firing={"closer together": {SPREAD: 1.35}},
        limit=Limit("prediction_spread_change_ratio", 0.9, 0.1, "1d"),
        settles=True,
    ),
    control(
        "MLLatencyOutOfControl",
        f'ml_window_latency_seconds {DAY},q="0.99"',
        "window_latency_seconds_p99",
        0.5,
        0.7,
        "upper",
    ),
    control(
        "MLConfidenceDrop", f"ml_prediction_confidence_mean {DAY}", "prediction_confidence_mean", 0.7, 0.5, "lower"
    ),
    control("MLAccuracyOutOfControl", f"ml_accuracy {DAY}", "accuracy", 0.8, 0.7, "lower"),
    Law(
        "MLVolumeOutOfControl",
        best=True,
        moving={f"ml_window_rows {DAY}": {"below": 1000, "warning": 400}},
        fixed={limit_of("window_rows", "lower"): 500.0, limit_of("window_rows", "upper"): 2000.0},
        silent={"no limits": {limit_of("window_rows", "lower"): None}, "few rows": {f"ml_window_rows {DAY}": 100}},
        firing={"a surge": {f"ml_window_rows {DAY}": 2500}},
        settles=True,
    ),
    Law(
        "MLQualityDropped",
        moving={f"ml_accuracy_upper {DAY}": {"below": 0.765, "warning": 0.755}},
        fixed={
            'ml_baseline_accuracy baseline="previous_30d"': 0.8,
            'ml_baseline_accuracy baseline="reference"': 0.1,
            'ml_baseline_mean_absolute_error baseline="previous_30d"': 10.0,
            f"ml_mean_absolute_error_lower {DAY}": 10.4,
            **LABELLED,
        },
        silent=FEW_LABELS,
        firing={"an error": {f"ml_accuracy_upper {DAY}": 0.8, f"ml_mean_absolute_error_lower {DAY}": 10.6}},
        limit=Limit("quality_month_loss", 0.5, 0.01, "1d"),
        settles=True,
    ),
    Law(
        "MLEstimatedQualityLow",
        moving={f"ml_estimated_accuracy {DAY}": {"below": 0.745, "warning": 0.735}},
        fixed={
            f"ml_estimated_accuracy_error {DAY}": 0.02,
            f'ml_estimated_bias {DAY},metric="accuracy"': -0.019,
            'ml_baseline_accuracy baseline="reference"': 0.8,
            'ml_baseline_mean_absolute_error baseline="reference"': 10.0,
            f"ml_estimated_mean_absolute_error {DAY}": 10.6,
            f"ml_estimated_mean_absolute_error_error {DAY}": 0.2,
            **ROWS_DAY,
        },
        silent={**FEW_DAY, "the estimate was off": {f'ml_estimated_bias {DAY},metric="accuracy"': -0.021}},
        firing={
            "no labels yet": {f'ml_estimated_bias {DAY},metric="accuracy"': None},
            "an error": {f"ml_estimated_accuracy {DAY}": 0.8, f"ml_estimated_mean_absolute_error {DAY}": 10.8},
        },
        limit=Limit("estimated_quality_loss", 0.5, 0.01, "1d"),
        settles=True,
    ),
    quality("MLRocAucLow", "roc_auc", {"below": 0.66, "warning": 0.64}),
    quality("MLF1Low", "f1", {"below": 0.61, "warning": 0.5}, {"warning": 0.6}),
    macro("MLPrecisionMacroLow", "precision_macro"),
    macro("MLRecallMacroLow", "recall_macro"),
    macro("MLF1MacroLow", "f1_macro"),
    macro("MLRocAucMacroLow", "roc_auc_macro"),
    quality("MLLogLossHigh", "log_loss", {"below": 0.59, "warning": 0.7}, {"warning": 0.6}),
    quality("MLBrierScoreHigh", "brier_score", {"below": 0.19, "warning": 0.22}, {"warning": 0.2}),
    Law(
        "MLCalibrationGapHigh",
        moving={GAP["lower"]: {"below": 0.04, "warning": 0.06}, GAP["upper"]: {"below": 0.1, "warning": 0.2}},
        fixed={BASELINE_GAP: -0.02, **LABELLED},
        silent={
            **FEW_LABELS,
            "the interval holds zero": {GAP["lower"]: -0.01},
            "as in the reference": {BASELINE_GAP: 0.05},
            "too low, as in the reference": {BASELINE_GAP: -0.05, GAP["lower"]: -0.2, GAP["upper"]: -0.09},
        },
        firing={
            "too low": {GAP["lower"]: -0.2, GAP["upper"]: -0.08},
            "too low, and the reference too high": {BASELINE_GAP: 0.3, GAP["lower"]: -0.2, GAP["upper"]: -0.06},
            "no reference": {BASELINE_GAP: None, GAP["lower"]: -0.2, GAP["upper"]: -0.06},
        },
        limit=Limit("calibration_gap", 0.5, 0.01, "1d"),
    ),
    Law(
        "MLQualityBelowBaseline",
        moving={f"ml_accuracy_upper {DAY}": {"below": 0.765, "warning": 0.755}},
        fixed={
            'ml_baseline_accuracy baseline="reference"': 0.8,
            'ml_baseline_mean_absolute_error baseline="reference"': 10.0,
            'ml_baseline_f1_macro baseline="reference"': 0.8,
            f"ml_mean_absolute_error_lower {DAY}": 10.4,
            f"ml_f1_macro {DAY}": 0.72,
            **LABELLED,
        },
        silent=FEW_LABELS,
        firing={
            "an error": {f"ml_accuracy_upper {DAY}": 0.8, f"ml_mean_absolute_error_lower {DAY}": 10.6},
            "a macro average": {f"ml_accuracy_upper {DAY}": 0.8, f"ml_f1_macro {DAY}": 0.7},
        },
        limit=Limit("quality_baseline_loss", 0.5, 0.01, "1d"),
        settles=True,
    ),
    Law(
        "MLSegmentWorse",
        moving={f"ml_accuracy_upper {DAY},{SEGMENT}": {"below": 0.71, "warning": 0.69}},
        fixed={f"ml_accuracy {DAY}": 0.8, f"ml_labelled_rows {DAY},{SEGMENT}": 400.0, **LABELLED},
        silent={"few labels": {f"ml_labelled_rows {DAY},{SEGMENT}": 99.0}, "all are bad": {f"ml_accuracy {DAY}": 0.75}},
        limit=Limit("segment_accuracy_gap", 0.5, 0.01, "1d", SEGMENT),
    ),
    Law(
        "MLVersionWorse",
        moving={
            ACCURACY_APART["upper"]: {"below": -0.01, "warning": -0.03},
            ACCURACY_APART["lower"]: {"below": -0.05, "warning": -0.09},
        },
        fixed={ERROR_APART: 0.1, 'ml_baseline_mean_absolute_error baseline="reference"': 10.0, **LABELLED},
        silent=FEW_LABELS,
        firing={
            "the peer": {ACCURACY_APART["upper"]: 0.09, ACCURACY_APART["lower"]: 0.03},
            "an error": {ACCURACY_APART["upper"]: 0.05, ACCURACY_APART["lower"]: -0.05, ERROR_APART: 0.3},
        },
        limit=Limit("version_quality_loss", 0.5, 0.005, "1d"),
    ),
    Law(
        "MLLabelCoverageLow",
        moving={f"ml_label_coverage_ratio {DAY}": {"below": 0.51, "warning": 0.49}},
        fixed=ROWS_DAY,
        silent=FEW_DAY,
        limit=Limit("label_coverage_ratio", 0.01, 0.9, "1d"),
    ),
    Law(
        "MLLabelSelectionBias",
        moving={f"ml_label_selection_psi {DAY}": {"below": 0.19, "warning": 0.21}},
        fixed={f"ml_label_selection_psi_critical {DAY}": 0.05, f"ml_label_coverage_ratio {DAY}": 0.79, **ROWS_DAY},
        silent={
            **FEW_DAY,
            "most have a label": {f"ml_label_coverage_ratio {DAY}": 0.81},
            "chance": {f"ml_label_selection_psi_critical {DAY}": 0.5},
            "window too short": {f"ml_label_selection_psi_critical {DAY}": 1.1, f"ml_label_selection_psi {DAY}": 5.0},
        },
        limit=Limit("label_selection_psi", 2.0, 0.1, "1d"),
    ),
    Law(
        "MLBaselineOld",
        moving={"ml_last_prediction_timestamp_seconds": {"below": 364 * DAYS, "warning": 366 * DAYS}},
        fixed={'ml_baseline_created_timestamp_seconds baseline="reference"': 0.0},
        limit=Limit("baseline_age_seconds", 900 * DAYS, 30 * DAYS),
    ),
    Law(
        "MLBaselineMismatch",
        moving={f'{BASELINE_INFO}"b"': {"below": None, "warning": 1}},
        fixed={f'{BASELINE_INFO}"a"': 1.0},
    ),
)

MISSING = (
    Law(
        "MLThresholdMissing",
        moving={f"ml_mean_absolute_error {DAY}": {"below": None, "warning": 3}},
        silent={"no labels": {f"ml_mean_absolute_error {DAY}": None}},
    ),
)

BURNING = (
    Law(
        "MLErrorBudgetBurn",
        moving={"ml_correct_predictions_total": {"below": 96, "warning": 65, "critical": 25}},
        fixed={"ml_labelled_predictions_total": 100.0, **LABELLED},
        silent={
            **FEW_LABELS,
            "few labels of late": {"ml_labelled_predictions_total": 0.01, "ml_correct_predictions_total": 0},
        },
        limit=Limit("error_budget_ratio", 0.9, 0.001, needed={"warning": 0.05, "critical": 0.05}),
        grows_for="6h",
    ),
)

WEEKLY = (
    Law(
        "MLSchemaViolations",
        moving={'ml_schema_violations_total kind="k"': {"below": 0.9, "warning": 5, "critical": 50}},
        fixed={'ml_predictions_total version="1"': 100.0, **ROWS_HOUR},
        silent={
            **FEW_HOUR,
            "as always": {'ml_schema_violations_total kind="k"': 50},
            "many more predictions": {'ml_predictions_total version="1"': 100000.0},
        },
        limit=Limit("schema_violation_excess_ratio", 0.9, -0.5),
        grows_for="1h",
    ),
)


def exporter(alert: str, metric: str, values: dict[str, float], labels: str = "", well: float | None = None) -> Law:
    """An alert about all exporters: one that is well does not hide the other."""
    job = f'job="ml-exporter",{labels}instance='
    name = f'{metric} {job}"1"'
    return Law(
        alert,
        moving={name: values},
        fixed={} if well is None else {f'{metric} {job}"2"': well},
        identity="",
    )


FAILED_RULES = 'prometheus_rule_evaluation_failures_total job="prometheus",rule_group='
JUMPS = "ml_exporter_clock_jumps_total"
EVALUATED = "ml_exporter_last_evaluation_timestamp_seconds"
EXPORTER = (
    exporter("MLReloadFailed", "ml_exporter_config_last_reload_successful", {"below": 1, "warning": 0}, well=1),
    exporter("MLWebConfigRefused", "ml_exporter_web_config_last_reload_successful", {"below": 1, "warning": 0}, well=1),
    exporter("MLStateFailing", "ml_exporter_state_up", {"below": 1, "critical": 0}, well=1),
    exporter("MLStateSetAside", "ml_exporter_state_set_aside", {"below": 0, "warning": 1}, well=0),
    replace(
        exporter("MLExporterStale", EVALUATED, {"below": 299, "critical": 301}, well=1),
        ages=tuple(f'{EVALUATED} job="ml-exporter",instance="{number}"' for number in (1, 2)),
    ),
    Law(
        "MLExporterAbsent",
        moving={'up job="ml-exporter"': {"below": 1, "critical": None}},
        fixed={'up job="x"': 1.0},
        identity="",
    ),
    Law(
        "MLExporterDown",
        moving={'up job="ml-exporter"': {"below": 1, "critical": 0}},
        fixed={'up job="x"': 0.0},
        identity="instance",
    ),
)

COUNTED_EXPORTER = (
    replace(
        exporter("MLDeadLetterFailing", "ml_exporter_dead_letter_failures_total", {"below": 0, "warning": 1}, well=0),
        grows_for="1h",
    ),
    replace(
        exporter("MLClockJumping", JUMPS, {"below": 0.02, "warning": 0.05}, 'direction="forward",'),
        grows_for="1h",
    ),
    Law(
        "MLRuleEvaluationFailing",
        moving={f'{FAILED_RULES}"/r.yaml;ml-data.rules"': {"below": 0, "warning": 1}},
        fixed={f'{FAILED_RULES}"/r.yaml;node.rules"': 1.0},
        identity="",
        grows_for="15m",
    ),
)

VOLUME = f"ml_window_rows {HOUR}"
SILENT = (
    Law(
        "MLVolumeDrop",
        best=True,
        moving={VOLUME: {"below": 1000, "warning": 490, "critical": 40}},
        silent={"more than half": {VOLUME: 510}},
        limit=Limit("volume_drop_ratio", 0.99, -0.5, "1h"),
    ),
    Law(
        "MLVolumeSurge",
        moving={VOLUME: {"below": 1000, "warning": 3100}},
        silent={"less than three times": {VOLUME: 2900}},
        limit=Limit("volume_surge_factor", 9, 0.5, "1h"),
    ),
    Law(
        "MLPredictionsLate",
        best=True,
        moving={"ml_last_prediction_timestamp_seconds": {"below": 600, "warning": 4300}},
        silent={"not for long enough": {"ml_last_prediction_timestamp_seconds": 4100}},
        limit=Limit("prediction_silence_seconds", 9 * DAYS, -1),
        ages=("ml_last_prediction_timestamp_seconds",),
    ),
)

BY_HAND = {
    "MLPredictionsAbsent": "it is the lack of ml_last_prediction_timestamp_seconds (models.test.yaml)",
    "MLModelMissing": "its series are a list that the rules record and the lack of ml_model_info (models.test.yaml)",
    "MLWatchdog": "it always fires (exporter.test.yaml)",
}
"""Alerts without a law, and why."""

LAWS = FAST + COUNTED + EXPORTER + COUNTED_EXPORTER + BURNING + WEEKLY + SILENT + SLOW + MISSING
GRIDS = {
    "fast": (FAST, 60, 300),
    "counted": (COUNTED, 60, 300),
    "exporter": (EXPORTER, 60, 600),
    "counted_exporter": (COUNTED_EXPORTER, 60, 300),
    "burning": (BURNING, 150, 300),
    "weekly": (WEEKLY, 300, 26 * 3600),
    "silent": (SILENT, 900, 7 * 86400 + 3600),
    "slow": (SLOW, 1800, 26 * 3600),
    "missing": (MISSING, 60, 60),
}
"""The laws that share a grid: the step, and how long all is calm before the data moves, both in seconds."""
CLOCKS = {law.alert: (step, warm_up) for laws, step, warm_up in GRIDS.values() for law in laws}
