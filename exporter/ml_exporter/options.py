"""Options of the command line that several commands have, or that stand for something larger than a value."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ml_exporter import pushgateway as gateway
from ml_exporter.catalogue import METRICS
from ml_exporter.replay import Settings
from ml_exporter.strict import seconds

LOOKBACK_SECONDS = 300.0
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


_REPLAY_OPTIONS = (
    click.option(
        "--from",
        "start",
        callback=kept,
        expose_value=False,
        help="First instant, ISO 8601 with zone. Default: the first row.",
    ),
    click.option(
        "--to", "stop", callback=kept, expose_value=False, help="Instant to stop before. Default: behind the last row."
    ),
    click.option(
        "--step", default="1m", show_default=True, callback=kept, expose_value=False, help="Time between two scrapes."
    ),
    click.option(
        "--target-labels",
        "labels",
        default="job=ml-exporter,instance=localhost:9846",
        show_default=True,
        callback=kept,
        expose_value=False,
        help="Labels that the scrape job adds.",
    ),
)


def replay(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what is replayed; `replayed` reads it from the context."""
    return reduce(lambda decorated, option: option(decorated), reversed(_REPLAY_OPTIONS), command)


def replayed(options: Mapping[str, Any], output: Path) -> Settings:
    """What the options say of a replay. Raises UsageError."""
    start, stop = (
        instant_us(options[name], option) if options[name] else None
        for name, option in (("start", "--from"), ("stop", "--to"))
    )
    step_us = round(_step_seconds(options["step"]) * 1e6)
    if stop is not None and start is not None and stop <= start:
        raise click.UsageError("--to: expected an instant after --from, got one before. Swap them.")
    return Settings(output, step_us, _labels(options["labels"]), start, stop)


def _step_seconds(text: str) -> float:
    """The seconds of a step: at most the five minutes for which Prometheus takes a sample as current."""
    found = seconds(text, "--step")
    if not 1 <= found <= LOOKBACK_SECONDS:
        raise click.UsageError(
            f"--step: expected 1s to 5m, got {text}. Prometheus takes no sample as current for longer than 5 minutes."
        )
    return found


def _labels(text: str) -> Mapping[str, str]:
    """Target labels, as name=value and comma. Their names are not those of a metric's own labels."""
    found = dict(part.partition("=")[::2] for part in text.split(",") if part)
    taken = {label for metric in METRICS for label in metric.labels} | {"le", "__name__"}
    for name, value in found.items():
        if not re.fullmatch(r"[a-zA-Z_]\w*", name, re.ASCII) or name in taken or not value:
            raise click.UsageError(
                f"--target-labels: expected name=value with a name that no metric has as a label, got {name}={value}. "
                "Write for example job=ml-exporter,instance=host:9846."
            )
    return found
