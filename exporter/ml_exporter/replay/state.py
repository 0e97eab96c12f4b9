"""What an interrupted replay goes on from: one record, committed in one transaction with what was counted."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from ml_exporter.counting import Counting
from ml_exporter.errors import Problem, StateError
from ml_exporter.loading import Loaded
from ml_exporter.recorded import NEVER, Mark
from ml_exporter.store import Store

_NAME = "replay"
_SAMPLES = 2
"""Rises where a replay that goes on would not write what one from the start writes. 2: lines read and rejected."""


class Counters(msgspec.Struct, frozen=True):
    """What a model counted since the start of its process, which the state of a serving exporter does not hold."""

    total: list[int]
    by_version: dict[str, int]
    violations: dict[str, int]
    statuses: dict[str, int]
    dropped: int
    repeated: int
    last_arrival_us: int

    @classmethod
    def of(cls, counting: Counting) -> "Counters":
        """Those of a model."""
        return cls(
            counting.total.tolist(),
            dict(counting.by_version),
            dict(counting.violations),
            dict(counting.statuses),
            counting.dropped,
            counting.join.repeated,
            counting.last_arrival_us,
        )

    def restore(self, counting: Counting) -> None:
        """Puts them back."""
        counting.total = np.array(self.total, np.int64)
        counting.by_version, counting.violations = Counter(self.by_version), Counter(self.violations)
        counting.statuses, counting.dropped = Counter(self.statuses), self.dropped
        counting.join.repeated, counting.last_arrival_us = self.repeated, self.last_arrival_us


class Record(msgspec.Struct):
    """Where a replay stands.

    `made_for` is a hash of what its samples follow from. `start_us` is its first instant, `looked_us` the last look at
    the logs. `parts` are files of samples that no whole file holds yet, `files` the whole ones, by name.
    """

    made_for: str
    start_us: int = 0
    looked_us: int = NEVER
    parts: list[str] = []
    files: list[str] = []
    instants: int = 0
    samples: int = 0
    finished: bool = False
    marks: dict[str, Mark] = {}
    counters: dict[str, Counters] = {}
    read: dict[str, int] = {}
    """Lines by source."""
    rejected: list[tuple[str, str, int]] = []
    """Lines that were rejected: source, reason, count."""


def made_for(loaded: Loaded, settings: object) -> str:
    """A hash of the configuration, the baselines, and the settings of a replay."""
    baselines = {name: baseline.fingerprint for name, baseline in loaded.baselines.items()}
    return hashlib.sha256(repr((_SAMPLES, loaded.config, baselines, settings)).encode()).hexdigest()


def read(store: Store, folder: Path, expected: str, countings: Mapping[str, Counting]) -> Record | None:
    """The record of an interrupted replay, with what it had counted; None where there is none. Raises StateError."""
    text = store.positions().get(_NAME)
    if text is None:
        return None
    record = msgspec.json.decode(text, type=Record)
    if record.made_for != expected:
        got = "one of other options, another configuration or another baseline"
        action = "Give another --output, or remove this one to start anew"
        raise StateError([Problem(str(folder), "the output of this same replay", got, action)])
    for name, counting in countings.items():
        store.load(name, counting)
        record.counters[name].restore(counting)
    return record


def write(store: Store, record: Record, countings: Mapping[str, Counting]) -> None:
    """Commits a record with what was counted. Raises StateError."""
    record.counters = {name: Counters.of(counting) for name, counting in countings.items()}
    store.commit(countings, {_NAME: msgspec.json.encode(record).decode()})
