"""How alike answers are, against rows one by one; and how often their critical values are exceeded without drift."""

import numpy as np
import pytest
from scipy.special import ndtr

from ml_exporter.statistics.dispersion import phi
from ml_exporter.statistics.excess import skewness
from ml_exporter.statistics.shape import concentration, critical_difference, logarithm, pair_variance, spread

ALPHA = 0.01
BINS = 40
EDGES = np.linspace(-3, 3, BINS - 1)
PLACES = np.concatenate(([-3.1], (EDGES[1:] + EDGES[:-1]) / 2, [3.1]))


def test_concentration_is_the_share_of_equal_pairs():
    rng = np.random.default_rng(1)
    for _ in range(20):
        kinds = rng.integers(0, 5, rng.integers(2, 30))
        pairs = np.equal.outer(kinds, kinds)[~np.eye(len(kinds), dtype=bool)]
        assert concentration(np.bincount(kinds).astype(float)).value == pytest.approx(pairs.mean(), abs=1e-12)


def test_spread_is_the_standard_deviation():
    values = np.random.default_rng(2).normal(3.0, 2.0, 500)
    found = spread(values.sum(), (values**2).sum(), 500.0)
    assert found.value == pytest.approx(values.std(ddof=1))
    assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(998))


def test_one_row_has_neither():
    assert concentration(np.array([1.0, 0.0])) is None
    assert spread(1.0, 1.0, 1.0) is None


def test_few_rows_do_not_look_concentrated():
    """The expectation does not depend on the number of rows; that of the largest share would be 0.5 of two rows."""
    rng, shares = np.random.default_rng(3), np.full(20, 0.05)
    for rows in (2, 5, 50):
        values = [concentration(row.astype(float)).value for row in rng.multinomial(rows, shares, 20_000)]
        assert np.mean(values) == pytest.approx(0.05, abs=0.005)


def normal(shift):
    """Windows whose scores share a shift of their mean and a factor of their width."""

    def shares(rng, windows):
        width = np.exp(rng.normal(0, shift, (windows, 1)))
        inner = ndtr((EDGES - rng.normal(0, shift, (windows, 1))) / width)
        return np.diff(inner, axis=1, prepend=0.0, append=1.0)

    return shares


def zeros(swing):
    """Nearly all answers are one; its share swings."""

    def shares(rng, windows):
        most = np.clip(0.93 + rng.normal(0, swing, (windows, 1)), 0.5, 0.99)
        return np.concatenate((most, (1 - most) * np.full((1, BINS - 1), 1 / (BINS - 1))), axis=1)

    return shares


def concentrations(counts):
    return logarithm(concentration(counts))


def spreads(counts):
    return spread((counts * PLACES).sum(), (counts * PLACES**2).sum(), counts.sum())


def rates(statistic, shares, rows):
    """Shares of windows above and below the critical difference that 30 earlier windows give."""
    rng, references, later, above, below = np.random.default_rng(4), 200, 30, 0, 0
    for _ in range(references):
        counts = rng.multinomial(np.maximum(20, rng.poisson(rows, 30 + later)), shares(rng, 30 + later)).astype(float)
        known = [item for row in counts[:30] if (item := statistic(row))]
        there = statistic(counts[:30].sum(axis=0))
        errors = np.array([there.standard_error * (there.rows / item.rows) ** 0.5 for item in known])
        learned = phi(np.array([item.value for item in known]), errors, there.value)
        values = np.array([item.value for item in known])
        skew = max(skewness(values), skewness(-values)) if statistic is spreads else skewness(values)
        for row in counts[30:]:
            value, n, extra = statistic(row).value, row.sum(), 0.0
            if statistic is concentrations:
                share = np.exp(there.value)
                extra = pair_variance(share, n) / share**2
            limit = critical_difference(ALPHA, n, there, (len(known), learned), extra, skew)
            above += value - there.value > limit
            below += there.value - value > limit
    return above / references / later, below / references / later


def answers_of_two_kinds(weight):
    """Sure and unsure answers, whose shares differ between windows as a beta distribution has it."""
    one, two = (
        np.diff(ndtr((EDGES - centre) / width), prepend=0.0, append=1.0) for centre, width in ((1.5, 0.5), (-1, 0.8))
    )

    def shares(rng, windows):
        part = rng.beta(0.3 * weight, 0.7 * weight, (windows, 1))
        return part * one + (1 - part) * two

    return shares


CLUSTERED = {
    "none": normal(0.0),
    "little": normal(0.1),
    "more": normal(0.25),
    "half": normal(0.5),
    "zeros": zeros(0.02),
}
CLUSTERED["kinds"] = answers_of_two_kinds(10.0)


@pytest.mark.parametrize("rows", [100, 500])
@pytest.mark.parametrize("shares", CLUSTERED.values(), ids=CLUSTERED)
def test_without_drift_answers_are_alike_beyond_the_limit_at_most_as_often(shares, rows):
    """An alert reads an excess alone; 6,000 windows each."""
    assert rates(concentrations, shares, rows)[0] <= 1.2 * ALPHA


@pytest.mark.parametrize("rows", [100, 500])
@pytest.mark.parametrize("shares", CLUSTERED.values(), ids=CLUSTERED)
def test_without_drift_the_spread_is_beyond_the_limit_at_most_as_often(shares, rows):
    assert sum(rates(spreads, shares, rows)) <= 1.2 * ALPHA


def test_where_the_limits_are_left_more_often():
    """A known limit: widths whose logarithm has tails of Student's t with four degrees of freedom."""

    def heavy(rng, windows):
        width = np.exp(0.15 * rng.standard_t(4, (windows, 1)))
        inner = ndtr((EDGES - rng.normal(0, 0.15, (windows, 1))) / width)
        return np.diff(inner, axis=1, prepend=0.0, append=1.0)

    assert ALPHA < rates(concentrations, heavy, 500)[0] <= 2 * ALPHA
