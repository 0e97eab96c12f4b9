"""What fires on two clean months: the pack on the flights as they were, without a fault.

    python examples/01-flights/clean_days.py

Logs, baseline and rules are those of `detection.py`. Rules are evaluated every hour. It prints every time that
an alert fired, then how often each did.
It needs promtool and amtool (`make tools`), some ten minutes and 3 GB. Other months, of which no limit of the pack was
made: `--reference 2013-09-01 2013-10-01 --watch 2013-10-02 2013-11-30`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import click
from detection import HOUR_US, MODEL, ROOT, Spell, prepare

from ml_exporter.drill import Offline, offline
from ml_exporter.drilling import Lengths
from ml_exporter.drilling.report import heard
from ml_exporter.drilling.schedule import DAY_US, iso
from ml_exporter.generate import Settings
from ml_exporter.loading import load

LEAD_DAYS = 12
"""The exporter watches so long before the first day that counts: some rules look back a week."""


def days_us(day: str) -> int:
    """Midnight (UTC) of a day, in microseconds."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_US


@click.command()
@click.option("--reference", nargs=2, default=("2013-03-01", "2013-04-01"), show_default=True, help="Days of it.")
@click.option("--watch", nargs=2, default=("2013-04-02", "2013-05-30"), show_default=True, help="Days that count.")
@click.option("--tools", type=click.Path(path_type=Path), default=ROOT / ".tools" / "latest" / "bin")
@click.option("--cache", type=click.Path(path_type=Path), default=ROOT / ".tools" / "cache")
def main(reference: tuple[str, str], watch: tuple[str, str], tools: Path, cache: Path) -> None:
    """Print what fires on clean logs."""
    begin = str(date.fromisoformat(watch[0]) - timedelta(LEAD_DAYS))
    end = str(date.fromisoformat(watch[1]) + timedelta(1))
    watched_us = days_us(watch[1]) - days_us(watch[0]) - HOUR_US
    lengths = Lengths(LEAD_DAYS * DAY_US, watched_us, HOUR_US, HOUR_US)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        loaded = load(prepare(folder, cache, Spell(reference, (begin, end))))
        settings = Settings(thresholds=folder / "thresholds.yaml", routing=folder / "routing.yaml")
        result = offline(loaded, MODEL, Offline([], lengths, days_us(watch[0]), settings, tools, 1), lambda _: None)
    counts: Counter[str] = Counter()
    for alert in heard(result.clean):
        for span in alert.firing:
            if span.until_us is None or span.until_us > result.schedule.start_us:
                until = "the end" if span.until_us is None else iso(span.until_us)
                click.echo(f"{alert.name} {alert.label('severity')} {iso(span.since_us)} to {until}")
                counts[f"{alert.name}_{alert.label('severity')}"] += 1
    for name, count in sorted(counts.items()):
        click.echo(f"{name} {count} firings")


if __name__ == "__main__":
    main()
