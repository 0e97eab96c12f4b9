"""`ml-exporter drill`: the game day, with the generated rules in Prometheus' own rule engine.

Offline on recorded logs (`offline`), or live through the running chain (`live`).
"""

from ml_exporter.drill.live import Live, OverdueError, live_drill
from ml_exporter.drill.offline import Offline, Result, offline
from ml_exporter.drill.receiver import listening
from ml_exporter.drill.schedules import schedule
from ml_exporter.drill.stage import Task
from ml_exporter.drill.tables import show

__all__ = [
    "Live",
    "Offline",
    "OverdueError",
    "Result",
    "Task",
    "listening",
    "live_drill",
    "offline",
    "schedule",
    "show",
]
