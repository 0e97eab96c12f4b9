"""Vitals: pure functions from the windows of a model and its baseline to samples.

Every vital has the signature `(windows, baseline) -> iterator of Sample`. To add one, write such a function and name it
in the table below; its metrics are declared in `ml_exporter.catalogue`. Nothing here does I/O or knows the time.
"""

from collections.abc import Callable, Iterator

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.vitals import (
    data,
    distances,
    drift,
    earlier,
    estimate,
    history,
    labels,
    latency,
    multivariate,
    outliers,
    prediction,
    quality,
    segments,
    shape,
    versions,
)
from ml_exporter.vitals.windows import Windows

Vital = Callable[[Windows, Baseline], Iterator[Sample]]

ALWAYS: tuple[Vital, ...] = (data.volume,)
"""Vitals that stay when the windows are stale."""

VITALS: tuple[Vital, ...] = (
    data.feature_quality,
    data.baseline_feature_quality,
    data.null_noise,
    drift.feature_psi,
    drift.mean_shift,
    distances.feature_distances,
    multivariate.drift,
    prediction.class_ratios,
    prediction.class_shift,
    prediction.score_psi,
    prediction.mean_shift,
    prediction.answers,
    outliers.outlier_ratio,
    shape.answer_concentration,
    shape.answer_spread,
    prediction.repeated,
    latency.quantiles,
    latency.over_limit,
    quality.quality,
    estimate.estimates,
    estimate.bias,
    labels.coverage,
    labels.selection,
    earlier.earlier,
    versions.versions,
    segments.segments,
    history.control_limits,
)
"""Vitals that are withheld when the windows are stale."""
