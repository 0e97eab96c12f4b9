"""`ml-exporter check`."""

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from ml_exporter import check as checking
from ml_exporter import options, web_options
from ml_exporter.loading import load
from ml_exporter.web import WebConfig


@click.command("check", short_help="Validate the configuration, and count the series.")
@options.CONFIG
@web_options.checked
def command(path: Path, web_config: Path | None) -> None:
    """Validate the configuration and its baselines, and print how many series each model will export."""
    if web_config:
        access = WebConfig(web_config).current
        click.echo(f"{web_config}: {'TLS' if access.tls else 'plain HTTP'}, {len(access.users)} users")
    loaded = load(path)
    forecasts = checking.series(loaded)
    for name, found in forecasts.items():
        limit = loaded.config.models[name].series_limit
        click.echo(f"{name}: {found.count} series (limit {limit}), baseline {loaded.baselines[name].fingerprint}")
        if len(found.series) > 1:
            click.echo(f"{name}: of these {_listed(found.series)}")
        for warning in loaded.baselines[name].warnings:
            click.echo(f"{name}: {warning}", err=True)
        if found.dropped:
            count, action = sum(found.dropped.values()), "Raise series_limit, or configure fewer windows or segments"
            click.echo(f"{name}: {count} series would be dropped: {_listed(found.dropped)}. {action}.", err=True)
    if any(found.dropped for found in forecasts.values()):
        sys.exit(1)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} for {kind}" for kind, count in counts.items())
