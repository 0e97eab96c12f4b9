"""Which alerts of the pack have reason to fire on the flights of 2013. Prints a table, then `name value unit` lines.

March, the reference, has no drift by definition: critical values are fitted on two thirds of its days and alarms are
counted on the rest, in three rotations. April to December then run against all of March, one UTC day at a time (nulls
and default answers by the hour), with all labels that ever came.

This is done without Prometheus. `for`, sliding windows and the short partners of paging alerts are left out, so it
counts days on which a limit is exceeded, not notifications. Mean shift, the PSI of the scores, outliers of each reason
and multivariate drift share the budget of false alarms, so they are counted too, whether or not the pack has an alert.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from msgspec import structs
from scipy.stats import poisson

from ml_exporter.baseline import Baseline
from ml_exporter.calibration import Reference, calibrate
from ml_exporter.catalogue import Sample, labels_of
from ml_exporter.config import Model, Source, Time, parse
from ml_exporter.counting import Counting, Timing
from ml_exporter.fitting import fit_layout
from ml_exporter.layout import Layout, Vector
from ml_exporter.make_baseline import with_joint
from ml_exporter.pipeline import alpha
from ml_exporter.records import FEATURE_PREFIX, Batch
from ml_exporter.vitals import Vital, data, drift, multivariate, outliers, prediction, quality, shape
from ml_exporter.vitals.windows import Window, Windows

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "01-flights"
CACHE = ROOT / ".tools" / "cache"
MODEL = "flight_delay"
DAY, HOUR = "1d", "1h"
PSI_LIMIT, MEAN_SHIFT_LIMIT, CLASS_SHIFT_LIMIT, NULL_LIMIT = 0.1, 3.0, 0.1, 0.05
OUTLIER_LIMIT, MULTIVARIATE_LIMIT = 0.005, 1.0
"""The smallest effects that anybody alerts on; the pack's own limit for PSI is larger."""
LENGTH_US = {DAY: 86_400_000_000, HOUR: 3_600_000_000}
EVER_US = 1 << 61
ROTATIONS = 3
RARE_DAYS = 20
DAILY: tuple[Vital, ...] = (
    data.volume,
    drift.feature_psi,
    drift.mean_shift,
    prediction.class_ratios,
    prediction.class_shift,
    prediction.score_psi,
    outliers.outlier_ratio,
    multivariate.drift,
    shape.answer_concentration,
    shape.answer_spread,
    quality.quality,
)
NULLS: tuple[Vital, ...] = (data.volume, data.feature_quality, data.baseline_feature_quality, data.null_noise)
HOURLY: tuple[Vital, ...] = (*NULLS, prediction.answers)

Limits = Mapping[tuple[str, str, str, str], float]
"""By signal, window, severity, and feature (or nothing: for all that have none of their own)."""
Values = dict[str, dict[tuple[str, ...], float]]


@dataclass(frozen=True)
class Flights:
    """The tables of predictions and of labels as the sources would give them, and the model that they are of."""

    model: Model
    source: Source
    predictions: pa.Table
    labels: pa.Table


def flights() -> Flights:
    """March to December 2013."""
    sys.path.insert(0, str(EXAMPLE))
    from flights import REFERENCE_FROM, prepared_table  # noqa: PLC0415

    config = parse((EXAMPLE / "ml-exporter.yaml").read_text(encoding="utf-8"))
    model = config.models[MODEL]
    rows = prepared_table(CACHE)
    rows = rows[(rows["timestamp"] >= REFERENCE_FROM) & (rows["timestamp"] < pd.Timestamp("2014-01-01", tz="UTC"))]
    columns = {
        "timestamp": _micros(rows["timestamp"]),
        "version": rows["model_version"],
        "latency": rows["latency_seconds"],
    }
    columns |= {name: rows[name] for name in ("id", "prediction", "score", "fallback")}
    columns |= {FEATURE_PREFIX + name: rows[name] for name in (*model.features.numeric, *model.features.categorical)}
    known = rows[rows["label"].notna()].sort_values("landed")
    labels = {"timestamp": _micros(known["landed"]), "id": known["id"], "label": known["label"]}
    return Flights(model, config.sources[model.predictions.source], _table(columns), _table(labels))


def _micros(instants: pd.Series) -> np.ndarray:
    return instants.astype("datetime64[us, UTC]").astype("int64").to_numpy()


def _table(columns: Mapping[str, pd.Series | np.ndarray]) -> pa.Table:
    """Columns in the encoding of `ml_exporter.records`."""
    arrays = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    texts = {name: array.cast(pa.string()) for name, array in arrays.items() if pa.types.is_large_string(array.type)}
    numbers = {
        name: array.cast(pa.float64())
        for name, array in arrays.items()
        if name.startswith(FEATURE_PREFIX) and pa.types.is_integer(array.type)
    }
    return pa.table(arrays | texts | numbers)


def counted(layout: Layout, found: Flights, predictions: pa.Table) -> Reference:
    """Predictions and every label that they ever got, in panes of an hour."""
    timing = Timing.of(found.model, Time(), found.source, 0.0)
    timing = replace(timing, retention_us=EVER_US * 2 - 1, expire_us=EVER_US)
    counting = Counting(layout, timing, True)
    counting.panes.newest_us = EVER_US
    counting.predictions(Batch(predictions, predictions.num_rows), EVER_US)
    counting.labels(Batch(found.labels, found.labels.num_rows), EVER_US)
    times = predictions.column("timestamp").to_numpy()
    return Reference(counting.panes, int(times.min()), int(times.max()), None)


def baseline_of(found: Flights, predictions: pa.Table) -> Baseline:
    """The artefact of these rows, for windows of a day and of an hour."""
    model = _judged(found.model)
    layout = fit_layout(predictions, model, Time())
    reference = with_joint(counted(layout, found, predictions), predictions, Time())
    return calibrate(MODEL, model, Time(), reference)


def _judged(model: Model) -> Model:
    """The model with no other windows than a day and an hour."""
    both = structs.replace(model.windows, head=(HOUR, DAY), features=(HOUR, DAY), quality=())
    return structs.replace(model, windows=both)


def vitals_of(found: Flights, baseline: Baseline, window: Window, vitals: tuple[Vital, ...]) -> Values:
    """The samples of one window by name, then by labels other than model, window and baseline."""
    alone = Windows(
        MODEL,
        (window,),
        (window,),
        (window.name,),
        alpha(_judged(found.model), Time()),
        float(found.model.latency.limit),
    )
    values: Values = defaultdict(dict)
    for vital in vitals:
        for sample in vital(alone, baseline):
            values[sample.name][_labels(sample)] = sample.value
    return values


def _labels(sample: Sample) -> tuple[str, ...]:
    return tuple(value for name, value in labels_of(sample).items() if name not in ("model", "window", "baseline"))


# --- the conditions of the pack -------------------------------------------------------------------


def thresholds() -> Limits:
    """The pack's limits, with what the example's own file overrides for its model."""
    rows = yaml.safe_load((ROOT / "rules" / "thresholds.yaml").read_text(encoding="utf-8"))
    rows += yaml.safe_load((EXAMPLE / "thresholds.yaml").read_text(encoding="utf-8"))
    limits = {}
    for row in rows:
        key = (row["signal"], row.get("window", ""), row["severity"])
        if "value" in row:
            limits[*key, ""] = row["value"]
        limits |= {
            (*key, item.get("feature", "")): item["value"]
            for item in row.get("overrides", [])
            if item["model"] == MODEL
        }
    return limits


def limit_of(limits: Limits, signal: str, window: str, severity: str, feature: str = "") -> float:
    """The most specific limit."""
    return limits.get((signal, window, severity, feature), limits[signal, window, severity, ""])


@dataclass(frozen=True)
class Alarm:
    """A reason to fire: signal, severity, the feature or class (or nothing), the value and its limit."""

    signal: str
    severity: str
    what: str
    value: float
    limit: float


def noise_alarms(values: Values, psi_limit: float, shift_limit: float) -> Iterator[Alarm]:
    """Drift of features and predictions: each beyond its limit and beyond what the reference shows without drift."""
    for signal in ("feature_psi", "prediction_psi"):
        for labels, value in values[f"ml_{signal}"].items():
            critical = values[f"ml_{signal}_critical"][labels]
            if value > psi_limit and critical < value and critical <= 1:
                yield Alarm(signal, "warning", "/".join(labels), value, max(critical, psi_limit))
    for labels, value in values["ml_feature_mean_shift_sigmas"].items():
        critical = values["ml_feature_mean_shift_critical_sigmas"][labels]
        if abs(value) >= MEAN_SHIFT_LIMIT and abs(value) > critical:
            yield Alarm("feature_mean_shift", "warning", "/".join(labels), value, max(critical, MEAN_SHIFT_LIMIT))
    for labels, value in values["ml_prediction_class_shift_sigmas"].items():
        critical = values["ml_prediction_class_shift_critical_sigmas"][labels]
        change = values["ml_prediction_class_ratio"][labels] - values["ml_prediction_baseline_class_ratio"][labels]
        if abs(change) >= shift_limit and abs(value) > critical:
            yield Alarm("prediction_class_shift", "warning", "/".join(labels), change, shift_limit)

    yield from row_alarms(values)


def row_alarms(values: Values) -> Iterator[Alarm]:
    """Outliers of each reason, and multivariate drift."""
    for labels, excess, critical in outlier_excess(values):
        if excess > max(critical, OUTLIER_LIMIT):
            yield Alarm("outliers", "warning", labels[0], excess, max(critical, OUTLIER_LIMIT))
    for labels, value in values["ml_multivariate_drift"].items():
        limit = max(MULTIVARIATE_LIMIT, values["ml_multivariate_drift_critical"][labels])
        if abs(value) > limit:
            yield Alarm("multivariate_drift", "warning", "", value, limit)


def outlier_excess(values: Values) -> Iterator[tuple[tuple[str, ...], float, float]]:
    """Every reason, how many more outliers there are than in the reference, and what that exceeds only by chance."""
    for labels, value in values["ml_prediction_outlier_ratio"].items():
        if labels:
            excess = value - values["ml_prediction_baseline_outlier_ratio"][labels]
            yield labels, excess, values["ml_prediction_outlier_critical_ratio"][labels]


def quality_alarms(values: Values, limits: Limits) -> Iterator[Alarm]:
    """Quality whose whole interval is beyond its limit, on enough labelled rows."""
    if values["ml_labelled_rows"].get((), 0) < limit_of(limits, "labelled_rows", DAY, "guard"):
        return
    for signal, severity in (("accuracy", "warning"), ("accuracy", "critical"), ("roc_auc", "warning")):
        upper, limit = values[f"ml_{signal}_upper"].get((), np.inf), limit_of(limits, signal, DAY, severity)
        if upper < limit:
            yield Alarm(signal, severity, "", upper, limit)


def hourly_alarms(values: Values, limits: Limits) -> Iterator[Alarm]:
    """Nulls and default answers of an hour with enough rows."""
    if values["ml_window_rows"].get((), 0) < limit_of(limits, "window_rows", HOUR, "guard"):
        return
    for severity in ("warning", "critical"):
        for feature, excess, critical in null_excess(values):
            limit = limit_of(limits, "feature_null_excess_ratio", HOUR, severity, feature)
            if excess > max(critical, limit):
                yield Alarm("feature_null_excess", severity, feature, excess, max(critical, limit))
        share = values["ml_prediction_fallback_ratio"].get((), 0.0)
        limit = limit_of(limits, "prediction_fallback_ratio", HOUR, severity)
        if share > limit:
            yield Alarm("prediction_fallback", severity, "", share, limit)


def null_excess(values: Values) -> Iterator[tuple[str, float, float]]:
    """Every feature, how much more often it is null than in the reference, and what that exceeds only by chance."""
    for labels, value in values["ml_feature_null_ratio"].items():
        excess = value - values["ml_feature_baseline_null_ratio"][labels]
        yield labels[0], excess, values["ml_feature_null_critical_ratio"][labels]


# --- March against itself -------------------------------------------------------------------------


@dataclass(frozen=True)
class Rotations:
    """What the days left out showed: alarms, values beyond their critical value, and how many series were tested.

    `daily_tests` and `hourly_tests` are numbers of series and windows, `alpha` that of a daily test.
    """

    days: int
    alarms: tuple[tuple[str, Alarm], ...]
    beyond_critical: int
    daily_tests: int
    hourly_tests: int
    alpha: float

    @property
    def expected(self) -> float:
        """Alarms that the budget allows for so many tests."""
        return (self.daily_tests + self.hourly_tests / 24) * self.alpha

    @property
    def bound(self) -> int:
        """The 95 % Poisson bound of the expected number."""
        return int(poisson.ppf(0.95, self.expected))

    def __add__(self, other: "Rotations") -> "Rotations":
        return Rotations(
            self.days + other.days,
            self.alarms + other.alarms,
            self.beyond_critical + other.beyond_critical,
            self.daily_tests + other.daily_tests,
            self.hourly_tests + other.hourly_tests,
            max(self.alpha, other.alpha),
        )


def march_rotations(
    found: Flights,
    third_of: Callable[[np.ndarray], np.ndarray],
    fault: Callable[[pa.Table], pa.Table] = lambda rows: rows,
) -> Rotations:
    """Fits on two thirds of March's days and counts on the others, three times.

    `third_of` maps days 0..30 to 0..2; `fault` changes the rows of the days on which alarms are counted.
    """
    day = pd.to_datetime(found.predictions.column("timestamp").to_numpy(), unit="us", utc=True)
    in_march = day.month == 3
    march, day = found.predictions.filter(pa.array(in_march)), day[in_march].day.to_numpy() - 1
    result = Rotations(0, (), 0, 0, 0, alpha(_judged(found.model), Time()))
    for third in range(ROTATIONS):
        held = third_of(day) == third
        baseline = baseline_of(found, march.filter(pa.array(~held)))
        rest = counted(baseline.layout, found, fault(march.filter(pa.array(held))))
        result += _days_left_out(found, baseline, rest) + _hours_left_out(found, baseline, rest)
    return result


def _days_left_out(found: Flights, baseline: Baseline, rest: Reference) -> Rotations:
    result = Rotations(0, (), 0, 0, 0, 0.0)
    for start_us, vector in windows(rest, DAY):
        if not baseline.layout.cells(vector, "rows")["rows"][0]:
            continue
        values = vitals_of(found, baseline, _window(DAY, start_us, vector), DAILY)
        alarms = noise_alarms(values, PSI_LIMIT, CLASS_SHIFT_LIMIT)
        beyond = list(_significance(values))
        result += Rotations(1, tuple((_date(start_us), item) for item in alarms), sum(beyond), len(beyond), 0, 0.0)
    return result


def _hours_left_out(found: Flights, baseline: Baseline, rest: Reference) -> Rotations:
    """Nulls, by the hour, where the alert has enough rows."""
    result, fewest = Rotations(0, (), 0, 0, 0, 0.0), limit_of(thresholds(), "window_rows", HOUR, "guard")
    for start_us, vector in windows(rest, HOUR):
        if baseline.layout.cells(vector, "rows")["rows"][0] < fewest:
            continue
        nulls = list(null_excess(vitals_of(found, baseline, _window(HOUR, start_us, vector), NULLS)))
        alarms = tuple(
            (_date(start_us), Alarm("feature_null_excess", "warning", feature, excess, max(critical, NULL_LIMIT)))
            for feature, excess, critical in nulls
            if excess > max(critical, NULL_LIMIT)
        )
        beyond = sum(excess > critical for _, excess, critical in nulls)
        result += Rotations(0, alarms, beyond, 0, len(nulls), 0.0)
    return result


def _significance(values: Values) -> Iterator[bool]:
    """For every series an alert may read: whether it is beyond its critical value, whatever the size of the effect.

    The shares of two classes are one series, since they add up to 1.
    """
    for name in ("ml_feature_psi", "ml_prediction_psi"):
        yield from (value > values[name + "_critical"][labels] for labels, value in values[name].items())
    for name in ("ml_feature_mean_shift", "ml_prediction_class_shift"):
        found = [(labels, abs(value)) for labels, value in values[name + "_sigmas"].items()]
        kept = found[:1] if "class" in name else found
        yield from (value > values[name + "_critical_sigmas"][labels] for labels, value in kept)
    yield from (excess > critical for _, excess, critical in outlier_excess(values))
    for labels, value in values["ml_multivariate_drift"].items():
        yield abs(value) > values["ml_multivariate_drift_critical"][labels]
    for name, end in (("concentration", "_ratio"), ("spread", "")):
        own, there = (values[f"ml_prediction_{kind}{name}{end}"] for kind in ("", "baseline_"))
        limits = values[f"ml_prediction_{name}_critical{end}"]
        yield from (abs(value - there[()]) > limits[labels] for labels, value in own.items())


def in_blocks(day: np.ndarray) -> np.ndarray:
    """Three runs of days on end: what is judged lies outside what was learned, as it does in service."""
    return day * ROTATIONS // 31


def interleaved(day: np.ndarray) -> np.ndarray:
    """Every third day: each day that is judged has neighbours, hence its weather, among those learned."""
    return day % ROTATIONS


def windows(counts: Reference, name: str) -> Iterator[tuple[int, Vector]]:
    """Start and vector of windows that do not overlap."""
    length = LENGTH_US[name]
    for start in range(counts.start_us // length * length, counts.end_us, length):
        yield start, counts.panes.sum(start, start + length)


def _window(name: str, start_us: int, vector: Vector) -> Window:
    return Window(name, LENGTH_US[name] / 1e6, start_us, start_us + LENGTH_US[name], vector)


def _date(start_us: int) -> str:
    return str(pd.Timestamp(start_us, unit="us").date())


# --- April to December ----------------------------------------------------------------------------


def served(found: Flights) -> Iterator[tuple[str, list[Alarm]]]:
    """Date and alarms of every day from April on. Of an hourly alarm the worst hour of the day is kept."""
    months = pd.to_datetime(found.predictions.column("timestamp").to_numpy(), unit="us", utc=True).month
    baseline = baseline_of(found, found.predictions.filter(pa.array(months == 3)))
    counts = counted(baseline.layout, found, found.predictions.filter(pa.array(months > 3)))
    limits = thresholds()
    hours: dict[str, dict[tuple[str, str, str], Alarm]] = defaultdict(dict)
    for start_us, vector in windows(counts, HOUR):
        values = vitals_of(found, baseline, _window(HOUR, start_us, vector), HOURLY)
        for alarm in hourly_alarms(values, limits):
            key, worst = (alarm.signal, alarm.severity, alarm.what), hours[_date(start_us)]
            worst[key] = max(alarm, worst.get(key, alarm), key=lambda item: item.value)
    for start_us, vector in windows(counts, DAY):
        values = vitals_of(found, baseline, _window(DAY, start_us, vector), DAILY)
        alarms = list(quality_alarms(values, limits)) + list(hours[_date(start_us)].values())
        if values["ml_window_rows"].get((), 0) >= limit_of(limits, "window_rows", DAY, "guard"):
            signals = ("feature_psi", "prediction_class_shift_ratio")
            alarms += noise_alarms(values, *(limit_of(limits, signal, DAY, "warning") for signal in signals))
        yield _date(start_us), alarms


def report(days: list[tuple[str, list[Alarm]]]) -> Iterator[str]:
    """Days with an alarm by month, every day of the rarer ones, then the totals."""
    by_alarm: dict[tuple[str, str, str], list[tuple[str, Alarm]]] = defaultdict(list)
    for date, alarms in days:
        for alarm in alarms:
            by_alarm[alarm.signal, alarm.what, alarm.severity].append((date, alarm))
    months = sorted({date[:7] for date, _ in days})
    yield f"# {'days with an alarm':48}" + "".join(f"{month[5:]:>4}" for month in months)
    for (signal, what, severity), found in sorted(by_alarm.items()):
        counts = (sum(date.startswith(month) for date, _ in found) for month in months)
        yield f"# {signal + ' ' + what:40}{severity:8}" + "".join(f"{count:4}" for count in counts)
    yield from _rare(by_alarm)
    yield f"served_days {len(days)} days"
    yield f"served_any_critical {sum(any(item.severity == 'critical' for item in alarms) for _, alarms in days)} days"
    for (signal, what, severity), found in sorted(by_alarm.items()):
        yield f"served_{'_'.join(filter(None, (signal, what, severity)))} {len(found)} days"


def _rare(by_alarm: Mapping[tuple[str, str, str], list[tuple[str, Alarm]]]) -> Iterator[str]:
    """A line for each day and signal, with the worse severity and all features."""
    lines: dict[tuple[str, str], list[Alarm]] = defaultdict(list)
    for (signal, _, _), found in by_alarm.items():
        for date, alarm in found if len(found) <= RARE_DAYS else []:
            lines[date, signal].append(alarm)
    for (date, signal), alarms in sorted(lines.items()):
        severity = min(alarm.severity for alarm in alarms)  # critical comes before warning
        shown = [f"{alarm.what} {alarm.value:.3f}".strip() for alarm in alarms if alarm.severity == severity]
        yield f"# {date} {severity:8} {signal}: {', '.join(shown)}"


def main() -> None:
    """Print both parts."""
    found = flights()
    for name, third_of in (("blocks", in_blocks), ("interleaved", interleaved)):
        result = march_rotations(found, third_of)
        for date, alarm in result.alarms:
            print(f"# {name}: {date} {alarm.signal} {alarm.what}: {alarm.value:.3f}, limit {alarm.limit:.3f}")
        print(f"march_{name}_alarms {len(result.alarms)} alarms")
        print(f"march_{name}_expected {result.expected:.2f} alarms")
        print(f"march_{name}_bound {result.bound} alarms")
        print(f"march_{name}_daily_tests {result.daily_tests} tests")
        print(f"march_{name}_hourly_tests {result.hourly_tests} tests")
        print(f"march_{name}_beyond_critical {result.beyond_critical} tests")
    for line in report(list(served(found))):
        print(line)


if __name__ == "__main__":
    main()
