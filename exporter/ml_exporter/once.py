"""`ml-exporter once`: the gauges of finished logs, on standard output."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ml_exporter.catalogue import BY_NAME, HistogramSample, Sample
from ml_exporter.ingest import Feed, Fleet
from ml_exporter.loading import Loaded
from ml_exporter.pipeline import Counting, evaluate

_EVER_US = 1 << 62


@dataclass(frozen=True)
class Finished:
    """The gauges of every model, and what was lost by source: rows by reason, bytes behind the last newline, errors."""

    samples: tuple[Sample, ...]
    rejected: dict[str, Counter[str]]
    unread_bytes: dict[str, int]
    errors: dict[str, str]


def run(loaded: Loaded, at_us: int | None, wall_us: int) -> Finished:
    """Reads every log to its end and evaluates at `at_us`, by default when the newest pane is full.

    State is neither read nor written.

    Rows beyond the wall clock `wall_us` are refused as usual; no row is too old.
    """
    fleet = Fleet.of(loaded)
    for counting in fleet.countings.values():
        counting.timing = replace(counting.timing, retention_us=_EVER_US)
    fleet.read(lambda: wall_us, lambda: False)
    samples = [
        sample for name, counting in fleet.countings.items() for sample in _gauges(loaded, name, counting, at_us)
    ]
    unread = {feed.name: feed.tail.lag(feed.position, wall_us / 1e6).bytes for feed in fleet.feeds}
    fleet.close()
    return Finished(
        tuple(samples), {feed.name: feed.rejected for feed in fleet.feeds}, unread, dict(_errors(fleet.feeds))
    )


def _gauges(loaded: Loaded, name: str, counting: Counting, at_us: int | None) -> Iterator[Sample]:
    grid, settle_us = counting.timing.grid, counting.timing.settle_us
    full_us = (counting.panes.newest_us // grid.pane_us + 1) * grid.pane_us
    now_us = (full_us if at_us is None else at_us) + settle_us
    counting.last_arrival_us = now_us - counting.timing.idle_after_us - 1
    for sample in evaluate(counting, loaded.baselines[name], name, loaded.config, now_us):
        if isinstance(sample, HistogramSample) or BY_NAME[sample.name].type != "gauge":
            continue
        yield sample


def _errors(feeds: Sequence[Feed]) -> Iterator[tuple[str, str]]:
    return ((feed.name, feed.error) for feed in feeds if not feed.up)
