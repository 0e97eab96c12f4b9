"""Distances between two histograms over the same bins."""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Counts: TypeAlias = npt.NDArray[np.int64] | npt.NDArray[np.float64]


class Psi(NamedTuple):
    """A population stability index and the number of bins it stands on."""

    value: float
    bins: int


MINIMUM_EXPECTED = 5.0
"""Categories of which fewer rows are expected are too rare for a window."""


def merge_sparse(
    current: Counts, reference: Counts, minimum_expected: float = MINIMUM_EXPECTED
) -> tuple[Counts, Counts]:
    """Merge rare categories into the last cell, which is `__other__`; both totals stay.

    Rare is a category of which fewer than `minimum_expected` rows are expected in the window, by its share of
    the reference. The choice looks at the reference alone (and the window's size), so it does not bias the
    comparison.

    >>> merge_sparse(np.array([60, 30, 9, 1]), np.array([600, 370, 30, 0]))
    (array([60, 30, 10]), array([600, 370,  30]))
    """
    kept = frequent(current, reference, minimum_expected)
    return (
        np.append(current[kept], current[~kept].sum()),
        np.append(reference[kept], reference[~kept].sum()),
    )


def frequent(current: Counts, reference: Counts, minimum_expected: float = MINIMUM_EXPECTED) -> npt.NDArray[np.bool_]:
    """The categories that `merge_sparse` keeps, shape (bins,); never the last cell."""
    expected = reference * (float(current.sum()) / max(float(reference.sum()), 1.0))
    kept: npt.NDArray[np.bool_] = expected >= minimum_expected
    kept[-1] = False
    return kept


def rows_to_keep_one(reference: Counts, minimum_expected: float = MINIMUM_EXPECTED) -> int | None:
    """The fewest rows of a window in which `merge_sparse` keeps a category; None where the reference knows none.

    >>> rows_to_keep_one(np.array([600, 370, 30, 0])), rows_to_keep_one(np.array([0, 3]))
    (9, None)
    """
    most = int(reference[:-1].max(initial=0))
    return math.ceil(minimum_expected * float(reference.sum()) / most) if most else None


def floor_other(current: Counts, reference: Counts, share: float = 1e-4) -> Counts:
    """The reference with its last cell, `__other__`, raised to at least `share` of its total.

    It is raised no further than the window's own share of `__other__`. Without the floor the same 2 % of
    unseen values would read a PSI of 0.07 against a thousand reference rows and 0.26 against ten million;
    without the second bound an `__other__` that is truly rarer than `share` would drift in every large
    window. So the floor never raises a PSI. Call it after `merge_sparse`.

    >>> floor_other(np.array([98, 2]), np.array([1_000_000, 0])).tolist()
    [1000000.0, 100.0]
    """
    rows = max(float(current.sum()), 1.0)
    floor = min(share, float(current[-1]) / rows) * float(reference.sum())
    floored = reference.astype(np.float64)
    floored[-1] = max(floored[-1], floor)
    return floored


def psi(current: Counts, reference: Counts) -> Psi | None:
    """Population stability index `Σ (a - e) ln(a / e)` of two histograms (bins,) over the same bins.

    Bins empty on both sides are dropped, then 0.5 is added to every count (Jeffreys); `bins` is what remains.
    Without drift `psi / (1/n + 1/m)` is about chi-square with `bins - 1` degrees of freedom (Yurdakul 2018,
    "Statistical properties of the population stability index"). None when a side is empty or fewer than two
    bins remain.

    >>> value, bins = psi(np.array([40, 60, 0]), np.array([500, 500, 0]))
    >>> round(value, 4), bins
    (0.0397, 2)
    """
    parts = psi_parts(current, reference)
    return None if parts is None else Psi(float(parts[1].sum()), int(np.count_nonzero(parts[0])))


def psi_parts(current: Counts, reference: Counts) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]] | None:
    """Which bins the `psi` of two histograms stands on (bins,), and what each of those contributes to it.

    >>> kept, parts = psi_parts(np.array([40, 60, 0]), np.array([500, 500, 0]))
    >>> kept.tolist(), [round(part, 4) for part in parts.tolist()]
    ([True, True, False], [0.0218, 0.0179])
    """
    if current.shape != reference.shape:
        msg = f"psi: expected histograms over the same bins, got {current.shape} and {reference.shape}."
        raise ValueError(msg + " Count both with the edges of the reference.")
    kept = (current + reference) > 0
    bins = int(np.count_nonzero(kept))
    n, m = float(current.sum()), float(reference.sum())
    if bins <= 1 or n == 0 or m == 0:
        return None
    actual = (current[kept] + 0.5) / (n + 0.5 * bins)
    expected = (reference[kept] + 0.5) / (m + 0.5 * bins)
    return kept, (actual - expected) * np.log(actual / expected)


class Js(NamedTuple):
    """A Jensen-Shannon distance and the number of bins it stands on."""

    value: float
    bins: int


def jensen_shannon(current: Counts, reference: Counts) -> Js | None:
    """Jensen-Shannon distance, from 0 to 1, of two histograms (bins,) over the same bins.

    The square root of the mean divergence (base 2) of both from their mean (Endres and Schindelin 2003, "A new metric
    for probability distributions"). Bins empty on both sides are dropped, then a quarter is added to every count: the
    distance of a window without drift then is chi-square down to five expected rows a bin, and smaller below, where
    without it, it alarms several times too often, and with the half that suits PSI hardly ever. None when a side is
    empty or fewer than two bins remain.

    >>> value, bins = jensen_shannon(np.array([40, 60, 0]), np.array([500, 500, 0]))
    >>> round(value, 4), bins
    (0.085, 2)
    """
    kept = (current + reference) > 0
    bins = int(np.count_nonzero(kept))
    n, m = float(current.sum()), float(reference.sum())
    if bins <= 1 or n == 0 or m == 0:
        return None
    here = (current[kept] + 0.25) / (n + 0.25 * bins)
    there = (reference[kept] + 0.25) / (m + 0.25 * bins)
    middle = (here + there) / 2.0
    divergence = float((here * np.log2(here / middle) + there * np.log2(there / middle)).sum()) / 2.0
    return Js(max(0.0, divergence) ** 0.5, bins)
