"""Options of `ml-exporter drill`: what is injected, when, and what is written."""

import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ml_exporter import generate, options, prometheus
from ml_exporter.config import Config
from ml_exporter.drill import Live, Offline, Task, listening, schedule
from ml_exporter.drilling import Lengths
from ml_exporter.faults import BY_NAME, FAULTS, Fault
from ml_exporter.strict import seconds

SIZES = ("small", "middle", "large")


def _kept(name: str, *names: str, **settings: Any) -> Callable[..., Any]:
    """An option that is kept in the context, for there are more than a function should have arguments."""
    return click.option(*names, name, callback=options.kept, expose_value=False, **settings)


_OPTIONS = (
    _kept("model", "--model", help="Name of the model; may be left out where there is one."),
    _kept(
        "faults", "--fault", multiple=True, type=click.Choice([fault.name for fault in FAULTS]),
        metavar="NAME", help="Inject this fault. May be repeated.",
    ),
    _kept("everything", "--all", is_flag=True, help="Inject every fault of the library, one after the other."),
    _kept("size", "--size", type=float, help="Size of the fault, in its own unit. Default: its middle size."),
    _kept("sizes", "--sizes", default="middle", show_default=True, help="Sizes of every fault: small,middle,large."),
    _kept("feature", "--feature", help="Feature to hit. Default: the first that fits."),
    _kept("start", "--start", help="Start of the fault, ISO 8601 with zone. Default: so that all ends with the logs."),
    _kept("duration", "--duration", default="2d", show_default=True, help="How long the fault lasts."),
    _kept("lead", "--lead-in", help="Clean logs before, from midnight (UTC) on. Default: as far as rules look back."),
    _kept("recovery", "--recovery", default="2d", show_default=True, help="Clean logs after the fix."),
    _kept("step", "--step", default="5m", show_default=True, help="How often is scraped and rules are evaluated."),
    _kept("settings", "--settings", type=options.PATH, help="Settings of the pack: thresholds, routing."),
    _kept("tools", "--tools", type=options.PATH, help="Folder of promtool and amtool. Default: PATH."),
    _kept("jobs", "--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="Drills at a time."),
    _kept("json", "--json", type=options.PATH, help="Write the result as JSON; - for stdout, in place of the table."),
    _kept("html", "--html", type=options.PATH, help="Write the result as one page, with charts."),
)  # fmt: skip


_LIVE_OPTIONS = (
    _kept("live", "--live", is_flag=True, help="Drill the running chain with a marked model, up to the notification."),
    _kept("prometheus", "--prometheus", default="http://localhost:9090", show_default=True, help="With --live."),
    _kept("alertmanager", "--alertmanager", default="http://localhost:9093", show_default=True, help="With --live."),
    _kept("auth_file", "--auth-file", type=options.PATH, help="A file with user:password for both."),
    _kept("listen", "--listen", help="Be the webhook of the drill model at this address, for example :8061."),
    _kept("interval", "--interval", default="5s", show_default=True, help="How often a live drill writes and looks."),
    _kept("rows", "--rows", type=click.IntRange(min=1), default=10, show_default=True, help="Predictions a look."),
    _kept("timeout", "--timeout", default="45m", show_default=True, help="How long each live step may take."),
    _kept("notified", "--until-notified", is_flag=True, help="End when the notification came."),
    _kept("cron", "--schedule", metavar="CRON", help="Print a live drill for cron and as a CronJob."),
)  # fmt: skip


def drill(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what a drill needs to know; it is read from the context."""
    return reduce(lambda decorated, option: option(decorated), reversed((*_OPTIONS, *_LIVE_OPTIONS)), command)


def model_of(config: Config, name: str | None) -> str:
    """The model that is named, or the only one. Raises UsageError."""
    if name is None and len(config.models) == 1:
        return next(iter(config.models))
    if name not in config.models:
        raise click.UsageError(
            f"--model: expected one of {', '.join(config.models)}, got {name!r}. Name a model of the configuration."
        )
    return str(name)


def wanted(given: Mapping[str, Any]) -> Offline:
    """What is to be drilled. Raises UsageError and ConfigError."""
    lead_us = None if given["lead"] is None else _us(given, "lead", "--lead-in")
    lengths = Lengths(lead_us, *(_us(given, name, f"--{name}") for name in ("duration", "recovery", "step")))
    if lengths.step_us < 1_000_000 or lengths.step_us % 1_000_000:
        raise click.UsageError(f"--step: expected whole seconds, got {given['step']!r}. Write for example 5m.")
    return Offline(
        tasks=_tasks(given),
        lengths=lengths,
        start_us=options.instant_us(given["start"], "--start") if given["start"] else None,
        settings=generate.read_settings(given["settings"]) if given["settings"] else generate.Settings(),
        tools=given["tools"],
        jobs=given["jobs"],
        charts=given["html"] is not None,
    )


def _us(given: Mapping[str, Any], name: str, option: str) -> int:
    return round(seconds(given[name], option) * 1e6)


def _tasks(given: Mapping[str, Any]) -> Sequence[Task]:
    """The faults in the order of the table, each in all sizes that were asked for."""
    names = list(BY_NAME) if given["everything"] else [name for name in BY_NAME if name in given["faults"]]
    if not names:
        raise click.UsageError("drill: expected a fault, got none. Name one with --fault, or all with --all.")
    if given["size"] is not None:
        if len(names) > 1:
            raise click.UsageError(
                "--size: expected one --fault, got several. Sizes have units of the fault: use --sizes."
            )
        return [Task(BY_NAME[names[0]], _size(BY_NAME[names[0]], given["size"]), given["feature"])]
    return [
        Task(BY_NAME[name], BY_NAME[name].sizes[place], given["feature"]) for name in names for place in _places(given)
    ]


def _size(fault: Fault, size: float) -> float:
    """A size in the unit of the fault. Raises UsageError for none."""
    most = 1.0 if fault.unit.startswith("share") else math.inf
    if not 0.0 < size <= most or not math.isfinite(size):
        expected = "above 0, at most 1" if most == 1.0 else "above 0"
        usual = ", ".join(f"{item:g}" for item in fault.sizes)
        raise click.UsageError(
            f"--size: expected {fault.unit}, {expected}, got {size:g}. Small, middle and large are {usual}."
        )
    return size


def _places(given: Mapping[str, Any]) -> list[int]:
    words = [word.strip() for word in given["sizes"].split(",")]
    unknown = [word for word in words if word not in SIZES]
    if unknown:
        raise click.UsageError(
            f"--sizes: expected some of {', '.join(SIZES)}, got {given['sizes']!r}. Separate with commas."
        )
    return [place for place, word in enumerate(SIZES) if word in words]


def target(path: Path | None) -> Path | None:
    """A file to write; None for none, and for `-`."""
    return None if path is None or str(path) == "-" else path


def console() -> Console:
    """Where the table goes. What is no terminal gets whole lines, however long."""
    return Console() if sys.stdout.isatty() else Console(width=240)


@contextmanager
def progress(drills: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr while replays go on; one for reading, one for the clean logs, one a drill."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("reading logs", total=drills + 2)
        yield lambda text: bar.update(task, advance=1, description=text)


@contextmanager
def live(given: Mapping[str, Any]) -> Iterator[Live]:
    """A live drill, with its webhook if it is to have one. Raises UsageError, ConfigError and ExporterError."""
    servers = (prometheus.server(given[name], given["auth_file"]) for name in ("prometheus", "alertmanager"))
    one, other = servers
    found = Live(
        prometheus.Prometheus(one),
        prometheus.Alertmanager(other),
        rows=given["rows"],
        interval_seconds=seconds(given["interval"], "--interval"),
        timeout_seconds=seconds(given["timeout"], "--timeout"),
        resolve=not given["notified"],
    )
    if given["listen"] is None:
        yield found
        return
    with listening(*options.host_and_port(given["listen"], "--listen")) as receiver:
        yield replace(found, receiver=receiver)


def scheduled(given: Mapping[str, Any], path: Path) -> str:
    """The command of a live drill, to be run at the times of `--schedule`. Raises ConfigError."""
    words = ["drill", "--live", "--config", str(path)]
    for option in ("model", "prometheus", "alertmanager", "auth-file", "listen", "timeout"):
        value = given[option.replace("-", "_")]
        words += [f"--{option}", str(value)] if value is not None else []
    return schedule(given["cron"], words)
