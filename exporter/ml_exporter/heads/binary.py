"""Two classes: scores of the positive one by predicted class and label, confusion, losses."""

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
from ml_exporter.statistics.binner import Binner, Codes, make_binner
from ml_exporter.tasks import Binary
from ml_exporter.units import PROBABILITY_FLOOR, PROBABILITY_UNIT


@dataclass(frozen=True)
class BinaryHead:
    """The head of a binary task."""

    layout: Layout
    task: Binary
    binner: Binner

    def predictions(self, table: pa.Table, groups: Groups, matrix: Vector) -> Scored:
        """Counts predictions. Without a prediction column the score decides the class."""
        score = floats(table, "score")
        usable = probabilities(score)
        predicted = self._predicted(table, score, usable)
        scored = self.scored(predicted, np.where(usable, score, np.nan)[:, None])
        count_classes(table, predicted, groups, self.layout.cells(matrix, "predictions"))
        kept = scored.known & usable
        scores = self.layout.cells(matrix, "scores")
        count_scores(predicted, scored.bin, kept, groups, scores["histogram"], self._width)
        scores["invalid"][:, 0] = groups.where(~usable & ~np.isnan(score))
        confidence = np.where(predicted == 1, scored.scores[:, 0], 1.0 - scored.scores[:, 0])
        count_confidence(confidence, kept, groups, self.layout.cells(matrix, "flags"))
        return scored

    @property
    def _width(self) -> int:
        return len(self.task.score_edges) + 1

    def _predicted(self, table: pa.Table, score: Floats, usable: Bools) -> Classes:
        if "prediction" in table.column_names:
            return class_codes(table.column("prediction"), self.task.classes)
        with np.errstate(invalid="ignore"):
            decided = (score >= self.task.decision_threshold).astype(np.int16)
        return np.where(usable, decided, np.int16(UNKNOWN_CLASS))

    def scored(self, predicted: Values, scores: Floats) -> Scored:
        """Predictions that were counted before, with the bins of their scores found again."""
        return Scored(predicted, scores, probability_bins(scores[:, 0], self.binner))

    def judged(self, scored: Scored) -> Floats:
        """The scores."""
        return scored.scores[:, 0]

    def actual(self, column: pa.ChunkedArray) -> Values:
        """Labels as class indices."""
        return class_codes(column, self.task.classes)

    def labels(self, scored: Scored, actual: Values, groups: Groups, matrix: Vector) -> None:
        """Counts answers and losses, and moves scores to the state of their label."""
        quality = self.layout.cells(matrix, "quality")
        known, predicted = actual.astype(np.intp), scored.predicted.astype(np.intp)
        quality["confusion"][:] = groups.counts(known * 2 + predicted, 4)
        usable = ~np.isnan(scored.scores[:, 0])
        kept, label, bins = groups.take(usable), known[usable], scored.bin[usable]
        before = predicted[usable] * (STATES * self._width) + bins
        move_scores(before, label + 1, kept, self.layout.cells(matrix, "scores")["histogram"], self._width)
        if self.layout.align == "arrival":
            arrived = self.layout.cells(matrix, "arrived")["histogram"]
            arrived[:] = kept.counts(label * self._width + bins, arrived.shape[1])
        _losses(scored.scores[usable, 0], label, kept, quality)


def _losses(score: Floats, actual: Codes, groups: Groups, cells: Mapping[str, Vector]) -> None:
    positive = actual == 1
    likelihood = np.clip(np.where(positive, score, 1.0 - score), PROBABILITY_FLOOR, 1.0)
    cells["scored"][:, 0] = groups.rows()
    cells["positive"][:, 0] = groups.where(positive)
    cells["score"][:, 0] = groups.sums(np.rint(score * PROBABILITY_UNIT))
    sum_losses(-np.log(likelihood), (score - positive) ** 2, groups, cells)


def make_binary(layout: Layout, task: Binary) -> BinaryHead:
    """The head with its lookup table."""
    edges = np.asarray(task.score_edges, np.float64)
    return BinaryHead(layout, task, make_binner(edges, probability_keys(edges)))
