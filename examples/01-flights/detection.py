"""The detection table: every fault of the library, injected into April's flights at three sizes.

    python examples/01-flights/detection.py --out docs/detection.md

It needs promtool and amtool (`make tools`) and some twenty minutes on two cores; `--step-minutes 60` takes a third of
that. What earlier tables said is in detection_before.yaml: the verdict of the last of them stands beside the new one,
and all of them on the page that `detection_before.py` writes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import click

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import detection_before
from detection_before import Table
from flights import REFERENCE_FROM, prepared_table
from write_logs import Compression, Log, between, label_log, microseconds, prediction_log, write_log

from ml_exporter import baseline, make_baseline
from ml_exporter.drill import Offline, Result, Task, offline
from ml_exporter.drilling import Drilled, Lengths
from ml_exporter.drilling.report import duration, heard
from ml_exporter.drilling.schedule import iso
from ml_exporter.faults import BY_NAME
from ml_exporter.generate import Settings
from ml_exporter.loading import load, read_config

MODEL = "flight_delay"
START_US = 1_365_595_200_000_000
"""10 April 2013, noon UTC, when many flights leave. The incident of the month is on the 22nd."""
SIZES = ("small", "middle", "large")
HOUR_US = 3_600_000_000
LAST_WEEK = ("volume_drop", "volume_surge", "duplicate_traffic", "clock_skew", "log_stuck")
"""Faults of the stream: the rules that notice them look back a week, so their drills begin so much earlier."""
STEP_MINUTES = 15
FINE_MINUTES = 15
FINE = ("exporter_dead",)
"""Faults that are seen at every quarter of an hour at least: an hour without samples is one evaluation of an hour."""
PART = 7
"""How many faults one process drills, each at every size: they share the clean logs, and the last process ends soon."""
Row = dict[str, Any]

ROUTING = """# No ladder: escalation counts minutes, and the rules are evaluated more seldom here.
default: {pages: oncall, warnings: channel}
receivers:
  oncall: {webhook: {url: 'http://localhost:8060/oncall'}}
  channel: {webhook: {url: 'http://localhost:8060/channel'}}
"""

HEAD = """# What is noticed

Every fault of the library, injected into the flights of April 2013 at three sizes, with the rules of the pack and
the thresholds of [the example](../examples/01-flights/README.md). Written by

    python examples/01-flights/detection.py --out docs/detection.md{option}

The model was made from January and February, its baseline from March; the exporter has watched
since 20 March. Clean logs until {start}, then
the fault until {stop} at the latest, then clean logs until {end}. Rules were evaluated every {step},
in drills of a dead exporter every {fine}.
The drills of faults of the stream begin eight days earlier, for rules that
look back a week. The flights know no errors, so their log got a column that says so.

`after` is from the start of the fault to the first alert of its layer, `resolved` from the fix to the end of the last
one (negative: over before the fix; never: beyond the end of the drill). Alerts in brackets were beyond their limit, but
not for long enough to fire, so whatever is named at all was beyond its limit; **bold** ones page. What fires on the
clean logs is left out {clean}; for two clean months see [why](why.md#what-fires-on-clean-days-before-and-after).
`before` is the verdict of the table before this one; [what was noticed before](detection-before.md) has all tables and
what changed between them. [Drills](drills.md) says what the verdicts mean.

{summary}

| fault | size | layer | before | verdict | after | resolved | alerts |
|---|---|---|---|---|---|---|---|
"""


class Spell(NamedTuple):
    """Which flights are written: those of the reference, and the logs of the exporter. Each from a day to a day."""

    reference: tuple[str, str] = ("2013-03-01", "2013-04-01")
    logs: tuple[str, str] = ("2013-03-20", "2013-04-14")


APRIL = Spell()


def prepare(folder: Path, cache: Path, spell: Spell = APRIL) -> Path:
    """Writes logs with a column of errors, and the baseline; returns the configuration."""
    table = prepared_table(cache)
    clock = Compression(microseconds(REFERENCE_FROM), microseconds(REFERENCE_FROM), 1.0)
    import pandas as pd  # noqa: PLC0415

    for name, days in spell._asdict().items():
        rows = between(table, *(pd.Timestamp(day, tz="UTC") for day in days))
        write_log(folder / name / "predictions.jsonl", without_errors(prediction_log(rows, clock)))
        write_log(folder / name / "labels.jsonl", label_log(rows, clock))
    text = (HERE / "ml-exporter.yaml").read_text(encoding="utf-8")
    path = folder / "ml-exporter.yaml"
    path.write_text(text.replace("        fallback: fallback\n", "        fallback: fallback\n        error: error\n"))
    shutil.copy(HERE / "thresholds.yaml", folder)
    (folder / "routing.yaml").write_text(ROUTING)
    logs = make_baseline.ReferenceLogs(["reference/predictions.jsonl"], ["reference/labels.jsonl"])
    made = make_baseline.make(read_config(path), MODEL, logs, folder)
    (folder / "baseline.json").write_text(baseline.dump(made.baseline), encoding="utf-8")
    return path


def without_errors(log: Log) -> Log:
    """The log with a column that says that nothing failed."""
    return Log(log.due_us, [line[:-1] + ', "error": false}' for line in log.lines])


def part(names: Sequence[str], sizes: Sequence[str], folder: Path, tools: Path, step_minutes: int) -> list[Row]:
    """Drills some faults that begin alike in the logs of a folder."""
    lead = 8 * 24 if names[0] in LAST_WEEK else 6
    step = min(step_minutes, FINE_MINUTES) if names[0] in FINE else step_minutes
    lengths = Lengths(lead * HOUR_US, 48 * HOUR_US, 30 * HOUR_US, step * 60_000_000)
    asked = [(name, size) for name in names for size in sizes]
    tasks = [Task(BY_NAME[name], BY_NAME[name].sizes[SIZES.index(size)]) for name, size in asked]
    settings = Settings(thresholds=folder / "thresholds.yaml", routing=folder / "routing.yaml")
    loaded = load(folder / "ml-exporter.yaml")
    result = offline(loaded, MODEL, Offline(tasks, lengths, START_US, settings, tools, 1), lambda _: None)
    return rows(result, [size for _, size in asked])


def rows(result: Result, sizes: Sequence[str]) -> list[Row]:
    """What a row of the table needs, of every drill."""
    clean = sorted({item.name for item in heard(result.clean)})
    before = detection_before.read().tables[-1]
    plan = result.schedule
    when = {"start": iso(plan.start_us), "stop": iso(plan.stop_us), "end": iso(plan.end_us)}
    return [
        {
            "fault": item.fault.name,
            "size": size,
            "verdict": item.verdict,
            "cells": cells(item, size, before),
            "clean": clean,
        }
        | {"layers": layers(item)}
        | when
        for item, size in zip(result.drills, sizes, strict=True)
    ]


def layers(drilled: Drilled) -> list[str]:
    """The layers of which something was beyond its limit, whether or not for long enough to fire."""
    return sorted({alert.label("layer") for alert in (*(item.alert for item in drilled.seen), *drilled.pending)})


def cells(drilled: Drilled, size: str, before: Table) -> list[str]:
    """The cells of a drill; the table `before` has the verdict of then."""
    fault, first = drilled.fault, drilled.noticed
    ends = [item.resolved_seconds for item in drilled.seen if item.alert.label("layer") == fault.layer]
    last = None if None in ends else max((end for end in ends if end is not None), default=None)
    return [
        fault.name + ("" if fault.is_fault else " (no fault)"),
        f"{size}: {drilled.size:g}",
        fault.layer,
        before.rows[fault.name, size].verdict,
        drilled.verdict,
        duration(first.after_seconds) if first else "",
        duration(last) if ends else "",
        ", ".join(alerts(drilled)),
    ]


def alerts(drilled: Drilled) -> Iterator[str]:
    """Names of the alerts: those that paged in bold, those that were muted all the time and pending ones marked."""
    seen: dict[str, str] = {}
    for item in drilled.seen:
        shown = f"**{item.alert.name}**" if item.paged else item.alert.name
        if item.always_muted:
            shown = f"{item.alert.name} (muted)"
        if item.paged or item.alert.name not in seen:
            seen[item.alert.name] = shown
    yield from seen.values()
    yield from sorted({f"({item.name})" for item in drilled.pending if item.name not in seen})


def table(found: Sequence[Row], step_minutes: int) -> str:
    """The page, in Markdown."""
    clean = sorted({name for row in found for name in row["clean"]})
    when = {name: found[0][name] for name in ("start", "stop", "end")}
    head = HEAD.format(
        **when,
        step=f"{step_minutes} minutes",
        fine=f"{min(step_minutes, FINE_MINUTES)}",
        option="" if step_minutes == STEP_MINUTES else f" --step-minutes {step_minutes}",
        clean=f"({', '.join(clean)})" if clean else "(nothing does)",
        summary="\n".join(summary(found)),
    )
    return head + "".join(f"| {' | '.join(row['cells'])} |\n" for row in found)


def summary(found: Sequence[Row]) -> Iterator[str]:
    """How many faults of each size were noticed, and which were not."""
    for size in dict.fromkeys(row["size"] for row in found):
        faults = [row for row in found if BY_NAME[row["fault"]].is_fault and row["size"] == size]
        missed = [f"{row['fault']} ({row['verdict']})" for row in faults if row["verdict"] != "noticed"]
        noticed = f"{len(faults) - len(missed)} of {len(faults)} faults are noticed by an alert of their layer"
        yield f"- {size}: {noticed}" + (f". Not so: {', '.join(missed)}." if missed else ".")
        beyond = [row["fault"] for row in faults if BY_NAME[row["fault"]].layer not in row["layers"]]
        yield f"  {len(faults) - len(beyond)} drive a vital of their layer beyond its limit." + (
            f" Not so: {', '.join(beyond)}." if beyond else ""
        )
    others = [row for row in found if not BY_NAME[row["fault"]].is_fault]
    loud = [f"{row['fault']} {row['size']} ({row['verdict']})" for row in others if row["verdict"] != "quiet"]
    quiet = f"- no fault: {len(others) - len(loud)} of {len(others)} are quiet"
    yield quiet + (f". Not so: {', '.join(loud)}." if loud else ".")
    harmed = [f"{row['fault']} {row['size']}" for row in others if {"outcome", "data"} & set(row["layers"])]
    yield f"  {len(others) - len(harmed)} drive no vital of the layers outcome and data beyond its limit." + (
        f" Not so: {', '.join(harmed)}." if harmed else ""
    )


def parts() -> Iterator[Sequence[str]]:
    """What each process drills: some faults that begin alike. The ones that take longest come first."""
    yield LAST_WEEK
    short = [name for name in BY_NAME if name not in (*LAST_WEEK, *FINE)]
    yield from (short[first : first + PART] for first in range(0, len(short), PART))
    yield FINE


def drilled_in_processes(folder: Path, jobs: int, tools: Path, step_minutes: int, sizes: Sequence[str]) -> list[Row]:
    """Every fault at these sizes, in the order of the library."""

    def one(names: Sequence[str]) -> list[Row]:
        options = [f"--folder={folder}", f"--tools={tools}", f"--step-minutes={step_minutes}", "--part"]
        options += [f"--size={size}" for size in sizes]
        done = subprocess.run([sys.executable, __file__, *options, *names], check=True, stdout=subprocess.PIPE)
        click.echo(", ".join(names), err=True)
        found: list[Row] = json.loads(done.stdout)
        return found

    with ThreadPoolExecutor(jobs) as pool:
        found = [row for made in pool.map(one, parts()) for row in made]
    order = {name: place for place, name in enumerate(BY_NAME)}
    return sorted(found, key=lambda row: (order[row["fault"]], SIZES.index(row["size"])))


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: stdout.")
@click.option(
    "--step-minutes", type=int, default=STEP_MINUTES, show_default=True, help="How often rules are evaluated."
)
@click.option("--jobs", type=int, default=2, show_default=True, help="Processes at a time.")
@click.option("--tools", type=click.Path(path_type=Path), default=ROOT / ".tools" / "latest" / "bin")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / ".tools" / "cache")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder for logs. Default: a temporary one.")
@click.option("--size", "sizes", multiple=True, type=click.Choice(SIZES), help="Only these. May be repeated.")
@click.option(
    "--part", "is_part", is_flag=True, help="Drill only the faults named in the logs of --folder; print JSON."
)
@click.argument("faults", nargs=-1)
def main(  # noqa: PLR0913, PLR0917 - one argument an option
    out: Path | None,
    step_minutes: int,
    jobs: int,
    tools: Path,
    cache: Path,
    folder: Path | None,
    sizes: tuple[str, ...],
    is_part: bool,
    faults: tuple[str, ...],
) -> None:
    """Write the table of what is noticed."""
    sizes = tuple(size for size in SIZES if not sizes or size in sizes)
    if is_part and folder:
        click.echo(json.dumps(part(faults, sizes, folder, tools, step_minutes)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        prepare(place, cache)
        text = table(drilled_in_processes(place, jobs, tools, step_minutes, sizes), step_minutes)
    if out:
        out.write_text(text, encoding="utf-8")
        if len(sizes) == len(SIZES):
            earlier = detection_before.page(detection_before.read(), detection_before.present(text))
            out.with_stem(f"{out.stem}-before").write_text(earlier, encoding="utf-8")
    else:
        click.echo(text, nl=False)


if __name__ == "__main__":
    main()
