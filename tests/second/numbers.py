"""Numbers: every sample of a window of a regression, from its definition; nothing of the package is imported."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from tests.second.calibration import Measure, mean_estimate
from tests.second.logs import labelled, number, usable_labels
from tests.second.statistics import UNIT, Z2_UNIT, Json, loss_interval, rounded, sigmas
from tests.second.vitals import (
    CLOSE,
    DEVIATION_CLOSE,
    HALF_UNIT,
    Z_LIMIT,
    Artefact,
    Check,
    Found,
    Settings,
    Task,
    alpha_of,
    close,
    noise_of,
    prediction_psi,
    standardised,
)

FEWEST_ROWS_OF_A_MEAN = 100
WIDE = 2.0**40


def joined(document: Json, predictions: pd.DataFrame, labels: pd.DataFrame, expire: pd.Timedelta) -> pd.DataFrame:
    """Predictions with their label; both, and `latency`, as numbers."""
    value = predictions["prediction"].map(number).astype(float)
    table = predictions.assign(
        prediction=value, known=np.isfinite(value), latency=predictions["latency_seconds"].map(number), label=None
    )
    usable = usable_labels(document, labels)
    return labelled(table, usable.assign(label=usable["label"].map(number)), expire)


def counts(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """Predictions in the bins of PSI."""
    groups = np.asarray(document["score_psi_groups"])
    bins = np.digitize(rows.loc[rows["known"], "prediction"], document["prediction"]["edges"])
    return np.bincount(groups[bins], minlength=groups.max() + 1)


def errors(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """Label minus prediction in units of the artefact, clipped."""
    known = rows[rows["label"].notna()]
    error = known["label"].to_numpy(float) - known["prediction"].to_numpy(float)
    return np.clip(error / document["error"]["scale"], -Z_LIMIT, Z_LIMIT)


def _predictions(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document = artefact.document
    own = document["head"]["predictions"]
    reference = np.bincount(document["score_psi_groups"], own["bins"])
    yield from prediction_psi(artefact, settings, window, (counts(document, rows), reference))
    z, m = standardised(document["prediction"], rows["prediction"]), own["predicted"]
    centre = own["z"] / UNIT / m
    at = {"window": window, "baseline": "reference"}
    checks = (Check(rounded(z, UNIT).mean() - centre, CLOSE), Check(z.mean() - centre, HALF_UNIT))
    yield Found("ml_prediction_mean_shift_sigmas", at, checks)
    variance = (own["z2"] / Z2_UNIT - m * centre**2) / (m - 1)
    noise = artefact.phi(window, settings.seconds(window), "prediction_mean")
    error = np.sqrt(noise["phi"] * variance * (1 / len(z) + 1 / m))
    limit = sigmas(alpha_of(document, settings, window), 1, noise) * error
    yield close("ml_prediction_mean_shift_critical_sigmas", limit, **at)


def _quality(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document, noise = artefact.document, noise_of(artefact, settings, window)
    unit, error = document["error"]["scale"], errors(document, rows)
    known = rows[rows["label"].notna()]
    actual, predicted = known["label"].to_numpy(float), known["prediction"].to_numpy(float)
    clean = (np.abs(actual - predicted) <= Z_LIMIT * unit).all()
    library = {
        "mean_absolute_error": mean_absolute_error(actual, predicted),
        "root_mean_squared_error": root_mean_squared_error(actual, predicted),
        "mean_error": (actual - predicted).mean(),
    }
    ours = {
        "mean_absolute_error": np.abs(error).mean(),
        "root_mean_squared_error": np.sqrt((error**2).mean()),
        "mean_error": error.mean(),
    }
    for name, value in ours.items():
        checks = [Check(value * unit, HALF_UNIT * unit)]
        if clean:
            checks.append(Check(library[name], HALF_UNIT * unit))
        yield Found(f"ml_{name}", {"window": window}, tuple(checks))
    yield _r2(document, window, (error, actual, predicted))
    for name, values, power in (("mean_absolute_error", np.abs(error), 1), ("root_mean_squared_error", error**2, 2)):
        ends = loss_interval(values, values**2, *noise(name), FEWEST_ROWS_OF_A_MEAN)
        for place, bound in enumerate(("lower", "upper")):
            if ends:
                value = ends[place] ** (1 / power) * unit
                yield Found(f"ml_{name}_{bound}", {"window": window}, (Check(value, DEVIATION_CLOSE * unit),))
    if len(error) >= FEWEST_ROWS_OF_A_MEAN:
        phi, z = noise("mean_error")
        half = z * error.std(ddof=1) * np.sqrt(phi / len(error))
        for bound, value in (("lower", error.mean() - half), ("upper", error.mean() + half)):
            checks = (Check(value * unit, DEVIATION_CLOSE * unit),)
            yield Found(f"ml_mean_error_{bound}", {"window": window}, checks)


def _r2(document: Json, window: str, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Found:
    error, actual, predicted = rows
    scales = document["label"]
    label = np.clip((actual - scales["centre"]) / scales["scale"], -Z_LIMIT, Z_LIMIT)
    value = 1 - (error**2).mean() * document["error"]["scale"] ** 2 / (label.var() * scales["scale"] ** 2)
    checks = [Check(value, CLOSE)]
    unclipped = np.abs(label).max() < Z_LIMIT and np.abs(error).max() < Z_LIMIT
    if unclipped:
        checks.append(Check(r2_score(actual, predicted), CLOSE))
    return Found("ml_r2", {"window": window}, tuple(checks))


def _wide(sums: Json, name: str) -> float:
    return (sums[f"{name}_high"] * 2**32 + sums[f"{name}_low"]) / WIDE


def _reference(document: Json) -> Iterator[Found]:
    base, sums = {"baseline": "reference"}, document["head"]["quality"]
    unit, rows = document["error"]["scale"], sums["rows"]
    square = _wide(sums, "square") / rows
    yield close("ml_baseline_labelled_rows", rows, **base)
    yield close("ml_baseline_mean_absolute_error", sums["absolute"] / UNIT / rows * unit, **base)
    yield close("ml_baseline_root_mean_squared_error", np.sqrt(square) * unit, **base)
    yield close("ml_baseline_mean_error", sums["error"] / UNIT / rows * unit, **base)
    variance = _wide(sums, "label_square") / rows - (_wide(sums, "label") / rows) ** 2
    yield close("ml_baseline_r2", 1 - square * unit**2 / (variance * document["label"]["scale"] ** 2), **base)


REGRESSION = Task("regression", "prediction_mean_shift", _reference, (_predictions, _quality))


def measures(document: Json) -> Mapping[str, Measure]:
    """The statistics of numbers whose noise an artefact holds."""

    def powers(first: int) -> Measure:
        return lambda rows: mean_estimate(
            np.abs(errors(document, rows)) ** first, errors(document, rows) ** (2 * first)
        )

    def predicted(rows: pd.DataFrame) -> np.ndarray:
        return standardised(document["prediction"], rows["prediction"])

    return {
        "prediction_mean": lambda rows: mean_estimate(
            rounded(predicted(rows), UNIT), rounded(predicted(rows) ** 2, Z2_UNIT)
        ),
        "mean_absolute_error": powers(1),
        "root_mean_squared_error": powers(2),
        "mean_error": lambda rows: mean_estimate(errors(document, rows), errors(document, rows) ** 2),
    }
