"""From what is counted for one model to its samples: windows, what they are compared with, vitals.

No I/O, and `now` is an argument.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from ml_exporter.baseline import SELECTION, Baseline
from ml_exporter.catalogue import HistogramSample, Sample
from ml_exporter.charting import charts_of
from ml_exporter.config import VERSION, Config, Model, Time, window_seconds
from ml_exporter.counting import NO_VERSION, Counting, micros
from ml_exporter.joint import REASONS
from ml_exporter.layout import Layout, Vector
from ml_exporter.parts import earlier_of, pairs_of, segments_of
from ml_exporter.records import LABEL_STATUSES, VIOLATION_KINDS
from ml_exporter.statistics.dispersion import alpha_from_budget, state
from ml_exporter.units import DELAY_UNIT, LATENCY_UNIT
from ml_exporter.vitals import ALWAYS, VITALS, Vital
from ml_exporter.vitals.distances import METRICS
from ml_exporter.vitals.labels import delay_quantile
from ml_exporter.vitals.multiclass import answers
from ml_exporter.vitals.windows import REFERENCE, Window, Windows, alpha_of

DELAYS = 5
"""How many times the 95th percentile of the label delay a window with quality by arrival is long."""
DAY, MONTH = "1d", "30d"
"""A fast fall of quality is one of the day against the 30 days before it."""
NULL_RATIO = "feature_null_ratio"
NULL_RATIO_WINDOW = "1h"
"""The window that the alert on nulls reads: a broken pipeline must not wait for a day."""


def windows_at(counting: Counting, name: str, model: Model, time: Time, now_us: int) -> Windows:
    """The windows of a model at an instant: current ones end at the last settled pane, matured ones earlier."""
    timing, end = counting.timing, counting.settled_us(now_us)
    quality = tuple(dict.fromkeys((*model.windows.head, *model.windows.quality)))
    current = tuple(_windows(counting, model.windows.head, time, end))
    matured = tuple(_windows(counting, quality, time, end - timing.maturity_us)) if counting.has_labels else ()
    limit = float(model.latency.limit)
    arrived = None
    if counting.layout.align == "arrival" and counting.has_labels:
        arrived = tuple(_windows(counting, _long_enough(counting.layout, matured), time, end))
    return Windows(
        name,
        current,
        matured,
        model.windows.features,
        alpha(model, time),
        limit,
        arrived,
        distances=model.features.distances,
    )


def _long_enough(layout: Layout, matured: tuple[Window, ...]) -> Iterator[str]:
    """The windows in which quality by arrival means something."""
    shortest = shortest_by_arrival(layout, matured)
    if shortest is not None:
        yield from (window.name for window in matured if window.seconds >= shortest)


def shortest_by_arrival(layout: Layout, matured: tuple[Window, ...]) -> float | None:
    """How many seconds a window must be long for quality by arrival: five times what 95 % of labels need.

    In a shorter one the labels are mostly those of the quick answers. Of the longest window that has matured it is
    known how long they need. None where it has no labels.
    """
    longest = max(matured, key=lambda window: window.seconds, default=None)
    delay = delay_quantile(layout, longest.vector, 0.95) if longest else None
    return None if delay is None else DELAYS * delay


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
        before=_before(windows, counting, model, time),
        charts=tuple(charts_of(counting, windows.current, windows.quality, time.day)),
    )


def _before(windows: Windows, counting: Counting, model: Model, time: Time) -> Window | None:
    """The 30 days before the day that quality is computed over, without it: what a sudden drop is a drop from."""
    day = next((window for window in windows.quality if window.name == DAY), None)
    if day is None or MONTH not in (*model.windows.head, *model.windows.quality):
        return None
    return next(_windows(counting, (MONTH,), time, day.start_us), None)


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
    drift |= {"prediction_concentration": 1, "prediction_spread": 1}
    asked = {f"feature_{METRICS[name]}": features if name == "js" else numeric for name in model.features.distances}
    joint = {"prediction_outlier_ratio": len(REASONS)} | ({"multivariate_drift": 1} if numeric > 1 else {})
    return drift | asked | joint | {NULL_RATIO: features}


def alerting_windows(model: Model, time: Time, signal: str) -> tuple[str, ...]:
    """The feature windows that alerts on a signal read.

    Nulls are read by the hour. Drift is read over multiples of a day, so that the time of day cannot drift.
    """
    if signal == NULL_RATIO:
        return tuple(name for name in model.windows.features if name == NULL_RATIO_WINDOW)
    return tuple(name for name in model.windows.features if window_seconds(name, time) % time.day == 0)


def learned_windows(baseline: Baseline, model: Model, time: Time) -> int:
    """From how many windows of the reference the noise of PSI, of features and scores, was learned for alerts."""
    for window in alerting_windows(model, time, "feature_psi"):
        known = baseline.noise_of(window).psi.items()
        return min((item.windows for name, item in known if name != SELECTION), default=0)
    return 0


def alpha(model: Model, time: Time) -> float:
    """The share of the false-alarm budget that one series and window of a day or more gets.

    All tests of a day over one shorter window count as one daily test, and share its alpha (`vitals.windows.alpha_of`).
    """
    by_length: Counter[float] = Counter()
    for signal, series in alerting_series(model).items():
        for name in alerting_windows(model, time, signal):
            by_length[max(window_seconds(name, time), time.day)] += series
    return alpha_from_budget(model.false_alarms_per_month, by_length, 30 * time.day)


@dataclass(frozen=True)
class Prepared:
    """All that the samples of one model at an instant follow from, but its baseline: values, which nothing changes.

    `known` are the samples that look at no window; `vitals` what is made of the windows.
    """

    model: str
    known: tuple[Sample | HistogramSample, ...]
    windows: Windows
    vitals: tuple[Vital, ...]

    @property
    def stale(self) -> bool:
        """Whether gauges are withheld, because the windows ended too long ago."""
        return self.vitals == ALWAYS

    def samples(self, baseline: Baseline) -> Iterator[Sample | HistogramSample]:
        """Every sample."""
        yield from self.known
        for vital in self.vitals:
            yield from vital(self.windows, baseline)


def prepare(counting: Counting, baseline: Baseline, name: str, config: Config, now_us: int) -> Prepared:
    """Adds up the windows of one model at an instant. Gauges of windows that ended too long ago will be withheld."""
    model = config.models[name]
    windows = windows_at(counting, name, model, config.time, now_us)
    stale = not windows.current or now_us - windows.current[0].end_us > counting.timing.stale_after_us
    known = (*_identity(counting, baseline, name, config), *_counters(counting, name))
    if stale:
        return Prepared(name, known, windows, ALWAYS)
    return Prepared(name, known, with_parts(windows, counting, model, config.time), (*ALWAYS, *VITALS))


def evaluate(
    counting: Counting, baseline: Baseline, name: str, config: Config, now_us: int
) -> Iterator[Sample | HistogramSample]:
    """Every sample of one model at an instant."""
    yield from prepare(counting, baseline, name, config, now_us).samples(baseline)


def _identity(counting: Counting, baseline: Baseline, name: str, config: Config) -> Iterator[Sample]:
    model = config.models[name]
    yield Sample("ml_model_info", (name, model.task, model.tier, model.team), 1.0)
    day = micros(config.time.day)
    for version, seen_us in sorted(counting.versions_us.items()):
        if seen_us >= counting.panes.newest_us - day:
            yield Sample("ml_model_version_info", (name, version), 1.0)
    found = state(learned_windows(baseline, model, config.time))
    yield Sample("ml_baseline_info", (name, REFERENCE, baseline.fingerprint, found), 1.0)
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
