"""Quality on labelled predictions, with 95 % intervals that know how much the reference's own windows vary."""

from collections.abc import Iterator

from ml_exporter.baseline import Baseline, Phi
from ml_exporter.catalogue import QUALITY, Sample
from ml_exporter.layout import Layout, Vector
from ml_exporter.statistics.dispersion import interval_sigmas
from ml_exporter.statistics.intervals import Interval
from ml_exporter.tasks import Multiclass, Regression
from ml_exporter.vitals import binary, multiclass, regression
from ml_exporter.vitals.measures import Measures
from ml_exporter.vitals.windows import PREVIOUS_30D, REFERENCE, Estimate, Window, Windows, phi_of


def labelled(layout: Layout, vector: Vector) -> Measures:
    """The labelled predictions of a vector, and what they measure."""
    task = layout.task
    if isinstance(task, Regression):
        return regression.measures(layout, vector, task)
    if isinstance(task, Multiclass):
        return multiclass.measures(layout, vector, task)
    return binary.measures(layout, vector)


def values(found: Measures) -> dict[str, float]:
    """Every measure of the catalogue that these rows define; those of a class are called `<measure>:<class>`."""
    place = {name: number for number, name in enumerate(QUALITY)}
    known = sorted(found.named, key=lambda name: place[name.partition(":")[0]])
    return {name: found.named[name].value for name in known}


def interval(found: Measures, name: str, noise: Phi) -> Interval | None:
    """The 95 % interval of one measure."""
    ends = found.named[name].interval
    return ends(noise.phi, interval_sigmas(noise.windows, noise.phi)) if ends else None


def quality(windows: Windows, baseline: Baseline) -> Iterator[Sample]:
    """Every measure with its interval by matured window, and what it is compared with.

    That is its value in the reference, and over the 30 days before the window of a day.
    """
    for window in windows.quality:
        yield from measures(windows.model, window, baseline)
    yield from _compared(baseline.layout, baseline.vector, (windows.model, REFERENCE))
    if windows.before is not None:
        yield from _compared(baseline.layout, windows.before.vector, (windows.model, PREVIOUS_30D))


def _compared(layout: Layout, vector: Vector, key: tuple[str, str]) -> Iterator[Sample]:
    """Every measure of the labelled predictions of a vector, and how many there are; nothing where there are none."""
    found = labelled(layout, vector)
    if found.rows:
        yield Sample("ml_baseline_labelled_rows", key, float(found.rows))
    for name, value in values(found).items():
        metric, labels = _of_class(name, key)
        yield Sample(f"ml_baseline_{metric}", labels, value)


def _of_class(name: str, key: tuple[str, str]) -> tuple[str, tuple[str, ...]]:
    """Metric and labels of a measure: those of a class have one label more."""
    metric, _, label = name.partition(":")
    return metric, (*key, label) if label else key


def measures(model: str, window: Window, baseline: Baseline) -> Iterator[Sample]:
    """Labelled rows, and every measure with its interval, over one window of the whole or of a part of it."""
    found = labelled(baseline.layout, window.vector)
    key = (model, window.name)
    yield Sample("ml_labelled_rows", key, float(found.rows))
    for name, value in values(found).items():
        metric, labels = _of_class(name, key)
        yield Sample(f"ml_{metric}", labels, value)
        ends = interval(found, name, phi_of(baseline, window, name))
        if ends:
            yield Sample(f"ml_{metric}_lower", labels, ends.lower)
            yield Sample(f"ml_{metric}_upper", labels, ends.upper)


def estimates(layout: Layout, vector: Vector) -> Iterator[tuple[str, Estimate | None]]:
    """The statistics of quality whose noise the baseline learns."""
    for name, item in labelled(layout, vector).named.items():
        if item.interval is not None:
            yield name, item.estimate
