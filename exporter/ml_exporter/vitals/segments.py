"""Segments: rows, class shares and quality of the rows that have a value. No alert reads them.

The intervals are widened by the phi of the whole model. What rows share (a day, a weather) repeats among the rows of
one value too, but those are fewer, so the interval is rather too wide than too narrow.
"""

from collections.abc import Iterator

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import BY_NAME, Sample, labels_of
from ml_exporter.vitals.prediction import shares
from ml_exporter.vitals.quality import measures
from ml_exporter.vitals.windows import Segment, Windows


def segments(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Value by value, the most frequent first, so that a cap on series takes whole values, the rarest first.

    Quality of single classes is that of the whole model only.
    """
    for segment in windows.segments:
        yield from _segment(windows.model, segment, baseline)


def _segment(model: str, segment: Segment, baseline: Baseline) -> Iterator[Sample]:
    layout, part = baseline.layout, (segment.by, segment.value)
    for window in segment.current:
        rows = layout.cells(window.vector, "rows")["rows"]
        yield Sample("ml_window_rows", (model, window.name, *part), float(rows[0]))
        for name, share in shares(layout, window.vector).items():
            yield Sample("ml_prediction_class_ratio", (model, window.name, name, *part), share)
    for window in segment.matured:
        for sample in measures(model, window, baseline):
            if "class" not in labels_of(sample):
                yield _part_of(sample, part)


def _part_of(sample: Sample, part: tuple[str, str]) -> Sample:
    """The sample of a whole as that of a segment of it; a class, which it does not have, stays empty."""
    metric = BY_NAME[sample.name]
    missing = len(metric.labels) - len(part) - len(sample.labels)
    return sample._replace(labels=(*sample.labels, *[""] * missing, *part))
