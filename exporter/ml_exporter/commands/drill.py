"""`ml-exporter drill`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ml_exporter import drill as drilling
from ml_exporter import drill_options, options
from ml_exporter.commands import saying
from ml_exporter.loading import Loaded, load


@click.command("drill", short_help="Inject faults, and see which alerts notice them.")
@options.CONFIG
@drill_options.drill
@click.pass_obj
def command(given: Mapping[str, Any], path: Path) -> None:
    """Inject faults into recorded logs, and say what the generated rules notice.

    Clean logs, then a fault, then clean logs are replayed; the rules are evaluated by Prometheus' own engine. Exit code
    0: every fault was noticed by an alert of its layer, and nothing that is no fault paged. 1: not so, and stderr has a
    line for each. 2: nothing can be said.

    With --live, a marked model of the running exporter loses a feature, and its alert is followed through Prometheus
    and Alertmanager to the notification and back. Exit code 1: a step did not happen in time.
    """
    if given["cron"]:
        click.echo(drill_options.scheduled(given, path), nl=False)
        return
    loaded = load(path)
    name = drill_options.model_of(loaded.config, given["model"])
    if given["live"]:
        _drill_live(loaded, name, given)
        return
    wanted = drill_options.wanted(given)
    with drill_options.progress(len(wanted.tasks)) as advance:
        result = drilling.offline(loaded, name, wanted, advance)
    if str(given["json"]) == "-":
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        drilling.show(result, drill_options.console())
    saying.write(drill_options.target(given["json"]), "--json", json.dumps(result.as_json(), indent=2) + "\n")
    saying.write(given["html"], "--html", result.as_html() if given["html"] else "")
    for finding in result.findings:
        click.echo(finding, err=True)
    if result.findings:
        sys.exit(1)


def _drill_live(loaded: Loaded, name: str, given: Mapping[str, Any]) -> None:
    with drill_options.live(given) as live:
        try:
            drilling.live_drill(loaded, name, live, click.echo)
        except drilling.OverdueError as error:
            click.echo(str(error), err=True)
            sys.exit(1)
