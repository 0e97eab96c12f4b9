"""The exposition equals the library's byte for byte, whatever labels hold, and refuses what is none."""

import gzip
import math
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ml_exporter.budget import series
from ml_exporter.catalogue import METRICS, HistogramSample, Metric, Sample, labels_of
from ml_exporter.exposition import Renderer, compress, process_metrics

AnySample = Sample | HistogramSample

HOSTILE = [
    "plain",
    "",
    'say "hi"',
    "two\nlines",
    "back\\slash",
    "\\n is not a newline",
    'ends with \\"',
    "<script>alert(1)</script>",
    "Zürich 東京 🛫",
    "{},=",
    "\r\t\x0b\x0c\x1b\x7f",
    "\u2028\u2029\x85",
    "ML_MODEL} 1\nevil_metric 1",
    "x" * 5000,
]


class Fed(Collector):
    """The oracle: a custom collector as its users write them, fed with our samples."""

    def __init__(self, samples: Iterable[AnySample]) -> None:
        self.samples = list(samples)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily]:
        for metric in METRICS:
            family = [sample for sample in self.samples if sample.name == metric.name]
            if family:
                yield library_family(metric, family)


def library_family(metric: Metric, samples: list[AnySample]):
    classes = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}
    family = classes[metric.type](metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        if isinstance(sample, Sample) and metric.optional:
            family.add_sample(metric.name, dict(labels_of(sample)), sample.value)
        elif isinstance(sample, Sample):
            family.add_metric(sample.labels, sample.value)
        else:
            bounds = [*sample.upper_bounds, math.inf]
            below = [sum(sample.counts[: index + 1]) for index in range(len(bounds))]
            buckets = [(floatToGoString(bound), count) for bound, count in zip(bounds, below, strict=True)]
            family.add_metric(sample.labels, buckets, sample.total)
    return family


def library_text(samples: Iterable[AnySample]) -> bytes:
    registry = CollectorRegistry()
    registry.register(Fed(samples))
    return generate_latest(registry)


label_values = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), max_size=20))
values = st.one_of(
    st.floats(),
    st.integers(min_value=-(2**53), max_value=2**53),
    st.sampled_from([999_999.9999, 1e6, -1e6, 1e15, 1e16, 1e21, 1e-5, 5e-324, math.inf, -math.inf, math.nan]),
)


@st.composite
def samples_of(draw: st.DrawFn, metric: Metric) -> AnySample:
    left_out = draw(st.integers(0, len(metric.optional)))
    labels = tuple(draw(label_values) for _ in metric.labels[: len(metric.labels) - left_out])
    if metric.type != "histogram":
        return Sample(metric.name, labels, draw(values))
    bounds = draw(st.lists(st.floats(0, 1e9), min_size=1, max_size=6, unique=True))
    counts = draw(st.lists(st.integers(0, 10**9), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return HistogramSample(metric.name, labels, tuple(sorted(bounds)), tuple(counts), draw(st.floats(0, 1e12)))


any_samples = st.lists(
    st.sampled_from(METRICS).flatmap(samples_of),
    max_size=30,
    unique_by=lambda sample: (sample.name, tuple(labels_of(sample).items())),
)


@settings(deadline=None)
@given(any_samples, any_samples)
def test_every_rendering_of_one_renderer_is_the_librarys(first: list[AnySample], second: list[AnySample]) -> None:
    renderer = Renderer()
    for samples in (first, second, second[::2], first):
        assert renderer.render(samples) == library_text(samples)


def test_a_series_of_every_metric_with_every_hostile_label_is_the_librarys() -> None:
    samples = list(example_of_everything(HOSTILE))
    assert Renderer().render(samples) == library_text(samples)


def example_of_everything(texts: list[str]) -> Iterator[AnySample]:
    for metric in METRICS:
        for text in texts if metric.labels else ["once"]:
            labels = tuple(text for _ in metric.labels)
            if metric.type == "histogram":
                yield HistogramSample(metric.name, labels, (0.001, 0.5, 1.0, 2_500_000.0), (1, 2, 3, 4, 5), 6.5)
            else:
                yield Sample(metric.name, labels, 1234.5)


def test_a_hostile_label_comes_back_unchanged_and_adds_no_series() -> None:
    samples = [Sample("ml_feature_null_ratio", ("m", "1d", text), 0.5) for text in HOSTILE]
    (family,) = text_string_to_metric_families(Renderer().render(samples).decode())
    assert [sample.labels["feature"] for sample in family.samples] == HOSTILE


def test_families_come_in_the_order_of_the_catalogue_and_series_in_the_order_given() -> None:
    samples = [
        Sample("ml_exporter_state_up", (), 1),
        Sample("ml_window_rows", ("m", "2h"), 2),
        Sample("ml_predictions_total", ("m", "v1"), 2_000_000),
        Sample("ml_window_rows", ("m", "1h"), 1),
    ]
    assert Renderer().render(samples).decode().splitlines() == [
        "# HELP ml_predictions_total Predictions read since the exporter started.",
        "# TYPE ml_predictions_total counter",
        'ml_predictions_total{model="m",version="v1"} 2e+06',
        "# HELP ml_window_rows Predictions in the window.",
        "# TYPE ml_window_rows gauge",
        'ml_window_rows{model="m",window="2h"} 2.0',
        'ml_window_rows{model="m",window="1h"} 1.0',
        "# HELP ml_exporter_state_up 1 if the last commit of the state worked.",
        "# TYPE ml_exporter_state_up gauge",
        "ml_exporter_state_up 1.0",
    ]


def test_a_histogram_is_cumulative_and_writes_whole_bounds_with_a_point() -> None:
    sample = HistogramSample("ml_label_delay_seconds", ("m",), (0.5, 1.0), (3, 2, 1), 4.25)
    assert Renderer().render([sample]).decode().splitlines()[2:] == [
        'ml_label_delay_seconds_bucket{le="0.5",model="m"} 3.0',
        'ml_label_delay_seconds_bucket{le="1.0",model="m"} 5.0',
        'ml_label_delay_seconds_bucket{le="+Inf",model="m"} 6.0',
        'ml_label_delay_seconds_count{model="m"} 6.0',
        'ml_label_delay_seconds_sum{model="m"} 4.25',
    ]


def test_an_optional_label_without_a_value_is_not_there() -> None:
    samples = [
        Sample("ml_recall", ("m", "1d"), 1),
        Sample("ml_recall", ("m", "1d", "late"), 2),
        Sample("ml_recall", ("m", "1d", "", "country", "BR"), 3),
        Sample("ml_recall", ("m", "1d", "late", "country", "BR"), 4),
        Sample("ml_recall", ("m", "", "late", "", ""), 5),
    ]
    text = Renderer().render(samples)
    assert text == library_text(samples)
    assert text.decode().splitlines()[2:] == [
        'ml_recall{model="m",window="1d"} 1.0',
        'ml_recall{class="late",model="m",window="1d"} 2.0',
        'ml_recall{model="m",segment="BR",segment_by="country",window="1d"} 3.0',
        'ml_recall{class="late",model="m",segment="BR",segment_by="country",window="1d"} 4.0',
        'ml_recall{class="late",model="m",window=""} 5.0',
    ]


def test_a_series_is_the_same_with_an_empty_label_and_without_it() -> None:
    twins = [Sample("ml_recall", ("m", "1d"), 1), Sample("ml_recall", ("m", "1d", "", ""), 2)]
    with pytest.raises(ValueError, match="expected every series once, got"):
        Renderer().render(twins)


def test_optional_labels_are_the_last_ones_and_no_histogram_has_any() -> None:
    for metric in METRICS:
        assert metric.labels[len(metric.labels) - len(metric.optional) :] == metric.optional
        assert not (metric.optional and metric.type == "histogram")


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    text = Renderer().render([Sample("ml_window_rows", ("a\ud800b", "1d"), 1)])
    assert b'model="a?b"' in text


def test_no_samples_are_an_empty_text() -> None:
    assert Renderer().render([]) == b""


LATENCY = "ml_prediction_latency_seconds"
TWO_TEXTS = "expected 2 to 4 label values as text (model, window, segment_by, segment)"
RISING = "expected finite bounds that rise from 0"


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (
            Sample("ml_new", (), 1),
            "sample ml_new: expected a metric of the catalogue, got an unknown name. Add it to the catalogue.",
        ),
        (
            Sample("ml_window_rows", ("m",), 1),
            f"sample ml_window_rows: {TWO_TEXTS}, got ('m',). Give one for each label of the catalogue.",
        ),
        (
            Sample("ml_window_rows", ("m", 5), 1),  # type: ignore[arg-type]
            f"sample ml_window_rows: {TWO_TEXTS}, got ('m', 5). Give one for each label of the catalogue.",
        ),
        (
            HistogramSample("ml_window_rows", ("m", "1d"), (1.0,), (1, 2), 3),
            "sample ml_window_rows: expected Sample, got HistogramSample. Give what its type needs.",
        ),
        (
            Sample(LATENCY, ("m",), 1),
            f"sample {LATENCY}: expected HistogramSample, got Sample. Give what its type needs.",
        ),
        (
            HistogramSample(LATENCY, ("m",), (1.0, 2.0), (1, 2), 3),
            f"sample {LATENCY}: expected a count more than bounds, got 2 counts for 2 bounds. "
            "Add the count above the last bound.",
        ),
        (
            HistogramSample(LATENCY, ("m",), (2.0, 1.0), (1, 2, 3), 3),
            f"sample {LATENCY}: {RISING}, got (2.0, 1.0, inf). Sort them; omit +Inf.",
        ),
        (
            HistogramSample(LATENCY, ("m",), (1.0, math.inf), (1, 2, 3), 3),
            f"sample {LATENCY}: {RISING}, got (1.0, inf, inf). Sort them; omit +Inf.",
        ),
        (
            HistogramSample(LATENCY, ("m",), (-1.0, 1.0), (1, 2, 3), 3),
            f"sample {LATENCY}: {RISING}, got (-1.0, 1.0, inf). Sort them; omit +Inf.",
        ),
    ],
)
def test_what_does_not_fit_the_catalogue_is_refused(sample: AnySample, message: str) -> None:
    with pytest.raises(ValueError, match="sample") as caught:
        Renderer().render([sample])
    assert str(caught.value) == message


def test_a_refused_rendering_leaves_the_renderer_usable() -> None:
    renderer = Renderer()
    good = [Sample("ml_window_rows", ("m", "1d"), 1), Sample("ml_window_rows", ("m", "1h"), 2)]
    before = renderer.render(good)
    with pytest.raises(ValueError, match="expected every series once, got") as caught:
        renderer.render([*good, good[0]])
    assert str(caught.value).endswith("got ('m', '1d', '', '') 2 times. Give one of them.")
    assert renderer.render(good) == before


def test_the_renderer_keeps_nothing_of_series_that_are_gone() -> None:
    renderer = Renderer()
    renderer.render([Sample("ml_window_rows", (f"model-{index}", "1d"), 1) for index in range(100)])
    renderer.render([Sample("ml_window_rows", ("model-7", "1d"), 1)])
    assert renderer._known == {
        "ml_window_rows": ([("model-7", "1d")], ['ml_window_rows{model="model-7",window="1d"} '])
    }


def test_compressed_bytes_are_the_same_text_and_the_same_every_time() -> None:
    text = Renderer().render(example_of_everything(["a", "b"]))
    assert gzip.decompress(compress(text)) == text
    assert compress(text) == compress(text)


def test_the_process_tells_its_memory_and_clock_and_no_name_of_ours() -> None:
    families = {family.name for family in text_string_to_metric_families(process_metrics()().decode())}
    assert {
        "process_resident_memory_bytes",
        "process_cpu_seconds",
        "process_open_fds",
        "python_info",
    } <= families
    assert not [name for name in families if name.startswith("ml_")]


def test_counted_series_are_the_lines_of_the_model() -> None:
    samples = list(example_of_everything(["m", "n"]))
    lines = Renderer().render(samples).decode().splitlines()
    of_m = [line for line in lines if 'model="m"' in line]
    assert series([sample for sample in samples if labels_of(sample).get("model") == "m"]) == len(of_m)
