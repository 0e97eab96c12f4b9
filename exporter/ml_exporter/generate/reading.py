"""What an alert reads: the exported metrics behind its expression and behind the records in it, and their windows."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml_exporter.catalogue import METRICS

_SERIES = re.compile(r"\b(ml:[\w:]+|ml_\w+)")
_WINDOWS = re.compile(r'\bwindow=~?"([\w|]+)"')
_NO_SIGNAL = ("ml:threshold:", "ml:model:")
"""Limits and owners are no numbers of the model."""
_METRICS = {item.name for item in METRICS}
_PART_OF_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


@dataclass(frozen=True)
class Read:
    """The metrics in the order in which they are met, the windows that the alert names, and whether it reads segments.

    No window means all of them.
    """

    metrics: tuple[str, ...]
    windows: tuple[str, ...]
    segments: bool

    def __str__(self) -> str:
        r"""As the first lines of a runbook have it, for people and for the exporter's page of it.

        >>> str(Read(("ml_feature_psi", "ml_window_rows"), ("1d",), False))
        'Reads ml_feature_psi, ml_window_rows over 1d.'
        """
        over = f" over {', '.join(self.windows)}" if self.windows else ""
        parts = " of segments" if self.segments else ""
        return f"Reads {', '.join(self.metrics) or 'nothing of a model'}{over}{parts}."


def by_alert(alerts: Iterable[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]) -> Mapping[str, Read]:
    """What each alert reads, by its name; an alert may have several rules."""
    by_name: dict[str, list[str]] = {}
    for rule in records:
        by_name.setdefault(rule["record"], []).append(rule["expr"])
    exprs: dict[str, list[str]] = {}
    for rule in alerts:
        exprs.setdefault(rule["alert"], []).append(rule["expr"])
    return {name: _read(found, by_name) for name, found in exprs.items()}


def _read(waiting: list[str], by_name: Mapping[str, Sequence[str]]) -> Read:
    """What expressions read, through the records of these names."""
    windows = {name for expr in waiting for found in _WINDOWS.findall(expr) for name in found.split("|")}
    met: dict[str, None] = {}
    segments = False
    for expr in waiting:  # which grows meanwhile
        segments = segments or 'segment_by!=""' in expr
        for name in _SERIES.findall(expr):
            if name not in met and not name.startswith(_NO_SIGNAL):
                met[name] = None
                waiting += by_name.get(name, ())
    metrics = dict.fromkeys(name if name in _METRICS else _PART_OF_HISTOGRAM.sub("", name) for name in met)
    return Read(tuple(name for name in metrics if name in _METRICS), tuple(sorted(windows)), segments)
