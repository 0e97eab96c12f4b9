"""Quality of several classes against scikit-learn, and its intervals against those of the same counts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax
from sklearn import metrics
from tests import build
from tests.second.statistics import auc, delong, gap_interval, loss_interval, wilson

from ml_exporter.baseline import Baseline, Noise, Phi
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics import class_score_edges
from ml_exporter.tasks import Multiclass
from ml_exporter.vitals import prediction, quality

Z = stats.norm.isf(0.025)
Sample = tuple[str, ...]


def layout_of(classes: int, scores: bool = True) -> Layout:
    found = build.multiclass(count=classes, scores=scores)
    assert isinstance(found.task, Multiclass)
    edges = tuple(class_score_edges(classes).tolist()) if scores else ()
    return replace(found, task=replace(found.task, class_score_edges=edges))


class Drawn:
    """Rows of a model that knows a little: scores (n, classes), and labels by index."""

    def __init__(self, count: int, classes: int = 3, scores: bool = True, seed: int = 7) -> None:
        draw = np.random.default_rng(seed)
        self.layout = layout_of(classes, scores)
        prior = np.arange(1, classes + 1) / (classes * (classes + 1) / 2)
        self.actual = draw.choice(classes, count, p=prior)
        logits = np.log(prior) + draw.normal(0, 1, (count, classes))
        logits[np.arange(count), self.actual] += 1
        self.scores = softmax(logits, axis=1)
        self.predicted = self.scores.argmax(axis=1)
        self.confidence = self.scores.max(axis=1)

    def vector(self, layout: Layout | None = None, unlabelled: int = 7) -> Vector:
        layout = layout or self.layout
        rows: list[dict[str, Any]] = []
        for number, scores in enumerate(np.vstack([self.scores, self.scores[:unlabelled]]).tolist()):
            row: dict[str, Any] = {"id": f"p{number}", "prediction": layout.classes[int(np.argmax(scores))]}
            if layout.task.join_scores > 1:
                row |= {f"score:{name}": score for name, score in zip(layout.classes, scores, strict=True)}
            else:
                row["score"] = max(scores)
            rows.append(row)
        actual = {f"p{number}": layout.classes[label] for number, label in enumerate(self.actual.tolist())}
        return build.vector(layout, rows, actual)

    def found(self, **changes: Any) -> dict[Sample, float]:
        return measured(self.layout, self.vector(), **changes)


def measured(layout: Layout, vector: Vector, **changes: Any) -> dict[Sample, float]:
    baseline: Baseline = build.baseline(layout, layout.zeros(), **changes)
    return build.values(quality.quality(build.windows(vector, matured=True), baseline))


@pytest.mark.parametrize(("count", "classes"), [(30, 3), (2000, 2), (2000, 3), (4000, 10), (6000, 30)])
def test_every_measure_equals_scikit_learn(count: int, classes: int) -> None:
    rows = Drawn(count, classes)
    found = rows.found()
    names = range(classes)
    assert found["ml_labelled_rows", "1d"] == count
    assert found["ml_accuracy", "1d"] == metrics.accuracy_score(rows.actual, rows.predicted)
    for name, scorer in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        values = scorer(rows.actual, rows.predicted, labels=names, average=None, zero_division=np.nan)
        known = [(rows.layout.classes[place], value) for place, value in enumerate(values) if not np.isnan(value)]
        assert {key[2]: value for key, value in found.items() if key[0] == f"ml_{name}"} == pytest.approx(dict(known))
        macro = scorer(rows.actual, rows.predicted, average="macro", zero_division=0)
        assert found[f"ml_{name}_macro", "1d"] == pytest.approx(macro, rel=1e-12)
    labels = np.eye(classes)[rows.actual]
    assert found["ml_log_loss", "1d"] == pytest.approx(
        metrics.log_loss(rows.actual, rows.scores, labels=names), abs=1e-7
    )
    assert found["ml_brier_score", "1d"] == pytest.approx(((rows.scores - labels) ** 2).sum(axis=1).mean(), abs=1e-7)
    gap = rows.confidence.mean() - (rows.actual == rows.predicted).mean()
    assert found["ml_calibration_gap", "1d"] == pytest.approx(gap, abs=1e-7)


@pytest.mark.parametrize(("count", "classes"), [(2000, 3), (4000, 10), (6000, 30)])
def test_the_area_of_each_class_against_the_others(count: int, classes: int) -> None:
    rows = Drawn(count, classes)
    found = rows.found()
    for place, name in enumerate(rows.layout.classes):
        value = metrics.roc_auc_score(rows.actual == place, rows.scores[:, place])
        error = delong(rows.scores[:, place], rows.actual == place)
        assert found["ml_roc_auc", "1d", name] == pytest.approx(value, abs=max(5e-4, 0.15 * error))
    macro = metrics.roc_auc_score(rows.actual, rows.scores, multi_class="ovr", average="macro")
    assert found["ml_roc_auc_macro", "1d"] == pytest.approx(macro, abs=5e-4)


def bounds(found: dict[Sample, float], name: str, *labels: str) -> tuple[float, float]:
    return found[f"ml_{name}_lower", "1d", *labels], found[f"ml_{name}_upper", "1d", *labels]


@pytest.mark.parametrize("classes", [3, 25])
def test_every_class_has_the_intervals_of_its_counts(classes: int) -> None:
    rows = Drawn(3000, classes)
    found = rows.found()
    for place, name in enumerate(rows.layout.classes):
        called, actual = rows.predicted == place, rows.actual == place
        tp = int((called & actual).sum())
        if called.any():
            assert bounds(found, "precision", name) == pytest.approx(wilson(tp, called.sum(), 1, Z), rel=1e-9)
        assert bounds(found, "recall", name) == pytest.approx(wilson(tp, actual.sum(), 1, Z), rel=1e-9)
        jaccard = wilson(tp, (called | actual).sum(), 1, Z)
        assert bounds(found, "f1", name) == pytest.approx([2 * end / (1 + end) for end in jaccard], rel=1e-9)
        bins = np.searchsorted(class_score_edges(classes), rows.scores[:, place], side="right")
        ends = auc(actual, bins, 1.0, Z)[1:]
        if ends:
            assert bounds(found, "roc_auc", name) == pytest.approx(ends, rel=1e-9)
        else:
            assert ("ml_roc_auc_lower", "1d", name) not in found
    right = int((rows.predicted == rows.actual).sum())
    assert bounds(found, "accuracy") == pytest.approx(wilson(right, 3000, 1, Z), rel=1e-9)


def test_losses_have_the_intervals_of_their_rows() -> None:
    rows = Drawn(2000)
    found = rows.found()
    labels = np.eye(3)[rows.actual]
    losses = {
        "log_loss": -np.log((rows.scores * labels).sum(axis=1)),
        "brier_score": ((rows.scores - labels) ** 2).sum(1),
    }
    for name, loss in losses.items():
        assert bounds(found, name) == pytest.approx(loss_interval(loss, loss**2, 1.0, Z), rel=1e-5)
    right = rows.predicted == rows.actual
    variance = (rows.confidence - right).var(ddof=1)
    ends = gap_interval(rows.confidence.mean(), right, variance, 1.0, Z)
    assert bounds(found, "calibration_gap") == pytest.approx(ends, rel=1e-4)


def test_macro_averages_have_no_interval() -> None:
    names = {key[0] for key in Drawn(2000).found() if "macro" in key[0]}
    assert names == {f"ml_{name}_macro" for name in ("precision", "recall", "f1", "roc_auc")}


def test_without_scores_of_each_class_there_are_no_losses_and_no_areas() -> None:
    rows = Drawn(500, scores=False)
    names = {key[0].removesuffix("_lower").removesuffix("_upper") for key in rows.found()}
    own = {"accuracy", "precision", "recall", "f1", "calibration_gap", "precision_macro", "recall_macro", "f1_macro"}
    assert names == {"ml_labelled_rows", *(f"ml_{name}" for name in own)}
    gap = rows.confidence.mean() - (rows.actual == rows.predicted).mean()
    assert rows.found()["ml_calibration_gap", "1d"] == pytest.approx(gap, abs=1e-7)


def test_a_class_that_nobody_predicted_has_no_precision_but_counts_as_zero() -> None:
    layout = build.multiclass(scores=False)
    rows = [{"id": f"p{number}", "prediction": "a"} for number in range(4)]
    found = measured(layout, build.vector(layout, rows, {"p0": "a", "p1": "b", "p2": "a", "p3": "a"}))
    assert found["ml_precision", "1d", "a"] == 3 / 4
    assert ("ml_precision", "1d", "b") not in found
    assert found["ml_recall", "1d", "b"] == found["ml_f1", "1d", "b"] == 0.0
    assert not [key for key in found if key[-1] == "c"]
    assert found["ml_precision_macro", "1d"] == (3 / 4 + 0) / 2
    assert found["ml_recall_macro", "1d"] == (1 + 0) / 2


def test_without_labels_only_their_number_is_known() -> None:
    layout = layout_of(3)
    assert measured(layout, layout.zeros()) == {("ml_labelled_rows", "1d"): 0.0}


def test_phi_of_a_class_widens_its_intervals_only() -> None:
    rows = Drawn(2000)
    noise = {"1d": Noise({}, {"recall:a": Phi(30, 4.0), "roc_auc:b": Phi(30, 4.0)})}
    narrow, wide = rows.found(), rows.found(noise=noise, window_seconds={"1d": 86400.0})
    changed = {key for key, value in wide.items() if value != narrow[key]}
    assert changed == {
        (f"ml_{name}_{bound}", "1d", label)
        for name, label in (("recall", "a"), ("roc_auc", "b"))
        for bound in ("lower", "upper")
    }
    assert np.diff(bounds(wide, "recall", "a")) > 1.8 * np.diff(bounds(narrow, "recall", "a"))


def test_quality_by_arrival_is_the_same_over_the_same_labels() -> None:
    rows = Drawn(300)
    arriving = replace(rows.layout, align="arrival")
    assert measured(arriving, rows.vector(arriving)) == rows.found()


def test_the_reference_has_the_same_measures() -> None:
    rows = Drawn(300)
    found = build.values(
        quality.quality(build.windows(rows.layout.zeros()), build.baseline(rows.layout, rows.vector()))
    )
    now = {key[0]: value for key, value in rows.found().items() if key[0] == "ml_accuracy"}
    assert found["ml_baseline_accuracy", "reference"] == now["ml_accuracy"]
    assert found["ml_baseline_recall", "reference", "b"] == rows.found()["ml_recall", "1d", "b"]
    assert found["ml_baseline_roc_auc_macro", "reference"] == rows.found()["ml_roc_auc_macro", "1d"]


def test_estimates_are_those_of_every_class_with_an_interval() -> None:
    rows = Drawn(500)
    found = dict(quality.estimates(rows.layout, rows.vector()))
    of_classes = {f"{name}:{label}" for name in ("precision", "recall", "f1", "roc_auc") for label in "abc"}
    assert found.keys() == {"accuracy", "log_loss", "brier_score", "calibration_gap", *of_classes}
    tp = int(((rows.predicted == 1) & (rows.actual == 1)).sum())
    recall = found["recall:b"]
    assert recall is not None
    assert (recall.value, recall.rows) == (tp / (rows.actual == 1).sum(), (rows.actual == 1).sum())


def test_shares_confidence_and_its_psi() -> None:
    layout = build.multiclass(scores=False)
    reference = [{"prediction": "abc"[number % 3], "score": 0.1 + 0.2 * (number % 5)} for number in range(300)]
    window = [{"prediction": "aab"[number % 3], "score": 0.9} for number in range(90)]
    baseline, now = build.baseline(layout, build.vector(layout, reference)), build.windows(build.vector(layout, window))
    shares = build.values(prediction.class_ratios(now, baseline))
    assert [shares["ml_prediction_class_ratio", "1d", name] for name in "abc"] == [2 / 3, 1 / 3, 0.0]
    psi = build.values(prediction.score_psi(now, baseline))
    here, there = np.array([0, 0, 0, 90]) + 0.5, np.array([60, 60, 120, 60]) + 0.5
    here, there = here / here.sum(), there / there.sum()
    expected = ((here - there) * np.log(here / there)).sum()
    assert psi["ml_prediction_psi", "1d", "reference"] == pytest.approx(expected, rel=1e-12)
    assert build.values(prediction.answers(now, baseline))["ml_prediction_confidence_mean", "1d"] == pytest.approx(0.9)
    shifts = build.values(prediction.class_shift(now, baseline))
    assert shifts["ml_prediction_class_shift_sigmas", "1d", "reference", "a"] > 0
    critical = shifts["ml_prediction_class_shift_critical_sigmas", "1d", "reference", "a"]
    assert critical == pytest.approx(stats.norm.isf(0.01 / 3 / 2))
    assert build.values(prediction.mean_shift(now, baseline)) == {}
