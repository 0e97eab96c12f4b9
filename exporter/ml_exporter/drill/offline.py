"""A game day on recorded logs, from the configuration to the result."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_exporter import drilling, generate
from ml_exporter.drill import pack
from ml_exporter.drill.rows import extent, record
from ml_exporter.drill.stage import Stage, Task, run
from ml_exporter.drilling import Alert, Drilled, Lengths, Schedule
from ml_exporter.drilling.page import page
from ml_exporter.drilling.report import report
from ml_exporter.generate import Settings
from ml_exporter.loading import Loaded
from ml_exporter.rule_tools import Amtool, Promtool, found

Progress = Callable[[str], None]
"""Is told in words what was done, once before the first replay and once after each."""


@dataclass(frozen=True)
class Offline:
    """What is drilled and how. Without `start_us` it ends with the logs; `tools` is the folder of the tools."""

    tasks: Sequence[Task]
    lengths: Lengths
    start_us: int | None = None
    settings: Settings = field(default_factory=Settings)
    tools: Path | None = None
    jobs: int = os.cpu_count() or 1
    charts: bool = False


@dataclass(frozen=True)
class Result:
    """What came of it."""

    model: str
    schedule: Schedule
    clean: tuple[Alert, ...]
    drills: tuple[Drilled, ...]
    pack: pack.Pack

    @property
    def findings(self) -> list[str]:
        """What did not go as it should, a line each."""
        return drilling.unnoticed(self.drills)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return report(self.model, self.schedule, self.clean, self.drills)

    def as_html(self) -> str:
        """The report as a page."""
        return page(self.model, self.schedule, self.clean, self.drills, self.pack.reads)


def offline(loaded: Loaded, name: str, wanted: Offline, progress: Progress) -> Result:
    """Drills a model on its recorded logs.

    Raises ConfigError where logs or tools are missing, and ExporterError for what the tools refuse.
    """
    promtool, amtool = found(wanted.tools, "promtool"), found(wanted.tools, "amtool")
    arrived = extent(loaded, name)
    drilling.planned(wanted.lengths, arrived, wanted.start_us)  # what does not fit is said before the rules are made
    model = next(item for item in generate.expected_models(loaded.config) if item.model == name)
    with tempfile.TemporaryDirectory(prefix="ml-exporter-drill-") as folder:
        made = pack.write(wanted.settings, model, Path(folder))
        schedule = drilling.planned(wanted.lengths, arrived, wanted.start_us, made.back_us)
        recorded = record(loaded, name, schedule)
        progress("logs read")
        stage = Stage(
            recorded, made, Promtool(promtool), Amtool(amtool, made.alertmanager), Path(folder), wanted.charts
        )
        clean, drills = run(stage, wanted.tasks, wanted.jobs, progress)
    return Result(name, schedule, clean, drills, made)
