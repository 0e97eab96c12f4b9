"""What a replay counts of the lines of its sources: how many there were, and how many were refused, by reason.

The lines of a source come as a table with a row for each: `arrival_us`, and `refused`, the reasons for which at least
one stream refused it, a bit each in the order of `REJECT_REASONS`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ml_exporter.catalogue import Sample
from ml_exporter.faults.played import ARRIVAL
from ml_exporter.records import REJECT_REASONS, Ints

REFUSED = "refused"


def lines_table(arrivals: Ints, refused: Mapping[str, Ints]) -> pa.Table:
    """Lines that arrive then (n,), of which those with these numbers were refused, by reason.

    >>> lines_table(np.array([5, 6, 6]), {"malformed": np.array([1]), "no_model": np.array([1, 2])}).to_pydict()
    {'arrival_us': [5, 6, 6], 'refused': [0, 33, 32]}
    """
    reasons = np.zeros(len(arrivals), np.int16)
    for reason, numbers in refused.items():
        reasons[numbers] |= 1 << REJECT_REASONS.index(reason)
    return pa.table({ARRIVAL: arrivals, REFUSED: reasons})


@dataclass
class Tallies:
    """Lines read by source, and lines rejected by source and reason, since the begin of the replay."""

    read: Counter[str] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, source: str, lines: pa.Table) -> None:
        """Counts lines of a source."""
        self.read[source] += lines.num_rows
        found = lines.column(REFUSED).to_numpy()
        if found.any():
            for bit, reason in enumerate(REJECT_REASONS):
                self.rejected[source, reason] += int(np.count_nonzero(found & (1 << bit)))

    def samples(self, source: str) -> Iterator[Sample]:
        """Those of a source."""
        yield Sample("ml_exporter_rows_read_total", (source,), float(self.read[source]))
        for reason in REJECT_REASONS:
            yield Sample("ml_exporter_rows_rejected_total", (source, reason), float(self.rejected[source, reason]))

    def lost(self) -> dict[str, Counter[str]]:
        """Lines rejected, by source and reason; no reason without any."""
        found: dict[str, Counter[str]] = {}
        for (source, reason), count in self.rejected.items():
            if count:
                found.setdefault(source, Counter())[reason] += count
        return found
