"""Predictions: class shares and their shift, score drift, confidence, default answers, errors."""

import math
from collections.abc import Iterator, Mapping

from ml_exporter.baseline import SCORE, Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.layout import REPEATS, Layout, Vector
from ml_exporter.statistics.dispersion import critical_sigmas
from ml_exporter.units import PROBABILITY_UNIT, Z2_UNIT, Z_UNIT
from ml_exporter.vitals.drift import compare, grouped_scores, limit_of
from ml_exporter.vitals.windows import REFERENCE, Estimate, Windows, alpha_of, mean, phi_of, psi_noise_of, ratio

MEAN = "prediction_mean"
"""The statistic of a regression's mean prediction."""


def class_ratios(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Share of each class by window, and in the reference."""
    layout = baseline.layout
    if not layout.is_class:
        return
    for window in windows.current:
        for name, share in shares(layout, window.vector).items():
            yield Sample("ml_prediction_class_ratio", (windows.model, window.name, name), share)
    for name, share in shares(layout, baseline.vector).items():
        yield Sample("ml_prediction_baseline_class_ratio", (windows.model, REFERENCE, name), share)


def shares(layout: Layout, vector: Vector) -> Mapping[str, float]:
    """Share of each class; nothing without rows, or where predictions are numbers."""
    if not layout.is_class:
        return {}
    counts = layout.cells(vector, "predictions")["classes"]
    rows = int(counts.sum())
    return {name: count / rows for name, count in zip(layout.classes, counts.tolist(), strict=True)} if rows else {}


def class_shift(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Difference of each class share from the reference's, in standard errors: pooled, and widened by phi."""
    layout = baseline.layout
    if not layout.is_class:
        return
    reference = layout.cells(baseline.vector, "predictions")["classes"]
    known = int(reference.sum())
    for window in windows.current:
        counts = layout.cells(window.vector, "predictions")["classes"]
        rows = int(counts.sum())
        if not rows or not known:
            continue
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        for name, here, there in zip(layout.classes, counts.tolist(), reference.tolist(), strict=True):
            pooled = (here + there) / (rows + known)
            noise = phi_of(baseline, window, f"class:{name}")
            error = math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / known) * noise.phi)
            labels = (windows.model, window.name, REFERENCE, name)
            if error > 0:
                yield Sample("ml_prediction_class_shift_sigmas", labels, (here / rows - there / known) / error)
                limit = critical_sigmas(alpha, len(layout.classes), noise.windows, noise.phi)
                yield Sample("ml_prediction_class_shift_critical_sigmas", labels, limit)


def score_psi(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """PSI of the scores against the reference, with what no drift would give."""
    reference = grouped_scores(baseline, baseline.vector)
    for window in windows.current:
        current = grouped_scores(baseline, window.vector)
        found = compare(current, reference, None)
        if found is None:
            continue
        labels = (windows.model, window.name, REFERENCE)
        rows = (int(current.sum()), int(reference.sum()))
        yield Sample("ml_prediction_psi", labels, found.value)
        noise = psi_noise_of(baseline, window, SCORE)
        limit = limit_of(noise, found, rows, alpha_of(windows.alpha, window.seconds, baseline.day_seconds))
        yield Sample("ml_prediction_psi_critical", labels, limit)


def mean_shift(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Shift of the mean prediction of a regression, in robust standard deviations of the reference."""
    layout = baseline.layout
    there = None if layout.is_class else _standardised(layout, baseline.vector)
    for window in windows.current if there else ():
        cells = layout.cells(window.vector, "predictions")
        rows = int(cells["predicted"][0])
        if there is None or not rows:
            continue
        noise = phi_of(baseline, window, MEAN)
        error = there.standard_error * math.sqrt(noise.phi * (there.rows / rows + 1.0))
        labels = (windows.model, window.name, REFERENCE)
        value = int(cells["z"][0]) / Z_UNIT / rows - there.value
        yield Sample("ml_prediction_mean_shift_sigmas", labels, value)
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        limit = critical_sigmas(alpha, 1, noise.windows, noise.phi) * error
        yield Sample("ml_prediction_mean_shift_critical_sigmas", labels, limit)


def _standardised(layout: Layout, vector: Vector) -> Estimate | None:
    """Mean of the standardised predictions of a regression; None below two."""
    cells = layout.cells(vector, "predictions")
    return mean(int(cells["z"][0]) / Z_UNIT, int(cells["z2"][0]) / Z2_UNIT, int(cells["predicted"][0]))


def answers(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Mean confidence, share of default answers, share of errors."""
    for window in windows.current:
        cells = baseline.layout.cells(window.vector, "flags")
        parts = (
            ("confidence_mean", int(cells["confidence"][0]) / PROBABILITY_UNIT, int(cells["confidence_rows"][0])),
            ("fallback_ratio", int(cells["fallback"][0]), int(cells["fallback_rows"][0])),
            ("error_ratio", int(cells["error"][0]), int(cells["error_rows"][0])),
        )
        for name, part, whole in parts:
            if whole:
                yield Sample(f"ml_prediction_{name}", (windows.model, window.name), part / whole)


def repeated(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Share of the predictions that a label can find of which an earlier one had the id."""
    for window in windows.current:
        rows = int(baseline.layout.cells(window.vector, "labels")["joinable"][0])
        if rows:
            again = int(baseline.layout.cells(window.vector, REPEATS)["rows"][0])
            yield Sample("ml_prediction_repeated_ratio", (windows.model, window.name), again / rows)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The statistics of predictions whose noise the baseline learns."""
    if not layout.is_class:
        yield MEAN, _standardised(layout, vector)
        return
    counts = layout.cells(vector, "predictions")["classes"]
    for name, count in zip(layout.classes, counts.tolist(), strict=True):
        yield f"class:{name}", ratio(count, int(counts.sum()))
