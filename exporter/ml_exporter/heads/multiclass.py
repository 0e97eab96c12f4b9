"""Several classes: confidences by predicted class and right or wrong, confusion, losses, scores of each class."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml_exporter.columns import floats
from ml_exporter.groups import Groups
from ml_exporter.heads.classes import (
    STATES,
    class_codes,
    count_classes,
    count_confidence,
    count_scores,
    move_scores,
    probabilities,
    probability_bins,
    probability_keys,
    sum_losses,
)
from ml_exporter.heads.scored import UNKNOWN_CLASS, Classes, Scored, Values
from ml_exporter.layout import Bools, Floats, Layout, Vector
from ml_exporter.records import SCORE_PREFIX
from ml_exporter.statistics.binner import Binner, Codes, make_binner
from ml_exporter.tasks import Multiclass
from ml_exporter.units import LOSS_UNIT, PROBABILITY_FLOOR, PROBABILITY_UNIT


@dataclass(frozen=True)
class MulticlassHead:
    """The head of a multiclass task."""

    layout: Layout
    task: Multiclass
    binner: Binner

    def predictions(self, table: pa.Table, groups: Groups, matrix: Vector) -> Scored:
        """Counts predictions. Without a prediction column the class with the highest score counts, the first of ties.

        A row whose scores are not all probabilities has none.
        """
        scores = self._scores(table)
        usable: Bools = np.all(probabilities(scores), axis=1)
        predicted = self._predicted(table, scores, usable)
        scored = self.scored(predicted, np.where(usable[:, None], scores, np.nan))
        count_classes(table, predicted, groups, self.layout.cells(matrix, "predictions"))
        kept = scored.known & usable
        cells = self.layout.cells(matrix, "scores")
        count_scores(predicted, scored.bin, kept, groups, cells["histogram"], self._width)
        cells["invalid"][:, 0] = groups.where(~usable & ~np.isnan(scores).all(axis=1))
        count_confidence(self.judged(scored), kept, groups, self.layout.cells(matrix, "flags"))
        return scored

    @property
    def _width(self) -> int:
        return len(self.task.confidence_edges) + 1

    def _scores(self, table: pa.Table) -> Floats:
        """The scores of every row, shape (n, `join_scores`)."""
        by_class = self.task.class_score_edges
        names = [SCORE_PREFIX + name for name in self.task.classes] if by_class else ["score"]
        return np.column_stack([floats(table, name) for name in names])

    def _predicted(self, table: pa.Table, scores: Floats, usable: Bools) -> Classes:
        if "prediction" in table.column_names:
            return class_codes(table.column("prediction"), self.task.classes)
        if not self.task.class_score_edges:
            return np.full(len(scores), UNKNOWN_CLASS, np.int16)
        best = np.where(usable[:, None], scores, 0.0).argmax(axis=1).astype(np.int16)
        return np.where(usable, best, np.int16(UNKNOWN_CLASS))

    def judged(self, scored: Scored) -> Floats:
        """The confidences: the score of each predicted class, NaN for none; shape (n,)."""
        place = np.maximum(scored.predicted, 0) if self.task.class_score_edges else np.zeros(len(scored.predicted))
        confidence: Floats = np.take_along_axis(scored.scores, place.astype(np.intp)[:, None], axis=1)[:, 0]
        return confidence

    def scored(self, predicted: Values, scores: Floats) -> Scored:
        """Predictions that were counted before, with the bins of their confidences found again."""
        found = Scored(predicted, scores, np.zeros(0, np.intp))
        return Scored(predicted, scores, probability_bins(self.judged(found), self.binner))

    def actual(self, column: pa.ChunkedArray) -> Values:
        """Labels as class indices."""
        return class_codes(column, self.task.classes)

    def labels(self, scored: Scored, actual: Values, groups: Groups, matrix: Vector) -> None:
        """Counts answers and losses, and moves confidences to right or wrong."""
        quality = self.layout.cells(matrix, "quality")
        known, predicted = actual.astype(np.intp), scored.predicted.astype(np.intp)
        self._answers(known, predicted, groups, quality)
        confidence = self.judged(scored)
        usable = ~np.isnan(confidence)
        kept, right = groups.take(usable), (known == predicted)[usable]
        before = predicted[usable] * (STATES * self._width) + scored.bin[usable]
        histogram = self.layout.cells(matrix, "scores")["histogram"]
        move_scores(before, right.astype(np.intp) + 1, kept, histogram, self._width)
        _gap(confidence[usable], right, kept, quality)
        if self.task.class_score_edges:
            scores = scored.scores[usable]
            _losses(scores, known[usable], kept, quality)
            self._class_scores(scores, known[usable], kept, self.layout.cells(matrix, "class_scores")["histogram"])

    def _answers(self, actual: Codes, predicted: Codes, groups: Groups, cells: Mapping[str, Vector]) -> None:
        count = len(self.task.classes)
        if self.task.keeps_confusion:
            cells["confusion"][:] = groups.counts(actual * count + predicted, count * count)
            return
        right = actual == predicted
        cells["right"][:] = groups.take(right).counts(actual[right], count)
        cells["called"][:] = groups.counts(predicted, count)
        cells["actual"][:] = groups.counts(actual, count)

    def _class_scores(self, scores: Floats, actual: Codes, groups: Groups, histogram: Vector) -> None:
        """Counts the score of every class, apart for rows of other classes and of this one."""
        width = len(self.task.class_score_edges) + 1
        edges = np.asarray(self.task.class_score_edges, np.float64)
        for place in range(len(self.task.classes)):
            code = np.searchsorted(edges, scores[:, place], side="right") + (actual == place) * width
            histogram[:, place * 2 * width : (place + 1) * 2 * width] = groups.counts(code, 2 * width)


def _gap(confidence: Floats, right: Bools, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Sums confidence and hits, and the squares of their differences."""
    cells["scored"][:, 0] = groups.rows()
    cells["hits"][:, 0] = groups.where(right)
    cells["confidence"][:, 0] = groups.sums(np.rint(confidence * PROBABILITY_UNIT))
    cells["gap2"][:, 0] = groups.sums(np.rint((confidence - right) ** 2 * LOSS_UNIT))


def _losses(scores: Floats, actual: Codes, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Sums the log loss and the Brier score, which is the squared distance over all classes: from 0 to 2."""
    of_label = np.take_along_axis(scores, actual[:, None], axis=1)[:, 0]
    log_loss = -np.log(np.clip(of_label, PROBABILITY_FLOOR, 1.0))
    distances = scores.copy()
    np.put_along_axis(distances, actual[:, None], (of_label - 1.0)[:, None], axis=1)
    brier = (distances * distances).sum(axis=1)
    sum_losses(log_loss, brier, groups, cells)


def make_multiclass(layout: Layout, task: Multiclass) -> MulticlassHead:
    """The head with its lookup table."""
    edges = np.asarray(task.confidence_edges, np.float64)
    return MulticlassHead(layout, task, make_binner(edges, probability_keys(edges)))
