"""Quality against scikit-learn, and its intervals against scipy and the formulas."""

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics
from tests import build
from tests.second.statistics import wilson

from ml_exporter.baseline import Baseline, Noise, Phi
from ml_exporter.layout import Layout, Vector
from ml_exporter.vitals import quality

LAYOUT = build.layout(score_edges=tuple(edge / 10 for edge in range(1, 10)))
Z = 1.959963984540054
BINARY = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score", "calibration_gap")


def drawn(count: int, seed: int = 5) -> tuple[list[float], list[int]]:
    """Scores in the middle of ten bins, and labels that agree with them more or less."""
    draw = random.Random(seed)
    scores = [draw.randrange(10) / 10 + 0.05 for _ in range(count)]
    return scores, [int(draw.random() < 0.2 + 0.6 * score) for score in scores]


def joined(scores: list[float], actual: list[int], unlabelled: int = 7, layout: Layout = LAYOUT) -> Vector:
    names = [f"p{number}" for number in range(len(scores) + unlabelled)]
    padded = [*scores, *[0.5] * unlabelled]
    rows = [
        {"id": name, "score": score, "prediction": ("no", "yes")[score >= 0.5]}
        for name, score in zip(names, padded, strict=True)
    ]
    return build.vector(layout, rows, {name: ("no", "yes")[label] for name, label in zip(names, actual, strict=False)})


def measured(vector: Vector, baseline: Baseline | None = None) -> dict[tuple[str, ...], float]:
    baseline = baseline or build.baseline(LAYOUT, LAYOUT.zeros())
    return build.values(quality.quality(build.windows(vector, matured=True), baseline))


def expected(scores: list[float], actual: list[int]) -> dict[str, float]:
    """The same measures by scikit-learn."""
    score, label = np.array(scores), np.array(actual)
    predicted = score >= 0.5
    return {
        "accuracy": metrics.accuracy_score(label, predicted),
        "precision": metrics.precision_score(label, predicted),
        "recall": metrics.recall_score(label, predicted),
        "f1": metrics.f1_score(label, predicted),
        "roc_auc": metrics.roc_auc_score(label, score),
        "log_loss": metrics.log_loss(label, score),
        "brier_score": metrics.brier_score_loss(label, score),
        "calibration_gap": score.mean() - label.mean(),
    }


@pytest.mark.parametrize("count", [20, 200, 1000])
def test_every_measure_equals_scikit_learn(count: int) -> None:
    scores, actual = drawn(count)
    found = measured(joined(scores, actual))
    assert found["ml_labelled_rows", "1d"] == count
    for name, value in expected(scores, actual).items():
        assert found[f"ml_{name}", "1d"] == pytest.approx(value, abs=1e-7), name
    for name in ("accuracy", "precision", "recall"):
        assert found[f"ml_{name}", "1d"] == expected(scores, actual)[name], "a ratio of counts is exact"


def test_quality_by_arrival_is_the_same_over_the_same_labels() -> None:
    scores, actual = drawn(300)
    arriving = replace(LAYOUT, align="arrival")
    found = measured(joined(scores, actual, layout=arriving), build.baseline(arriving, arriving.zeros()))
    assert found == measured(joined(scores, actual))


def confusion(scores: list[float], actual: list[int]) -> tuple[int, int, int, int]:
    tn, fp, fn, tp = metrics.confusion_matrix(actual, np.array(scores) >= 0.5).ravel().tolist()
    return tn, fp, fn, tp


def bounds(found: dict[tuple[str, ...], float], name: str) -> tuple[float, float]:
    return found[f"ml_{name}_lower", "1d"], found[f"ml_{name}_upper", "1d"]


def test_ratios_have_wilsons_interval_of_slightly_fewer_and_more() -> None:
    scores, actual = drawn(400)
    found = measured(joined(scores, actual))
    tn, fp, fn, tp = confusion(scores, actual)
    jaccard = tuple(2 * end / (1 + end) for end in wilson(tp, tp + fp + fn, 1, stats.norm.isf(0.025)))
    assert bounds(found, "f1") == pytest.approx(jaccard, rel=1e-9)
    for name, part, whole in (("accuracy", tn + tp, 400), ("precision", tp, tp + fp), ("recall", tp, tp + fn)):
        assert bounds(found, name) == pytest.approx(wilson(part, whole, 1, stats.norm.isf(0.025)), rel=1e-9)
        plain = stats.binomtest(part, whole).proportion_ci(method="wilson")
        assert bounds(found, name) == pytest.approx((plain.low, plain.high), abs=1e-3)


def test_losses_have_normal_intervals_in_logarithms() -> None:
    scores, actual = drawn(400)
    found = measured(joined(scores, actual))
    score, label = np.array(scores), np.array(actual)
    losses = {
        "log_loss": -np.log(np.where(label == 1, score, 1 - score)),
        "brier_score": (score - label) ** 2,
    }
    for name, loss in losses.items():
        error = loss.std(ddof=1) / 20 / loss.mean()
        assert bounds(found, name) == pytest.approx(np.exp(stats.norm.interval(0.95, np.log(loss.mean()), error)))


def test_the_calibration_gap_has_the_interval_of_its_positives() -> None:
    """About as wide as the normal one, but longer where positives are rarer than thought."""
    scores, actual = drawn(400)
    found = measured(joined(scores, actual))
    gap = np.array(scores) - np.array(actual)
    share = np.mean(actual)
    ends = wilson(sum(actual), 400, gap.var(ddof=1) / (share * (1 - share)), stats.norm.isf(0.025))
    mirrored = np.mean(scores) - ends[1], np.mean(scores) - ends[0]
    assert bounds(found, "calibration_gap") == pytest.approx(mirrored, rel=1e-5)
    normal = stats.norm.interval(0.95, gap.mean(), gap.std(ddof=1) / 20)
    assert bounds(found, "calibration_gap") == pytest.approx(normal, abs=2e-3)


def test_auc_has_delongs_interval_in_logits() -> None:
    scores, actual = drawn(600)
    found = measured(joined(scores, actual))
    positive = [score for score, label in zip(scores, actual, strict=True) if label]
    negative = [score for score, label in zip(scores, actual, strict=True) if not label]
    wins = np.array([[1.0 * (p > n) + 0.5 * (p == n) for n in negative] for p in positive])
    error = (wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)) ** 0.5
    area = wins.mean()
    ends = stats.norm.interval(0.95, special.logit(area), error / (area * (1 - area)))
    assert bounds(found, "roc_auc") == pytest.approx(special.expit(ends), rel=1e-9)


def test_auc_of_few_rows_has_no_interval() -> None:
    found = measured(joined(*drawn(150)))
    assert ("ml_roc_auc", "1d") in found
    assert ("ml_roc_auc_lower", "1d") not in found


def test_phi_widens_every_interval_but_no_value() -> None:
    """By its root, and by Student's t of the reference's windows, in whose scale they are symmetric."""
    vector = joined(*drawn(4000))
    names = tuple(quality.values(quality.labelled(LAYOUT, vector)))
    noise = Noise({}, {name: Phi(30, 4.0) for name in names})
    wide_baseline = build.baseline(LAYOUT, LAYOUT.zeros(), noise={"1d": noise}, window_seconds={"1d": 86400.0})
    narrow, wide = measured(vector), measured(vector, wide_baseline)
    student = stats.t.isf(0.025, 29)
    for name in names:
        assert wide[f"ml_{name}", "1d"] == narrow[f"ml_{name}", "1d"]
        widths = [found[f"ml_{name}_upper", "1d"] - found[f"ml_{name}_lower", "1d"] for found in (narrow, wide)]
        assert widths[1] / widths[0] == pytest.approx(2.0 * student / Z, rel=0.01), name
    right = round(wide["ml_accuracy", "1d"] * 4000)
    assert bounds(wide, "accuracy") == pytest.approx(wilson(right, 4000, 4.0, student), rel=1e-9)


def test_every_value_lies_in_its_interval() -> None:
    for seed in range(30):
        found = measured(joined(*drawn(2 + seed * 13, seed)))
        for key, lower in found.items():
            if key[0].endswith("_lower"):
                name = key[0].removesuffix("_lower")
                assert lower <= found[name, "1d"] <= found[f"{name}_upper", "1d"], name


@pytest.mark.parametrize(
    ("scores", "actual", "absent"),
    [
        ([], [], set(BINARY)),
        ([0.25], [0], {"precision", "recall", "f1", "roc_auc"}),
        ([0.25], [1], {"precision", "roc_auc"}),
        ([0.75], [0], {"recall", "roc_auc"}),
        ([0.75, 0.25], [1, 0], set()),
    ],
)
def test_what_the_rows_do_not_define_has_no_gauge(scores: list[float], actual: list[int], absent: set[str]) -> None:
    found = measured(joined(scores, actual))
    known = {name[0].removeprefix("ml_") for name in found if not name[0].endswith(("_lower", "_upper", "_rows"))}
    assert known == set(BINARY) - absent
    assert found["ml_labelled_rows", "1d"] == len(scores)


def test_certain_and_wrong_scores_have_a_finite_loss() -> None:
    found = measured(joined([0.0, 1.0], [1, 0]))
    assert found["ml_log_loss", "1d"] == pytest.approx(-np.log(1e-15), abs=1e-6)
    assert found["ml_brier_score", "1d"] == 1.0


def test_the_reference_has_the_same_measures() -> None:
    scores, actual = drawn(300)
    found = measured(LAYOUT.zeros(), build.baseline(LAYOUT, joined(scores, actual)))
    for name, value in expected(scores, actual).items():
        assert found[f"ml_baseline_{name}", "reference"] == pytest.approx(value, abs=1e-7)


def test_estimates_carry_their_errors() -> None:
    scores, actual = drawn(500)
    found = dict(quality.estimates(LAYOUT, joined(scores, actual)))
    _, fp, fn, tp = confusion(scores, actual)
    assert found.keys() == expected(scores, actual).keys()
    assert found["f1"] is not None
    assert found["f1"].value == tp / (tp + fp + fn)
    precision, log_loss = found["precision"], found["log_loss"]
    assert precision is not None
    assert log_loss is not None
    share = tp / (tp + fp)
    assert precision == (share, pytest.approx((share * (1 - share) / (tp + fp)) ** 0.5), tp + fp)
    losses = -np.log(np.where(np.array(actual) == 1, scores, 1 - np.array(scores)))
    assert log_loss.standard_error == pytest.approx(losses.std(ddof=1) / 500**0.5, rel=1e-5)
