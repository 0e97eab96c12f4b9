"""Labels: how many of the predictions whose labels should be there have one."""

from collections.abc import Iterator

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import Sample
from ml_exporter.vitals.windows import Windows


def coverage(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Share of predictions in the matured window that have a label."""
    for window in windows.matured:
        cells = baseline.layout.cells(window.vector, "labels")
        if int(cells["joinable"][0]):
            value = int(cells["labelled"][0]) / int(cells["joinable"][0])
            yield Sample("ml_label_coverage_ratio", (windows.model, window.name), value)
