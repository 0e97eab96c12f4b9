"""What waits for a join: records of a fixed width, as numpy structured arrays.

A pending record is a prediction, and its label once there is one. Of the records of an id the newest version counts.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

WAITING, LABELLED, CLOSED = 0, 1, 2
"""States of a pending record: no label yet; its label is counted; counted under a layout that is gone, so it stays."""


def pending_dtype(scores: int, is_class: bool) -> np.dtype[Any]:
    """The record of a prediction with that many scores, whose value is the index of a class or a number.

    `hash` of the id; `time_us` of the prediction; `segment` the index of its combination of segments; `actual` and
    `label_us` (when the truth became known) mean something unless `state` is `WAITING`.
    """
    value = "<i2" if is_class else "<f8"
    prediction = [("hash", "<u8"), ("time_us", "<i8"), ("segment", "<u4"), ("predicted", value)]
    return np.dtype(
        [*prediction, ("scores", "<f8", (scores,)), ("actual", value), ("label_us", "<i8"), ("state", "u1")]
    )


def label_dtype(is_class: bool) -> np.dtype[Any]:
    """The record of a label: hash of the id, its time, its value, when it was read, and its number in reading order."""
    value = "<i2" if is_class else "<f8"
    return np.dtype([("hash", "<u8"), ("time_us", "<i8"), ("actual", value), ("seen_us", "<i8"), ("order", "<u8")])


def begins(hashes: npt.NDArray[np.uint64]) -> Bools:
    """Where another hash begins in sorted ones, shape (n,)."""
    first = np.ones(len(hashes), np.bool_)
    np.not_equal(hashes[1:], hashes[:-1], out=first[1:])
    return first


def ends(hashes: npt.NDArray[np.uint64]) -> Bools:
    """Where a hash ends in sorted ones, shape (n,)."""
    last = np.ones(len(hashes), np.bool_)
    np.not_equal(hashes[1:], hashes[:-1], out=last[:-1])
    return last
