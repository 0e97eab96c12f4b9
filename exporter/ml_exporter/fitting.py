"""From reference rows to a layout: bins, categories and units, before anything is counted."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.baseline import feature_range
from ml_exporter.columns import floats
from ml_exporter.config import Model, Time, kinds
from ml_exporter.layout import CategoryBins, FeatureBins, Floats, Layout, NumericBins
from ml_exporter.records import FEATURE_PREFIX
from ml_exporter.statistics.bins import (
    class_score_edges,
    confidence_edges,
    error_edges,
    feature_edges,
    latency_edges,
    score_edges,
)
from ml_exporter.tasks import Binary, Multiclass, Regression, Task

MAX_CATEGORIES = 200
_DELAYS_HOURS = (1 / 60, 1 / 12, 0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168, 336, 720)


def fit_layout(table: pa.Table, model: Model, time: Time, labels: pa.Table | None = None) -> Layout:
    """The layout of a model, with bins, categories and units from reference rows and labels (columns as in `records`).

    Labels give the units of a regression's errors.
    """
    hours = float(time.hour)
    return Layout(
        _fit_task(table, model, labels),
        tuple(latency_edges(float(model.latency.limit)).tolist()),
        tuple(round(hours * delay, 6) for delay in _DELAYS_HOURS),
        tuple(_fit_feature(table, model, name, kind) for name, kind in kinds(model).items()),
    )


def _fit_task(table: pa.Table, model: Model, labels: pa.Table | None) -> Task:
    if model.task == "regression":
        return _fit_regression(table, labels)
    if model.task == "binary":
        edges = tuple(score_edges(model.decision_threshold).tolist())
        return Binary((model.classes[0], model.classes[1]), model.decision_threshold, edges)
    of_classes = class_score_edges(len(model.classes)).tolist() if model.predictions.columns.scores else []
    return Multiclass(model.classes, tuple(confidence_edges().tolist()), tuple(of_classes))


def _fit_regression(table: pa.Table, labels: pa.Table | None) -> Regression:
    """Bins of the predictions, and units that keep squares of errors and labels within ±64 of them.

    Errors are counted in units of the reference's root mean squared error, labels from their mean in standard
    deviations. Both follow heavy tails, so clips are rare where robust units would clip. Without labels the
    predictions stand in.
    """
    item = _fit_numeric("prediction", floats(table, "prediction"), (-np.inf, np.inf))
    made, known = _joined(table, labels)
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.sqrt(np.mean(np.sort((known - made) ** 2)))) if len(known) else 0.0
        centre, spread = (float(np.mean(known)), float(np.std(known))) if len(known) else (item.centre, item.scale)
    scales = (_usable(error, item.scale), centre if np.isfinite(centre) else 0.0, _usable(spread, item.scale))
    return Regression(item.edges, item.centre, item.scale, tuple(error_edges().tolist()), *scales)


def _usable(scale: float, other: float) -> float:
    return scale if 0 < scale < np.inf else other


def _joined(table: pa.Table, labels: pa.Table | None) -> tuple[Floats, Floats]:
    """Predicted and actual numbers of every label whose prediction is there, in ascending order of the labels.

    Labels of the prediction records are in the table itself.
    """
    predicted, own = floats(table, "prediction"), floats(table, "label")
    made, known = predicted, own
    if labels is not None:
        place = pc.index_in(labels.column("id"), value_set=table.column("id").combine_chunks())
        matched = pc.is_valid(place)
        made = np.concatenate([made, predicted[np.asarray(place.filter(matched).to_numpy(), np.intp)]])
        known = np.concatenate([known, floats(labels.filter(matched), "label")])
    finite = np.isfinite(made) & np.isfinite(known)
    made, known = made[finite], known[finite]
    order = np.argsort(known, kind="stable")  # so that the order of the rows does not reach the artefact
    return made[order], known[order]


def _fit_feature(table: pa.Table, model: Model, name: str, kind: str) -> FeatureBins:
    if kind == "numeric":
        return _fit_numeric(name, floats(table, FEATURE_PREFIX + name), feature_range(model, name))
    counts = pc.value_counts(table.column(FEATURE_PREFIX + name).drop_null()).to_pylist()
    ranked = sorted(counts, key=lambda item: (-item["counts"], item["values"]))
    return CategoryBins(name, tuple(sorted(item["values"] for item in ranked[:MAX_CATEGORIES])))


def _fit_numeric(name: str, values: Floats, bounds: tuple[float, float]) -> NumericBins:
    """Bins of finite values, and robust units: the median, and half the width from the 16th to the 84th percentile."""
    values = np.sort(values[np.isfinite(values)]) + 0.0  # neither order nor -0.0 of the rows reaches the artefact
    if not len(values):
        return NumericBins(name, (), 0.0, 1.0, *bounds)
    with np.errstate(over="ignore", invalid="ignore"):  # sentinels like the largest float are values too
        low, centre, high = np.quantile(values, (0.16, 0.5, 0.84)).tolist()
        scale = next(item for item in ((high - low) / 2, float(np.std(values)), 1.0) if 0 < item < np.inf)
    centre = centre if np.isfinite(centre) else 0.0
    return NumericBins(name, tuple(feature_edges(values).tolist()), centre, scale, *bounds)
