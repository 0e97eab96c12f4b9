"""Exact binning, fast: a table over the leading bits of a float, and a search only where it cannot know.

A float32 keeps its order when its bits are read as an integer (negative values reversed). Its upper 16 bits are a cell:
128 cells for each doubling. Where no edge lies in a cell, every value of the cell has the same bin, and the table knows
it; the few values that share a cell with an edge are searched. Rounding to float32 keeps order, so the result equals
`numpy.searchsorted(edges, x, side="right")`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_CELLS = 1 << 16
_HALF = _CELLS // 2
"""Where the cells of negative values begin, as bits."""
_NOT_FINITE = 0x7F80
"""Where the cells of infinity and NaN begin, in each half."""
_SEARCH = -1


@dataclass(frozen=True)
class Binner:
    """Bins of values `x`, looked up by a key.

    The key is any increasing function of `x` that spends a float's precision where the edges lie.

    Codes: 0..len(edges) are bins, `null` = len(edges) + 1 for NaN, `invalid` = len(edges) + 2 for infinities.

    >>> edges = np.array([1.0, 2.0])
    >>> x = np.array([0.5, 1.0, 7.0, np.nan, np.inf])
    >>> make_binner(edges, edges).codes(x, x).tolist()
    [0, 1, 2, 3, 4]
    """

    edges: Floats
    table: npt.NDArray[np.int16]

    @property
    def null(self) -> int:
        """Code of NaN."""
        return len(self.edges) + 1

    @property
    def invalid(self) -> int:
        """Code of an infinity."""
        return len(self.edges) + 2

    @property
    def width(self) -> int:
        """Number of codes."""
        return len(self.edges) + 3

    def codes(self, x: Floats, keys: Floats) -> Codes:
        """Codes of `x`, shape (n,), whose keys are `keys`."""
        with np.errstate(over="ignore", invalid="ignore"):
            cells = keys.astype(np.float32).view(np.uint16)[1::2]
        found = self.table[cells].astype(np.intp)
        open_rows = np.flatnonzero(found == _SEARCH)
        if len(open_rows):
            values = x[open_rows]
            exact = np.searchsorted(self.edges, values, side="right")
            exact[np.isnan(values)] = self.null
            exact[np.isinf(values)] = self.invalid
            found[open_rows] = exact
        return found


def make_binner(edges: Floats, keys: Floats) -> Binner:
    """A binner for strictly increasing inner edges and their keys, both of shape (k,)."""
    edges = np.asarray(edges, np.float64)
    with np.errstate(over="ignore"):
        places = _ordered(keys.astype(np.float32).view(np.uint32) >> np.uint32(16))
    # In the order of the floats a bin is a run of cells: after the cell of one edge, up to that of the next.
    rises = np.concatenate(([0], places + 1, [_CELLS]))
    ordered = np.repeat(np.arange(len(places) + 1, dtype=np.int16), np.diff(rises))
    ordered[places] = _SEARCH
    if np.isin(places, (_HALF - 1, _HALF)).any():  # -0 and +0 are equal
        ordered[_HALF - 1 : _HALF + 1] = _SEARCH
    table = np.concatenate((ordered[_HALF:], ordered[_HALF - 1 :: -1]))
    table.reshape(2, _HALF)[:, _NOT_FINITE:] = _SEARCH
    return Binner(edges, table)


def _ordered(cells: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Cells of float bits as integers in the order of the floats; +0 and -0 fall together with their neighbours."""
    places = cells.astype(np.int64)
    return np.where(places >= _HALF, _CELLS - 1 - places, places + _HALF)
