"""Models of every task from rows to samples: what is exported, what survives a restart, what no history may break."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON
from tests.test_heads import assert_sound, labelled

from ml_exporter.baseline import Baseline, Noise, Phi, dump, load
from ml_exporter.calibration import Reference, calibrate
from ml_exporter.catalogue import BY_NAME, ESTIMATED, HistogramSample, Sample, labels_of
from ml_exporter.config import Config, parse
from ml_exporter.counting import Counting
from ml_exporter.fitting import fit_layout
from ml_exporter.layout import Layout
from ml_exporter.pipeline import evaluate
from ml_exporter.records import Batch
from ml_exporter.segments import By
from ml_exporter.store import Store
from ml_exporter.tasks import Regression
from ml_exporter.units import WIDE_SPLIT, WIDE_UNIT

MULTICLASS = build.CONFIG.replace("binary", "multiclass").replace('["no", "yes"]', '["a", "b", "c"]')
CONFIGS: Mapping[str, str] = {
    "binary": build.CONFIG,
    "multiclass": MULTICLASS.replace("score: score", "scores: {a: pa, b: pb, c: pc}"),
    "confidence": MULTICLASS,
    "regression": build.CONFIG.replace("binary", "regression")
    .replace('    classes: ["no", "yes"]\n', "")
    .replace("score: score, ", ""),
}
LAYOUTS: Mapping[str, Layout] = {
    "binary": build.layout(),
    "multiclass": build.multiclass(),
    "confidence": build.multiclass(scores=False),
    "regression": build.regression(),
}
every_task = pytest.mark.parametrize("name", CONFIGS)


def config_of(name: str) -> Config:
    return parse(CONFIGS[name])


def row_of(name: str, time_us: int, number: int) -> dict[str, Any]:
    """One prediction; its values follow from its number, and now and then something is missing or wrong."""
    row = build.prediction(time_us, number)
    if name == "binary":
        return row
    shares = [1 + number * factor % 17 for factor in (3, 5, 7)]
    scores = [share / sum(shares) for share in shares]
    del row["score"]
    if name == "regression":
        return row | {"prediction": float("nan") if number % 31 == 0 else float(number * 37 % 101) / 8}
    row["prediction"] = "?" if number % 37 == 0 else "abc"[int(np.argmax(scores))]
    if name == "confidence":
        return row | {"score": None if number % 29 == 0 else max(scores)}
    return row | {f"score:{label}": score for label, score in zip("abc", scores, strict=True)}


def label_of(name: str, time_us: int, number: int, salt: int = 0) -> dict[str, Any]:
    mixed = number * 7919 + salt * 104729
    actual: Any = ("no", "yes")[mixed % 2] if name == "binary" else "abc"[mixed % 3]
    if name == "regression":
        actual = float(number * 37 % 101) / 8 + (mixed % 13 - 6) / 4
    return build.label(time_us, number, actual)


def batch(name: str, rows: list[dict[str, Any]]) -> Batch:
    """Rows as a source gives them; numbers stay numbers where none is there."""
    found = build.table(rows)
    for column in ("prediction", "label"):
        if name == "regression" and column in found.column_names:
            values = pa.array([row.get(column) for row in rows], pa.float64())
            found = found.set_column(found.column_names.index(column), column, values)
    return Batch(found, found.num_rows)


def counting_of(name: str, layout: Layout | None = None) -> Counting:
    return Counting(layout or LAYOUTS[name], build.timing(), has_labels=True)


def made(name: str, rows: list[dict[str, Any]], labels: list[dict[str, Any]]) -> Baseline:
    """The baseline of rows and labels, as the command makes it."""
    config = config_of(name)
    model, predictions, known = config.models["flights"], batch(name, rows), batch(name, labels)
    layout = fit_layout(predictions.table, model, config.time, known.table)
    counting, late = counting_of(name, layout), max(row["timestamp"] for row in rows) + 3 * HOUR
    counting.predictions(predictions, late)
    counting.labels(known, late)
    times = [row["timestamp"] for row in rows]
    return calibrate("flights", model, config.time, Reference(counting.panes, min(times), max(times), 3600.0))


def reference(name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Three days with thirty rows an hour."""
    times = [NOON + number * 2 * MINUTE for number in range(2160)]
    rows = [row_of(name, time, number) for number, time in enumerate(times)]
    return rows, [label_of(name, time + HOUR // 2, number) for number, time in enumerate(times)]


@every_task
def test_the_same_rows_in_another_order_give_the_same_baseline(name: str) -> None:
    rows, labels = reference(name)
    text = dump(made(name, rows, labels))
    assert dump(load(text, "flights.json")) == text
    for seed in range(2):
        random.Random(seed).shuffle(rows)
        random.Random(seed).shuffle(labels)
        assert dump(made(name, rows, labels)) == text


@every_task
def test_a_baseline_learns_phi_of_every_statistic(name: str) -> None:
    found = made(name, *reference(name)).noise["1d"].phi
    features = {f"null:{item}" for item in ("temp", "wind", "carrier")} | {"mean:temp", "mean:wind"}
    ratios = {f"{measure}:{label}" for measure in ("precision", "recall", "f1") for label in "abc"}
    of_classes = {"accuracy", "calibration_gap", *ratios, *(f"class:{label}" for label in "abc")}
    losses = {"log_loss", "brier_score"}
    own = {
        "binary": {"accuracy", "precision", "recall", "f1", "roc_auc", "calibration_gap", "class:no", "class:yes"}
        | losses,
        "multiclass": of_classes | losses | {f"roc_auc:{label}" for label in "abc"},
        "confidence": of_classes,
        "regression": {"prediction_mean", "mean_absolute_error", "root_mean_squared_error", "mean_error"},
    }
    macros = {"accuracy", "precision_macro", "recall_macro", "f1_macro"}
    estimated = {
        "binary": {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier_score"},
        "multiclass": macros,
        "confidence": macros,
        "regression": {"mean_absolute_error"},
    }
    distances = {f"{distance}:{item}" for distance in ("ks", "wasserstein") for item in ("temp", "wind")}
    of_all = features | distances | {"concentration", "spread"}
    assert found.keys() == of_all | own[name] | {f"estimate:{measure}" for measure in estimated[name]}


def test_units_of_a_regression_come_from_its_labels() -> None:
    rows, labels = reference("regression")
    task = made("regression", rows, labels).layout.task
    assert isinstance(task, Regression)
    known = {row["id"]: row["label"] for row in labels}
    pairs = [(row["prediction"], known[row["id"]]) for row in rows if row["prediction"] == row["prediction"]]
    predicted, actual = (np.array(side) for side in zip(*pairs, strict=True))
    assert task.error_scale == pytest.approx(np.sqrt(np.mean((actual - predicted) ** 2)))
    assert (task.label_centre, task.label_scale) == pytest.approx((actual.mean(), actual.std()))


def test_without_labels_the_predictions_give_the_units() -> None:
    rows, _ = reference("regression")
    table = batch("regression", rows).table
    task = fit_layout(table, config_of("regression").models["flights"], build.time()).task
    assert isinstance(task, Regression)
    assert (task.error_scale, task.label_centre, task.label_scale) == (task.scale, task.centre, task.scale)
    own = table.append_column("label", pa.array([1.0 + (row["prediction"] or 0.0) for row in rows]))
    found = fit_layout(own, config_of("regression").models["flights"], build.time()).task
    assert isinstance(found, Regression)
    assert found.error_scale == pytest.approx(1.0), "labels in the prediction record"


def filled(name: str) -> tuple[Counting, Baseline, int]:
    """A day and more of rows whose labels came, and a baseline."""
    counting, now = counting_of(name), NOON + 26 * HOUR
    minutes = range(26 * 60)
    rows = [row_of(name, NOON + x * MINUTE, x) | {"fallback": False, "error": False} for x in minutes]
    counting.predictions(batch(name, rows), now)
    counting.labels(batch(name, [label_of(name, now, x) for x in minutes if x % 3]), now)
    whole = counting.panes.sum(NOON // HOUR * HOUR, now)
    learned = Noise({}, {f"estimate:{measure}": Phi(30, 2.0) for measure in ESTIMATED})
    baseline = build.baseline(LAYOUTS[name], whole, noise={"1d": learned}, window_seconds={"1d": 86400.0})
    return counting, baseline, now


def exported(name: str, counting: Counting, baseline: Baseline, now: int) -> list[Sample | HistogramSample]:
    return list(evaluate(counting, baseline, "flights", config_of(name), now))


@every_task
def test_every_sample_is_declared_once_and_finite(name: str) -> None:
    found = exported(name, *filled(name))
    keys = [(item.name, item.labels) for item in found]
    assert len(set(keys)) == len(keys)
    for item in found:
        metric = BY_NAME[item.name]
        assert len(metric.labels) - len(metric.optional) <= len(item.labels) <= len(metric.labels)
        if isinstance(item, Sample):
            assert np.isfinite(item.value)


@every_task
def test_segments_versions_and_earlier_windows_of_every_task(name: str) -> None:
    """Also where a pane of one version defines less than that of the other: no label, or no prediction of a class."""
    limits = "    segments: {version: }\n    comparisons: [previous, last_week, version]\n"
    config = parse(CONFIGS[name] + limits)
    counting = Counting(LAYOUTS[name], build.timing(), has_labels=True, bys=(By("version", "version", "", 20),))
    start, now = NOON - 8 * DAY, NOON
    numbers = range(8 * 24 * 30)
    rows = [row_of(name, start + x * 2 * MINUTE, x) | {"version": f"v{x % 2}"} for x in numbers]
    counting.predictions(batch(name, rows), now)
    counting.labels(batch(name, [label_of(name, now, x) for x in numbers if x % 5 and x % 36 > 6]), now)
    baseline = build.baseline(LAYOUTS[name], counting.panes.sum(start // HOUR * HOUR, now))
    found = [item for item in evaluate(counting, baseline, "flights", config, now) if isinstance(item, Sample)]
    assert all(np.isfinite(item.value) for item in found)
    keys = [(item.name, item.labels) for item in found]
    assert len(set(keys)) == len(keys)
    names = {item.name for item in found}
    assert {"ml_version_prediction_psi", "ml_version_quality_difference_lower"} <= names
    assert ("ml_version_class_shift_sigmas" in names) == (name != "regression")
    measure = "ml_mean_absolute_error" if name == "regression" else "ml_accuracy"
    parts = {labels_of(item).get("segment") for item in found if item.name == measure}
    assert parts == {None, "v0", "v1"}
    others = {labels_of(item).get("baseline") for item in found if item.name == "ml_prediction_psi"}
    assert others == {"reference", "previous", "last_week"}


def test_each_metric_of_the_catalogue_is_one_of_some_task() -> None:
    names = {name: {item.name for item in exported(name, *filled(name))} for name in CONFIGS}
    assert names["multiclass"] | names["regression"] | names["binary"] >= build.NOT_BINARY
    assert not names["binary"] & build.NOT_BINARY
    of_classes = {"ml_accuracy", "ml_prediction_class_ratio", "ml_confusion_total", "ml_correct_predictions_total"}
    assert not of_classes & names["regression"]
    assert of_classes <= names["multiclass"]
    assert {"ml_labelled_rows", "ml_label_coverage_ratio", "ml_labels_total"} <= names["regression"]


def test_pairs_of_classes_are_counted_up_to_twenty() -> None:
    for count in (20, 21):
        layout = build.multiclass(count=count, scores=False)
        counting = counting_of("confidence", layout)
        rows = [{"timestamp": NOON, "id": f"p{x}", "prediction": layout.classes[x % count]} for x in range(count * 2)]
        counting.predictions(build.batch(rows), NOON)
        labels = [build.label(NOON, x, layout.classes[x // 2]) for x in range(count * 2)]
        counting.labels(build.batch(labels), NOON)
        found = exported("confidence", counting, build.baseline(layout, layout.zeros()), NOON)
        values = {item.name: item.value for item in found if isinstance(item, Sample)}
        assert sum(item.name == "ml_confusion_total" for item in found) == (400 if count == 20 else 0)
        right = sum(row["prediction"] == label["label"] for row, label in zip(rows, labels, strict=True))
        assert (values["ml_labelled_predictions_total"], values["ml_correct_predictions_total"]) == (count * 2, right)


def test_a_label_that_is_no_number_is_invalid() -> None:
    counting = counting_of("regression")
    counting.predictions(batch("regression", [row_of("regression", NOON, x) for x in (1, 2, 3, 4)]), NOON)
    values = [1.0, float("nan"), float("inf"), None]
    labels = [build.label(NOON, x, value) for x, value in zip((1, 2, 3, 4), values, strict=True)]
    counting.labels(batch("regression", labels), NOON)
    assert (counting.statuses["matched"], counting.statuses["invalid"]) == (1, 3)


@pytest.mark.parametrize("corrections", ["first", "last"])
@pytest.mark.parametrize("align", ["prediction", "arrival"])
@every_task
@given(seed=st.integers(0, 2**32))
@settings(max_examples=5)
def test_every_window_is_sound_whatever_happened(
    tmp_path_factory: pytest.TempPathFactory, name: str, align: str, corrections: Any, seed: int
) -> None:
    """Rows, labels, second labels, expiry and restarts in any order: no count is negative, no value is NaN."""
    chance = random.Random(seed)
    layout = replace(LAYOUTS[name], align=align)
    counting, now = counting_of(name, layout), NOON
    counting.set_rules(corrections, 1000)
    baseline = build.baseline(layout, layout.zeros())
    store = Store(tmp_path_factory.mktemp("state"))
    for _ in range(20):
        now += chance.choice([0, 1, MINUTE, HOUR, 5 * HOUR, DAY])
        numbers = [chance.randrange(100) for _ in range(chance.randrange(1, 20))]
        times = [now - chance.randrange(chance.choice([1, MINUTE, 4 * HOUR, 2 * DAY])) for _ in numbers]
        pairs = list(zip(times, numbers, strict=True))
        if chance.random() < 0.5:
            counting.predictions(batch(name, [row_of(name, *pair) for pair in pairs]), now)
        else:
            counting.labels(batch(name, [label_of(name, *pair, salt=chance.randrange(3)) for pair in pairs]), now)
        if chance.random() < 0.2:
            counting.expire(now)
        if chance.random() < 0.2:
            store.commit({"flights": counting}, {})
            counting = counting_of(name, layout)
            counting.set_rules(corrections, 1000)
            assert store.load("flights", counting) == ()
        for length in (MINUTE, HOUR, DAY, 3 * DAY):
            span = counting.timing.grid.span(counting.panes.newest_us, length, counting.panes.newest_us)
            if span is not None:
                assert_no_negative(layout, counting.panes.sum(*span))
        for item in exported(name, counting, baseline, now):
            assert not isinstance(item, Sample) or np.isfinite(item.value), item
    everything = counting.panes.sum(NOON // HOUR * HOUR - 10 * DAY, now // HOUR * HOUR + HOUR)
    if align == "prediction" and name != "binary":
        assert_sound(layout, everything)
    store.close()


def assert_no_negative(layout: Layout, vector: np.ndarray) -> None:
    signed = {"z", "error", "label_high", "delay_sum"}
    for item in layout.slices:
        for key, cells in layout.cells(vector, item.name).items():
            assert key in signed or cells.min() >= 0, (item.name, key)


def test_sums_of_squares_keep_their_digits() -> None:
    """An error of a thousandth of the unit is not lost, in its square and its fourth power."""
    layout = LAYOUTS["regression"]
    assert isinstance(layout.task, Regression)
    error = 1e-3 * layout.task.error_scale
    cells = layout.cells(labelled(layout, [(1.0, None, 1.0 + error, 0.0)]), "quality")
    for name, power in (("square", 2), ("fourth", 4)):
        value = (int(cells[f"{name}_high"][0]) * WIDE_SPLIT + int(cells[f"{name}_low"][0])) / WIDE_UNIT
        assert value == pytest.approx(1e-3**power, rel=1e-5 if power == 2 else 0.5)
