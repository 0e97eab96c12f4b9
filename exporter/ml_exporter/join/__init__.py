"""The join of predictions with labels that come later, earlier, twice, corrected, or never.

Predictions wait by the hash of their id: the newest ones in a memtable, the others in at most eight immutable runs.
What changed since the last commit is small and known (`changes`); when the memtable is full it becomes a run
(`frozen`, `adopt`), and runs are merged (`wanted`, `swap`). Where runs are kept is somebody else's business.
"""

from ml_exporter.join.ids import hash_ids
from ml_exporter.join.joining import Changes, Join, Joined, Rules
from ml_exporter.join.records import CLOSED, LABELLED, WAITING, Records, label_dtype, pending_dtype
from ml_exporter.join.run import Columns, Filter, Run, merged
from ml_exporter.join.shelf import UNSAVED_ROWS, Shelf

__all__ = [
    "CLOSED",
    "LABELLED",
    "UNSAVED_ROWS",
    "WAITING",
    "Changes",
    "Columns",
    "Filter",
    "Join",
    "Joined",
    "Records",
    "Rules",
    "Run",
    "Shelf",
    "hash_ids",
    "label_dtype",
    "merged",
    "pending_dtype",
]
