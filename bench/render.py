"""Rendering 75,000 samples, by us and by prometheus_client in the same run. Prints `name value unit` lines.

The first rendering makes the label texts, every later one takes them from the last. The samples are new
objects with new values each time, as after an evaluation.
"""

import math
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ml_exporter.catalogue import BY_NAME, METRICS, Sample
from ml_exporter.exposition import Renderer, compress

SAMPLES = 75_000
ROUNDS = 5


def samples_of_many_models(count: int, seed: int) -> list[Sample]:
    """Samples of every gauge that has a feature, 50 features a model; a third each of 0, 1 and others."""
    values = random.Random(seed)
    names = [metric for metric in METRICS if "feature" in metric.labels]
    texts = {"window": "1d", "baseline": "reference"}
    samples: list[Sample] = []
    for index in range(math.ceil(count / len(names))):
        texts |= {"model": f"model-{index // 50}", "feature": f"feature_{index % 50}"}
        for metric in names:
            labels = tuple(texts[label] for label in metric.labels)
            samples.append(Sample(metric.name, labels, values.choice([0.0, 1.0, values.random()])))
    return samples[:count]


class Fed(Collector):
    """The library's way: a custom collector that makes families of the samples."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The families, made anew for each scrape."""
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for name, labels, value in self.samples:
            if name not in families:
                metric = BY_NAME[name]
                family = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
                families[name] = family(name, metric.help, labels=metric.labels)
            families[name].add_metric(labels, value)
        yield from (families[metric.name] for metric in METRICS if metric.name in families)


def microseconds_a_sample(work: Callable[[], object]) -> float:
    """How long the work takes, shared among the samples."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / SAMPLES * 1e6


def main() -> None:
    """Measure and print."""
    rounds = [samples_of_many_models(SAMPLES, seed) for seed in range(ROUNDS + 1)]
    renderer = Renderer()
    first = microseconds_a_sample(lambda: renderer.render(rounds[0]))
    later = min(microseconds_a_sample(partial(renderer.render, samples)) for samples in rounds[1:])
    registry = CollectorRegistry()
    registry.register(Fed(rounds[-1]))
    library = min(microseconds_a_sample(lambda: generate_latest(registry)) for _ in range(2))
    text = renderer.render(rounds[-1])
    assert text == generate_latest(registry)
    print(f"render_first_microseconds_per_sample {first:.2f} us")
    print(f"render_microseconds_per_sample {later:.2f} us")
    print(f"render_library_microseconds_per_sample {library:.2f} us")
    print(f"render_ratio_to_library {library / later:.1f} times")
    print(f"compress_seconds {microseconds_a_sample(lambda: compress(text)) * SAMPLES / 1e6:.3f} s")
    print(f"exposition_bytes {len(text)} bytes")
    print(f"compressed_bytes {len(compress(text))} bytes")


if __name__ == "__main__":
    main()
