"""The one table of every exported metric.

The exporter renders from it, the docs are generated from it, and the rules import it.

Names follow Prometheus: base units, `_ratio` from 0 to 1, `_total` for counters. `window` is the name of a window
such as `1d`, `baseline` the name of what is compared with (`reference`). One module has one family of metrics.
"""

from collections.abc import Mapping

from ml_exporter.catalogue.data import DATA, IDENTITY, VOLUME
from ml_exporter.catalogue.drift import DRIFT
from ml_exporter.catalogue.exporter import EXPORTER
from ml_exporter.catalogue.kinds import HistogramSample, Metric, Sample, Type
from ml_exporter.catalogue.labels import HISTORY, LABELS
from ml_exporter.catalogue.predictions import LATENCY, PREDICTIONS
from ml_exporter.catalogue.quality import CLASS_QUALITY, ESTIMATED, NO_INTERVAL, QUALITIES, QUALITY, TRUTH, VERSIONS

__all__ = [
    "BY_NAME",
    "CLASS_QUALITY",
    "ESTIMATED",
    "METRICS",
    "NO_INTERVAL",
    "QUALITY",
    "HistogramSample",
    "Metric",
    "Sample",
    "Type",
    "labels_of",
]

METRICS: tuple[Metric, ...] = (
    *IDENTITY,
    *VOLUME,
    *DATA,
    *DRIFT,
    *PREDICTIONS,
    *LATENCY,
    *QUALITIES,
    *VERSIONS,
    *TRUTH,
    *LABELS,
    *HISTORY,
    *EXPORTER,
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
