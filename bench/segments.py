"""What a value of a segment costs at rest, and what counting by segments costs: `name value unit` lines.

35 days of 4,000 rows an hour, spread over 20 values as traffic is: the value of rank r has a share of 1 / r.
Times are CPU times with one segment of 20 values against none, in the same run: without features, in batches of 38,000
rows that span a minute (a busy log) or an hour (60 panes, each with 20 values).
"""

import time

import numpy as np
import pyarrow as pa

from ml_exporter.counting import Counting, Timing
from ml_exporter.layout import Layout
from ml_exporter.panes import Grid, Panes, compress
from ml_exporter.records import Batch
from ml_exporter.segments import By
from ml_exporter.statistics.bins import latency_edges, score_edges
from ml_exporter.tasks import Binary

HOUR_US, DAYS, VALUES = 3_600_000_000, 35, 20
ROWS_AN_HOUR = 4_000
GRID = Grid(60_000_000, HOUR_US)


def layout() -> Layout:
    """The head of a binary classifier as `ml-exporter baseline` makes it, without features."""
    task = Binary(("no", "yes"), 0.5, tuple(score_edges(0.5).tolist()))
    return Layout(task, tuple(latency_edges(0.5).tolist()), (60.0, 3600.0, 86400.0))


def rows(draw: np.random.Generator, count: int, span: tuple[int, int], shares: np.ndarray) -> pa.Table:
    """Predictions from a start on, over a length; scores are spread as those of a model that knows something."""
    score = 1 / (1 + np.exp(-draw.normal(-1, 1.5, count)))
    values = draw.choice(len(shares), count, p=shares)
    return pa.table(
        {
            "timestamp": pa.array(np.sort(span[0] + draw.integers(0, span[1], count))),
            "id": pa.array([str(number) for number in range(count)]),
            "score": pa.array(score),
            "prediction": pa.array(np.where(score >= 0.5, "yes", "no")),
            "latency": pa.array(draw.gamma(2.0, 0.05, count)),
            "segment:country": pa.array([f"c{value}" for value in values]),
        }
    )


def counting(bys: tuple[By, ...]) -> Counting:
    """An empty count that keeps everything."""
    day = 86_400_000_000
    month = 40 * day
    timing = Timing(GRID, 0, 0, month, month, 0, month, 0, month, day)
    return Counting(layout(), timing, has_labels=False, bys=bys)


def bytes_per_value(draw: np.random.Generator, shares: np.ndarray) -> tuple[float, float]:
    """Mean bytes of a value's panes at rest after 35 days (hours, and three hours of minutes); and of the whole's."""
    found = counting((By("country", "segment:country", "c", VALUES),))
    start = 20_000 * 86_400_000_000
    for hour in range(DAYS * 24):
        table = rows(draw, ROWS_AN_HOUR, (start + hour * HOUR_US, HOUR_US), shares)
        found.predictions(Batch(table, table.num_rows), start + (hour + 1) * HOUR_US)
        for panes in (found.panes, *found.scopes.values()):
            list(panes.settle())
    sizes = [at_rest(panes) for panes in found.scopes.values()]
    return sum(sizes) / len(sizes), at_rest(found.panes)


def at_rest(panes: Panes) -> int:
    """Bytes of the blobs of all panes."""
    return sum(len(compress(vector)) for _, vector in panes.items())


def cost(draw: np.random.Generator, shares: np.ndarray, length_us: int) -> tuple[float, float]:
    """CPU seconds a row without and with a segment of 20 values, in batches of 38,000 rows that span so much time."""
    start = 20_000 * 86_400_000_000
    batches = [rows(draw, 38_000, (start + place * length_us, length_us), shares) for place in range(10)]
    times = []
    for bys in ((), (By("country", "segment:country", "c", VALUES),)):
        best = float("inf")
        for _ in range(3):
            found = counting(bys)
            begun = time.process_time()
            for table in batches:
                found.predictions(Batch(table, table.num_rows), start + 11 * HOUR_US)
            best = min(best, time.process_time() - begun)
        times.append(best)
    return times[0] / 380_000, times[1] / 380_000


def main() -> None:
    """Prints the figures."""
    draw = np.random.default_rng(1)
    shares = 1 / np.arange(1, VALUES + 1)
    shares /= shares.sum()
    value, whole = bytes_per_value(draw, shares)
    print(f"segment_bytes_per_value {value:.0f} bytes")
    print(f"segment_bytes_whole_model {whole} bytes")
    for name, length_us in (("minute", HOUR_US // 60), ("hour", HOUR_US)):
        without, with_segment = cost(draw, shares, length_us)
        print(f"segment_microseconds_per_row_{name} {(with_segment - without) * 1e6:.2f} us")
        print(f"segment_counting_ratio_{name} {with_segment / without:.2f} ratio")


if __name__ == "__main__":
    main()
