"""How many series a model may export, of which kinds they are, and which go when there are too many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from ml_exporter.catalogue import HistogramSample, Sample, labels_of
from ml_exporter.config import Windows
from ml_exporter.vitals.windows import PREVIOUS_30D, REFERENCE

AnySample = Sample | HistogramSample

KINDS = ("segments", "extra windows", "extra baselines", "features over short windows", "features", "others")
"""The kinds of series, in the order in which they go. Within one the last go first: of segments the rarest values."""
_SEGMENTS, _WINDOWS, _BASELINES, _SHORT, _FEATURES, _OTHERS = range(len(KINDS))


def capped(samples: Sequence[AnySample], limit: int) -> list[AnySample]:
    """The samples without what goes beyond `limit` series. A histogram counts with all its buckets.

    In the order of `KINDS`, within a kind the last ones first: so a lower limit only takes more away.
    """
    excess = series(samples) - limit
    if excess <= 0:
        return list(samples)
    order = sorted(range(len(samples)), key=lambda place: (_kind(samples[place]), -place))
    before = accumulate((_size(samples[place]) for place in order), initial=0)
    gone = {place for place, dropped in zip(order, before, strict=False) if dropped < excess}
    return [item for place, item in enumerate(samples) if place not in gone]


def series(samples: Sequence[AnySample]) -> int:
    """How many series samples are."""
    return sum(map(_size, samples))


def by_kind(samples: Sequence[AnySample]) -> Mapping[str, int]:
    """How many series there are of each kind, in the order in which they go."""
    counts: Counter[int] = Counter()
    for sample in samples:
        counts[_kind(sample)] += _size(sample)
    return {name: counts[place] for place, name in enumerate(KINDS) if counts[place]}


def _size(sample: AnySample) -> int:
    return len(sample.counts) + 2 if isinstance(sample, HistogramSample) else 1


def _kind(sample: AnySample) -> int:
    """Place of a sample's kind in `KINDS`."""
    labels = labels_of(sample)
    usual = Windows()
    window = labels.get("window")
    if "segment_by" in labels:
        return _SEGMENTS
    if window is not None and window not in (*usual.head, *usual.features, *usual.quality):
        return _WINDOWS
    if labels.get("baseline", REFERENCE) not in (REFERENCE, PREVIOUS_30D) or "peer" in labels:
        return _BASELINES
    if "feature" not in labels:
        return _OTHERS
    return _SHORT if window is not None and window != usual.features[-1] else _FEATURES
