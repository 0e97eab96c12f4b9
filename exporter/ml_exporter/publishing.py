"""What the models of a configuration export at an instant: every sample, within the limits of their series.

`serve` and `replay` publish through it, so that both say the same of the same rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ml_exporter.budget import AnySample, capped, series
from ml_exporter.catalogue import Sample
from ml_exporter.counting import Counting
from ml_exporter.loading import Loaded
from ml_exporter.pipeline import Prepared, prepare


@dataclass(frozen=True)
class Evaluated:
    """One model at an instant: what its samples follow from, all of them, series exported and series too many."""

    prepared: Prepared
    samples: tuple[AnySample, ...]
    series: int
    dropped: int


@dataclass(frozen=True)
class Published:
    """The samples of all models, each model's together, what they came from, and how many series were too many."""

    samples: tuple[AnySample, ...]
    models: Mapping[str, Evaluated]

    @property
    def dropped(self) -> int:
        """How many series went beyond the limits."""
        return sum(model.dropped for model in self.models.values())


def publish(countings: Mapping[str, Counting], loaded: Loaded, now_us: int) -> Published:
    """Evaluates every model, and counts what it exports in `ml_exporter_series`, which counts too."""
    return finish(ready(countings, loaded, now_us), loaded)


def ready(countings: Mapping[str, Counting], loaded: Loaded, now_us: int) -> tuple[Prepared, ...]:
    """What is to be published of every model, as values: what is counted may go on changing."""
    found = countings.items()
    return tuple(prepare(counting, loaded.baselines[name], name, loaded.config, now_us) for name, counting in found)


def finish(models: Iterable[Prepared], loaded: Loaded) -> Published:
    """Makes the samples of what is `ready`."""
    samples: list[AnySample] = []
    counts: list[Sample] = []
    evaluated: dict[str, Evaluated] = {}
    for prepared in models:
        name = prepared.model
        found = tuple(prepared.samples(loaded.baselines[name]))
        size, limit = series(found), loaded.config.models[name].series_limit - 1
        kept = found if size <= limit else capped(found, limit)
        kept_size = size if kept is found else series(kept)
        samples += kept
        counts.append(Sample("ml_exporter_series", (name,), float(kept_size + 1)))
        evaluated[name] = Evaluated(prepared, found, kept_size + 1, size - kept_size)
    return Published((*samples, *counts), evaluated)
