"""The report of drills as one page: no script, no address that is loaded, everything from logs escaped."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ml_exporter.drilling import charts
from ml_exporter.drilling.alerts import Alert
from ml_exporter.drilling.report import about, duration, heard
from ml_exporter.drilling.schedule import Schedule, iso
from ml_exporter.drilling.verdicts import Drilled

SIZE = {"width": charts.WIDTH, "height": charts.HEIGHT, "left": charts.LEFT, "right": charts.WIDTH - charts.RIGHT}
PLACES = {**SIZE, "top": charts.TOP, "bottom": charts.HEIGHT - charts.BOTTOM}


def page(
    model: str,
    schedule: Schedule,
    clean: Sequence[Alert],
    drills: Sequence[Drilled],
    reads: Mapping[str, charts.Reads],
) -> str:
    """The whole page, with a policy that lets nothing but its own style in."""
    loader = PackageLoader("ml_exporter.drilling")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(duration=duration, about=about, iso=iso, dict=dict, link=link)
    style = loader.get_source(environment, "drill.css")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    values: dict[str, Any] = {
        "model": model,
        "schedule": schedule,
        "clean": heard(clean),
        "drills": [(item, list(charts.charts_of(item, reads))) for item in drills],
        "good": all(item.is_good for item in drills),
        "style": Markup(style),  # noqa: S704 - our own file
        "digest": digest,
        "place": PLACES,
    }
    return environment.get_template("drill.html").render(values)


def link(address: str) -> str:
    """An address that may be opened from the page, or nothing: what an annotation says may be any text.

    >>> link("https://wiki/MLExporterDown"), link("javascript:alert(1)")
    ('https://wiki/MLExporterDown', '')
    """
    return address if address.startswith(("https://", "http://")) else ""
