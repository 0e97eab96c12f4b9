"""Options of the command line that several commands have, or that stand for something larger than a value."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ml_exporter import pushgateway as gateway

PATH = click.Path(path_type=Path)
CONFIG = click.option(
    "--config",
    "path",
    type=PATH,
    default=Path("ml-exporter.yaml"),
    show_default=True,
    help="The configuration file.",
)


def host_and_port(address: str, option: str = "--web.listen-address") -> tuple[str, int]:
    """What an address to listen at names; the host is empty for every address. Raises UsageError."""
    found = re.fullmatch(r"(.*):(\d{1,5})", address)
    if not found or int(found[2]) > 65535:
        raise click.UsageError(f"{option}: expected host:port, got {address!r}. Write for example 127.0.0.1:9846.")
    return found[1].strip("[]"), int(found[2])


def instant_us(text: str, option: str = "--at") -> int:
    """The instant that an option names, in microseconds. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.UsageError(
            f"{option}: expected an instant with zone, got {text!r}. Write for example 2013-05-01T00:00:00Z."
        )
    return round(moment.timestamp() * 1e6)


def kept(context: click.Context, parameter: click.Parameter, value: object) -> object:
    """Keeps an option in the context, for a command with more of them than a function should have arguments."""
    context.ensure_object(dict)[str(parameter.name)] = value
    return value


_PUSH_OPTIONS = (
    click.option("--pushgateway", "url", callback=kept, expose_value=False, help="Replace a group of this one."),
    click.option(
        "--pushgateway.job", "job", default="ml_exporter", show_default=True, callback=kept, expose_value=False
    ),
    click.option(
        "--pushgateway.grouping",
        "grouping",
        multiple=True,
        callback=kept,
        expose_value=False,
        help="A label of the group beside job, as name=value. May be repeated.",
    ),
    click.option(
        "--pushgateway.auth-file",
        "auth_file",
        type=PATH,
        callback=kept,
        expose_value=False,
        help="A file with user:password.",
    ),
    click.option(
        "--pushgateway.ca-file",
        "ca_file",
        type=PATH,
        callback=kept,
        expose_value=False,
        help="Certificates to trust, in PEM.",
    ),
    click.option(
        "--pushgateway.timeout",
        "timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=gateway.TIMEOUT_SECONDS,
        show_default=True,
        callback=kept,
        expose_value=False,
        help="Seconds without an answer.",
    ),
)


def pushgateway(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what names a group of a Pushgateway; `group` reads it from the context."""
    return reduce(lambda decorated, option: option(decorated), reversed(_PUSH_OPTIONS), command)


def group(options: Mapping[str, Any]) -> gateway.Group | None:
    """The group of a Pushgateway that the options name, if they name one."""
    if options["url"] is None:
        return None
    client = gateway.Client(options["auth_file"], options["ca_file"], options["timeout"])
    return gateway.group(options["url"], options["job"], options["grouping"], client)
