"""What an artefact must hold, from the reference's logs: counts, and the distributions over its own days.

Nothing of the package is imported. The bins and groups are taken from the artefact. `table` is what `joined` makes of
the reference.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from tests.second import distances, outliers, vitals
from tests.second.logs import number
from tests.second.statistics import SQUARE_UNIT, UNIT, Z2_UNIT, Json, delong, psi, rounded

FEWEST_ROWS = 20


class Estimate(NamedTuple):
    """A value, its error for independent rows, and the rows that the error shrinks with."""

    value: float
    error: float
    rows: float


def counts(document: Json, table: pd.DataFrame) -> dict[str, Any]:
    """Every count of the artefact that follows from the rows, by its path in the document."""
    found: dict[str, Any] = {"head/rows/rows": len(table)}
    for name, item in document["features"].items():
        values = table[f"feature:{name}"]
        at = f"features/{name}/counts"
        if item["kind"] == "categorical":
            known = values.dropna()
            bins = known.value_counts().reindex(item["categories"], fill_value=0).tolist()
            unseen = len(known) - sum(bins)
            found |= {f"{at}/bins": [*bins, unseen], f"{at}/unseen": unseen}
            found |= {f"{at}/valid": len(known), f"{at}/null": int(values.isna().sum())}
            continue
        x = values.map(number)
        valid = x[np.isfinite(x)]
        outside = ~valid.between(*item["range"])
        bins = np.bincount(np.digitize(valid, item["edges"]), minlength=len(item["edges"]) + 1).tolist()
        found |= {f"{at}/valid": len(valid), f"{at}/null": int(x.isna().sum()), f"{at}/invalid": int(np.isinf(x).sum())}
        found |= {f"{at}/bins": bins, f"{at}/out_of_range": int(outside.sum())}
    positive = document["classes"][1]
    labelled = table[table["label"].notna()]
    crossed = pd.crosstab(labelled["label"] == positive, labelled["prediction"] == positive)
    found["head/quality/confusion"] = crossed.to_numpy().ravel().tolist()
    found["head/predictions/classes"] = [int((table["prediction"] == name).sum()) for name in document["classes"]]
    found["head/flags/fallback"] = int(table["fallback"].sum())
    found["head/labels/labelled"] = len(labelled)
    return found


def at_path(document: Json, path: str) -> Any:
    """What an artefact holds at `a/b/c`."""
    for key in path.split("/"):
        document = document[key]
    return document


def deviations(document: Json, table: pd.DataFrame) -> Iterator[tuple[str, float, float, float]]:
    """Every numeric feature, and standard deviations of z: from the artefact, from rows rounded alike, from rows."""
    for name, item in document["features"].items():
        if item["kind"] == "numeric":
            sums, z = item["counts"], vitals.standardised(item, table[f"feature:{name}"])
            mean = sums["z"] / UNIT / sums["valid"]
            variance = (sums["z2"] / Z2_UNIT - sums["valid"] * mean**2) / (sums["valid"] - 1)
            alike = _z(z)
            assert alike
            yield name, float(np.sqrt(variance)), alike.error * np.sqrt(alike.rows), float(z.std(ddof=1))


Counted = Callable[[Json, pd.DataFrame], np.ndarray]
"""Counts of answers in the bins of PSI."""


def psi_noise(document: Json, table: pd.DataFrame, counted: Counted = vitals.score_counts) -> dict[str, Json]:
    """The distribution of T over the reference's days, by feature and `__score__`."""
    days = [rows for _, rows in table.groupby(table["timestamp"].dt.floor("D"))]
    found = {name: _noise(item, days, f"feature:{name}") for name, item in document["features"].items()}
    scores = [counted(document, rows) for rows in days]
    some = [counted(document, rows[rows["label"].notna()]) for rows in days]
    pairs = [(here, whole - here) for here, whole in zip(some, scores, strict=True)]
    chosen = _distances([pair for pair in pairs if min(pair[0].sum(), pair[1].sum()) >= FEWEST_ROWS], False)
    return found | {"__score__": _distribution(scores, False)} | ({"__selection__": chosen} if chosen else {})


def _noise(item: Json, days: list[pd.DataFrame], column: str) -> Json:
    return _distribution([vitals.feature_counts(item, rows[column]) for rows in days], item["kind"] == "categorical")


def _distribution(days: list[np.ndarray], categorical: bool) -> Json:
    total = np.sum(days, axis=0)
    pairs = [(here, total - here) for here in days]
    return _distances([pair for pair in pairs if min(pair[0].sum(), pair[1].sum()) >= FEWEST_ROWS], categorical)


def _distances(pairs: list[tuple[np.ndarray, np.ndarray]], categorical: bool) -> Json:
    ts, ratios = [], []
    for here, there in pairs:
        found = psi(here, there, categorical)
        if found:
            ts.append(found[0] / (1 / here.sum() + 1 / there.sum()))
            ratios.append(ts[-1] / (found[1] - 1))
    if not ts:
        return {}
    variance = np.var(ts, ddof=1) if len(ts) > 1 else 0.0
    return {"windows": len(ts), "mean": np.mean(ts), "variance": variance, "overdispersion": np.mean(ratios)}


def distance_noise(document: Json, table: pd.DataFrame) -> dict[str, Mapping[str, Json]]:
    """What the reference's days show of the distances of each feature."""
    days = [rows for _, rows in table.groupby(table["timestamp"].dt.floor("D"))]
    found = {}
    for name, item in document["features"].items():
        windows = [distances.fine_counts(item, vitals.usable(item, rows[f"feature:{name}"])) for rows in days]
        found[name] = distances.of_windows(item, document["independent"].get(name, {}), windows)
    return found


def spread_noise(document: Json, table: pd.DataFrame) -> dict[str, Json]:
    """What the reference's days show of the spread of each numeric feature."""
    days = [rows for _, rows in table.groupby(table["timestamp"].dt.floor("D"))]
    found = {}
    for name, item in document["features"].items():
        if item["kind"] == "numeric":
            windows = [vitals.standardised(item, rows[f"feature:{name}"]) for rows in days]
            found[name] = distances.spread_of_windows(item, windows)
    return {name: item for name, item in found.items() if item}


def distance_phis(known: Mapping[str, Mapping[str, Json]]) -> dict[str, Json]:
    """Those of them that are phis: of KS and Wasserstein."""
    return {
        f"{kind}:{name}": {"windows": item["windows"], "phi": item["phi"]}
        for name, found in known.items()
        for kind, item in found.items()
        if kind != "js"
    }


def distance_skews(known: Mapping[str, Mapping[str, Json]]) -> dict[str, float]:
    """How skewed those means are."""
    return {
        f"{kind}:{name}": item["skewness"]
        for name, found in known.items()
        for kind, item in found.items()
        if kind != "js"
    }


def phis(document: Json, table: pd.DataFrame) -> dict[str, Json]:
    """Phi of every statistic by day: mean squared distance from the whole in squared errors, at least 1.

    A statistic without error, such as the null ratio of a feature that is never null, has 1.
    """
    return phis_of(_measures(document), outliers.crossfitted(document, table))


def phis_of(measures: Mapping[str, "Measure"], table: pd.DataFrame) -> dict[str, Json]:
    """Phi of the statistics that are given."""
    day, found = table["timestamp"].dt.floor("D"), {}
    for name, measure in measures.items():
        whole = measure(table)
        every = [rows for _, rows in table.groupby(day)]
        days = [item for rows in every if (item := measure(rows)) and item.rows >= FEWEST_ROWS]
        if whole and len(days) > 1:
            distances = [(item.value - whole.value) ** 2 * item.rows for item in days]
            squares = np.mean(distances) / (whole.error**2 * whole.rows) if whole.error else 1.0
            kept = [item if item and item.rows >= FEWEST_ROWS else None for item in map(measure, every)]
            values = np.array([item.value if item else np.nan for item in kept])
            found[name] = {"windows": worth(values), "phi": max(1.0, float(squares))}
    return found


def worth(values: np.ndarray) -> int:
    """How many independent days the reference's days are worth, by how much neighbours agree."""
    known = values[np.isfinite(values)]
    pairs = (values[:-1] - known.mean()) * (values[1:] - known.mean())
    if np.ptp(known) == 0 or not np.isfinite(pairs).any():
        return len(known)
    r = np.nanmean(pairs) / known.var()
    kendall = r + (1 + 4 * r) / len(known)
    fewer = max(5, int(len(known) * (1 - min(kendall, 0.99)) / (1 + min(kendall, 0.99))))
    return len(known) if r <= 2 / np.sqrt(len(known)) else fewer


Measure = Callable[[pd.DataFrame], Estimate | None]


def _measures(document: Json) -> Mapping[str, Measure]:
    positive, edges = document["classes"][1], document["score_edges"]

    def labelled(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kept = rows[rows["label"].notna()]
        y, called = ((kept[name] == positive).to_numpy() for name in ("label", "prediction"))
        return y, called, kept["score"].to_numpy()

    def auc(rows: pd.DataFrame) -> Estimate | None:
        y, _, score = labelled(rows)
        if y.all() or not y.any():
            return None
        bins = np.digitize(score, edges)
        error = delong(bins, y) if y.sum() > 1 else np.nan
        return Estimate(roc_auc_score(y, bins), error, y.sum() * (~y).sum() / len(y))

    def of_labels(statistic: Callable[..., Estimate | None]) -> Measure:
        return lambda rows: statistic(*labelled(rows))

    measures: dict[str, Measure] = {
        "accuracy": of_labels(lambda y, called, _: share_estimate(y == called)),
        "precision": of_labels(lambda y, called, _: share_estimate(y[called])),
        "recall": of_labels(lambda y, called, _: share_estimate(called[y])),
        "f1": of_labels(lambda y, called, _: share_estimate((y & called)[y | called])),
        "brier_score": of_labels(lambda y, _, p: loss_estimate((p - y) ** 2)),
        "log_loss": of_labels(lambda y, _, p: loss_estimate(-np.log(np.where(y, p, 1 - p)))),
        "calibration_gap": of_labels(lambda y, _, p: mean_estimate(rounded(p, UNIT) - y, rounded((p - y) ** 2, UNIT))),
        "roc_auc": auc,
    }
    for name in document["classes"]:
        measures[f"class:{name}"] = lambda rows, name=name: share_estimate((rows["prediction"] == name).to_numpy())
    return measures | of_features(document)


def of_features(document: Json) -> Mapping[str, Measure]:
    """The statistics of features and of whole rows whose noise an artefact holds."""
    measures: dict[str, Measure] = {}
    for name, item in document["features"].items():
        measures[f"null:{name}"] = lambda rows, name=name: share_estimate(
            rows[f"feature:{name}"].map(number).isna().to_numpy()
        )
        if item["kind"] == "numeric":
            measures[f"mean:{name}"] = _mean_of(item, f"feature:{name}")
    for reason in ("outliers", *outliers.REASONS):
        measures[f"outlier:{reason}"] = lambda rows, reason=reason: share_estimate(rows[f"odd:{reason}"].to_numpy())
    if "reconstruction" in document["joint"]["counts"]:
        measures["reconstruction"] = lambda rows: mean_estimate(*outliers.errors(rows))
    return measures


def _mean_of(item: Json, column: str) -> Measure:
    return lambda rows: _z(vitals.standardised(item, rows[column]))


def share_estimate(marks: np.ndarray) -> Estimate | None:
    return Estimate(marks.mean(), marks.std() / np.sqrt(len(marks)), len(marks)) if len(marks) else None


def _z(z: np.ndarray) -> Estimate | None:
    return mean_estimate(rounded(z, UNIT), rounded(z**2, Z2_UNIT))


def loss_estimate(values: np.ndarray) -> Estimate | None:
    return mean_estimate(rounded(values, UNIT), rounded(values**2, SQUARE_UNIT))


def mean_estimate(values: np.ndarray, squares: np.ndarray) -> Estimate | None:
    if (n := len(values)) < 2:
        return None
    variance = (squares.mean() - values.mean() ** 2) * n / (n - 1)
    return Estimate(values.mean(), np.sqrt(max(variance, 0.0) / n), n)
