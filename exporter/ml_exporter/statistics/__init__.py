"""Statistics on plain numpy arrays and floats.

Every function here is pure: no I/O, no clock, no state, and nothing of the rest of the package. Counts are
histograms over bins that were fixed by the reference. None means that the data cannot say; a function never
returns NaN.
"""

from ml_exporter.statistics.auc import Auc, auc_from_histograms, auc_interval
from ml_exporter.statistics.bins import (
    class_score_edges,
    confidence_edges,
    error_edges,
    feature_edges,
    latency_edges,
    psi_groups,
    score_edges,
)
from ml_exporter.statistics.chains import (
    Chain,
    Varying,
    bin_values,
    chain_of,
    critical_chain,
    ks_functions,
    ks_statistic,
    varying,
    wasserstein,
    wasserstein_functions,
)
from ml_exporter.statistics.dispersion import (
    Dispersion,
    JsDispersion,
    alpha_from_budget,
    critical_factor,
    critical_js,
    critical_psi,
    critical_sigmas,
    fit_dispersion,
    fit_js_dispersion,
    interval_sigmas,
    phi,
    state,
)
from ml_exporter.statistics.distances import Js, Psi, floor_other, jensen_shannon, merge_sparse, psi
from ml_exporter.statistics.intervals import Interval, f1_interval, gap_interval, loss_interval, mean_interval, wilson
from ml_exporter.statistics.quantiles import bucket_quantile

__all__ = [
    "Auc",
    "Chain",
    "Dispersion",
    "Interval",
    "Js",
    "JsDispersion",
    "Psi",
    "Varying",
    "alpha_from_budget",
    "auc_from_histograms",
    "auc_interval",
    "bin_values",
    "bucket_quantile",
    "chain_of",
    "class_score_edges",
    "confidence_edges",
    "critical_chain",
    "critical_factor",
    "critical_js",
    "critical_psi",
    "critical_sigmas",
    "error_edges",
    "f1_interval",
    "feature_edges",
    "fit_dispersion",
    "fit_js_dispersion",
    "floor_other",
    "gap_interval",
    "interval_sigmas",
    "jensen_shannon",
    "ks_functions",
    "ks_statistic",
    "latency_edges",
    "loss_interval",
    "mean_interval",
    "merge_sparse",
    "phi",
    "psi",
    "psi_groups",
    "score_edges",
    "state",
    "varying",
    "wasserstein",
    "wasserstein_functions",
    "wilson",
]
