"""Which metrics belong together: a value, and those that it is judged by."""

from collections.abc import Mapping
from typing import NamedTuple

from ml_exporter.catalogue import BY_NAME, ESTIMATED, METRICS, NO_INTERVAL, QUALITY
from ml_exporter.facts.answers.values import Area, Judged
from ml_exporter.vitals.history import SIGNALS


class Critical(NamedTuple):
    """The metric of a critical value, and what of the value is compared with it."""

    metric: str
    judged: Judged


CRITICAL: Mapping[str, Critical] = {
    "ml_feature_psi": Critical("ml_feature_psi_critical", "above"),
    "ml_feature_mean_shift_sigmas": Critical("ml_feature_mean_shift_critical_sigmas", "either side"),
    "ml_feature_js_distance": Critical("ml_feature_js_distance_critical", "above"),
    "ml_feature_ks_statistic": Critical("ml_feature_ks_statistic_critical", "above"),
    "ml_feature_wasserstein": Critical("ml_feature_wasserstein_critical", "above"),
    "ml_feature_spread_factor": Critical("ml_feature_spread_factor_critical", "factor"),
    "ml_feature_null_ratio": Critical("ml_feature_null_critical_ratio", "excess"),
    "ml_multivariate_drift": Critical("ml_multivariate_drift_critical", "either side"),
    "ml_prediction_class_shift_sigmas": Critical("ml_prediction_class_shift_critical_sigmas", "either side"),
    "ml_prediction_psi": Critical("ml_prediction_psi_critical", "above"),
    "ml_prediction_mean_shift_sigmas": Critical("ml_prediction_mean_shift_critical_sigmas", "either side"),
    "ml_prediction_concentration_ratio": Critical("ml_prediction_concentration_critical_ratio", "excess"),
    "ml_prediction_spread": Critical("ml_prediction_spread_critical", "difference"),
    "ml_prediction_outlier_ratio": Critical("ml_prediction_outlier_critical_ratio", "excess"),
    "ml_label_selection_psi": Critical("ml_label_selection_psi_critical", "above"),
    "ml_version_prediction_psi": Critical("ml_version_prediction_psi_critical", "above"),
}
BASELINE: Mapping[str, str] = {
    **{
        f"ml_feature_{name}_ratio": f"ml_feature_baseline_{name}_ratio"
        for name in ("null", "invalid", "out_of_range", "unseen_category")
    },
    "ml_prediction_class_ratio": "ml_prediction_baseline_class_ratio",
    "ml_prediction_concentration_ratio": "ml_prediction_baseline_concentration_ratio",
    "ml_prediction_spread": "ml_prediction_baseline_spread",
    "ml_prediction_outlier_ratio": "ml_prediction_baseline_outlier_ratio",
    "ml_labelled_rows": "ml_baseline_labelled_rows",
    **{f"ml_{name}": f"ml_baseline_{name}" for name in QUALITY},
}
INTERVAL: Mapping[str, tuple[str, str]] = {
    name: (f"{name}_lower", f"{name}_upper")
    for name in (*(f"ml_{name}" for name in QUALITY if name not in NO_INTERVAL), "ml_version_quality_difference")
}
ESTIMATE: Mapping[str, str] = {f"ml_{name}": f"ml_estimated_{name}" for name in ESTIMATED}

_APART = {
    "ml_window_start_timestamp_seconds",
    "ml_window_end_timestamp_seconds",
    "ml_false_alarm_alpha",
    "ml_control_limit",
    "ml_estimated_bias",
    "ml_feature_psi_overdispersion",
}
_COMPANIONS = {
    *(item.metric for item in CRITICAL.values()),
    *BASELINE.values(),
    *(end for ends in INTERVAL.values() for end in ends),
    *(name for estimate in ESTIMATE.values() for name in (estimate, f"{estimate}_error")),
}
VALUES = tuple(
    metric.name
    for metric in METRICS
    if "window" in metric.labels and metric.name not in _APART and metric.name not in _COMPANIONS
)
"""The metrics that are values of a window; all others of a window are shown beside one, or as one of its bounds."""

_AREAS: tuple[tuple[str, Area], ...] = (
    ("ml_window_rows", "volume"),
    ("ml_window_latency", "latency"),
    ("ml_feature_null", "data"),
    ("ml_feature_invalid", "data"),
    ("ml_feature_out_of_range", "data"),
    ("ml_feature_unseen", "data"),
    ("ml_feature_", "drift"),
    ("ml_multivariate_", "drift"),
    ("ml_prediction_", "predictions"),
    ("ml_label_", "labels"),
    ("ml_version_", "versions"),
)


def area(metric: str) -> Area:
    """What a metric is about.

    >>> area("ml_feature_psi"), area("ml_accuracy")
    ('drift', 'quality')
    """
    return next((found for prefix, found in _AREAS if metric.startswith(prefix)), "quality")


def signal(metric: str, labels: Mapping[str, str]) -> str | None:
    """The signal whose history gives a series its control limits; None where it has none.

    >>> signal("ml_window_latency_seconds", {"model": "m", "window": "1d", "q": "0.99"})
    'window_latency_seconds_p99'
    """
    q = f"_p{round(float(labels['q']) * 100)}" if "q" in labels else ""
    name = metric.removeprefix("ml_") + q
    whole = {"model", "window", "q"}.issuperset(labels)
    return name if whole and name in SIGNALS else None


def unit(metric: str) -> str:
    """The unit of a metric: what the catalogue says, and `sigmas` where its name does."""
    return BY_NAME[metric].unit or ("sigmas" if metric.endswith("_sigmas") else "")
