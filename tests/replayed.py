"""The serving exporter fed with recorded logs at the instants of a replay, to compare with the replay."""

import math

from ml_exporter.exposition import Renderer
from ml_exporter.recorded import Recorded
from ml_exporter.replaying import Replaying, replay
from ml_exporter.serve import Exporter
from ml_exporter.waiting import Arrivals

OF_THE_PROCESS = (
    "ml_exporter_build_info",
    "ml_exporter_config_last_reload_successful",
    "ml_exporter_web_config_last_reload_successful",
    "ml_exporter_evaluation_duration_seconds",
    "ml_exporter_state_up",
    "ml_exporter_state_set_aside",
    "ml_exporter_clock_jumps_total",
    "ml_exporter_dead_letter_failures_total",
    "ml_exporter_series_dropped_total",
    "process_",
    "python_",
)
"""What a process says of itself, which has no history. Everything else is to be the same, byte for byte."""


def comparable(text):
    """Return the lines of an exposition in order, without what a process says of itself."""
    lines = sorted(text.decode().splitlines())
    return [
        line for line in lines if not line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(OF_THE_PROCESS)
    ]


def served(path, arriving, times, shown_from=0):
    """Yield what /metrics shows at each instant. `arriving` has, by log, rows as (arrival in microseconds, line)."""
    clock = times.start / 1e6
    exporter = Exporter(path, clock=lambda: clock, steady=lambda: clock)
    places = dict.fromkeys(arriving, 0)
    try:
        for now_us in times:
            clock = now_us / 1e6
            for log, rows in arriving.items():
                with log.open("ab") as file:
                    while places[log] < len(rows) and rows[places[log]][0] <= now_us:
                        file.write(rows[places[log]][1])
                        places[log] += 1
            assert exporter.read(math.inf)
            exporter.commit()
            if now_us >= shown_from:
                exporter.publish()
                yield comparable(exporter.snapshot.exposition)
    finally:
        exporter.close()


def replayed(loaded, logs, times):
    """Yield the same of a replay of rows by model."""
    renderer = Renderer()
    for instant in replay(loaded, logs, times):
        yield comparable(renderer.render(instant.samples))


def replayed_files(loaded, times):
    """Yield the same of a replay of the files, with the lines that no parser could read."""
    renderer = Renderer()
    with Recorded(loaded) as logs:
        for instant in Replaying(loaded).run([Arrivals(logs.pieces())], times):
            yield comparable(renderer.render(instant.samples))
