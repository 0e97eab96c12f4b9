"""The shape of the answers: a model that always says the same, is less sure than it was, or answers absurdly.

Mean confidence and PSI move with every day's cases. How alike the answers of one day are moves less, so smaller faults
are beyond what the reference's own windows show.
"""

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import logit

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.expected import midpoints
from ml_exporter.statistics.intervals import WIDEST
from ml_exporter.statistics.shape import Shape, concentration, critical_difference, logarithm, pair_variance, spread
from ml_exporter.tasks import Binary, Regression
from ml_exporter.units import Z2_UNIT, Z_UNIT
from ml_exporter.vitals.truth import answers
from ml_exporter.vitals.windows import REFERENCE, Estimate, Window, Windows, alpha_of, phi_of, skew_of

CONCENTRATION, SPREAD = "concentration", "spread"


def answer_concentration(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """The share of pairs of predictions with the same answer, with the excess that chance alone gives.

    Days whose scores are wider or narrower multiply it, so its noise is that of its logarithm. Few rows add what pairs
    have by chance.
    """
    layout = baseline.layout
    there = concentration(answers(layout, baseline.vector).ravel())
    scale = logarithm(there)
    if there is None or scale is None:
        return
    yield Sample("ml_prediction_baseline_concentration_ratio", (windows.model, REFERENCE), there.value)
    for window in windows.for_features():
        here = concentration(answers(layout, window.vector).ravel())
        if here is None:
            continue
        yield Sample("ml_prediction_concentration_ratio", (windows.model, window.name), here.value)
        extra = pair_variance(there.value, here.rows) / there.value**2
        limit = _limit(CONCENTRATION, (windows, window), baseline, (here.rows, scale, extra))
        if limit is not None:
            labels = (windows.model, window.name, REFERENCE)
            excess = there.value * math.expm1(min(limit, WIDEST))
            yield Sample("ml_prediction_concentration_critical_ratio", labels, excess)


def answer_spread(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """The standard deviation of the answers, with the difference that chance alone gives.

    Of the logits of scores or confidences (in bins), or of the predicted numbers in robust standard deviations.
    """
    there = _spread(baseline.layout, baseline.vector)
    if there is None:
        return
    yield Sample("ml_prediction_baseline_spread", (windows.model, REFERENCE), there.value)
    for window in windows.for_features():
        here = _spread(baseline.layout, window.vector)
        if here is None:
            continue
        yield Sample("ml_prediction_spread", (windows.model, window.name), here.value)
        limit = _limit(SPREAD, (windows, window), baseline, (here.rows, there, 0.0))
        if limit is not None:
            yield Sample("ml_prediction_spread_critical", (windows.model, window.name, REFERENCE), limit)


def _limit(
    name: str, at: tuple[Windows, Window], baseline: Baseline, sides: tuple[float, Shape, float]
) -> float | None:
    """The difference from the reference that a window exceeds with probability alpha; None if nothing was learned.

    `sides` are the rows of the window, the statistic in the reference, and what else the window varies by. Rows beyond
    those of an average window of the reference do not count: what the rows of a day share does not average out.
    """
    windows, window = at
    rows, there, extra = sides
    noise = phi_of(baseline, window, name)
    if not noise.windows:
        return None
    alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
    usual = there.rows * window.seconds * 1e6 / max(1, baseline.end_us - baseline.start_us)
    skewness = skew_of(baseline, window, name)
    return critical_difference(alpha, min(rows, usual), there, (noise.windows, noise.phi), extra, skewness)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The statistics of the shape whose noise the baseline learns."""
    alike = logarithm(concentration(answers(layout, vector).ravel()))
    for name, found in ((CONCENTRATION, alike), (SPREAD, _spread(layout, vector))):
        yield name, Estimate(*found) if found else None


def _spread(layout: Layout, vector: Vector) -> Shape | None:
    task = layout.task
    if isinstance(task, Regression):
        cells = layout.cells(vector, "predictions")
        return spread(int(cells["z"][0]) / Z_UNIT, int(cells["z2"][0]) / Z2_UNIT, float(cells["predicted"][0]))
    edges = task.score_edges if isinstance(task, Binary) else task.confidence_edges
    places = logit(midpoints(np.asarray(edges, np.float64)))
    counts = answers(layout, vector).sum(axis=0)
    return spread(float((counts * places).sum()), float((counts * places**2).sum()), float(counts.sum()))
