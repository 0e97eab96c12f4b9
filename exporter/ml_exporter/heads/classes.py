"""What both kinds of classifiers count: classes, and scores by class and label state."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from ml_exporter.columns import codes, present
from ml_exporter.groups import Groups
from ml_exporter.heads.scored import UNKNOWN_CLASS, Classes
from ml_exporter.layout import Bools, Floats, Vector
from ml_exporter.statistics.binner import Binner, Codes
from ml_exporter.units import LABEL_STATES, LOSS2_UNIT, LOSS_UNIT, PROBABILITY_UNIT

STATES = len(LABEL_STATES)
FEW = 32
"""Fewer rows than one for so many cells are counted one by one, without a look at every cell."""


def class_codes(column: pa.ChunkedArray, classes: tuple[str, ...]) -> Classes:
    """Index of each class; `UNKNOWN_CLASS` for nulls and others."""
    return codes(column, pa.array(classes), UNKNOWN_CLASS).astype(np.int16)


def count_classes(table: pa.Table, predicted: Classes, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Counts predictions by class, and those of none that is known."""
    known = predicted > UNKNOWN_CLASS
    width = cells["classes"].shape[1]
    cells["classes"][:] = groups.take(known).counts(predicted[known].astype(np.intp), width)
    cells["unknown"][:, 0] = groups.where(present(table, "prediction") & ~known)
    cells["predicted"][:, 0] = cells["classes"].sum(axis=1)


def count_scores(predicted: Classes, bins: Codes, kept: Bools, groups: Groups, histogram: Vector, width: int) -> None:
    """Counts the scores of predictions that have no label yet, by class and bin. `width` is the number of bins."""
    code = predicted.astype(np.intp) * (STATES * width) + bins
    code = code if kept.all() else code[kept]
    histogram[:] = groups.take(kept).counts(code, histogram.shape[1])


def move_scores(before: Codes, state: Codes, groups: Groups, histogram: Vector, width: int) -> None:
    """Takes scores out of the histogram of the unlabelled (codes `before`) and puts them into that of a state."""
    after = before + state * width
    if len(before) < histogram.size // FEW:
        np.subtract.at(histogram, (groups.index, before), 1)
        np.add.at(histogram, (groups.index, after), 1)
        return
    histogram -= groups.counts(before, histogram.shape[1])
    histogram += groups.counts(after, histogram.shape[1])


def count_confidence(confidence: Floats, kept: Bools, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Counts and sums the probability of the predicted class."""
    cells["confidence_rows"][:, 0] = groups.where(kept)
    cells["confidence"][:, 0] = groups.sums(np.where(kept, np.rint(confidence * PROBABILITY_UNIT), 0.0))


def sum_losses(log_loss: Floats, brier: Floats, groups: Groups, cells: Mapping[str, Vector]) -> None:
    """Sums both losses and their squares."""
    for name, loss in (("log_loss", log_loss), ("brier", brier)):
        cells[name][:, 0] = groups.sums(np.rint(loss * LOSS_UNIT))
        cells[name + "2"][:, 0] = groups.sums(np.rint(loss * loss * LOSS2_UNIT))


def probabilities(values: Floats) -> Bools:
    """Which values are probabilities: from 0 to 1, and no NaN."""
    with np.errstate(invalid="ignore"):
        usable: Bools = (values >= 0) & (values <= 1)
    return usable


def probability_keys(score: Floats) -> Floats:
    """An increasing key that is as fine near 1 as near 0: -1/p below one half, 1/(1-p) from there on."""
    low = score < 0.5
    with np.errstate(divide="ignore", over="ignore"):
        keys: Floats = np.where(low, -1.0, 1.0) / np.where(low, score, 1.0 - score)
    return keys


def probability_bins(values: Floats, binner: Binner) -> Codes:
    """Bins of probabilities, -1 for NaN; `binner` knows the edges by their `probability_keys`."""
    usable = ~np.isnan(values)
    kept = np.where(usable, values, 0.5)
    found: Codes = np.where(usable, binner.codes(kept, probability_keys(kept)), -1)
    return found
