"""`ml-exporter once`."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ml_exporter import fitness, options
from ml_exporter import once as finished
from ml_exporter import textfile as files
from ml_exporter.commands import saying
from ml_exporter.exposition import Renderer
from ml_exporter.loading import load


@click.command("once", short_help="Print the gauges of finished logs: is their data fit.")
@options.CONFIG
@click.option("--at", help="Instant at which the windows end, ISO 8601 with zone. Default: the end of the data.")
@click.option(
    "--textfile", type=options.PATH, help="Write a *.prom file for the textfile collector of the node exporter instead."
)
@options.pushgateway
@click.option(
    "--max-rejected-ratio",
    type=click.FloatRange(0, 1),
    default=fitness.MAX_REJECTED_RATIO,
    show_default=True,
    help="Share of refused lines of a source beyond which its data is unfit.",
)
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(["drift", "nulls"]),
    help="Data is unfit too when a feature drifts, or is null, beyond the limits of the alerts. May be repeated.",
)
@click.pass_obj
def command(
    pushed: Mapping[str, Any],
    path: Path,
    at: str | None,
    textfile: Path | None,
    max_rejected_ratio: float,
    fail_on: tuple[str, ...],
) -> None:
    """Print the gauges of finished logs, and say whether their data is fit. Nothing is remembered.

    Exit code 0: the data is fit. 1: it is not, and stderr has a line for each reason. 2: nothing can be said, because
    of the command line, the configuration, or an output that cannot be written.
    """
    group, target = options.group(pushed), files.checked(textfile) if textfile else None
    instant, now = options.instant_us(at) if at else None, time.time()
    result = finished.run(load(path), instant, round(now * 1e6), fitness.Limits(max_rejected_ratio, frozenset(fail_on)))
    _say(result)
    if target:
        known = files.values_by_model(target, finished.SUCCESS)
        files.write(target, Renderer().render(finished.exposed(result, now, known)))
    if group:
        known = group.values_by_model(finished.SUCCESS) if result.unfit else {}
        group.replace(Renderer().render(finished.exposed(result, now, known)))
    if not target and not group:
        click.echo(Renderer().render(finished.exposed(result, now, {})).decode(), nl=False)
    if result.findings:
        sys.exit(1)


def _say(result: finished.Finished) -> None:
    """What was lost and what is unfit, a line each."""
    saying.say_lost(result.rejected)
    for finding in result.findings:
        click.echo(f"unfit: {finding.text}", err=True)
