"""The logs of the flights example, for tests that need real data.

The table behind them takes half a minute to make; it is made once and kept in `.tools/cache`.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "01-flights"
CACHE = ROOT / ".tools" / "cache"


@contextmanager
def cache_lock() -> Iterator[None]:
    """Lets one process at a time make the table."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write(out: Path, begin: str, end: str) -> None:
    """Writes `reference/` (March) and `logs/` (flights scheduled in [begin, end)) below `out`."""
    command = [sys.executable, str(EXAMPLE / "write_logs.py"), "--out", str(out), "--cache", str(CACHE)]
    with cache_lock():
        subprocess.run([*command, "--from", begin, "--to", end], check=True, capture_output=True)
