"""The distances that are asked for, against scipy, and what the artefact must know for them."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from tests import build

from ml_exporter.baseline import Baseline, JsNoise, Noise, Phi, SpreadNoise
from ml_exporter.layout import Vector
from ml_exporter.vitals import distances

LAYOUT = build.layout()
ALPHA = 0.01
REFERENCE = [-5.0] * 100 + [0.0] * 300 + [5.0] * 200 + [15.0] * 250 + [25.0] * 150
WINDOW = [-5.0] * 5 + [0.0] * 30 + [5.0] * 35 + [25.0] * 30
HERE, THERE = [5, 30, 35, 0, 30], [100, 300, 200, 250, 150]
VALUES = [-3.0, -2.0, -1.0, 1.0, 4.0]
"""The bins of temp in robust deviations: open, zero alone, to 10, to 20, open and as wide as that."""


def temps(values: list[float | None]) -> Vector:
    return build.vector(LAYOUT, [{"feature:temp": value} for value in values])


def baseline(noise: Mapping[str, Noise] | None = None) -> Baseline:
    vector = temps([*REFERENCE, None])
    return build.baseline(LAYOUT, vector, noise=noise or {}, independent=distances.independent_of(LAYOUT, vector))


def found(known: Baseline, vector: Vector, *wanted: str) -> dict[tuple[str, ...], float]:
    windows = replace(build.windows(vector, alpha=ALPHA), distances=wanted)
    samples = build.values(distances.feature_distances(windows, known))
    return {(name.removeprefix("ml_feature_"), feature): value for (name, _, _, feature), value in samples.items()}


def test_they_are_scipys_over_the_bins() -> None:
    samples = found(baseline(), temps([*WINDOW, None, math.nan, math.inf]), "js", "ks", "wasserstein")
    js = jensenshannon(np.array(HERE) + 0.25, np.array(THERE) + 0.25, base=2)
    assert samples["js_distance", "temp"] == pytest.approx(js, rel=1e-12)
    steps = [np.repeat(np.arange(5), counts) for counts in (HERE, THERE)]
    assert samples["ks_statistic", "temp"] == pytest.approx(stats.ks_2samp(*steps).statistic, rel=1e-12)
    distance = stats.wasserstein_distance(VALUES, VALUES, HERE, THERE)
    assert samples["wasserstein", "temp"] == pytest.approx(distance, rel=1e-12)
    assert {feature for _, feature in samples} == {"temp"}, "the others have no values here"


def test_critical_values_of_independent_rows() -> None:
    samples = found(baseline(), temps(WINDOW), "js", "ks")
    scale = 1 / 100 + 1 / 1000
    js = math.sqrt(stats.chi2.isf(ALPHA, 4) * scale / 8 / math.log(2))
    assert samples["js_distance_critical", "temp"] == pytest.approx(js, rel=1e-12)
    spread = baseline().independent["temp"]["ks"]
    assert spread.sigma == pytest.approx(math.sqrt(0.4 * 0.6), rel=1e-12), "at 0, where it is nearest to one half"
    normal = stats.norm.isf(ALPHA / 2 / spread.comparisons)
    ks = spread.sigma * math.sqrt(scale) * normal
    assert samples["ks_statistic_critical", "temp"] == pytest.approx(ks, rel=0.02), "but for skewness"


def test_the_reference_s_own_windows_widen_them() -> None:
    noise = Noise(
        {}, {"ks:temp": Phi(30, 9.0), "wasserstein:temp": Phi(30, 4.0)}, {"temp": JsNoise(30, 40.0, 400.0, 10.0)}
    )
    plain, wide = (
        found(known, temps(WINDOW), "js", "ks", "wasserstein") for known in (baseline(), baseline({"1d": noise}))
    )
    for name in ("js_distance", "ks_statistic", "wasserstein"):
        assert wide[name, "temp"] == plain[name, "temp"]
    names = ("js_distance", "ks_statistic", "wasserstein")
    ratio = {name: wide[f"{name}_critical", "temp"] / plain[f"{name}_critical", "temp"] for name in names}
    assert ratio["js_distance"] > 2
    assert 3 < ratio["ks_statistic"] < 4
    assert 2 < ratio["wasserstein"] < 3.5


def test_spread_is_a_deviation_over_the_usual_one_of_the_reference_s_windows() -> None:
    noise = Noise({}, {}, spread={"temp": SpreadNoise(30, math.log(0.5), 0.04, 400.0)})
    samples = found(baseline({"1d": noise}), temps(WINDOW), "spread")
    deviation = np.std(WINDOW, ddof=1) / 5.0
    assert samples["spread_factor", "temp"] == pytest.approx(deviation / 0.5, rel=1e-4)
    limit = stats.t.isf(ALPHA / 2, 29) * 0.2 * math.sqrt((1 + 1 / 30) * 4)
    assert samples["spread_factor_critical", "temp"] == pytest.approx(math.exp(limit), rel=1e-9)


def test_spread_says_nothing_of_equal_values_or_where_too_few_windows_are_known() -> None:
    known, few = (Noise({}, {}, spread={"temp": SpreadNoise(windows, 0.0, 0.04, 400.0)}) for windows in (30, 4))
    assert found(baseline({"1d": known}), temps([3.0] * 40), "spread") == {}
    assert found(baseline({"1d": few}), temps(WINDOW), "spread") == {}
    assert found(baseline(), temps(WINDOW), "spread") == {}


def test_the_reference_s_windows_teach_their_usual_spread() -> None:
    windows = [temps([10.0 - width, 10.0 + width] * 50) for width in (5.0, 5.0 * math.e)]
    learned = dict(distances.spread_noise(LAYOUT, [*windows, temps([3.0] * 40), temps([1.0] * 3)], 20))
    sample = math.log(100 / 99) / 2
    assert learned["temp"].windows == 2
    assert learned["temp"].mean == pytest.approx(0.5 + sample, abs=1e-4)
    assert learned["temp"].variance == pytest.approx(0.5, abs=1e-4)
    assert learned["temp"].rows == 100


def test_windows_of_another_length_borrow_what_was_learned() -> None:
    noise = Noise({}, {}, {"temp": JsNoise(30, 40.0, 400.0, 10.0)})
    known = replace(baseline({"1h": noise}), window_seconds={"1h": 3600.0})
    samples = found(known, temps(WINDOW), "js")
    assert (
        samples["js_distance_critical", "temp"] > found(baseline(), temps(WINDOW), "js")["js_distance_critical", "temp"]
    )


def test_categories_have_jensen_shannon_alone_and_rare_ones_are_merged() -> None:
    rows = [{"feature:carrier": name} for name in ["AA"] * 900 + ["UA"] * 95 + ["DL"] * 5]
    vector = build.vector(LAYOUT, rows)
    known = build.baseline(LAYOUT, vector, independent=distances.independent_of(LAYOUT, vector))
    here = build.vector(LAYOUT, [{"feature:carrier": name} for name in ["AA"] * 30 + ["UA"] * 10])
    samples = found(known, here, "ks", "js", "wasserstein")
    js = jensenshannon(np.array([30, 10]) + 0.25, np.array([900, 100]) + 0.25, base=2)
    assert samples["js_distance", "carrier"] == pytest.approx(js, rel=1e-12)
    assert set(samples) == {("js_distance", "carrier"), ("js_distance_critical", "carrier")}


def test_nothing_that_was_not_asked_for() -> None:
    assert found(baseline(), temps(WINDOW)) == {}
    assert {name for name, _ in found(baseline(), temps(WINDOW), "ks")} == {"ks_statistic", "ks_statistic_critical"}


def test_an_artefact_of_an_earlier_release_has_jensen_shannon_of_independent_rows_alone() -> None:
    names = {name for name, _ in found(replace(baseline(), independent={}), temps(WINDOW), "js", "ks", "wasserstein")}
    assert names == {"js_distance", "js_distance_critical"}


@pytest.mark.parametrize("window", [[], [None], [3.0] * 40])
def test_no_value_that_is_no_number(window: list[float | None]) -> None:
    for reference in (REFERENCE, [3.0] * 100, []):
        vector = temps([*reference])
        known = build.baseline(LAYOUT, vector, independent=distances.independent_of(LAYOUT, vector))
        samples = found(known, temps(window), "js", "ks", "wasserstein")
        assert all(math.isfinite(value) for value in samples.values())
        assert bool(samples) == bool(window and window[0] and reference == REFERENCE)
