"""Metrics of the labels, and of the history of a model."""

from ml_exporter.catalogue.kinds import MW, M, Metric

LABELS: tuple[Metric, ...] = (
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
        MW,
    ),
    Metric(
        "ml_label_selection_psi",
        "gauge",
        "",
        "PSI between the scores of labelled and of unlabelled predictions in the matured window.",
        MW,
    ),
    Metric(
        "ml_label_selection_psi_critical",
        "gauge",
        "",
        "ml_label_selection_psi that a window exceeds with probability alpha if labels come as in the baseline.",
        MW,
    ),
    Metric(
        "ml_label_delay_seconds",
        "histogram",
        "seconds",
        "Time from prediction to label, since the exporter started.",
        M,
    ),
    Metric("ml_last_label_timestamp_seconds", "gauge", "seconds", "Event time of the newest label read.", M),
)
HISTORY: tuple[Metric, ...] = (
    Metric(
        "ml_control_limit",
        "gauge",
        "",
        "Where a signal is expected if all goes on as in the days before, in its unit: centre, lower, upper; range is "
        "the largest step from day to day.",
        ("model", "window", "signal", "bound"),
    ),
)
