"""The text exposition: samples of the catalogue in, the bytes that Prometheus scrapes out.

It is rendered once after an evaluation, not on each scrape. The bytes are those of prometheus_client's
`generate_latest`, in a fraction of its time: the text before the value (`name{labels} `) of a series that was
there before is taken from the last rendering.
"""

import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import accumulate, pairwise
from typing import Any

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.utils import floatToGoString

from .catalogue import BY_NAME, METRICS, HistogramSample, Metric, Sample
from .errors import Problem, shown

_INFINITY = float("inf")
_Labels = tuple[str, ...]
_Known = tuple[list[Any], list[Any]]
"""The series of a family in the last rendering, and for each the texts before its values."""


class Renderer:
    """Renders samples; keeps the label texts of the last rendering for the next one.

    >>> print(Renderer().render([Sample("ml_window_rows", ("fraud", "1d"), 1250.0)]).decode(), end="")
    # HELP ml_window_rows Predictions in the window.
    # TYPE ml_window_rows gauge
    ml_window_rows{model="fraud",window="1d"} 1250.0
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def render(self, samples: Iterable[Sample | HistogramSample]) -> bytes:
        """The samples as UTF-8 text: families in the order of the catalogue, series in the order given.

        ValueError for a sample that does not fit the catalogue and for a series that comes twice: both are
        bugs of the caller, and half an exposition would hide them. The renderer can be used after an error.
        """
        families = _by_name(samples)
        known: dict[str, _Known] = {}
        lines: list[str] = []
        for metric in METRICS:
            if metric.name in families:
                lines.append(_header(metric))
                append_lines = _append_histograms if metric.type == "histogram" else _append_values
                before = self._known.get(metric.name, ([], []))
                known[metric.name] = append_lines(metric, families[metric.name], before, lines)
        self._known = known
        return "".join(lines).encode()


def process_metrics() -> Callable[[], bytes]:
    """A function that renders `process_*` and `python_info` of this process, to append to an exposition."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return lambda: generate_latest(registry)


def compress(exposition: bytes) -> bytes:
    """The exposition as gzip. Level 1: six times faster than the usual 9, for a fifth more bytes."""
    return gzip.compress(exposition, compresslevel=1, mtime=0)


def texts_before(sample: Sample | HistogramSample) -> tuple[str, ...]:
    """The texts before the values of a sample: of one line or, of a histogram, of its buckets, count and sum.

    >>> texts_before(Sample("ml_window_rows", ("fraud", "1d"), 5.0))
    ('ml_window_rows{model="fraud",window="1d"} ',)
    """
    metric = BY_NAME[sample.name]
    if isinstance(sample, HistogramSample):
        return _histogram_prefixes(metric, sample)
    return (_prefixes(metric)(sample.labels),)


def escaped(value: str) -> str:
    """A label value as it stands between quotes; half a surrogate pair, which is no UTF-8, becomes `?`."""
    text = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text if text.isascii() else text.encode(errors="replace").decode()


def _by_name(samples: Iterable[Sample | HistogramSample]) -> Mapping[str, list[Any]]:
    """The samples by metric, each of the type that its metric needs."""
    families: defaultdict[str, list[Any]] = defaultdict(list)
    for sample in samples:
        families[sample.name].append(sample)
    for name, family in families.items():
        if name not in BY_NAME:
            raise _refused(name, "a metric of the catalogue", "an unknown name", "Add it to the catalogue")
        needed = HistogramSample if BY_NAME[name].type == "histogram" else Sample
        for sample in family:
            if type(sample) is not needed:
                raise _refused(name, needed.__name__, type(sample).__name__, "Give what its type needs")
    return families


def _append_values(metric: Metric, family: Sequence[Sample], known: _Known, lines: list[str]) -> _Known:
    """Append a line a sample; return the label values and the texts before the values."""
    labels = [sample.labels for sample in family]
    if labels != known[0]:
        _refuse_twins(metric, [_full(metric, row) for row in labels] if metric.optional else labels)
        before = dict(zip(*known, strict=True))
        text = _prefixes(metric)
        known = labels, [before.get(row) or text(row) for row in labels]
    rows = zip(known[1], family, strict=True)
    lines.extend([f"{prefix}{number(sample.value)}\n" for prefix, sample in rows])
    return known


def _append_histograms(metric: Metric, family: Sequence[HistogramSample], known: _Known, lines: list[str]) -> _Known:
    """Append each histogram's buckets (cumulative), count and sum; return the shapes and texts."""
    shapes = [(sample.labels, sample.upper_bounds) for sample in family]
    if shapes != known[0]:
        _refuse_twins(metric, [sample.labels for sample in family])
        known = shapes, [_histogram_prefixes(metric, sample) for sample in family]
    for prefixes, sample in zip(known[1], family, strict=True):
        cumulative = list(accumulate(sample.counts))
        if len(cumulative) != len(sample.upper_bounds) + 1:
            got = f"{len(cumulative)} counts for {len(sample.upper_bounds)} bounds"
            raise _refused(metric.name, "a count more than bounds", got, "Add the count above the last bound")
        values = (*cumulative, cumulative[-1], sample.total)
        lines.extend(f"{text}{number(value)}\n" for text, value in zip(prefixes, values, strict=True))
    return known


def _histogram_prefixes(metric: Metric, sample: HistogramSample) -> tuple[str, ...]:
    """The texts before the values of each bucket, of the count and of the sum."""
    bounds = (*sample.upper_bounds, _INFINITY)
    if bounds[0] < 0 or any(not low < high for low, high in pairwise(bounds)):
        raise _refused(metric.name, "finite bounds that rise from 0", shown(bounds), "Sort them; omit +Inf")
    labels = _escaped(metric, sample.labels)
    bucket = _template(f"{metric.name}_bucket", (*metric.labels, "le"))
    ends = [_template(f"{metric.name}_{end}", metric.labels).format(*labels) for end in ("count", "sum")]
    return (*(bucket.format(*labels, number(bound)) for bound in bounds), *ends)


def _full(metric: Metric, labels: _Labels) -> _Labels:
    """The label values with "" for the optional ones that were left out at the end."""
    missing = len(metric.labels) - len(labels)
    return (*labels, *[""] * missing) if 0 < missing <= len(metric.optional) else labels


def _prefixes(metric: Metric) -> Callable[[_Labels], str]:
    """From label values to the text before a value. An optional label without a value is not there."""
    template = _template(metric.name, metric.labels)
    if not metric.optional:
        return lambda row: template.format(*_escaped(metric, row))
    required = len(metric.labels) - len(metric.optional)
    by_presence: dict[tuple[bool, ...], str] = {}

    def text(row: _Labels) -> str:
        texts = _escaped(metric, row)
        there = tuple(value != "" for value in texts[required:])
        if there not in by_presence:
            absent = {label for label, known in zip(metric.optional, there, strict=True) if not known}
            by_presence[there] = _template(metric.name, metric.labels, absent)
        return by_presence[there].format(*texts)

    return text


def _template(name: str, labels: Sequence[str], absent: Set[str] = frozenset()) -> str:
    """The text before a value, to be formatted with the label values; sorted by name, as the library does.

    >>> _template("ml_window_rows", ("window", "model")).format("1d", "fraud")
    'ml_window_rows{model="fraud",window="1d"} '
    """
    inside = ",".join(f'{label}="{{{labels.index(label)}}}"' for label in sorted(set(labels) - absent))
    return f"{name}{{{{{inside}}}}} " if inside else f"{name} "


def _escaped(metric: Metric, labels: _Labels) -> list[str]:
    values = _full(metric, labels)
    if len(values) != len(metric.labels) or {type(value) for value in values} - {str}:
        count = "" if not metric.optional else f"{len(metric.labels) - len(metric.optional)} to "
        expected = f"{count}{len(metric.labels)} label values as text ({', '.join(metric.labels)})"
        raise _refused(metric.name, expected, shown(labels), "Give one for each label of the catalogue")
    return [escaped(value) for value in values]


def _header(metric: Metric) -> str:
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.type}\n"


def number(value: float) -> str:
    """A value as Go writes it. Only large and non-finite ones differ from Python's text."""
    value = float(value)
    if -1e6 < value < 1e6:
        return repr(value)
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def _refuse_twins(metric: Metric, labels: Sequence[_Labels]) -> None:
    if len(set(labels)) != len(labels):
        twin, count = Counter(labels).most_common(1)[0]
        raise _refused(metric.name, "every series once", f"{shown(twin)} {count} times", "Give one of them")


def _refused(name: str, expected: str, got: str, action: str) -> ValueError:
    return ValueError(str(Problem(f"sample {name}", expected, got, action)))
