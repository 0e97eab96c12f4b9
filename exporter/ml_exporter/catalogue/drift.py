"""Metrics of how far features moved from the reference."""

from ml_exporter.catalogue.kinds import MWB, MWBF, Metric

DRIFT: tuple[Metric, ...] = (
    Metric("ml_feature_psi", "gauge", "", "Population stability index of the valid values against the baseline.", MWBF),
    Metric(
        "ml_feature_psi_critical",
        "gauge",
        "",
        "PSI that a window of this size exceeds with probability alpha without any drift.",
        MWBF,
    ),
    Metric(
        "ml_feature_psi_overdispersion",
        "gauge",
        "",
        "How much more PSI varies between the reference's own windows than for independent rows.",
        MWBF,
    ),
    Metric(
        "ml_feature_mean_shift_sigmas",
        "gauge",
        "",
        "Mean minus baseline mean, in robust standard deviations of the baseline.",
        MWBF,
    ),
    Metric(
        "ml_feature_mean_shift_critical_sigmas",
        "gauge",
        "",
        "Absolute mean shift that a window of this size exceeds with probability alpha without any drift.",
        MWBF,
    ),
    Metric(
        "ml_feature_js_distance",
        "gauge",
        "",
        "Jensen-Shannon distance (base 2, 0 to 1) of the valid values from the baseline, over the fine bins; "
        "on request.",
        MWBF,
    ),
    Metric(
        "ml_feature_js_distance_critical",
        "gauge",
        "",
        "ml_feature_js_distance that a window of this size exceeds with probability alpha without any drift.",
        MWBF,
    ),
    Metric(
        "ml_feature_ks_statistic",
        "gauge",
        "",
        "Kolmogorov-Smirnov statistic of the valid values against the baseline, at the edges of the fine bins; "
        "on request.",
        MWBF,
    ),
    Metric(
        "ml_feature_ks_statistic_critical",
        "gauge",
        "",
        "ml_feature_ks_statistic that a window of this size exceeds with probability alpha without any drift.",
        MWBF,
    ),
    Metric(
        "ml_feature_wasserstein",
        "gauge",
        "",
        "Wasserstein distance of the valid values from the baseline, in its robust standard deviations, with the "
        "values of a bin taken at its middle; on request.",
        MWBF,
    ),
    Metric(
        "ml_feature_wasserstein_critical",
        "gauge",
        "",
        "ml_feature_wasserstein that a window of this size exceeds with probability alpha without any drift.",
        MWBF,
    ),
    Metric(
        "ml_feature_spread_factor",
        "gauge",
        "",
        "Standard deviation of the valid values, over what is usual within the baseline's own windows of that length; "
        "on request.",
        MWBF,
    ),
    Metric(
        "ml_feature_spread_factor_critical",
        "gauge",
        "",
        "Factor by which the spread is above or below the usual one with probability alpha without any drift.",
        MWBF,
    ),
    Metric(
        "ml_multivariate_drift",
        "gauge",
        "",
        "Shift of the mean PCA reconstruction error of the numeric features, in standard deviations of the baseline.",
        MWB,
    ),
    Metric(
        "ml_multivariate_drift_critical",
        "gauge",
        "",
        "Absolute multivariate drift that a window of this size exceeds with probability alpha without any drift.",
        MWB,
    ),
    Metric(
        "ml_false_alarm_alpha",
        "gauge",
        "",
        "Probability of a false alarm for each series and window, from the budget.",
        ("model", "signal", "window"),
    ),
)
