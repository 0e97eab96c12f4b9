"""Drift of features: PSI with its critical value, and the shift of the mean in robust standard deviations."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ml_exporter.baseline import SCORE, Baseline, PsiNoise
from ml_exporter.catalogue import Sample
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.dispersion import Dispersion, critical_psi, critical_sigmas
from ml_exporter.statistics.distances import (
    Counts,
    Psi,
    floor_other,
    frequent,
    merge_sparse,
    psi,
    psi_parts,
    rows_to_keep_one,
)
from ml_exporter.units import LABEL_STATES, Z2_UNIT, Z_UNIT
from ml_exporter.vitals.windows import REFERENCE, Estimate, Shortage, Windows, alpha_of, mean, phi_of, psi_noise_of


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
            value, there = shift(baseline, window.vector, item), standardised(layout, baseline.vector, item)
            if value is None or there is None:
                continue
            labels = (windows.model, window.name, REFERENCE, item.name)
            rows = int(layout.cells(window.vector, FEATURE_PREFIX + item.name)["valid"][0])
            noise = phi_of(baseline, window, f"mean:{item.name}")
            reference_rows = int(layout.cells(baseline.vector, FEATURE_PREFIX + item.name)["valid"][0])
            error = there.standard_error * math.sqrt(noise.phi * (reference_rows / rows + 1.0))
            yield Sample("ml_feature_mean_shift_sigmas", labels, value)
            limit = critical_sigmas(alpha, 1, noise.windows, noise.phi) * error
            yield Sample("ml_feature_mean_shift_critical_sigmas", labels, limit)


def shift(baseline: Baseline, vector: Vector, item: NumericBins) -> float | None:
    """How far the mean of z lies from the reference's; None without values, or below two in the reference."""
    layout = baseline.layout
    cells, there = layout.cells(vector, FEATURE_PREFIX + item.name), standardised(layout, baseline.vector, item)
    rows = int(cells["valid"][0])
    return int(cells["z"][0]) / Z_UNIT / rows - there.value if rows and there else None


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
    return psi(*_merged(current, reference, item))


def _merged(current: Vector, reference: Vector, item: FeatureBins | None) -> tuple[Counts, Counts]:
    if not isinstance(item, CategoryBins):
        return current, reference
    merged, known = merge_sparse(current, reference)
    return merged, floor_other(merged, known)


class Part(NamedTuple):
    """A bin that a PSI stands on: the places of its groups, and what it contributes."""

    groups: tuple[int, ...]
    contribution: float


def parts(current: Vector, reference: Vector, item: FeatureBins | None) -> tuple[Part, ...]:
    """The bins of `compare`; their contributions add up to its value. Nothing where it is None."""
    places: list[tuple[int, ...]] = [(place,) for place in range(len(current))]
    if isinstance(item, CategoryBins):
        kept = frequent(current, reference)
        places = [*((int(place),) for place in np.flatnonzero(kept)), tuple(np.flatnonzero(~kept).tolist())]
    found = psi_parts(*_merged(current, reference, item))
    if found is None:
        return ()
    stood_on = [place for place, there in zip(places, found[0].tolist(), strict=True) if there]
    return tuple(Part(place, value) for place, value in zip(stood_on, found[1].tolist(), strict=True))


def shortage(current: Vector, reference: Vector, item: FeatureBins | None) -> Shortage | None:
    """What `compare` lacks where it is None."""
    if compare(current, reference, item) is not None:
        return None
    for counts, side in ((reference, "reference"), (current, "window")):
        if not counts.sum():
            return Shortage(0, 1, f"values in the {side}")
    need = rows_to_keep_one(reference) if isinstance(item, CategoryBins) else None
    rows = int(current.sum())
    return Shortage(rows, need, "values in the window") if need and rows < need else Shortage(1, 2, "bins with values")


def limit_of(noise: PsiNoise | None, found: Psi, rows: tuple[int, int], alpha: float) -> float:
    """The critical value of a PSI. `rows` are those of the window and of the reference."""
    dispersion = Dispersion(noise.windows, noise.mean, noise.variance, noise.overdispersion) if noise else None
    return critical_psi(alpha, found.bins, rows[0], rows[1], dispersion)


def standardised(layout: Layout, vector: Vector, item: NumericBins) -> Estimate | None:
    """Mean of z and its standard error; None below two valid values."""
    cells = layout.cells(vector, FEATURE_PREFIX + item.name)
    return mean(int(cells["z"][0]) / Z_UNIT, int(cells["z2"][0]) / Z2_UNIT, int(cells["valid"][0]))
