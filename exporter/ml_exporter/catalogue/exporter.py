"""Metrics of the exporter itself."""

from ml_exporter.catalogue.kinds import M, Metric

EXPORTER: tuple[Metric, ...] = (
    Metric("ml_exporter_build_info", "gauge", "", "1, with the version that runs.", ("version", "python_version")),
    Metric("ml_exporter_rows_read_total", "counter", "", "Lines read, also the rejected ones.", ("source",)),
    Metric(
        "ml_exporter_rows_rejected_total",
        "counter",
        "",
        "Rows refused, by reason, each once for a reason. no_model: no model wants it. before_windows: the log began "
        "long ago.",
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
        M,
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
    Metric("ml_exporter_batch_fit", "gauge", "", "1 if the last run of `once` found the data of the model fit.", M),
    Metric(
        "ml_exporter_batch_last_run_timestamp_seconds", "gauge", "seconds", "When `once` last ran for the model.", M
    ),
    Metric(
        "ml_exporter_batch_last_success_timestamp_seconds",
        "gauge",
        "seconds",
        "When `once` last found the data of the model fit.",
        M,
    ),
    Metric("ml_exporter_batch_rows", "gauge", "", "Lines that the last run of `once` read.", ("source",)),
    Metric(
        "ml_exporter_batch_rejected_rows",
        "gauge",
        "",
        "Rows that the last run of `once` refused, by reason.",
        ("source", "reason"),
    ),
    Metric("ml_exporter_series", "gauge", "", "Series exported for the model.", M),
    Metric(
        "ml_exporter_series_dropped_total",
        "counter",
        "",
        "Series left out because of a cap, counted at every evaluation, by reason.",
        ("reason",),
    ),
)
