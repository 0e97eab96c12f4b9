"""The statistics, from their definitions, with scipy where it has them."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats
from sklearn.metrics import roc_auc_score

Json = dict[str, Any]
Z95 = stats.norm.ppf(0.975)
UNIT, SQUARE_UNIT, Z2_UNIT = 2.0**24, 2.0**20, 2.0**12
"""Fixed point: of values, of squared losses, of squared z."""


def rounded(values: np.ndarray, unit: float) -> np.ndarray:
    """Values as the fixed point keeps them."""
    return np.rint(values * unit) / unit


def psi(current: np.ndarray, reference: np.ndarray, categorical: bool) -> tuple[float, int] | None:
    """PSI of counts in the same bins, and the number of bins that it stands on."""
    n, total = current.sum(), reference.sum()
    if categorical and total:
        rare = reference * n / total < 5
        rare[-1] = True
        current = np.append(current[~rare], current[rare].sum())
        reference = np.append(reference[~rare], reference[rare].sum()).astype(float)
        reference[-1] = max(reference[-1], min(1e-4, current[-1] / max(n, 1)) * total)
    table = pd.DataFrame({"actual": current, "expected": reference})
    table = table[table.sum(axis=1) > 0] + 0.5
    if len(table) < 2 or n == 0 or total == 0:
        return None
    actual, expected = (table / table.sum()).to_numpy().T
    return float(stats.entropy(actual, expected) + stats.entropy(expected, actual)), len(table)


def psi_critical(noise: Json | None, bins: int, rows: tuple[int, int], alpha: float) -> float:
    scale = 1 / rows[0] + 1 / rows[1]
    if noise is None or noise["windows"] < 5 or noise["overdispersion"] <= 1:
        return float(stats.chi2.isf(alpha, bins - 1) * scale)
    freedom = noise["windows"] - 1
    d = 2 * noise["mean"] ** 2 / noise["variance"] * stats.chi2.ppf(0.1, freedom) / freedom
    return float(noise["mean"] / d * stats.chi2.isf(alpha, d) * scale)


def sigmas(alpha: float, comparisons: int, noise: Json) -> float:
    """The two-sided limit of a z whose error was estimated on the reference's windows."""
    tail = alpha / comparisons / 2
    learned = noise["windows"] >= 5 and noise["phi"] > 1
    return float(stats.t.isf(tail, noise["windows"] - 1) if learned else stats.norm.isf(tail))


def interval_sigmas(noise: Json) -> float:
    """Standard errors to either side of a 95 % interval: Student's where phi is no accident of independent rows."""
    windows = noise["windows"]
    learned = windows >= 5 and noise["phi"] - 1 > np.sqrt(2 / (windows - 1)) / 2
    return float(stats.t.ppf(0.975, windows - 1) if learned else Z95)


def wilson(part: float, whole: float, phi: float, z: float) -> tuple[float, float]:
    """Ratios p that lie z standard errors of p from a part that is a little smaller, and one a little larger.

    All on whole / phi rows.
    """
    part, rows = part / phi, whole / phi
    fade = 1 / (2 + min(part, rows - part))
    ends = []
    for count, place in ((part - fade, 0), (part + fade, 1)):
        share = min(max(count / rows, 0.0), 1.0)
        both = np.sort(np.roots([1 + z**2 / rows, -2 * share - z**2 / rows, share**2]).real)
        ends.append(float(np.clip(both[place], 0.0, 1.0)))
    return (0.0 if part == 0 else ends[0]), (1.0 if part == rows else ends[1])


def loss_interval(
    values: np.ndarray, squares: np.ndarray, phi: float, z: float, fewest: float = 30
) -> tuple[float, float] | None:
    """Normal in logarithms; None where the losses count as fewer than `fewest` equal ones."""
    n, total = len(values), values.sum()
    if total**2 < fewest * squares.sum():
        return None
    relative = np.sqrt((squares.sum() - total**2 / n) / (n - 1) * phi / n) / values.mean()
    low, high = np.exp(np.log(values.mean()) + z * relative * np.array([-1, 1]))
    return float(low), float(high)


def gap_interval(score: float, y: np.ndarray, variance: float, phi: float, z: float) -> tuple[float, float]:
    """The mean score minus the ends of the positives' share, on rows that give the variance of score - label."""
    low, high = wilson(y.sum(), len(y), phi * variance / (y.mean() * (1 - y.mean())), z)
    return score - high, score - low


def delong(score: np.ndarray, positive: np.ndarray) -> float:
    """Standard error of the AUC: every positive against every negative."""
    ahead, behind = score[positive], score[~positive]
    beaten, beating = np.empty(len(ahead)), np.zeros(len(behind))
    for start in range(0, len(ahead), 256):
        pair = ahead[start : start + 256, None]
        wins = (pair > behind).astype(np.float32) + 0.5 * (pair == behind)
        beaten[start : start + 256] = wins.mean(axis=1, dtype=float)
        beating += wins.sum(axis=0, dtype=float)
    return float(np.sqrt(beaten.var(ddof=1) / len(ahead) + (beating / len(ahead)).var(ddof=1) / len(behind)))


def quantile(q: float, bounds: list[float], counts: np.ndarray) -> float:
    """The quantile of a histogram: log-logistic in the first bucket that reaches it, from 0 a straight line."""
    rows = int(counts.sum())
    rank, below, lower = q * rows, 0, 0.0
    for upper, count in zip(bounds, counts, strict=False):
        if below + count >= rank and count:
            if lower == 0:
                return float(upper * (rank - below) / count)
            share = special.logit((np.array([below, rank, below + count]) + 0.5) / (rows + 1))
            return float(np.exp(np.interp(share[1], share[[0, 2]], np.log([lower, upper]))))
        below, lower = below + count, upper
    return bounds[-1]


def auc(y: np.ndarray, score: np.ndarray, phi: float, z: float) -> tuple[float, ...]:
    """The area, and both ends of its interval (normal in logits) where each class has a hundred rows."""
    area = float(roc_auc_score(y, score))
    if min(y.sum(), (~y).sum()) < 100 or area in (0, 1):
        return (area,)
    half = z * delong(score, y) * np.sqrt(phi) / (area * (1 - area))
    return area, *(float(special.expit(special.logit(area) + side * half)) for side in (-1, 1))
