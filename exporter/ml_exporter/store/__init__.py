"""The state on disk: one SQLite file with positions, panes and what waits for a join, and runs beside it.

A commit holds everything that changed since the last one, or nothing. So after a crash the positions say exactly which
rows the panes contain, and reading goes on there. Runs are immutable files: one is written and synced before the
manifest in SQLite names it, and removed after it is no longer named.
"""

from ml_exporter.store.database import Store
from ml_exporter.store.opening import DamagedError
from ml_exporter.store.schema import FILE, FORMAT

__all__ = ["FILE", "FORMAT", "DamagedError", "Store"]
