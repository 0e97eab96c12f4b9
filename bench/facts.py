"""What facts cost with 20 models of 50 features and 35 days of panes. Prints `name value unit` lines.

CPU seconds, and so alike on a machine that others use: of an evaluation without facts, of what a publish leaves for
them, and of each kind of question. Memory is what this process holds more after facts of two publishes and a question
of every kind about every model.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from restart import configured, write_state

from ml_exporter.publishing import publish
from ml_exporter.serve import Exporter
from ml_exporter.web.api import encoded

ROUNDS = 5


def answered(ask: Callable[[], object]) -> None:
    """Find facts and write them as JSON."""
    encoded(ask())


def cpu_seconds(function: Callable[[], object]) -> float:
    """The least CPU time of some runs."""
    found = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        function()
        found.append(time.process_time() - begin)
    return min(found)


def resident_bytes() -> int:
    """Memory that this process holds."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def measure(folder: Path, models: int, days: int) -> Iterator[str]:
    """The lines of the report."""
    path = configured(folder, models)
    write_state(path, days, pending=0)
    exporter = Exporter(path)
    exporter.read(time.monotonic() + 1.0)
    exporter.commit()
    now_us, fleet, loaded = exporter.now_us(), exporter.fleet, exporter.loaded
    alone = cpu_seconds(lambda: publish(fleet.countings, loaded, now_us))
    published = publish(fleet.countings, loaded, now_us)
    gc.collect()
    before = resident_bytes()
    teller = exporter._teller
    told = cpu_seconds(lambda: teller.tell(fleet, published, now_us, True))
    yield f"publish_cpu_seconds {alone:.4f} seconds"
    yield f"facts_of_a_publish_cpu_seconds {told:.4f} seconds"
    yield f"facts_ratio_to_publish {told / alone:.4f} ratio"
    kept = [teller.tell(fleet, publish(fleet.countings, loaded, now_us), now_us, True) for _ in range(2)]
    facts, (name, *_) = kept[-1], list(loaded.config.models)
    features = facts.features(name)
    assert features
    feature = features[0]
    questions: dict[str, Callable[[], object]] = {
        "models": facts.models,
        "model": lambda: facts.model(name),
        "feature": lambda: facts.feature(name, feature),
        "labels": lambda: facts.labels(name),
        "outliers": lambda: facts.outliers(name),
    }
    for what, ask in questions.items():
        yield f"facts_{what}_cpu_seconds {cpu_seconds(partial(answered, ask)):.4f} seconds"
        yield f"facts_{what}_bytes {len(encoded(ask()))} bytes"
    for model in loaded.config.models:
        for answer in (facts.model(model), facts.feature(model, feature), facts.labels(model), facts.outliers(model)):
            encoded(answer)
    gc.collect()
    yield f"facts_memory_bytes {resident_bytes() - before} bytes"
    exporter.close()


def main() -> None:
    """Runs everything in a temporary folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--models", type=int, default=20)
    arguments.add_argument("--days", type=int, default=35)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), chosen.models, chosen.days):
            print(line, flush=True)


if __name__ == "__main__":
    main()
