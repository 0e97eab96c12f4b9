"""Facts of small countings, for tests."""

from tests import build

from ml_exporter.catalogue import BY_NAME, HistogramSample, labels_of
from ml_exporter.facts.asked import Lines, Memory, PublishedFacts
from ml_exporter.facts.companions import BASELINE, CRITICAL, ESTIMATE, INTERVAL, signal
from ml_exporter.facts.views import Exported, Known, view_of
from ml_exporter.pipeline import prepare


def facts(counting, now_us, *, baseline=None, config=None, samples=True, dropped=0):
    """The facts of one model, `flights`, as a publish at that time would have left them."""
    baseline, config = baseline or build.baseline(counting.layout), config or build.config()
    model = config.models["flights"]
    known = Known("flights", model, config.time, baseline, counting.timing, counting.has_labels)
    prepared = prepare(counting, baseline, "flights", config, now_us)
    exported = Exported(tuple(prepared.samples(baseline)), 1, dropped)
    view = view_of(counting, known, prepared, exported, now_us)
    return PublishedFacts(now_us / 1e6, True, {"flights": view}, (), Lines(samples, tuple, "Noted."), Memory())


def every_value(found):
    """Every value of a model: of the whole, of its features and of its segments."""
    return [
        *found.values,
        *(value for feature in found.features for value in feature.values),
        *(value for segment in found.segments for value in segment.values),
    ]


def exported(samples):
    """Gauges and counters by name and labels."""
    return {
        (item.name, frozenset(labels_of(item).items())): item.value
        for item in samples
        if not isinstance(item, HistogramSample)
    }


def numbers(value, model="flights"):
    """Every number that a value holds, with the series that must hold the same."""
    have = {"baseline": "reference", "model": model, "window": value.window, **value.labels}
    ends, estimate = INTERVAL.get(value.metric, (None, None)), ESTIMATE.get(value.metric)
    compared, plain = BASELINE.get(value.metric), {"metric": value.metric.removeprefix("ml_")}
    wanted = [
        (value.value, value.metric, {}),
        (value.critical, CRITICAL[value.metric].metric if value.judged else None, {}),
        (value.lower, ends[0], {}),
        (value.upper, ends[1], {}),
        (value.baseline, compared, {}),
        (value.previous_30d, compared, {"baseline": "previous_30d"}),
        (value.estimated, estimate, {}),
        (value.estimated_error, f"{estimate}_error", {}),
        (value.estimated_bias, "ml_estimated_bias", plain),
    ]
    for bound in ("centre", "lower", "upper", "range") if value.control else ():
        charted = signal(value.metric, {"window": value.window, **value.labels})
        wanted.append((getattr(value.control, bound), "ml_control_limit", {"signal": charted, "bound": bound}))
    for number, metric, more in wanted:
        if number is not None:
            labels = have | more
            yield number, (metric, frozenset((name, labels[name]) for name in BY_NAME[metric].labels if name in labels))
