"""How often do the intervals hold the truth? Simulated windows of every measure, seeded.

`python -m tests.statistics.coverage` prints the table of docs/why.md.

A window's interval is that of the exporter: with z of 95 %, or, where rows of a window are clustered, with phi
and Student's t as learned from the K windows of a reference that the windows follow.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import expit, logit
from scipy.stats import norm

from ml_exporter.statistics import (
    auc_from_histograms,
    auc_interval,
    f1_interval,
    gap_interval,
    interval_sigmas,
    loss_interval,
    mean_interval,
    phi,
    score_edges,
    wilson,
)
from ml_exporter.statistics.intervals import MINIMUM_LOSSES, MINIMUM_SCORE_LOSSES

WINDOWS = 10_000


class Coverage(NamedTuple):
    """Share of intervals that hold the truth, and share of windows that have one."""

    held: float
    given: float = 1.0


def share_held(intervals, truth):
    found = [item for item in intervals if item is not None]
    held = sum(lower <= truth <= upper for lower, upper in found) / max(len(found), 1)
    return Coverage(held, len(found) / max(len(intervals), 1))


def exact_ratio(n, ps):
    """Coverage of a ratio of n independent rows for each p: a sum over the binomial distribution."""
    most = n if n <= 1000 else int(n * ps.max() + 12 * math.sqrt(n * ps.max()) + 30)
    lower, upper = np.array([wilson(k, n) for k in range(most + 1)]).T
    pmf = stats.binom.pmf(np.arange(most + 1), n, ps[:, None])
    return (pmf * ((lower <= ps[:, None] + 1e-12) & (ps[:, None] - 1e-12 <= upper))).sum(axis=1)


def varying_ratio(rng, n, p):
    """Windows of independent rows whose number varies too, as that of requests does."""
    rows = np.maximum(rng.poisson(n, WINDOWS), 1)
    return share_held([wilson(*pair) for pair in np.column_stack((rng.binomial(rows, p), rows)).tolist()], p)


def beta_days(rng, p, dispersion, n, size):
    """A level for each window, such that its count varies `dispersion` times as much as for independent rows."""
    within = (dispersion - 1) / (n - 1)
    return rng.beta(p * (1 / within - 1), (1 - p) * (1 / within - 1), size), p


def logit_days(rng, p, dispersion, n, size):
    """The same with normal shifts of the logit."""
    spread = math.sqrt((dispersion - 1) / (n - 1) / (p * (1 - p)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    truth = float(weights @ expit(logit(p) + spread * nodes) / weights.sum())
    return expit(logit(p) + rng.normal(0, spread, size)), truth


def clustered_ratio(rng, days, n, p, dispersion, windows):
    """Ratios of clustered rows; `windows` (K) of a reference teach phi. At dispersion 1 rows are independent."""
    references, later = 1000, 40
    size = (references, windows + later)
    level, truth = days(rng, p, dispersion, n, size) if dispersion > 1 else (np.full(size, p), p)
    counts = rng.binomial(n, level)
    intervals = []
    for own, current in zip(counts[:, :windows], counts[:, windows:].tolist(), strict=True):
        share = float(own.mean()) / n
        learned = phi(own / n, np.full(windows, math.sqrt(share * (1 - share) / n)), share)
        z = interval_sigmas(windows, learned)
        intervals += [wilson(count, n, learned, z) for count in current]
    return share_held(intervals, truth)


def f1(rng, n, shares):
    tp, fp, fn = shares
    samples = rng.multinomial(n, [tp, fp, fn, 1 - sum(shares)], size=WINDOWS)[:, :3].tolist()
    return share_held([f1_interval(*sample) for sample in samples], 2 * tp / (2 * tp + fp + fn))


def calibrated(mean, spread, bias=0.0):
    """Scores with normal logits, and labels that follow them (but for a bias of the logit)."""

    def draw(rng, size):
        logits = rng.normal(mean, spread, size)
        return expit(logits), rng.random(size) < expit(logits + bias)

    return draw


def log_losses(draw):
    def losses(rng, size):
        score, label = draw(rng, size)
        return -np.log(np.where(label, score, 1 - score))

    return losses


def squares(draw):
    def losses(rng, size):
        score, label = draw(rng, size)
        return (score - label) ** 2

    return losses


def in_blocks(rng, draw, n):
    """Windows of n rows in blocks that fit into memory."""
    rows = max(1, min(WINDOWS, 2_000_000 // n))
    for start in range(0, WINDOWS, rows):
        yield draw(rng, (min(rows, WINDOWS - start), n))


def truth_of(rng, draw):
    return float(np.mean([draw(rng, 10**6).mean() for _ in range(30)]))


def sums(block):
    return np.column_stack((block.sum(axis=1), (block**2).sum(axis=1))).tolist()


def losses(rng, draw, n, minimum):
    truth = truth_of(rng, draw)
    intervals = [loss_interval(*pair, n, minimum=minimum) for block in in_blocks(rng, draw, n) for pair in sums(block)]
    return share_held(intervals, truth)


def means(rng, draw, n):
    intervals = [mean_interval(*pair, n) for block in in_blocks(rng, draw, n) for pair in sums(block)]
    return share_held(intervals, truth_of(rng, draw))


def gaps(rng, draw, n):
    truth = float(np.mean([np.subtract(*draw(rng, 10**6)).mean() for _ in range(30)]))
    intervals = []
    for score, label in in_blocks(rng, draw, n):
        gap = score - label
        rows = np.column_stack((gap.sum(axis=1), label.sum(axis=1), (gap**2).sum(axis=1))).tolist()
        intervals += [gap_interval(*row, n) for row in rows]
    return share_held(intervals, truth)


def clustered_losses(rng, draw, spread, n, windows):
    """Mean losses of windows that share a factor (log-normal of that spread); phi as the baseline learns it."""
    references, later = 250, 40
    truth = truth_of(rng, draw)
    intervals = []
    for _ in range(references):
        factor = rng.lognormal(-(spread**2) / 2, spread, (windows + later, 1))
        block = draw(rng, (windows + later, n)) * factor
        own = block[:windows]
        error = own.std(ddof=1) / math.sqrt(n)
        learned = phi(own.mean(axis=1), np.full(windows, error), float(own.mean()))
        z = interval_sigmas(windows, learned)
        intervals += [loss_interval(*pair, n, learned, z) for pair in sums(block[windows:])]
    return share_held(intervals, truth)


def histograms(scores, edges):
    """Counts of scores (windows, rows) in bins."""
    bins = np.searchsorted(edges, scores, side="right")
    cells = bins + np.arange(len(scores))[:, None] * (edges.size + 1)
    return np.bincount(cells.ravel(), minlength=len(scores) * (edges.size + 1)).reshape(len(scores), -1)


def areas(rng, sizes, distance, spread=1.0):
    """AUC of normal logits, positives `distance` apart and `spread` times as wide as negatives."""
    edges, intervals = score_edges(0.5), []
    rows = max(1, 1_000_000 // sum(sizes))
    for start in range(0, WINDOWS, rows):
        count = min(rows, WINDOWS - start)
        positive = histograms(expit(rng.normal(distance, spread, (count, sizes[0]))), edges)
        negative = histograms(expit(rng.normal(0, 1, (count, sizes[1]))), edges)
        intervals += [auc_interval(auc_from_histograms(*pair)) for pair in zip(positive, negative, strict=True)]
    return share_held(intervals, norm.cdf(distance / math.hypot(1, spread)))


def clustered_areas(rng, sizes, distance, spread, windows):
    """AUC of windows whose distance varies between them; phi from the reference's windows, as the baseline does.

    The truth is the mean AUC of windows.
    """
    references, later, edges = 100, 100, score_edges(0.5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    truth = float(weights @ norm.cdf((distance + spread * nodes) / math.sqrt(2)) / weights.sum())
    intervals = []
    for _ in range(references):
        shift = rng.normal(distance, spread, (windows + later, 1))
        positive = histograms(expit(rng.normal(0, 1, (windows + later, sizes[0])) + shift), edges)
        negative = histograms(expit(rng.normal(0, 1, (windows + later, sizes[1]))), edges)
        found = [auc_from_histograms(*pair) for pair in zip(positive, negative, strict=True)]
        whole = auc_from_histograms(positive[:windows].sum(axis=0), negative[:windows].sum(axis=0))
        error = whole.standard_error * math.sqrt(windows)
        learned = phi(np.array([item.value for item in found[:windows]]), np.full(windows, error), whole.value)
        z = interval_sigmas(windows, learned)
        intervals += [auc_interval(item, learned, z) for item in found[windows:]]
    return share_held(intervals, truth)


EVEN, RARE, SHARP, RARE_SHARP = calibrated(0, 1), calibrated(-5.5, 1.5), calibrated(0, 4), calibrated(-8, 3)

Case = Callable[[np.random.Generator], Coverage]

SCORE_LOSSES: dict[str, Case] = {
    f"{measure}, {name}, {n} rows": lambda rng, kind=kind, draw=draw, n=n: losses(
        rng, kind(draw), n, MINIMUM_SCORE_LOSSES
    )
    for measure, kind in (("log loss", log_losses), ("Brier score", squares))
    for name, draw, sizes in (
        ("half positive", EVEN, (60, 300)),
        ("one in ten positive", calibrated(-2.5, 1), (250, 1000)),
        ("one in a hundred positive", RARE, (2500, 6000)),
        ("sure scores", SHARP, (180, 1000)),
        ("one in a hundred, sure scores", RARE_SHARP, (3000, 8000)),
    )
    for n in sizes
}
REGRESSION: dict[str, Case] = {
    f"{name}, {n} rows": lambda rng, draw=draw, n=n: losses(rng, draw, n, MINIMUM_LOSSES)
    for name, draw, sizes in (
        ("absolute error, normal", lambda rng, size: np.abs(rng.normal(0, 1, size)), (160, 1000)),
        ("absolute error, t of 5", lambda rng, size: np.abs(rng.standard_t(5, size)), (200, 1000)),
        ("squared error, normal", lambda rng, size: rng.normal(0, 1, size) ** 2, (350, 1000)),
        ("squared error, Laplace", lambda rng, size: rng.laplace(0, 1, size) ** 2, (800, 3000)),
    )
    for n in sizes
}
HEAVY: dict[str, Case] = {
    f"{name}, {n} rows": lambda rng, draw=draw, n=n: losses(rng, draw, n, MINIMUM_LOSSES)
    for name, draw, n in (
        ("squared error, t of 5", lambda rng, size: rng.standard_t(5, size) ** 2, 1100),
        ("squared error, log-normal", lambda rng, size: rng.lognormal(0, 0.7, size) ** 2, 1000),
    )
}
GAPS: dict[str, Case] = {
    f"calibration gap, {name}, {n} rows": lambda rng, draw=draw, n=n: gaps(rng, draw, n)
    for name, draw, sizes in (
        ("half positive", EVEN, (20, 300)),
        ("one in a hundred positive", RARE, (500, 3000)),
        ("one in a hundred, sure scores", RARE_SHARP, (500, 3000)),
        ("sure scores", SHARP, (20, 300)),
        ("too low by 0.7", calibrated(-2.5, 1, 0.7), (50, 1000)),
        ("too high by 0.7", calibrated(-5.5, 1.5, -0.7), (1000, 3000)),
        ("one score for all", calibrated(-4, 0.01), (300, 3000)),
    )
    for n in sizes
}
AREAS: dict[str, Case] = {
    f"AUC {norm.cdf(distance / math.hypot(1, spread)):.3f}, {sizes[0]} and {sizes[1]} rows": (
        lambda rng, sizes=sizes, distance=distance, spread=spread: areas(rng, sizes, distance, spread)
    )
    for sizes, distance, spread in (
        ((100, 100), 0.0, 1.0),
        ((100, 100), 1.0, 1.0),
        ((100, 100), 2.0, 1.0),
        ((100, 100), 3.5, 1.0),
        ((100, 1000), 0.3, 1.0),
        ((100, 1000), 2.0, 1.0),
        ((1000, 100), 2.0, 1.0),
        ((300, 300), 3.0, 1.0),
        ((1000, 1000), 3.5, 1.0),
    )
}
CLUSTERED: dict[str, Case] = {
    **{
        f"mean of losses, days differ by {spread:.0%}, K = {windows}": (
            lambda rng, spread=spread, windows=windows: clustered_losses(
                rng, lambda rng, size: rng.exponential(1.0, size), spread, 500, windows
            )
        )
        for spread in (0.1, 0.2)
        for windows in (20, 31)
    },
    **{
        f"AUC, distance differs by {spread}, K = {windows}": (
            lambda rng, spread=spread, windows=windows: clustered_areas(rng, (150, 300), 1.2, spread, windows)
        )
        for spread in (0.15, 0.5)
        for windows in (20, 31)
    },
}


def rows_of_table() -> Iterator[tuple[str, Coverage]]:
    """Every line of the table."""
    rng = np.random.default_rng(51)
    for least, most in ((5, 10), (10, 20), (20, math.inf)):
        found = []
        for n in (20, 25, 50, 100, 120, 200, 500, 1000, 10_000, 100_000):
            ps = np.linspace(least, min(most, n / 2, 60), 500)[:-1] / n if n / 2 > least else np.array([])
            found += exact_ratio(n, ps).tolist() if ps.size else []
        yield f"ratio, {least} to {most} expected, least of all", Coverage(min(found))
        yield f"ratio, {least} to {most} expected, most of all", Coverage(max(found))
    for n, p in ((1000, 0.005), (1000, 0.01), (1000, 0.2)):
        for dispersion in (1.0, 1.5, 3.0, 10.0):
            for windows in (20, 31):
                name = f"ratio, {n * p:.0f} of {n} expected, phi {dispersion:g}, K = {windows}"
                yield name, clustered_ratio(rng, beta_days, n, p, dispersion, windows)
    for cases in (SCORE_LOSSES, GAPS, AREAS, REGRESSION, HEAVY, CLUSTERED):
        for name, case in cases.items():
            yield name, case(rng)


if __name__ == "__main__":
    for name, found in rows_of_table():
        given = "" if found.given == 1.0 else f" ({found.given:.0%} of windows have one)"
        print(f"{found.held:.4f}  {name}{given}", flush=True)
