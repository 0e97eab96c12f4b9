"""One drill: the logs replayed with a fault, and the generated rules asked what they saw."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ml_exporter import drilling
from ml_exporter.drill.pack import Pack
from ml_exporter.drill.rows import Recorded, later, pieces_of, same
from ml_exporter.drilling import Alert, Answers, Drilled, Question, Schedule, Suite, Watch
from ml_exporter.errors import ExporterError
from ml_exporter.faults import Fault, Played
from ml_exporter.replaying import Replaying
from ml_exporter.rule_tools import Amtool, Promtool
from ml_exporter.waiting import Arrivals

INSTANCE = "drill"
CHART_US = 3600 * 1_000_000
"""How often charts ask for a value."""


class Task(NamedTuple):
    """A fault to inject, its size, and the feature that it hits (None: the first that fits)."""

    fault: Fault
    size: float
    feature: str | None = None


@dataclass(frozen=True)
class Stage:
    """Everything that a drill needs: logs, rules, tools, a folder for suites, and whether charts are wanted."""

    recorded: Recorded
    pack: Pack
    promtool: Promtool
    amtool: Amtool
    folder: Path
    charts: bool = False

    def clean(self) -> Answers:
        """What the rules say of the logs as they are."""
        return self._ask(self._replayed(self.recorded.rows, range(0)), "clean")

    def drill(self, task: Task, watch: Watch) -> Drilled:
        """Injects a fault, and judges what the rules say of it."""
        recorded, schedule = self.recorded, self.recorded.schedule
        injection = schedule.injection(task.size, task.feature)
        played = task.fault.apply(recorded.rows, injection, recorded.context)
        if same(played, recorded.rows):
            return Drilled(task.fault, task.size, schedule, (), (), "nothing to change")
        fix_us = task.fault.stop_us(injection)
        dead = range(schedule.start_us, fix_us) if task.fault.silent else range(0)
        found = self._ask(self._replayed(played, dead), f"{task.fault.name}-{task.size:g}")
        alerts = drilling.alerts_of(found.series, schedule)
        seen = tuple(drilling.seen_in(alerts, watch, schedule, fix_us, found.annotations))
        pending = drilling.pending_in(alerts, seen, watch)
        verdict = drilling.verdict_of(task.fault, seen)
        return Drilled(task.fault, task.size, schedule, seen, pending, verdict, tuple(found.series))

    @cached_property
    def lead(self) -> tuple[Suite, Replaying]:
        """The samples before the start, which all drills share, and the replay that made them."""
        schedule, recorded = self.recorded.schedule, self.recorded
        suite = Suite(schedule, {"job": self.pack.job, "instance": INSTANCE}, self.pack.names)
        replaying = deepcopy(recorded.before)
        arrivals = Arrivals(pieces_of(recorded.model, recorded.rows))
        for place, instant in enumerate(replaying.run([arrivals], _lead(schedule))):
            suite.add(place, instant.samples)
        return suite, replaying

    def _replayed(self, played: Played, dead: range) -> Suite:
        """The samples of every scrape; while the exporter is dead there are none."""
        schedule, known = self.recorded.schedule, _lead(self.recorded.schedule)
        suite, replaying = self.lead[0].copy(), deepcopy(self.lead[1])
        rows = later(played, known[-1]) if known else played
        arrivals = Arrivals(pieces_of(self.recorded.model, rows))
        times = schedule.times[len(known) :]
        for place, instant in enumerate(replaying.run([arrivals], times), len(known)):
            suite.add(place, instant.samples, scraped=instant.now_us not in dead)
        return suite

    def _ask(self, suite: Suite, name: str) -> Answers:
        schedule = suite.schedule
        questions = [Question(drilling.ALERTS, at_us) for at_us in schedule.times]
        if self.charts:
            hours = range(schedule.begin_us, schedule.end_us + 1, CHART_US)
            questions += [Question(self.pack.levels, at_us) for at_us in hours]
            questions.append(Question(drilling.LIMITS, schedule.stop_us))
        path = self.folder / f"{name}.yaml"
        output = self.promtool.test(suite.document(self.pack.rules, questions), path)
        path.unlink()
        try:
            return drilling.read(output, schedule)
        except ValueError as error:
            raise ExporterError(
                f"promtool: expected what fires, got {error}. Check the rules with promtool."
            ) from error


def _lead(schedule: Schedule) -> range:
    """The instants before the start."""
    return range(schedule.begin_us, schedule.start_us, schedule.step_us)


def run(
    stage: Stage, tasks: Sequence[Task], jobs: int, done: Callable[[str], None]
) -> tuple[tuple[Alert, ...], tuple[Drilled, ...]]:
    """Replays the clean logs, then drills every task, `jobs` at a time; `done` is told after each replay.

    Returns the alerts of the clean replay, and the drills in the order of the tasks.
    """
    clean = drilling.alerts_of(stage.clean().series, stage.recorded.schedule)
    done("clean logs replayed")
    watch = Watch(clean, drilling.Inhibitions.parse(stage.amtool.parsed), stage.amtool.receivers)

    def one(task: Task) -> Drilled:
        found = stage.drill(task, watch)
        done(f"{task.fault.name} {task.size:g}")
        return found

    with ThreadPoolExecutor(jobs) as pool:
        return clean, tuple(pool.map(one, tasks))
