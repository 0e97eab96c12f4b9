"""Write the flights as the logs of a service: at once, or live on a compressed clock.

python examples/01-flights/write_logs.py --out /tmp/flights --to 2013-05-01
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
from flights import FEATURES, REFERENCE_FROM, SERVING_FROM, SERVING_TO, prepared_table

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Compression:
    """The clock of the writer: `start + (ts - begin) / factor`, in microseconds since 1970."""

    begin_us: int
    start_us: int
    factor: float

    def __call__(self, instants: pd.Series) -> np.ndarray:
        """Return the compressed instants, shape (rows,), int64 microseconds; order is kept."""
        elapsed_us = instants.astype("datetime64[us, UTC]").astype("int64").to_numpy() - self.begin_us
        return self.start_us + np.rint(elapsed_us / self.factor).astype(np.int64)


@dataclass(frozen=True)
class Log:
    """Lines of one file in order of time; `due_us[i]` is when line i is written."""

    due_us: np.ndarray
    lines: list[str]


def microseconds(instant: pd.Timestamp) -> int:
    """Return an instant as microseconds since 1970.

    >>> microseconds(pd.Timestamp("1970-01-02", tz="UTC"))
    86400000000
    """
    return (instant - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(microseconds=1)


def iso(instants_us: np.ndarray) -> list[str]:
    """Return ISO 8601 in UTC with microseconds.

    >>> iso(np.array([0]))
    ['1970-01-01T00:00:00.000000Z']
    """
    text = np.datetime_as_string(instants_us.astype("datetime64[us]"), unit="us")
    return [f"{moment}Z" for moment in text.tolist()]


def _nulls(values: pd.Series) -> list[object]:
    return [None if missing else value for value, missing in zip(values.tolist(), values.isna(), strict=True)]


def prediction_log(table: pd.DataFrame, clock: Compression) -> Log:
    """Return the prediction log: a line a prediction, written at its own time."""
    due_us = clock(table["timestamp"])
    names = ["id", "model_version", "prediction", "score", "latency_seconds", "fallback"]
    heads = zip(iso(due_us), *(table[name].tolist() for name in names), strict=True)
    features = zip(*(_nulls(table[name]) for name in FEATURES), strict=True)
    lines = [
        json.dumps(
            dict(zip(["timestamp", *names], head, strict=True)) | {"features": dict(zip(FEATURES, values, strict=True))}
        )
        for head, values in zip(heads, features, strict=True)
    ]
    return Log(due_us, lines)


def label_log(table: pd.DataFrame, clock: Compression) -> Log:
    """Return the label log: a line a landing, in the order of landing."""
    landed = table[table["label"].notna()].sort_values(["landed", "id"])
    due_us = clock(landed["landed"])
    rows = zip(landed["id"], landed["label"], iso(due_us), strict=True)
    return Log(due_us, [json.dumps({"id": i, "label": label, "timestamp": ts}) for i, label, ts in rows])


def between(table: pd.DataFrame, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Return the flights scheduled in [begin, end)."""
    return table[(table["timestamp"] >= begin) & (table["timestamp"] < end)]


def write_log(path: Path, log: Log) -> None:
    """Write a whole log at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in log.lines), encoding="utf-8")


def write_live(
    logs: dict[Path, Log],
    until: float = math.inf,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[Path, int]:
    """Write what is due by `now()`, then append every line as its time comes.

    Ends after the last line, or at `until` (seconds since 1970). Returns the lines written by file.
    """
    written = dict.fromkeys(logs, 0)
    for path in logs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    while True:
        moment = now()
        limit_us = int(min(moment, until) * 1e6)
        for path, log in logs.items():
            due = int(np.searchsorted(log.due_us, limit_us, side="right"))
            if due > written[path]:
                with path.open("a", encoding="utf-8") as file:
                    file.write("".join(f"{line}\n" for line in log.lines[written[path] : due]))
                written[path] = due
        if moment >= until or all(written[path] == len(log.lines) for path, log in logs.items()):
            return written
        sleep(POLL_SECONDS)


def _instant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> pd.Timestamp | None:
    if value is None:
        return None
    try:
        instant = pd.Timestamp(value)
    except ValueError as error:
        raise click.BadParameter(f"expected a date or an ISO 8601 instant, got {value!r}") from error
    return instant.tz_localize("UTC") if instant.tzinfo is None else instant.tz_convert("UTC")


folder = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--out", type=folder, required=True, help="Folder for reference/ and logs/.")
@click.option("--cache", type=folder, help="Folder of the prepared table. [default: OUT/cache]")
@click.option("--factor", type=click.FloatRange(min=1), default=1.0, show_default=True, help="Times faster.")
@click.option("--from", "begin", callback=_instant, default=str(SERVING_FROM), show_default=True)
@click.option("--to", "end", callback=_instant, default=str(SERVING_TO), show_default=True)
@click.option("--start-at", type=float, help="Seconds since 1970 at which --from falls. [default: itself]")
@click.option("--live", is_flag=True, help="Write what is due now, then append as time passes.")
@click.option("--until", type=float, default=math.inf, help="Seconds since 1970 at which --live ends.")
def main(  # noqa: PLR0913, PLR0917 - one argument an option
    out: Path,
    cache: Path | None,
    factor: float,
    begin: pd.Timestamp,
    end: pd.Timestamp,
    start_at: float | None,
    live: bool,
    until: float,
) -> None:
    """Write reference/ (March) and logs/ (April on): predictions.jsonl and labels.jsonl in each."""
    table = prepared_table(cache or out / "cache")
    own_time = Compression(microseconds(REFERENCE_FROM), microseconds(REFERENCE_FROM), factor)
    start_us = microseconds(begin) if start_at is None else round(start_at * 1e6)
    clock = Compression(microseconds(begin), start_us, factor)
    march, served = between(table, REFERENCE_FROM, SERVING_FROM), between(table, begin, end)
    write_log(out / "reference/predictions.jsonl", prediction_log(march, own_time))
    write_log(out / "reference/labels.jsonl", label_log(march, own_time))
    predictions, labels = prediction_log(served, clock), label_log(served, clock)
    click.echo(f"{len(predictions.lines):,} predictions and {len(labels.lines):,} labels to write", err=True)
    if live:
        write_live({out / "logs/predictions.jsonl": predictions, out / "logs/labels.jsonl": labels}, until)
    else:
        write_log(out / "logs/predictions.jsonl", predictions)
        write_log(out / "logs/labels.jsonl", labels)


if __name__ == "__main__":
    sys.exit(main())
