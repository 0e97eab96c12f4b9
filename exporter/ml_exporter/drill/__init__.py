"""`ml-exporter drill`: the game day, with the generated rules in Prometheus' own rule engine.

Offline on recorded logs (`offline`), or live through the running chain (`live`).
"""

from ml_exporter.drill.offline import Offline, Result, offline
from ml_exporter.drill.stage import Task
from ml_exporter.drill.tables import show

__all__ = ["Offline", "Result", "Task", "offline", "show"]
