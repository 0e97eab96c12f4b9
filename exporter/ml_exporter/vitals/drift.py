"""Drift of features: PSI with its critical value, and the shift of the mean in robust standard deviations."""

import math
from collections.abc import Iterator

import numpy as np

from ml_exporter.baseline import SCORE, Baseline, PsiNoise
from ml_exporter.catalogue import Sample
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.dispersion import Dispersion, critical_psi, critical_sigmas
from ml_exporter.statistics.distances import Psi, floor_other, merge_sparse, psi
from ml_exporter.units import LABEL_STATES, Z2_UNIT, Z_UNIT
from ml_exporter.vitals.windows import REFERENCE, Estimate, Windows, alpha_of, mean, phi_of, psi_noise_of


def feature_psi(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """PSI of every feature against the reference, with what no drift would give."""
    for window in windows.for_features():
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        for item in baseline.layout.features:
            current = grouped(baseline, window.vector, item)
            reference = grouped(baseline, baseline.vector, item)
            found = compare(current, reference, item)
            if found is None:
                continue
            labels = (windows.model, window.name, REFERENCE, item.name)
            noise = psi_noise_of(baseline, window, item.name)
            limit = limit_of(noise, found, (int(current.sum()), int(reference.sum())), alpha)
            yield Sample("ml_feature_psi", labels, found.value)
            yield Sample("ml_feature_psi_critical", labels, limit)
            if noise is not None:
                yield Sample("ml_feature_psi_overdispersion", labels, noise.overdispersion)


def mean_shift(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Shift of each numeric feature's mean, in robust standard deviations of the reference."""
    layout = baseline.layout
    for window in windows.for_features():
        alpha = alpha_of(windows.alpha, window.seconds, baseline.day_seconds)
        for item in layout.features:
            if not isinstance(item, NumericBins):
                continue
            here, there = standardised(layout, window.vector, item), standardised(layout, baseline.vector, item)
            rows = int(layout.cells(window.vector, FEATURE_PREFIX + item.name)["valid"][0])
            if rows == 0 or there is None:
                continue
            labels = (windows.model, window.name, REFERENCE, item.name)
            cells = layout.cells(window.vector, FEATURE_PREFIX + item.name)
            value = int(cells["z"][0]) / Z_UNIT / rows if here is None else here.value
            noise = phi_of(baseline, window, f"mean:{item.name}")
            reference_rows = int(layout.cells(baseline.vector, FEATURE_PREFIX + item.name)["valid"][0])
            error = there.standard_error * math.sqrt(noise.phi * (reference_rows / rows + 1.0))
            yield Sample("ml_feature_mean_shift_sigmas", labels, value - there.value)
            limit = critical_sigmas(alpha, 1, noise.windows, noise.phi) * error
            yield Sample("ml_feature_mean_shift_critical_sigmas", labels, limit)


def grouped(baseline: Baseline, vector: Vector, item: FeatureBins) -> Vector:
    """Counts of a feature's valid values in the bins of PSI."""
    bins = baseline.layout.cells(vector, FEATURE_PREFIX + item.name)["bins"]
    return np.bincount(baseline.groups[item.name], bins).astype(np.int64)


def grouped_scores(baseline: Baseline, vector: Vector) -> Vector:
    """Counts of the scores (or confidences, or predicted numbers) in the bins of PSI, whatever the class and label."""
    return np.bincount(baseline.groups[SCORE], answers(baseline.layout, vector)).astype(np.int64)


def answers(layout: Layout, vector: Vector) -> Vector:
    """Counts of the scores, the confidences or the predicted numbers by bin."""
    if not layout.is_class:
        return layout.cells(vector, "predictions")["bins"]
    histogram = layout.cells(vector, "scores")["histogram"]
    by_bin: Vector = histogram.reshape(len(layout.classes) * len(LABEL_STATES), -1).sum(axis=0)
    return by_bin


def compare(current: Vector, reference: Vector, item: FeatureBins | None) -> Psi | None:
    """PSI of grouped counts. Categories that are too rare for this window are merged first."""
    if not isinstance(item, CategoryBins):
        return psi(current, reference)
    merged, known = merge_sparse(current, reference)
    return psi(merged, floor_other(merged, known))


def limit_of(noise: PsiNoise | None, found: Psi, rows: tuple[int, int], alpha: float) -> float:
    """The critical value of a PSI. `rows` are those of the window and of the reference."""
    dispersion = Dispersion(noise.windows, noise.mean, noise.variance, noise.overdispersion) if noise else None
    return critical_psi(alpha, found.bins, rows[0], rows[1], dispersion)


def standardised(layout: Layout, vector: Vector, item: NumericBins) -> Estimate | None:
    """Mean of z and its standard error; None below two valid values."""
    cells = layout.cells(vector, FEATURE_PREFIX + item.name)
    return mean(int(cells["z"][0]) / Z_UNIT, int(cells["z2"][0]) / Z2_UNIT, int(cells["valid"][0]))
