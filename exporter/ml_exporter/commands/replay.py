"""`ml-exporter replay`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ml_exporter import options, packed, replay_options
from ml_exporter import replay as replaying
from ml_exporter.commands import saying
from ml_exporter.loading import load


@click.command("replay", short_help="Give Prometheus a past, from recorded logs.")
@options.CONFIG
@click.option("--output", type=options.PATH, required=True, help="Folder for the files, and for what goes on from.")
@replay_options.replay
@click.option(
    "--rules",
    multiple=True,
    type=options.PATH,
    help="File of Prometheus rules whose recording rules get a past too. May be repeated. Default: the pack's.",
)
@click.pass_obj
def command(replayed: Mapping[str, Any], path: Path, output: Path, rules: tuple[Path, ...]) -> None:
    """Turn recorded logs into the series that would have been scraped, for a Prometheus that has no past yet.

    Writes OpenMetrics files into --output, and prints a shell script that makes blocks of them and of the recording
    rules, and moves them into a Prometheus. What was interrupted goes on when the same is run again.

    Exit code 0: all was replayed. 2: it could not be. 130: it was interrupted.
    """
    chosen = rules or tuple(sorted((packed.pack_dir() / "rules" / "out").glob("ml-exporter-*.yaml")))
    outcome, script = replaying.run(load(path), replay_options.replayed(replayed, output), chosen, Console(stderr=True))
    saying.say_lost(outcome.lost)
    state = "replayed" if script else "interrupted: run the same again to go on"
    click.echo(f"{output}: {outcome.instants} instants, {outcome.samples} samples, {state}", err=True)
    if not script:
        sys.exit(130)
    click.echo(script, nl=False)
