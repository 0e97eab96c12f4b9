"""Every sample that finished logs give, from their definitions; nothing of the package is imported.

Given are the artefact's bins and distributions (its JSON) and the logs. Each expected sample has its checks: a value,
and how far ours may be from it. Counts and ratios have no tolerance. A mean of values that are summed in fixed point is
checked twice: with each value rounded as documented (1e-9), and without (half a unit, the most that rounding can move a
mean). The ends of their intervals stand on rounded squares too; without rounding they agree to 1e-6.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)
from tests.second import distances, history, outliers
from tests.second.logs import number, usable_labels
from tests.second.statistics import (
    SQUARE_UNIT,
    UNIT,
    Z2_UNIT,
    Json,
    auc,
    gap_interval,
    interval_sigmas,
    loss_interval,
    psi,
    psi_critical,
    quantile,
    rounded,
    sigmas,
    wilson,
)

CLOSE, DEVIATION_CLOSE, AUC_CLOSE = 1e-9, 1e-6, 2e-4
HALF_UNIT = 0.5 / UNIT
Z_LIMIT, FLOOR = 64.0, 1e-15
DAY = 86400.0
ROWS_OF_A_MONTH = 10_000

Key = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels of a sample."""


class Check(NamedTuple):
    """What a sample must equal, and the largest difference allowed."""

    value: float
    tolerance: float


class Found(NamedTuple):
    """One expected sample. The label `model` is added to all."""

    name: str
    labels: Mapping[str, str]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Settings:
    """What the configuration says. `windows` maps a name to (start, end), `seconds` to its length."""

    model: str
    team: str
    tier: str
    latency_limit: float
    budget: float
    windows: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]]
    distances: tuple[str, ...] = ()

    def seconds(self, window: str) -> float:
        start, end = self.windows[window]
        return float((end - start).total_seconds())


def exact(name: str, value: float, **labels: str) -> Found:
    return Found(name, labels, (Check(float(value), 0.0),))


def close(name: str, value: float, **labels: str) -> Found:
    return Found(name, labels, (Check(float(value), CLOSE),))


Noise = Callable[[str], tuple[float, float]]
"""From a statistic to its phi and the standard errors to either side of its interval."""

Expected = dict[Key, tuple[Check, ...]]


@dataclass(frozen=True)
class Artefact:
    """The JSON of a baseline."""

    document: Json

    def reference_counts(self, feature: str) -> np.ndarray:
        """Counts in the bins of PSI."""
        item = self.document["features"][feature]
        return np.bincount(item["psi_groups"], item["counts"]["bins"])

    def score_histograms(self) -> np.ndarray:
        """Scores by predicted class, label (none, negative, positive) and bin."""
        return np.reshape(self.document["head"]["scores"]["histogram"], (2, 3, -1))

    def psi_noise(self, window: str, seconds: float, name: str) -> Json | None:
        return self._learned("psi", window, seconds, name)

    def distance_noise(self, window: str, seconds: float, name: str) -> Mapping[str, Json]:
        """What was learned about the distances of a feature."""
        found = {kind: self.chain(window, seconds, f"{kind}:{name}") for kind in ("ks", "wasserstein")}
        others = {kind: self._learned(kind, window, seconds, name) for kind in ("js", "spread")}
        return found | {kind: item for kind, item in others.items() if item}

    def phi(self, window: str, seconds: float, statistic: str) -> Json:
        return self._learned("phi", window, seconds, statistic) or {"windows": 0, "phi": 1.0}

    def skew(self, window: str, seconds: float, statistic: str) -> float:
        """Of a statistic of windows."""
        return float(self._learned("skew", window, seconds, statistic) or 0.0)

    def chain(self, window: str, seconds: float, statistic: str) -> Json:
        """Phi, and the skewness if it is known, of a distance."""
        return self.phi(window, seconds, statistic) | {"skewness": self._learned("skew", window, seconds, statistic)}

    def _learned(self, kind: str, window: str, seconds: float, name: str) -> Any:
        """Of windows of this length; else of the longest shorter ones, else of the shortest longer ones."""
        lengths, noise = self.document["time"]["windows"], self.document["noise"]
        known = [item for item in noise if name in noise[item].get(kind, {})]
        order = sorted(known, key=lambda item: (item != window, lengths[item] > seconds, abs(lengths[item] - seconds)))
        return noise[order[0]][kind][name] if order else None


def disagreements(samples: Mapping[Key, float], expected: Expected) -> list[str]:
    """What the exporter's samples say otherwise, a line each."""
    return [
        f"{key[0]} {sorted(key[1])}: got {samples.get(key)!r}, expected {check.value!r} within {check.tolerance:g}"
        for key, checks in expected.items()
        for check in checks
        if not abs(samples.get(key, math.nan) - check.value) <= check.tolerance
    ]


def feature_counts(item: Json, values: pd.Series) -> np.ndarray:
    """Counts of a feature's valid values in the bins of PSI."""
    if item["kind"] == "categorical":
        place = pd.Index(item["categories"]).get_indexer(pd.Index(values.dropna().map(str)))
        bins = np.where(place < 0, len(item["categories"]), place)
    else:
        x = values.map(number).to_numpy()
        bins = np.digitize(x[np.isfinite(x)], item["edges"])
    groups = np.asarray(item["psi_groups"])
    return np.bincount(groups[bins], minlength=groups.max() + 1)


def score_counts(document: Json, rows: pd.DataFrame) -> np.ndarray:
    groups = np.asarray(document["score_psi_groups"])
    bins = np.digitize(usable_scores(rows)["score"], document["score_edges"])
    return np.bincount(groups[bins], minlength=groups.max() + 1)


def usable_scores(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["known"] & rows["score"].between(0, 1)].astype({"score": float})


def standardised(item: Json, values: pd.Series) -> np.ndarray:
    x = values.map(number).to_numpy()
    return np.clip((x[np.isfinite(x)] - item["centre"]) / item["scale"], -Z_LIMIT, Z_LIMIT)


class Task(NamedTuple):
    """What differs between tasks: the signal of a shift, and what follows from the artefact and from rows."""

    name: str
    shift: str
    reference: Callable[[Json], Iterator[Found]]
    parts: tuple[Callable[[Artefact, Settings, str, pd.DataFrame], Iterator[Found]], ...]


def expected(
    document: Json, settings: Settings, table: pd.DataFrame, labels: pd.DataFrame, task: Task | None = None
) -> Expected:
    """The checks of every sample of a model. `table` is what `joined` returned, `labels` the label log."""
    task = task or BINARY
    found = list(_identity(document, settings, table, labels, task))
    found += [*_reference(document), *task.reference(document)]
    table = outliers.judged(document, table)
    found += _before(Artefact(document), settings, table, task)
    found += _history(document, settings, table) if task.name == "binary" else []
    for window, (start, end) in settings.windows.items():
        rows = table[(table["timestamp"] >= start) & (table["timestamp"] < end)]
        for part in (_volume, _features, _nulls, _drift, _distances, _outliers, _flags, _latency, _labels, *task.parts):
            found += part(Artefact(document), settings, window, rows)
    keys = [(item.name, frozenset({**item.labels, "model": settings.model}.items())) for item in found]
    assert len(set(keys)) == len(keys)
    return {key: item.checks for key, item in zip(keys, found, strict=True)}


def alpha_of(document: Json, settings: Settings, window: str) -> float:
    """One test's share of a month's false alarms: drift over days or more, all hours of a day's nulls as one."""
    kinds = [item["kind"] for item in document["features"].values()]
    lengths = {name: settings.seconds(name) / DAY for name in settings.windows}
    series = len(kinds) + kinds.count("numeric") + 4 + len(outliers.REASONS) + (kinds.count("numeric") > 1)
    series += sum(len(kinds) if name == "js" else kinds.count("numeric") for name in settings.distances)
    drift = sum(series * 30 / days for days in lengths.values() if days >= 1)
    nulls = 30 * len(kinds) if "1h" in lengths else 0
    return min(0.05, settings.budget / (drift + nulls)) * min(1.0, lengths[window])


def _identity(
    document: Json, settings: Settings, table: pd.DataFrame, labels: pd.DataFrame, task: Task
) -> Iterator[Found]:
    newest = table["timestamp"].max()
    yield exact("ml_model_info", 1, task=task.name, team=settings.team, tier=settings.tier)
    for version in table.loc[table["timestamp"] >= newest - pd.Timedelta(days=1), "model_version"].dropna().unique():
        yield exact("ml_model_version_info", 1, version=version)
    known = document["noise"]["1d"]["psi"].items()
    windows = min(item["windows"] for name, item in known if name != "__selection__")
    state = "learned" if windows >= 20 else "provisional" if windows >= 5 else "assumed"
    fingerprint = document["fingerprint"]
    yield exact("ml_baseline_info", 1, baseline="reference", fingerprint=fingerprint, dispersion=state)
    yield exact("ml_baseline_created_timestamp_seconds", document["reference"]["end_us"] / 1e6, baseline="reference")
    yield exact("ml_last_prediction_timestamp_seconds", newest.timestamp())
    known = usable_labels(document, labels)
    yield exact("ml_last_label_timestamp_seconds", known["timestamp"].max().timestamp())
    waiting = table.loc[table["waited"] & table["label"].isna(), "id"]
    yield exact("ml_exporter_join_pending_rows", len(waiting), side="predictions")
    orphans = known.loc[~known["id"].isin(table.loc[table["waited"], "id"]), "id"]
    yield exact("ml_exporter_join_pending_rows", len(orphans), side="labels")
    drift = ["feature_psi", "feature_mean_shift", "prediction_psi", task.shift]
    drift += [f"feature_{distances.METRICS[name]}" for name in settings.distances]
    drift += ["prediction_outlier_ratio", *(["multivariate_drift"] if len(outliers.numeric(document)) > 1 else [])]
    drift += ["prediction_concentration", "prediction_spread"]
    for window in settings.windows:
        for signal in ["feature_null_ratio"] if window == "1h" else drift:
            yield close("ml_false_alarm_alpha", alpha_of(document, settings, window), signal=signal, window=window)


MEASURES = (
    *("accuracy", "precision", "recall", "f1", "log_loss", "brier_score", "calibration_gap", "roc_auc"),
    *("precision_macro", "recall_macro", "f1_macro", "roc_auc_macro"),
    *("mean_absolute_error", "root_mean_squared_error", "mean_error", "r2"),
)


def _before(artefact: Artefact, settings: Settings, table: pd.DataFrame, task: Task) -> Iterator[Found]:
    """Quality over the 30 days before the window of a day."""
    if not {"1d", "30d"} <= settings.windows.keys():
        return
    end = settings.windows["1d"][0]
    rows = table[(table["timestamp"] >= end - pd.Timedelta(days=30)) & (table["timestamp"] < end)]
    yield exact("ml_baseline_labelled_rows", rows["label"].notna().sum(), baseline="previous_30d")
    for part in task.parts:
        for item in part(artefact, settings, "30d", rows):
            if item.name.removeprefix("ml_") in MEASURES:
                labels = {name: value for name, value in item.labels.items() if name != "window"}
                yield Found(f"ml_baseline_{item.name[3:]}", labels | {"baseline": "previous_30d"}, item.checks)


def _history(document: Json, settings: Settings, table: pd.DataFrame) -> Iterator[Found]:
    """Control limits of the hour and the day at the end."""
    end = settings.windows["1h"][1]
    rows = history.rows_of(document, table, end, history.binary)
    for (window, signal, bound), value in history.control_limits(rows, end).items():
        check = Check(value, CLOSE * max(1.0, abs(value)))
        yield Found("ml_control_limit", {"window": window, "signal": signal, "bound": bound}, (check,))


def _reference(document: Json) -> Iterator[Found]:
    """What follows from the artefact's counts alone."""
    yield from _baseline_outliers(document)
    base = {"baseline": "reference"}
    for name, item in document["features"].items():
        counts, kind = item["counts"], item["kind"]
        rows = counts["valid"] + counts["null"] + counts.get("invalid", 0)
        yield exact("ml_feature_baseline_null_ratio", counts["null"] / rows, feature=name, **base)
        yield exact("ml_feature_baseline_invalid_ratio", counts.get("invalid", 0) / rows, feature=name, **base)
        if kind == "numeric":
            share = counts["out_of_range"] / counts["valid"]
            yield exact("ml_feature_baseline_out_of_range_ratio", share, feature=name, **base)
        else:
            share = counts["unseen"] / counts["valid"]
            yield exact("ml_feature_baseline_unseen_category_ratio", share, feature=name, **base)


def _outliers(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    """Shares of odd rows and their excess, and the shift of the reconstruction error."""
    document, alpha = artefact.document, alpha_of(artefact.document, settings, window)
    reference, counts = document["reference"], document["joint"]["counts"]
    length = (reference["end_us"] - reference["start_us"]) / 1e6 / settings.seconds(window)
    for kind in ("outliers", *outliers.REASONS):
        known, m = counts["outliers"][kind], counts["outliers"]["rows"]
        at = {"window": window} | ({} if kind == "outliers" else {"reason": kind})
        yield exact("ml_prediction_outlier_ratio", rows[f"odd:{kind}"].sum() / len(rows), **at)
        noise = artefact.phi(window, settings.seconds(window), f"outlier:{kind}")
        scale = (min(len(rows), m / length), m)
        limit = outliers.critical_excess(alpha, (known + 0.5) / (m + 1), scale, noise)
        yield close("ml_prediction_outlier_critical_ratio", limit, **at, baseline="reference")
    if "reconstruction" in rows:
        mean, deviation, m = outliers.deviations(document)
        noise = artefact.phi(window, settings.seconds(window), "reconstruction")
        error = np.sqrt(noise["phi"] * (1 / len(rows) + 1 / m))
        limit = outliers.skewed(
            sigmas(alpha, 1, noise), artefact.skew(window, settings.seconds(window), "reconstruction")
        )
        at = {"window": window, "baseline": "reference"}
        value = next(outliers.errors(rows)).mean()
        yield close("ml_multivariate_drift", (value - mean) / deviation, **at)
        yield close("ml_multivariate_drift_critical", limit * error, **at)


def _baseline_outliers(document: Json) -> Iterator[Found]:
    counts = document["joint"]["counts"]["outliers"]
    for kind in ("outliers", *outliers.REASONS):
        at = {"baseline": "reference"} | ({} if kind == "outliers" else {"reason": kind})
        yield exact("ml_prediction_baseline_outlier_ratio", counts[kind] / counts["rows"], **at)


def baseline_shares(document: Json) -> Iterator[Found]:
    classes = document["head"]["predictions"]["classes"]
    for name, count in zip(document["classes"], classes, strict=True):
        labels = {"class": name, "baseline": "reference"}
        yield exact("ml_prediction_baseline_class_ratio", count / sum(classes), **labels)


def _binary_reference(document: Json) -> Iterator[Found]:
    base = {"baseline": "reference"}
    yield from baseline_shares(document)
    sums = document["head"]["quality"]
    tn, fp, fn, tp = sums["confusion"]
    yield exact("ml_baseline_labelled_rows", tp + tn + fp + fn, **base)
    yield exact("ml_baseline_accuracy", (tp + tn) / (tp + tn + fp + fn), **base)
    yield exact("ml_baseline_precision", tp / (tp + fp), **base)
    yield exact("ml_baseline_recall", tp / (tp + fn), **base)
    yield close("ml_baseline_f1", 2 / (1 + fp / tp + 1 + fn / tp), **base)
    yield close("ml_baseline_log_loss", sums["log_loss"] / UNIT / sums["scored"], **base)
    yield close("ml_baseline_brier_score", sums["brier"] / UNIT / sums["scored"], **base)
    gap = sums["score"] / UNIT / sums["scored"] - sums["positive"] / sums["scored"]
    yield close("ml_baseline_calibration_gap", gap, **base)
    by_label = Artefact(document).score_histograms().sum(axis=0)[1:]
    bins = np.arange(by_label.shape[1])
    area = roc_auc_score(np.repeat([0, 1], len(bins)), np.tile(bins, 2), sample_weight=by_label.ravel())
    yield close("ml_baseline_roc_auc", area, **base)


def _volume(_: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    start, end = settings.windows[window]
    yield exact("ml_window_rows", len(rows), window=window)
    yield exact("ml_window_start_timestamp_seconds", start.timestamp(), window=window)
    yield exact("ml_window_end_timestamp_seconds", end.timestamp(), window=window)


def _nulls(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    """The most that a null ratio may exceed the reference's, in which there is half a null more, as of outliers.

    The rows are no more than those of an average window of the reference.
    """
    reference = artefact.document["reference"]
    length = (reference["end_us"] - reference["start_us"]) / 1e6 / settings.seconds(window)
    for name, item in artefact.document["features"].items():
        counts, noise = item["counts"], artefact.phi(window, settings.seconds(window), f"null:{name}")
        m = counts["valid"] + counts["null"] + counts.get("invalid", 0)
        scale = (min(len(rows), m / length), m)
        alpha = alpha_of(artefact.document, settings, window)
        limit = outliers.critical_excess(alpha, (counts["null"] + 0.5) / (m + 1), scale, noise)
        yield close("ml_feature_null_critical_ratio", limit, feature=name, window=window, baseline="reference")


def _features(artefact: Artefact, _: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    for name, item in artefact.document["features"].items():
        values, at = rows[f"feature:{name}"], {"feature": name, "window": window}
        if item["kind"] == "categorical":
            valid = values.dropna()
            yield exact("ml_feature_null_ratio", values.isna().mean(), **at)
            yield exact("ml_feature_invalid_ratio", 0, **at)
            yield exact("ml_feature_unseen_category_ratio", (~valid.isin(item["categories"])).mean(), **at)
            continue
        x = values.map(number)
        valid = x[np.isfinite(x)]
        yield exact("ml_feature_null_ratio", x.isna().sum() / len(x), **at)
        yield exact("ml_feature_invalid_ratio", np.isinf(x).sum() / len(x), **at)
        if len(valid):
            yield exact("ml_feature_out_of_range_ratio", (~valid.between(*item["range"])).sum() / len(valid), **at)


def _drift(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    alpha = alpha_of(artefact.document, settings, window)
    for name, item in artefact.document["features"].items():
        at = {"feature": name, "window": window, "baseline": "reference"}
        current, reference = feature_counts(item, rows[f"feature:{name}"]), artefact.reference_counts(name)
        found = psi(current, reference, item["kind"] == "categorical")
        if found:
            noise = artefact.psi_noise(window, settings.seconds(window), name)
            yield close("ml_feature_psi", found[0], **at)
            limit = psi_critical(noise, found[1], (current.sum(), reference.sum()), alpha)
            yield close("ml_feature_psi_critical", limit, **at)
            if noise:
                yield exact("ml_feature_psi_overdispersion", noise["overdispersion"], **at)
        if item["kind"] == "categorical" or not current.sum():
            continue
        z, counts = standardised(item, rows[f"feature:{name}"]), item["counts"]
        m, centre = counts["valid"], counts["z"] / UNIT / counts["valid"]
        checks = (Check(rounded(z, UNIT).mean() - centre, CLOSE), Check(z.mean() - centre, HALF_UNIT))
        yield Found("ml_feature_mean_shift_sigmas", at, checks)
        variance = (counts["z2"] / Z2_UNIT - m * centre**2) / (m - 1)
        noise = artefact.phi(window, settings.seconds(window), f"mean:{name}")
        limit = sigmas(alpha, 1, noise) * np.sqrt(noise["phi"] * variance * (1 / len(z) + 1 / m))
        yield close("ml_feature_mean_shift_critical_sigmas", limit, **at)


def _distances(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    alpha = alpha_of(artefact.document, settings, window)
    for name, item in artefact.document["features"].items():
        at = {"feature": name, "window": window, "baseline": "reference"}
        noise = artefact.distance_noise(window, settings.seconds(window), name)
        current = distances.fine_counts(item, usable(item, rows[f"feature:{name}"]))
        both = list(distances.distances(artefact.document, name, current, alpha, noise))
        if item["kind"] == "numeric" and noise.get("spread", {"windows": 0})["windows"] >= 5:
            z = standardised(item, rows[f"feature:{name}"])
            log = distances.log_deviation(item, z)
            both += [distances.spread(noise["spread"], log, len(z), alpha)] if log is not None else []
        for found in both:
            if found.name in settings.distances:
                metric = f"ml_feature_{distances.METRICS[found.name]}"
                yield close(metric, found.value, **at)
                yield close(f"{metric}_critical", found.critical, **at)


def usable(item: Json, values: pd.Series) -> np.ndarray:
    """The values of a feature that are there, numbers as such."""
    found = values.dropna() if item["kind"] == "categorical" else values.map(number)
    return found.to_numpy()


def _predictions(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document = artefact.document
    yield from shares(document, window, rows)
    scored = usable_scores(rows)
    yield confidence_mean(
        np.where(scored["prediction"] == document["classes"][1], scored["score"], 1 - scored["score"]), window
    )
    reference = np.bincount(document["score_psi_groups"], artefact.score_histograms().sum(axis=(0, 1)))
    yield from prediction_psi(artefact, settings, window, (score_counts(document, rows), reference))


def shares(document: Json, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    found = rows.loc[rows["known"], "prediction"].value_counts(normalize=True)
    for name in document["classes"]:
        yield exact("ml_prediction_class_ratio", found.get(name, 0.0), window=window, **{"class": name})


def _flags(_: Artefact, __: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    for flag in ("fallback", "error"):
        if flag in rows and rows[flag].notna().any():
            yield exact(f"ml_prediction_{flag}_ratio", rows[flag].dropna().astype(bool).mean(), window=window)


def confidence_mean(confidence: np.ndarray, window: str) -> Found:
    checks = (Check(rounded(confidence, UNIT).mean(), CLOSE), Check(confidence.mean(), HALF_UNIT))
    return Found("ml_prediction_confidence_mean", {"window": window}, checks)


def prediction_psi(
    artefact: Artefact, settings: Settings, window: str, histograms: tuple[np.ndarray, np.ndarray]
) -> Iterator[Found]:
    """PSI of a window's answers in the bins of PSI against the reference's."""
    current, reference = histograms
    value, bins = psi(current, reference, False) or (np.nan, 0)
    yield close("ml_prediction_psi", value, window=window, baseline="reference")
    counts = (current.sum(), reference.sum())
    noise = artefact.psi_noise(window, settings.seconds(window), "__score__")
    limit = psi_critical(noise, bins, counts, alpha_of(artefact.document, settings, window))
    yield close("ml_prediction_psi_critical", limit, window=window, baseline="reference")


def class_shift(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    """The pooled z test of two shares, widened by phi."""
    document = artefact.document
    predicted = rows.loc[rows["known"], "prediction"]
    reference = document["head"]["predictions"]["classes"]
    for name, known in zip(document["classes"], reference, strict=True):
        here, n, m = (predicted == name).sum(), len(predicted), sum(reference)
        noise = artefact.phi(window, settings.seconds(window), f"class:{name}")
        error = np.sqrt(stats.bernoulli.var((here + known) / (n + m)) * (1 / n + 1 / m) * noise["phi"])
        at = {"window": window, "baseline": "reference", "class": name}
        yield close("ml_prediction_class_shift_sigmas", (here / n - known / m) / error, **at)
        limit = sigmas(alpha_of(document, settings, window), len(reference), noise)
        yield close("ml_prediction_class_shift_critical_sigmas", limit, **at)


def _latency(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    latency = rows["latency"][rows["latency"].between(0, 1e6, inclusive="left")]
    bounds = artefact.document["latency_bounds"]
    counts = pd.cut(latency, [-1.0, *bounds, np.inf]).value_counts(sort=False).to_numpy()
    for q in ("0.5", "0.9", "0.99"):
        yield close("ml_window_latency_seconds", quantile(float(q), bounds, counts), window=window, q=q)
    over = (latency > settings.latency_limit).sum() / len(latency)
    yield exact("ml_window_latency_over_limit_ratio", over, window=window)


def _labels(_: Artefact, __: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    labelled = rows["label"].notna().sum()
    yield exact("ml_label_coverage_ratio", labelled / (rows["known"] & rows["id"].notna()).sum(), window=window)
    yield exact("ml_labelled_rows", labelled, window=window)
    found = rows["known"] & rows["id"].notna()
    yield exact("ml_prediction_repeated_ratio", (found & ~rows["waited"]).sum() / found.sum(), window=window)


def selection(
    artefact: Artefact, settings: Settings, window: str, histograms: tuple[np.ndarray, np.ndarray]
) -> Iterator[Found]:
    """PSI of the answers of labelled rows against those of the others."""
    some, others = histograms
    found = psi(some, others, False)
    if found:
        yield close("ml_label_selection_psi", found[0], window=window)
        alpha = alpha_of(artefact.document, settings, window)
        noise = artefact.psi_noise(window, settings.seconds(window), "__selection__")
        limit = psi_critical(noise, found[1], (some.sum(), others.sum()), alpha)
        yield close("ml_label_selection_psi_critical", limit, window=window)


def noise_of(artefact: Artefact, settings: Settings, window: str) -> Noise:
    def noise(name: str) -> tuple[float, float]:
        found = artefact.phi(window, settings.seconds(window), name)
        return float(found["phi"]), interval_sigmas(found)

    return noise


def _quality(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document = artefact.document
    positive = document["classes"][1]
    labelled = rows[rows["label"].notna()]
    both = score_counts(document, labelled), score_counts(document, rows[rows["label"].isna()])
    yield from selection(artefact, settings, window, both)
    noise = noise_of(artefact, settings, window)
    actual, predicted = labelled["label"] == positive, labelled["prediction"] == positive
    tp, tn = (actual & predicted).sum(), (~actual & ~predicted).sum()
    scores = {"accuracy": accuracy_score, "precision": precision_score, "recall": recall_score, "f1": f1_score}
    parts = {
        "accuracy": (tp + tn, len(labelled)),
        "precision": (tp, predicted.sum()),
        "recall": (tp, actual.sum()),
        "f1": (tp, (actual | predicted).sum()),
    }
    for name, (part, whole) in parts.items():
        yield exact(f"ml_{name}", scores[name](actual, predicted), window=window)
        ends = wilson(part, whole, *noise(name))
        if name == "f1":
            ends = (2 * ends[0] / (1 + ends[0]), 2 * ends[1] / (1 + ends[1]))
        yield from ends_of(name, window, ends)
    yield from _losses(usable_scores(labelled), positive, window, noise)
    scored = usable_scores(labelled)
    y, score = (scored["label"] == positive).to_numpy(), scored["score"].to_numpy()
    bins = np.digitize(score, document["score_edges"])
    found = [(auc(y, bins, *noise("roc_auc")), CLOSE)]
    if len(y) >= ROWS_OF_A_MONTH:  # in fewer rows, ties within bins are noise, far below the error of the AUC itself
        found.append((auc(y, score, *noise("roc_auc")), AUC_CLOSE))
    for place, name in enumerate(("ml_roc_auc", "ml_roc_auc_lower", "ml_roc_auc_upper")):
        checks = tuple(Check(values[place], tolerance) for values, tolerance in found if len(values) > place)
        if checks:
            yield Found(name, {"window": window}, checks)


def ends_of(name: str, window: str, ends: tuple[float, float], **labels: str) -> Iterator[Found]:
    for bound, value in zip(("lower", "upper"), ends, strict=True):
        yield close(f"ml_{name}_{bound}", value, window=window, **labels)


def _losses(rows: pd.DataFrame, positive: str, window: str, noise: Noise) -> Iterator[Found]:
    """Log loss, Brier score and calibration gap: against scikit-learn, and with every loss in fixed point."""
    y, p = (rows["label"] == positive).to_numpy(), rows["score"].to_numpy()
    likely = np.clip(np.column_stack([1 - p, p]), FLOOR, 1.0)
    loss, brier = -np.log(likely[np.arange(len(y)), y.astype(int)]), (p - y) ** 2
    means = {"log_loss": log_loss(y, likely), "brier_score": brier_score_loss(y, p)}
    for name, values, most in (("log_loss", loss, np.inf), ("brier_score", brier, 1.0)):
        yield from loss_of(name, window, values, (means[name], most), noise)
    yield from calibration_gap(window, p, y, noise)


def loss_of(name: str, window: str, values: np.ndarray, known: tuple[float, float], noise: Noise) -> Iterator[Found]:
    """The mean of losses, with what scikit-learn says it is and the most that it can be."""
    mean, most = known
    kept, squares = rounded(values, UNIT), rounded(values**2, SQUARE_UNIT)
    yield Found(f"ml_{name}", {"window": window}, (Check(kept.mean(), CLOSE), Check(mean, HALF_UNIT)))
    ends = [loss_interval(*both, *noise(name)) for both in ((kept, squares), (values, values**2))]
    for place, bound in enumerate(("lower", "upper")):
        pairs = zip(ends, (CLOSE, DEVIATION_CLOSE), strict=True)
        checks = tuple(Check(min(both[place], most), near) for both, near in pairs if both)
        if checks:
            yield Found(f"ml_{name}_{bound}", {"window": window}, checks)


def calibration_gap(window: str, p: np.ndarray, y: np.ndarray, noise: Noise) -> Iterator[Found]:
    """Mean probability minus share of what came true."""
    gap = rounded(p, UNIT) - y
    checks = (Check(gap.mean(), CLOSE), Check(p.mean() - y.mean(), HALF_UNIT))
    yield Found("ml_calibration_gap", {"window": window}, checks)
    squares = rounded((p - y) ** 2, UNIT).sum()
    variance = (squares - gap.sum() ** 2 / len(y)) / (len(y) - 1)
    ends = gap_interval(rounded(p, UNIT).mean(), y, variance, *noise("calibration_gap"))
    yield from ends_of("calibration_gap", window, ends)


BINARY = Task("binary", "prediction_class_shift", _binary_reference, (_predictions, class_shift, _quality))
