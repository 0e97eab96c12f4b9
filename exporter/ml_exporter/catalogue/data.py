"""Metrics of what a model is, how much comes, and what its features hold."""

from ml_exporter.catalogue.kinds import MB, MBF, MW, MWBF, MWF, MWS, SEGMENT, M, Metric

IDENTITY: tuple[Metric, ...] = (
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
        "ml_baseline_created_timestamp_seconds", "gauge", "seconds", "When the baseline's reference data ended.", MB
    ),
)
VOLUME: tuple[Metric, ...] = (
    Metric("ml_predictions_total", "counter", "", "Predictions read since the exporter started.", ("model", "version")),
    Metric("ml_window_rows", "gauge", "", "Predictions in the window.", MWS, SEGMENT),
    Metric("ml_window_start_timestamp_seconds", "gauge", "seconds", "Start of the window in event time.", MW),
    Metric("ml_window_end_timestamp_seconds", "gauge", "seconds", "End of the window in event time.", MW),
    Metric("ml_last_prediction_timestamp_seconds", "gauge", "seconds", "Event time of the newest prediction read.", M),
)
DATA: tuple[Metric, ...] = (
    Metric("ml_feature_null_ratio", "gauge", "ratio", "Share of rows in which the feature is null.", MWF),
    Metric(
        "ml_feature_invalid_ratio",
        "gauge",
        "ratio",
        "Share of rows in which the feature has a value that cannot be read.",
        MWF,
    ),
    Metric(
        "ml_feature_out_of_range_ratio", "gauge", "ratio", "Share of valid values outside the configured range.", MWF
    ),
    Metric(
        "ml_feature_unseen_category_ratio",
        "gauge",
        "ratio",
        "Share of valid values that the reference does not know.",
        MWF,
    ),
    Metric("ml_feature_baseline_null_ratio", "gauge", "ratio", "ml_feature_null_ratio of the reference.", MBF),
    Metric(
        "ml_feature_null_critical_ratio",
        "gauge",
        "ratio",
        "Excess of the null ratio over the baseline's that a window of this size exceeds with probability alpha "
        "without any change.",
        MWBF,
    ),
    Metric("ml_feature_baseline_invalid_ratio", "gauge", "ratio", "ml_feature_invalid_ratio of the reference.", MBF),
    Metric(
        "ml_feature_baseline_out_of_range_ratio",
        "gauge",
        "ratio",
        "ml_feature_out_of_range_ratio of the reference.",
        MBF,
    ),
    Metric(
        "ml_feature_baseline_unseen_category_ratio",
        "gauge",
        "ratio",
        "ml_feature_unseen_category_ratio of the reference.",
        MBF,
    ),
    Metric(
        "ml_schema_violations_total",
        "counter",
        "",
        "Values that break the schema in rows that were kept, by kind.",
        ("model", "kind"),
    ),
)
