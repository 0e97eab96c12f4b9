"""`ml-exporter preview`."""

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from ml_exporter import preview as previewed
from ml_exporter import preview_options
from ml_exporter.commands import saying


@click.command("preview", short_help="Draw the dashboards as one HTML page, without Grafana.")
@preview_options.preview
@click.pass_obj
def command(given: Mapping[str, Any]) -> None:
    """Draw Grafana dashboards against any Prometheus, as one page that needs neither Grafana nor a network.

    Exit code 0: everything was asked and drawn. 1: a query failed, or something cannot be drawn; the page shows it in
    its place, and stderr has a line for each. 2: nothing can be shown.
    """
    found = preview_options.dashboards(given)
    when, wanted = preview_options.when(given, time.time()), preview_options.wanted(given, found)
    result = previewed.preview(preview_options.prometheus(given), found, when, wanted)
    saying.write(given["out"], "--out", result.html)
    for finding in result.findings:
        click.echo(finding, err=True)
    click.echo(f"{given['out']}: {result.summary()}", err=True)
    if result.findings:
        sys.exit(1)
