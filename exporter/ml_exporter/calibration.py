"""From reference data to a baseline: bins, counts by the code that serves, and noise from its own windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.baseline import SCORE, Baseline, Noise, Phi, PsiNoise, feature_range
from ml_exporter.config import Model, Time, kinds, window_seconds
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins, Vector
from ml_exporter.panes import Grid, Panes
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.bins import feature_edges, latency_edges, psi_groups, score_edges
from ml_exporter.statistics.dispersion import fit_dispersion, phi
from ml_exporter.tasks import Binary
from ml_exporter.vitals import data, drift, prediction, quality
from ml_exporter.vitals.windows import Estimate

MAX_CATEGORIES = 200
MINIMUM_ROWS = 20
"""Windows with fewer valid values say nothing about dispersion."""
ENOUGH_WINDOWS = 20
TRAINING_AUC = 0.99
_DELAYS_HOURS = (1 / 60, 1 / 12, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 720)


@dataclass(frozen=True)
class Reference:
    """Counted reference data: its panes, its bounds in microseconds, and the maturity of its labels."""

    panes: Panes
    start_us: int
    end_us: int
    maturity_seconds: float | None


def fit_layout(table: pa.Table, model: Model, time: Time) -> Layout:
    """The layout of a model, with bins and categories from reference rows (columns as in `records`)."""
    hours, threshold = float(time.hour), model.decision_threshold
    return Layout(
        Binary((model.classes[0], model.classes[1]), threshold, tuple(score_edges(threshold).tolist())),
        tuple(latency_edges(float(model.latency.limit)).tolist()),
        tuple(round(hours * delay, 6) for delay in _DELAYS_HOURS),
        tuple(_fit_feature(table, model, name, kind) for name, kind in kinds(model).items()),
    )


def _fit_feature(table: pa.Table, model: Model, name: str, kind: str) -> FeatureBins:
    column = table.column(FEATURE_PREFIX + name)
    if kind == "categorical":
        counts = pc.value_counts(column.drop_null()).to_pylist()
        ranked = sorted(counts, key=lambda item: (-item["counts"], item["values"]))
        return CategoryBins(name, tuple(sorted(item["values"] for item in ranked[:MAX_CATEGORIES])))
    values = np.asarray(column.to_numpy(), np.float64)
    values = np.sort(values[np.isfinite(values)]) + 0.0  # neither order nor -0.0 of the rows reaches the artefact
    if not len(values):
        return NumericBins(name, (), 0.0, 1.0, *feature_range(model, name))
    with np.errstate(over="ignore", invalid="ignore"):  # sentinels like the largest float are values too
        low, centre, high = np.quantile(values, (0.16, 0.5, 0.84)).tolist()
        scale = next(item for item in ((high - low) / 2, float(np.std(values)), 1.0) if 0 < item < np.inf)
    centre = centre if np.isfinite(centre) else 0.0
    return NumericBins(name, tuple(feature_edges(values).tolist()), centre, scale, *feature_range(model, name))


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
    warnings = tuple(_warnings(draft, learned, lengths, total))
    kept = {window: lengths[window] for window in learned}
    return Baseline(name, layout, total, groups, learned, *bounds, kept, summary, warnings)


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
    psi = {}
    for item in (*draft.layout.features, None):
        found = _psi_noise(draft, windows, total, item)
        if found.windows:
            psi[item.name if item else SCORE] = found
    known = [dict(_estimates(draft.layout, vector)) for vector in windows]
    overall = dict(_estimates(draft.layout, total))
    learned = {
        name: _phi([found.get(name) for found in known], item) for name, item in overall.items() if item is not None
    }
    return Noise(psi, {name: item for name, item in learned.items() if item.windows > 1})


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


def _estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    for item in layout.features:
        if isinstance(item, NumericBins):
            yield f"mean:{item.name}", drift.standardised(layout, vector, item)
    yield from data.estimates(layout, vector)
    yield from prediction.estimates(layout, vector)
    yield from quality.estimates(layout, vector)


def _phi(found: Sequence[Estimate | None], overall: Estimate) -> Phi:
    """Phi of one statistic. A window's error is that of the whole reference, scaled to the window's rows."""
    known = [item for item in found if item is not None and item.rows >= MINIMUM_ROWS]
    errors = np.array([overall.standard_error * (overall.rows / item.rows) ** 0.5 for item in known])
    learned = phi(np.array([item.value for item in known]), errors, overall.value)
    return Phi(len(known), learned)


def _summary(layout: Layout, total: Vector, reference: Reference) -> Mapping[str, Any]:
    """What a reviewer wants to see first; nothing here is computed with."""
    rows = int(layout.cells(total, "rows")["rows"][0])
    found = quality.labelled(layout, total)
    shares = layout.cells(total, "predictions")["classes"]
    return {
        "rows": rows,
        "labelled": found.rows,
        "days": round((reference.end_us - reference.start_us) / 86400e6, 2),
        "class_ratios": {
            name: round(int(count) / max(rows, 1), 6) for name, count in zip(layout.classes, shares, strict=True)
        },
        "quality": {name: round(value, 6) for name, value in quality.values(found).items()},
    }


def _warnings(
    draft: Baseline, noise: Mapping[str, Noise], lengths: Mapping[str, float], total: Vector
) -> Iterator[str]:
    found = quality.labelled(draft.layout, total)
    if found.auc and found.auc.value > TRAINING_AUC:
        yield f"AUC on the reference is {found.auc.value:.4f}: use data held out from training."
    for window, seconds in lengths.items():
        if seconds % draft.day_seconds:
            continue
        learned = noise.get(window, Noise({}, {})).psi.get(SCORE)
        windows = learned.windows if learned else 0
        if windows < ENOUGH_WINDOWS and seconds == draft.day_seconds:
            yield f"only {windows} windows of {window} with scores: drift alerts stay warnings below {ENOUGH_WINDOWS}."
