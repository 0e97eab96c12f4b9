"""Segments: the rows of a model by a column of the log, each value with panes of its own, capped in number."""

from ml_exporter.segments.plan import plan
from ml_exporter.segments.scopes import NOWHERE, Combination, Panned, Scope, Segments
from ml_exporter.segments.values import MAX_TEXT, NONE, OTHER, By, Codes, Values, cleaned, ranked

__all__ = [
    "MAX_TEXT",
    "NONE",
    "NOWHERE",
    "OTHER",
    "By",
    "Codes",
    "Combination",
    "Panned",
    "Scope",
    "Segments",
    "Values",
    "cleaned",
    "plan",
    "ranked",
]
