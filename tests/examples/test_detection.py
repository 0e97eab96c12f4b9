"""The committed tables of what is noticed: whole, as the library of faults has it, and each fits the one before."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import detection_before
import pytest
from click.testing import CliRunner
from tests import flight_logs

from ml_exporter.faults import BY_NAME, FAULTS

PAGE_PATH = Path(__file__).parents[2] / "docs" / "detection.md"
PAGE = PAGE_PATH.read_text(encoding="utf-8")
EARLIER = detection_before.read()
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
    name, size, _, before, verdict, after, resolved, alerts = row
    assert verdict in VERDICTS
    fault = name.removesuffix(" (no fault)")
    assert BY_NAME[fault].is_fault == (not name.endswith("(no fault)"))
    assert before == EARLIER.tables[-1].rows[fault, size.partition(":")[0]].verdict
    assert (verdict == "noticed") <= bool(after and resolved and alerts)
    assert DURATION.fullmatch(after)
    assert DURATION.fullmatch(resolved)
    for alert in re.findall(r"ML\w+", alerts):
        assert (flight_logs.ROOT / "runbooks" / f"{alert}.md").is_file(), alert


def test_the_summary_counts_the_rows():
    for size in SIZES:
        faults = [row for row in ROWS if row[1].startswith(size) and "no fault" not in row[0]]
        noticed = sum(row[4] == "noticed" for row in faults)
        assert f"- {size}: {noticed} of {len(faults)} faults are noticed by an alert of their layer" in PAGE


def test_the_page_names_the_command_that_wrote_it():
    command = re.search(r"python (examples/\S+) --out docs/detection\.md", PAGE)
    assert command
    assert (flight_logs.ROOT / command[1]).is_file()


def test_earlier_tables_are_whole():
    keys = {(fault.name, size) for fault in FAULTS for size in SIZES}
    for table in EARLIER.tables:
        assert table.rows.keys() == keys
        assert {said.verdict for said in table.rows.values()} <= VERDICTS


def test_the_page_of_earlier_tables_is_fresh():
    now = detection_before.present(PAGE)
    assert [now.rows[row[0].removesuffix(" (no fault)"), row[1].partition(":")[0]].verdict for row in ROWS] == [
        row[4] for row in ROWS
    ]
    page = PAGE_PATH.with_name("detection-before.md").read_text(encoding="utf-8")
    assert page == detection_before.page(EARLIER, now)


def test_a_table_that_is_kept_becomes_the_last_of_the_earlier_ones(tmp_path, monkeypatch):
    kept = tmp_path / "detection_before.yaml"
    kept.write_bytes(detection_before.TABLES.read_bytes())
    monkeypatch.setattr(detection_before, "TABLES", kept)
    done = CliRunner().invoke(detection_before.main, ["--keep", "Another limit: half of it."])
    assert done.exit_code == 0, done.output
    found, now = detection_before.read(kept), detection_before.present(PAGE)
    assert found.now == "Another limit: half of it."
    assert found.tables[:-1] == EARLIER.tables
    assert found.tables[-1] == replace(now, pack=EARLIER.now)


@pytest.mark.soak
def test_the_script_comes_to_the_same_verdicts(tmp_path):
    """At the middle size, every how many minutes the committed table was made."""
    script, page = flight_logs.EXAMPLE / "detection.py", tmp_path / "detection.md"
    step = f"--step-minutes={detection_before.present(PAGE).step_minutes}"
    with flight_logs.cache_lock():
        subprocess.run([sys.executable, script, "--out", page, "--size=middle", step], check=True, capture_output=True)
    found = rows_of(page.read_text(encoding="utf-8"))
    assert [row[:5] for row in found] == [row[:5] for row in ROWS if row[1].startswith("middle")]
