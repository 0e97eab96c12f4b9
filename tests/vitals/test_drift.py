"""PSI, its critical value and the shift of the mean, against the formulas written out."""

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests import build

from ml_exporter.baseline import Baseline, Noise, Phi, PsiNoise
from ml_exporter.layout import CategoryBins, Layout, Vector
from ml_exporter.vitals import drift

LAYOUT = build.layout()
ALPHA = 0.01


def temps(values: list[float | None]) -> Vector:
    return build.vector(LAYOUT, [{"feature:temp": value} for value in values])


def counted(counts: list[int], layout: Layout) -> Vector:
    """A vector in which the categories of the only feature have these counts."""
    vector = layout.zeros()
    cells = layout.cells(vector, "feature:carrier")
    cells["bins"][:] = counts
    cells["valid"][:] = sum(counts)
    return vector


def formula(actual: list[float], expected: list[float]) -> float:
    """Sum of (a - e) ln(a / e) with half a row added to every bin."""
    a = [(count + 0.5) / (sum(actual) + len(actual) / 2) for count in actual]
    e = [(count + 0.5) / (sum(expected) + len(expected) / 2) for count in expected]
    return sum((here - there) * math.log(here / there) for here, there in zip(a, e, strict=True))


def psi_of(baseline: Baseline, vector: Vector, feature: str) -> tuple[float, float, float | None]:
    """PSI, critical value and overdispersion of one feature."""
    found = build.values(drift.feature_psi(build.windows(vector, alpha=ALPHA), baseline))
    names = ("ml_feature_psi", "ml_feature_psi_critical", "ml_feature_psi_overdispersion")
    value, critical, overdispersion = (found.get((name, "1d", "reference", feature)) for name in names)
    assert value is not None
    assert critical is not None
    return value, critical, overdispersion


REFERENCE = [-5.0] * 100 + [0.0] * 300 + [5.0] * 200 + [15.0] * 250 + [25.0] * 150
WINDOW = [-5.0] * 5 + [0.0] * 30 + [5.0] * 35 + [25.0] * 30


def test_psi_of_a_number_is_the_formula_over_valid_values() -> None:
    value, critical, overdispersion = psi_of(
        build.baseline(LAYOUT, temps([*REFERENCE, None])), temps([*WINDOW, None, math.nan, math.inf]), "temp"
    )
    assert value == pytest.approx(formula([5, 30, 35, 0, 30], [100, 300, 200, 250, 150]), rel=1e-12)
    assert critical == pytest.approx(stats.chi2.isf(ALPHA, 4) * (1 / 100 + 1 / 1000), rel=1e-12)
    assert overdispersion is None


def test_fine_bins_are_grouped_as_the_baseline_says() -> None:
    groups = {**build.baseline(LAYOUT).groups, "temp": (0, 1, 2, 2, 2)}
    value, critical, _ = psi_of(build.baseline(LAYOUT, temps(REFERENCE), groups=groups), temps(WINDOW), "temp")
    assert value == pytest.approx(formula([5, 30, 65], [100, 300, 600]), rel=1e-12)
    assert critical == pytest.approx(stats.chi2.isf(ALPHA, 2) * (1 / 100 + 1 / 1000), rel=1e-12)


def test_bins_that_are_empty_on_both_sides_do_not_count() -> None:
    kept = [value for value in REFERENCE if value != 15.0]
    value, critical, _ = psi_of(build.baseline(LAYOUT, temps(kept)), temps(WINDOW), "temp")
    assert value == pytest.approx(formula([5, 30, 35, 30], [100, 300, 200, 150]), rel=1e-12)
    assert critical == pytest.approx(stats.chi2.isf(ALPHA, 3) * (1 / 100 + 1 / 750), rel=1e-12)


def test_the_critical_value_knows_the_dispersion_of_the_reference() -> None:
    noise = Noise({"temp": PsiNoise(windows=30, mean=90.0, variance=1800.0, overdispersion=10.0)}, {})
    baseline = build.baseline(LAYOUT, temps(REFERENCE), noise={"1d": noise})
    _, critical, overdispersion = psi_of(baseline, temps(WINDOW), "temp")
    d = 2 * 90.0**2 / 1800.0 * stats.chi2.ppf(0.1, 29) / 29
    assert critical == pytest.approx(90.0 / d * stats.chi2.isf(ALPHA, d) * (1 / 100 + 1 / 1000), rel=1e-9)
    assert overdispersion == 10.0


def test_a_window_that_the_reference_cannot_show_borrows_the_noise_of_days() -> None:
    noise = Noise({"temp": PsiNoise(windows=30, mean=90.0, variance=1800.0, overdispersion=10.0)}, {})
    baseline = build.baseline(LAYOUT, temps(REFERENCE), noise={"1d": noise}, window_seconds={"1d": 86400.0})
    day = build.windows(temps(WINDOW), alpha=ALPHA)
    month = replace(day, current=(replace(day.current[0], name="30d", seconds=30 * 86400.0),), features=("30d",))
    first, second = (build.values(drift.feature_psi(item, baseline)) for item in (day, month))
    assert len(second) == 3
    assert {(name, feature): value for (name, _, _, feature), value in second.items()} == {
        (name, feature): value for (name, _, _, feature), value in first.items()
    }


def test_an_hour_has_its_share_of_alpha() -> None:
    baseline = build.baseline(LAYOUT, temps(REFERENCE))
    day = build.windows(temps(WINDOW), alpha=ALPHA)
    hour = replace(day, current=(replace(day.current[0], name="1h", seconds=3600.0),), features=("1h",))
    critical = build.values(drift.feature_psi(hour, baseline))["ml_feature_psi_critical", "1h", "reference", "temp"]
    assert critical == pytest.approx(stats.chi2.isf(ALPHA / 24, 4) * (1 / 100 + 1 / 1000), rel=1e-9)


CATEGORIES = build.layout(CategoryBins("carrier", ("AA", "UA", "B6", "HA")))


def test_rare_categories_are_merged_before_psi() -> None:
    baseline = build.baseline(CATEGORIES, counted([600, 370, 25, 5, 0], CATEGORIES))
    value, critical, _ = psi_of(baseline, counted([50, 40, 7, 2, 1], CATEGORIES), "carrier")
    assert value == pytest.approx(formula([50, 40, 10], [600, 370, 30]), rel=1e-12)
    assert critical == pytest.approx(stats.chi2.isf(ALPHA, 2) * (1 / 100 + 1 / 1000), rel=1e-12)


def test_a_category_stays_where_the_window_is_large_enough() -> None:
    baseline = build.baseline(CATEGORIES, counted([600, 370, 25, 5, 0], CATEGORIES))
    value, _, _ = psi_of(baseline, counted([500, 400, 70, 25, 5], CATEGORIES), "carrier")
    assert value == pytest.approx(formula([500, 400, 70, 25, 5], [600, 370, 25, 5, 1e-4 * 1000]), rel=1e-12)


def test_unknown_categories_have_a_floor_in_the_reference() -> None:
    baseline = build.baseline(CATEGORIES, counted([600_000, 300_000, 60_000, 40_000, 0], CATEGORIES))
    value, _, _ = psi_of(baseline, counted([600, 300, 60, 20, 20], CATEGORIES), "carrier")
    assert value == pytest.approx(formula([600, 300, 60, 20, 20], [600_000, 300_000, 60_000, 40_000, 100]), rel=1e-12)


@pytest.mark.parametrize("values", [[], [None], [math.nan, math.inf]])
def test_without_valid_values_there_is_no_drift(values: list[float | None]) -> None:
    windows = build.windows(temps(values))
    baseline = build.baseline(LAYOUT, temps(REFERENCE))
    assert build.values(drift.feature_psi(windows, baseline)) == {}
    assert build.values(drift.mean_shift(windows, baseline)) == {}


def test_one_bin_has_no_psi() -> None:
    assert (
        build.values(drift.feature_psi(build.windows(temps([5.0] * 9)), build.baseline(LAYOUT, temps([5.0] * 9)))) == {}
    )


def test_psi_of_the_same_shares_is_almost_nothing() -> None:
    value, critical, _ = psi_of(build.baseline(LAYOUT, temps(REFERENCE)), temps(REFERENCE), "temp")
    assert value == 0.0 < critical


draw = random.Random(3)
BEFORE: list[float | None] = [draw.gauss(10, 8) for _ in range(2000)]
AFTER: list[float | None] = [draw.gauss(13, 8) for _ in range(150)]


def shift(noise: dict[str, Any] | None = None) -> tuple[float, float]:
    """The mean shift of temp and its critical value."""
    baseline = build.baseline(LAYOUT, temps(BEFORE), noise=noise or {}, window_seconds={"1d": 86400.0})
    found = build.values(drift.mean_shift(build.windows(temps([*AFTER, None, math.inf]), alpha=ALPHA), baseline))
    assert len(found) == 2
    names = ("ml_feature_mean_shift_sigmas", "ml_feature_mean_shift_critical_sigmas")
    value, critical = (found[name, "1d", "reference", "temp"] for name in names)
    return value, critical


def test_mean_shift_is_the_difference_of_means_in_units_of_the_scale() -> None:
    z_before, z_after = ((np.array(values, float) - 10.0) / 5.0 for values in (BEFORE, AFTER))
    value, critical = shift()
    assert value == pytest.approx(z_after.mean() - z_before.mean(), abs=1e-7)
    error = z_before.std(ddof=1) * math.sqrt(1 / 150 + 1 / 2000)
    assert critical == pytest.approx(stats.norm.isf(ALPHA / 2) * error, rel=1e-6)


def test_the_critical_shift_widens_with_phi() -> None:
    value, critical = shift({"1d": Noise({}, {"mean:temp": Phi(30, 4.0)})})
    z_before = (np.array(BEFORE, float) - 10.0) / 5.0
    error = z_before.std(ddof=1) * math.sqrt(4.0 * (1 / 150 + 1 / 2000))
    assert critical == pytest.approx(stats.t.isf(ALPHA / 2, 29) * error, rel=1e-6)
    assert value == shift()[0]


def test_a_single_value_has_a_shift() -> None:
    baseline = build.baseline(LAYOUT, temps(BEFORE))
    found = build.values(drift.mean_shift(build.windows(temps([35.0])), baseline))
    mean = float(np.mean((np.array(BEFORE, float) - 10.0) / 5.0))
    assert found["ml_feature_mean_shift_sigmas", "1d", "reference", "temp"] == pytest.approx(5.0 - mean, abs=1e-7)


def test_a_huge_value_shifts_the_mean_by_no_more_than_its_clip() -> None:
    found = build.values(
        drift.mean_shift(build.windows(temps([10.0] * 99 + [1e300])), build.baseline(LAYOUT, temps([10.0] * 100)))
    )
    assert found["ml_feature_mean_shift_sigmas", "1d", "reference", "temp"] == 0.64


@pytest.mark.parametrize("categories", [False, True])
def test_what_each_bin_adds_and_what_is_lacking(categories):
    draw = random.Random(3)
    for _ in range(300):
        bins = draw.randint(1, 8)
        current, reference = (
            np.array([draw.choice([0, 0, 1, 3, 40, 900]) for _ in range(bins)], np.int64) for _ in range(2)
        )
        item = CategoryBins("carrier", tuple(map(str, range(bins - 1)))) if categories else None
        found, parts = drift.compare(current, reference, item), drift.parts(current, reference, item)
        lacking = drift.shortage(current, reference, item)
        assert (found is None) == (parts == ()) == (lacking is not None)
        if found is not None:
            assert sum(part.contribution for part in parts) == pytest.approx(found.value, rel=1e-12, abs=1e-15)
            assert len(parts) == found.bins
            assert sum(current[list(part.groups)].sum() for part in parts) == current.sum()
        else:
            assert lacking.have < lacking.need
