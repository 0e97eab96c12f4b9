"""Quality of numbers against scikit-learn, with intervals against the same errors; drift of the predictions."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from tests import build
from tests.second.statistics import loss_interval

from ml_exporter.baseline import Noise, Phi
from ml_exporter.layout import Layout, Vector
from ml_exporter.tasks import Regression
from ml_exporter.vitals import prediction, quality

Z = stats.norm.isf(0.025)
TASK = Regression((0.0, 5.0, 10.0), 5.0, 2.0, (-1.0, 0.0, 1.0), error_scale=3.0, label_centre=4.0, label_scale=6.0)
LAYOUT = replace(build.regression(), task=TASK)
NAMES = ("mean_absolute_error", "root_mean_squared_error", "mean_error", "r2")


def drawn(count: int, scale: float = 1.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and labels with skewed errors."""
    draw = np.random.default_rng(seed)
    predicted = draw.normal(5, 4, count)
    return predicted, predicted + scale * (draw.gamma(2.0, 1.5, count) - 2.5)


def joined(predicted: np.ndarray, actual: np.ndarray, layout: Layout = LAYOUT) -> Vector:
    rows: list[dict[str, Any]] = [{"id": f"p{number}", "prediction": value} for number, value in enumerate(predicted)]
    rows += [{"id": "x", "prediction": 5.0}]
    return build.vector(layout, rows, {f"p{number}": value for number, value in enumerate(actual)})


def measured(vector: Vector, layout: Layout = LAYOUT, **changes: Any) -> dict[tuple[str, ...], float]:
    baseline = build.baseline(layout, changes.pop("cells", layout.zeros()), **changes)
    return build.values(quality.quality(build.windows(vector, matured=True), baseline))


@pytest.mark.parametrize("count", [2, 50, 3000])
@pytest.mark.parametrize("scale", [1.0, 1e-2, 5.0])
def test_every_measure_equals_scikit_learn(count: int, scale: float) -> None:
    predicted, actual = drawn(count, scale)
    found = measured(joined(predicted, actual))
    assert found["ml_labelled_rows", "1d"] == count
    expected = {
        "mean_absolute_error": metrics.mean_absolute_error(actual, predicted),
        "root_mean_squared_error": metrics.root_mean_squared_error(actual, predicted),
        "mean_error": (actual - predicted).mean(),
        "r2": metrics.r2_score(actual, predicted),
    }
    assert expected.keys() == set(NAMES)
    for name, value in expected.items():
        assert found[f"ml_{name}", "1d"] == pytest.approx(value, rel=1e-6, abs=1e-6), name


def bounds(found: dict[tuple[str, ...], float], name: str) -> tuple[float, float]:
    return found[f"ml_{name}_lower", "1d"], found[f"ml_{name}_upper", "1d"]


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_intervals_are_those_of_the_errors(scale: float) -> None:
    """Also where errors are far smaller than the reference's: fourth powers have enough digits."""
    predicted, actual = drawn(2000, scale)
    found = measured(joined(predicted, actual))
    error = actual - predicted
    absolute, square = np.abs(error), error**2
    assert bounds(found, "mean_absolute_error") == pytest.approx(loss_interval(absolute, square, 1.0, Z), rel=1e-5)
    mean_square = loss_interval(square, square**2, 1.0, Z)
    assert mean_square is not None
    assert bounds(found, "root_mean_squared_error") == pytest.approx([math.sqrt(end) for end in mean_square], rel=1e-5)
    normal = stats.norm.interval(0.95, error.mean(), error.std(ddof=1) / math.sqrt(2000))
    assert bounds(found, "mean_error") == pytest.approx(normal, abs=1e-6)
    assert ("ml_r2_lower", "1d") not in found


def test_phi_of_the_mean_square_widens_the_root() -> None:
    vector = joined(*drawn(2000))
    noise = {"1d": Noise({}, {name: Phi(100, 4.0) for name in NAMES})}
    narrow, wide = measured(vector), measured(vector, noise=noise, window_seconds={"1d": 86400.0})
    for name in NAMES[:3]:
        assert wide[f"ml_{name}", "1d"] == narrow[f"ml_{name}", "1d"]
        assert np.diff(bounds(wide, name)) / np.diff(bounds(narrow, name)) == pytest.approx(2.0, abs=0.1)


def test_what_the_rows_do_not_define_has_no_gauge() -> None:
    assert measured(LAYOUT.zeros()) == {("ml_labelled_rows", "1d"): 0.0}
    found = measured(joined(np.array([1.0]), np.array([2.0])))
    assert found == {
        ("ml_labelled_rows", "1d"): 1.0,
        ("ml_mean_absolute_error", "1d"): pytest.approx(1.0, abs=1e-6),
        ("ml_root_mean_squared_error", "1d"): pytest.approx(1.0, abs=1e-6),
        ("ml_mean_error", "1d"): pytest.approx(1.0, abs=1e-6),
    }
    same = measured(joined(np.array([1.0, 3.0]), np.array([2.0, 2.0])))
    assert ("ml_r2", "1d") not in same, "labels without spread"


def test_errors_beyond_64_units_count_as_64() -> None:
    found = measured(joined(np.array([0.0, 0.0]), np.array([1e300, -300.0])))
    assert found["ml_mean_absolute_error", "1d"] == (64 * 3 + 64 * 3) / 2
    assert found["ml_mean_error", "1d"] == 0.0


def test_quality_by_arrival_is_the_same_over_the_same_labels() -> None:
    arriving = replace(LAYOUT, align="arrival")
    assert measured(joined(*drawn(300), arriving), arriving) == measured(joined(*drawn(300)))


def test_the_reference_has_the_same_measures() -> None:
    vector = joined(*drawn(300))
    found, now = measured(LAYOUT.zeros(), cells=vector), measured(vector)
    assert {found[f"ml_baseline_{name}", "reference"] - now[f"ml_{name}", "1d"] for name in NAMES} == {0.0}


def test_estimates_carry_their_errors() -> None:
    predicted, actual = drawn(500)
    found = dict(quality.estimates(LAYOUT, joined(predicted, actual)))
    assert found.keys() == set(NAMES[:3])
    error = (actual - predicted) / 3.0
    for name, values in zip(NAMES, (np.abs(error), error**2, error), strict=False):
        item = found[name]
        assert item is not None
        assert item.value == pytest.approx(values.mean(), abs=1e-6)
        assert item.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(500), rel=1e-4)


def answered(values: list[float | None]) -> Vector:
    return build.vector(LAYOUT, [{"prediction": value} for value in values])


def test_the_mean_of_the_predictions_shifts_in_robust_deviations() -> None:
    draw = np.random.default_rng(2)
    there, here = draw.normal(5, 2, 1000), draw.normal(6, 2, 100)
    baseline = build.baseline(LAYOUT, answered(there.tolist()))
    found = build.values(prediction.mean_shift(build.windows(answered([*here, math.inf, None])), baseline))
    shift = here.mean() / 2 - there.mean() / 2
    assert found["ml_prediction_mean_shift_sigmas", "1d", "reference"] == pytest.approx(shift, abs=1e-6)
    error = there.std(ddof=1) / 2 * math.sqrt(1 / 100 + 1 / 1000)
    critical = found["ml_prediction_mean_shift_critical_sigmas", "1d", "reference"]
    assert critical == pytest.approx(stats.norm.isf(0.005) * error, rel=1e-4)


def test_the_mean_shift_reads_the_noise_of_the_mean() -> None:
    noise = {"1d": Noise({}, {prediction.MEAN: Phi(30, 4.0)})}
    reference = answered([float(number % 9) for number in range(500)])
    now = build.windows(answered([1.0, 2.0, 3.0]))
    plain, wide = (
        build.values(prediction.mean_shift(now, build.baseline(LAYOUT, reference, **changes)))
        for changes in ({}, {"noise": noise, "window_seconds": {"1d": 86400.0}})
    )
    key = ("ml_prediction_mean_shift_critical_sigmas", "1d", "reference")
    assert wide[key] / plain[key] == pytest.approx(2 * stats.t.isf(0.005, 29) / stats.norm.isf(0.005))


def test_psi_of_the_predictions_is_the_formula_over_their_bins() -> None:
    baseline = build.baseline(LAYOUT, answered([-1.0] * 100 + [1.0] * 400 + [7.0] * 300 + [20.0] * 200))
    window = answered([-1.0] * 20 + [1.0] * 30 + [7.0] * 20 + [20.0] * 30 + [None, math.nan, math.inf])
    found = build.values(prediction.score_psi(build.windows(window), baseline))
    a = [(count + 0.5) / 102 for count in (20, 30, 20, 30)]
    e = [(count + 0.5) / 1002 for count in (100, 400, 300, 200)]
    value = sum((here - there) * math.log(here / there) for here, there in zip(a, e, strict=True))
    assert found["ml_prediction_psi", "1d", "reference"] == pytest.approx(value, rel=1e-12)


def test_a_number_has_no_classes() -> None:
    windows, baseline = build.windows(answered([1.0])), build.baseline(LAYOUT, answered([1.0, 2.0]))
    assert build.values(prediction.class_ratios(windows, baseline)) == {}
    assert build.values(prediction.class_shift(windows, baseline)) == {}
    assert build.values(prediction.answers(windows, baseline)) == {}
