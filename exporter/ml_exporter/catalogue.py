"""The one table of every exported metric.

The exporter renders from it, the docs are generated from it, and the rules import it.

Names follow Prometheus: base units, `_ratio` from 0 to 1, `_total` for counters. `window` is the name of a window
such as `1d`, `baseline` the name of what is compared with (`reference`).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Type = Literal["gauge", "counter", "histogram"]


class Metric(NamedTuple):
    """One metric: name (with `_total` for counters), type, unit (or ""), help text and label names in order.

    `optional` are the labels, the last ones, that only some series have: those of a class or of a segment. The series
    without them is the model as a whole.
    """

    name: str
    type: Type
    unit: str
    help: str
    labels: tuple[str, ...]
    optional: tuple[str, ...] = ()


class Sample(NamedTuple):
    """One value of one series. `labels` are the values of the metric's labels, in the order of the catalogue.

    An optional label that a series does not have is "", or left out at the end.
    """

    name: str
    labels: tuple[str, ...]
    value: float


class HistogramSample(NamedTuple):
    """One histogram.

    `upper_bounds` in ascending order without +Inf, `counts` (not cumulative) one longer, `total` the sum of all values.
    """

    name: str
    labels: tuple[str, ...]
    upper_bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


_M = ("model",)
_MW = ("model", "window")
_MB = ("model", "baseline")
_MWF = ("model", "window", "feature")
_MBF = ("model", "baseline", "feature")
_MWBF = ("model", "window", "baseline", "feature")
_MWB = ("model", "window", "baseline")
_SEGMENT = ("segment_by", "segment")
_MWS = (*_MW, *_SEGMENT)
_MWCS = (*_MW, "class", *_SEGMENT)
_MWVP = ("model", "window", "version", "peer")
_MWBC = ("model", "window", "baseline", "class")
_REASON = ("reason",)

QUALITY: Mapping[str, str] = {
    "accuracy": "Share of labelled predictions that were right",
    "precision": "Share of predictions of the positive (or the named) class that were right",
    "recall": "Share of actual positives (or of the named class) that were predicted",
    "f1": "Harmonic mean of precision and recall",
    "roc_auc": "Area under the ROC curve, from score histograms (of the named class against the others)",
    "log_loss": "Mean negative log likelihood of the labels under the scores (nats)",
    "brier_score": "Mean squared difference between scores and label, summed over several classes (then 0 to 2)",
    "calibration_gap": "Mean score minus share of actual positives; of several classes mean confidence minus accuracy",
    "precision_macro": "Mean precision of the classes that were predicted or actual; 0 for one never predicted",
    "recall_macro": "Mean recall of the classes that were predicted or actual; 0 for one that never was",
    "f1_macro": "Mean F1 of the classes that were predicted or actual",
    "roc_auc_macro": "Mean area under the ROC curve of each class against the others",
    "mean_absolute_error": "Mean distance of labels and predictions, in the unit of the labels",
    "root_mean_squared_error": "Root of the mean squared distance of labels and predictions, in the unit of the labels",
    "mean_error": "Mean of label minus prediction, in the unit of the labels: above 0 the predictions are too low",
    "r2": "Share of the variance of the labels that the predictions explain",
}
"""Name of each quality measure (without prefix) and its meaning."""

CLASS_QUALITY = frozenset({"precision", "recall", "f1", "roc_auc"})
"""Quality measures that a class may have too."""

ESTIMATED: tuple[str, ...] = (
    *("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score"),
    *("precision_macro", "recall_macro", "f1_macro", "mean_absolute_error"),
)
"""Quality measures that are estimated without labels."""

NO_INTERVAL = frozenset({"precision_macro", "recall_macro", "f1_macro", "roc_auc_macro", "r2"})
"""Quality measures without an interval."""


def _quality_metrics() -> tuple[Metric, ...]:
    rows = []
    for name, meaning in QUALITY.items():
        late = "over a window whose labels have matured (`align: arrival`: in which they came)"
        a_class = ("class",) if name in CLASS_QUALITY else ()
        optional = (*a_class, *_SEGMENT)
        rows.append(Metric(f"ml_{name}", "gauge", "", f"{meaning}, {late}.", (*_MW, *optional), optional))
        for bound in () if name in NO_INTERVAL else ("lower", "upper"):
            text = f"{bound.capitalize()} end of the 95 % interval of ml_{name}."
            rows.append(Metric(f"ml_{name}_{bound}", "gauge", "", text, (*_MW, *optional), optional))
        text = f"{meaning}, in the reference, or in the 30 days before the window of a day (previous_30d)."
        rows.append(Metric(f"ml_baseline_{name}", "gauge", "", text, (*_MB, *a_class), a_class))
    return tuple(rows)


def _estimated_metrics() -> tuple[Metric, ...]:
    rows = []
    for name in ESTIMATED:
        text = f"ml_{name} that is to be expected of the window's predictions without labels. Blind to concept drift."
        rows.append(Metric(f"ml_estimated_{name}", "gauge", "", text, _MW))
        text = f"95 % half width of the realised ml_{name} around ml_estimated_{name}, as the reference's windows vary."
        rows.append(Metric(f"ml_estimated_{name}_error", "gauge", "", text, _MW))
    text = "Realised minus estimated quality of the labelled predictions of the last matured window."
    return (*rows, Metric("ml_estimated_bias", "gauge", "", text, ("model", "window", "metric")))


METRICS: tuple[Metric, ...] = (
    # identity
    Metric(
        "ml_model_info",
        "gauge",
        "",
        "1 for every configured model; exactly one series a model.",
        ("model", "task", "tier", "team"),
    ),
    Metric(
        "ml_model_version_info",
        "gauge",
        "",
        "1 for every version that served within the last day of event time.",
        ("model", "version"),
    ),
    Metric(
        "ml_baseline_info",
        "gauge",
        "",
        "1 for the loaded baseline. `dispersion`: its noise floor was learned, is provisional, or is assumed.",
        ("model", "baseline", "fingerprint", "dispersion"),
    ),
    Metric(
        "ml_baseline_created_timestamp_seconds", "gauge", "seconds", "When the baseline's reference data ended.", _MB
    ),
    # volume
    Metric("ml_predictions_total", "counter", "", "Predictions read since the exporter started.", ("model", "version")),
    Metric("ml_window_rows", "gauge", "", "Predictions in the window.", _MWS, _SEGMENT),
    Metric("ml_window_start_timestamp_seconds", "gauge", "seconds", "Start of the window in event time.", _MW),
    Metric("ml_window_end_timestamp_seconds", "gauge", "seconds", "End of the window in event time.", _MW),
    Metric("ml_last_prediction_timestamp_seconds", "gauge", "seconds", "Event time of the newest prediction read.", _M),
    # data quality
    Metric("ml_feature_null_ratio", "gauge", "ratio", "Share of rows in which the feature is null.", _MWF),
    Metric(
        "ml_feature_invalid_ratio",
        "gauge",
        "ratio",
        "Share of rows in which the feature has a value that cannot be read.",
        _MWF,
    ),
    Metric(
        "ml_feature_out_of_range_ratio", "gauge", "ratio", "Share of valid values outside the configured range.", _MWF
    ),
    Metric(
        "ml_feature_unseen_category_ratio",
        "gauge",
        "ratio",
        "Share of valid values that the reference does not know.",
        _MWF,
    ),
    Metric("ml_feature_baseline_null_ratio", "gauge", "ratio", "ml_feature_null_ratio of the reference.", _MBF),
    Metric(
        "ml_feature_null_critical_ratio",
        "gauge",
        "ratio",
        "Excess of the null ratio over the baseline's that a window of this size exceeds with probability alpha "
        "without any change.",
        _MWBF,
    ),
    Metric("ml_feature_baseline_invalid_ratio", "gauge", "ratio", "ml_feature_invalid_ratio of the reference.", _MBF),
    Metric(
        "ml_feature_baseline_out_of_range_ratio",
        "gauge",
        "ratio",
        "ml_feature_out_of_range_ratio of the reference.",
        _MBF,
    ),
    Metric(
        "ml_feature_baseline_unseen_category_ratio",
        "gauge",
        "ratio",
        "ml_feature_unseen_category_ratio of the reference.",
        _MBF,
    ),
    Metric(
        "ml_schema_violations_total",
        "counter",
        "",
        "Values that break the schema in rows that were kept, by kind.",
        ("model", "kind"),
    ),
    # drift
    Metric(
        "ml_feature_psi", "gauge", "", "Population stability index of the valid values against the baseline.", _MWBF
    ),
    Metric(
        "ml_feature_psi_critical",
        "gauge",
        "",
        "PSI that a window of this size exceeds with probability alpha without any drift.",
        _MWBF,
    ),
    Metric(
        "ml_feature_psi_overdispersion",
        "gauge",
        "",
        "How much more PSI varies between the reference's own windows than for independent rows.",
        _MWBF,
    ),
    Metric(
        "ml_feature_mean_shift_sigmas",
        "gauge",
        "",
        "Mean minus baseline mean, in robust standard deviations of the baseline.",
        _MWBF,
    ),
    Metric(
        "ml_feature_mean_shift_critical_sigmas",
        "gauge",
        "",
        "Absolute mean shift that a window of this size exceeds with probability alpha without any drift.",
        _MWBF,
    ),
    Metric(
        "ml_feature_js_distance",
        "gauge",
        "",
        "Jensen-Shannon distance (base 2, 0 to 1) of the valid values from the baseline, over the fine bins; "
        "on request.",
        _MWBF,
    ),
    Metric(
        "ml_feature_js_distance_critical",
        "gauge",
        "",
        "ml_feature_js_distance that a window of this size exceeds with probability alpha without any drift.",
        _MWBF,
    ),
    Metric(
        "ml_feature_ks_statistic",
        "gauge",
        "",
        "Kolmogorov-Smirnov statistic of the valid values against the baseline, at the edges of the fine bins; "
        "on request.",
        _MWBF,
    ),
    Metric(
        "ml_feature_ks_statistic_critical",
        "gauge",
        "",
        "ml_feature_ks_statistic that a window of this size exceeds with probability alpha without any drift.",
        _MWBF,
    ),
    Metric(
        "ml_feature_wasserstein",
        "gauge",
        "",
        "Wasserstein distance of the valid values from the baseline, in its robust standard deviations, with the "
        "values of a bin taken at its middle; on request.",
        _MWBF,
    ),
    Metric(
        "ml_feature_wasserstein_critical",
        "gauge",
        "",
        "ml_feature_wasserstein that a window of this size exceeds with probability alpha without any drift.",
        _MWBF,
    ),
    Metric(
        "ml_feature_spread_factor",
        "gauge",
        "",
        "Standard deviation of the valid values, over what is usual within the baseline's own windows of that length; "
        "on request.",
        _MWBF,
    ),
    Metric(
        "ml_feature_spread_factor_critical",
        "gauge",
        "",
        "Factor by which the spread is above or below the usual one with probability alpha without any drift.",
        _MWBF,
    ),
    Metric(
        "ml_multivariate_drift",
        "gauge",
        "",
        "Shift of the mean PCA reconstruction error of the numeric features, in standard deviations of the baseline.",
        _MWB,
    ),
    Metric(
        "ml_multivariate_drift_critical",
        "gauge",
        "",
        "Absolute multivariate drift that a window of this size exceeds with probability alpha without any drift.",
        _MWB,
    ),
    Metric(
        "ml_false_alarm_alpha",
        "gauge",
        "",
        "Probability of a false alarm for each series and window, from the budget.",
        ("model", "signal", "window"),
    ),
    # predictions
    Metric("ml_prediction_class_ratio", "gauge", "ratio", "Share of predictions of the class.", _MWCS, _SEGMENT),
    Metric(
        "ml_prediction_baseline_class_ratio",
        "gauge",
        "ratio",
        "Share of predictions of the class in the baseline.",
        ("model", "baseline", "class"),
    ),
    Metric(
        "ml_prediction_class_shift_sigmas",
        "gauge",
        "",
        "Class share minus baseline share, in standard errors of the reference's own windows.",
        _MWBC,
    ),
    Metric(
        "ml_prediction_class_shift_critical_sigmas",
        "gauge",
        "",
        "Absolute class shift exceeded with probability alpha without any drift.",
        _MWBC,
    ),
    Metric(
        "ml_prediction_psi",
        "gauge",
        "",
        "Population stability index of the scores (or confidences, or numbers) against the baseline.",
        _MWB,
    ),
    Metric(
        "ml_prediction_psi_critical",
        "gauge",
        "",
        "PSI of the scores that a window of this size exceeds with probability alpha.",
        _MWB,
    ),
    Metric(
        "ml_prediction_mean_shift_sigmas",
        "gauge",
        "",
        "Mean prediction of a regression minus that of the baseline, in robust standard deviations of the baseline.",
        _MWB,
    ),
    Metric(
        "ml_prediction_mean_shift_critical_sigmas",
        "gauge",
        "",
        "Absolute mean shift of the predictions that a window of this size exceeds with probability alpha.",
        _MWB,
    ),
    Metric(
        "ml_prediction_concentration_ratio",
        "gauge",
        "ratio",
        "Share of pairs of predictions with the same answer: class and bin of the score, or bin of the number.",
        _MW,
    ),
    Metric(
        "ml_prediction_baseline_concentration_ratio",
        "gauge",
        "ratio",
        "ml_prediction_concentration_ratio of the reference.",
        _MB,
    ),
    Metric(
        "ml_prediction_concentration_critical_ratio",
        "gauge",
        "ratio",
        "Excess of the concentration over the baseline's that a window of this size exceeds with probability alpha.",
        _MWB,
    ),
    Metric(
        "ml_prediction_spread",
        "gauge",
        "",
        "Standard deviation of the answers: of the logits of scores or confidences, or of numbers in robust sigmas.",
        _MW,
    ),
    Metric("ml_prediction_baseline_spread", "gauge", "", "ml_prediction_spread of the reference.", _MB),
    Metric(
        "ml_prediction_spread_critical",
        "gauge",
        "",
        "Difference of the spread from the baseline's, of either sign, that a window exceeds with probability alpha.",
        _MWB,
    ),
    Metric("ml_prediction_confidence_mean", "gauge", "ratio", "Mean probability of the predicted class.", _MW),
    Metric(
        "ml_prediction_fallback_ratio",
        "gauge",
        "ratio",
        "Share of predictions in which a default answer was served.",
        _MW,
    ),
    Metric("ml_prediction_error_ratio", "gauge", "ratio", "Share of requests that ended in an error.", _MW),
    Metric(
        "ml_prediction_outlier_ratio",
        "gauge",
        "ratio",
        "Share of rows that the baseline does not know. `reason`: a value far beyond its range or an unseen category "
        "(range), values that do not go together (distance), a number or a score far beyond its range (prediction).",
        (*_MW, *_REASON),
        _REASON,
    ),
    Metric(
        "ml_prediction_baseline_outlier_ratio",
        "gauge",
        "ratio",
        "ml_prediction_outlier_ratio of the baseline, each row judged by its other days.",
        (*_MB, *_REASON),
        _REASON,
    ),
    Metric(
        "ml_prediction_outlier_critical_ratio",
        "gauge",
        "ratio",
        "Excess of the outlier ratio over the baseline's that a window of this size exceeds with probability alpha "
        "without any change.",
        (*_MWB, *_REASON),
        _REASON,
    ),
    Metric(
        "ml_prediction_repeated_ratio",
        "gauge",
        "ratio",
        "Share of predictions with an id that an earlier one had.",
        _MW,
    ),
    # latency
    Metric(
        "ml_prediction_latency_seconds",
        "histogram",
        "seconds",
        "Latency of predictions read since the exporter started.",
        _M,
    ),
    Metric(
        "ml_window_latency_seconds",
        "gauge",
        "seconds",
        "Quantile q of the latency in the window, interpolated in buckets.",
        ("model", "window", "q"),
    ),
    Metric(
        "ml_window_latency_over_limit_ratio",
        "gauge",
        "ratio",
        "Share of predictions slower than the configured limit.",
        _MW,
    ),
    # quality
    *_quality_metrics(),
    *_estimated_metrics(),
    # versions that serve at the same time
    Metric(
        "ml_version_prediction_psi",
        "gauge",
        "",
        "Population stability index of the scores of two versions, over panes in which both served.",
        _MWVP,
    ),
    Metric(
        "ml_version_prediction_psi_critical",
        "gauge",
        "",
        "PSI that two versions of the same scores exceed with probability alpha.",
        _MWVP,
    ),
    Metric(
        "ml_version_class_shift_sigmas",
        "gauge",
        "",
        "Class share minus the peer's, in standard errors, over panes in which both served.",
        (*_MWVP, "class"),
    ),
    Metric(
        "ml_version_quality_difference",
        "gauge",
        "",
        "A measure of quality minus the peer's, over panes in which both served and whose labels have matured.",
        (*_MWVP, "metric"),
    ),
    *(
        Metric(
            f"ml_version_quality_difference_{bound}",
            "gauge",
            "",
            f"{bound.capitalize()} end of the 95 % interval of ml_version_quality_difference.",
            (*_MWVP, "metric"),
        )
        for bound in ("lower", "upper")
    ),
    Metric(
        "ml_labelled_rows",
        "gauge",
        "",
        "Labelled predictions in the window that quality is computed over.",
        _MWS,
        _SEGMENT,
    ),
    Metric(
        "ml_baseline_labelled_rows", "gauge", "", "Labelled predictions behind ml_baseline_accuracy and its kin.", _MB
    ),
    Metric(
        "ml_labelled_predictions_total",
        "counter",
        "",
        "Predictions that got their first label since the exporter started.",
        _M,
    ),
    Metric(
        "ml_correct_predictions_total",
        "counter",
        "",
        "Predictions whose first label agreed, since the exporter started.",
        _M,
    ),
    Metric(
        "ml_confusion_total",
        "counter",
        "",
        "Labelled predictions by actual and predicted class, of up to 20 classes.",
        ("model", "actual", "predicted"),
    ),
    # labels
    Metric(
        "ml_labels_total",
        "counter",
        "",
        "Labels read since the exporter started, by what became of them.",
        ("model", "status"),
    ),
    Metric(
        "ml_label_coverage_ratio",
        "gauge",
        "ratio",
        "Share of predictions in the matured window that have a label.",
        _MW,
    ),
    Metric(
        "ml_label_selection_psi",
        "gauge",
        "",
        "PSI between the scores of labelled and of unlabelled predictions in the matured window.",
        _MW,
    ),
    Metric(
        "ml_label_selection_psi_critical",
        "gauge",
        "",
        "ml_label_selection_psi that a window exceeds with probability alpha if labels come as in the baseline.",
        _MW,
    ),
    Metric(
        "ml_label_delay_seconds",
        "histogram",
        "seconds",
        "Time from prediction to label, since the exporter started.",
        _M,
    ),
    Metric("ml_last_label_timestamp_seconds", "gauge", "seconds", "Event time of the newest label read.", _M),
    # history
    Metric(
        "ml_control_limit",
        "gauge",
        "",
        "Where a signal is expected if all goes on as in the days before, in its unit: centre, lower, upper; range is "
        "the largest step from day to day.",
        ("model", "window", "signal", "bound"),
    ),
    # the exporter
    Metric("ml_exporter_build_info", "gauge", "", "1, with the version that runs.", ("version", "python_version")),
    Metric("ml_exporter_rows_read_total", "counter", "", "Lines read, also the rejected ones.", ("source",)),
    Metric(
        "ml_exporter_rows_rejected_total",
        "counter",
        "",
        "Rows refused, by reason, each once for a reason. no_model: no model wants it.",
        ("source", "reason"),
    ),
    Metric(
        "ml_exporter_files_lost_total",
        "counter",
        "",
        "Log files that were truncated or vanished with no copy in sight: what was written to them since the last look "
        "was not read.",
        ("source",),
    ),
    Metric("ml_exporter_source_up", "gauge", "", "1 if the last attempt to read the source worked.", ("source",)),
    Metric(
        "ml_exporter_source_lag_bytes",
        "gauge",
        "bytes",
        "Bytes written to the source's files that are not read yet.",
        ("source",),
    ),
    Metric(
        "ml_exporter_source_lag_seconds",
        "gauge",
        "seconds",
        "Time since the newest bytes that are not read yet were written; 0 when all is read.",
        ("source",),
    ),
    Metric(
        "ml_exporter_join_pending_rows",
        "gauge",
        "",
        "Predictions that wait for a label, and labels that wait for their prediction.",
        ("model", "side"),
    ),
    Metric(
        "ml_exporter_join_dropped_total",
        "counter",
        "",
        "Predictions and labels that were given up while they waited, because too many did or their file was damaged.",
        ("model", "side"),
    ),
    Metric(
        "ml_exporter_join_repeated_ids_total",
        "counter",
        "",
        "Predictions with the id of an earlier one. A label counts for the earlier one alone.",
        _M,
    ),
    Metric(
        "ml_exporter_config_last_reload_successful",
        "gauge",
        "",
        "1 if the running configuration is the one on disk at the last reload.",
        (),
    ),
    Metric(
        "ml_exporter_web_config_last_reload_successful",
        "gauge",
        "",
        "1 if the web configuration and its certificates are in force as they are on disk, or there are none.",
        (),
    ),
    Metric(
        "ml_exporter_last_evaluation_timestamp_seconds", "gauge", "seconds", "When the windows were last evaluated.", ()
    ),
    Metric("ml_exporter_evaluation_duration_seconds", "gauge", "seconds", "How long the last evaluation took.", ()),
    Metric("ml_exporter_state_up", "gauge", "", "1 if the last commit of the state worked.", ()),
    Metric(
        "ml_exporter_dead_letter_failures_total",
        "counter",
        "",
        "Times that the notes about refused lines could not be written to the dead-letter file.",
        (),
    ),
    Metric(
        "ml_exporter_state_set_aside",
        "gauge",
        "",
        "Damaged states and runs that were set aside in the state directory and wait for somebody to look at them.",
        (),
    ),
    Metric(
        "ml_exporter_clock_jumps_total",
        "counter",
        "",
        "Jumps of the wall clock against the steady one, by direction.",
        ("direction",),
    ),
    Metric("ml_exporter_batch_fit", "gauge", "", "1 if the last run of `once` found the data of the model fit.", _M),
    Metric(
        "ml_exporter_batch_last_run_timestamp_seconds", "gauge", "seconds", "When `once` last ran for the model.", _M
    ),
    Metric(
        "ml_exporter_batch_last_success_timestamp_seconds",
        "gauge",
        "seconds",
        "When `once` last found the data of the model fit.",
        _M,
    ),
    Metric("ml_exporter_batch_rows", "gauge", "", "Lines that the last run of `once` read.", ("source",)),
    Metric(
        "ml_exporter_batch_rejected_rows",
        "gauge",
        "",
        "Rows that the last run of `once` refused, by reason.",
        ("source", "reason"),
    ),
    Metric("ml_exporter_series", "gauge", "", "Series exported for the model.", _M),
    Metric(
        "ml_exporter_series_dropped_total",
        "counter",
        "",
        "Series left out because of a cap, counted at every evaluation, by reason.",
        ("reason",),
    ),
)

BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


def labels_of(sample: Sample | HistogramSample) -> Mapping[str, str]:
    """The labels of a sample by name, without the optional ones that it does not have.

    >>> labels_of(Sample("ml_window_rows", ("fraud", "1d"), 7.0))
    {'model': 'fraud', 'window': '1d'}
    """
    metric = BY_NAME[sample.name]
    pairs = zip(metric.labels, sample.labels, strict=False)
    return {label: value for label, value in pairs if value or label not in metric.optional}
