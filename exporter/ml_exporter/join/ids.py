"""Ids as 64-bit hashes, the same on every machine and in every release."""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Hashes = npt.NDArray[np.uint64]

LONG_ID = 256
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def hash_ids(ids: pa.ChunkedArray | pa.Array) -> Hashes:
    """A 64-bit hash of every id, shape (n,), the same on every machine and in every release.

    The bytes of an id are read as little-endian 8-byte words, the last one filled with zeros, and mixed in order
    (splitmix64's finaliser) with the length. Of ids longer than `LONG_ID` bytes BLAKE2b is taken. Nulls hash as if
    they had 2**64 - 1 bytes. Time and memory follow the bytes there are, so a huge id costs only its own.

    >>> hash_ids(pa.array(["a", "b", "a"]))[[0, 2]].tolist() == [hash_ids(pa.array(["a"]))[0]] * 2
    True
    """
    column = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    column = column.cast(pa.large_binary())
    _, offsets, data = column.buffers()
    lengths = np.asarray(pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False), np.int64)
    starts = np.frombuffer(offsets, np.int64, len(column) + 1, column.offset * 8)[:-1] if len(column) else lengths
    padded = np.concatenate([np.frombuffer(data or b"", np.uint8), np.zeros(8, np.uint8)])
    words = np.lib.stride_tricks.sliding_window_view(padded, 8)
    state: Hashes = lengths.astype(np.uint64) * _MULTIPLIERS[0]
    rows = np.flatnonzero(lengths <= LONG_ID)
    for lane in range(0, min(int(lengths.max(initial=0)), LONG_ID), 8):
        rows = rows[lengths[rows] > lane]
        word = words[starts[rows] + lane].view("<u8")[:, 0]
        missing = np.maximum(lane + 8 - lengths[rows], 0).astype(np.uint64) * np.uint64(8)
        state[rows] = _mix(state[rows] ^ (word << missing >> missing))
    for row in np.flatnonzero(lengths > LONG_ID).tolist():
        name = padded[starts[row] : starts[row] + lengths[row]].tobytes()
        state[row] = int.from_bytes(blake2b(name, digest_size=8).digest(), "little")
    return state


def _mix(state: Hashes) -> Hashes:
    state = state + _MULTIPLIERS[0]
    state = (state ^ (state >> np.uint64(30))) * _MULTIPLIERS[1]
    state = (state ^ (state >> np.uint64(27))) * _MULTIPLIERS[2]
    return state ^ (state >> np.uint64(31))
