"""Options of `ml-exporter preview`: which dashboards, of which time, from where."""

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ml_exporter import options, packed
from ml_exporter.preview import When, read_dashboards
from ml_exporter.previewing.dashboards import Dashboard
from ml_exporter.previewing.times import duration
from ml_exporter.prometheus import Prometheus, server


def _kept(name: str, *names: str, **settings: Any) -> Callable[..., Any]:
    """An option that is kept in the context, for there are more than a function should have arguments."""
    return click.option(*names, name, callback=options.kept, expose_value=False, **settings)


_OPTIONS = (
    _kept("uid", "--dashboard", default="ml-model", show_default=True, metavar="UID", help="Dashboard, or all."),
    _kept("url", "--prometheus.url", default="http://localhost:9090", show_default=True, help="Prometheus to ask."),
    _kept("auth_file", "--prometheus.auth-file", type=options.PATH, help="A file with user:password."),
    _kept("model", "--model", help="Model to show: the same as --var model=NAME. Default: the first."),
    _kept("variables", "--var", multiple=True, metavar="NAME=VALUE", help="Value of a variable. May be repeated."),
    _kept("start", "--from", help="now-24h, or an instant with zone. Default: as the dashboard says."),
    _kept("end", "--to", help="now, or an instant with zone. Default: as the dashboard says."),
    _kept("step", "--step", help="Time between two points, for a compressed demo. Default: as Grafana chooses it."),
    _kept("folder", "--dashboards", type=options.PATH, help="Folder of dashboards. Default: the pack's."),
    _kept("out", "--out", type=options.PATH, default=Path("preview.html"), show_default=True, help="Where to write."),
)


def preview(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what a preview needs to know; it is read from the context."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def prometheus(given: Mapping[str, Any]) -> Prometheus:
    """The Prometheus to ask. Raises ConfigError."""
    return Prometheus(server(given["url"], given["auth_file"]))


def dashboards(given: Mapping[str, Any]) -> list[Dashboard]:
    """The dashboards to show. Raises ConfigError."""
    return read_dashboards(given["folder"] or packed.pack_dir() / "dashboards" / "out", given["uid"])


def when(given: Mapping[str, Any], now: float) -> When:
    """The time to show. Raises ConfigError."""
    step = duration(given["step"]) if given["step"] else None
    return When(now, given["start"], given["end"], step)


def wanted(given: Mapping[str, Any], known: list[Dashboard]) -> Mapping[str, str]:
    """Values of variables. Raises UsageError for a variable that no dashboard has."""
    pairs = {name: value for name, _, value in (text.partition("=") for text in given["variables"])}
    found = pairs | ({"model": given["model"]} if given["model"] is not None else {})
    names = {variable.name for item in known for variable in item.variables}
    for name in found:
        if name not in names:
            known_names = ", ".join(sorted(names))
            raise click.UsageError(
                f"--var: expected one of {known_names}, got {name!r}. Name a variable of the dashboard."
            )
    return found
