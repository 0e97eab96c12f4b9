"""Estimated quality, from its definition; nothing of the package is imported.

Every row is taken with the share of positive (or right) labels that scikit-learn's isotonic regression of the artefact
gives its bin. Variances come from derivatives by complex steps, `Im m(x + iε) / ε`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from tests.second import numbers, vitals
from tests.second.statistics import SQUARE_UNIT, UNIT, Json, interval_sigmas, rounded
from tests.second.vitals import Artefact, Check, Found, Settings, close, usable_scores

STEP = 1e-20
FEWEST_ROWS, FEWEST_WINDOWS = 20, 5
NEAR = 1e-7

Measured = dict[str, complex]


class Model(NamedTuple):
    """What differs between tasks of classes. Cells are kinds of rows that have the same expected labels.

    `cells` gives rows by cell and label (cells, labels), those of rows without a label in the last column. `truth`
    gives the share of each label by cell from such a table, `measures` the measures of a table (cells, labels).
    """

    cells: Callable[[Json, pd.DataFrame], np.ndarray]
    truth: Callable[[Json, np.ndarray, np.ndarray], np.ndarray]
    measures: Callable[[Json, np.ndarray], Measured]
    reference: Callable[[Json], tuple[np.ndarray, np.ndarray]]
    realised: Callable[[Json, pd.DataFrame], dict[str, float]]


def middles(edges: list[float]) -> np.ndarray:
    """Probabilities in the middle of each bin's logits; the outer bins are as wide as the next."""
    at = special.logit(edges)
    whole = np.concatenate([[2 * at[0] - at[1]], at, [2 * at[-1] - at[-2]]])
    return special.expit((whole[:-1] + whole[1:]) / 2)


def shares(hits: np.ndarray, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    known = rows > 0
    fitted = IsotonicRegression(out_of_bounds="clip")
    fitted.fit(places[known], hits[known] / rows[known], sample_weight=rows[known])
    least = 0.5 / (rows.sum() + 1)
    return np.clip(fitted.predict(places), least, 1 - least)


def variance(model: Model, document: Json, expected: np.ndarray) -> dict[str, float]:
    """Variance of every measure where each row draws its label: multinomial within a cell, by derivatives."""
    used = np.flatnonzero(expected.sum(axis=1))
    slopes: dict[str, np.ndarray] = {}
    for cell in used:
        for label in range(expected.shape[1]):
            moved = expected.astype(complex)
            moved[cell, label] += 1j * STEP
            for name, value in model.measures(document, moved).items():
                slopes.setdefault(name, np.zeros(expected.shape))[cell, label] = value.imag / STEP
    rows = expected.sum(axis=1)[used]
    p = expected[used] / rows[:, None]
    found = {}
    for name, slope in slopes.items():
        centred = slope[used] - (p * slope[used]).sum(axis=1)[:, None]
        found[name] = float((rows[:, None] * p * centred**2).sum())
    return found


def _binary_cells(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """Rows by predicted class and bin, one cell for each, and label: negative, positive, none."""
    scored, bins = usable_scores(rows), len(document["score_edges"]) + 1
    place = (scored["prediction"] == document["classes"][1]) * bins + np.digitize(
        scored["score"], document["score_edges"]
    )
    label = scored["label"].map({name: number for number, name in enumerate(document["classes"])}).fillna(2)
    table = np.zeros((2 * bins, 3))
    np.add.at(table, (place.to_numpy(), label.to_numpy(int)), 1)
    return table


def _binary_truth(document: Json, table: np.ndarray, _: np.ndarray) -> np.ndarray:
    by_bin = table.reshape(2, -1, 3).sum(axis=0)
    c = shares(by_bin[:, 1], by_bin[:, :2].sum(axis=1), middles(document["score_edges"]))
    return np.tile(np.column_stack([1 - c, c]), (2, 1))


def _binary_measures(document: Json, table: np.ndarray) -> Measured:
    negative, positive = np.moveaxis(table.reshape(2, -1, 2), 2, 0)
    tp, fp, fn, tn = positive[1].sum(), negative[1].sum(), positive[0].sum(), negative[0].sum()
    pos, neg, score = positive.sum(axis=0), negative.sum(axis=0), middles(document["score_edges"])
    n = pos.sum() + neg.sum()
    found = {
        "accuracy": (tp + tn) / n,
        "log_loss": -(pos @ np.log(score) + neg @ np.log(1 - score)) / n,
        "brier_score": (pos @ (1 - score) ** 2 + neg @ score**2) / n,
    }
    if (tp + fp).real >= 1:
        found["precision"] = tp / (tp + fp)
    if (tp + fn).real >= 1:
        found |= {"recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn)}
    if min(pos.sum().real, neg.sum().real) >= 1:
        below = np.cumsum(neg) - neg / 2
        found["roc_auc"] = pos @ below / pos.sum() / neg.sum()
    return found


def _binary_reference(document: Json) -> tuple[np.ndarray, np.ndarray]:
    by_label = Artefact(document).score_histograms()
    table = np.moveaxis(by_label[:, [1, 2, 0]], 1, 2).reshape(-1, 3)
    return table, np.zeros(0)


def _binary_realised(document: Json, rows: pd.DataFrame) -> dict[str, float]:
    """By scikit-learn, of every labelled row with a score."""
    scored = usable_scores(rows[rows["label"].notna()])
    y, called = ((scored[name] == document["classes"][1]).to_numpy() for name in ("label", "prediction"))
    p = scored["score"].to_numpy()
    found = {"accuracy": accuracy_score(y, called), "brier_score": rounded((p - y) ** 2, UNIT).mean()}
    likely = np.clip(np.where(y, p, 1 - p), vitals.FLOOR, 1.0)
    found["log_loss"] = float(rounded(-np.log(likely), UNIT).mean())
    if called.any():
        found["precision"] = precision_score(y, called)
    if y.any():
        found |= {"recall": recall_score(y, called), "f1": f1_score(y, called)}
    if y.any() and not y.all():
        found["roc_auc"] = roc_auc_score(y, np.digitize(p, document["score_edges"]))
    return found


BINARY_MODEL = Model(_binary_cells, _binary_truth, _binary_measures, _binary_reference, _binary_realised)


def _class_cells(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """Rows by predicted class and bin of the confidence, and label: each class, none."""
    scored, names = rows[rows["confidence"].notna()], document["classes"]
    bins, number = len(document["confidence_edges"]) + 1, {name: place for place, name in enumerate(names)}
    place = scored["prediction"].map(number).to_numpy(int) * bins + np.digitize(
        scored["confidence"], document["confidence_edges"]
    )
    table = np.zeros((len(names) * bins, len(names) + 1))
    np.add.at(table, (place, scored["label"].map(number).fillna(len(names)).to_numpy(int)), 1)
    return table


def _class_truth(document: Json, table: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """The share of right ones by class and bin; wrong ones are spread as `confusion` (actual, predicted) says."""
    count = len(document["classes"])
    own = table.reshape(count, -1, count + 1)
    found = np.zeros((count, own.shape[1], count))
    for place in range(count):
        rows = own[place, :, :count].sum(axis=1)
        c = shares(own[place, :, place], rows, middles(document["confidence_edges"]))
        wrong = np.where(np.arange(count) == place, 0.0, confusion[:, place])
        wrong = wrong if wrong.any() else (np.arange(count) != place).astype(float)
        found[place] = np.outer(1 - c, wrong / wrong.sum())
        found[place, :, place] = c
    return found.reshape(-1, count)


def _class_measures(document: Json, table: np.ndarray) -> Measured:
    count = len(document["classes"])
    crossed = table.reshape(count, -1, count).sum(axis=1)
    called, actual, right = crossed.sum(axis=1), crossed.sum(axis=0), np.diagonal(crossed)
    there = (called + actual - right).real >= 0.5
    ratios = {
        "precision_macro": (right, called),
        "recall_macro": (right, actual),
        "f1_macro": (2 * right, called + actual),
    }
    found = {"accuracy": right.sum() / called.sum()}
    for name, (part, whole) in ratios.items():
        value = np.divide(part, whole, out=np.zeros_like(part), where=whole.real > 0)
        found[name] = value[there].mean()
    return found


def _class_reference(document: Json) -> tuple[np.ndarray, np.ndarray]:
    """The artefact has right and wrong by bin; any wrong class may stand for all, since `_class_truth` spreads them."""
    count = len(document["classes"])
    none, wrong, right = np.moveaxis(np.reshape(document["head"]["scores"]["histogram"], (count, 3, -1)), 1, 0)
    table = np.zeros((count, none.shape[1], count + 1))
    for place in range(count):
        table[place, :, place], table[place, :, (place + 1) % count] = right[place], wrong[place]
        table[place, :, count] = none[place]
    return table.reshape(-1, count + 1), np.reshape(document["head"]["quality"]["confusion"], (count, count))


def confusion_of(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """Labelled rows by actual and predicted class, also those without scores."""
    if "confidence_edges" not in document:
        return np.zeros(0)
    known, names = rows[rows["label"].notna()], document["classes"]
    return pd.crosstab(known["label"], known["prediction"]).reindex(index=names, columns=names, fill_value=0).to_numpy()


def _class_realised(document: Json, rows: pd.DataFrame) -> dict[str, float]:
    """Wrong answers with scores are spread over the classes as all wrong answers of the window are."""
    count, table = len(document["classes"]), _class_cells(document, rows)[:, :-1]
    confusion = confusion_of(document, rows)
    crossed = table.reshape(count, -1, count).sum(axis=1)
    for place in range(count):
        wrong = np.where(np.arange(count) == place, 0, confusion[:, place]).astype(float)
        missed = crossed[place].sum() - crossed[place, place]
        if wrong.any():
            crossed[place] = wrong / wrong.sum() * missed + crossed[place] * (np.arange(count) == place)
    padded = np.zeros((count, table.shape[0] // count, count))
    padded[:, 0] = crossed
    return {name: float(value) for name, value in _class_measures(document, padded.reshape(-1, count)).items()}


CLASS_MODEL = Model(_class_cells, _class_truth, _class_measures, _class_reference, _class_realised)


class Expectation(NamedTuple):
    """Measures that are expected of some rows, the variance of what comes true, and how many rows there are."""

    values: dict[str, float]
    variances: dict[str, float]
    rows: float


def expectation(model: Model, document: Json, rows_by_cell: np.ndarray, truth: np.ndarray) -> Expectation:
    table = rows_by_cell[:, None] * truth
    values = {name: float(value.real) for name, value in model.measures(document, table.astype(complex)).items()}
    return Expectation(values, variance(model, document, table), rows_by_cell.sum())


def half_width(noise: Json, item: tuple[float, float], known: float, usual: float) -> float:
    """Chance shrinks with the rows; what windows have in common beyond it, at most as far as in a usual window."""
    square, n = item
    both = square * (1 + n / known) + (noise["phi"] - 1) * square * (n / max(1.0, min(n, usual)) + n / known)
    return float(interval_sigmas(noise) * np.sqrt(both))


def estimated(artefact: Artefact, settings: Settings, window: str, found: Expectation, known: float) -> Iterator[Found]:
    """Every estimate of a window with its error, where the noise of at least five windows is known."""
    reference = artefact.document["reference"]
    usual = known * min(1, settings.seconds(window) / (reference["end_us"] - reference["start_us"]) * 1e6)
    for name, value in found.values.items():
        noise = artefact.phi(window, settings.seconds(window), f"estimate:{name}")
        if noise["windows"] >= FEWEST_WINDOWS:
            half = half_width(noise, (found.variances[name], found.rows), known, usual)
            yield close(f"ml_estimated_{name}", value, window=window)
            yield Found(f"ml_estimated_{name}_error", {"window": window}, (Check(half, NEAR * max(1.0, value)),))


def biases(
    artefact: Artefact, settings: Settings, window: str, found: Expectation, realised: Mapping[str, float]
) -> Iterator[Found]:
    """What came true of labelled rows less what was to be expected of them."""
    for name in found.values.keys() & realised.keys() if found.rows >= FEWEST_ROWS else ():
        if artefact.phi(window, settings.seconds(window), f"estimate:{name}")["windows"] >= FEWEST_WINDOWS:
            checks = (Check(realised[name] - found.values[name], NEAR * max(1.0, realised[name])),)
            yield Found("ml_estimated_bias", {"window": window, "metric": name}, checks)


def found_of(model: Model) -> Callable[[Artefact, Settings, str, pd.DataFrame], Iterator[Found]]:
    """The part of a task."""

    def part(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
        document = artefact.document
        table, confusion = model.reference(document)
        truth, here = model.truth(document, table, confusion), model.cells(document, rows)
        whole, labelled = (expectation(model, document, part.sum(axis=1), truth) for part in (here, here[:, :-1]))
        yield from estimated(artefact, settings, window, whole, table[:, :-1].sum())
        yield from biases(artefact, settings, window, labelled, model.realised(document, rows))

    return part


def phis(model: Model, document: Json, table: pd.DataFrame) -> dict[str, Json]:
    """Phi of realised minus estimated by day, each day estimated from the labels of the other days."""
    whole, squares = model.cells(document, table), []
    for _, rows in table.groupby(table["timestamp"].dt.floor("D")):
        own = model.cells(document, rows)
        rest = whole - own
        truth = model.truth(document, rest, confusion_of(document, table) - confusion_of(document, rows))
        found = expectation(model, document, own[:, :-1].sum(axis=1), truth)
        squares.append(_square(found, model.realised(document, rows), rest[:, :-1].sum()))
    return phis_of(squares)


def _square(found: Expectation, realised: Mapping[str, float], known: float) -> dict[str, float]:
    """Squared differences in units of the variance that independent rows give them."""
    if found.rows < FEWEST_ROWS:
        return {}
    return {
        name: (realised[name] - value) ** 2 / found.variances[name] / (1 + found.rows / known)
        for name, value in found.values.items()
        if name in realised
    }


def phis_of(squares: list[dict[str, float]]) -> dict[str, Json]:
    by_name = {
        name: [day[name] for day in squares if name in day] for name in {name for day in squares for name in day}
    }
    return {
        f"estimate:{name}": {"windows": len(values), "phi": max(1.0, float(np.mean(values)))}
        for name, values in by_name.items()
        if len(values) > 1
    }


def _number_cells(document: Json, rows: pd.DataFrame) -> np.ndarray:
    known = rows.loc[rows["known"], "prediction"].astype(float)
    return np.digitize(known, document["prediction"]["edges"])


def _errors_by_bin(document: Json, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Bins of the labelled predictions, and their absolute errors in units of the artefact."""
    return _number_cells(document, rows[rows["label"].notna()]), np.abs(numbers.errors(document, rows))


def _number_truth(sums: np.ndarray, unit: float) -> np.ndarray:
    """Mean and variance of the absolute error by bin, from rows, sums and sums of squares (3, bins)."""
    rows, total, squares = sums
    bins, known = np.arange(len(rows)), np.flatnonzero(rows)
    mean = np.interp(bins, known, total[known] / rows[known])
    spread = np.interp(bins, known, squares[known] / rows[known] - (total[known] / rows[known]) ** 2)
    return np.array([mean * unit, np.maximum(spread, 0) * unit**2])


def _number_expectation(bins: np.ndarray, truth: np.ndarray) -> Expectation:
    name, n = "mean_absolute_error", len(bins)
    return Expectation({name: truth[0][bins].mean()}, {name: truth[1][bins].sum() / n**2}, n)


def of_numbers(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document, sums = artefact.document, artefact.document["head"]["residuals"]
    parts = (np.array(sums["rows"]), np.array(sums["absolute"]) / UNIT, np.array(sums["square"]) / SQUARE_UNIT)
    truth = _number_truth(np.array(parts), document["error"]["scale"])
    whole = _number_expectation(_number_cells(document, rows), truth)
    bins, error = _errors_by_bin(document, rows)
    yield from estimated(artefact, settings, window, whole, float(parts[0].sum()))
    realised = {"mean_absolute_error": error.mean() * document["error"]["scale"]}
    yield from biases(artefact, settings, window, _number_expectation(bins, truth), realised)


def phis_of_numbers(document: Json, table: pd.DataFrame) -> dict[str, Json]:
    """Phi of the mean absolute error by day, each day estimated from the errors of the other days."""
    width, unit, squares = len(document["prediction"]["edges"]) + 1, document["error"]["scale"], []

    def sums(rows: pd.DataFrame) -> np.ndarray:
        bins, error = _errors_by_bin(document, rows)
        kept = (np.ones(len(bins)), rounded(error, UNIT), rounded(error**2, SQUARE_UNIT))
        return np.array([np.bincount(bins, weights, width) for weights in kept])

    whole = sums(table)
    for _, rows in table.groupby(table["timestamp"].dt.floor("D")):
        rest, (bins, error) = whole - sums(rows), _errors_by_bin(document, rows)
        found = _number_expectation(bins, _number_truth(rest, unit))
        squares.append(_square(found, {"mean_absolute_error": error.mean() * unit}, rest[0].sum()))
    return phis_of(squares)
