"""Metrics of quality: by labels, estimated without them, and of versions that serve at the same time."""

from collections.abc import Mapping

from ml_exporter.catalogue.kinds import MB, MW, MWS, MWVP, SEGMENT, M, Metric

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
        optional = (*a_class, *SEGMENT)
        rows.append(Metric(f"ml_{name}", "gauge", "", f"{meaning}, {late}.", (*MW, *optional), optional))
        for bound in () if name in NO_INTERVAL else ("lower", "upper"):
            text = f"{bound.capitalize()} end of the 95 % interval of ml_{name}."
            rows.append(Metric(f"ml_{name}_{bound}", "gauge", "", text, (*MW, *optional), optional))
        text = f"{meaning}, in the reference, or in the 30 days before the window of a day (previous_30d)."
        rows.append(Metric(f"ml_baseline_{name}", "gauge", "", text, (*MB, *a_class), a_class))
    return tuple(rows)


def _estimated_metrics() -> tuple[Metric, ...]:
    rows = []
    for name in ESTIMATED:
        text = f"ml_{name} that is to be expected of the window's predictions without labels. Blind to concept drift."
        rows.append(Metric(f"ml_estimated_{name}", "gauge", "", text, MW))
        text = f"95 % half width of the realised ml_{name} around ml_estimated_{name}, as the reference's windows vary."
        rows.append(Metric(f"ml_estimated_{name}_error", "gauge", "", text, MW))
    text = "Realised minus estimated quality of the labelled predictions of the last matured window."
    return (*rows, Metric("ml_estimated_bias", "gauge", "", text, ("model", "window", "metric")))


QUALITIES: tuple[Metric, ...] = _quality_metrics() + _estimated_metrics()
VERSIONS: tuple[Metric, ...] = (
    Metric(
        "ml_version_prediction_psi",
        "gauge",
        "",
        "Population stability index of the scores of two versions, over panes in which both served.",
        MWVP,
    ),
    Metric(
        "ml_version_prediction_psi_critical",
        "gauge",
        "",
        "PSI that two versions of the same scores exceed with probability alpha.",
        MWVP,
    ),
    Metric(
        "ml_version_class_shift_sigmas",
        "gauge",
        "",
        "Class share minus the peer's, in standard errors, over panes in which both served.",
        (*MWVP, "class"),
    ),
    Metric(
        "ml_version_quality_difference",
        "gauge",
        "",
        "A measure of quality minus the peer's, over panes in which both served and whose labels have matured.",
        (*MWVP, "metric"),
    ),
    *(
        Metric(
            f"ml_version_quality_difference_{bound}",
            "gauge",
            "",
            f"{bound.capitalize()} end of the 95 % interval of ml_version_quality_difference.",
            (*MWVP, "metric"),
        )
        for bound in ("lower", "upper")
    ),
)
TRUTH: tuple[Metric, ...] = (
    Metric(
        "ml_labelled_rows",
        "gauge",
        "",
        "Labelled predictions in the window that quality is computed over.",
        MWS,
        SEGMENT,
    ),
    Metric(
        "ml_baseline_labelled_rows", "gauge", "", "Labelled predictions behind ml_baseline_accuracy and its kin.", MB
    ),
    Metric(
        "ml_labelled_predictions_total",
        "counter",
        "",
        "Predictions that got their first label since the exporter started.",
        M,
    ),
    Metric(
        "ml_correct_predictions_total",
        "counter",
        "",
        "Predictions whose first label agreed, since the exporter started.",
        M,
    ),
    Metric(
        "ml_confusion_total",
        "counter",
        "",
        "Labelled predictions by actual and predicted class, of up to 20 classes.",
        ("model", "actual", "predicted"),
    ),
)
