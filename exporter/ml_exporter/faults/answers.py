"""Faults of what the service answers: predictions, scores, default answers, errors, latency, versions."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

from ml_exporter.faults.played import Context, Injection, to_predictions
from ml_exporter.faults.rows import chosen, draws, floats, is_flag, is_number, is_text, made, put, valid, within
from ml_exporter.layout import Bools, Floats

Codes = npt.NDArray[np.intp]
SCORE = "score"
TAIL_FACTOR = 30.0
ABSURD = 1000.0
"""How many robust standard deviations off an absurd number is."""


def pick(shares: tuple[float, ...], classes: int, drawn: Floats) -> Codes:
    """A class for each draw (n,) in [0, 1), by their shares, equal ones if there are none.

    >>> pick((0.25, 0.75), 2, np.array([0.1, 0.3])).tolist()
    [0, 1]
    """
    known = np.asarray(shares if len(shares) == classes and sum(shares) > 0 else [1.0] * classes)
    limits = np.cumsum(known / known.sum())[:-1]
    return np.asarray(np.searchsorted(limits, drawn, side="right"), np.intp)


def spread(centre_scale: tuple[float, float], drawn: Floats) -> Floats:
    """A normal number for each draw (n,) in [0, 1)."""
    centre, scale = centre_scale
    found: Floats = centre + scale * ndtri(np.clip(drawn, 1e-12, 1.0 - 1e-12))
    return found


def _classes(table: pa.Table, context: Context) -> tuple[str, ...]:
    """The classes, if predictions are classes."""
    return () if is_number(table, "prediction") else context.classes


def _score_columns(table: pa.Table, context: Context) -> list[str]:
    """The columns of one score a class, if every class has one."""
    names = [f"{SCORE}:{name}" for name in context.classes]
    return names if all(is_number(table, name) for name in names) else []


def _current(table: pa.Table, context: Context) -> Codes:
    """Index of the class that each row predicts, -1 where there is none: by name, else by the scores. Shape (n,)."""
    if is_text(table, "prediction"):
        known = pa.array(context.classes, pa.string())
        index = pc.index_in(table.column("prediction"), value_set=known, skip_nulls=True)
        return np.asarray(pc.fill_null(index, -1).to_numpy(), np.intp)
    if _score_columns(table, context):
        scores = np.stack([floats(table, name) for name in _score_columns(table, context)], axis=1)
        return np.where(np.isnan(scores).any(axis=1), -1, np.nan_to_num(scores).argmax(axis=1))
    if is_number(table, SCORE) and len(context.classes) == 2:
        score = floats(table, SCORE)
        return np.where(np.isnan(score), -1, (score >= context.threshold).astype(np.intp))
    return np.full(table.num_rows, -1, np.intp)


def _answer(table: pa.Table, rows: Bools, wanted: Codes, context: Context) -> pa.Table:
    """Lets the marked rows predict the wanted classes (n,), with scores that say so."""
    now = _current(table, context)
    rows = rows & (now >= 0) & (now != wanted)
    columns = _score_columns(table, context)
    if columns:
        scores = np.stack([floats(table, name) for name in columns], axis=1)
        place = np.flatnonzero(rows)
        swapped = scores.copy()
        swapped[place, wanted[place]] = scores[place, now[place]]
        swapped[place, now[place]] = scores[place, wanted[place]]
        for number, name in enumerate(columns):
            table = put(table, name, rows, swapped[:, number])
    if is_number(table, SCORE) and len(context.classes) == 2:
        moved = _other_side(floats(table, SCORE), wanted, context.threshold)
        table = put(table, SCORE, rows & np.isfinite(moved), moved)
    if is_text(table, "prediction"):
        table = put(table, "prediction", rows, pa.array(context.classes, pa.string()).take(pa.array(wanted)))
    return table


def _other_side(score: Floats, wanted: Codes, threshold: float) -> Floats:
    """Probabilities (n,) moved to the wanted side of the threshold, in the same order."""
    below, above = max(threshold, 1e-12), max(1.0 - threshold, 1e-12)
    up = np.where(score < threshold, threshold + above * score / below, score)
    down = np.where(score >= threshold, below * (score - threshold) / above, score)
    found: Floats = np.where(wanted == 1, up, np.minimum(down, np.nextafter(threshold, 0.0)))
    return found


@to_predictions
def class_takeover(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """The rarest class also gets a share `size` of all other predictions: 0.8 makes 90 % of 50 %."""
    if not _classes(table, context):
        return table
    shares = context.predicted if len(context.predicted) == len(context.classes) else (1.0,) * len(context.classes)
    winner = len(shares) - 1 - int(np.argmin(shares[::-1]))
    wanted = np.full(table.num_rows, winner, np.intp)
    return _answer(table, chosen(table, injection, "class_takeover"), wanted, context)


@to_predictions
def score_frozen(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the rows get the same answer: first class, one score; a regression always its centre."""
    rows = chosen(table, injection, "score_frozen")
    if is_number(table, "prediction"):
        return put(table, "prediction", rows, context.target[0])
    classes = len(context.classes)
    if not classes:
        return table
    value = context.threshold / 2.0 if classes == 2 else 0.6
    for number, name in enumerate(_score_columns(table, context)):
        table = put(table, name, rows, 0.6 if number == 0 else 0.4 / (classes - 1))
    frozen = int(classes == 2 and value >= context.threshold)
    table = put(table, "prediction", rows, context.classes[frozen])
    return put(table, SCORE, rows, value) if is_number(table, SCORE) else table


@to_predictions
def confidence_drop(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """Scores come nearer to indecision by a share `size` of the way; predictions stay."""
    classes = len(context.classes)
    rows = within(made(table), injection)
    for name in (SCORE, *_score_columns(table, context)):
        if classes > 0 and is_number(table, name):
            middle = context.threshold if classes == 2 and name == SCORE else 1.0 / classes
            values = floats(table, name)
            fits = rows & (values >= 0.0) & (values <= 1.0)
            nearer = middle + (np.where(fits, values, middle) - middle) * (1.0 - injection.size)
            table = put(table, name, fits, nearer)
    return table


def _unanswered(table: pa.Table, rows: Bools, context: Context) -> pa.Table:
    """Takes the scores away."""
    for name in (SCORE, *_score_columns(table, context)):
        table = put(table, name, rows, None)
    return table


@to_predictions
def fallback_flood(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the rows get the default answer: the first class (or the centre), and no score."""
    if not is_flag(table, "fallback"):
        return table
    rows = chosen(table, injection, "fallback_flood")
    table = put(_unanswered(table, rows, context), "fallback", rows, True)
    if is_number(table, "prediction"):
        return put(table, "prediction", rows, context.target[0])
    return put(table, "prediction", rows, context.classes[0]) if context.classes else table


@to_predictions
def absurd_predictions(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the rows get an absurd answer: a number far off, or the other class for certain."""
    rows = chosen(table, injection, "absurd_predictions")
    if is_number(table, "prediction"):
        centre, scale = context.target
        return put(table, "prediction", rows, centre + ABSURD * scale)
    classes = len(context.classes)
    if classes < 2:
        return table
    now = _current(table, context)
    other = np.where(now >= 0, (now + 1) % classes, 0)
    rows &= now >= 0
    table = _answer(table, rows, other, context)
    for number, name in enumerate(_score_columns(table, context)):
        table = put(table, name, rows, (other == number).astype(np.float64))
    if not is_number(table, SCORE):
        return table
    return put(table, SCORE, rows, other.astype(np.float64) if classes == 2 else 1.0)


@to_predictions
def errors(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the requests fail: an error, no prediction, no score."""
    if not is_flag(table, "error"):
        return table
    rows = chosen(table, injection, "errors")
    return put(put(_unanswered(table, rows, context), "error", rows, True), "prediction", rows, None)


@to_predictions
def latency_surge(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """Every answer takes `size` times as long."""
    return _slower(table, within(made(table), injection), injection.size)


@to_predictions
def latency_tail(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A share `size` of the answers take `TAIL_FACTOR` times as long."""
    return _slower(table, chosen(table, injection, "latency_tail"), TAIL_FACTOR)


def _slower(table: pa.Table, rows: Bools, factor: float) -> pa.Table:
    if not is_number(table, "latency"):
        return table
    with np.errstate(over="ignore"):
        return put(table, "latency", rows & valid(table, "latency"), floats(table, "latency") * factor)


@to_predictions
def bad_deployment(table: pa.Table, injection: Injection, context: Context) -> pa.Table:
    """A new version in all rows, whose answers have nothing to do with the input in a share `size` of them.

    Classes keep their shares, and a binary model's scores their distribution if it is known.
    """
    rows = within(made(table), injection)
    if is_text(table, "version"):
        version = pc.fill_null(table.column("version"), "")
        table = put(table, "version", rows, pc.binary_join_element_wise(version, "bad", "-"))
    rows &= draws(table, "bad_deployment") < injection.size
    drawn = draws(table, "bad_deployment answers")
    if is_number(table, "prediction"):
        return put(table, "prediction", rows & valid(table, "prediction"), spread(context.target, drawn))
    if not _classes(table, context):
        return table
    wanted = pick(context.predicted, len(context.classes), drawn)
    if len(context.classes) == 2 and is_number(table, SCORE):
        score = _blind_scores(wanted, drawn, draws(table, "bad_deployment scores"), context)
        rows &= valid(table, SCORE)
        table, wanted = put(table, SCORE, rows, score), (score >= context.threshold).astype(np.intp)
    return _answer(table, rows, wanted, context)


def _blind_scores(wanted: Codes, drawn: Floats, again: Floats, context: Context) -> Floats:
    """Scores (n,) by the quantiles of the reference, or, if they are unknown, anywhere on the wanted side."""
    if context.scores:
        found: Floats = np.interp(drawn, np.linspace(0.0, 1.0, len(context.scores)), context.scores)
        return found
    limit = context.threshold
    return np.where(wanted == 1, limit + (1.0 - limit) * again, np.nextafter(limit, 0.0) * again)
