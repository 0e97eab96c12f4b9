"""Scales on which values of a kind vary alike wherever they are, so that limits are as far on either side.

Counts and durations vary by factors, shares by angles (the arcsine of the root of a share of n has the deviation
1 / 2√n whatever the share, see Bartlett 1947, "The use of transformations"). Limits come back in the unit of the value.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Name = Literal["count", "positive", "share", "signed"]


class Scale(NamedTuple):
    """A growing function of values, elementwise, and its inverse, which takes what lies beyond its ends to them.

    Where a value has no place on the scale, NaN.
    """

    forward: Callable[[Floats], Floats]
    back: Callable[[float], float]


def _log1p(values: Floats) -> Floats:
    return np.log1p(values)


def _log(values: Floats) -> Floats:
    return np.log(np.where(values > 0, values, np.nan))


def _angle(values: Floats) -> Floats:
    inside = np.where((values >= 0) & (values <= 1), values, np.nan)
    return np.asarray(np.arcsin(np.sqrt(inside)), np.float64)


SCALES: Mapping[Name, Scale] = {
    "count": Scale(_log1p, lambda value: max(0.0, float(np.expm1(value)))),
    "positive": Scale(_log, lambda value: float(np.exp(value))),
    "share": Scale(_angle, lambda value: float(np.sin(min(max(value, 0.0), np.pi / 2)) ** 2)),
    "signed": Scale(lambda values: values, float),
}
