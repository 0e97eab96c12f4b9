"""Labels of one model from batches to panes: corrections, labels in the prediction record, and quality by arrival."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON

from ml_exporter.counting import Counting
from ml_exporter.layout import Layout, Vector
from ml_exporter.pipeline import windows_at

LAYOUTS = {
    "binary": build.layout(),
    "binary by arrival": build.layout(align="arrival"),
    "multiclass": build.multiclass(),
    "multiclass by arrival": build.multiclass(align="arrival"),
    "regression": build.regression(),
}
HOURS = 40


def counting(layout: Layout, corrections: Any = "last") -> Counting:
    found = Counting(layout, build.timing(), has_labels=True)
    found.set_rules(corrections, 20_000_000)
    return found


def predictions(layout: Layout, numbers: range) -> list[dict[str, Any]]:
    """A prediction every ten minutes."""
    rows = [build.prediction(NOON + number * 10 * MINUTE, number) for number in numbers]
    if layout.task.name == "binary":
        return rows
    for number, row in zip(numbers, rows, strict=True):
        row["prediction"] = str(number % 7) if layout.task.name == "regression" else layout.classes[number % 3]
    return [{**row, "prediction": float(row["prediction"])} for row in rows] if not layout.is_class else rows


def label(layout: Layout, time: int, number: int, value: int) -> dict[str, Any]:
    """A label with one of a few values."""
    actual: Any = layout.classes[value % len(layout.classes)] if layout.is_class else value * 1.5
    return {"timestamp": time, "id": f"p{number}", "label": actual}


def panes(found: Counting) -> dict[str, list[int]]:
    """Every hour, and the fine panes of the last hours, where something is in them."""
    starts = [("hour", NOON + hour * HOUR, HOUR) for hour in range(-HOURS, HOURS)]
    newest = found.panes.newest_us
    starts += [("fine", start, MINUTE) for start in range(found.panes.grid.fine_from(newest), newest + HOUR, MINUTE)]
    sums = {f"{kind} {start}": found.panes.sum(start, start + length) for kind, start, length in starts}
    return {name: cells.tolist() for name, cells in sums.items() if cells.any()}


known = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2), st.integers(0, 300)), max_size=40)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(rows=known, cuts=st.lists(st.integers(0, 40), max_size=4), early=st.booleans())
@settings(max_examples=25)
def test_corrections_leave_what_the_last_label_alone_would(
    layout: Layout, rows: list[tuple[int, int, int]], cuts: list[int], early: bool
) -> None:
    """Bit for bit, in every pane; a label of the value that is known already is no news."""
    now = NOON + 12 * HOUR
    read = [label(layout, NOON + 2 * HOUR + minute * MINUTE, number, value) for number, value, minute in rows]
    corrected, last = counting(layout), counting(layout)
    made = build.batch(predictions(layout, range(12)))
    if not early:
        corrected.predictions(made, now)
    edges = sorted({0, *cuts, len(read)})
    for start, stop in pairwise(edges):
        if read[start:stop]:
            corrected.labels(build.batch(read[start:stop]), now)
    if early:
        corrected.predictions(made, now)
    final: dict[int, dict[str, Any]] = {}
    for (number, _, _), row in zip(rows, read, strict=True):
        if number not in final or final[number]["label"] != row["label"]:
            final[number] = row
    last.predictions(made, now)
    if final:
        last.labels(build.batch(final.values()), now)
    assert panes(corrected) == panes(last)
    statuses = corrected.statuses
    assert statuses["matched"] == len(final)
    assert sum(statuses.values()) - statuses["early"] == len(rows)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_counters_count_first_labels_and_never_go_down(layout: Layout) -> None:
    found, first = counting(layout), counting(layout, "first")
    now = NOON + 12 * HOUR
    for one in (found, first):
        one.predictions(build.batch(predictions(layout, range(12))), now)
    before = found.total.copy()
    for value in (0, 1, 2, 0):
        rows = [label(layout, NOON + 2 * HOUR, number, value) for number in range(0, 12, value + 1)]
        for one in (found, first):
            one.labels(build.batch(rows), now)
        assert found.total.tolist() == first.total.tolist()
        quality = layout.cells(found.total, "labels")
        assert all((quality[name] >= layout.cells(before, "labels")[name]).all() for name in quality)
        before = found.total.copy()
    assert found.statuses["correction"] > 0
    assert first.statuses["correction"] == 0


def labelled(layout: Layout, vector: Vector) -> tuple[int, int]:
    """Labelled predictions, and rows that quality counts."""
    return int(layout.cells(vector, "labels")["labelled"][0]), int(layout.cells(vector, "quality")["confusion"].sum())


def test_by_arrival_quality_falls_into_the_pane_of_the_label() -> None:
    layout = build.layout(align="arrival")
    found, now = counting(layout), NOON + 5 * HOUR
    found.predictions(build.batch([build.prediction(NOON, 0), build.prediction(now, 1)]), now)
    found.labels(build.batch([build.label(NOON + 4 * HOUR, 0)]), now)
    assert labelled(layout, found.panes.sum(NOON, NOON + HOUR)) == (1, 0)
    assert labelled(layout, found.panes.sum(NOON + 4 * HOUR, NOON + 5 * HOUR)) == (0, 1)
    found.labels(build.batch([build.label(NOON + 2 * HOUR, 0, "no")]), now)
    assert labelled(layout, found.panes.sum(NOON + 4 * HOUR, NOON + 5 * HOUR)) == (0, 0)
    assert labelled(layout, found.panes.sum(NOON + 2 * HOUR, NOON + 3 * HOUR)) == (0, 1)
    assert labelled(layout, found.panes.sum(NOON, NOON + HOUR)) == (1, 0)


def test_by_arrival_a_label_whose_pane_is_gone_is_late_and_cannot_be_corrected() -> None:
    layout = build.layout(align="arrival")
    found = counting(layout)
    found.predictions(build.batch([build.prediction(NOON, 0), build.prediction(NOON, 1)]), NOON)
    oldest = NOON - found.timing.retention_us + 2 * HOUR
    found.labels(build.batch([build.label(oldest, 0)]), NOON)  # claims to be older than its prediction
    later = NOON + 3 * HOUR
    found.predictions(build.batch([build.prediction(later, 2)]), later)
    found.expire(later)
    before = panes(found)
    found.labels(build.batch([build.label(later, 0, "no"), build.label(oldest, 1)]), later)
    assert +found.statuses == {"matched": 1, "correction_late": 1, "late": 1}
    assert panes(found) == before, "neither the old nor the new label counts"
    found.labels(build.batch([build.label(later, 1)]), later)
    assert found.statuses["matched"] == 2


# labels in the prediction record


def test_a_label_in_the_record_counts_like_one_from_a_log() -> None:
    now = NOON + 12 * HOUR
    rows = predictions(LAYOUTS["binary"], range(12))
    own, log = counting(LAYOUTS["binary"], "first"), counting(LAYOUTS["binary"], "first")
    labels = [label(LAYOUTS["binary"], NOON + 2 * HOUR + number * MINUTE, number, number) for number in range(0, 12, 2)]
    by_id = {row["id"]: row for row in labels}
    stamped = [
        {**row, "label": by_id[row["id"]]["label"], "label_timestamp": by_id[row["id"]]["timestamp"]}
        if row["id"] in by_id
        else row
        for row in rows
    ]
    own.predictions(build.batch(stamped), now)
    log.predictions(build.batch(rows), now)
    log.labels(build.batch(labels), now)
    assert panes(own) == panes(log)
    assert +own.statuses == +log.statuses
    assert (own.total == log.total).all()
    assert own.last_label_us == log.last_label_us


def test_without_a_time_of_its_own_the_label_was_known_at_once() -> None:
    found = counting(LAYOUTS["binary"])
    found.predictions(build.batch([build.prediction(NOON, 0, label="yes"), build.prediction(NOON, 1)]), NOON)
    cells = LAYOUTS["binary"].cells(found.total, "labels")
    assert (cells["labelled"][0], cells["joinable"][0], cells["delay_sum"][0]) == (1, 2, 0)
    assert found.last_label_us == NOON


@pytest.mark.parametrize(("corrections", "status"), [("first", "duplicate"), ("last", "correction")])
def test_a_label_log_may_correct_the_record(corrections: str, status: str) -> None:
    found = counting(LAYOUTS["binary"], corrections)
    found.predictions(build.batch([build.prediction(NOON, 0, label="yes")]), NOON)
    found.labels(build.batch([build.label(NOON + HOUR, 0, "no")]), NOON + HOUR)
    assert +found.statuses == {"matched": 1, status: 1}


def test_labels_in_records_that_no_prediction_can_have() -> None:
    found = counting(LAYOUTS["binary"])
    rows = [
        build.prediction(NOON, 0, label="maybe"),
        build.prediction(NOON, 1, label="yes", label_timestamp=NOON + DAY),
        build.prediction(NOON, 2, label="yes", prediction="maybe"),
        build.prediction(NOON, 0, label="no"),
    ]
    found.predictions(build.batch(rows), NOON)
    assert +found.statuses == {"invalid": 2, "early": 1, "matched": 1}
    assert found.join.repeated == 1


# windows by arrival


def filled(delay_minutes: int) -> Counting:
    """A day of predictions, one every two minutes, whose labels all come so many minutes later."""
    found = counting(build.layout(align="arrival"))
    now = NOON + DAY
    times = range(NOON, now, 2 * MINUTE)
    found.predictions(build.batch(build.prediction(time, number) for number, time in enumerate(times)), now)
    known = [(time + delay_minutes * MINUTE, number) for number, time in enumerate(times)]
    found.labels(build.batch(build.label(time, number) for time, number in known if time <= now), now)
    return found


@pytest.mark.parametrize(("delay", "names"), [(1, {"5m", "1h", "2h", "1d", "30d"}), (20, {"1d", "30d"}), (200, set())])
def test_only_windows_much_longer_than_the_delay_have_quality_by_arrival(delay: int, names: set[str]) -> None:
    """Bounds of the delay are a minute and an hour here, so twenty minutes count as up to an hour."""
    found = filled(delay)
    windows = windows_at(found, "flights", build.model(), build.config().time, NOON + DAY + MINUTE)
    assert {window.name for window in windows.quality} == names
    assert {window.name for window in windows.matured} == {"5m", "1h", "2h", "1d", "30d"}
    ends = {window.name: window.end_us for window in windows.current}
    assert all(window.end_us == ends.get(window.name, window.end_us) for window in windows.quality), "they end now"


def test_quality_by_arrival_counts_the_labels_of_the_window() -> None:
    found = filled(20)
    windows = windows_at(found, "flights", build.model(), build.config().time, NOON + DAY + MINUTE)
    day = next(window for window in windows.quality if window.name == "1d")
    arrived = sum(1 for time in range(NOON, NOON + DAY, 2 * MINUTE) if time + 20 * MINUTE < day.end_us)
    assert labelled(found.layout, day.vector)[1] == arrived


def test_without_labels_no_window_has_quality_by_arrival() -> None:
    found = counting(build.layout(align="arrival"))
    found.predictions(build.batch([build.prediction(NOON, 1)]), NOON)
    assert windows_at(found, "flights", build.model(), build.config().time, NOON + MINUTE).quality == ()
    assert np.array_equal(found.panes.sum(NOON, NOON + HOUR)[found.layout.arriving], [0] * found.layout.arriving.sum())
