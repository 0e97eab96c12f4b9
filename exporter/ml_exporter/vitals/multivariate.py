"""Multivariate drift: whether the numeric features still depend on each other as in the reference."""

import math
from collections.abc import Iterator

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.joint import ERROR2_UNIT, ERROR_UNIT
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.dispersion import critical_sigmas
from ml_exporter.statistics.excess import skewed
from ml_exporter.vitals.windows import REFERENCE, Estimate, Windows, alpha_of, mean, phi_of, skew_of

STATISTIC = "reconstruction"


def drift(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Shift of the mean reconstruction error, in standard deviations of the error in the reference.

    Principal components with 90 % of the variance reconstruct each row; the error is its distance from what they say.
    It grows where features stop to depend on each other, spread further or move; it falls where they come closer.
    The errors of the reference are those under components of its other days. The critical value is that of a mean,
    `q sqrt(phi (1/n + 1/M))`, with a q that knows how skewed the means of the reference's windows are: whatever a day
    has in common moves its errors up.
    """
    there = _error(baseline.layout, baseline.vector)
    deviation = there.standard_error * math.sqrt(there.rows) if there else 0.0
    for window in windows.for_features():
        here, rows = _sums(baseline.layout, window.vector)
        if there is None or not rows or not deviation:
            continue
        noise = phi_of(baseline, window, STATISTIC)
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        sigmas = skewed(critical_sigmas(alpha, 1, noise.windows, noise.phi), skew_of(baseline, window, STATISTIC))
        limit = sigmas * math.sqrt(noise.phi * (1 / rows + 1 / there.rows))
        labels = (windows.model, window.name, REFERENCE)
        yield Sample("ml_multivariate_drift", labels, (here / rows - there.value) / deviation)
        yield Sample("ml_multivariate_drift_critical", labels, limit)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The statistic whose noise the baseline learns."""
    if STATISTIC in layout.by_name:
        yield STATISTIC, _error(layout, vector)


def _sums(layout: Layout, vector: Vector) -> tuple[float, int]:
    if STATISTIC not in layout.by_name:
        return 0.0, 0
    cells = layout.cells(vector, STATISTIC)
    return int(cells["error"][0]) / ERROR_UNIT, int(cells["rows"][0])


def _error(layout: Layout, vector: Vector) -> Estimate | None:
    """Mean reconstruction error and its standard error; None below two rows."""
    total, rows = _sums(layout, vector)
    return mean(total, int(layout.cells(vector, STATISTIC)["error2"][0]) / ERROR2_UNIT, rows) if rows else None
