"""Intervals of differences against published numbers and simulations, and the variance of clusters against its rows."""

import math

import numpy as np
import pytest
from scipy import stats

from ml_exporter.statistics.auc import auc_from_histograms, auc_interval
from ml_exporter.statistics.differences import Blocks, cluster_phi, difference_interval
from ml_exporter.statistics.intervals import Interval, f1_interval, mean_interval, wilson

WINDOWS = 4000


def ratios(a, n, b, m, phi=1.0):
    return difference_interval((a / n, wilson(a, n, phi)), (b / m, wilson(b, m, phi)))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0000)),
        ((10, 10, 0, 10), (0.6075, 1.0000)),
    ],
)
def test_wilsons_intervals_make_newcombes_hybrid_score_interval(counts, expected):
    a, n, b, m = counts
    ends = [Interval(*stats.binomtest(x, rows).proportion_ci(method="wilson")) for x, rows in ((a, n), (b, m))]
    assert difference_interval((a / n, ends[0]), (b / m, ends[1])) == pytest.approx(expected, abs=5e-5)


def test_two_means_have_the_error_of_welch():
    draw = np.random.default_rng(1)
    here, there = draw.normal(3, 2, 400), draw.normal(2, 5, 900)
    ends = [(x.mean(), mean_interval(x.sum(), (x * x).sum(), len(x))) for x in (here, there)]
    error = math.sqrt(here.var(ddof=1) / 400 + there.var(ddof=1) / 900)
    found = difference_interval(*ends)
    middle = here.mean() - there.mean()
    assert found == pytest.approx((middle - 1.959964 * error, middle + 1.959964 * error), rel=1e-6)


def test_exchanging_both_turns_the_interval_around():
    here, there = (0.8, Interval(0.7, 0.85)), (0.6, Interval(0.5, 0.75))
    lower, upper = difference_interval(here, there)
    assert difference_interval(there, here) == pytest.approx((-upper, -lower))


def held(intervals, truth=0.0):
    return np.mean([lower <= truth <= upper for lower, upper in intervals])


@pytest.mark.parametrize(("p", "n", "m"), [(0.5, 100, 400), (0.9, 300, 300), (0.05, 400, 2000), (0.99, 2000, 1000)])
@pytest.mark.parametrize("difference", [0.0, -0.04])
def test_ratios_hold_the_true_difference(p, n, m, difference):
    draw = np.random.default_rng(7)
    a, b = draw.binomial(n, p + difference, WINDOWS), draw.binomial(m, p, WINDOWS)
    assert 0.93 <= held((ratios(x, n, y, m) for x, y in zip(a, b, strict=True)), difference) <= 0.97


def test_f1_means_and_areas_hold_the_true_difference():
    draw = np.random.default_rng(11)
    found = {"f1": [], "mean": [], "auc": []}
    for _ in range(WINDOWS // 2):
        ends = {name: [] for name in found}
        for rows in (500, 1500):
            label = draw.random(rows) < 0.3
            score = 1 / (1 + np.exp(-(draw.normal(0, 1, rows) + 1.5 * label - 0.8)))
            said = score >= 0.5
            tp, fp, fn = (int((said & label).sum()), int((said & ~label).sum()), int((~said & label).sum()))
            ends["f1"].append((2 * tp / (2 * tp + fp + fn), f1_interval(tp, fp, fn)))
            loss = (score - label) ** 2
            ends["mean"].append((loss.mean(), mean_interval(loss.sum(), (loss * loss).sum(), rows)))
            edges = np.linspace(0, 1, 201)
            area = auc_from_histograms(*(np.histogram(score[label == is_true], edges)[0] for is_true in (True, False)))
            ends["auc"].append((area.value, auc_interval(area)))
        for name, pair in ends.items():
            found[name].append(difference_interval(*pair))
    assert {
        name: round(float(held(intervals)), 3)
        for name, intervals in found.items()
        if not 0.93 <= held(intervals) <= 0.97
    } == {}


# rows that belong together


def blocks(right, rows):
    """Blocks of a ratio: counts of right rows and of rows, shape (K,)."""
    share = right / rows
    return Blocks(share, share * (1 - share), rows.astype(float))


def test_phi_is_the_variance_of_clusters_over_that_of_rows():
    """From the single rows: numpy's variance of the linearised rows, added up by block."""
    draw = np.random.default_rng(3)
    n, m = draw.integers(20, 60, 12), draw.integers(20, 60, 12)
    here, there = (draw.binomial(rows, 0.5 + 0.45 * np.sin(np.arange(12) * step)) for rows, step in ((n, 1), (m, 2)))
    shares = []
    for right, rows, sign in ((here, n, 1), (there, m, -1)):
        values = [np.r_[np.ones(x), np.zeros(k - x)] for x, k in zip(right, rows, strict=True)]
        whole = np.concatenate(values)
        shares.append([sign * (part - whole.mean()).sum() / len(whole) for part in values])
    robust = 12 * np.var(np.sum(shares, axis=0), ddof=1)
    p, q = here.sum() / n.sum(), there.sum() / m.sum()
    rows_alone = p * (1 - p) / n.sum() + q * (1 - q) / m.sum()
    student = (stats.t.ppf(0.975, 11) / stats.norm.ppf(0.975)) ** 2
    assert cluster_phi(blocks(here, n), blocks(there, m)) == pytest.approx(robust / rows_alone * student)


def simulate(sticky: bool, seed: int, windows: int = 1500):
    """Windows of 24 hours, each with clusters that share one rate; both versions have half of the rows.

    Either every row is routed by chance, or every cluster as a whole (`sticky`). Returns how often intervals with and
    without phi hold 0, and the mean of phi.
    """
    draw = np.random.default_rng(seed)
    learned, naive, phis = [], [], []
    for _ in range(windows):
        rate = np.clip(draw.beta(8, 2, (24, 10)) + draw.normal(0, 0.15, (24, 1)), 0.02, 0.98)
        if sticky:
            side = draw.random((24, 10)) < 0.5
            n = np.where(side, 30, 0)
        else:
            n = draw.binomial(30, 0.5, (24, 10))
        m = 30 - n
        here, there = draw.binomial(n, rate).sum(axis=1), draw.binomial(m, rate).sum(axis=1)
        n, m = n.sum(axis=1), m.sum(axis=1)
        phi = cluster_phi(blocks(here, np.maximum(n, 1)), blocks(there, np.maximum(m, 1)))
        phis.append(phi)
        totals = (here.sum(), n.sum(), there.sum(), m.sum())
        learned.append(ratios(*totals, phi))
        naive.append(ratios(*totals))
    return held(learned), held(naive), float(np.mean(phis))


def test_what_both_versions_share_cancels():
    """Hours and clusters differ a lot, but both versions see them alike: rows alone are right, and phi adds little."""
    learned, naive, phi = simulate(sticky=False, seed=5)
    assert 0.93 <= naive <= 0.97
    assert 0.93 <= learned <= 0.97
    assert phi < 1.15


def test_what_only_one_version_sees_widens_the_interval():
    """Whole clusters go to one version: rows alone would claim differences that are none."""
    learned, naive, phi = simulate(sticky=True, seed=6)
    assert naive < 0.7
    assert 0.93 <= learned <= 0.97
    assert phi > 4


def test_few_blocks_or_none_say_nothing():
    few = blocks(np.array([0, 10, 0, 10]), np.full(4, 10))
    other = blocks(np.array([10, 0, 10, 0]), np.full(4, 10))
    assert cluster_phi(few, other) == 1.0
    nothing = Blocks(np.full(9, np.nan), np.full(9, np.nan), np.zeros(9))
    assert cluster_phi(nothing, nothing) == 1.0
    always = blocks(np.full(9, 10), np.full(9, 10))
    assert cluster_phi(always, always) == 1.0
