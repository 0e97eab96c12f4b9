"""Class shares and their shift, score drift, confidence, default answers and errors, against numbers by hand."""

import math
from collections.abc import Iterable
from typing import Any

import pytest
from scipy import stats
from tests import build

from ml_exporter.baseline import SCORE, Noise, Phi, PsiNoise
from ml_exporter.layout import Vector
from ml_exporter.vitals import prediction

LAYOUT = build.layout()
ALPHA = 0.01


def answered(no: int, yes: int, unknown: int = 0) -> Vector:
    names = ["no"] * no + ["yes"] * yes + ["maybe"] * unknown
    return build.vector(LAYOUT, [{"prediction": name} for name in names])


def scored(scores: Iterable[float | None]) -> Vector:
    return build.vector(LAYOUT, [{"score": score} for score in scores])


def test_class_ratios_are_shares_of_known_classes() -> None:
    found = build.values(
        prediction.class_ratios(build.windows(answered(3, 1, 6)), build.baseline(LAYOUT, answered(1, 1)))
    )
    assert found == {
        ("ml_prediction_class_ratio", "1d", "no"): 3 / 4,
        ("ml_prediction_class_ratio", "1d", "yes"): 1 / 4,
        ("ml_prediction_baseline_class_ratio", "reference", "no"): 1 / 2,
        ("ml_prediction_baseline_class_ratio", "reference", "yes"): 1 / 2,
    }


def test_a_class_that_nobody_predicted_has_the_share_zero() -> None:
    found = build.values(prediction.class_ratios(build.windows(answered(3, 0)), build.baseline(LAYOUT, answered(1, 1))))
    assert found["ml_prediction_class_ratio", "1d", "yes"] == 0.0


def shift(noise: dict[str, Any] | None = None) -> tuple[float, float]:
    """Shift of the class yes, from 200 of 1000 to 30 of 100, and its critical value."""
    baseline = build.baseline(LAYOUT, answered(800, 200), noise=noise or {}, window_seconds={"1d": 86400.0})
    found = build.values(prediction.class_shift(build.windows(answered(70, 30), alpha=ALPHA), baseline))
    value = found["ml_prediction_class_shift_sigmas", "1d", "reference", "yes"]
    assert found["ml_prediction_class_shift_sigmas", "1d", "reference", "no"] == pytest.approx(-value)
    return value, found["ml_prediction_class_shift_critical_sigmas", "1d", "reference", "yes"]


def test_class_shift_is_a_pooled_z() -> None:
    pooled = 230 / 1100
    z = (0.3 - 0.2) / math.sqrt(pooled * (1 - pooled) * (1 / 100 + 1 / 1000))
    value, critical = shift()
    assert value == pytest.approx(z, rel=1e-12)
    assert critical == pytest.approx(stats.norm.isf(ALPHA / 2 / 2), rel=1e-9)


def test_class_shift_shrinks_with_phi() -> None:
    value, critical = shift({"1d": Noise({}, {"class:yes": Phi(30, 4.0), "class:no": Phi(30, 4.0)})})
    assert value == pytest.approx(shift()[0] / 2, rel=1e-12)
    assert critical == pytest.approx(stats.t.isf(ALPHA / 2 / 2, 29), rel=1e-9)


@pytest.mark.parametrize(("window", "reference"), [((0, 0), (5, 5)), ((5, 5), (0, 0)), ((5, 0), (9, 0))])
def test_without_two_sides_or_any_variance_there_is_no_shift(
    window: tuple[int, int], reference: tuple[int, int]
) -> None:
    baseline = build.baseline(LAYOUT, answered(*reference))
    assert build.values(prediction.class_shift(build.windows(answered(*window)), baseline)) == {}


def test_score_psi_is_the_formula_over_all_scores() -> None:
    reference = scored([0.05] * 100 + [0.3] * 400 + [0.7] * 300 + [0.95] * 200)
    baseline = build.baseline(LAYOUT, reference)
    window = scored([0.05] * 20 + [0.3] * 30 + [0.7] * 20 + [0.95] * 30 + [None, 1.5])
    found = build.values(prediction.score_psi(build.windows(window, alpha=ALPHA), baseline))
    a = [(count + 0.5) / 102 for count in (20, 30, 20, 30)]
    e = [(count + 0.5) / 1002 for count in (100, 400, 300, 200)]
    value = sum((here - there) * math.log(here / there) for here, there in zip(a, e, strict=True))
    assert found["ml_prediction_psi", "1d", "reference"] == pytest.approx(value, rel=1e-12)
    critical = stats.chi2.isf(ALPHA, 3) * (1 / 100 + 1 / 1000)
    assert found["ml_prediction_psi_critical", "1d", "reference"] == pytest.approx(critical, rel=1e-12)


def test_score_psi_does_not_see_labels() -> None:
    rows = [build.prediction(0, number) for number in range(200)]
    actual = {f"p{number}": ("no", "yes")[number % 3 == 0] for number in range(0, 200, 2)}
    with_labels, without = build.vector(LAYOUT, rows, actual), build.vector(LAYOUT, rows)
    baseline = build.baseline(LAYOUT, scored([0.05, 0.3, 0.7, 0.95] * 50))
    first, second = (
        build.values(prediction.score_psi(build.windows(item), baseline)) for item in (with_labels, without)
    )
    assert first == second


def test_score_psi_reads_the_noise_of_the_score() -> None:
    baseline = build.baseline(LAYOUT, scored([0.05, 0.3, 0.7, 0.95] * 50), noise={"1d": NOISE})
    found = build.values(prediction.score_psi(build.windows(scored([0.3, 0.7] * 50), alpha=ALPHA), baseline))
    d = 2 * 90.0**2 / 1800.0 * stats.chi2.ppf(0.1, 29) / 29
    critical = 90.0 / d * stats.chi2.isf(ALPHA, d) * (1 / 100 + 1 / 200)
    assert found["ml_prediction_psi_critical", "1d", "reference"] == pytest.approx(critical, rel=1e-9)


NOISE = Noise({SCORE: PsiNoise(30, 90.0, 1800.0, 10.0), "score": PsiNoise(30, 1.0, 1.0, 1.0)}, {})


def test_answers_are_means_over_the_rows_that_say() -> None:
    rows: list[dict[str, Any]] = [
        {"score": 0.75, "prediction": "yes", "fallback": True, "error": False},
        {"score": 0.25, "prediction": "no", "fallback": False},
        {"score": 0.25, "prediction": "yes", "fallback": None, "error": True},
        {"score": None, "prediction": "yes", "error": True},
        {"score": 0.5, "prediction": "maybe", "fallback": False},
    ]
    assert build.values(prediction.answers(build.windows(build.vector(LAYOUT, rows)), build.baseline())) == {
        ("ml_prediction_confidence_mean", "1d"): (0.75 + 0.75 + 0.25) / 3,
        ("ml_prediction_fallback_ratio", "1d"): 1 / 3,
        ("ml_prediction_error_ratio", "1d"): 2 / 3,
    }


def test_what_the_log_does_not_hold_has_no_gauge() -> None:
    windows = build.windows(build.vector(LAYOUT, [{"prediction": "yes"}]))
    assert build.values(prediction.answers(windows, build.baseline())) == {}
    assert build.values(prediction.score_psi(windows, build.baseline())) == {}
