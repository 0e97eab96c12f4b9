"""Latency: quantiles, and the share of predictions beyond the agreement."""

from collections.abc import Iterator

import numpy as np

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.statistics.quantiles import bucket_quantile
from ml_exporter.vitals.windows import Windows

QUANTILES = ("0.5", "0.9", "0.99")


def quantiles(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Quantiles of the latency by window, interpolated in the buckets."""
    bounds = np.asarray(baseline.layout.latency_bounds)
    for window in windows.current:
        counts = baseline.layout.cells(window.vector, "latency")["buckets"]
        for q in QUANTILES:
            value = bucket_quantile(float(q), bounds, counts)
            if value is not None:
                yield Sample("ml_window_latency_seconds", (windows.model, window.name, q), value)


def over_limit(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Share of predictions slower than the limit, which is a bucket's bound, so the share is exact."""
    place = baseline.layout.latency_bounds.index(windows.latency_limit_seconds)
    for window in windows.current:
        counts = baseline.layout.cells(window.vector, "latency")["buckets"]
        rows = int(counts.sum())
        if rows:
            slow = int(counts[place + 1 :].sum())
            yield Sample("ml_window_latency_over_limit_ratio", (windows.model, window.name), slow / rows)
