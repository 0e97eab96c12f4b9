"""The signals whose history is kept, their values in one window, and the limits that follow from it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import QUALITY, Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.quantiles import bucket_quantile
from ml_exporter.statistics.scales import Name
from ml_exporter.units import PROBABILITY_UNIT
from ml_exporter.vitals import quality
from ml_exporter.vitals.windows import Windows

MINIMUM_ROWS = 20
"""Of windows with fewer rows (or, for quality, labelled ones) only the number of rows is kept: the rest is noise."""


class Signal(NamedTuple):
    """How values of a signal vary, and whether they need labels."""

    scale: Name
    matures: bool


_SHARES = ("accuracy", "precision", "recall", "f1", "roc_auc")
_LOSSES = ("log_loss", "brier_score", "mean_absolute_error", "root_mean_squared_error")


def _quality_scale(name: str) -> Name:
    plain = name.removesuffix("_macro")
    return "share" if plain in _SHARES else "positive" if plain in _LOSSES else "signed"


SIGNALS: Mapping[str, Signal] = {
    "window_rows": Signal("count", False),
    "window_latency_seconds_p50": Signal("positive", False),
    "window_latency_seconds_p99": Signal("positive", False),
    "prediction_confidence_mean": Signal("share", False),
    "label_coverage_ratio": Signal("share", True),
    **{name: Signal(_quality_scale(name), True) for name in QUALITY},
}
"""What control charts are for: values without a fixed limit, whose usual level only their own past can tell.

Not among them: distances and shifts, and null ratios, which have critical values from the reference; shares that are
mostly 0 (errors, default answers, invalid, unseen and out-of-range values), of which a chart knows nothing and any
threshold everything; classes, segments and features, whose charts would be a multiple of the budget.
"""


def observed(layout: Layout, vector: Vector, with_labels: bool) -> Mapping[str, float]:
    """The values of one window by signal; those that need labels only if asked for."""
    rows = int(layout.cells(vector, "rows")["rows"][0])
    found = {"window_rows": float(rows)}
    latency = layout.cells(vector, "latency")["buckets"]
    if int(latency.sum()) >= MINIMUM_ROWS:
        for q, name in ((0.5, "p50"), (0.99, "p99")):
            value = bucket_quantile(q, np.asarray(layout.latency_bounds), latency)
            if value is not None:
                found[f"window_latency_seconds_{name}"] = value
    flags = layout.cells(vector, "flags")
    sure = int(flags["confidence_rows"][0])
    if sure >= MINIMUM_ROWS:
        found["prediction_confidence_mean"] = int(flags["confidence"][0]) / PROBABILITY_UNIT / sure
    return found | (_of_labels(layout, vector) if with_labels else {})


def _of_labels(layout: Layout, vector: Vector) -> dict[str, float]:
    labels, measured = layout.cells(vector, "labels"), quality.labelled(layout, vector)
    joinable = int(labels["joinable"][0])
    found = {}
    if joinable >= MINIMUM_ROWS:
        found["label_coverage_ratio"] = int(labels["labelled"][0]) / joinable
    if measured.rows >= MINIMUM_ROWS:
        found |= {name: value for name, value in quality.values(measured).items() if name in QUALITY}
    return found


def control_limits(windows: Windows, _: Baseline) -> Iterator[Sample]:
    """Where the next value of each signal is expected if all goes on as before."""
    for chart in windows.charts:
        for bound, value in chart.bounds():
            yield Sample("ml_control_limit", (windows.model, chart.window, chart.signal, bound), value)
