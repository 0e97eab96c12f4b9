"""A clock that jumps is noticed, and nothing waits longer or shorter for it."""

import math

import pytest
from tests import build
from tests.build import HOUR, MINUTE, NOON
from tests.serve import service
from tests.serve.service import Metrics, append, label, lines, prediction

from ml_exporter.clock import JUMP_SECONDS, Watch
from ml_exporter.pipeline import windows_at
from ml_exporter.serve import Exporter

START = 1_700_000_000.0


@pytest.mark.parametrize("drift", [0.0, 1e-4, -1e-4, 0.5])
def test_drift_is_no_jump_however_long_it_goes_on(drift: float) -> None:
    watch = Watch(START, 0.0)
    assert {watch.jump(START + second * (1 + drift), float(second)) for second in range(1, 5000)} == {0.0}


@pytest.mark.parametrize("by", [-1e6, -JUMP_SECONDS - 1, JUMP_SECONDS + 1, 1e6])
def test_a_jump_is_told_once(by: float) -> None:
    watch = Watch(START, 0.0)
    found = [watch.jump(START + second + (by if second >= 10 else 0), float(second)) for second in range(1, 30)]
    assert [jump for jump in found if jump] == [pytest.approx(by)]


class Clocks:
    """A wall clock that can be set, and a steady one."""

    def __init__(self, wall: float) -> None:
        self.wall, self.steady = wall, 50.0

    def go_on(self, seconds: float, jump: float = 0.0) -> None:
        self.wall, self.steady = self.wall + seconds + jump, self.steady + seconds


def started(folder, clocks: Clocks) -> Exporter:
    path = service.prepare(folder, service.make_artefact(folder), "risk")
    return Exporter(path, lambda: clocks.wall, lambda: clocks.steady)


def read(exporter: Exporter) -> Metrics:
    """One round of the loop."""
    exporter.look_at_clock()
    while not exporter.read(math.inf):
        pass
    exporter.commit()
    exporter.publish()
    return Metrics(exporter.snapshot.exposition.decode())


@pytest.mark.parametrize(("jump", "direction"), [(-3600.0, "backward"), (3600.0, "forward")])
def test_a_source_that_was_read_just_now_becomes_idle_when_it_would_have(tmp_path, jump: float, direction: str) -> None:
    """Before the jump the windows wait for the newest row; a second later they follow the clock, whatever it shows."""
    clocks = Clocks(START)
    exporter = started(tmp_path, clocks)
    append(tmp_path / "risk.jsonl", lines(prediction(number, START - 2) for number in range(50)))
    before = read(exporter)
    assert before("ml_window_end_timestamp_seconds", model="risk", window="1h") == START - 2
    clocks.go_on(0.5, jump)
    found = read(exporter)
    assert found("ml_exporter_clock_jumps_total", direction=direction) == 1
    assert sum(found("ml_exporter_clock_jumps_total", direction=other) for other in ("forward", "backward")) == 1
    assert found("ml_window_end_timestamp_seconds", model="risk", window="1h") <= START - 2
    clocks.go_on(1.0)
    found = read(exporter)
    assert found("ml_window_end_timestamp_seconds", model="risk", window="1d") == pytest.approx(clocks.wall, abs=61)
    assert found("ml_exporter_clock_jumps_total", direction=direction) == 1
    clocks.go_on(10.0, -jump)
    append(tmp_path / "risk.jsonl", lines(prediction(number, clocks.wall - 1) for number in range(50, 90)))
    read(exporter)
    clocks.go_on(3.0)
    found = read(exporter)
    assert found("ml_window_rows", model="risk", window="1d") == 90
    assert found("ml_predictions_total", model="risk", version="v1") == 90
    exporter.close()


@pytest.mark.parametrize("jump", [-5000.0, 5000.0])
def test_a_label_that_came_early_waits_as_long_as_without_the_jump(tmp_path, jump: float) -> None:
    clocks = Clocks(START)
    exporter = started(tmp_path, clocks)
    append(tmp_path / "risk-labels.jsonl", lines([label(1, START - 1)]))
    read(exporter)
    clocks.go_on(1.0, jump)
    found = read(exporter)
    assert found("ml_exporter_join_pending_rows", model="risk", side="labels") == 1
    exporter.close()
    again = Exporter(tmp_path / "ml-exporter.yaml", lambda: clocks.wall, lambda: clocks.steady)
    clocks.go_on(3590.0)
    assert read(again)("ml_exporter_join_pending_rows", model="risk", side="labels") == 1
    clocks.go_on(20.0)
    found = read(again)
    assert found("ml_exporter_join_pending_rows", model="risk", side="labels") == 0
    assert found("ml_labels_total", model="risk", status="orphan") == 1
    again.close()


def test_rows_that_are_ahead_after_a_jump_backward_break_no_window() -> None:
    """What was read when the clock was ahead stays ahead; windows end at the clock and hold what they hold."""
    counting = build.counting()
    counting.predictions(build.batch([build.prediction(NOON + 20 * HOUR, 1)]), NOON + 20 * HOUR)
    now = NOON + 2 * MINUTE
    counting.last_arrival_us = now
    counting.predictions(build.batch(build.prediction(NOON - 90 * MINUTE + x * MINUTE, 2 + x) for x in range(90)), now)
    found = {window.name: window for window in windows_at(counting, "m", build.model(), build.time(), now).current}
    assert all(window.end_us <= now for window in found.values())
    rows = {name: int(counting.layout.cells(window.vector, "rows")["rows"][0]) for name, window in found.items()}
    assert rows == {"1h": 60, "2h": 90, "1d": 90}, "hours are whole; five minutes cannot be told"
