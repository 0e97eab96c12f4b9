"""Heads: what predictions of a task and their labels add to a vector, and what of a prediction waits for its label."""

from typing import Protocol

import pyarrow as pa

from ml_exporter.groups import Groups
from ml_exporter.heads.binary import BinaryHead, make_binary
from ml_exporter.heads.multiclass import MulticlassHead, make_multiclass
from ml_exporter.heads.regression import RegressionHead, make_regression
from ml_exporter.heads.scored import Scored, Values, known
from ml_exporter.layout import Floats, Layout, Vector
from ml_exporter.tasks import Binary, Multiclass

__all__ = ["BinaryHead", "Head", "MulticlassHead", "RegressionHead", "Scored", "Values", "known", "make_head"]


class Head(Protocol):
    """The part of a task. A matrix has shape (groups, cells); cells that are added to are zero before."""

    def predictions(self, table: pa.Table, groups: Groups, matrix: Vector) -> Scored:
        """Counts predictions, and returns what a join needs of them."""
        ...

    def scored(self, predicted: Values, scores: Floats) -> Scored:
        """Predictions that were counted before: `predicted` (n,), `scores` (n, `Layout.join_scores`)."""
        ...

    def judged(self, scored: Scored) -> Floats:
        """What a prediction is judged by (n,): its score, its confidence, or the number itself; NaN for none."""
        ...

    def actual(self, column: pa.ChunkedArray) -> Values:
        """Labels as a join keeps them (n,). What is no label of this task is not `known`."""
        ...

    def labels(self, scored: Scored, actual: Values, groups: Groups, matrix: Vector) -> None:
        """Adds what the labels of predictions add; both must be `known`."""
        ...


def make_head(layout: Layout) -> Head:
    """The head of a layout's task."""
    task = layout.task
    if isinstance(task, Binary):
        return make_binary(layout, task)
    return make_multiclass(layout, task) if isinstance(task, Multiclass) else make_regression(layout, task)
