"""Outliers and reconstruction errors of rows, from their definitions; nothing of the package is imported.

`judged` takes what was learned from the artefact, `crossfitted` learns it anew from the other days of the reference.
Both return the table with columns `odd:<reason>`, `odd:outliers`, and, where there is one, `reconstruction` squared.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import special, stats
from tests.second.logs import number
from tests.second.statistics import Json, rounded, sigmas

Z_LIMIT, CLIP, FLOOR = 64.0, 8.0, 1e-15
REASONS = ("range", "distance", "prediction")
ERROR_UNIT, ERROR2_UNIT = 2.0**16, 2.0**12


def numeric(document: Json) -> dict[str, Json]:
    return {name: item for name, item in document["features"].items() if item["kind"] == "numeric"}


def standardised(item: Json, values: pd.Series) -> np.ndarray:
    """z of each row, clipped; NaN where there is no number."""
    x = values.map(number).to_numpy(float)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(x), np.clip((x - item["centre"]) / item["scale"], -Z_LIMIT, Z_LIMIT), np.nan)


def lattice(document: Json, table: pd.DataFrame) -> np.ndarray:
    """Clipped z of every row and numeric feature, the centre for what is no number."""
    columns = [standardised(item, table[f"feature:{name}"]) for name, item in numeric(document).items()]
    return np.clip(np.nan_to_num(np.column_stack(columns)), -CLIP, CLIP)


def beyond(item: Json, values: pd.Series, limits: list[float | None]) -> np.ndarray:
    low, high = limits
    z = standardised(item, values)
    below = np.zeros(len(z), bool) if low is None else z < (low - item["centre"]) / item["scale"]
    above = np.zeros(len(z), bool) if high is None else z > (high - item["centre"]) / item["scale"]
    return below | above


def answers(document: Json, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """What each prediction is judged by, NaN for none, and the place of its class."""
    if "classes" not in document:
        return np.where(table["known"], table["prediction"], np.nan).astype(float), np.zeros(len(table), int)
    place = pd.Index(document["classes"]).get_indexer(pd.Index(table["prediction"]))
    if "confidence" in table:
        return table["confidence"].to_numpy(float), np.maximum(place, 0)
    usable = table["known"] & table["score"].between(0, 1)
    return np.where(usable, table["score"], np.nan).astype(float), np.maximum(place, 0)


def measured(components: Json, z: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Squared distances and squared reconstruction errors, in whole numbers as documented."""
    u = np.rint((z - components["centres"]) * (256 / np.array(components["scales"]))).astype(int)
    y = np.rint((u @ np.array(components["vectors"], int).T) / 4096).astype(int)
    left = y[:, components["kept"] :]
    error = (left**2).sum(axis=1) / 256**2 if left.shape[1] else None
    return (y**2) @ np.array(components["weights"], int), error


def with_columns(table: pd.DataFrame, reasons: dict[str, np.ndarray], error: np.ndarray | None) -> pd.DataFrame:
    columns = {f"odd:{name}": reasons[name] for name in REASONS}
    columns["odd:outliers"] = np.any(list(reasons.values()), axis=0)
    return table.assign(**columns, **({} if error is None else {"reconstruction": error}))


def judged(document: Json, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of service, by what is in the artefact."""
    joint, outside = document["joint"], np.zeros(len(table), bool)
    for name, item in document["features"].items():
        values = table[f"feature:{name}"]
        if item["kind"] == "numeric":
            outside |= beyond(item, values, joint["ranges"][name])
        else:
            outside |= (values.notna() & ~values.map(str).isin(item["categories"])).to_numpy()
    value, place = answers(document, table)
    limits = np.array(joint["answers"], float)  # None becomes NaN, beyond which nothing lies
    strange = (value < limits[place, 0]) | (value > limits[place, 1])
    far, error = np.zeros(len(table), bool), None
    if "components" in joint:
        distance, error = measured(joint["components"], lattice(document, table))
        far = distance > joint["components"]["limit"]
    return with_columns(table, {"range": outside, "distance": far, "prediction": strange}, error)


def learned(z: np.ndarray) -> Json:
    """Principal components by the singular values of standardised rows."""
    w = np.rint(z * 256) / 256
    scales = np.maximum(w.std(axis=0), 0.75)
    _, singular, vectors = np.linalg.svd((w - w.mean(axis=0)) / scales / np.sqrt(len(w)), full_matrices=False)
    largest = np.abs(vectors.round(6)).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    share = np.cumsum(singular**2) / (singular**2).sum()
    return {
        "centres": w.mean(axis=0),
        "scales": scales,
        "vectors": np.rint(vectors * 4096),
        "weights": np.rint(2**14 / np.maximum(singular**2, 0.01)),
        "kept": max(1, min(int((share < 0.9).sum()) + 1, len(share) - 1)),
    }


def crossfitted(document: Json, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the reference, each day (of fewer than five: each hour) by the others."""
    day = table["timestamp"].dt.floor("D")
    fold = day if (day.max() - day.min()).days >= 4 else table["timestamp"].dt.floor("h")
    value, place = answers(document, table)
    parts = [(fold == name).to_numpy() for name in fold.unique()]
    reasons = {name: np.zeros(len(table), bool) for name in REASONS}
    for own in parts:
        for name, item in document["features"].items():
            here, there = table.loc[own, f"feature:{name}"], table.loc[~own, f"feature:{name}"]
            reasons["range"][own] |= _strange_values(item, here, there)
        reasons["prediction"][own] = _strange_answers(document, (value[own], place[own]), (value[~own], place[~own]))
    if "components" not in document["joint"]:
        return with_columns(table, reasons, None)
    z, distance, error = lattice(document, table), np.zeros(len(table)), np.zeros(len(table))
    left = len(numeric(document)) > 1
    for own in parts:
        distance[own], errors = measured(learned(z[~own]), z[own])
        error[own] = errors if left else 0.0
    for own in parts:
        others = np.sort(distance[~own])[::-1]
        reasons["distance"][own] = distance[own] > others[max(10, len(others) // 1000)]
    return with_columns(table, reasons, error if left else None)


def _strange_values(item: Json, here: pd.Series, there: pd.Series) -> np.ndarray:
    if item["kind"] == "categorical":
        return (here.notna() & ~here.isin(there.dropna().unique())).to_numpy()
    x = there.map(number).to_numpy(float)
    x = x[np.isfinite(x)]
    half = np.ptp(x) / 2
    return beyond(item, here, [x.min() - half, x.max() + half])


def _strange_answers(
    document: Json, here: tuple[np.ndarray, np.ndarray], there: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    found = np.zeros(len(here[0]), bool)
    for place in range(len(document.get("classes", [None]))):
        known, own = there[0][(there[1] == place) & ~np.isnan(there[0])], (here[1] == place) & ~np.isnan(here[0])
        value = here[0][own]
        if "classes" in document:
            known, value = (special.logit(np.clip(part, FLOOR, 1 - FLOOR)) for part in (known, value))
        half = np.ptp(known) / 2
        found[own] = (value < known.min() - half) | (value > known.max() + half)
    return found


def critical_excess(alpha: float, share: float, rows: tuple[float, float], noise: Json) -> float:
    """One-sided, with the skew of a negative binomial count; where phi was learned at least as a gamma has it."""
    n, m = rows
    q = sigmas(2 * alpha, 1, noise)
    variance, skew = stats.bernoulli.stats(share, moments="vs")
    deviation = np.sqrt(variance * noise["phi"] / n)
    skew *= (2 - 1 / noise["phi"]) * np.sqrt(noise["phi"] / n)
    limit = q * deviation * np.sqrt(1 + n / m) + max(0.0, deviation * skew * (q**2 - 1) / 6)
    if noise["phi"] > 1 and noise["windows"] >= 5:
        k = noise["windows"] - 1
        form = share**2 / (variance * noise["phi"] * (1 / n + 1 / m)) * stats.chi2(k).ppf(0.1) / k
        limit = max(limit, stats.gamma(form, scale=share / form).isf(alpha) - share)
    return float(limit)


def skewed(q: float, skewness: float) -> float:
    """The quantile of a skewed statistic by the first term of Cornish and Fisher."""
    return q + skewness / 6 * (q * q - 1)


def deviations(document: Json) -> tuple[float, float, int]:
    """Mean, standard deviation and number of the reconstruction errors in an artefact."""
    sums = document["joint"]["counts"]["reconstruction"]
    n, mean = sums["rows"], sums["error"] / ERROR_UNIT / sums["rows"]
    return mean, float(np.sqrt((sums["error2"] / ERROR2_UNIT - n * mean**2) / (n - 1))), n


def errors(rows: pd.DataFrame) -> Iterator[np.ndarray]:
    """Errors and their squares, rounded as they are summed."""
    yield rounded(np.sqrt(rows["reconstruction"].to_numpy()), ERROR_UNIT)
    yield rounded(rows["reconstruction"].to_numpy(), ERROR2_UNIT)
