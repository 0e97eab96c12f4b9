"""Bin edges. They come from the reference or from a constant, never from the window that is judged.

Edges are *inner* edges, strictly increasing: k edges make k + 1 bins, the outer two open. Except for latency,
bin i holds `edges[i-1] <= x < edges[i]`, which is `numpy.searchsorted(edges, x, side="right")`.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import expit

SCORE_BINS = 400
SCORE_LOGIT_LIMIT = 16.0
SCORE_LOGIT_BEND = 2.0
CONFIDENCE_BINS = 50
CLASS_SCORE_BINS = 200
CLASS_SCORE_LOGIT_LIMIT = 40.0
CLASS_SCORE_LOGIT_BEND = 4.0
ERROR_BINS = 50
ERROR_LIMIT = 64.0
ERROR_BEND = 6.0
# The bounds Prometheus users know (1, 2.5, 5 a decade), with two more between them.
LATENCY_BOUNDS_SECONDS = (
    0.001, 0.0015, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.075, 0.1, 0.15,
    0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0,
)  # fmt: skip


def feature_edges(values: npt.NDArray[np.float64], bins: int = 50, atom_share: float = 0.1) -> npt.NDArray[np.float64]:
    """Inner edges for one numeric feature, from all its valid reference values (any order, finite).

    A value seen at least twice whose share is `atom_share` or more is an *atom*: it gets the bin `[v,
    nextafter(v))` of its own. Without that a feature that is 93 % zeros would have a single bin and could
    never drift. The other values share the remaining bins by quantiles; edges are values that occur, so huge
    ones cannot overflow. There are at most `max(bins, 2 * atoms + 1)` bins, fewer with ties, and just one (no
    edge) without values.

    Raises ValueError when a value is not finite.

    >>> feature_edges(np.arange(8.0), bins=4).tolist()
    [2.0, 4.0, 6.0]
    >>> feature_edges(np.array([0.0] * 8 + [1.0, 2.0]), bins=5).tolist()
    [0.0, 5e-324, 2.0]
    """
    infinite = values.size - int(np.count_nonzero(np.isfinite(values)))
    if infinite:
        msg = f"feature_edges: expected finite values, got {infinite} others. Count them as null or invalid."
        raise ValueError(msg)
    ordered = np.sort(values) + 0.0  # -0.0 becomes 0.0: the edges do not depend on the order of the rows
    distinct, counts = np.unique(ordered, return_counts=True)
    atoms = distinct[(counts >= 2) & (counts / max(values.size, 1) >= atom_share)]
    rest = ordered[~np.isin(ordered, atoms)]
    cuts = _quantile_cuts(rest, atoms, max(bins - 2 * atoms.size, 1))
    with np.errstate(over="ignore"):  # beyond the largest float there is only infinity, which is no edge
        edges: npt.NDArray[np.float64] = np.unique(np.concatenate((atoms, np.nextafter(atoms, np.inf), cuts)))
    return edges[np.isfinite(edges)]


def _quantile_cuts(rest: npt.NDArray[np.float64], atoms: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    """Edges that split the sorted `rest` into `bins` equal shares, none of which leaves a bin empty."""
    if rest.size == 0:
        return rest
    cuts = np.unique(rest[np.arange(1, bins) * rest.size // bins])
    below = np.searchsorted(rest, cuts, side="left")
    cuts, below = cuts[below > 0], below[below > 0]
    # An atom between a cut and the value before it already separates the two.
    separated = np.searchsorted(atoms, cuts) > np.searchsorted(atoms, rest[below - 1])
    return cuts[~separated]


def psi_groups(counts: npt.NDArray[np.int64], groups: int = 10, atom_share: float = 0.1) -> npt.NDArray[np.int64]:
    """Group of each fine bin, shape (bins,): 0, 1, 2, ... without gaps, from the reference's counts per bin.

    Neighbours are merged until about `groups` groups of similar mass are left. A bin with a share of
    `atom_share` or more keeps a group of its own; what lies between two such bins is never merged across
    them, even when it is empty in the reference (the PSI drops it while it stays empty). Counts per group are
    `numpy.bincount(groups, counts)`.

    >>> psi_groups(np.array([1, 1, 1, 1, 1, 1]), groups=3, atom_share=0.5).tolist()
    [0, 0, 1, 1, 2, 2]
    >>> psi_groups(np.array([0, 80, 10, 10, 0]), groups=3, atom_share=0.5).tolist()
    [0, 1, 2, 3, 3]
    """
    total = int(counts.sum())
    if total == 0:
        return np.zeros(counts.size, dtype=np.int64)
    atom = counts / total >= atom_share
    starts = atom | np.concatenate(([True], atom[:-1]))
    run = np.cumsum(starts) - 1  # an atom is a run; so is everything between two atoms
    mass = np.zeros(run[-1] + 1, dtype=np.int64)
    np.add.at(mass, run, counts)
    free_mass = max(total - int(counts[atom].sum()), 1)
    free_groups = max(groups - int(np.count_nonzero(atom)), 1)
    # Each run's share of the free groups, rounded; then where the middle of a bin's mass falls. All integers.
    pieces = np.maximum((2 * mass * free_groups + free_mass) // (2 * free_mass), 1)
    pieces[run[atom]] = 1
    doubled_middle = 2 * np.cumsum(counts) - counts - 2 * (np.cumsum(mass) - mass)[run]
    piece = np.minimum(doubled_middle * pieces[run] // np.maximum(2 * mass[run], 1), pieces[run] - 1)
    starts[1:] |= np.diff(piece) != 0
    return np.cumsum(starts, dtype=np.int64) - 1


def score_edges(threshold: float) -> npt.NDArray[np.float64]:
    """Inner edges (399,) of 400 bins for a probability, by logits within ±16: 0.044 wide near one half, 0.16 far out.

    Logits are `16 sinh(2u) / sinh(2)` with u even in ±1, narrow where most scores lie: over each of ten months of
    flights the AUC from even bins was off by up to 4.7e-4, that from these by at most 1.5e-4.

    The edge nearest to the decision threshold is moved onto it, so `bin >= searchsorted(edges, threshold,
    "right")` is exactly `score >= threshold`. Edges carry ten digits: machines whose `exp` differs in the
    last bit agree on them.

    Raises ValueError when the threshold is not in [0, 1].

    >>> edges = score_edges(0.3)
    >>> edges.size, 0.3 in edges
    (399, True)
    """
    if not 0.0 <= threshold <= 1.0:
        msg = f"score_edges: expected a threshold from 0 to 1, got {threshold}. Give a probability."
        raise ValueError(msg)
    bent = np.sinh(np.linspace(-SCORE_LOGIT_BEND, SCORE_LOGIT_BEND, SCORE_BINS + 1)[1:-1])
    logits = SCORE_LOGIT_LIMIT / math.sinh(SCORE_LOGIT_BEND) * bent
    edges = np.array([float(f"{probability:.10g}") for probability in expit(logits)], dtype=np.float64)
    edges[np.abs(edges - threshold).argmin()] = threshold
    return edges


def confidence_edges() -> npt.NDArray[np.float64]:
    """Inner edges (49,) of 50 bins for the probability of the predicted class, spread as those of `score_edges`.

    They show a shape and its drift; no AUC is computed from them.

    >>> confidence_edges().size, float(confidence_edges()[24])
    (49, 0.5)
    """
    return _logit_edges(CONFIDENCE_BINS, SCORE_LOGIT_BEND, SCORE_LOGIT_LIMIT, 0.0)


def class_score_edges(classes: int) -> npt.NDArray[np.float64]:
    """Inner edges of up to 200 bins for the probability of one of several classes: fine around 1 / classes.

    Logits are `logit(1 / classes) + 40 sinh(4u) / sinh(4)` with u even in ±1: 0.06 wide in the middle, where most
    scores of a class lie that is neither sure nor excluded, and reaching to 1e-17, since a sure network gives
    the other classes next to nothing. The AUC of a class against the others is within 5e-4 of the one
    without bins (`tests/statistics/test_auc.py`; of a class with a few hundred rows within 0.15 standard errors).

    Raises ValueError for fewer than two classes.

    >>> class_score_edges(3).size, round(float(class_score_edges(3)[99]), 6)
    (187, 0.333333)
    """
    if classes < 2:
        msg = f"class_score_edges: expected two or more classes, got {classes}. Name them all."
        raise ValueError(msg)
    return _logit_edges(CLASS_SCORE_BINS, CLASS_SCORE_LOGIT_BEND, CLASS_SCORE_LOGIT_LIMIT, -math.log(classes - 1))


def _logit_edges(bins: int, bend: float, limit: float, centre: float) -> npt.NDArray[np.float64]:
    """Inner edges whose logits are `centre + limit sinh(bend u) / sinh(bend)`, u even in ±1; ten digits, no twins."""
    bent = np.sinh(np.linspace(-bend, bend, bins + 1)[1:-1])
    probabilities = expit(centre + limit / math.sinh(bend) * bent)
    edges = np.unique(np.array([float(f"{probability:.10g}") for probability in probabilities], dtype=np.float64))
    return edges[(edges > 0.0) & (edges < 1.0)]


def error_edges() -> npt.NDArray[np.float64]:
    """Inner edges (49,) of 50 bins for standardised errors, at `64 sinh(6u) / sinh(6)`: 0.08 wide at 0, 15 far out.

    >>> error_edges().size, float(error_edges()[24])
    (49, 0.0)
    """
    bent = np.sinh(np.linspace(-ERROR_BEND, ERROR_BEND, ERROR_BINS + 1)[1:-1])
    return np.array([float(f"{edge:.10g}") for edge in ERROR_LIMIT / math.sinh(ERROR_BEND) * bent]) + 0.0


def latency_edges(limit_seconds: float) -> npt.NDArray[np.float64]:
    """Upper bounds in seconds (24 or 25,), inclusive like `le`, from 1 ms to 60 s, with the limit among them.

    The bin of a latency is `numpy.searchsorted(bounds, seconds, side="left")`; the last one is `+Inf`.

    Raises ValueError when the limit is not a positive number.

    >>> 0.3 in latency_edges(0.3), latency_edges(0.25).size
    (True, 24)
    """
    if not (math.isfinite(limit_seconds) and limit_seconds > 0):
        msg = f"latency_edges: expected a limit above 0 seconds, got {limit_seconds}. Write 0.3."
        raise ValueError(msg)
    return np.unique(np.array([*LATENCY_BOUNDS_SECONDS, limit_seconds]))
