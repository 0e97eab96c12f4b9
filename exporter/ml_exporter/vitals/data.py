"""Data quality: rows, and how many values are null, unreadable, out of range, or unknown to the reference."""

from collections.abc import Iterator, Mapping

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.vitals.windows import REFERENCE, Windows


def volume(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Rows and bounds of every window; these stay when a window is stale."""
    for window in windows.current:
        key = (windows.model, window.name)
        yield Sample("ml_window_rows", key, float(baseline.layout.cells(window.vector, "rows")["rows"][0]))
        yield Sample("ml_window_start_timestamp_seconds", key, window.start_us / 1e6)
        yield Sample("ml_window_end_timestamp_seconds", key, window.end_us / 1e6)


def feature_quality(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Null, invalid, out-of-range and unseen ratios of every feature, by window."""
    for window in windows.for_features():
        for item in baseline.layout.features:
            for name, value in ratios(baseline.layout, window.vector, item).items():
                yield Sample(f"ml_feature_{name}_ratio", (windows.model, window.name, item.name), value)


def baseline_feature_quality(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """The same ratios of the reference."""
    for item in baseline.layout.features:
        for name, value in ratios(baseline.layout, baseline.vector, item).items():
            yield Sample(f"ml_feature_baseline_{name}_ratio", (windows.model, REFERENCE, item.name), value)


def ratios(layout: Layout, vector: Vector, item: FeatureBins) -> Mapping[str, float]:
    """Ratios of one feature that have a denominator. Nulls and invalid values are shares of all rows."""
    cells = layout.cells(vector, FEATURE_PREFIX + item.name)
    valid, null = int(cells["valid"][0]), int(cells["null"][0])
    invalid = 0 if isinstance(item, CategoryBins) else int(cells["invalid"][0])
    rows = valid + null + invalid
    found = {"null": null / rows, "invalid": invalid / rows} if rows else {}
    if valid:
        other = "unseen_category" if isinstance(item, CategoryBins) else "out_of_range"
        found[other] = int(cells["unseen" if isinstance(item, CategoryBins) else "out_of_range"][0]) / valid
    return found
