"""Principal components of standardised values, and extremes of the other rows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Principal(NamedTuple):
    """Eigenvectors as rows (d, d) and eigenvalues (d,), in falling order of the latter."""

    vectors: Floats
    variances: Floats


def principal(covariance: Floats) -> Principal:
    """The principal components of a symmetric matrix (d, d).

    The entry of each vector that is largest in size, the first of equal ones, is positive. Variances below 0 are 0.

    >>> found = principal(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> found.variances.round(3).tolist(), (found.vectors * 2**0.5).round(3).tolist()
    ([3.0, 1.0], [[1.0, 1.0], [1.0, -1.0]])
    """
    values, columns = np.linalg.eigh(covariance)
    vectors = columns.T[::-1]
    largest = np.abs(np.round(vectors, 6)).argmax(axis=1)
    signs = np.where(vectors[np.arange(len(vectors)), largest] < 0, -1.0, 1.0)
    return Principal(vectors * signs[:, None], np.maximum(values[::-1], 0.0))


def components_kept(variances: Floats, share: float) -> int:
    """How many of the first components have a share of the variance, at least one; all but one where there are more.

    >>> components_kept(np.array([3.0, 1.0]), 0.7), components_kept(np.array([1.0, 1.0, 1.0]), 0.99)
    (1, 2)
    """
    total = float(variances.sum())
    enough = int(np.searchsorted(np.cumsum(variances), share * total)) + 1 if total > 0 else 1
    return max(1, min(enough, len(variances) - 1))


def leave_one_out(values: Floats) -> Floats:
    """The smallest of the other rows, for each row of (k, m), k at least 2.

    >>> leave_one_out(np.array([[1.0], [3.0], [2.0]])).ravel().tolist()
    [2.0, 1.0, 1.0]
    """
    two = np.partition(values, 1, axis=0)[:2]
    first = np.arange(len(values))[:, None] == values.argmin(axis=0)
    found: Floats = np.where(first, two[1], two[0])
    return found
