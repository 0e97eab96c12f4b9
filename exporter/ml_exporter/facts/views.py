"""What a publish leaves for whoever asks later: references to what never changes, and copies of a few small counts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ml_exporter.baseline import Baseline
from ml_exporter.budget import AnySample
from ml_exporter.catalogue import Sample, labels_of
from ml_exporter.config import Model, Time
from ml_exporter.counting import Counting, Timing
from ml_exporter.frequent import Frequent
from ml_exporter.outlying import Outlying
from ml_exporter.panes import StillPanes
from ml_exporter.pipeline import Prepared
from ml_exporter.vitals.windows import Chart, Window, Windows

Key = tuple[str, frozenset[tuple[str, str]]]
"""The name of a metric, and the labels of a series."""


@dataclass(frozen=True)
class Known:
    """What is known of a model before anything was read: it changes with the configuration alone."""

    name: str
    model: Model
    time: Time
    baseline: Baseline
    timing: Timing
    has_labels: bool


@dataclass(frozen=True)
class Counts:
    """What is counted of a model beside its panes; numbers of rows are those since the process started."""

    newest_us: int
    last_label_us: int
    versions_us: Mapping[str, int]
    by_version: Mapping[str, int]
    statuses: Mapping[str, int]
    pending_predictions: int
    pending_labels: int
    dropped_predictions: int
    repeated_ids: int
    outliers: tuple[Outlying, ...]
    unseen: Mapping[str, Frequent]
    invalid: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, counting: Counting) -> "Counts":
        """Copies of the counts of a model."""
        return cls(
            counting.panes.newest_us,
            counting.last_label_us,
            dict(counting.versions_us),
            dict(counting.by_version),
            dict(counting.statuses),
            counting.join.shelf.waiting,
            counting.join.early.count,
            counting.dropped,
            counting.join.repeated,
            tuple(counting.outliers.rows),
            {name: names.still() for name, names in counting.unseen.items()},
            {name: dict(last.texts) for name, last in counting.invalid.items()},
        )


@dataclass(frozen=True)
class Exported:
    """The samples of a model, how many of their series are exported, and how many are too many."""

    samples: tuple[AnySample, ...]
    series: int
    dropped: int


@dataclass(frozen=True)
class View:
    """One model as one publish saw it. Nothing in it is changed by what is counted later."""

    known: Known
    at_us: int
    windows: Windows
    stale: bool
    exported: Exported
    panes: StillPanes
    counts: Counts
    troubles: tuple[str, ...]

    @property
    def day_us(self) -> int:
        """A day in microseconds."""
        return self.known.timing.day_us

    @property
    def of_features(self) -> tuple[Window, ...]:
        """The windows of features, the longest first."""
        return tuple(sorted(self.windows.for_features(), key=lambda window: -window.seconds))

    def chart(self, window: str, signal: str) -> Chart | None:
        """The control chart of a signal over a window, if it has one."""
        return next((item for item in self.windows.charts if (item.window, item.signal) == (window, signal)), None)

    def series(self) -> Iterator[tuple[Key, float]]:
        """Every sample that is no histogram."""
        return ((key_of(item), item.value) for item in self.exported.samples if isinstance(item, Sample))

    @cached_property
    def by_series(self) -> Mapping[Key, float]:
        """The value of every series."""
        return dict(self.series())


def view_of(
    counting: Counting, known: Known, prepared: Prepared, exported: Exported, at_us: int, troubles: Iterable[str] = ()
) -> View:
    """The view of a model that was just evaluated. What is large and no fact is made of is left out."""
    windows = replace(prepared.windows, versions=(), version_quality=(), earlier=())
    return View(
        known,
        at_us,
        windows,
        prepared.stale,
        exported,
        counting.panes.still(),
        Counts.of(counting),
        tuple(troubles),
    )


def key_of(sample: Sample) -> Key:
    """What a sample is found by."""
    return sample.name, frozenset(labels_of(sample).items())
