"""What Prometheus answers to the queries of a panel, and the names that its series get from their legend."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ml_exporter.previewing.dashboards import Target

_LABEL = re.compile(r"\{\{\s*(.+?)\s*\}\}")


@dataclass(frozen=True)
class Series:
    """Values of one series by Unix second. An instant query gives one."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Answer:
    """The answer to one query as it was asked, or why there is none."""

    target: Target
    asked: str
    step: float
    series: tuple[Series, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Event:
    """Something that an annotation found, from its first to its last sample."""

    start: float
    end: float
    title: str
    color: str


def name_of(series: Series, answer: Answer) -> str:
    """The name of a series: its legend, or the series as PromQL writes it.

    A legend in which all labels are empty leaves no name but a space, as in Grafana.
    """
    legend = answer.target.legend
    if legend and legend != "__auto":
        return " ".join(_LABEL.sub(lambda found: series.labels.get(found[1], ""), legend).split())
    return written(series.labels) or answer.asked


def written(labels: Mapping[str, str]) -> str:
    """Labels as PromQL writes a series.

    >>> written({"__name__": "up", "job": "a"})
    'up{job="a"}'
    """
    pairs = [f'{key}="{value}"' for key, value in labels.items() if key != "__name__"]
    return labels.get("__name__", "") + (f"{{{', '.join(pairs)}}}" if pairs else "")
