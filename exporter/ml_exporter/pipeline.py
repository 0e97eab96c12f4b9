"""The order of the stages for one model: batches in, panes and counters kept, samples out.

No I/O, and `now` is an argument.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_exporter.baseline import Baseline
from ml_exporter.catalogue import HistogramSample, Sample
from ml_exporter.config import VERSION, Config, Corrections, Model, Source, Time, window_seconds
from ml_exporter.groups import Groups, group_rows
from ml_exporter.heads import Scored, known
from ml_exporter.join import Join, Joined, Records, Rules, hash_ids, label_dtype
from ml_exporter.layout import Layout, Vector
from ml_exporter.panes import Grid, Panes
from ml_exporter.parts import earlier_of, pairs_of, segments_of
from ml_exporter.records import FEATURE_PREFIX, LABEL_STATUSES, SEGMENT_PREFIX, VIOLATION_KINDS, Batch, Ints
from ml_exporter.segments import OTHER, By, Codes, Panned, Segments
from ml_exporter.statistics.dispersion import alpha_from_budget, state
from ml_exporter.units import DELAY_UNIT, LATENCY_UNIT
from ml_exporter.vectorise import Vectoriser, make_vectoriser
from ml_exporter.vitals import ALWAYS, VITALS
from ml_exporter.vitals.labels import delay_quantile
from ml_exporter.vitals.multiclass import answers
from ml_exporter.vitals.windows import REFERENCE, Window, Windows, alpha_of

MAX_VERSIONS = 20
MAX_PENDING = 20_000_000
DELAYS = 5
"""How many times the 95th percentile of the label delay a window with quality by arrival is long."""
NO_VERSION = ""
NULL_RATIO = "feature_null_ratio"
NULL_RATIO_WINDOW = "1h"
"""The window that the alert on nulls reads: a broken pipeline must not wait for a day."""


@dataclass(frozen=True)
class Timing:
    """The configured times that decide where rows and windows fall, all in microseconds."""

    grid: Grid
    settle_us: int
    idle_after_us: int
    stale_after_us: int
    future_us: int
    maturity_us: int
    retention_us: int
    grace_us: int
    expire_us: int

    @classmethod
    def of(cls, model: Model, time: Time, source: Source, maturity_seconds: float) -> "Timing":
        """The times of one model.

        Panes are kept as long as any window can reach, and a label joins only while its prediction's pane is kept.
        """
        names = (*model.windows.head, *model.windows.features, *model.windows.quality)
        longest = max(window_seconds(name, time) for name in names)
        earlier = max((window_seconds(name, time) for name in model.windows.features), default=0.0)
        reach = {"previous": earlier * 2, "last_week": earlier + 7 * time.day}
        reaches = (reach.get(name, 0.0) for name in model.comparisons)
        labels = model.labels
        seconds = (source.settle, source.idle_after, time.stale_after, time.future_tolerance, maturity_seconds)
        kept = max((longest + maturity_seconds, *reaches)) + 2 * time.day
        waits = (labels.grace, min(labels.expire_after, kept - time.day)) if labels else (0.0, 0.0)
        grid = Grid(micros(time.pane), micros(time.hour))
        return cls(grid, *(micros(item) for item in (*seconds, kept, *waits)))


def micros(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return round(seconds * 1e6)


@dataclass
class Counting:
    """Everything counted for one model: panes, waiting joins, and counters since the start of the process."""

    layout: Layout
    timing: Timing
    has_labels: bool
    bys: tuple[By, ...] = ()
    segments: Segments = field(init=False)
    panes: Panes = field(init=False)
    scopes: dict[tuple[str, str], Panes] = field(default_factory=dict)
    combinations: list[tuple[str, ...]] = field(default_factory=lambda: [()])
    segment_names: dict[str, list[str]] = field(default_factory=dict)
    join: Join = field(init=False)
    dropped: int = 0
    total: Vector = field(init=False)
    by_version: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    versions_us: dict[str, int] = field(default_factory=dict)
    last_label_us: int = 0
    last_arrival_us: int = 0
    vectoriser: Vectoriser = field(init=False)

    def __post_init__(self) -> None:
        self.panes = Panes(self.layout, self.timing.grid)
        self.set_rules("first", MAX_PENDING)
        self.total = self.layout.zeros()
        self.vectoriser = make_vectoriser(self.layout)
        self.segments = Segments(self.layout.head, self.timing.grid, self.bys, self.scopes)
        self._head = make_vectoriser(self.layout.head)
        self._show_segments()

    def _show_segments(self) -> None:
        """What the store keeps of the segments beside their panes."""
        self.combinations, self.segment_names = self.segments.combinations, self.segments.names

    def adopt_segments(self) -> tuple[str, ...]:
        """Fits what the store loaded to the segments that are configured. Returns in words what was reset."""
        reset = self.segments.restore(self.segment_names, self.combinations)
        self._show_segments()
        return reset

    def set_rules(self, corrections: Corrections, max_pending: int) -> None:
        """Starts an empty join by the configured rules."""
        arrival = self.layout.align == "arrival"
        rules = Rules(self.timing.grace_us, self.timing.expire_us, corrections == "last", arrival, max_pending)
        self.join = Join(rules, self.layout.join_scores, self.layout.is_class)

    def predictions(self, batch: Batch, now_us: int) -> Mapping[str, Ints]:
        """Takes in predictions; returns the places of rows that the clock refused, by reason."""
        self.violations.update(batch.violations)
        times = batch.table.column("timestamp").to_numpy()
        future, late = times > now_us + self.timing.future_us, times < now_us - self.timing.retention_us
        table, refused = batch.table, future | late
        if refused.any():
            table = table.filter(pa.array(~refused))
            times = times[~refused]
        if len(times):
            self._count(table, np.asarray(times, np.int64), now_us)
        return {name: batch.offsets[found] for name, found in (("future", future), ("too_late", late)) if found.any()}

    def _count(self, table: pa.Table, times: Vector, now_us: int) -> None:
        self.last_arrival_us = now_us
        self.panes.advance(int(times.max()))
        keys, groups = group_rows(self.panes.keys(times))
        matrix, scored = self.vectoriser.predictions(table, groups, self.has_labels)
        self.panes.add_groups(keys, matrix)
        self.total += matrix.sum(axis=0)
        self._count_versions(table, times)
        codes = self._count_segments(table, Panned(keys, groups, matrix))
        if self.has_labels:
            self._wait(table, times, scored, codes)
            self._take_own_labels(table, times, now_us)

    def _count_segments(self, table: pa.Table, panned: Panned) -> Codes:
        """Counts the rows in the panes of their values; returns the codes of the values."""
        codes = self.segments.read(table)
        of_head = [name for name in table.column_names if not name.startswith((FEATURE_PREFIX, SEGMENT_PREFIX))]

        def count(rows: Codes | None, groups: Groups) -> Vector:
            part = table.select(of_head)
            return self._head.predictions(part if rows is None else part.take(rows), groups, self.has_labels)[0]

        self.segments.add(codes, panned, count, self.panes.newest_us)
        return codes

    def _count_versions(self, table: pa.Table, times: Vector) -> None:
        if "version" not in table.column_names:
            self.by_version[NO_VERSION] += len(times)
            return
        encoded = pc.dictionary_encode(pc.fill_null(table.column("version"), NO_VERSION).combine_chunks())
        codes = encoded.indices.to_numpy()
        newest = np.zeros(len(encoded.dictionary), np.int64)
        np.maximum.at(newest, codes, times)
        for name, count, seen in zip(
            encoded.dictionary.to_pylist(), np.bincount(codes).tolist(), newest.tolist(), strict=True
        ):
            kept = name if name in self.versions_us or len(self.versions_us) < MAX_VERSIONS else OTHER
            self.by_version[kept] += count
            self.versions_us[kept] = max(seen, self.versions_us.get(kept, 0))

    def _wait(self, table: pa.Table, times: Vector, scored: Scored, codes: Codes) -> None:
        kept = scored.known & np.asarray(pc.is_valid(table.column("id")).to_numpy(), np.bool_)
        fresh = np.zeros(int(kept.sum()), self.join.dtype)
        fresh["hash"], fresh["time_us"] = hash_ids(table.column("id"))[kept], times[kept]
        fresh["predicted"], fresh["scores"] = scored.predicted[kept], scored.scores[kept]
        fresh["segment"] = self.segments.combine(codes)[kept]
        self._joined(self.join.predictions(fresh))

    def labels(self, batch: Batch, now_us: int) -> Mapping[str, Ints]:
        """Takes in labels; returns the places of rows that the clock refused, by reason."""
        self.violations.update(batch.violations)
        times = np.asarray(batch.table.column("timestamp").to_numpy(), np.int64)
        future = times > now_us + self.timing.future_us
        table = batch.table.filter(pa.array(~future)) if future.any() else batch.table
        self._take_labels(table, times[~future], now_us)
        return {"future": batch.offsets[future]} if future.any() else {}

    def _take_own_labels(self, table: pa.Table, times: Vector, now_us: int) -> None:
        """Takes in the labels that are in the prediction records. One from the future is invalid."""
        if "label" not in table.column_names:
            return
        there = np.asarray(pc.is_valid(table.column("label")).to_numpy(), np.bool_)
        if "label_timestamp" in table.column_names:
            times = np.asarray(pc.coalesce(table.column("label_timestamp"), pa.array(times)).to_numpy(), np.int64)
        kept = there & (times <= now_us + self.timing.future_us)
        self.statuses["invalid"] += int((there & ~kept).sum())
        if kept.any():
            self._take_labels(table.filter(pa.array(kept)), times[kept], now_us)

    def _take_labels(self, table: pa.Table, times: Vector, now_us: int) -> None:
        """Joins labels; columns `id` and `label`."""
        actual = self.vectoriser.actual(table.column("label"))
        valid = known(actual)
        self.statuses["invalid"] += int((~valid).sum())
        fresh = np.zeros(int(valid.sum()), label_dtype(self.layout.is_class))
        fresh["hash"], fresh["time_us"] = hash_ids(table.column("id"))[valid], times[valid]
        fresh["actual"], fresh["seen_us"] = actual[valid], now_us
        if len(fresh):
            self.last_label_us = max(self.last_label_us, int(fresh["time_us"].max()))
            self._joined(self.join.labels(fresh))

    def _joined(self, joined: Joined) -> None:
        self.statuses.update(joined.statuses)
        if len(joined.taken):
            self._add_labels(joined.taken, -1)
        if len(joined.added):
            added = self._add_labels(joined.added, 1)
            if joined.first is joined.added:
                self.total += added
            elif len(joined.first):
                _, groups = group_rows(np.zeros(len(joined.first), np.int64))
                self.total += _label_vectors(self.vectoriser, joined.first, groups)[0]

    def _add_labels(self, records: Records, sign: int) -> Vector:
        """Adds what labels count to the panes of their predictions and, where quality goes by arrival, to their own.

        Returns the sum over all panes.
        """
        arriving, total = self.layout.arriving, self.layout.zeros()
        for times, cells in ((records["time_us"], ~arriving), (records["label_us"], arriving)):
            if cells.any():
                keys, groups = group_rows(self.panes.keys(times))
                matrix = np.where(cells, sign * _label_vectors(self.vectoriser, records, groups), 0)
                self.panes.add_groups(keys, matrix)
                total += matrix.sum(axis=0)
                self._add_segment_labels(records, Panned(keys, groups, matrix), sign * cells)
        return total

    def _add_segment_labels(self, records: Records, panned: Panned, signs: Vector) -> None:
        """Adds to the values that the predictions were counted under. `signs`: 0 for cells that go elsewhere."""

        def count(rows: Codes | None, groups: Groups) -> Vector:
            some = records if rows is None else records[rows]
            return _label_vectors(self._head, some, groups) * signs[: self.segments.layout.size]

        codes = self.segments.codes_of(records["segment"])
        self.segments.add(codes, panned, count, self.panes.newest_us)

    def expire(self, now_us: int) -> None:
        """Forgets what no window can reach any more."""
        oldest = self.panes.newest_us - self.timing.retention_us
        self.versions_us = {name: seen for name, seen in self.versions_us.items() if seen >= oldest}
        self.panes.drop_before("hour", oldest)
        self.segments.expire(oldest, self.panes.newest_us)
        hour_us = self.timing.grid.hour_us
        self.join.oldest_us = -(-oldest // hour_us) * hour_us  # where the first hour that is kept begins
        self.statuses.update(self.join.expire(self.panes.newest_us, now_us))


def _label_vectors(vectoriser: Vectoriser, records: Records, groups: Groups) -> Vector:
    """What labelled records add, by group. Delays are whole milliseconds."""
    scored = vectoriser.scored(records["predicted"], records["scores"])
    delay = np.maximum(records["label_us"] - records["time_us"], 0) // 1000 / 1000
    return vectoriser.labels(scored, records["actual"], delay, groups)


def windows_at(counting: Counting, name: str, model: Model, time: Time, now_us: int) -> Windows:
    """The windows of a model at an instant: current ones end at the last settled pane, matured ones earlier."""
    timing, newest = counting.timing, counting.panes.newest_us
    end = now_us - timing.settle_us
    if newest and now_us - counting.last_arrival_us <= timing.idle_after_us:
        end = min(end, newest)
    quality = tuple(dict.fromkeys((*model.windows.head, *model.windows.quality)))
    current = tuple(_windows(counting, model.windows.head, time, end))
    matured = tuple(_windows(counting, quality, time, end - timing.maturity_us)) if counting.has_labels else ()
    limit = float(model.latency.limit)
    arrived = None
    if counting.layout.align == "arrival" and counting.has_labels:
        arrived = tuple(_windows(counting, _long_enough(counting.layout, matured), time, end))
    return Windows(name, current, matured, model.windows.features, alpha(model, time), limit, arrived)


def _long_enough(layout: Layout, matured: tuple[Window, ...]) -> Iterator[str]:
    """The windows in which quality by arrival means something: at least five times as long as 95 % of labels need.

    In a shorter one the labels are mostly those of the quick answers. Of the longest window that has matured it is
    known how long they need.
    """
    longest = max(matured, key=lambda window: window.seconds, default=None)
    delay = delay_quantile(layout, longest.vector, 0.95) if longest else None
    if delay is not None:
        yield from (window.name for window in matured if window.seconds >= DELAYS * delay)


def with_parts(windows: Windows, counting: Counting, model: Model, time: Time) -> Windows:
    """The windows with what they are compared with: segments, earlier windows, versions."""
    newest_us, segments = counting.panes.newest_us, counting.segments
    current = [window for window in windows.current if window.name in model.windows.segments]
    quality = [window for window in windows.quality if window.name in model.windows.segments]
    bounds = (newest_us - counting.timing.retention_us, micros(time.day))
    by_version = VERSION in model.comparisons
    return replace(
        windows,
        segments=tuple(segments_of(segments, newest_us, current, quality)),
        earlier=tuple(earlier_of(counting.panes, windows.for_features(), model.comparisons, bounds)),
        versions=tuple(pairs_of(segments, newest_us, current)) if by_version else (),
        version_quality=tuple(pairs_of(segments, newest_us, quality)) if by_version else (),
    )


def _windows(counting: Counting, names: Iterable[str], time: Time, end_us: int) -> Iterator[Window]:
    for name in names:
        seconds = window_seconds(name, time)
        span = counting.timing.grid.span(end_us, micros(seconds), counting.panes.newest_us)
        if span is not None:
            yield Window(name, seconds, *span, counting.panes.sum(*span))


def alerting_series(model: Model) -> Mapping[str, int]:
    """How many series of each signal a window may raise a false alarm with."""
    numeric = len(model.features.numeric)
    features = numeric + len(model.features.categorical)
    shift = "prediction_mean_shift" if model.task == "regression" else "prediction_class_shift"
    drift = {"feature_psi": features, "feature_mean_shift": numeric, "prediction_psi": 1, shift: 1}
    return drift | {NULL_RATIO: features}


def alerting_windows(model: Model, time: Time, signal: str) -> tuple[str, ...]:
    """The feature windows that alerts on a signal read.

    Nulls are read by the hour. Drift is read over multiples of a day, so that the time of day cannot drift.
    """
    if signal == NULL_RATIO:
        return tuple(name for name in model.windows.features if name == NULL_RATIO_WINDOW)
    return tuple(name for name in model.windows.features if window_seconds(name, time) % time.day == 0)


def alpha(model: Model, time: Time) -> float:
    """The share of the false-alarm budget that one series and window of a day or more gets.

    All tests of a day over one shorter window count as one daily test, and share its alpha (`vitals.windows.alpha_of`).
    """
    by_length: Counter[float] = Counter()
    for signal, series in alerting_series(model).items():
        for name in alerting_windows(model, time, signal):
            by_length[max(window_seconds(name, time), time.day)] += series
    return alpha_from_budget(model.false_alarms_per_month, by_length, 30 * time.day)


def evaluate(
    counting: Counting, baseline: Baseline, name: str, config: Config, now_us: int
) -> Iterator[Sample | HistogramSample]:
    """Every sample of one model at an instant. Gauges of windows that ended too long ago are withheld."""
    model = config.models[name]
    windows = windows_at(counting, name, model, config.time, now_us)
    stale = not windows.current or now_us - windows.current[0].end_us > counting.timing.stale_after_us
    yield from _identity(counting, baseline, name, config, now_us)
    yield from _counters(counting, name)
    if not stale:
        windows = with_parts(windows, counting, model, config.time)
    for vital in ALWAYS if stale else (*ALWAYS, *VITALS):
        yield from vital(windows, baseline)


def _identity(counting: Counting, baseline: Baseline, name: str, config: Config, now_us: int) -> Iterator[Sample]:
    model = config.models[name]
    yield Sample("ml_model_info", (name, model.task, model.tier, model.team), 1.0)
    day = micros(config.time.day)
    for version, seen_us in sorted(counting.versions_us.items()):
        if seen_us >= counting.panes.newest_us - day:
            yield Sample("ml_model_version_info", (name, version), 1.0)
    for window in alerting_windows(model, config.time, "feature_psi"):
        learned = [item.windows for item in baseline.noise_of(window).psi.values()]
        found = state(min(learned, default=0))
        yield Sample("ml_baseline_info", (name, REFERENCE, baseline.fingerprint, found), 1.0)
        break
    else:
        yield Sample("ml_baseline_info", (name, REFERENCE, baseline.fingerprint, state(0)), 1.0)
    yield Sample("ml_baseline_created_timestamp_seconds", (name, REFERENCE), baseline.end_us / 1e6)
    daily = alpha(model, config.time)
    for signal in alerting_series(model):
        for window in alerting_windows(model, config.time, signal):
            value = alpha_of(daily, window_seconds(window, config.time), config.time.day)
            yield Sample("ml_false_alarm_alpha", (name, signal, window), value)
    if counting.panes.newest_us:
        yield Sample("ml_last_prediction_timestamp_seconds", (name,), counting.panes.newest_us / 1e6)
    if counting.last_label_us:
        yield Sample("ml_last_label_timestamp_seconds", (name,), counting.last_label_us / 1e6)


def _counters(counting: Counting, name: str) -> Iterator[Sample | HistogramSample]:
    layout, total = counting.layout, counting.total
    for version in sorted(counting.by_version) or [NO_VERSION]:
        yield Sample("ml_predictions_total", (name, version), float(counting.by_version[version]))
    for kind in VIOLATION_KINDS:
        yield Sample("ml_schema_violations_total", (name, kind), float(counting.violations[kind]))
    latency = layout.cells(total, "latency")
    bounds, counts = layout.latency_bounds, tuple(latency["buckets"].tolist())
    yield HistogramSample(
        "ml_prediction_latency_seconds", (name,), bounds, counts, int(latency["sum"][0]) / LATENCY_UNIT
    )
    if not counting.has_labels:
        return
    yield from _label_counters(layout, total, name)
    for status in LABEL_STATUSES:
        yield Sample("ml_labels_total", (name, status), float(counting.statuses[status]))
    delays = layout.cells(total, "labels")
    counts = tuple(delays["delay"].tolist())
    yield HistogramSample(
        "ml_label_delay_seconds", (name,), layout.delay_bounds, counts, int(delays["delay_sum"][0]) / DELAY_UNIT
    )
    for side, rows, dropped in (
        ("predictions", counting.join.shelf.waiting, counting.dropped),
        ("labels", counting.join.early.count, counting.statuses["dropped"]),
    ):
        yield Sample("ml_exporter_join_pending_rows", (name, side), float(rows))
        yield Sample("ml_exporter_join_dropped_total", (name, side), float(dropped))
    yield Sample("ml_exporter_join_repeated_ids_total", (name,), float(counting.join.repeated))


def _label_counters(layout: Layout, total: Vector, name: str) -> Iterator[Sample]:
    """Labelled predictions, of classes also the right ones and, of up to 20, each pair of actual and predicted."""
    yield Sample("ml_labelled_predictions_total", (name,), float(layout.cells(total, "labels")["labelled"][0]))
    if not layout.is_class:
        return
    yield Sample("ml_correct_predictions_total", (name,), float(answers(layout, total).right.sum()))
    cells = layout.cells(total, "quality")
    pairs = product(layout.classes, repeat=2)
    for (actual, predicted), count in zip(
        pairs, cells["confusion"].tolist() if "confusion" in cells else (), strict=False
    ):
        yield Sample("ml_confusion_total", (name, actual, predicted), float(count))
