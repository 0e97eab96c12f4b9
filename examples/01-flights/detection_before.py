"""What earlier tables of docs/detection.md said beside the present one, as a page.

    python examples/01-flights/detection_before.py --out docs/detection-before.md

The earlier tables are in detection_before.yaml. Before a new one is made, `--keep 'what changed'` puts the present one
there, with what changes in the pack from now on; `detection.py` then prints its verdicts beside the new ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import click
import yaml

from ml_exporter.faults import BY_NAME

HERE = Path(__file__).resolve().parent
TABLES = HERE / "detection_before.yaml"
PAGE = HERE.parents[1] / "docs" / "detection.md"
SIZES = ("small", "middle", "large")
MARKS = {
    "noticed": "●",
    "quiet": "●",
    "elsewhere": "◐",
    "told": "◐",
    "unnoticed": "○",
    "paged": "✕",
    "nothing to change": "–",
}
NOW = "now"
HEADER = """\
# What earlier tables of docs/detection.md said, the oldest first: of every fault and size the verdict, and the alerts
# that fired. `pack` is what changed in vitals and alerts since the table before, `now` since the last one here.
# Before a new table is made, detection_before.py --keep 'what changes' puts the present one here.
"""

HEAD = """# What was noticed before

The tables of [what is noticed](detection.md), one after the other, with what changed in vitals and alerts in between.
Written by

    python examples/01-flights/detection_before.py --out docs/detection-before.md

{changes}

{counts}

A cell has a mark for each table, the oldest first. A fault: ● noticed by an alert of its layer, ◐ only by others,
○ by none, – the logs lacked what it changes. No fault: ● quiet, ◐ other layers warned, ✕ somebody was paged.

| fault | small | middle | large |
|---|---|---|---|
{marks}
Wherever a verdict changed, the alerts that came with it (+) and went with it (−):

| fault | size | table | verdict | alerts |
|---|---|---|---|---|
{turns}"""


class Said(NamedTuple):
    """What a table says of a fault at a size: the verdict, and the alerts that fired."""

    verdict: str
    alerts: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table: how it differs in vitals and alerts from the one before, and its rows by fault and size.

    `step_minutes` is how often rules were evaluated.
    """

    pack: str
    step_minutes: int
    rows: Mapping[tuple[str, str], Said]


@dataclass(frozen=True)
class Before:
    """The earlier tables, the oldest first, and how the pack differs now from that of the last one."""

    tables: Sequence[Table]
    now: str


def read(path: Path = TABLES) -> Before:
    """What the file of earlier tables says."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    tables = [
        Table(
            item["pack"],
            item["step_minutes"],
            {(name, size): Said(verdict, tuple(alerts)) for name, size, verdict, *alerts in item["rows"]},
        )
        for item in document["tables"]
    ]
    return Before(tables, document["now"])


def written(before: Before) -> str:
    """The text of that file."""
    texts = [HEADER, yaml.safe_dump({"now": before.now}, allow_unicode=True, width=150), "tables:\n"]
    for table in before.tables:
        head = yaml.safe_dump([{"pack": table.pack, "step_minutes": table.step_minutes}], sort_keys=False, width=150)
        rows = (f"  - [{', '.join((*key, said.verdict, *said.alerts))}]\n" for key, said in table.rows.items())
        texts += [head, "  rows:\n", *rows]
    return "".join(texts)


def present(page: str) -> Table:
    """The table of docs/detection.md."""
    lines = [line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| ")]
    head, *rows = [[cell.strip() for cell in line] for line in lines]
    places = {name: place for place, name in enumerate(head)}
    found = {
        (row[places["fault"]].removesuffix(" (no fault)"), row[places["size"]].partition(":")[0]): Said(
            row[places["verdict"]], tuple(_fired(row[places["alerts"]]))
        )
        for row in rows
    }
    step = re.search(r"evaluated every (\d+) minutes", page)
    return Table("", int(step[1]) if step else 0, found)


def _fired(cell: str) -> Iterator[str]:
    """The alerts of a cell that fired: names in brackets did not.

    >>> list(_fired("**MLVolumeDrop**, MLModelMissing (muted), (MLFeatureDrift)"))
    ['MLVolumeDrop', 'MLModelMissing']
    """
    for item in cell.split(", "):
        if item and not item.startswith("("):
            yield item.removesuffix(" (muted)").strip("*")


def page(before: Before, now: Table) -> str:
    """The page, in Markdown."""
    every = [*before.tables, replace(now, pack=before.now)]
    names = [*map(str, range(1, len(every))), NOW]
    changes = "\n".join(
        f"- **{name}** (rules every {table.step_minutes} minutes). {table.pack}"
        for name, table in zip(names, every, strict=True)
    )
    marks = "".join(
        f"| {_named(fault)} | {' | '.join(''.join(_marks(every, fault, size)) for size in SIZES)} |\n"
        for fault in BY_NAME
    )
    return HEAD.format(
        changes=changes, counts="\n".join(_counts(names, every)), marks=marks, turns="".join(_turns(names, every))
    )


def _named(fault: str) -> str:
    return fault if BY_NAME[fault].is_fault else f"{fault} (no fault)"


def _marks(tables: Iterable[Table], fault: str, size: str) -> Iterator[str]:
    yield from (MARKS[table.rows[fault, size].verdict] for table in tables)


def _counts(names: Sequence[str], tables: Sequence[Table]) -> Iterator[str]:
    """How many faults each table noticed by size, and how much of what is no fault stayed quiet."""
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for title, size, is_fault in (
        *((f"faults, {size}", size, True) for size in SIZES),
        ("no fault, all sizes", "", False),
    ):
        cells = []
        for table in tables:
            asked = [
                said.verdict in ("noticed", "quiet")
                for (fault, its), said in table.rows.items()
                if BY_NAME[fault].is_fault == is_fault and its in (size or SIZES)
            ]
            cells.append(f"{sum(asked)} of {len(asked)}")
        yield f"| {title} | {' | '.join(cells)} |"


def _turns(names: Sequence[str], tables: Sequence[Table]) -> Iterator[str]:
    """A row wherever a verdict changed."""
    for key in ((fault, size) for fault in BY_NAME for size in SIZES):
        for name, one, other in zip(names[1:], tables, tables[1:], strict=False):
            before, after = one.rows[key], other.rows[key]
            if before.verdict != after.verdict:
                came = [f"+{alert}" for alert in after.alerts if alert not in before.alerts]
                went = [f"−{alert}" for alert in before.alerts if alert not in after.alerts]
                verdict = f"{before.verdict} → {after.verdict}"
                yield f"| {_named(key[0])} | {key[1]} | {name} | {verdict} | {', '.join(came + went)} |\n"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: stdout.")
@click.option("--keep", metavar="TEXT", help="Put the present table among the earlier ones; TEXT is what changes now.")
def main(out: Path | None, keep: str | None) -> None:
    """Write the page of what was noticed before."""
    before, now = read(), present(PAGE.read_text(encoding="utf-8"))
    if keep:
        tables = [*before.tables, Table(before.now, now.step_minutes, now.rows)]
        TABLES.write_text(written(Before(tables, keep)), encoding="utf-8")
        return
    text = page(before, now)
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        click.echo(text, nl=False)


if __name__ == "__main__":
    main()
