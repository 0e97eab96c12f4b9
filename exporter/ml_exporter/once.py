"""`ml-exporter once`: the gauges of finished logs, and whether their data is fit for use."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ml_exporter.catalogue import BY_NAME, HistogramSample, Sample
from ml_exporter.charting import remember
from ml_exporter.counting import Counting
from ml_exporter.fitness import Finding, Limits, of_feed, of_model
from ml_exporter.ingest import Fleet
from ml_exporter.loading import Loaded
from ml_exporter.pipeline import evaluate
from ml_exporter.records import REJECT_REASONS

SUCCESS = "ml_exporter_batch_last_success_timestamp_seconds"
_EVER_US = 1 << 62


@dataclass(frozen=True)
class Finished:
    """The gauges of a run, its models, the rows that were rejected by source and reason, and what was found wrong."""

    samples: tuple[Sample, ...]
    models: tuple[str, ...]
    rejected: Mapping[str, Counter[str]]
    findings: tuple[Finding, ...]

    @property
    def unfit(self) -> frozenset[str]:
        """The models whose data is unfit."""
        return frozenset[str]().union(*(finding.models for finding in self.findings))


def run(loaded: Loaded, at_us: int | None, wall_us: int, limits: Limits | None = None) -> Finished:
    """Reads every log to its end and evaluates at `at_us`, by default when the newest pane is full.

    State is neither read nor written.

    Rows beyond the wall clock `wall_us` are refused as usual; no row is too old.
    """
    limits = limits or Limits()
    fleet = Fleet.of(loaded)
    for counting in fleet.countings.values():
        counting.timing = replace(counting.timing, retention_us=_EVER_US)
    for feed in fleet.feeds:
        feed.finished = loaded.config.sources[feed.name].complete
    fleet.read(lambda: wall_us, lambda: False)
    unread = {feed.name: feed.tail.lag(feed.position, wall_us / 1e6).bytes for feed in fleet.feeds}
    findings = [finding for feed in fleet.feeds for finding in of_feed(feed, unread[feed.name], limits)]
    samples: list[Sample] = []
    for name, counting in fleet.countings.items():
        gauges = list(_gauges(loaded, name, counting, at_us))
        findings += of_model(name, loaded.config, gauges, limits)
        samples += gauges
    samples += _rows(fleet)
    fleet.close()
    rejected = {feed.name: feed.rejected for feed in fleet.feeds}
    return Finished(tuple(samples), tuple(fleet.countings), rejected, tuple(findings))


def exposed(finished: Finished, wall_seconds: float, before: Mapping[str, float]) -> Iterator[Sample]:
    """What a run leaves behind: its gauges, and when each model was last run and last found fit.

    `before` are the last successes by model that an earlier run left at the same place: they stay where this one
    found the data unfit.
    """
    yield from finished.samples
    for model in finished.models:
        fit = model not in finished.unfit
        yield Sample("ml_exporter_batch_fit", (model,), float(fit))
        yield Sample("ml_exporter_batch_last_run_timestamp_seconds", (model,), wall_seconds)
        if fit or model in before:
            yield Sample(SUCCESS, (model,), wall_seconds if fit else before[model])


def _gauges(loaded: Loaded, name: str, counting: Counting, at_us: int | None) -> Iterator[Sample]:
    grid, settle_us = counting.timing.grid, counting.timing.settle_us
    full_us = (counting.panes.newest_us // grid.pane_us + 1) * grid.pane_us
    now_us = (full_us if at_us is None else at_us) + settle_us
    counting.last_arrival_us = now_us - counting.timing.idle_after_us - 1
    remember(counting, now_us)
    yield from _only_gauges(evaluate(counting, loaded.baselines[name], name, loaded.config, now_us))


def _only_gauges(samples: Iterable[Sample | HistogramSample]) -> Iterator[Sample]:
    for sample in samples:
        if not isinstance(sample, HistogramSample) and BY_NAME[sample.name].type == "gauge":
            yield sample


def _rows(fleet: Fleet) -> Iterator[Sample]:
    for feed in fleet.feeds:
        yield Sample("ml_exporter_batch_rows", (feed.name,), float(feed.rows_read))
        for reason in REJECT_REASONS:
            yield Sample("ml_exporter_batch_rejected_rows", (feed.name, reason), float(feed.rejected[reason]))
