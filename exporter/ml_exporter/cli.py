"""The command line.

Exit codes: 0 fine, 1 findings (a check failed), 2 bad usage or configuration. Data goes to stdout, messages to stderr.
"""

import sys
from importlib import import_module

import click

from ml_exporter import __version__
from ml_exporter.errors import ExporterError

NAMES = ("baseline", "check", "serve", "once", "generate", "replay", "preview", "drill")


class Commands(click.Group):
    """The commands by name. Each is a module of `commands`, loaded when asked for: `serve` is to start quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order in which people need them."""
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them, or None if there is none of this name."""
        if cmd_name not in NAMES:
            return None
        command: click.Command = import_module(f"ml_exporter.commands.{cmd_name}").command
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Exposes drift, data quality, latency and quality of ML models, from their logs, to Prometheus.

    Begin with docs/quick-start.md.
    """


def main() -> None:
    """Runs the command line. Errors that are meant for the user are one line each, and exit with 2."""
    try:
        cli(prog_name="ml-exporter", standalone_mode=False)
    except ExporterError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
