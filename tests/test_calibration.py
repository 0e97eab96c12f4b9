"""A baseline made from rows: the same for the same rows, whatever their order, and finite whatever their values."""

import random
from typing import Any

import numpy as np
import pytest
from tests import build
from tests.build import HOUR, MINUTE, NOON

from ml_exporter.baseline import SCORE, Baseline, Phi, dump, load, misfits
from ml_exporter.calibration import Reference, calibrate
from ml_exporter.config import Time
from ml_exporter.counting import Counting
from ml_exporter.fitting import MAX_CATEGORIES, fit_layout
from ml_exporter.layout import CategoryBins, NumericBins


def made(rows: list[dict[str, Any]], labels: list[dict[str, Any]]) -> Baseline:
    """The baseline of rows and labels, as the command makes it."""
    settings = build.config()
    model = settings.models["flights"]
    counting = Counting(fit_layout(build.table(rows), model, settings.time), build.timing(), has_labels=True)
    late = max(row["timestamp"] for row in rows) + HOUR
    assert counting.predictions(build.batch(rows), late) == {}
    counting.labels(build.batch(labels), late)
    times = [row["timestamp"] for row in rows]
    return calibrate("flights", model, settings.time, Reference(counting.panes, min(times), max(times), 3600.0))


def reference() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Three days with thirty rows an hour; `wind` has one value in most rows, and both zeros."""
    times = [NOON + number * 2 * MINUTE for number in range(2160)]
    rows = [build.prediction(time, number) for number, time in enumerate(times)]
    for number, row in enumerate(rows):
        row["feature:wind"] = (-0.0 if number % 2 else 0.0) if number % 20 else 0.1 * number
    return rows, [
        build.label(time + HOUR // 2, number, ("no", "yes")[number % 3 == 0]) for number, time in enumerate(times)
    ]


def test_the_same_rows_in_another_order_give_the_same_text() -> None:
    rows, labels = reference()
    text = dump(made(rows, labels))
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        random.Random(seed).shuffle(labels)
        assert dump(made(rows, labels)) == text


def test_a_made_baseline_comes_back_and_fits() -> None:
    baseline = made(*reference())
    again = load(dump(baseline), "flights.json")
    assert dump(again) == dump(baseline)
    assert list(misfits(again, "flights", build.model(), Time())) == []
    assert {"1h", "1d"} <= baseline.noise.keys()
    assert {"temp", "wind", "carrier", SCORE} == baseline.noise["1h"].psi.keys()
    assert baseline.noise["1h"].psi["temp"].windows == 72
    assert baseline.noise["1h"].phi["accuracy"].windows == 72


def test_nulls_in_whole_hours_are_learned_for_every_length() -> None:
    rows, labels = reference()
    for number, row in enumerate(rows):
        row["feature:temp"] = None if number // 30 % 8 == 0 else 3.0  # every eighth hour of thirty rows, nothing else
        row["feature:carrier"] = "AA"
    noise = made(rows, labels).noise
    assert noise["1h"].phi["null:temp"] == Phi(72, pytest.approx(30.0))
    assert noise["1d"].phi["null:temp"] == Phi(3, 1.0)
    assert noise["1h"].phi["null:carrier"] == Phi(72, 1.0)
    assert {f"null:{name}" for name in ("temp", "wind", "carrier")} <= noise["1d"].phi.keys()


def test_a_feature_of_sentinels_has_finite_bins() -> None:
    rows, _ = reference()
    largest = 1.7976931348623157e308
    for number, row in enumerate(rows):
        row["feature:wind"] = (1.0, -largest, largest)[number % 3]
        row["feature:temp"] = largest if number % 10 == 0 else 3.0
    layout = fit_layout(build.table(rows), build.model(), Time())
    for item in layout.features:
        if isinstance(item, NumericBins):
            assert np.isfinite([item.centre, item.scale, *item.edges]).all()
            assert item.scale > 0


def test_which_of_many_equal_categories_keep_a_bin_does_not_depend_on_the_rows() -> None:
    rows = [build.prediction(NOON, 1, **{"feature:carrier": f"c{number:03}"}) for number in range(MAX_CATEGORIES + 10)]
    layouts = [fit_layout(build.table(found), build.model(), Time()) for found in (rows, rows[::-1])]
    assert layouts[0] == layouts[1]
    assert [len(item.categories) for item in layouts[0].features if isinstance(item, CategoryBins)] == [MAX_CATEGORIES]
