"""The committed table of what is noticed: it is whole, and says of each fault what the library says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests import flight_logs

from ml_exporter.faults import BY_NAME, FAULTS

PAGE = (Path(__file__).parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")
SIZES = ("small", "middle", "large")
VERDICTS = {"noticed", "elsewhere", "unnoticed", "quiet", "told", "paged", "nothing to change"}
DURATION = re.compile(r"-?(\d+d)?(\d+h)?(\d+m)?|never")


def rows_of(page: str) -> list[list[str]]:
    """The cells of the table, without its head."""
    lines = [line for line in page.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


ROWS = rows_of(PAGE)


def test_every_fault_is_there_at_three_sizes():
    found = [(row[0].removesuffix(" (no fault)"), *row[1].split(": "), row[2]) for row in ROWS]
    assert found == [
        (fault.name, size, f"{fault.sizes[place]:g}", fault.layer)
        for fault in FAULTS
        for place, size in enumerate(SIZES)
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_is_consistent(row):
    name, _, _, verdict, after, resolved, alerts = row
    assert verdict in VERDICTS
    assert BY_NAME[name.removesuffix(" (no fault)")].is_fault == (not name.endswith("(no fault)"))
    assert (verdict == "noticed") <= bool(after and resolved and alerts)
    assert DURATION.fullmatch(after)
    assert DURATION.fullmatch(resolved)
    for alert in re.findall(r"ML\w+", alerts):
        assert (flight_logs.ROOT / "runbooks" / f"{alert}.md").is_file(), alert


def test_the_summary_counts_the_rows():
    for size in SIZES:
        faults = [row for row in ROWS if row[1].startswith(size) and "no fault" not in row[0]]
        noticed = sum(row[3] == "noticed" for row in faults)
        assert f"- {size}: {noticed} of {len(faults)} faults are noticed by an alert of their layer" in PAGE


def test_the_page_names_the_command_that_wrote_it():
    command = re.search(r"python (examples/\S+) --out docs/detection\.md", PAGE)
    assert command
    assert (flight_logs.ROOT / command[1]).is_file()


@pytest.mark.soak
def test_the_script_comes_to_the_same_verdicts(tmp_path):
    script, page = flight_logs.EXAMPLE / "detection.py", tmp_path / "detection.md"
    with flight_logs.cache_lock():
        subprocess.run([sys.executable, script, "--out", page], check=True, capture_output=True)
    assert [row[:4] for row in rows_of(page.read_text(encoding="utf-8"))] == [row[:4] for row in ROWS]
