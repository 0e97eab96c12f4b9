"""Lines sorted by the skeleton that they probably have, so that each skeleton is compared with few lines.

A log that feeds several models has as many skeletons. To compare each of them with every line would cost the product of
both. Here a few lines are looked at in full, and the key that tells most of their skeletons apart is compared in all
lines. What comes out are guesses: `skeleton.match` decides.
"""

import numpy as np

from ml_exporter.sources.lines import Ints, Lines
from ml_exporter.sources.skeleton import Skeleton, learn

_MOST_SAMPLES = 32
_WIDEST = 32
"""Bytes of a key that are compared at most."""


def by_number_of_keys(lines: Lines, rows: Ints, fewest: int) -> list[Ints]:
    """Groups of at least `fewest` lines with as many keys each, the largest first."""
    keys = lines.keys[rows]
    counts = np.bincount(keys)
    large = np.flatnonzero(counts >= fewest)
    return [rows[keys == number] for number in large[np.argsort(-counts[large])]]


def by_key(lines: Lines, rows: Ints, fewest: int) -> list[Ints]:
    """Groups of at least `fewest` lines, the largest first, of lines that have equally many keys; then all others."""
    ends = learn(lines.line(int(rows[0]))), learn(lines.line(int(rows[-1])))
    if len(rows) < 2 * fewest or ends[0] == ends[1]:
        return [rows]
    sample = rows[:: -(-len(rows) // min(_MOST_SAMPLES, 2 * len(rows) // fewest))]
    learned = dict.fromkeys(learn(lines.line(int(row))) for row in sample)
    skeletons = [item for item in learned if item is not None]
    place, width = _telling(skeletons)
    if not width:
        return [rows]
    colons = lines.colons[lines.first_colon[rows] + place]
    ends = np.maximum(colons[:, None] + np.arange(1 - width, 1), 0)
    weights = np.random.default_rng(0).integers(1, 1 << 62, width, np.uint64)
    codes = lines.octets[ends].astype(np.uint64) @ weights
    _, group_of, counts = np.unique(codes, return_inverse=True, return_counts=True)
    large = np.flatnonzero(counts >= fewest)
    groups = [rows[group_of == group] for group in large[np.argsort(-counts[large])]]
    others = rows[counts[group_of] < fewest]
    return [*groups, others] if len(others) >= fewest else groups


def _telling(skeletons: list[Skeleton]) -> tuple[int, int]:
    """The number of the key whose last bytes differ between most skeletons, and how many bytes; 0 when none does.

    All skeletons have the same number of keys. Bytes are those up to its colon which every skeleton has.
    """
    best, most = (0, 0), 1
    if len(skeletons) < 2:
        return best
    for place, keys in enumerate(zip(*(item.keys for item in skeletons), strict=True)):
        width = min(_WIDEST, *(key.before + 1 for key in keys))
        different = len({key.text[key.before + 1 - width : key.before + 1] for key in keys})
        if different > most:
            best, most = (place, width), different
    return best
