"""Options of the command line that say what is replayed."""

import re
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ml_exporter.catalogue import METRICS
from ml_exporter.options import instant_us, kept
from ml_exporter.replay import Settings
from ml_exporter.strict import seconds

LOOKBACK_SECONDS = 300.0
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
