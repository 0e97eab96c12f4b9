"""Outliers: rows that the reference does not know, and by how much more of them there are than in the reference."""

from collections.abc import Iterator

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.joint import REASONS
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.excess import critical_excess
from ml_exporter.vitals.windows import REFERENCE, Estimate, Windows, alpha_of, phi_of, ratio

RATIO = "outliers"
"""The cell of outliers of any reason, and the statistic of their ratio."""


def outlier_ratio(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Share of outliers by window, of all and by reason, in the reference, and the excess that no change would give.

    The reference's rows were judged by its other days. The rows of a window count as at most those that one of its
    length had on average in the reference: outliers come in runs, which fill a busy hour as well as a quiet one.
    """
    for kind, reason in _kinds(baseline.layout):
        known, reference_rows = _counted(baseline.layout, baseline.vector, kind)
        if not reference_rows:
            continue
        yield Sample("ml_prediction_baseline_outlier_ratio", (windows.model, REFERENCE, reason), known / reference_rows)
        for window in windows.current:
            found, rows = _counted(baseline.layout, window.vector, kind)
            if not rows:
                continue
            yield Sample("ml_prediction_outlier_ratio", (windows.model, window.name, reason), found / rows)
            part = window.seconds * 1e6 / max(1, baseline.end_us - baseline.start_us)
            noise = phi_of(baseline, window, _statistic(kind))
            alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
            share = (known + 0.5) / (reference_rows + 1)
            counted = (min(rows, reference_rows * part), reference_rows)
            limit = critical_excess(alpha, share, counted, noise.windows, noise.phi)
            labels = (windows.model, window.name, REFERENCE, reason)
            yield Sample("ml_prediction_outlier_critical_ratio", labels, limit)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The ratios whose noise the baseline learns."""
    for kind, _ in _kinds(layout):
        yield _statistic(kind), ratio(*_counted(layout, vector, kind))


def _kinds(layout: Layout) -> Iterator[tuple[str, str]]:
    """Cells of outliers with the label `reason`: of any reason, then of each."""
    if layout.joint is not None:
        yield RATIO, ""
        yield from ((reason, reason) for reason in REASONS)


def _statistic(kind: str) -> str:
    return f"outlier:{kind}"


def _counted(layout: Layout, vector: Vector, kind: str) -> tuple[int, int]:
    cells = layout.cells(vector, "outliers")
    return int(cells[kind][0]), int(cells["rows"][0])
