"""Control limits from the rows of hours and days, from their definitions; nothing of the package is imported."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import roc_auc_score
from tests.second.statistics import UNIT, Json, quantile, rounded

FEWEST_ROWS, FEWEST_DAYS, CHART_POINTS = 20, 14, 50
HOUR, DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)

Rows = Callable[[Json, pd.DataFrame], Mapping[str, float]]
"""From the rows of a window to its measures of quality."""


def values_of(document: Json, rows: pd.DataFrame, quality: Rows) -> dict[str, float]:
    """Every signal of one window. Of few rows only their number is known."""
    found = {"window_rows": float(len(rows))}
    latency = rows["latency"][rows["latency"].between(0, 1e6, inclusive="left")].to_numpy()
    if len(latency) >= FEWEST_ROWS:
        bounds = document["latency_bounds"]
        counts = np.bincount(np.searchsorted(bounds, latency), minlength=len(bounds) + 1)
        for q, name in ((0.5, "p50"), (0.99, "p99")):
            found[f"window_latency_seconds_{name}"] = quantile(q, bounds, counts)
    confidence = confidence_of(document, rows)
    if len(confidence) >= FEWEST_ROWS:
        found["prediction_confidence_mean"] = rounded(confidence, UNIT).mean()
    waited = rows["known"] & rows["id"].notna()
    known = rows[rows["label"].notna()]
    if waited.sum() >= FEWEST_ROWS:
        found["label_coverage_ratio"] = len(known) / waited.sum()
    return found | (dict(quality(document, known)) if len(known) >= FEWEST_ROWS else {})


def confidence_of(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """The probability of the predicted class of two."""
    usable = rows[rows["known"] & rows["score"].between(0, 1)]
    score = usable["score"].to_numpy(float)
    return np.where(usable["prediction"] == document["classes"][1], score, 1 - score)


def binary(document: Json, known: pd.DataFrame) -> Iterator[tuple[str, float]]:
    """The measures of two classes."""
    positive = document["classes"][1]
    y, called = (known["label"] == positive).to_numpy(), (known["prediction"] == positive).to_numpy()
    both = (y & called).sum()
    yield "accuracy", (y == called).mean()
    for name, whole in (("precision", called.sum()), ("recall", y.sum())):
        if whole:
            yield name, both / whole
    if (y | called).any():
        yield "f1", 2 * both / (y.sum() + called.sum())
    scored = known["score"].between(0, 1).to_numpy()
    p, truth = known["score"].to_numpy(float)[scored], y[scored]
    if not len(p):
        return
    yield "log_loss", rounded(-np.log(np.clip(np.where(truth, p, 1 - p), 1e-15, 1)), UNIT).mean()
    yield "brier_score", rounded((p - truth) ** 2, UNIT).mean()
    yield "calibration_gap", rounded(p, UNIT).mean() - truth.mean()
    if truth.any() and not truth.all():
        yield "roc_auc", roc_auc_score(truth, np.digitize(p, document["score_edges"]))


def rows_of(
    document: Json, table: pd.DataFrame, end: pd.Timestamp, quality: Rows
) -> Mapping[pd.Timedelta, pd.DataFrame]:
    """The values of all whole hours and days before `end`, by their start."""
    begin, found = table["timestamp"].min().floor(HOUR) + HOUR, {}
    for length in (HOUR, DAY):
        starts = pd.date_range(begin.ceil(length), end - length, freq=length)
        groups = dict(list(table.groupby(table["timestamp"].dt.floor(length))))
        empty = table.iloc[:0]
        values = [values_of(document, groups.get(start, empty), quality) for start in starts]
        found[length] = pd.DataFrame(values, index=starts)
    return found


FORWARD: Mapping[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[float], float]]] = {
    "count": (lambda x: np.log(1 + x), lambda y: max(0.0, math.exp(y) - 1)),
    "positive": (lambda x: np.log(np.where(x > 0, x, np.nan)), math.exp),
    "share": (lambda x: np.arcsin(np.sqrt(x)), lambda y: math.sin(min(max(y, 0.0), math.pi / 2)) ** 2),
    "signed": (lambda x: x, float),
}


def scale_of(signal: str) -> str:
    if signal == "window_rows":
        return "count"
    if signal.startswith("window_latency") or signal in (
        *("log_loss", "brier_score", "mean_absolute_error", "root_mean_squared_error"),
    ):
        return "positive"
    return "signed" if signal in ("calibration_gap", "mean_error", "r2") else "share"


def limits(values: np.ndarray, sigmas: float) -> tuple[float, float, float, float | None] | None:
    """Centre, lower, upper, and the largest step, of a history on its scale; None where nothing holds."""
    known = values[np.isfinite(values)]
    if len(known) < 2 or known.max() == known.min():
        return None
    pairs = pd.DataFrame({"x": values - known.mean(), "next": np.roll(values - known.mean(), -1)})[:-1].dropna()
    if not len(pairs):
        return None
    r, centre = (pairs["x"] * pairs["next"]).mean() / known.var(), known.mean()
    weekly = pd.DataFrame({"x": values[:-7] - centre, "next": values[7:] - centre}).dropna()
    found = []
    if len(known) >= CHART_POINTS and r <= 0.25 and (weekly["x"] * weekly["next"]).mean() / known.var() <= 0.25:
        step = np.abs(pairs["next"] - pairs["x"]).mean()
        found.append((centre, centre - 2.66 * step * sigmas / 3, centre + 2.66 * step * sigmas / 3, 3.267 * step))
    r = min(max(r + (1 + 4 * r) / len(known), 0.0), 0.99)
    points = len(known) * (1 - r) / (1 + r)
    if points >= 10:
        reach = stats.t(points - 1).isf(stats.norm.sf(sigmas)) * math.sqrt(points / (points - 1) * (1 + 1 / points))
        reach *= known.std()
        found.append((centre, centre - reach, centre + reach, None))
    for item in found:
        if np.mean((known < item[1]) | (known > item[2])) <= 0.04:
            return item
    return None


Bounds = Mapping[tuple[str, str, str], float]


def control_limits(history: Mapping[pd.Timedelta, pd.DataFrame], end: pd.Timestamp) -> Bounds:
    """By window, signal and bound: of the hour and the day that end at `end`, which is a full hour."""
    found: dict[tuple[str, str, str], float] = {}
    empty = set(history[DAY].index[history[DAY]["window_rows"] == 0])
    for name, length in (("1h", HOUR), ("1d", DAY)):
        table = history[length].copy()
        table.loc[[at.floor(DAY) in empty for at in table.index]] = np.nan
        sigmas = stats.norm.isf(stats.norm.sf(3) * (length / DAY))
        for signal in history[HOUR].columns.union(history[DAY].columns):
            forward, back = FORWARD[scale_of(signal)]
            series = forward(table[signal].to_numpy(float)) if signal in table else np.zeros(0)
            series = pd.Series(series, table.index[: len(series)])
            item = _day(series, end, sigmas) if length == DAY else _hour(series, end, sigmas)
            if item is None:
                continue
            centre, lower, upper, step = item
            found |= {
                (name, signal, bound): back(value)
                for bound, value in (("centre", centre), ("lower", lower), ("upper", upper))
            }
            if step is not None:
                found[name, signal, "range"] = back(centre + step / 2) - back(centre - step / 2)
    return found


def _day(series: pd.Series, end: pd.Timestamp, sigmas: float) -> tuple[float, float, float, float | None] | None:
    return limits(series[series.index < (end - DAY).floor(DAY)].to_numpy(), sigmas)


def _hour(series: pd.Series, end: pd.Timestamp, sigmas: float) -> tuple[float, float, float, float | None] | None:
    """Of the last full hour and of both its neighbours, as far as those have limits."""
    around = []
    for hour in (end - HOUR, end - 2 * HOUR, end):
        same = series[(series.index < hour) & (series.index.hour == hour.hour)].to_numpy()
        around.append(limits(same, sigmas) if np.isfinite(same).sum() >= FEWEST_DAYS else None)
    if around[0] is None:
        return None
    known = [item for item in around if item]
    return around[0][0], min(item[1] for item in known), max(item[2] for item in known), None
