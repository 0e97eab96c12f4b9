"""Quality of a binary model, from its confusion counts, score histograms and sums of losses."""

from collections.abc import Mapping

from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.auc import auc_from_histograms
from ml_exporter.statistics.intervals import MINIMUM_SCORE_LOSSES
from ml_exporter.units import LABEL_STATES, LOSS2_UNIT, LOSS_UNIT, PROBABILITY_UNIT
from ml_exporter.vitals.measures import Measures, area, defined, f1, gap, loss, share


def measures(layout: Layout, vector: Vector) -> Measures:
    """Every measure of the labelled predictions of a vector."""
    cells = layout.cells(vector, "quality")
    tn, fp, fn, tp = cells["confusion"].tolist()
    scored = int(cells["scored"][0])
    positives = int(cells["positive"][0])
    difference = int(cells["score"][0]) / PROBABILITY_UNIT - positives
    negative, positive = _labelled_scores(layout, vector)
    log_loss, brier = losses(cells)
    found = {
        "accuracy": share(tp + tn, tn + fp + fn + tp),
        "precision": share(tp, tp + fp),
        "recall": share(tp, tp + fn),
        "f1": f1(tp, fp, fn),
        "log_loss": loss(log_loss, scored, MINIMUM_SCORE_LOSSES),
        "brier_score": loss(brier, scored, MINIMUM_SCORE_LOSSES, 1.0),
        "calibration_gap": gap((difference, brier[0]), positives, scored),
        "roc_auc": area(auc_from_histograms(positive, negative)),
    }
    return defined(tn + fp + fn + tp, found.items())


def losses(cells: Mapping[str, Vector]) -> list[tuple[float, float]]:
    """Sum and sum of squares of the log loss, and of the Brier score."""
    return [(int(cells[name][0]) / LOSS_UNIT, int(cells[name + "2"][0]) / LOSS2_UNIT) for name in ("log_loss", "brier")]


def _labelled_scores(layout: Layout, vector: Vector) -> Vector:
    """Counts of labelled scores by label and bin, shape (2, bins)."""
    if layout.align == "arrival":
        return layout.cells(vector, "arrived")["histogram"].reshape(len(LABEL_STATES) - 1, -1)
    histogram = layout.cells(vector, "scores")["histogram"]
    by_label: Vector = histogram.reshape(len(layout.classes), len(LABEL_STATES), -1).sum(axis=0)[1:]
    return by_label
