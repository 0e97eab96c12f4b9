"""The tasks: what a prediction of each is, and which slices of a vector describe predictions and their labels.

A plan is a slice's name, its fields with their sizes, and everything that gives its cells a meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_exporter.units import (
    ERROR_UNIT,
    LABEL_STATES,
    LOSS2_UNIT,
    LOSS_UNIT,
    WIDE_SPLIT,
    WIDE_UNIT,
    Z2_UNIT,
    Z_LIMIT,
    Z_UNIT,
)

Fields = tuple[tuple[str, int], ...]
Plan = tuple[str, Fields, object]

CONFUSION_CLASSES = 20
"""With more classes only the counts of each class are kept, not every pair of them."""
_LOSSES = (("log_loss", 1), ("log_loss2", 1), ("brier", 1), ("brier2", 1))


@dataclass(frozen=True)
class Binary:
    """A negative and a positive class; the score is the probability of the positive one."""

    classes: tuple[str, str]
    decision_threshold: float
    score_edges: tuple[float, ...]

    name = "binary"
    join_scores = 1
    arrival_slices = ("quality", "arrived")

    def plans(self, arrival: bool) -> list[Plan]:
        """The slices of this task."""
        bins = len(self.score_edges) + 1
        scored = [self.classes, self.decision_threshold]
        histogram = len(self.classes) * len(LABEL_STATES) * bins
        sums = (("scored", 1), ("score", 1), ("positive", 1))
        quality = (("confusion", len(self.classes) ** 2), *sums, *_LOSSES)
        arrived: Plan = ("arrived", (("histogram", (len(LABEL_STATES) - 1) * bins),), [*scored, self.score_edges])
        return [
            ("predictions", (("predicted", 1), ("unknown", 1), ("classes", len(self.classes))), scored),
            ("scores", (("invalid", 1), ("histogram", histogram)), [*scored, self.score_edges]),
            ("quality", quality, [*scored, LOSS_UNIT, LOSS2_UNIT, *_arrives(arrival)]),
            *([arrived] if arrival else []),
        ]


@dataclass(frozen=True)
class Multiclass:
    """One of several classes. Without `class_score_edges` the only score is the confidence: of the predicted class.

    The cells of K classes with scores of each: K for the shares, 150 K for confidences, K² (3 K above 20 classes) for
    right and wrong answers, 384 K or fewer for the scores of each class.
    """

    classes: tuple[str, ...]
    confidence_edges: tuple[float, ...]
    class_score_edges: tuple[float, ...] = ()

    name = "multiclass"

    @property
    def join_scores(self) -> int:
        """How many scores wait for the label: one for each class, or the confidence."""
        return len(self.classes) if self.class_score_edges else 1

    @property
    def arrival_slices(self) -> tuple[str, ...]:
        """The slices that belong to the time of the label, if quality is counted by it."""
        return ("quality", "class_scores") if self.class_score_edges else ("quality",)

    @property
    def keeps_confusion(self) -> bool:
        """Whether every pair of actual and predicted class is counted."""
        return len(self.classes) <= CONFUSION_CLASSES

    def plans(self, arrival: bool) -> list[Plan]:
        """The slices of this task."""
        count, bins = len(self.classes), len(self.confidence_edges) + 1
        pairs: Fields = (("right", count), ("called", count), ("actual", count))
        answers: Fields = (("confusion", count * count),) if self.keeps_confusion else pairs
        sums = (("scored", 1), ("confidence", 1), ("hits", 1), ("gap2", 1))
        quality = (*answers, *sums, *(_LOSSES if self.class_score_edges else ()))
        scores = (("invalid", 1), ("histogram", count * len(LABEL_STATES) * bins))
        arrives = _arrives(arrival)
        class_scores: Plan = (
            "class_scores",
            (("histogram", count * 2 * (len(self.class_score_edges) + 1)),),
            [self.classes, self.class_score_edges, *arrives],
        )
        return [
            ("predictions", (("predicted", 1), ("unknown", 1), ("classes", count)), [self.classes]),
            ("scores", scores, [self.classes, "wrong", "right", self.confidence_edges]),
            ("quality", quality, [self.classes, LOSS_UNIT, LOSS2_UNIT, *arrives]),
            *([class_scores] if self.class_score_edges else []),
        ]


@dataclass(frozen=True)
class Regression:
    """A number. Predictions are counted as a feature is; errors are label minus prediction in units of `error_scale`.

    `edges`, `centre` and `scale` are those of predictions, `error_edges` are standardised, `label_centre` and
    `label_scale` standardise labels.
    """

    edges: tuple[float, ...]
    centre: float
    scale: float
    error_edges: tuple[float, ...]
    error_scale: float
    label_centre: float
    label_scale: float

    name = "regression"
    classes: tuple[str, ...] = ()
    join_scores = 0
    arrival_slices = ("quality",)

    def plans(self, arrival: bool) -> list[Plan]:
        """The slices of this task."""
        counts = (("predicted", 1), ("null", 1), ("invalid", 1), ("clipped", 1))
        predictions = (*counts, ("bins", len(self.edges) + 1), ("z", 1), ("z2", 1))
        errors = (("error", 1), ("absolute", 1), *_wide("square"), *_wide("fourth"))
        labels = (("label_clipped", 1), *_wide("label"), *_wide("label_square"))
        quality = (("rows", 1), ("clipped", 1), ("bins", len(self.error_edges) + 1), *errors, *labels)
        residuals = tuple((name, len(self.edges) + 1) for name in ("rows", "absolute", "square"))
        units = [Z_LIMIT, ERROR_UNIT, WIDE_UNIT, WIDE_SPLIT]
        scales = [self.error_scale, self.label_centre, self.label_scale]
        return [
            ("predictions", predictions, [self.edges, self.centre, self.scale, Z_LIMIT, Z_UNIT, Z2_UNIT]),
            ("quality", quality, [self.error_edges, *scales, *units, *_arrives(arrival)]),
            ("residuals", residuals, [self.edges, self.error_scale, Z_LIMIT, ERROR_UNIT, LOSS2_UNIT]),
        ]


Task = Binary | Multiclass | Regression


def names_of(task: Task) -> dict[str, Any]:
    """What the artefact of a baseline says first about a task. That of two classes is as the first release wrote it."""
    if isinstance(task, Binary):
        return {"classes": list(task.classes), "decision_threshold": task.decision_threshold}
    return {"task": task.name} | ({"classes": list(task.classes)} if isinstance(task, Multiclass) else {})


def bins_of(task: Task) -> dict[str, Any]:
    """What the artefact says about the bins of a task."""
    if isinstance(task, Binary):
        return {"score_edges": list(task.score_edges)}
    if isinstance(task, Multiclass):
        edges = {"confidence_edges": list(task.confidence_edges)}
        return edges | {"class_score_edges": list(task.class_score_edges)}
    units = {"centre": task.centre, "scale": task.scale, "edges": list(task.edges)}
    errors = {"scale": task.error_scale, "edges": list(task.error_edges)}
    return {"prediction": units, "error": errors, "label": {"centre": task.label_centre, "scale": task.label_scale}}


def read_task(document: Mapping[str, Any]) -> Task:
    """The task that `names_of` and `bins_of` wrote. Raises KeyError, IndexError, TypeError or ValueError."""
    name = document.get("task", Binary.name)
    if name == Binary.name:
        classes = (document["classes"][0], document["classes"][1])
        return Binary(classes, document["decision_threshold"], tuple(document["score_edges"]))
    if name == Multiclass.name:
        edges = (tuple(document["confidence_edges"]), tuple(document["class_score_edges"]))
        return Multiclass(tuple(document["classes"]), *edges)
    if name != Regression.name:
        raise ValueError(f"unknown task {name!r}")
    own, errors, label = document["prediction"], document["error"], document["label"]
    units = (tuple(own["edges"]), own["centre"], own["scale"], tuple(errors["edges"]), errors["scale"])
    return Regression(*units, label["centre"], label["scale"])


def _wide(name: str) -> Fields:
    return ((f"{name}_high", 1), (f"{name}_low", 1))


def _arrives(arrival: bool) -> list[str]:
    return ["arrival"] if arrival else []
