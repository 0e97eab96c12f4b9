"""Segments, and windows against earlier ones, from their definitions; nothing of the package is imported."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy import stats
from tests.second.statistics import UNIT, Json, psi, rounded
from tests.second.vitals import (
    CLOSE,
    HALF_UNIT,
    Artefact,
    Check,
    Found,
    Settings,
    _quality,
    close,
    exact,
    feature_counts,
    score_counts,
    shares,
    standardised,
)

NOT_OF_SEGMENTS = ("ml_label_selection_psi", "ml_label_selection_psi_critical")


def value_of(column: pd.Series, names: list[str]) -> pd.Series:
    """The value of every row under a segment whose names are these."""
    texts = column.where(column.notna() & (column != ""), "__none__").map(str)
    return texts.where(texts.isin([*names, "__none__"]), "__other__")


def most_frequent(column: pd.Series, limit: int) -> list[str]:
    counts = column[column.notna() & (column != "")].map(str).value_counts().reset_index()
    counts.columns = ["value", "count"]
    return list(counts.sort_values(["count", "value"], ascending=[False, True])["value"][:limit])


def segments(
    artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame, by: Mapping[str, pd.Series]
) -> Iterator[Found]:
    """What the rows of each value would give if they were the model."""
    for name, column in by.items():
        for value in sorted(column.unique()):
            part = rows[column[rows.index] == value]
            labels = {"segment_by": name, "segment": value}
            labelled = exact("ml_labelled_rows", part["label"].notna().sum(), window=window)
            found = [exact("ml_window_rows", len(part), window=window), labelled]
            found += [*shares(artefact.document, window, part), *_quality(artefact, settings, window, part)]
            for item in found:
                if item.name not in NOT_OF_SEGMENTS:
                    yield item._replace(labels={**item.labels, **labels})


def earlier(
    document: Json, window: str, baseline: str, rows: tuple[pd.DataFrame, pd.DataFrame], phi: Mapping[str, float]
) -> Iterator[Found]:
    """PSI and mean shift of each feature, PSI of the scores and class shift, of rows against earlier ones."""
    now, then = rows
    for name, item in document["features"].items():
        at = {"feature": name, "window": window, "baseline": baseline}
        counts = [feature_counts(item, part[f"feature:{name}"]) for part in rows]
        found = psi(counts[0], counts[1], item["kind"] == "categorical")
        if found:
            yield close("ml_feature_psi", found[0], **at)
        if item["kind"] == "numeric":
            z = [standardised(item, part[f"feature:{name}"]) for part in rows]
            kept = [rounded(values, UNIT).mean() for values in z]
            checks = (Check(kept[0] - kept[1], CLOSE), Check(z[0].mean() - z[1].mean(), 2 * HALF_UNIT))
            yield Found("ml_feature_mean_shift_sigmas", at, checks)
    value, _ = psi(score_counts(document, now), score_counts(document, then), False) or (np.nan, 0)
    yield close("ml_prediction_psi", value, window=window, baseline=baseline)
    predicted = [part.loc[part["known"], "prediction"] for part in rows]
    for name in document["classes"]:
        here, there = ((part == name).sum() for part in predicted)
        n, m = map(len, predicted)
        error = np.sqrt(stats.bernoulli.var((here + there) / (n + m)) * (1 / n + 1 / m) * phi[name])
        at = {"window": window, "baseline": baseline, "class": name}
        yield close("ml_prediction_class_shift_sigmas", (here / n - there / m) / error, **at)
