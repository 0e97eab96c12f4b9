"""The dead-letter file: private, capped, flood-proof, and no reason to stop reading."""

import errno
import json
import os
import stat
import subprocess

import numpy as np
import pytest

from ml_exporter import dead_letter
from ml_exporter.dead_letter import LINE_BYTES, MOST_NOTES, NAME, DeadLetter, append

LOG = b'{"id": 1}\ngarbage\n\xff\xfe "quoted" \x1b[31m \x00\x7f caf\xc3\xa9\n' + b"x" * 5000 + b"\n"
NOW = 1_767_225_600.25


def line_at(offset):
    return LOG[offset : LOG.index(b"\n", offset)]


def places(*offsets):
    return np.array(offsets, np.int64)


def notes(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / NAME


def noted(path, *offsets, values=False, max_bytes=1 << 20, most=MOST_NOTES):
    found = DeadLetter(path, max_bytes, values, most)
    found.note("log", "malformed", "/logs/a.jsonl", places(*offsets), line_at)
    found.write(NOW)
    return found


def test_a_note_says_where_the_line_is(path):
    noted(path, 10)
    assert notes(path) == [
        {
            "time": "2026-01-01T00:00:00.250+00:00",
            "source": "log",
            "file": "/logs/a.jsonl",
            "offset": 10,
            "reason": "malformed",
            "digest": "595d1d08768a1e59",
        }
    ]


def test_the_documented_commands_find_the_line(path, tmp_path):
    log = tmp_path / "a.jsonl"
    log.write_bytes(LOG)
    noted(path, 10)
    note = notes(path)[0]
    command = f"tail -c +$(({note['offset']} + 1)) '{log}' | head -1 | tr -d '\\n'"
    assert subprocess.run(["sh", "-c", command], check=True, capture_output=True).stdout == b"garbage"
    digest = subprocess.run(["sh", "-c", f"{command} | b2sum -l 64"], check=True, capture_output=True, text=True).stdout
    assert digest.split()[0] == note["digest"]


def test_only_its_owner_may_read_it(path):
    noted(path, 10)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    noted(path, 10)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_values_only_when_asked_for(path):
    noted(path, 10)
    assert "garbage" not in path.read_text()
    noted(path, 10, values=True)
    assert notes(path)[1]["line"] == "garbage"


def test_any_bytes_become_plain_text(path):
    noted(path, 18, 10 + 8 + len(line_at(18)) + 1, values=True)
    content = path.read_bytes()
    assert content.isascii()
    assert not set(content) & (set(range(32)) - {10})
    hostile, long = notes(path)
    assert hostile["line"] == '\\xff\\xfe "quoted" \x1b[31m \x00\x7f café'
    assert long["line"] == "x" * LINE_BYTES


@pytest.mark.parametrize("name", ["a\nb", "\udcff\udcfe", "é\u202e", "\x1b[0m", 'q"\\'])
def test_any_path(path, name):
    found = DeadLetter(path, 1 << 20, values=True)
    found.note("log", "malformed", name, places(10), line_at)
    found.write(NOW)
    assert len(notes(path)) == 1
    assert notes(path)[0]["file"].encode() == os.fsencode(name).replace(b"\xff\xfe", b"\\xff\\xfe")


def test_a_flood_is_noted_in_short(path):
    found = DeadLetter(path, 1 << 20, values=False, most=3)
    for _ in range(4):
        found.note("log", "malformed", "a", places(0, 10), line_at)
    found.note("log", "too_long", "a", places(18), line_at)
    found.note("other", "malformed", "a", places(0, 10, 18), line_at)
    found.write(NOW)
    written = notes(path)
    assert [(note["source"], note["reason"]) for note in written if "offset" in note] == [
        ("log", "malformed"),
        ("log", "malformed"),
        ("log", "malformed"),
        ("log", "too_long"),
        ("other", "malformed"),
        ("other", "malformed"),
        ("other", "malformed"),
    ]
    more = {"time": "2026-01-01T00:00:00.250+00:00", "source": "log", "reason": "malformed", "more": 5}
    assert [note for note in written if "more" in note] == [more]
    found.note("log", "malformed", "a", places(0), line_at)
    found.write(NOW)
    assert len(notes(path)) == 9


def test_memory_does_not_grow_with_the_flood(path):
    found = DeadLetter(path, 1 << 20, values=True)
    for _ in range(1000):
        found.note("log", "malformed", "a", np.zeros(1000, np.int64), line_at)
    assert len(found._notes) == MOST_NOTES
    found.write(NOW)
    assert notes(path)[-1]["more"] == 1_000_000 - MOST_NOTES


def test_both_files_stay_below_the_cap(path):
    cap = 64 << 10
    older = path.with_name(NAME + ".1")
    found = DeadLetter(path, cap, values=True, most=50)
    for number in range(200):
        found.note("log", "malformed", "a" * (number * 20), places(*[18] * 60), line_at)
        found.write(NOW + number)
        sizes = path.stat().st_size, older.stat().st_size if older.exists() else 0
        assert sum(sizes) <= cap
    assert min(sizes) > cap // 4
    assert notes(older)
    assert notes(path)[-1]["more"] == 10
    assert stat.S_IMODE(older.stat().st_mode) == 0o600


def test_a_lower_cap_holds_at_once(path):
    path.write_bytes(b"{}\n" * 100_000)
    path.with_name(NAME + ".1").write_bytes(b"{}\n" * 100_000)
    noted(path, 10, max_bytes=64 << 10)
    assert len(notes(path)) == 1
    assert not path.with_name(NAME + ".1").exists()


def test_the_longest_note_fits(path):
    found = DeadLetter(path, 64 << 10, values=True)
    found.note("s" * 64, "missing_column", "\x01" * 4095, places(0), lambda _: b"\x01" * 5000)
    found.write(NOW)
    assert path.stat().st_size <= 32 << 10
    assert notes(path)


def test_off(path):
    noted(path, 10, max_bytes=0)
    assert not path.exists()


def test_nothing_noted_nothing_written(path):
    DeadLetter(path, 1 << 20, values=False).write(NOW)
    assert not path.exists()


def test_a_failure_is_counted_and_tried_again(path, monkeypatch):
    def full(descriptor, content):
        os.pwrite(descriptor, content[:20], os.fstat(descriptor).st_size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    found = noted(path, 0)
    monkeypatch.setattr(dead_letter.os, "write", full)
    for offset in (10, 18):
        found.note("log", "malformed", "a", places(offset), line_at)
        found.write(NOW)
    assert found.failures == 2
    assert found.error.endswith("got No space left on device. Check the disk and permissions.")
    assert [note["offset"] for note in notes(path)] == [0]
    monkeypatch.undo()
    found.write(NOW)
    assert [note["offset"] for note in notes(path)] == [0, 10, 18]
    assert (found.failures, found.error) == (2, "")


def test_a_last_line_that_a_crash_has_cut(path):
    path.write_bytes(b'{"time": "20')
    append(path, [b"{}\n"], 1000)
    assert path.read_bytes() == b'{"time": "20\n{}\n'


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_what_is_no_file_of_ours_is_left_alone(path, tmp_path, kind):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    assert noted(path, 10).failures == 1
    assert target.read_bytes() == b"precious"
