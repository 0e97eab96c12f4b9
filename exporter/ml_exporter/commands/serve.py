"""`ml-exporter serve`."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ml_exporter import options, web_options
from ml_exporter import serve as serving
from ml_exporter.packed import pack_dir


@click.command("serve", short_help="Follow the logs and serve /metrics.")
@options.CONFIG
@web_options.web
@click.option(
    "--log.level", "level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_obj
def command(given: Mapping[str, Any], path: Path, level: str) -> None:
    """Follow the logs and serve /metrics. SIGHUP reloads the configuration, SIGTERM stops."""
    logging.basicConfig(
        level=level.upper(), format="time=%(asctime)s level=%(levelname)s %(message)s", stream=sys.stderr
    )
    runbooks = pack_dir() / "runbooks"
    serving.run(path, web_options.served(given), runbooks if runbooks.is_dir() else None)
