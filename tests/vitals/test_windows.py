"""Estimates against numpy, and which window's noise speaks for another's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import build

from ml_exporter.baseline import Noise, Phi, PsiNoise
from ml_exporter.vitals.windows import Window, alpha_of, mean, phi_of, psi_noise_of, ratio

numbers = st.lists(st.integers(-1000, 1000).map(lambda value: value / 8), min_size=2, max_size=50)


@given(numbers)
def test_mean_and_error_equal_numpy(values: list[float]) -> None:
    found = mean(sum(values), sum(value * value for value in values), len(values))
    assert found is not None
    assert found.value == pytest.approx(np.mean(values), abs=1e-12)
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)), abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
def test_below_two_rows_a_mean_has_no_error(rows: int) -> None:
    assert mean(1.0, 1.0, rows) is None


def test_rounded_squares_never_give_a_negative_variance() -> None:
    found = mean(3.0, 2.9999999, 3)
    assert found is not None
    assert found.standard_error == 0.0


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_ratio_equals_the_mean_of_zeros_and_ones(part: int, other: int) -> None:
    found = ratio(part, part + other)
    if part + other == 0:
        assert found is None
        return
    values = [1.0] * part + [0.0] * other
    assert found == (np.mean(values), pytest.approx(np.std(values) / math.sqrt(len(values))), len(values))


LENGTHS = {"5m": 300.0, "1h": 3600.0, "2h": 7200.0, "1d": 86400.0, "30d": 2592000.0}


@pytest.mark.parametrize(
    ("learned", "window", "lender"),
    [
        ((), "1d", None),
        (("1h", "1d"), "1d", "1d"),
        (("1h", "2h", "1d"), "30d", "1d"),
        (("1h", "1d"), "2h", "1h"),
        (("1h", "1d"), "5m", "1h"),
        (("1d", "30d"), "2h", "1d"),
    ],
)
def test_noise_comes_from_the_nearest_learned_window(learned: tuple[str, ...], window: str, lender: str | None) -> None:
    psi = {name: PsiNoise(30, LENGTHS[name], 1.0, 2.0) for name in learned}
    noise = {name: Noise({"temp": psi[name]}, {"accuracy": Phi(30, LENGTHS[name])}) for name in learned}
    baseline = build.baseline(noise=noise, window_seconds={name: LENGTHS[name] for name in learned})
    found = Window(window, LENGTHS[window], 0, 0, baseline.layout.zeros())
    assert phi_of(baseline, found, "accuracy") == (Phi(30, LENGTHS[lender]) if lender else Phi(0, 1.0))
    assert psi_noise_of(baseline, found, "temp") == (psi[lender] if lender else None)


def test_a_window_that_did_not_learn_this_statistic_is_passed_over() -> None:
    noise = {"1h": Noise({}, {"recall": Phi(9, 3.0)}), "1d": Noise({}, {"accuracy": Phi(30, 2.0)})}
    baseline = build.baseline(noise=noise, window_seconds={"1h": 3600.0, "1d": 86400.0})
    window = Window("1h", 3600.0, 0, 0, baseline.layout.zeros())
    assert phi_of(baseline, window, "accuracy") == Phi(30, 2.0)


def test_a_window_that_did_not_learn_this_psi_is_passed_over() -> None:
    learned = PsiNoise(30, 9.0, 1.0, 2.0)
    noise = {"1h": Noise({"wind": learned}, {"accuracy": Phi(30, 2.0)}), "1d": Noise({"temp": learned}, {})}
    baseline = build.baseline(noise=noise, window_seconds={"1h": 3600.0, "1d": 86400.0})
    window = Window("1h", 3600.0, 0, 0, baseline.layout.zeros())
    assert psi_noise_of(baseline, window, "temp") == learned
    assert psi_noise_of(baseline, window, "carrier") is None


@pytest.mark.parametrize(("seconds", "share"), [(300.0, 1 / 288), (3600.0, 1 / 24), (86400.0, 1.0), (2592000.0, 1.0)])
def test_the_windows_of_a_day_share_one_alpha(seconds: float, share: float) -> None:
    assert alpha_of(0.01, seconds, 86400.0) == pytest.approx(0.01 * share)
    assert alpha_of(0.01, seconds / 600, 144.0) == pytest.approx(0.01 * share)
