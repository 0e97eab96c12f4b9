"""What a plain recount of every line gives: the vector of all rows and labels, and quality by scikit-learn."""

from typing import Literal

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score, roc_auc_score
from tests import oracle
from tests.chaos.formats import Row, meaning
from tests.chaos.world import Drops, World

from ml_exporter.layout import REPEATS, Layout

COLUMNS = {"timestamp", "id", "prediction", "score", "latency", "fallback", "error", "feature:temp", "feature:carrier"}


class Truth:
    """The recount of one world: the `first` label of a prediction counts, or the `last` that says otherwise."""

    def __init__(self, world: World | Drops, corrections: Literal["first", "last"]) -> None:
        self.rows = [meaning(row) for row in world.predictions]
        waiting: dict[str, Row] = {}
        for row in self.rows:
            if row["prediction"] in ("no", "yes"):
                waiting.setdefault(row["id"], row)
        kept: dict[str, Row] = {}
        for label in world.labels:
            before = kept.setdefault(label["id"], label)
            if corrections == "last" and label["label"] != before["label"]:
                kept[label["id"]] = label
        self.joined = [(waiting[name], label) for name, label in kept.items() if name in waiting]

    @property
    def counts(self) -> tuple[float, float]:
        """Rows, and labelled ones."""
        return len(self.rows), len(self.joined)

    def vector(self, layout: Layout) -> list[int]:
        """The vector of all of it, one row at a time."""
        labelled = [
            (
                layout.classes.index(row["prediction"]),
                row["score"] if _usable(row["score"]) else None,
                layout.classes.index(label["label"]),
                max(round(label["timestamp"] * 1e6) - row["timestamp"], 0) / 1e6,
            )
            for row, label in self.joined
        ]
        total = np.array(oracle.predictions(layout, self.rows, COLUMNS)) + np.array(oracle.labels(layout, labelled))
        joinable = [row["id"] for row in self.rows if row["prediction"] in ("no", "yes")]
        layout.cells(total, REPEATS)["rows"][0] = len(joinable) - len(set(joinable))
        return list(total.tolist())

    def quality(self, layout: Layout) -> dict[str, float]:
        """Quality by scikit-learn. For AUC, scores are equal where the vector cannot tell them apart."""
        actual = [label["label"] == "yes" for _, label in self.joined]
        predicted = [row["prediction"] == "yes" for row, _ in self.joined]
        scored = [(row["score"], label["label"] == "yes") for row, label in self.joined if _usable(row["score"])]
        score, positive = (np.array(column) for column in zip(*scored, strict=True))
        return {
            "accuracy": accuracy_score(actual, predicted),
            "precision": precision_score(actual, predicted),
            "recall": recall_score(actual, predicted),
            "f1": f1_score(actual, predicted),
            "log_loss": log_loss(positive, np.clip(np.column_stack([1 - score, score]), 1e-15, 1)),
            "roc_auc": roc_auc_score(positive, np.digitize(score, layout.task.score_edges)),
        }


def _usable(score: float | None) -> bool:
    return score is not None and 0 <= score <= 1
