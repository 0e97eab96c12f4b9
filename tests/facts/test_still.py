"""Facts are of one publish: whatever is counted later, and whichever thread asks for them, they stay the same."""

from threading import Event, Thread

import msgspec
import pytest
from tests import build
from tests.build import DAY, HOUR, MINUTE, NOON
from tests.facts.looked import facts

from ml_exporter.dead_letter import DeadLetter, last_notes
from ml_exporter.joint import REASONS
from ml_exporter.outlying import KEPT
from ml_exporter.telling import last_lines

NOW = NOON + 3 * HOUR


def everything(found):
    """All that can be asked, as bytes."""
    answers = (found.models(), found.model("flights"), found.labels("flights"), found.outliers("flights"))
    features = (found.feature("flights", name) for name in found.features("flights"))
    return [msgspec.json.encode(answer) for answer in (*answers, *features, found.rejected())]


def started(layout=None):
    counting = build.counting(layout)
    counting.predictions(build.batch(build.prediction(NOON + x * MINUTE, x) for x in range(90)), NOW)
    counting.labels(build.batch(build.label(NOON + HOUR, x) for x in range(40)), NOW)
    return counting


def go_on(counting, step):
    """More rows, labels of old ones, a commit, and time that passes."""
    now = NOW + step * 10 * MINUTE
    rows = [build.prediction(now - x * MINUTE, 1000 * step + x, version=f"v{step}") for x in range(40)]
    counting.predictions(build.batch(rows), now)
    counting.labels(build.batch(build.label(now, 40 + step, "no") for _ in range(3)), now)
    if step % 2:
        list(counting.panes.settle())
    counting.expire(now)


@pytest.mark.parametrize("settled", [True, False])
def test_what_is_counted_later_changes_nothing(settled):
    counting = started(build.layout(joint=build.JOINT))
    if settled:
        list(counting.panes.settle())
    found = facts(counting, NOW)
    before = everything(found)
    for step in range(1, 8):
        go_on(counting, step)
    assert everything(found) == before
    assert everything(facts(counting, NOW)) != before


def test_a_thread_may_ask_while_another_counts():
    counting = started()
    found = facts(counting, NOW)
    expected, answers, stop = everything(found), [], Event()

    def ask():
        while not stop.is_set():
            answers.append(everything(found) == expected)

    asking = Thread(target=ask)
    asking.start()
    for step in range(1, 12):
        go_on(counting, step)
        facts(counting, NOW + step * 10 * MINUTE)
    stop.set()
    asking.join()
    assert answers
    assert all(answers)


def test_the_last_outliers_are_kept_and_counted_in_no_vector():
    layout = build.layout(joint=build.JOINT)
    one, other = build.counting(layout), build.counting(layout)
    rows = [build.prediction(NOON + x * MINUTE, x, **{"feature:temp": 1e6 if x % 3 == 0 else 12.0}) for x in range(90)]
    rows[3]["id"], rows[6]["id"] = None, "é" * 500
    one.predictions(build.batch(rows), NOW)
    for row in rows:
        other.predictions(build.batch([row]), NOW)
    assert (one.total == other.total).all()
    assert one.outliers == other.outliers
    kept = list(one.outliers.rows)
    assert len(kept) == KEPT
    assert [item.time_us for item in kept] == sorted(item.time_us for item in kept)
    assert all(set(item.reasons) <= set(REASONS) and item.reasons for item in kept)
    assert {item.id for item in kept} <= {row["id"] for row in rows}


def test_texts_of_outliers_are_cut_and_may_be_absent():
    counting = build.counting(build.layout(joint=build.JOINT))
    odd = {"feature:temp": 1e6}
    rows = [build.prediction(NOON, 1, id="é" * 500, version=None, **odd), build.prediction(NOON, 2, id=None, **odd)]
    counting.predictions(build.batch(rows), NOW)
    found = facts(counting, NOW).outliers("flights")
    assert [(item.id, item.version) for item in found.last] == [("", "v1"), ("é" * 200, "")]
    hidden = facts(counting, NOW, samples=False).outliers("flights")
    assert (hidden.last, hidden.kept) == ((), 2)


def test_categories_that_the_reference_does_not_know_are_named():
    counting = build.counting()
    names = ["AA", "XX", None, "XX", "<b>", "é" * 500, "UA"]
    rows = [build.prediction(NOON + x * MINUTE, x, **{"feature:carrier": name}) for x, name in enumerate(names)]
    counting.predictions(build.batch(rows[:4]), NOW)
    first = facts(counting, NOW)
    counting.predictions(build.batch(rows[4:]), NOW)
    found = facts(counting, NOW).feature("flights", "carrier")
    assert [(item.value, item.rows) for item in found.unseen.values] == [("XX", 2), ("é" * 100, 1), ("<b>", 1)]
    most = found.unseen.values[0]
    assert (most.first_at * 1e6, most.last_at * 1e6) == (NOON + MINUTE, NOON + 3 * MINUTE)
    assert first.feature("flights", "carrier").unseen.kept == 1
    hidden = facts(counting, NOW, samples=False).feature("flights", "carrier").unseen
    assert (hidden.values, hidden.kept) == ((), 3)
    assert "web: {samples: true}" in hidden.note
    assert facts(counting, NOW).feature("flights", "temp").unseen is None


def test_unseen_categories_are_forgotten_after_a_day_without_them():
    counting = build.counting()
    counting.predictions(build.batch([build.prediction(NOON, 1, **{"feature:carrier": "XX"})]), NOW)
    for minutes, kept in ((0, 1), (1, 0)):
        now = NOON + DAY + minutes * MINUTE
        counting.predictions(build.batch([build.prediction(now, 2 + minutes, **{"feature:carrier": "AA"})]), now)
        counting.expire(now)
        assert facts(counting, now).feature("flights", "carrier").unseen.kept == kept


def test_days_go_as_far_as_panes_do():
    counting = started()
    counting.predictions(build.batch([build.prediction(NOON - 3 * DAY, 5000)]), NOW)
    found = facts(counting, NOW).feature("flights", "temp")
    assert [point.summary.rows for point in found.days] == [1, 0, 0, 90]
    assert [point.summary.rows for point in found.hours][-2:] == [60, 30]
    assert len(found.hours) == 48


def test_the_last_refused_lines(tmp_path):
    path = tmp_path / "dead-letter.jsonl"
    assert last_lines(path) == ()
    letter = DeadLetter(path, 1 << 20, values=True)
    hostile = b'{"id": "<script>\xff"}'
    letter.note("log", "malformed", "a/\udcff.jsonl", build.np.arange(25), lambda place: hostile)
    letter.write(1_700_000_000.5)
    with path.open("ab") as file:
        file.write(b'[1]\n{"cut": ')
    found = last_lines(path)
    assert len(found) == 20
    assert (found[0].offset, found[0].reason, found[0].at) == (19, "malformed", 1_700_000_000.5)
    assert found[0].line == '{"id": "<script>\\xff"}'
    assert msgspec.json.encode(found)
    assert len(last_notes(path, 3)) == 3
    path.rename(tmp_path / "dead-letter.jsonl.1")
    assert last_lines(path) == found
    letter.note("log", "future", "b.jsonl", build.np.arange(2), lambda place: b"{}")
    letter.write(1_700_000_001.0)
    assert [line.reason for line in last_lines(path)] == ["future"] * 2 + ["malformed"] * 20
