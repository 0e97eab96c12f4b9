"""Without drift, how often are the shift of a mean and the excess of nulls beyond their critical values?

Rows as a feature has them: normal, with ties, 93 % zeros, rare nulls; independent, and in windows that share something.
The bounds are those of `test_no_drift`.
"""

import math

import numpy as np
import pytest
from tests.statistics.test_no_drift import ALPHA

from ml_exporter.statistics import critical_sigmas
from ml_exporter.statistics.dispersion import independent_windows, phi
from ml_exporter.statistics.excess import critical_excess

WINDOWS, LATER, ROWS = 30, 50, 500


def normal(rng, windows):
    return rng.standard_normal((windows, ROWS))


def ties(rng, windows):
    return np.round(2.0 * normal(rng, windows))


def zeros(rng, windows):
    return np.where(rng.random((windows, ROWS)) < 0.93, 0.0, np.round(rng.gamma(2.0, 3.0, (windows, ROWS)), 1))


def weather(rng, windows):
    """Rows of a window share a shift of a fifth of their deviation."""
    return normal(rng, windows) + 0.2 * rng.standard_normal((windows, 1))


def tied_weather(rng, windows):
    return np.round(2.0 * weather(rng, windows))


def swinging_zeros(rng, windows):
    """The share of the zeros is another one in every window."""
    share = 1.0 / (1.0 + np.exp(-math.log(0.93 / 0.07) - rng.normal(0.0, 0.3, (windows, 1))))
    return np.where(rng.random((windows, ROWS)) < share, 0.0, rng.gamma(2.0, 3.0, (windows, ROWS)))


def mean_rate(rng, draw, references):
    """How often a later window's mean is beyond the limit that follows from a reference of thirty windows."""
    hits = 0
    for _ in range(references):
        rows = draw(rng, WINDOWS + LATER)
        own, current = rows[:WINDOWS], rows[WINDOWS:]
        centre, error = own.mean(), own.std(ddof=1) / math.sqrt(ROWS)
        means = own.mean(axis=1)
        learned = phi(means, np.full(WINDOWS, error), float(centre))
        sigmas = critical_sigmas(ALPHA, 1, independent_windows(means), learned)
        limit = sigmas * error * math.sqrt(learned * (1.0 + 1.0 / WINDOWS))
        hits += np.count_nonzero(np.abs(current.mean(axis=1) - centre) > limit)
    return hits / (references * LATER)


INDEPENDENT = [normal, ties, zeros]
CLUSTERED = [weather, tied_weather]
named = pytest.mark.parametrize("draw", INDEPENDENT + CLUSTERED, ids=lambda draw: draw.__name__)


@named
def test_means_seldom_shift_without_drift(draw):
    assert mean_rate(np.random.default_rng(51), draw, 40) <= 2 * ALPHA


@pytest.mark.soak
@named
def test_means_without_drift_keep_alpha(draw):
    rate = mean_rate(np.random.default_rng(52), draw, 2000)
    assert rate <= 1.5 * ALPHA
    assert draw in CLUSTERED or rate >= 0.5 * ALPHA


@pytest.mark.soak
def test_where_the_share_of_zeros_swings_means_shift_more_often():
    """A known limit, as for PSI: the mean is skewed between windows, and thirty of them say little about its tail."""
    assert 1.5 * ALPHA < mean_rate(np.random.default_rng(52), swinging_zeros, 2000) <= 2.2 * ALPHA


def null_rate(rng, share, spread, references):
    """How often a later window has more nulls than the limit; `spread` is that of the share's logit between windows."""
    hits, total = 0, WINDOWS * ROWS
    for _ in range(references):
        shares = 1.0 / (1.0 + np.exp(-math.log(share / (1.0 - share)) - rng.normal(0.0, spread, WINDOWS + LATER)))
        counts = rng.binomial(ROWS, shares)
        own, current = counts[:WINDOWS], counts[WINDOWS:]
        known = own.sum() / total
        error = math.sqrt(known * (1.0 - known) / ROWS)
        learned = phi(own / ROWS, np.full(WINDOWS, error), float(known)) if error else 1.0
        half = (own.sum() + 0.5) / (total + 1)
        limit = critical_excess(ALPHA, half, (ROWS, total), independent_windows(own / ROWS), learned)
        hits += np.count_nonzero(current / ROWS - known > limit)
    return hits / (references * LATER)


SHARES = [0.5, 0.1, 0.02, 0.004, 0.0005]
SPREADS = [0.0, 0.3, 1.0]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("share", SHARES)
def test_nulls_seldom_exceed_their_limit_without_drift(share, spread):
    assert null_rate(np.random.default_rng(53), share, spread, 50) <= 2 * ALPHA


@pytest.mark.soak
@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("share", SHARES)
def test_nulls_without_drift_keep_alpha(share, spread):
    """Rows are independent where the share is always the same; of 500, 250 are null down to one in four windows."""
    rate = null_rate(np.random.default_rng(54), share, spread, 1000)
    assert rate <= 1.5 * ALPHA
    if not spread:
        assert rate <= ALPHA
        assert rate >= 0.5 * ALPHA or share * ROWS < 5
