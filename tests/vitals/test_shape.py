"""How alike the answers of a window are, against numbers by hand."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from tests import build

from ml_exporter.baseline import Baseline, Noise, Phi
from ml_exporter.layout import Layout, Vector
from ml_exporter.vitals import shape

LAYOUT = build.layout()
ALPHA = 0.01
LEARNED = {"1d": Noise({}, {"concentration": Phi(30, 4.0), "spread": Phi(30, 9.0)})}


def scored(scores: Iterable[float], layout: Layout = LAYOUT, **more: Any) -> Vector:
    return build.vector(layout, [{"id": f"p{x}", "score": score} for x, score in enumerate(scores)], **more)


def against(cells: Vector, layout: Layout = LAYOUT, noise: dict[str, Noise] | None = None) -> Baseline:
    return build.baseline(layout, cells, noise=noise or {}, window_seconds={"1d": 86400.0})


def both(window: Vector, baseline: Baseline) -> dict[tuple[str, ...], float]:
    found = build.windows(window, alpha=ALPHA)
    return build.values([*shape.answer_concentration(found, baseline), *shape.answer_spread(found, baseline)])


REFERENCE = scored([0.05] * 100 + [0.3] * 400 + [0.7] * 300 + [0.95] * 200)
WINDOW = scored([0.05] * 2 + [0.3] * 3 + [0.7] * 5)


def test_concentration_is_the_share_of_equal_pairs_and_its_limit_that_of_the_logarithm() -> None:
    found = both(WINDOW, against(REFERENCE, noise=LEARNED))
    there = (100 * 99 + 400 * 399 + 300 * 299 + 200 * 199) / (1000 * 999)
    assert found["ml_prediction_concentration_ratio", "1d"] == pytest.approx((2 + 6 + 20) / 90)
    assert found["ml_prediction_baseline_concentration_ratio", "reference"] == pytest.approx(there)
    shares = np.array([0.1, 0.4, 0.3, 0.2])
    leading = 4 * ((shares**3).sum() - (shares**2).sum() ** 2) / 1000 / there**2
    pairs = 2 * there * (1 - there) / 90 / there**2
    deviation = math.sqrt(4.0 * leading * (1000 / 10 + 1) + pairs)
    limit = there * math.expm1(stats.t.isf(ALPHA / 2, 29) * deviation)
    assert found["ml_prediction_concentration_critical_ratio", "1d", "reference"] == pytest.approx(limit)


def test_spread_is_the_deviation_of_the_logits_of_bins() -> None:
    found = both(WINDOW, against(REFERENCE, noise=LEARNED))
    edges = special.logit([0.1, 0.5, 0.9])
    places = np.array([2 * edges[0] - edges[1], edges[0], edges[1], edges[2], 2 * edges[2] - edges[1]])
    middle = (places[1:] + places[:-1]) / 2
    here = np.repeat(middle, [2, 3, 5, 0]).std(ddof=1)
    there = np.repeat(middle, [100, 400, 300, 200]).std(ddof=1)
    assert found["ml_prediction_spread", "1d"] == pytest.approx(here)
    assert found["ml_prediction_baseline_spread", "reference"] == pytest.approx(there)
    error = there / math.sqrt(2 * 999)
    limit = stats.t.isf(ALPHA / 2, 29) * 3.0 * error * math.sqrt(1000 / 10 + 1)
    assert found["ml_prediction_spread_critical", "1d", "reference"] == pytest.approx(limit)


def test_more_rows_than_a_window_of_the_reference_has_do_not_narrow_the_limits() -> None:
    month = replace(against(REFERENCE, noise=LEARNED), start_us=build.NOON, end_us=build.NOON + 30 * build.DAY)
    limits = [
        {key: value for key, value in both(WINDOW * times, month).items() if "critical" in key[0]}
        for times in (2, 4, 100)
    ]
    name = ("ml_prediction_spread_critical", "1d", "reference")
    assert limits[0][name] > 1.2 * limits[1][name], "20 and 33.3 rows"
    assert limits[1][name] == limits[2][name]


def test_the_same_score_for_another_class_is_another_answer() -> None:
    rows = [{"prediction": name, "score": 0.7} for name in ("no", "yes", "yes", "yes")]
    found = both(build.vector(LAYOUT, rows), against(REFERENCE))
    assert found["ml_prediction_concentration_ratio", "1d"] == pytest.approx(6 / 12)


def test_a_regression_has_bins_of_numbers_and_its_standardised_deviation() -> None:
    layout = build.regression()
    values = [1.0, 1.5, 6.0, 7.0, 30.0]
    cells = build.vector(layout, [{"prediction": value} for value in values])
    found = both(cells, against(cells, layout))
    assert found["ml_prediction_concentration_ratio", "1d"] == pytest.approx(4 / 20)
    assert found["ml_prediction_spread", "1d"] == pytest.approx(np.std(values, ddof=1) / 2.0, rel=1e-4)


def test_labels_change_nothing() -> None:
    scores = [0.05, 0.3, 0.7, 0.95] * 50
    labelled = scored(scores, actual={f"p{x}": ("no", "yes")[x % 3 == 0] for x in range(0, 200, 2)})
    baseline = against(REFERENCE, noise=LEARNED)
    assert both(labelled, baseline) == both(scored(scores), baseline)


def test_where_nothing_was_learned_there_is_no_limit() -> None:
    names = {name for name, *_ in both(WINDOW, against(REFERENCE))}
    assert names == {
        *(f"ml_prediction_{kind}concentration_ratio" for kind in ("", "baseline_")),
        *(f"ml_prediction_{kind}spread" for kind in ("", "baseline_")),
    }


@pytest.mark.parametrize("rows", [0, 1])
def test_of_fewer_than_two_rows_nothing_is_said(rows: int) -> None:
    few = scored([0.3] * rows)
    assert {name for name, *_ in both(few, against(REFERENCE, noise=LEARNED))} == {
        "ml_prediction_baseline_concentration_ratio",
        "ml_prediction_baseline_spread",
    }
    assert both(WINDOW, against(few, noise=LEARNED)) == {}


def test_a_reference_of_few_alike_pairs_has_a_finite_limit() -> None:
    found = both(scored([0.3] * 2), against(scored([0.05, 0.3, 0.3, 0.7, 0.95]), noise=LEARNED))
    assert all(math.isfinite(value) for value in found.values())
