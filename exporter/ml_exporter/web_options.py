"""Options of the command line for the HTTP side of `serve`. They are named as Prometheus names its own."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import click

from ml_exporter.options import PATH, host_and_port, kept
from ml_exporter.serve import Web
from ml_exporter.web import Address, WebConfig, site

_OPTIONS = (
    click.option(
        "--web.listen-address",
        "addresses",
        multiple=True,
        default=[":9846"],
        show_default=True,
        callback=kept,
        expose_value=False,
        help="Host and port; without a host, every address. May be repeated.",
    ),
    click.option(
        "--web.external-url",
        "external_url",
        callback=kept,
        expose_value=False,
        help="The URL under which people reach this, for example https://example.org/ml. Links begin with its path.",
    ),
    click.option(
        "--web.route-prefix",
        "route_prefix",
        callback=kept,
        expose_value=False,
        help="Path before /metrics and all others, as requests arrive. Default: the path of --web.external-url.",
    ),
    click.option(
        "--web.enable-lifecycle",
        "lifecycle",
        is_flag=True,
        callback=kept,
        expose_value=False,
        help="Allow a reload and a stop by HTTP: POST /-/reload and /-/quit.",
    ),
    click.option(
        "--web.config.file",
        "web_config",
        type=PATH,
        callback=kept,
        expose_value=False,
        help="TLS, client certificates, users and headers, in the format of Prometheus' exporters: docs/security.md.",
    ),
)


checked = click.option("--web.config.file", "web_config", type=PATH, help="A file for `serve` that is validated too.")


def web(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what the HTTP side needs; `served` reads it from the context."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def served(given: Mapping[str, Any]) -> Web:
    """What the options say. Raises UsageError and ProblemsError."""
    addresses = [Address(*host_and_port(text)) for text in given["addresses"]]
    place = site(given["external_url"], given["route_prefix"])
    config = WebConfig(given["web_config"]) if given["web_config"] else None
    return Web(addresses, place, given["lifecycle"], config)
