"""Estimated quality: it follows other inputs, is blind to another truth, and does not see labels.

Windows are drawn as vectors: scores from a normal logit, labels from a truth that the score does not tell exactly.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import expit
from tests import build

from ml_exporter.baseline import Baseline, Noise, Phi, dump, load
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics import score_edges
from ml_exporter.units import LOSS_UNIT
from ml_exporter.vitals import estimate, quality
from ml_exporter.vitals.truth import learn
from ml_exporter.vitals.windows import Window, Windows

MEASURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score")
THRESHOLD = 0.4
EDGES = score_edges(THRESHOLD)
LAYOUT = replace(build.layout(score_edges=tuple(EDGES.tolist()), decision_threshold=THRESHOLD), features=())
DAY_ROWS = 800


@dataclass(frozen=True)
class World:
    """Where logits of the scores lie, and what their positives' chance is: `expit(slope * x + offset)`."""

    centre: float = -1.0
    slope: float = 0.7
    offset: float = -0.3

    def draw(self, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels."""
        x = rng.normal(self.centre, 1.5, rows)
        return expit(x), rng.random(rows) < expit(self.slope * x + self.offset)


def vector_of(score: np.ndarray, label: np.ndarray, known: np.ndarray | None = None, layout: Layout = LAYOUT) -> Vector:
    """The cells of answers and losses, with the labels that are known, by default all."""
    known = np.ones(len(score), bool) if known is None else known
    vector, state = layout.zeros(), np.where(known, 1 + label, 0)
    bins = EDGES.size + 1
    place = ((score >= THRESHOLD) * 3 + state) * bins + np.searchsorted(EDGES, score, side="right")
    layout.cells(vector, "scores")["histogram"][:] = np.bincount(place, minlength=6 * bins)
    cells, y, p = layout.cells(vector, "quality"), label[known], score[known]
    cells["confusion"][:] = np.bincount(2 * y + (p >= THRESHOLD), minlength=4)
    cells["scored"][0] = known.sum()
    cells["log_loss"][0] = np.rint(-np.log(np.where(y, p, 1 - p)) * LOSS_UNIT).sum()
    cells["brier"][0] = np.rint((p - y) ** 2 * LOSS_UNIT).sum()
    return vector


def baseline_of(windows: Iterable[Vector], layout: Layout = LAYOUT) -> Baseline:
    """A baseline whose own windows are days."""
    vectors = list(windows)
    total = np.sum(vectors, axis=0)
    noise = {"1d": Noise({}, estimate.noise(layout, vectors, total))}
    end = build.NOON + len(vectors) * build.DAY
    found = build.baseline(layout, total, noise=noise, window_seconds={"1d": 86400.0})
    return replace(found, start_us=build.NOON, end_us=end)


def reference(seed: int = 1, days: int = 30) -> Baseline:
    rng = np.random.default_rng(seed)
    return baseline_of(vector_of(*World().draw(rng, DAY_ROWS)) for _ in range(days))


def windows_of(vector: Vector) -> Windows:
    """The vector as a current window, and as a matured one."""
    window = (Window("1d", 86400.0, build.NOON, build.NOON + build.DAY, vector),)
    return Windows("flights", window, window, ("1d",), 0.01, 0.5)


def found(vector: Vector, baseline: Baseline) -> dict[str, float]:
    """Estimates by measure, `<measure>_error`, and `bias:<measure>`."""
    windows = windows_of(vector)
    values = build.values(estimate.estimates(windows, baseline))
    biases = build.values(estimate.bias(windows, baseline))
    return {name.removeprefix("ml_estimated_"): value for (name, _), value in values.items()} | {
        f"bias:{metric}": value for (_, _, metric), value in biases.items()
    }


def realised(vector: Vector, baseline: Baseline) -> dict[str, float]:
    item = found(vector, baseline)
    return {name: item[name] + item[f"bias:{name}"] for name in MEASURES}


def test_every_measure_has_an_estimate_an_error_and_a_bias() -> None:
    item = found(vector_of(*World().draw(np.random.default_rng(2), 5000)), reference())
    assert item.keys() == {*MEASURES, *(f"{name}_error" for name in MEASURES), *(f"bias:{name}" for name in MEASURES)}


def test_without_drift_the_realised_lies_within_the_error() -> None:
    item = found(vector_of(*World().draw(np.random.default_rng(3), DAY_ROWS)), reference())
    for name in MEASURES:
        assert abs(item[f"bias:{name}"]) < 1.5 * item[f"{name}_error"], name


def test_it_does_not_see_labels() -> None:
    rng = np.random.default_rng(4)
    score, label = World().draw(rng, DAY_ROWS)
    base = reference()
    first = found(vector_of(score, label), base)
    for known in (np.zeros(DAY_ROWS, bool), rng.random(DAY_ROWS) < 0.5, label, score > 0.7):
        again = found(vector_of(score, label, known), base)
        assert {name: value for name, value in again.items() if "bias" not in name} == {
            name: value for name, value in first.items() if "bias" not in name
        }


@pytest.mark.parametrize("centre", [-3.0, 0.0, 1.5])
def test_it_follows_a_covariate_shift(centre: float) -> None:
    """Other cases come and each score means what it meant: what comes true moves, and the estimate with it."""
    rng, base = np.random.default_rng(5), reference(days=60)
    usual = found(vector_of(*World().draw(rng, 20_000)), base)
    shifted = found(vector_of(*World(centre).draw(rng, 20_000)), base)
    moved = {name: shifted[name] - usual[name] for name in MEASURES}
    assert max(abs(moved["accuracy"]), abs(moved["recall"]), abs(moved["precision"])) > 0.1
    for name in MEASURES:
        assert abs(shifted[f"bias:{name}"]) < max(0.15 * abs(moved[name]), 1.5 * shifted[f"{name}_error"]), name
        assert shifted[f"{name}_error"] < 0.1, name


@pytest.mark.parametrize(
    "drift", [World(slope=-0.7), World(slope=0.0), World(offset=1.5)], ids=["other way", "none", "more"]
)
def test_it_does_not_follow_concept_drift_and_its_bias_says_so(drift: World) -> None:
    """The same scores mean something else: the estimate stays, and the bias is beyond the error that it claims."""
    rng, base = np.random.default_rng(6), reference(days=60)
    usual, drifted = (found(vector_of(*world.draw(rng, 20_000)), base) for world in (World(), drift))
    for name in MEASURES:
        assert drifted[name] == pytest.approx(usual[name], abs=0.02), name
        assert drifted[f"{name}_error"] == pytest.approx(usual[f"{name}_error"], rel=0.05), name
        assert abs(usual[f"bias:{name}"]) < usual[f"{name}_error"], name
    for name in ("accuracy", "log_loss", "brier_score"):
        assert abs(drifted[f"bias:{name}"]) > 3 * drifted[f"{name}_error"], name


def warns(item: Mapping[str, float], base: Baseline, margin: float = 0.05) -> bool:
    """What an alert on estimated accuracy reads: worse than the reference by the margin, and a bias within it."""
    reference = quality.values(quality.labelled(LAYOUT, base.vector))["accuracy"]
    return item["accuracy"] + item["accuracy_error"] < reference - margin and abs(item["bias:accuracy"]) < margin


def test_what_an_alert_reads_shows_a_shift_and_is_silent_when_the_truth_has_changed() -> None:
    """Silent also where both come together: the estimate has fallen, but cannot be trusted."""
    rng, base = np.random.default_rng(17), reference(days=60)
    worlds = {"usual": World(), "shift": World(centre=0.3), "drift": World(slope=-0.7), "both": World(0.3, -0.7)}
    said = {name: warns(found(vector_of(*world.draw(rng, 20_000)), base), base) for name, world in worlds.items()}
    assert said == {"usual": False, "shift": True, "drift": False, "both": False}


def test_labels_of_selected_scores_mislead_what_came_true_not_the_estimate() -> None:
    """Only sure answers get labels, in the window and in the reference: accuracy of the labelled is far too good."""
    rng = np.random.default_rng(7)

    def selected(rows: int) -> tuple[Vector, Vector]:
        score, label = World().draw(rng, rows)
        known = rng.random(rows) < np.where(np.abs(score - 0.5) > 0.3, 0.9, 0.15)
        return vector_of(score, label, known), vector_of(score, label)

    base = baseline_of(selected(DAY_ROWS)[0] for _ in range(60))
    some, every = selected(20_000)
    item, true = found(some, base), realised(every, base)
    labelled = realised_of_labelled(some)
    assert labelled - true["accuracy"] > 0.04
    assert item["accuracy"] == pytest.approx(true["accuracy"], abs=0.01)
    assert abs(item["bias:accuracy"]) < 0.01, "over the same rows, so it does not show the selection"


def realised_of_labelled(vector: Vector) -> float:
    by_label = LAYOUT.cells(vector, "scores")["histogram"].reshape(2, 3, -1).sum(axis=2)[:, 1:]
    return float((by_label[0, 0] + by_label[1, 1]) / by_label.sum())


def test_what_was_not_learned_is_not_estimated() -> None:
    vector = vector_of(*World().draw(np.random.default_rng(8), DAY_ROWS))
    base = reference()
    assert found(vector, replace(base, noise={})) == {}, "an artefact of an earlier release"
    assert found(vector, reference(days=4)) == {}, "four windows show too little of how they vary"
    unlabelled = vector_of(*World().draw(np.random.default_rng(8), DAY_ROWS), np.zeros(DAY_ROWS, bool))
    assert found(vector, replace(base, vector=unlabelled)) == {}
    assert learn(LAYOUT, unlabelled) is None
    assert found(LAYOUT.zeros(), base) == {}


def test_few_labels_have_no_bias() -> None:
    score, label = World().draw(np.random.default_rng(9), DAY_ROWS)
    for rows, there in ((19, False), (20, True)):
        item = found(vector_of(score, label, np.arange(DAY_ROWS) < rows), reference())
        assert ("bias:accuracy" in item) == there


def test_where_quality_goes_by_arrival_losses_have_no_bias() -> None:
    """Their sums lie in the pane of the label; the histogram of answers stays in that of the prediction."""
    base = reference()
    cells = dict(zip(LAYOUT.by_name, LAYOUT.slices, strict=True))
    layout = replace(LAYOUT, align="arrival")
    score, label = World().draw(np.random.default_rng(10), DAY_ROWS)

    def moved(vector: Vector) -> Vector:
        target = layout.zeros()
        for name, item in cells.items():
            place = layout.by_name[name]
            target[place.start : place.start + place.size] = vector[item.start : item.start + item.size]
        return target

    plain = found(vector_of(score, label), base)
    item = found(moved(vector_of(score, label)), replace(base, layout=layout, vector=moved(base.vector)))
    lost = {"bias:log_loss", "bias:brier_score"}
    assert item == {name: value for name, value in plain.items() if name not in lost}


def test_a_window_is_judged_by_the_noise_of_its_length() -> None:
    base = reference()
    vector = vector_of(*World().draw(np.random.default_rng(11), DAY_ROWS))
    learned = base.noise["1d"].phi
    more = {name: Phi(item.windows, 9.0) for name, item in learned.items()}
    wider = replace(base, noise={"1d": Noise({}, more)})
    first, second = found(vector, base), found(vector, wider)
    ratio = second["accuracy_error"] / first["accuracy_error"]
    assert ratio == pytest.approx(3.0 / math.sqrt(learned["estimate:accuracy"].phi), rel=0.1)


def test_more_rows_do_not_tell_more_of_what_windows_share() -> None:
    base = reference()
    more = {name: Phi(item.windows, 50.0) for name, item in base.noise["1d"].phi.items()}
    clustered = replace(base, noise={"1d": Noise({}, more)})
    errors = {}
    for times in (1, 100):
        vector = vector_of(*World().draw(np.random.default_rng(12), DAY_ROWS)) * times
        errors[times] = [found(vector, item)["accuracy_error"] for item in (base, clustered)]
    assert errors[100][1] > 0.9 * errors[1][1], "what the rows of a day share"
    assert errors[100][0] < 0.5 * errors[1][0], (
        "the chance of single labels averages out, as far as the reference tells"
    )


# Several classes and numbers, through the counting of rows.


CLASSES = build.multiclass(build.CARRIER, scores=False)


def answered(rng: np.random.Generator, rows: int, share: float, skill: float = 1.0) -> Vector:
    """Rows of three classes, a share of them with a high confidence, which with skill 1 is how often it is right."""
    predicted = rng.integers(0, 3, rows)
    confidence = np.where(rng.random(rows) < share, 0.9, 0.4)
    right = rng.random(rows) < confidence * skill
    actual = np.where(right, predicted, (predicted + 1 + (rng.random(rows) < 0.5)) % 3)
    names = CLASSES.classes
    read = [
        {"id": f"p{x}", "prediction": names[p], "score": float(c)}
        for x, (p, c) in enumerate(zip(predicted, confidence, strict=True))
    ]
    return build.vector(CLASSES, read, {f"p{x}": names[y] for x, y in enumerate(actual)})


def test_several_classes_follow_a_shift_and_not_a_drift() -> None:
    rng = np.random.default_rng(13)
    base = baseline_of((answered(rng, 600, 0.6) for _ in range(20)), CLASSES)
    shifted, drifted = found(answered(rng, 6000, 0.1), base), found(answered(rng, 6000, 0.6, skill=0.6), base)
    names = {"accuracy", "precision_macro", "recall_macro", "f1_macro"}
    assert {name for name in shifted if "error" not in name} == names | {f"bias:{name}" for name in names}
    for name in names:
        assert shifted[name] == pytest.approx(0.1 * 0.9 + 0.9 * 0.4, abs=0.03), name
        assert abs(shifted[f"bias:{name}"]) < 0.03, name
        assert drifted[name] == pytest.approx(0.6 * 0.9 + 0.4 * 0.4, abs=0.03), name
        assert drifted[f"bias:{name}"] < -0.2, name


NUMBERS = build.regression(build.CARRIER)


def measured(rng: np.random.Generator, rows: int, share: float, spread: float = 1.0) -> Vector:
    """Predictions of 2 with errors of 0.1, and a share of 12 with errors of 0.8 on average."""
    predicted = np.where(rng.random(rows) < share, 12.0, 2.0)
    error = rng.exponential(np.where(predicted == 12.0, 0.8, 0.1)) * rng.choice([-1, 1], rows) * spread
    read = [{"id": f"p{x}", "prediction": float(value)} for x, value in enumerate(predicted)]
    return build.vector(NUMBERS, read, {f"p{x}": float(y) for x, y in enumerate(predicted + error)})


def test_the_error_of_numbers_follows_a_shift_and_not_a_drift() -> None:
    rng = np.random.default_rng(14)
    base = baseline_of((measured(rng, 600, 0.2) for _ in range(20)), NUMBERS)
    shifted, drifted = found(measured(rng, 6000, 0.9), base), found(measured(rng, 6000, 0.2, spread=3.0), base)
    name = "mean_absolute_error"
    assert shifted.keys() == {name, f"{name}_error", f"bias:{name}"}
    assert shifted[name] == pytest.approx(0.9 * 0.8 + 0.1 * 0.1, abs=0.03)
    assert abs(shifted[f"bias:{name}"]) < 1.5 * shifted[f"{name}_error"] < 0.1
    assert drifted[name] == pytest.approx(0.2 * 0.8 + 0.8 * 0.1, abs=0.03)
    assert drifted[f"bias:{name}"] == pytest.approx(2 * drifted[name], rel=0.15)


def test_an_artefact_without_errors_by_bin_is_read_and_estimates_nothing() -> None:
    rng = np.random.default_rng(15)
    base = baseline_of((measured(rng, 600, 0.2) for _ in range(6)), NUMBERS)
    assert load(dump(base), "numbers.json").fingerprint == base.fingerprint
    bare = base.vector.copy()
    place = NUMBERS.by_name["residuals"]
    bare[place.start : place.start + place.size] = 0
    old = replace(base, vector=bare)
    assert '"residuals"' not in dump(old)
    again = load(dump(old), "numbers.json")
    assert again.vector.tolist() == bare.tolist()
    assert found(measured(rng, 600, 0.2), again) == {}


# How often what comes true lies within the error.


@dataclass(frozen=True)
class Clustered:
    """Days whose rows share a shift of the scores and one of the truth; sizes vary."""

    scores: float
    truth: float

    def day(self, rng: np.random.Generator, rows: int) -> Vector:
        world = World(-1.0 + rng.normal(0, self.scores), 0.7, -0.3 + rng.normal(0, self.truth))
        return vector_of(*world.draw(rng, max(60, rng.poisson(rows))))


def coverage(world: Clustered, references: int, later: int, days: int = 30, rows: int = 300) -> Mapping[str, float]:
    """Share of later days on which each measure lies within the error around its estimate."""
    rng = np.random.default_rng(16)
    within: dict[str, list[bool]] = {name: [] for name in MEASURES}
    for _ in range(references):
        base = baseline_of(world.day(rng, rows) for _ in range(days))
        for _ in range(later):
            item = found(world.day(rng, rows), base)
            for name in MEASURES:
                if f"bias:{name}" in item:
                    within[name].append(abs(item[f"bias:{name}"]) <= item[f"{name}_error"])
    return {name: float(np.mean(values)) for name, values in within.items()}


@pytest.mark.parametrize(
    "world", [Clustered(0.0, 0.0), Clustered(0.5, 0.0), Clustered(0.5, 0.5)], ids=["independent", "scores", "both"]
)
def test_without_drift_what_comes_true_lies_within_the_error(world: Clustered) -> None:
    for name, share in coverage(world, references=20, later=30).items():
        assert 0.925 <= share <= 0.985, (name, share)
