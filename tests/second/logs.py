"""Logs as tables, by the rules of the documentation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def records(path: Path) -> pd.DataFrame:
    """The readable lines of a log with a time, in order; the features of a prediction become columns of their own."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        rows.append(row | {f"feature:{name}": value for name, value in row.pop("features", {}).items()})
    table = pd.DataFrame(rows, dtype=object)
    table["timestamp"] = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601", errors="coerce")
    return table[table["timestamp"].notna()].reset_index(drop=True)


def number(value: object) -> float:
    """A value as a number: NaN where there is none, infinite where it is none; in quotes, and a boolean, it is one."""
    try:
        return np.nan if value is None else float(value)  # type: ignore[arg-type]
    except ValueError:
        return np.inf


def usable_labels(document: dict[str, Any], labels: pd.DataFrame) -> pd.DataFrame:
    """The labels of a known class, or that are finite numbers."""
    if "classes" in document:
        return labels[labels["label"].isin(document["classes"])]
    return labels[np.isfinite(labels["label"].map(number))]


def joined(predictions: pd.DataFrame, labels: pd.DataFrame, classes: list[str], expire: pd.Timedelta) -> pd.DataFrame:
    """Predictions with their `label` (the first that is not too late), and `score` and `latency` as numbers.

    `known` predicted a class; `waited` are those of them that a label can find: the first of each id.
    """
    table = predictions.assign(
        known=predictions["prediction"].isin(classes),
        latency=predictions["latency_seconds"].map(number),
        score=predictions["score"].map(number),
        label=None,
    )
    return labelled(table, labels[labels["label"].isin(classes)], expire)


def labelled(table: pd.DataFrame, usable: pd.DataFrame, expire: pd.Timedelta) -> pd.DataFrame:
    """Predictions that are `known` or not, with `waited` and the first of the usable labels that is not too late."""
    table["waited"] = table["known"] & table["id"].notna() & ~table["id"].where(table["known"]).duplicated()
    first = table[table["waited"]]
    both = usable.merge(first[["id", "timestamp"]].reset_index(), on="id", suffixes=("", "_made"))
    both = both[both["timestamp"] - both["timestamp_made"] <= expire].drop_duplicates("id")
    table.loc[both["index"], "label"] = both["label"].to_numpy()
    return table
