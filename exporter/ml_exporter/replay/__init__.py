"""`ml-exporter replay`: recorded logs into files that Prometheus takes as its own past."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ml_exporter.errors import Problem, ProblemsError
from ml_exporter.loading import Loaded
from ml_exporter.replay import running, steps
from ml_exporter.replay.running import Outcome, Settings

__all__ = ["Outcome", "Settings", "run"]


def run(loaded: Loaded, settings: Settings, rules: Sequence[Path], console: Console) -> tuple[Outcome, str]:
    """Replays until the end, or until SIGINT or SIGTERM.

    Returns what came of it, and the steps to import it as a shell script; "" when it was interrupted. Run it again to
    go on. Raises ProblemsError.
    """
    groups = steps.read_rules(rules)
    try:
        settings.output.mkdir(parents=True, exist_ok=True)
        one = running.Run(loaded, settings, beside=(os.cpu_count() or 1) > 1)
        with one, _interrupted() as is_interrupted, _shown(console) as show:
            for progress in one.steps():
                show(progress)
                if is_interrupted():
                    one.keep()
                    break
            outcome = one.outcome()
        if not outcome.finished:
            return outcome, ""
        if not outcome.files:
            action = "Compare --from and --to with the times in the logs, and remove --output"
            raise ProblemsError([Problem("replay", "rows between --from and --to", "none", action)])
        levels = steps.write_levels(steps.levels(groups), settings.output)
    except OSError as error:
        action = "Free some space, or give another --output"
        where = str(error.filename or settings.output)
        raise ProblemsError([Problem(where, "a path that can be written", str(error.strerror), action)]) from error
    return outcome, steps.script(steps.Import(outcome, settings.output, levels))


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Tells whether somebody asked to stop. Who asks twice is not asked to wait."""
    found: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, _: FrameType | None) -> None:
        found.append(number)
        restore()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield lambda: bool(found)
    finally:
        restore()


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[running.Progress], None]]:
    """A bar on a terminal, else nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=1.0)

        def show(progress: running.Progress) -> None:
            moment = datetime.fromtimestamp(progress.now_us / 1e6, UTC)
            text = f"{moment:%Y-%m-%d %H:%M}  {progress.instants:,} instants, {progress.samples:,} samples"
            bar.update(task, completed=progress.share, description=text)

        yield show
