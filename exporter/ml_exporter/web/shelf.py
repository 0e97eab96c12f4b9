"""The list of runbooks: by layer, so that whoever has no alert's link finds the one that fits what is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass

from .runbooks import Runbook

LAYERS = {
    "outcome": ("Outcome", "The model is wrong, slow or fails. Begin here if people are affected."),
    "data": ("Data", "A pipeline is broken: values are missing or unreadable, rows are too few or too many."),
    "diagnostic": ("Diagnosis", "Inputs or answers moved. It may explain an outcome, or be harmless."),
    "freshness": ("Freshness", "Labels, sources or the reference are late or old, so other numbers say less."),
    "meta": ("The exporter", "The monitoring itself is ill."),
    "": ("Others", "Runbooks that name no layer."),
}
"""Title and meaning of each layer, in the order of the list."""


@dataclass(frozen=True)
class Shelf:
    """The runbooks of one layer."""

    title: str
    meaning: str
    books: tuple[Runbook, ...]


def shelves(books: Iterable[Runbook]) -> tuple[Shelf, ...]:
    """The runbooks by layer, by name within one; layers without any are left out."""
    found: dict[str, list[Runbook]] = {}
    for book in sorted(books, key=lambda book: book.name):
        found.setdefault(book.layer if book.layer in LAYERS else "", []).append(book)
    return tuple(Shelf(*LAYERS[layer], tuple(found[layer])) for layer in LAYERS if layer in found)
