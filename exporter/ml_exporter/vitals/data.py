"""Data quality: rows, and how many values are null, unreadable, out of range, or unknown to the reference."""

from collections.abc import Iterator, Mapping

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.excess import critical_excess
from ml_exporter.vitals.windows import REFERENCE, Estimate, Windows, alpha_of, phi_of, ratio


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


def null_noise(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """What the null ratio of every feature may exceed the reference's by without any change.

    `critical_excess` for n rows against M: windows have few nulls or many, so their distribution is skewed. p is the
    reference's ratio with half a null more, `(k + 0.5) / (M + 1)`, so that a feature without nulls has a width too.
    n is at most what a window of this length had on average in the reference: a run of nulls fills a busy hour as
    well as a quiet one, so more rows do not make it rarer. A value above 1 - p cannot be exceeded: the window is too
    short for a feature whose nulls come in runs.
    """
    layout = baseline.layout
    for window in windows.for_features():
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        part = window.seconds * 1e6 / max(1, baseline.end_us - baseline.start_us)
        for item in layout.features:
            _, rows = nulls(layout, window.vector, item)
            known, reference_rows = nulls(layout, baseline.vector, item)
            if not rows or not reference_rows:
                continue
            share = (known + 0.5) / (reference_rows + 1)
            noise = phi_of(baseline, window, f"null:{item.name}")
            counted = min(rows, reference_rows * part)
            labels = (windows.model, window.name, REFERENCE, item.name)
            limit = critical_excess(alpha, share, (counted, reference_rows), noise.windows, noise.phi)
            yield Sample("ml_feature_null_critical_ratio", labels, limit)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The statistics of data quality whose noise the baseline learns."""
    for item in layout.features:
        yield f"null:{item.name}", ratio(*nulls(layout, vector, item))


def nulls(layout: Layout, vector: Vector, item: FeatureBins) -> tuple[int, int]:
    """Rows in which a feature is null, and all rows: valid, null and invalid."""
    cells = layout.cells(vector, FEATURE_PREFIX + item.name)
    null = int(cells["null"][0])
    invalid = 0 if isinstance(item, CategoryBins) else int(cells["invalid"][0])
    return null, int(cells["valid"][0]) + null + invalid


def ratios(layout: Layout, vector: Vector, item: FeatureBins) -> Mapping[str, float]:
    """Ratios of one feature that have a denominator. Nulls and invalid values are shares of all rows."""
    cells = layout.cells(vector, FEATURE_PREFIX + item.name)
    null, rows = nulls(layout, vector, item)
    valid = int(cells["valid"][0])
    invalid = rows - null - valid
    found = {"null": null / rows, "invalid": invalid / rows} if rows else {}
    if valid:
        other = "unseen_category" if isinstance(item, CategoryBins) else "out_of_range"
        found[other] = int(cells["unseen" if isinstance(item, CategoryBins) else "out_of_range"][0]) / valid
    return found
