"""What a metric of the catalogue is, and a sample of one; and the tuples of labels that many metrics have.

The letters `M`, `W`, `B`, `F`, `C`, `V`, `P` stand for model, window, baseline, feature, class, version and peer, and
`S` for the labels of a segment.
"""

from typing import Literal, NamedTuple

Type = Literal["gauge", "counter", "histogram"]


class Metric(NamedTuple):
    """One metric: name (with `_total` for counters), type, unit (or ""), help text and label names in order.

    `optional` are the labels, the last ones, that only some series have: those of a class or of a segment. The series
    without them is the model as a whole.
    """

    name: str
    type: Type
    unit: str
    help: str
    labels: tuple[str, ...]
    optional: tuple[str, ...] = ()


class Sample(NamedTuple):
    """One value of one series. `labels` are the values of the metric's labels, in the order of the catalogue.

    An optional label that a series does not have is "", or left out at the end.
    """

    name: str
    labels: tuple[str, ...]
    value: float


class HistogramSample(NamedTuple):
    """One histogram.

    `upper_bounds` in ascending order without +Inf, `counts` (not cumulative) one longer, `total` the sum of all values.
    """

    name: str
    labels: tuple[str, ...]
    upper_bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


M = ("model",)
MW = ("model", "window")
MB = ("model", "baseline")
MWF = ("model", "window", "feature")
MBF = ("model", "baseline", "feature")
MWBF = ("model", "window", "baseline", "feature")
MWB = ("model", "window", "baseline")
SEGMENT = ("segment_by", "segment")
MWS = (*MW, *SEGMENT)
MWCS = (*MW, "class", *SEGMENT)
MWVP = ("model", "window", "version", "peer")
MWBC = ("model", "window", "baseline", "class")
REASON = ("reason",)
