"""The detection table: every fault of the library, injected into April's flights at three sizes.

    python examples/01-flights/detection.py --out docs/detection.md

It needs promtool and amtool (`make tools`) and some ten minutes on two cores.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from flights import REFERENCE_FROM, SERVING_FROM, prepared_table
from write_logs import Compression, Log, between, label_log, microseconds, prediction_log, write_log

from ml_exporter import baseline, make_baseline
from ml_exporter.drill import Offline, Result, Task, offline
from ml_exporter.drilling import Drilled, Lengths, Seen
from ml_exporter.drilling.report import duration, heard
from ml_exporter.drilling.schedule import iso
from ml_exporter.faults import BY_NAME
from ml_exporter.generate import Settings
from ml_exporter.loading import load, read_config

MODEL = "flight_delay"
BEGIN, END = "2013-03-01", "2013-04-14"
START_US = 1_365_573_600_000_000
"""10 April 2013, 06:00 UTC, the end of a night. The incident of the month is on the 22nd."""
SIZES = ("small", "middle", "large")
HOUR_US = 3_600_000_000

ROUTING = """# No ladder: escalation counts minutes, and the rules are evaluated more seldom here.
default: {pages: oncall, warnings: channel}
receivers:
  oncall: {webhook: {url: 'http://localhost:8060/oncall'}}
  channel: {webhook: {url: 'http://localhost:8060/channel'}}
"""

HEAD = """# What is noticed

Every fault of the library, injected into the flights of April 2013 at three sizes, with the rules of the pack and
the thresholds of [the example](../examples/01-flights/README.md). Written by

    python examples/01-flights/detection.py --out docs/detection.md

The model was made from January and February, its baseline from March; the exporter has watched since March. {begin} to
{start}: clean logs. Then
the fault until {stop} at the latest, then clean logs until {end}. Rules were evaluated every {step}.
The flights know no errors, so their log got a column that says so.

`after` is from the start of the fault to the first alert of its layer, `resolved` from the fix to the end of the last
one (negative: over before the fix; never: beyond the end of the drill). Alerts in brackets were beyond their limit, but
not for long enough to fire; **bold** ones page. What fires on the clean logs at the time is left out {clean}.
[Drills](drills.md) says what the verdicts mean.

{summary}

| fault | size | layer | verdict | after | resolved | alerts |
|---|---|---|---|---|---|---|
"""


def prepare(folder: Path, cache: Path) -> Path:
    """Writes logs with a column of errors, and the baseline; returns the configuration."""
    table = prepared_table(cache)
    clock = Compression(microseconds(REFERENCE_FROM), microseconds(REFERENCE_FROM), 1.0)
    import pandas as pd  # noqa: PLC0415

    served = between(table, pd.Timestamp(BEGIN, tz="UTC"), pd.Timestamp(END, tz="UTC"))
    for name, rows in (("reference", between(table, REFERENCE_FROM, SERVING_FROM)), ("logs", served)):
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


def table(result: Result, sizes: Sequence[str]) -> str:
    """The page, in Markdown."""
    schedule = result.schedule
    clean = sorted({item.name for item in heard(result.clean)})
    head = HEAD.format(
        begin=iso(schedule.begin_us),
        start=iso(schedule.start_us),
        stop=iso(schedule.stop_us),
        end=iso(schedule.end_us),
        step=duration(schedule.step_us / 1e6),
        clean=f"({', '.join(clean)})" if clean else "(nothing does)",
        summary="\n".join(summary(result.drills, sizes)),
    )
    return head + "".join(f"| {' | '.join(row(item))} |\n" for item in result.drills)


def size_of(drilled: Drilled) -> str:
    """The name of a size."""
    return SIZES[drilled.fault.sizes.index(drilled.size)]


def summary(drills: Sequence[Drilled], sizes: Sequence[str]) -> Iterator[str]:
    """How many faults of each size were noticed, and which were not."""
    for size in sizes:
        faults = [item for item in drills if item.fault.is_fault and size_of(item) == size]
        missed = [f"{item.fault.name} ({item.verdict})" for item in faults if item.verdict != "noticed"]
        yield (
            f"- {size}: {len(faults) - len(missed)} of {len(faults)} faults are noticed by an alert of their layer"
            + (f". Not so: {', '.join(missed)}." if missed else ".")
        )
    others = [item for item in drills if not item.fault.is_fault]
    loud = [f"{item.fault.name} {item.size:g} ({item.verdict})" for item in others if item.verdict != "quiet"]
    yield f"- no fault: {len(others) - len(loud)} of {len(others)} are quiet" + (
        f". Not so: {', '.join(loud)}." if loud else "."
    )


def row(drilled: Drilled) -> list[str]:
    """The cells of a drill."""
    fault, first = drilled.fault, drilled.noticed
    last = max(
        (item.resolved_seconds if item.resolved_seconds is not None else float("inf") for item in layered(drilled)),
        default=None,
    )
    return [
        fault.name + ("" if fault.is_fault else " (no fault)"),
        f"{size_of(drilled)}: {drilled.size:g}",
        fault.layer,
        drilled.verdict,
        duration(first.after_seconds) if first else "",
        "" if last is None else duration(None if last == float("inf") else last),
        ", ".join(alerts(drilled)),
    ]


def layered(drilled: Drilled) -> list[Seen]:
    """What was seen by the layer of the fault."""
    return [item for item in drilled.seen if item.alert.label("layer") == drilled.fault.layer]


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


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: stdout.")
@click.option("--sizes", default=",".join(SIZES), show_default=True)
@click.option("--faults", default=",".join(BY_NAME), help="Default: all.")
@click.option("--step-minutes", type=int, default=30, show_default=True)
@click.option("--jobs", type=int, default=2, show_default=True)
@click.option("--tools", type=click.Path(path_type=Path), default=ROOT / ".tools" / "latest" / "bin")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / ".tools" / "cache")
def main(out: Path | None, sizes: str, faults: str, step_minutes: int, jobs: int, tools: Path, cache: Path) -> None:  # noqa: PLR0913, PLR0917
    """Write the table of what is noticed."""
    words = [size for size in SIZES if size in sizes.split(",")]
    names = [name for name in BY_NAME if name in faults.split(",")]
    tasks = [Task(BY_NAME[name], BY_NAME[name].sizes[SIZES.index(size)]) for name in names for size in words]
    lengths = Lengths(6 * HOUR_US, 48 * HOUR_US, 30 * HOUR_US, step_minutes * 60_000_000)
    with tempfile.TemporaryDirectory() as folder:
        path = prepare(Path(folder), cache)
        settings = Settings(thresholds=path.parent / "thresholds.yaml", routing=path.parent / "routing.yaml")
        wanted = Offline(tasks, lengths, START_US, settings, tools, jobs)
        result = offline(load(path), MODEL, wanted, lambda text: click.echo(text, err=True))
    text = table(result, words)
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


if __name__ == "__main__":
    main()
