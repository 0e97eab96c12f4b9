"""The vector of rows, computed one row at a time in plain Python: whole numbers and fractions.

Numpy is used only where floats are summed.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ml_exporter.joint import Components
from ml_exporter.layout import CategoryBins, FeatureBins, Layout, NumericBins

Cells = dict[str, dict[str, list[int]]]


def empty(layout: Layout) -> Cells:
    return {
        item.name: {key: [0] * (where.stop - where.start) for key, where in item.fields.items()}
        for item in layout.slices
    }


def flat(layout: Layout, cells: Cells) -> list[int]:
    return [number for item in layout.slices for key in item.fields for number in cells[item.name][key]]


def predictions(
    layout: Layout, rows: Iterable[Mapping[str, Any]], columns: set[str], joinable: bool = True
) -> list[int]:
    """The vector of predictions. `columns` are those that the table has."""
    cells = empty(layout)
    for row in rows:
        cells["rows"]["rows"][0] += 1
        known = HEADS[layout.task.name](layout, row, columns, cells)
        if joinable and known and row.get("id") is not None:
            cells["labels"]["joinable"][0] += 1
        for flag in ("fallback", "error"):
            if row.get(flag) is not None:
                cells["flags"][f"{flag}_rows"][0] += 1
                cells["flags"][flag][0] += row[flag]
        latency(layout, row.get("latency"), cells["latency"])
        for item in layout.features:
            feature(item, row.get(f"feature:{item.name}"), cells[f"feature:{item.name}"])
        if layout.joint is not None:
            whole_row(layout, row, columns, cells)
    return flat(layout, cells)


def binary(layout: Layout, row: Mapping[str, Any], columns: set[str], cells: Cells) -> bool:
    """Counts the answer of a row; whether it has one."""
    predicted, score = answer(layout, row, columns)
    of_class(predicted, row, cells)
    scored(layout, row.get("score"), predicted, score, cells)
    return predicted is not None


def of_class(predicted: int | None, row: Mapping[str, Any], cells: Cells) -> None:
    if predicted is not None:
        cells["predictions"]["classes"][predicted] += 1
        cells["predictions"]["predicted"][0] += 1
    elif row.get("prediction") is not None:
        cells["predictions"]["unknown"][0] += 1


def multiclass(layout: Layout, row: Mapping[str, Any], columns: set[str], cells: Cells) -> bool:
    predicted, scores = class_answer(layout, row, columns)
    of_class(predicted, row, cells)
    if scores is None:
        cells["scores"]["invalid"][0] += not all(missing(value) for value in raw_scores(layout, row))
    elif predicted is not None:
        confidence = scores[predicted] if layout.task.class_score_edges else scores[0]
        cells["scores"]["histogram"][confidence_cell(layout, predicted, 0, confidence)] += 1
        cells["flags"]["confidence_rows"][0] += 1
        cells["flags"]["confidence"][0] += fixed(confidence, 24)
    return predicted is not None


def raw_scores(layout: Layout, row: Mapping[str, Any]) -> list[float | None]:
    by_class = layout.task.class_score_edges
    return [row.get(f"score:{name}") for name in layout.classes] if by_class else [row.get("score")]


def class_answer(layout: Layout, row: Mapping[str, Any], columns: set[str]) -> tuple[int | None, list[float] | None]:
    raw = raw_scores(layout, row)
    scores = None if any(missing(value) or not 0 <= value <= 1 for value in raw) else raw
    if "prediction" in columns:
        name = row.get("prediction")
        return layout.classes.index(name) if name in layout.classes else None, scores
    if scores is None or not layout.task.class_score_edges:
        return None, scores
    return scores.index(max(scores)), scores


def confidence_cell(layout: Layout, predicted: int, state: int, confidence: float) -> int:
    edges = layout.task.confidence_edges
    return (predicted * 3 + state) * (len(edges) + 1) + bisect_right(edges, confidence)


def regression(layout: Layout, row: Mapping[str, Any], columns: set[str], cells: Cells) -> bool:
    value, task = row.get("prediction"), layout.task
    own = cells["predictions"] | {"valid": cells["predictions"]["predicted"], "out_of_range": [0]}
    feature(NumericBins("", task.edges, task.centre, task.scale, -math.inf, math.inf), value, own)
    return not missing(value) and not math.isinf(value)


HEADS = {"binary": binary, "multiclass": multiclass, "regression": regression}


def scored(layout: Layout, raw: float | None, predicted: int | None, score: float | None, cells: Cells) -> None:
    """Counts a score; `raw` is what the log had, `score` is None where that is unusable."""
    if score is None:
        cells["scores"]["invalid"][0] += not missing(raw)
    elif predicted is not None:
        cells["scores"]["histogram"][score_cell(layout, predicted, 0, score)] += 1
        cells["flags"]["confidence_rows"][0] += 1
        cells["flags"]["confidence"][0] += fixed(score if predicted == 1 else 1.0 - score, 24)


def answer(layout: Layout, row: Mapping[str, Any], columns: set[str]) -> tuple[int | None, float | None]:
    """Index of the predicted class and the score, each None where the row has no usable one."""
    score = row.get("score")
    score = None if missing(score) or not 0 <= score <= 1 else score
    if "prediction" in columns:
        name = row.get("prediction")
        return layout.classes.index(name) if name in layout.classes else None, score
    return None if score is None else int(score >= layout.task.decision_threshold), score


def labels(layout: Layout, rows: Iterable[tuple[Any, Any, Any, float]]) -> list[int]:
    """What labels add, from (predicted, score or scores, actual, delay in seconds)."""
    rows, cells = list(rows), empty(layout)
    for _, _, _, delay in rows:
        cells["labels"]["labelled"][0] += 1
        cells["labels"]["delay"][bisect_left(layout.delay_bounds, delay)] += 1
        cells["labels"]["delay_sum"][0] += round(Fraction(delay) * 1000)
    {"binary": binary_labels, "multiclass": class_labels, "regression": number_labels}[layout.task.name](
        layout, [row[:3] for row in rows], cells
    )
    return flat(layout, cells)


def class_labels(layout: Layout, rows: Iterable[tuple[int, list[float] | None, int]], cells: Cells) -> None:
    count, quality = len(layout.classes), cells["quality"]
    for predicted, scores, actual in rows:
        if count <= 20:
            quality["confusion"][actual * count + predicted] += 1
        else:
            quality["right"][actual] += actual == predicted
            quality["called"][predicted] += 1
            quality["actual"][actual] += 1
        if scores is None:
            continue
        by_class, right = layout.task.class_score_edges, actual == predicted
        confidence = scores[predicted] if by_class else scores[0]
        cells["scores"]["histogram"][confidence_cell(layout, predicted, 0, confidence)] -= 1
        cells["scores"]["histogram"][confidence_cell(layout, predicted, 1 + right, confidence)] += 1
        quality["scored"][0] += 1
        quality["hits"][0] += right
        quality["confidence"][0] += fixed(confidence, 24)
        quality["gap2"][0] += fixed((confidence - right) ** 2, 24)
        if not by_class:
            continue
        distances = [score - (place == actual) for place, score in enumerate(scores)]
        brier = float(np.square(distances).sum())  # of floats, whose sum depends on the order
        for name, loss in {"log_loss": -math.log(max(scores[actual], 1e-15)), "brier": brier}.items():
            quality[name][0] += fixed(loss, 24)
            quality[name + "2"][0] += fixed(loss * loss, 20)
        for place, score in enumerate(scores):
            cell = (place * 2 + (place == actual)) * (len(by_class) + 1) + bisect_right(by_class, score)
            cells["class_scores"]["histogram"][cell] += 1


def number_labels(layout: Layout, rows: Iterable[tuple[float, None, float]], cells: Cells) -> None:
    task, quality = layout.task, cells["quality"]
    for predicted, _, actual in rows:
        error, label = (actual - predicted) / task.error_scale, (actual - task.label_centre) / task.label_scale
        quality["rows"][0] += 1
        quality["clipped"][0] += abs(error) > 64
        quality["label_clipped"][0] += abs(label) > 64
        error, label = min(max(error, -64.0), 64.0), min(max(label, -64.0), 64.0)
        quality["bins"][bisect_right(task.error_edges, error)] += 1
        quality["error"][0] += fixed(error, 24)
        quality["absolute"][0] += fixed(abs(error), 24)
        powers = {"square": error * error, "fourth": error * error * (error * error)}
        for name, value in {**powers, "label": label, "label_square": label * label}.items():
            quality[f"{name}_high"][0] += fixed(value, 40) >> 32
            quality[f"{name}_low"][0] += fixed(value, 40) & (1 << 32) - 1
        place = bisect_right(task.edges, predicted)
        cells["residuals"]["rows"][place] += 1
        cells["residuals"]["absolute"][place] += fixed(abs(error), 24)
        cells["residuals"]["square"][place] += fixed(error * error, 20)


def binary_labels(layout: Layout, rows: Iterable[tuple[int, float | None, int]], cells: Cells) -> None:
    for predicted, score, actual in rows:
        quality = cells["quality"]
        quality["confusion"][actual * 2 + predicted] += 1
        if score is None:
            continue
        cells["scores"]["histogram"][score_cell(layout, predicted, 0, score)] -= 1
        cells["scores"]["histogram"][score_cell(layout, predicted, 1 + actual, score)] += 1
        if layout.align == "arrival":
            bins = len(layout.task.score_edges) + 1
            cells["arrived"]["histogram"][actual * bins + bisect_right(layout.task.score_edges, score)] += 1
        quality["scored"][0] += 1
        quality["positive"][0] += actual
        quality["score"][0] += fixed(score, 24)
        likelihood = max(score if actual else 1.0 - score, 1e-15)
        losses = {"log_loss": -math.log(likelihood), "brier": (score - actual) ** 2}
        for name, loss in losses.items():
            quality[name][0] += fixed(loss, 24)
            quality[name + "2"][0] += fixed(loss * loss, 20)


def score_cell(layout: Layout, predicted: int, state: int, score: float) -> int:
    bins = len(layout.task.score_edges) + 1
    return (predicted * 3 + state) * bins + bisect_right(layout.task.score_edges, score)


def latency(layout: Layout, value: float | None, cells: dict[str, list[int]]) -> None:
    if missing(value):
        return
    assert value is not None
    if not 0 <= value < 1e6:
        cells["invalid"][0] += 1
        return
    cells["rows"][0] += 1
    cells["buckets"][bisect_left(layout.latency_bounds, value)] += 1
    cells["sum"][0] += round(Fraction(value * 1e6))


def feature(item: FeatureBins, value: Any, cells: dict[str, list[int]]) -> None:
    if isinstance(item, CategoryBins):
        if value is None:
            cells["null"][0] += 1
            return
        cells["valid"][0] += 1
        known = value in item.categories
        cells["bins"][item.categories.index(value) if known else len(item.categories)] += 1
        cells["unseen"][0] += not known
    elif missing(value):
        cells["null"][0] += 1
    elif math.isinf(value):
        cells["invalid"][0] += 1
    else:
        number(item, value, cells)


def number(item: NumericBins, value: float, cells: dict[str, list[int]]) -> None:
    cells["valid"][0] += 1
    cells["bins"][bisect_right(item.edges, value)] += 1
    cells["out_of_range"][0] += not item.low <= value <= item.high
    z = (value - item.centre) / item.scale
    cells["clipped"][0] += abs(z) > 64
    z = min(max(z, -64.0), 64.0)
    cells["z"][0] += fixed(z, 24)
    cells["z2"][0] += fixed(z * z, 12)


def whole_row(layout: Layout, row: Mapping[str, Any], columns: set[str], cells: Cells) -> None:
    """Counts whether a row is an outlier, and its reconstruction error."""
    joint, z, reasons = layout.joint, [], {"range": False, "distance": False, "prediction": False}
    assert joint is not None
    for item in layout.features:
        value = row.get(f"feature:{item.name}")
        if isinstance(item, CategoryBins):
            reasons["range"] |= value is not None and value not in item.categories
            continue
        low, high = ((limit - item.centre) / item.scale for limit in joint.ranges[len(z)])
        usable = not missing(value) and not math.isinf(value)
        z.append(min(max((value - item.centre) / item.scale, -64.0), 64.0) if usable else 0.0)
        reasons["range"] |= not low <= z[-1] <= high
    judged, place = judged_by(layout, row, columns)
    if judged is not None:
        reasons["prediction"] = not joint.answers[place][0] <= judged <= joint.answers[place][1]
    if joint.components is not None:
        distance, error2 = measured(joint.components, z)
        reasons["distance"] = distance > joint.components.limit
        if "reconstruction" in cells:
            cells["reconstruction"]["rows"][0] += 1
            cells["reconstruction"]["error"][0] += round(Fraction(math.sqrt(error2)) * 2**8)
            cells["reconstruction"]["error2"][0] += round(Fraction(error2, 2**4))
    cells["outliers"]["rows"][0] += 1
    cells["outliers"]["outliers"][0] += any(reasons.values())
    for reason, odd in reasons.items():
        cells["outliers"][reason][0] += odd


def judged_by(layout: Layout, row: Mapping[str, Any], columns: set[str]) -> tuple[float | None, int]:
    """The score, the confidence or the number that a prediction is judged by, and the place of its class."""
    if layout.task.name == "regression":
        value = row.get("prediction")
        return (None if missing(value) or math.isinf(value) else value), 0
    if layout.task.name == "binary":
        predicted, score = answer(layout, row, columns)
        return (score, predicted) if predicted is not None else (None, 0)
    predicted, scores = class_answer(layout, row, columns)
    if predicted is None or scores is None:
        return None, 0
    return scores[predicted if layout.task.class_score_edges else 0], predicted


def measured(components: Components, z: list[float]) -> tuple[int, int]:
    """Squared distance and squared reconstruction error of standardised values, in Python's whole numbers."""
    own = zip(components.centres, components.scales, z, strict=False)
    u = [round(Fraction((min(max(value, -8.0), 8.0) - centre) * (256 / scale))) for centre, scale, value in own]
    y = [
        round(Fraction(sum(entry * value for entry, value in zip(vector, u, strict=True)), 4096))
        for vector in components.vectors
    ]
    distance = sum(weight * value**2 for weight, value in zip(components.weights, y, strict=True))
    return distance, sum(value**2 for value in y[components.kept :])


def fixed(value: float, bits: int) -> int:
    """`value` in units of 2 ** -bits, rounded half to even. Scaling by a power of two is exact."""
    return round(Fraction(value) * 2**bits)


def missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
