"""From counted reference data to a baseline: bins of PSI, and the noise of everything from its own windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_exporter.baseline import SCORE, SELECTION, Baseline, Noise, Phi, PsiNoise
from ml_exporter.config import Model, Time, window_seconds
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.panes import Grid, Panes
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.bins import psi_groups
from ml_exporter.statistics.dispersion import fit_dispersion, independent_windows, phi
from ml_exporter.statistics.distances import psi
from ml_exporter.statistics.excess import skewness
from ml_exporter.vitals import (
    data,
    distances,
    drift,
    estimate,
    labels,
    multivariate,
    outliers,
    prediction,
    quality,
    shape,
)
from ml_exporter.vitals.windows import Estimate

MINIMUM_ROWS = 20
"""Windows with fewer valid values say nothing about dispersion."""
ENOUGH_WINDOWS = 20
_SKEWED = (multivariate.STATISTIC, shape.CONCENTRATION, shape.SPREAD)
"""The statistics whose skewness over windows is learned."""
TRAINING_AUC = 0.99
BACKWARDS_AUC = 0.4
"""No model is that bad: the score is that of the other class."""


@dataclass(frozen=True)
class Reference:
    """Counted reference data: its panes, its bounds in microseconds, and the maturity of its labels.

    `warnings` are what was noticed before.
    """

    panes: Panes
    start_us: int
    end_us: int
    maturity_seconds: float | None
    warnings: tuple[str, ...] = ()


def calibrate(name: str, model: Model, time: Time, reference: Reference) -> Baseline:
    """The baseline of counted reference data."""
    layout = reference.panes.layout
    total = reference.panes.sum(*_whole(reference))
    groups = {item.name: _groups(layout, total, item) for item in layout.features}
    groups[SCORE] = tuple(psi_groups(drift.answers(layout, total)).tolist())
    lengths = {window: window_seconds(window, time) for window in _window_names(model)}
    bounds = (reference.start_us, reference.end_us, reference.maturity_seconds, float(time.hour), float(time.day))
    draft = Baseline(name, layout, total, groups, {}, *bounds, {}, {})
    shown = {
        window: seconds for window, seconds in lengths.items() if seconds >= time.hour
    }  # the reference holds hours
    noise = {window: _noise(draft, list(_windows_of(reference, seconds)), total) for window, seconds in shown.items()}
    learned = {window: item for window, item in noise.items() if item.psi or item.phi}
    summary = _summary(layout, total, reference)
    warnings = (*reference.warnings, *_warnings(draft, learned, lengths, total))
    kept = {window: lengths[window] for window in learned}
    independent = distances.independent_of(layout, total)
    return Baseline(name, layout, total, groups, learned, *bounds, kept, summary, warnings, independent=independent)


def _window_names(model: Model) -> Sequence[str]:
    windows = model.windows
    return tuple(dict.fromkeys((*windows.head, *windows.features, *windows.quality)))


def _whole(reference: Reference) -> tuple[int, int]:
    hour = reference.panes.grid.hour_us
    return reference.start_us // hour * hour, -(-(reference.end_us + 1) // hour) * hour


def _windows_of(reference: Reference, seconds: float) -> Iterator[Vector]:
    """The reference's own windows of one length that do not overlap and lie wholly within it."""
    grid: Grid = reference.panes.grid
    unit = grid.hour_us if seconds * 1e6 >= grid.hour_us else grid.pane_us
    length = max(unit, round(seconds * 1e6 / unit) * unit)
    start, end = _whole(reference)
    while start + length <= end:
        yield reference.panes.sum(start, start + length)
        start += length


def _groups(layout: Layout, total: Vector, item: FeatureBins) -> tuple[int, ...]:
    bins = layout.cells(total, FEATURE_PREFIX + item.name)["bins"]
    if isinstance(item, CategoryBins):
        return tuple(range(len(bins)))
    return tuple(psi_groups(bins).tolist())


def _noise(draft: Baseline, windows: list[Vector], total: Vector) -> Noise:
    """How PSI and every estimate vary over the reference's own windows."""
    if len(windows) < 2:
        return Noise({}, {})
    psis = {}
    for item in (*draft.layout.features, None):
        found = _psi_noise(draft, windows, total, item)
        if found.windows:
            psis[item.name if item else SCORE] = found
    chosen = _selection_noise(draft, windows)
    if chosen.windows:
        psis[SELECTION] = chosen
    known = [dict(_estimates(draft.layout, vector)) for vector in windows]
    overall = dict(_estimates(draft.layout, total))
    learned = {
        name: _phi([found.get(name) for found in known], item) for name, item in overall.items() if item is not None
    }
    phis = {name: item for name, item in learned.items() if item.windows > 1}
    skews = {name: _skewness(name, [found.get(name) for found in known]) for name in _SKEWED if name in phis}
    phis |= estimate.noise(draft.layout, windows, total)
    for name, (found_phi, skew) in distances.chain_noise(draft.layout, windows, total, MINIMUM_ROWS):
        phis[name], skews[name] = found_phi, skew
    js = dict(distances.js_noise(draft.layout, windows, total, MINIMUM_ROWS))
    spread = dict(distances.spread_noise(draft.layout, windows, MINIMUM_ROWS))
    return Noise(psis, phis, js, spread, skews)


def _psi_noise(draft: Baseline, windows: list[Vector], total: Vector, item: FeatureBins | None) -> PsiNoise:
    def counts(vector: Vector) -> Vector:
        return drift.grouped_scores(draft, vector) if item is None else drift.grouped(draft, vector, item)

    every, ts, bins = counts(total), [], []
    for vector in windows:
        here = counts(vector)
        rest = every - here
        n, m = int(here.sum()), int(rest.sum())
        found = drift.compare(here, rest, item) if n >= MINIMUM_ROWS and m >= MINIMUM_ROWS else None
        if found is not None:
            ts.append(found.value / (1 / n + 1 / m))
            bins.append(found.bins)
    fitted = fit_dispersion(np.array(ts), np.array(bins, np.int64))
    return PsiNoise(fitted.windows, fitted.mean, fitted.variance, fitted.overdispersion)


def _selection_noise(draft: Baseline, windows: list[Vector]) -> PsiNoise:
    """How scores of labelled and unlabelled rows differ within the reference's own windows."""
    pairs = [labels.scores_by_label(draft, vector) for vector in windows] if draft.layout.is_class else []
    rows = [(int(none.sum()), int(some.sum()), none, some) for none, some in pairs]
    found = [(n, m, psi(some, none)) for n, m, none, some in rows if min(n, m) >= MINIMUM_ROWS]
    known = [(item.value / (1 / n + 1 / m), item.bins) for n, m, item in found if item is not None]
    ts, bins = np.array([t for t, _ in known]), np.array([count for _, count in known], np.int64)
    fitted = fit_dispersion(ts, bins)
    return PsiNoise(fitted.windows, fitted.mean, fitted.variance, fitted.overdispersion)


def _estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    for item in layout.features:
        if isinstance(item, NumericBins):
            yield f"mean:{item.name}", drift.standardised(layout, vector, item)
    yield from data.estimates(layout, vector)
    yield from prediction.estimates(layout, vector)
    yield from outliers.estimates(layout, vector)
    yield from multivariate.estimates(layout, vector)
    yield from shape.estimates(layout, vector)
    yield from quality.estimates(layout, vector)


def _phi(found: Sequence[Estimate | None], overall: Estimate) -> Phi:
    """Phi of one statistic. A window's error is that of the whole reference, scaled to the window's rows."""
    known = [item for item in found if item is not None and item.rows >= MINIMUM_ROWS]
    errors = np.array([overall.standard_error * (overall.rows / item.rows) ** 0.5 for item in known])
    learned = phi(np.array([item.value for item in known]), errors, overall.value)
    gaps = [item.value if item is not None and item.rows >= MINIMUM_ROWS else np.nan for item in found]
    return Phi(independent_windows(np.array(gaps)), learned)


def _skewness(name: str, found: Sequence[Estimate | None]) -> float:
    """Skewness of one statistic over the windows with enough rows; to the side that alerts look at, or to either."""
    values = np.array([item.value for item in found if item is not None and item.rows >= MINIMUM_ROWS])
    return max(skewness(values), skewness(-values)) if name == shape.SPREAD else skewness(values)


def _summary(layout: Layout, total: Vector, reference: Reference) -> Mapping[str, Any]:
    """What a reviewer wants to see first; nothing here is computed with."""
    rows = int(layout.cells(total, "rows")["rows"][0])
    found = quality.labelled(layout, total)
    return {
        "rows": rows,
        "labelled": found.rows,
        "days": round((reference.end_us - reference.start_us) / 86400e6, 2),
        **({"class_ratios": _class_ratios(layout, total, rows)} if layout.is_class else {}),
        "quality": {name: round(value, 6) for name, value in quality.values(found).items()},
    }


def _class_ratios(layout: Layout, total: Vector, rows: int) -> Mapping[str, float]:
    shares = layout.cells(total, "predictions")["classes"]
    return {name: round(int(count) / max(rows, 1), 6) for name, count in zip(layout.classes, shares, strict=True)}


def _warnings(
    draft: Baseline, noise: Mapping[str, Noise], lengths: Mapping[str, float], total: Vector
) -> Iterator[str]:
    found = quality.values(quality.labelled(draft.layout, total))
    auc = found.get("roc_auc", found.get("roc_auc_macro", 0.0))
    if auc > TRAINING_AUC:
        yield f"AUC on the reference is {auc:.4f}: use data held out from training."
    elif 0.0 < auc < BACKWARDS_AUC:
        yield f"AUC on the reference is {auc:.4f}: scores and labels disagree. Name the negative class first."
    what = "scores" if draft.layout.is_class else "predictions"
    for window, seconds in lengths.items():
        if seconds % draft.day_seconds:
            continue
        learned = noise.get(window, Noise({}, {})).psi.get(SCORE)
        windows = learned.windows if learned else 0
        if windows < ENOUGH_WINDOWS and seconds == draft.day_seconds:
            yield f"only {windows} windows of {window} with {what}: drift alerts stay warnings below {ENOUGH_WINDOWS}."
