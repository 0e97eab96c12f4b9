"""Everything that goes wrong with a model, as functions from recorded logs to faulty ones.

A fault is a row of `FAULTS`. Its `apply(played, injection, context)` takes any piece of the logs and gives the rows
that would have been there had the thing happened from `injection.start_us` until before `end_us`. What is drawn at
random follows from the name of the fault and the id of a row, so pieces may be cut anywhere and the same logs always
give the same faults. Rows outside the time of the fault stay bit for bit, in their order; copies follow their original.
Where the logs lack what a fault changes, nothing happens.

Event time and arrival are two things: a stuck log gives rows of their old time (`timestamp`) later (`arrival_us`), a
wrong clock gives rows of a wrong time at once. Sort by `arrival_us` after the fault. Most faults go by the time of the
prediction (for a label, that of its prediction, which `attach` adds); faults of the label's way go by the label's own
time, outages by arrival.

No I/O, no clock.
"""

from ml_exporter.faults.played import Context, Injection, Played, arriving, as_batch, attach
from ml_exporter.faults.table import BY_NAME, FAULTS, Fault

__all__ = ["BY_NAME", "FAULTS", "Context", "Fault", "Injection", "Played", "arriving", "as_batch", "attach"]
