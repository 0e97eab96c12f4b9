"""Without drift, how often do the distances exceed their critical values? As `test_no_drift`, of which the bounds are.

Over fifty bins, whose rows are counted as the exporter counts them.
"""

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import expon, lognorm, norm, uniform
from tests.statistics.test_no_drift import ALPHA, ZIPF_50, dirichlet, zero_inflated

from ml_exporter.statistics import (
    bin_values,
    chain_of,
    critical_chain,
    critical_factor,
    critical_js,
    fit_js_dispersion,
    floor_other,
    jensen_shannon,
    ks_functions,
    ks_statistic,
    merge_sparse,
    varying,
    wasserstein,
    wasserstein_functions,
)
from ml_exporter.statistics.chains import NOT_LEARNED
from ml_exporter.statistics.dispersion import JS_UNIT

WINDOWS = 12_000
FIFTIETHS = np.full(50, 0.02)


def values_of(distribution, bins=50):
    """The values of bins of equal mass."""
    return bin_values(distribution.ppf(np.arange(1, bins) / bins))


NORMAL = values_of(norm)
ZEROS = np.r_[0.0, 0.05 + values_of(expon, 48) - values_of(expon, 48)[0]]
CHAINS = {"ks": lambda values: ks_functions(values.size), "wasserstein": wasserstein_functions}


def js_of_rows(currents, references):
    """Jensen-Shannon distances of many histograms at once; the first are checked against `jensen_shannon`."""
    kept = (currents + references) > 0
    bins = kept.sum(axis=1)
    sides = [
        np.where(kept, (side + 0.25) / (side.sum(axis=1) + 0.25 * bins)[:, None], 1.0)
        for side in (currents, references)
    ]
    middle = sum(sides) / 2
    squares = sum((side * np.log2(side / middle)).sum(axis=1) for side in sides) / 2
    values = np.sqrt(np.maximum(squares, 0.0))
    for i in range(3):
        assert jensen_shannon(currents[i], references[i]) == pytest.approx((values[i], bins[i]), rel=1e-7)
    return values, bins


def js_exceed(currents, reference, noise=None):
    """Which windows (windows, bins) lie beyond the critical distance from the reference (bins,)."""
    values, bins = js_of_rows(currents, np.tile(reference, (len(currents), 1)))
    sizes = [tuple(row) for row in np.column_stack((bins, currents.sum(axis=1))).tolist()]
    limits = {size: critical_js(ALPHA, *size, int(reference.sum()), noise) for size in set(sizes)}
    return values > np.array([limits[size] for size in sizes])


def chain_exceed(name, values, currents, reference, chain, learned=NOT_LEARNED):
    m = int(reference.sum())
    differences = np.cumsum(currents / currents.sum(axis=1)[:, None] - reference / m, axis=1)[:, :-1]
    found = np.abs(differences).max(axis=1) if name == "ks" else np.abs(differences) @ np.diff(values)
    plain = ks_statistic(currents[0], reference) if name == "ks" else wasserstein(currents[0], reference, values)
    assert found[0] == pytest.approx(plain, rel=1e-9)
    rows = currents.sum(axis=1).tolist()
    limits = {n: critical_chain(ALPHA, chain, (n, m), learned, name == "wasserstein") for n in set(rows)}
    return found > np.array([limits[n] for n in rows])


def independent_rates(rng, shares, values, n, m, references=40):
    """Share of windows beyond each critical value, over windows of many references."""
    hits = dict.fromkeys(("js", *CHAINS), 0)
    for _ in range(references):
        reference = rng.multinomial(m, shares)
        currents = rng.multinomial(n, shares, WINDOWS // references)
        hits["js"] += np.count_nonzero(js_exceed(currents, reference))
        for name, functions in CHAINS.items():
            chain = chain_of(functions(values), reference)
            hits[name] += np.count_nonzero(chain_exceed(name, values, currents, reference, chain))
    return {name: count / WINDOWS for name, count in hits.items()}


@pytest.mark.parametrize(
    ("shares", "values", "n", "m"),
    [
        (FIFTIETHS, NORMAL, 250, 100_000),
        (FIFTIETHS, NORMAL, 1000, 50_000),
        (FIFTIETHS, values_of(lognorm(1)), 300, 20_000),
        (FIFTIETHS, values_of(expon), 500, 20_000),
        (FIFTIETHS, values_of(uniform), 500, 20_000),
        (np.array([0.3, 0.7]), np.array([0.0, 1.0]), 400, 20_000),
        (zero_inflated(0.93, 48), ZEROS, 3500, 100_000),
    ],
    ids=["n250", "n1000", "lognormal", "exponential", "uniform", "boolean", "zeros"],
)
def test_independent_rows_with_five_expected(shares, values, n, m):
    rates = independent_rates(np.random.default_rng(81), shares, values, n, m)
    assert all(0.5 * ALPHA <= rate <= 1.5 * ALPHA for rate in rates.values()), rates


@pytest.mark.parametrize(
    ("shares", "values", "n", "m"),
    [
        (zero_inflated(0.93, 48), ZEROS, 100, 10_000),
        (zero_inflated(0.93, 48), ZEROS, 300, 30_000),
        (zero_inflated(0.99, 48), ZEROS, 20, 100_000),
        (zero_inflated(0.99, 48), ZEROS, 1000, 100_000),
        (FIFTIETHS, values_of(lognorm(2)), 50, 5000),
        (FIFTIETHS, values_of(lognorm(2)), 300, 20_000),
    ],
    ids=["zeros-n100", "zeros-n300", "99-percent-n20", "99-percent-n1000", "lognormal-n50", "lognormal-n300"],
)
def test_rarer_rows_alarm_at_most_as_often(shares, values, n, m):
    """So do very skewed ones, of which only the far side can be noticed."""
    rates = independent_rates(np.random.default_rng(82), shares, values, n, m)
    assert max(rates.values()) <= ALPHA, rates


def test_empty_bins_change_nothing():
    shares = np.r_[FIFTIETHS, np.zeros(5)]
    values = np.r_[NORMAL, NORMAL[-1] + np.arange(1, 6)]
    rates = independent_rates(np.random.default_rng(83), shares, values, 500, 20_000)
    assert all(0.5 * ALPHA <= rate <= 1.5 * ALPHA for rate in rates.values()), rates


def test_categories_merged_by_expected_count():
    rng, shares = np.random.default_rng(84), np.r_[ZIPF_50, 0.0]
    hits, pairs = 0, zip(rng.multinomial(800, shares, 10_000), rng.multinomial(20_000, shares, 10_000), strict=True)
    for current, reference in pairs:
        merged, known = merge_sparse(current, reference)
        found = jensen_shannon(merged, floor_other(merged, known))
        hits += found.value > critical_js(ALPHA, found.bins, 800, 20_000, None)
    assert 0.5 * ALPHA <= hits / 10_000 <= 1.5 * ALPHA


def weather(spread):
    """Windows whose rows share one shift of a normal feature, in fiftieths of the mixture."""
    edges = ndtri(np.arange(1, 50) / 50) * math.sqrt(1 + spread**2)
    return lambda rng, windows: np.diff(
        ndtr(edges - rng.normal(0, spread, (windows, 1))), axis=1, prepend=0.0, append=1.0
    )


def widths(spread):
    """Windows that have a standard deviation of their own."""
    edges = ndtri(np.arange(1, 50) / 50)
    return lambda rng, windows: np.diff(
        ndtr(edges / np.exp(rng.normal(0, spread, (windows, 1)))), axis=1, prepend=0.0, append=1.0
    )


def swinging_zeros(spread):
    """93 % zeros, whose share differs between windows: normal shifts of its logit."""

    def shares(rng, windows):
        zeros = 1 / (1 + np.exp(-math.log(0.93 / 0.07) - rng.normal(0, spread, (windows, 1))))
        return np.hstack([zeros, np.repeat((1 - zeros) / 48, 48, axis=1)])

    return shares


def clustered_rates(rng, shares, values, n, windows, references=200):
    """Rates of windows after a reference of earlier ones, from which the dispersion is learned."""
    later = 50
    hits = dict.fromkeys(("js", *CHAINS), 0)
    for _ in range(references):
        counts = rng.multinomial(rng.poisson(n, windows + later), shares(rng, windows + later))
        own, current = counts[:windows], counts[windows:]
        reference = own.sum(axis=0)
        rest = reference - own
        found, _ = js_of_rows(own, rest)
        noise = fit_js_dispersion(JS_UNIT * found**2 / (1 / own.sum(axis=1) + 1 / rest.sum(axis=1)))
        hits["js"] += np.count_nonzero(js_exceed(current, reference, noise))
        for name, functions in CHAINS.items():
            chain = chain_of(functions(values), reference)
            learned = varying(chain, functions(values), own, rest)
            hits[name] += np.count_nonzero(chain_exceed(name, values, current, reference, chain, learned))
    return {name: count / (references * later) for name, count in hits.items()}


CLUSTERS = {
    "weather-0.05": (weather(0.05), NORMAL, 1000),
    "weather-0.2": (weather(0.2), NORMAL, 1000),
    "widths": (widths(0.2), NORMAL, 1000),
    "fiftieths": (dirichlet(FIFTIETHS, 100), NORMAL, 1000),
    "zeros": (dirichlet(zero_inflated(0.93, 48), 100), ZEROS, 1000),
    "swinging-zeros": (swinging_zeros(0.3), ZEROS, 1000),
    "boolean": (dirichlet(np.array([0.7, 0.3]), 100), np.array([0.0, 1.0]), 1000),
    "independent": (lambda _, windows: np.tile(FIFTIETHS, (windows, 1)), NORMAL, 1000),
}
MORE_CLUSTERS = {
    "weather-1": (weather(1.0), NORMAL, 1000),
    "weather-0.05-n5000": (weather(0.05), NORMAL, 5000),
    "weather-0.2-n5000": (weather(0.2), NORMAL, 5000),
    "fiftieths-1000": (dirichlet(FIFTIETHS, 1000), NORMAL, 1000),
    "swinging-zeros-n5000": (swinging_zeros(0.3), ZEROS, 5000),
}


@pytest.mark.parametrize("case", CLUSTERS)
def test_clustered_rows_with_a_learned_dispersion(case):
    rates = clustered_rates(np.random.default_rng(85), *CLUSTERS[case], windows=30)
    assert max(rates.values()) <= 1.5 * ALPHA, rates


@pytest.mark.parametrize("draw", ["normal", "skewed", "zeros"])
@pytest.mark.parametrize("width", [0.0, 0.3])
def test_spread_of_windows_that_have_a_width_of_their_own(draw, width):
    """Rows are independent but for that width, the logarithm of which is normal."""
    rng, n, windows, later, references = np.random.default_rng(88), 200, 30, 50, 200
    draws = {
        "normal": rng.standard_normal,
        "skewed": lambda size: rng.exponential(1, size),
        "zeros": lambda size: np.where(rng.random(size) < 0.9, 0.0, rng.exponential(1, size)),
    }
    size = (references * (windows + later), n)
    logs = np.log(draws[draw](size).std(axis=1, ddof=1)) + rng.normal(0, width, size[0])
    logs = logs.reshape(references, -1)
    own, current = logs[:, :windows], logs[:, windows:]
    limits = [critical_factor(ALPHA, windows, float(item.var(ddof=1)), 1.0) for item in own]
    beyond = np.abs(current - own.mean(axis=1, keepdims=True)) > np.log(limits)[:, None]
    assert beyond.mean() <= 1.5 * ALPHA


@pytest.mark.soak
@pytest.mark.parametrize("windows", [30, 60])
@pytest.mark.parametrize("case", CLUSTERS | MORE_CLUSTERS)
def test_clustered_rows_over_many_references(case, windows):
    rates = clustered_rates(np.random.default_rng(86), *(CLUSTERS | MORE_CLUSTERS)[case], windows, references=2000)
    assert max(rates.values()) <= 1.5 * ALPHA, rates


@pytest.mark.soak
@pytest.mark.parametrize("windows", [30, 60])
def test_rare_bins_with_shares_of_their_own(windows):
    """48 bins with 7 % of the rows, of which each window has a few."""
    case = dirichlet(zero_inflated(0.93, 48), 100), ZEROS, 5000
    rates = clustered_rates(np.random.default_rng(86), *case, windows, references=2000)
    assert max(rates.values()) <= 1.5 * ALPHA, rates
    assert rates["ks"] <= 1.2 * ALPHA


@pytest.mark.soak
def test_where_windows_of_a_few_carry_what_varies():
    """A known limit: shifts between windows with heavy tails (t with 3 degrees of freedom) are underestimated by 30.

    Jensen-Shannon exceeds alpha 0.01 in 1 to 3 %, PSI with it.
    """
    edges = ndtri(np.arange(1, 50) / 50)

    def shares(rng, windows):
        inner = ndtr(edges - 0.2 * rng.standard_t(3, (windows, 1)))
        return np.diff(inner, axis=1, prepend=0.0, append=1.0)

    rates = clustered_rates(np.random.default_rng(87), shares, NORMAL, 1000, windows=30, references=1000)
    assert 1.5 * ALPHA < max(rates.values()) <= 3 * ALPHA, rates
