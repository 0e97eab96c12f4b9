"""Several classes: every sample of a window, from its definition; nothing of the package is imported."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score, roc_auc_score
from tests.second.calibration import Estimate, Measure, loss_estimate, mean_estimate, share_estimate
from tests.second.logs import labelled, number, usable_labels
from tests.second.statistics import UNIT, Json, auc, delong, rounded, wilson
from tests.second.vitals import (
    CLOSE,
    FLOOR,
    Artefact,
    Check,
    Found,
    Noise,
    Settings,
    Task,
    baseline_shares,
    calibration_gap,
    class_shift,
    close,
    confidence_mean,
    ends_of,
    exact,
    loss_of,
    noise_of,
    prediction_psi,
    selection,
    shares,
)

ROWS_OF_A_CLASS = 400
RATIOS: Mapping[str, Callable[..., float]] = {"precision": precision_score, "recall": recall_score, "f1": f1_score}


def joined(document: Json, predictions: pd.DataFrame, labels: pd.DataFrame, expire: pd.Timedelta) -> pd.DataFrame:
    """Predictions with their label, `latency` as a number, `scores` where each is a probability, and `confidence`."""
    classes = document["classes"]
    raw = np.array([[number(row.get(name)) for name in classes] for row in predictions["scores"]])
    usable = ((raw >= 0) & (raw <= 1)).all(axis=1)
    known = predictions["prediction"].isin(classes)
    place = predictions["prediction"].map({name: place for place, name in enumerate(classes)}).fillna(0).astype(int)
    table = predictions.assign(
        known=known,
        latency=predictions["latency_seconds"].map(number),
        scores=[tuple(row) if good else None for row, good in zip(raw.tolist(), usable, strict=True)],
        confidence=np.where(known & usable, raw[np.arange(len(raw)), place], np.nan),
        label=None,
    )
    return labelled(table, usable_labels(document, labels), expire)


def counts(document: Json, rows: pd.DataFrame) -> np.ndarray:
    """Confidences in the bins of PSI."""
    groups = np.asarray(document["score_psi_groups"])
    bins = np.digitize(rows["confidence"].dropna(), document["confidence_edges"])
    return np.bincount(groups[bins], minlength=groups.max() + 1)


def _predictions(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document = artefact.document
    yield from shares(document, window, rows)
    yield confidence_mean(rows["confidence"].dropna().to_numpy(), window)
    by_bin = np.reshape(document["head"]["scores"]["histogram"], (len(document["classes"]) * 3, -1)).sum(axis=0)
    reference = np.bincount(document["score_psi_groups"], by_bin)
    yield from prediction_psi(artefact, settings, window, (counts(document, rows), reference))


def _quality(artefact: Artefact, settings: Settings, window: str, rows: pd.DataFrame) -> Iterator[Found]:
    document, noise = artefact.document, noise_of(artefact, settings, window)
    known = rows[rows["label"].notna()]
    both = counts(document, known), counts(document, rows[rows["label"].isna()])
    yield from selection(artefact, settings, window, both)
    right = known["label"] == known["prediction"]
    yield exact("ml_accuracy", right.mean(), window=window)
    yield from ends_of("accuracy", window, wilson(right.sum(), len(right), *noise("accuracy")))
    yield from _ratios(document, window, known, noise)
    scored = known[known["confidence"].notna()]
    hits = (scored["label"] == scored["prediction"]).to_numpy()
    yield from calibration_gap(window, scored["confidence"].to_numpy(), hits, noise)
    yield from _losses(document, window, scored, noise)
    yield from _areas(document, window, scored, noise)


def _ratios(document: Json, window: str, known: pd.DataFrame, noise: Noise) -> Iterator[Found]:
    for name, scorer in RATIOS.items():
        macro = scorer(known["label"], known["prediction"], average="macro", zero_division=0)
        yield close(f"ml_{name}_macro", macro, window=window)
    for label in document["classes"]:
        actual, called = known["label"] == label, known["prediction"] == label
        both = (actual & called).sum()
        for name, whole in (("precision", called.sum()), ("recall", actual.sum()), ("f1", (actual | called).sum())):
            if not whole:
                continue
            yield close(f"ml_{name}", RATIOS[name](actual, called), window=window, **{"class": label})
            ends = wilson(both, whole, *noise(f"{name}:{label}"))
            if name == "f1":
                ends = (2 * ends[0] / (1 + ends[0]), 2 * ends[1] / (1 + ends[1]))
            yield from ends_of(name, window, ends, **{"class": label})


def scores_of(rows: pd.DataFrame) -> np.ndarray:
    return np.array(rows["scores"].tolist())


def losses(document: Json, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Log loss and Brier score (over all classes) of each row."""
    p = scores_of(rows)
    truth = np.equal.outer(rows["label"].to_numpy(), np.array(document["classes"], object)).astype(float)
    return -np.log(np.clip((p * truth).sum(axis=1), FLOOR, 1.0)), ((p - truth) ** 2).sum(axis=1)


def _losses(document: Json, window: str, rows: pd.DataFrame, noise: Noise) -> Iterator[Found]:
    loss, brier = losses(document, rows)
    p = np.clip(scores_of(rows), FLOOR, 1.0)
    names = sorted(document["classes"])
    ordered = p[:, [document["classes"].index(name) for name in names]]
    whole = np.abs(ordered.sum(axis=1) - 1) < 1e-6  # scikit-learn expects nothing else
    library = log_loss(rows["label"][whole], ordered[whole], labels=names) if whole.all() else loss.mean()
    yield from loss_of("log_loss", window, loss, (library, np.inf), noise)
    yield from loss_of("brier_score", window, brier, (brier.mean(), 2.0), noise)


def _areas(document: Json, window: str, rows: pd.DataFrame, noise: Noise) -> Iterator[Found]:
    p, areas = scores_of(rows), []
    for place, label in enumerate(document["classes"]):
        y = (rows["label"] == label).to_numpy()
        if y.all() or not y.any():
            continue
        bins = np.digitize(p[:, place], document["class_score_edges"])
        found = auc(y, bins, *noise(f"roc_auc:{label}"))
        areas.append(found[0])
        at = {"window": window, "class": label}
        exactly = Check(float(roc_auc_score(y, p[:, place])), 5e-4)
        yield Found("ml_roc_auc", at, (Check(found[0], CLOSE), *([exactly] if y.sum() >= ROWS_OF_A_CLASS else [])))
        for bound, value in zip(("lower", "upper"), found[1:], strict=False):
            yield close(f"ml_roc_auc_{bound}", value, **at)
    yield close("ml_roc_auc_macro", float(np.mean(areas)), window=window)


def _reference(document: Json) -> Iterator[Found]:
    base, head = {"baseline": "reference"}, document["head"]
    yield from baseline_shares(document)
    confusion = np.reshape(head["quality"]["confusion"], (len(document["classes"]), -1))
    actual, called = (np.repeat(np.indices(confusion.shape)[axis].ravel(), confusion.ravel()) for axis in (0, 1))
    yield exact("ml_baseline_labelled_rows", len(actual), **base)
    yield exact("ml_baseline_accuracy", (actual == called).mean(), **base)
    for name, scorer in RATIOS.items():
        yield close(f"ml_baseline_{name}_macro", scorer(actual, called, average="macro"), **base)
        for place, label in enumerate(document["classes"]):
            yield close(f"ml_baseline_{name}", scorer(actual == place, called == place), **{"class": label}, **base)
    sums = head["quality"]
    yield close("ml_baseline_log_loss", sums["log_loss"] / UNIT / sums["scored"], **base)
    yield close("ml_baseline_brier_score", sums["brier"] / UNIT / sums["scored"], **base)
    gap = sums["confidence"] / UNIT / sums["scored"] - sums["hits"] / sums["scored"]
    yield close("ml_baseline_calibration_gap", gap, **base)
    areas = []
    for label, sides in zip(document["classes"], _class_scores(document), strict=True):
        bins = np.arange(sides.shape[1])
        weights = {"sample_weight": sides.ravel()}
        areas.append(roc_auc_score(np.repeat([0, 1], len(bins)), np.tile(bins, 2), **weights))
        yield close("ml_baseline_roc_auc", areas[-1], **{"class": label}, **base)
    yield close("ml_baseline_roc_auc_macro", float(np.mean(areas)), **base)


def _class_scores(document: Json) -> np.ndarray:
    """Scores by class, whether it was the label, and bin."""
    return np.reshape(document["head"]["class_scores"]["histogram"], (len(document["classes"]), 2, -1))


MULTICLASS = Task("multiclass", "prediction_class_shift", _reference, (_predictions, class_shift, _quality))


def measures(document: Json) -> Mapping[str, Measure]:
    """The statistics of several classes whose noise an artefact holds."""
    found: dict[str, Measure] = {
        "accuracy": lambda rows: share_estimate((_known(rows)["label"] == _known(rows)["prediction"]).to_numpy())
    }
    for place, label in enumerate(document["classes"]):
        found |= _of_class(document, place, label)
    found["log_loss"] = lambda rows: loss_estimate(losses(document, _scored(rows))[0])
    found["brier_score"] = lambda rows: loss_estimate(losses(document, _scored(rows))[1])
    found["calibration_gap"] = _gap
    return found


def _known(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["label"].notna()]


def _scored(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["label"].notna() & rows["confidence"].notna()]


def _gap(rows: pd.DataFrame) -> Estimate | None:
    scored = _scored(rows)
    p, hits = scored["confidence"].to_numpy(), (scored["label"] == scored["prediction"]).to_numpy()
    return mean_estimate(rounded(p, UNIT) - hits, rounded((p - hits) ** 2, UNIT))


def _of_class(document: Json, place: int, label: str) -> Mapping[str, Measure]:
    def both(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        known = _known(rows)
        return (known["label"] == label).to_numpy(), (known["prediction"] == label).to_numpy()

    def area(rows: pd.DataFrame) -> Estimate | None:
        scored = _scored(rows)
        y = (scored["label"] == label).to_numpy()
        if y.all() or not y.any():
            return None
        bins = np.digitize(scores_of(scored)[:, place], document["class_score_edges"])
        return Estimate(float(roc_auc_score(y, bins)), delong(bins, y), y.sum() * (~y).sum() / len(y))

    def ratio(pick: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
        return lambda rows: share_estimate(pick(*both(rows)))

    return {
        f"class:{label}": lambda rows: share_estimate((rows.loc[rows["known"], "prediction"] == label).to_numpy()),
        f"precision:{label}": ratio(lambda y, called: y[called]),
        f"recall:{label}": ratio(lambda y, called: called[y]),
        f"f1:{label}": ratio(lambda y, called: (y & called)[y | called]),
        f"roc_auc:{label}": area,
    }
