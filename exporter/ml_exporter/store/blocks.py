"""The history of a model in the state: a row of the table a block of windows, with a checksum over all of it."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ml_exporter.history import Block, Floats, History
from ml_exporter.store.schema import sealed, unsealed


def write_history(database: sqlite3.Connection, name: str, history: History, blocks: Iterable[Block]) -> None:
    """Writes these blocks of a model, or deletes them where they are gone, within the transaction that is open."""
    for window, number in blocks:
        block = history.blocks.get((window, number))
        if block is None:
            where = "DELETE FROM history WHERE model = ? AND window = ? AND block = ?"
            database.execute(where, (name, window, number))
            continue
        signals, values = json.dumps(list(block)), np.array(list(block.values()))
        cells = sealed(values, _heading(name, window, number, signals))
        database.execute(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?)", (name, window, number, signals, cells)
        )


def load_history(database: sqlite3.Connection, name: str, history: History, facts: Mapping[str, Any]) -> bool:
    """Takes back the rows of a model. Returns whether they still fit. Raises ValueError when they were damaged.

    A state of format 2 has none: they begin with the panes that are kept.
    """
    blocks: dict[Block, dict[str, Floats]] = {}
    query = "SELECT window, block, signals, cells FROM history WHERE model = ?"
    for window, number, signals, cells in database.execute(query, (name,)):
        values = unsealed(cells, np.dtype(np.float64), _heading(name, window, number, signals))
        names = json.loads(signals)
        blocks[window, number] = dict(zip(names, values.reshape(len(names), -1).copy(), strict=True))
    return "history" not in facts or history.restore(facts["history"], blocks)


def _heading(*parts: object) -> str:
    return json.dumps(parts)
