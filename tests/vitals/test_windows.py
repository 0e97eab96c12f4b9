"""Estimates against numpy, and which window's noise speaks for another's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import build

from ml_exporter.baseline import Noise, Phi
from ml_exporter.vitals.windows import Window, mean, phi_of, ratio

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
    ("learned", "window", "expected"),
    [
        ((), "1d", Phi(0, 1.0)),
        (("1h", "1d"), "1d", Phi(30, LENGTHS["1d"])),
        (("1h", "2h", "1d"), "30d", Phi(30, LENGTHS["1d"])),
        (("1h", "1d"), "2h", Phi(30, LENGTHS["1h"])),
        (("1h", "1d"), "5m", Phi(30, LENGTHS["1h"])),
        (("1d", "30d"), "2h", Phi(30, LENGTHS["1d"])),
    ],
)
def test_phi_comes_from_the_nearest_learned_window(learned: tuple[str, ...], window: str, expected: Phi) -> None:
    noise = {name: Noise({}, {"accuracy": Phi(30, LENGTHS[name])}) for name in learned}
    baseline = build.baseline(noise=noise, window_seconds={name: LENGTHS[name] for name in learned})
    vector = baseline.layout.zeros()
    assert phi_of(baseline, Window(window, LENGTHS[window], 0, 0, vector), "accuracy") == expected


def test_a_window_that_did_not_learn_this_statistic_is_passed_over() -> None:
    noise = {"1h": Noise({}, {"recall": Phi(9, 3.0)}), "1d": Noise({}, {"accuracy": Phi(30, 2.0)})}
    baseline = build.baseline(noise=noise, window_seconds={"1h": 3600.0, "1d": 86400.0})
    window = Window("1h", 3600.0, 0, 0, baseline.layout.zeros())
    assert phi_of(baseline, window, "accuracy") == Phi(30, 2.0)
