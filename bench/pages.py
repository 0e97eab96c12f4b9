"""What pages cost with one model of 200 features and 35 days of panes. Prints `name value unit` lines.

CPU seconds, and so alike on a machine that others use: the least of some runs of finding the facts of a page, and of
rendering it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import restart

from facts import cpu_seconds
from ml_exporter.facts import Facts
from ml_exporter.serve import Exporter
from ml_exporter.web.links import link_from
from ml_exporter.web.outside import NOWHERE
from ml_exporter.web.pages import At, Pages

MODEL, FEATURE = "m0", "f0"


def pages_of(facts: Facts, pages: Pages, at: At) -> dict[str, tuple[Callable[[], object], Callable[..., str]]]:
    """For each page what finds its facts, and what renders them."""
    return {
        "models": (facts.models, lambda found: pages.landing(at, found)),
        "model": (lambda: facts.model(MODEL), lambda found: pages.model(at, found)),
        "feature": (lambda: facts.feature(MODEL, FEATURE), lambda found: pages.feature(at, found)),
        "labels": (lambda: facts.labels(MODEL), lambda found: pages.labels(at, found)),
        "outliers": (lambda: facts.outliers(MODEL), lambda found: pages.outliers(at, found)),
        "rejected": (facts.rejected, lambda found: pages.rejected(at, found)),
    }


def measure(folder: Path, features: int, days: int) -> Iterator[str]:
    """The lines of the report."""
    restart.FEATURES = features
    path = restart.configured(folder, 1)
    restart.write_state(path, days, pending=0)
    exporter = Exporter(path)
    exporter.read(time.monotonic() + 1.0)
    exporter.commit()
    exporter.publish()
    at = At("/", link_from("/"), time.time(), time.time(), "The exporter is ready.", NOWHERE)
    pages = Pages("0", None)
    yield f"features {features} count"
    assert exporter.snapshot
    assert exporter.snapshot.facts
    for name, (find, render) in pages_of(exporter.snapshot.facts, pages, at).items():
        found = find()
        yield f"page_{name}_facts_cpu_seconds {cpu_seconds(find):.4f} seconds"
        yield f"page_{name}_rendering_cpu_seconds {cpu_seconds(partial(render, found)):.4f} seconds"
        yield f"page_{name}_bytes {len(render(found).encode())} bytes"
    exporter.close()


def main() -> None:
    """Runs everything in a temporary folder."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--features", type=int, default=200)
    arguments.add_argument("--days", type=int, default=35)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(Path(folder), chosen.features, chosen.days):
            print(line, flush=True)


if __name__ == "__main__":
    main()
