"""Jensen-Shannon, Kolmogorov-Smirnov and Wasserstein, from their definitions, with scipy where it has them.

Nothing of the package is imported. A chain of functions is a list of values by bin; what the artefact says about it is
checked by probabilities of pairs of normal variables.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon
from tests.second.statistics import UNIT, Z2_UNIT, Json, rounded

METRICS = {"js": "js_distance", "ks": "ks_statistic", "wasserstein": "wasserstein", "spread": "spread_factor"}
Z_LIMIT = 64.0
FEWEST_ROWS = 20
COMPARED_AT = 0.01


class Distance(NamedTuple):
    """A distance and its critical value."""

    name: str
    value: float
    critical: float


def fine_counts(item: Json, values: np.ndarray) -> np.ndarray:
    """Counts by fine bin, of a number's finite values or of categories."""
    if item["kind"] == "numeric":
        bins = np.digitize(values[np.isfinite(values)], item["edges"])
        return np.bincount(bins, minlength=len(item["edges"]) + 1)
    known = {name: place for place, name in enumerate(item["categories"])}
    places = [known.get(str(value), len(known)) for value in values]
    return np.bincount(np.array(places, int), minlength=len(known) + 1)


def bin_values(item: Json) -> np.ndarray:
    """Middles of the bins in robust deviations; an outer one is as wide as its neighbour, or one deviation."""
    edges = np.clip((np.array(item["edges"]) - item["centre"]) / item["scale"], -Z_LIMIT, Z_LIMIT)
    if not len(edges):
        return np.zeros(1)
    widths = np.diff(edges) if len(edges) > 1 else np.zeros(1)
    ends = [width if width > 1e-9 * max(1.0, abs(edges[0]), abs(edges[-1])) else 1.0 for width in widths[[0, -1]]]
    return np.array([edges[0] - ends[0], *((edges[1:] + edges[:-1]) / 2), edges[-1] + ends[1]])


def js(current: np.ndarray, reference: np.ndarray, categorical: bool) -> tuple[float, int] | None:
    n, total = current.sum(), reference.sum()
    if not n or not total:
        return None
    if categorical:
        rare = reference * n / total < 5
        rare[-1] = True
        current = np.append(current[~rare], current[rare].sum())
        reference = np.append(reference[~rare], reference[rare].sum()).astype(float)
        reference[-1] = max(reference[-1], min(1e-4, current[-1] / n) * total)
    kept = (current + reference) > 0
    if kept.sum() < 2:
        return None
    return float(jensenshannon(current[kept] + 0.25, reference[kept] + 0.25, base=2)), int(kept.sum())


def js_critical(noise: Json | None, bins: int, rows: tuple[int, int], alpha: float) -> float:
    limit = stats.chi2.isf(alpha, bins - 1)
    if noise and noise["windows"] >= 5 and noise["variance"] > 0:
        freedom, above = noise["windows"] - 1, noise["mean"] - noise["least"]
        shape = above**2 / noise["variance"] * stats.chi2.ppf(0.1, freedom) / freedom
        limit = max(limit, noise["least"] + stats.gamma.isf(alpha, shape, scale=above / shape))
    return float(np.sqrt(limit * (1 / rows[0] + 1 / rows[1]) / 8 / np.log(2)))


def chain(name: str, values: np.ndarray) -> np.ndarray:
    """The functions of a distance, a row each: being above an edge, or the distance from a bin but the last."""
    bins = np.arange(len(values))
    if name == "ks":
        return np.array([bins > edge for edge in bins[:-1]], float)
    return np.array([np.abs(values - middle) for middle in values[:-1]])


def chain_critical(spread: Json, noise: Json, rows: tuple[int, int], alpha: float, bounded: bool) -> float:
    n, m = rows
    tail, phi, windows = alpha / spread["comparisons"] / 2, noise["phi"], noise["windows"]
    learned = windows >= 5 and phi > 1
    z = stats.t.isf(tail, windows - 1) if learned else stats.norm.isf(tail)
    shown = noise.get("skewness")
    if bounded and learned:
        wider = max(1.6, (windows - 1) / stats.chi2.ppf(0.05, windows - 1))
        phi = phi * (wider if shown is None else (windows - 1) / stats.chi2.ppf(0.2, windows - 1))
    variance = phi * (1 / n + 1 / m)
    skewness = spread["skewness"] * abs(n**-2.0 - m**-2.0) / variance**1.5
    if learned and shown is not None:
        skewness = max(skewness, shown)
    return float(spread["sigma"] * np.sqrt(variance) * (z + skewness * (z**2 - 1) / 6))


def distances(
    document: Json, name: str, current: np.ndarray, alpha: float, noise: Mapping[str, Json]
) -> Iterator[Distance]:
    """The distances of a feature. `noise` says what was learned about `js`, `ks` and `wasserstein`."""
    item = document["features"][name]
    reference = np.array(item["counts"]["bins"])
    rows = (int(current.sum()), int(reference.sum()))
    found = js(current, reference, item["kind"] == "categorical")
    if found:
        yield Distance("js", found[0], js_critical(noise.get("js"), found[1], rows, alpha))
    spreads = document.get("independent", {}).get(name, {}) if rows[0] else {}
    values = bin_values(item) if spreads else np.zeros(0)
    for kind, spread in spreads.items():
        if kind == "ks":
            steps = np.repeat(np.arange(len(values)), current), np.repeat(np.arange(len(values)), reference)
            value = stats.ks_2samp(*steps, method="asymp").statistic
        else:
            value = stats.wasserstein_distance(values, values, current, reference)
        limit = chain_critical(spread, noise.get(kind, {"windows": 0, "phi": 1.0}), rows, alpha, kind == "wasserstein")
        yield Distance(kind, float(value), limit)


def log_deviation(item: Json, z: np.ndarray) -> float | None:
    """Logarithm of the standard deviation of values that are rounded, as their squares are; None near nothing."""
    if item["kind"] == "categorical" or len(z) < 2:
        return None
    variance = (rounded(z**2, Z2_UNIT).mean() - rounded(z, UNIT).mean() ** 2) * len(z) / (len(z) - 1)
    return float(np.log(variance) / 2) if variance > 1 / Z2_UNIT else None


def spread(noise: Json, log: float, rows: int, alpha: float) -> Distance:
    """The factor, and the limit of a new one after the windows that are known: a prediction interval of Student's t."""
    variance = noise["variance"] * (1 + 1 / noise["windows"]) * max(1.0, noise["rows"] / rows)
    limit = stats.t.isf(alpha / 2, noise["windows"] - 1, scale=np.sqrt(variance))
    return Distance("spread", float(np.exp(log - noise["mean"])), float(np.exp(limit)))


def spread_of_windows(item: Json, windows: list[np.ndarray]) -> Json | None:
    """What an artefact holds about the spread of windows (values z of each)."""
    known = [(log, len(z)) for z in windows if len(z) >= FEWEST_ROWS and (log := log_deviation(item, z)) is not None]
    if len(known) < 2:
        return None
    logs, rows = np.array(known).T
    return {"windows": len(logs), "mean": logs.mean(), "variance": logs.var(ddof=1), "rows": rows.mean()}


def of_windows(item: Json, spreads: Json, windows: list[np.ndarray]) -> Mapping[str, Json]:
    """What an artefact holds about windows of a feature (fine counts of each): `js`, `ks` and `wasserstein`."""
    total = np.sum(windows, axis=0)
    pairs = [(here, total - here) for here in windows if min(here.sum(), (total - here).sum()) >= FEWEST_ROWS]
    found: dict[str, Json] = {}
    scales = [1 / here.sum() + 1 / rest.sum() for here, rest in pairs]
    known = [js(here, rest, item["kind"] == "categorical") for here, rest in pairs]
    ts = np.array([8 * np.log(2) * pair[0] ** 2 / scale for pair, scale in zip(known, scales, strict=True) if pair])
    if len(ts):
        found["js"] = {"windows": len(ts), "mean": ts.mean(), "variance": ts.var(ddof=1), "least": ts.min()}
    for kind, spread in spreads.items():
        functions = chain(kind, bin_values(item))
        means = np.array([functions @ (here / here.sum() - rest / rest.sum()) for here, rest in pairs])
        own = means / np.sqrt(scales)[:, None]
        most = own[:, (own**2).mean(axis=0).argmax()]
        phi = max(1.0, (most**2).mean() / spread["sigma"] ** 2)
        found[kind] = {"windows": len(pairs), "phi": phi, "skewness": abs(stats.skew(most, bias=False))}
    return found


def independent(kind: str, item: Json) -> tuple[float, float]:
    """Standard deviation and skewness of the function that varies most over the reference's rows."""
    counts, functions = np.array(item["counts"]["bins"]), chain(kind, bin_values(item))
    rows = np.repeat(functions[np.argmax([np.cov(row, fweights=counts, ddof=0) for row in functions])], counts)
    return float(rows.std()), abs(float(stats.skew(rows)))


def exceeded(kind: str, item: Json, comparisons: float) -> float:
    """Bound of the probability that one of a chain is beyond what `comparisons` independent ones exceed in 1 %."""
    counts, functions = np.array(item["counts"]["bins"]), chain(kind, bin_values(item))
    covariance = np.cov(functions, aweights=counts, ddof=0)
    deviations = np.sqrt(np.diag(covariance))
    order = np.flatnonzero(deviations > 1e-6 * deviations.max())
    order = np.roll(order, -int(deviations[order].argmin()))
    limit = stats.norm.isf(COMPARED_AT / 2 / comparisons) * deviations.max()
    total = 2 * stats.norm.sf(limit / deviations[order]).sum()
    for one, other in pairwise(order):
        pair = covariance[np.ix_([one, other], [one, other])]
        for sign in (1, -1):
            turned = pair * np.array([[1, sign], [sign, 1]])
            total -= 2 * stats.multivariate_normal.cdf([-limit, -limit], cov=turned, allow_singular=True)
    return float(total)
