"""The rows of a JSONL log in another format, as a service would log them there."""

import csv
import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

FILES = 3


def rows_of(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def flat(row: dict[str, object]) -> dict[str, object]:
    """Members of objects as columns whose names have dots."""
    columns: dict[str, object] = {}
    for name, value in row.items():
        columns |= {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
    return columns


def to_jsonl(rows: list[dict[str, object]], stem: Path) -> None:
    """One file: `stem`.jsonl."""
    Path(f"{stem}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def to_csv(rows: list[dict[str, object]], stem: Path) -> None:
    """One file with a header, written by the csv module: `stem`.csv."""
    columns = [flat(row) for row in rows]
    with Path(f"{stem}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, dict.fromkeys(name for row in columns for name in row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(columns)


def to_parquet(rows: list[dict[str, object]], stem: Path) -> None:
    """Some files that drop, with times as timestamps and features in a struct: `stem`-0.parquet and so on."""
    table = pa.Table.from_pylist(rows)
    times = _times([row["timestamp"] for row in rows])
    place = table.schema.get_field_index("timestamp")
    table = table.set_column(place, "timestamp", times)
    for number in range(FILES):
        part = table.slice(
            number * len(table) // FILES, (number + 1) * len(table) // FILES - number * len(table) // FILES
        )
        target = f"{stem}-{number}.parquet"
        parquet.write_table(part, f"{target}.partial", row_group_size=1000)
        os.replace(f"{target}.partial", target)


def _times(values: list[object]) -> pa.Array:
    numbers = all(isinstance(value, float) for value in values)
    times = pd.to_datetime(values, utc=True, **({"unit": "s"} if numbers else {"format": "ISO8601"}))
    return pa.array(times.round("us").as_unit("us"))
