"""`ml-exporter replay`: its files are OpenMetrics, and being killed costs and doubles nothing."""

import os
import re
import shlex
import signal
import subprocess
import sys
from itertools import groupby

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tests.serve import service
from tests.test_replaying import START, baseline_text, labels, predictions

from ml_exporter import packed
from ml_exporter.errors import ProblemsError
from ml_exporter.exposition import Renderer
from ml_exporter.loading import load
from ml_exporter.recorded import read_played
from ml_exporter.replay import Settings, running, steps
from ml_exporter.replay.collecting import Beside
from ml_exporter.replaying import replay

assert baseline_text
COUNT = 500
TARGET = {"job": "ml-exporter", "instance": 'host"1'}
SPAN = "2023-11-14T22:13:30Z", "2023-11-14T22:16:00Z"
OPTIONS = ("--step", "15s", "--target-labels", 'job=ml-exporter,instance=host"1')


@pytest.fixture
def path(baseline_text, tmp_path):
    """Return the configuration of a model with full logs."""
    path = service.prepare(tmp_path, baseline_text, "risk")
    for log, rows in (("risk.jsonl", predictions(COUNT)), ("risk-labels.jsonl", labels(COUNT))):
        (tmp_path / log).write_bytes(b"".join(line for _, line in rows))
    return path


def documents(text):
    """Yield the text without histograms, then each point of a histogram with its metadata.

    The library that judges it takes the second point of a histogram's series for a duplicate of the first.
    """
    assert text.endswith("\n# EOF\n")
    others = []
    for family in re.split(r"^(?=# HELP )", text.removesuffix("# EOF\n"), flags=re.MULTILINE)[1:]:
        head, rows = family.splitlines()[:2], family.splitlines()[2:]
        if not head[1].endswith(" histogram"):
            others += [*head, *rows]
            continue
        for _, point in groupby(rows, key=lambda row: row.rpartition(" ")[2]):
            yield "\n".join([*head, *point, "# EOF\n"])
    yield "\n".join([*others, "# EOF\n"])


def samples(folder):
    """Return the values of all files by name, labels and time."""
    found = {}
    for file in sorted(folder.glob("*.om")):
        for family in (item for text in documents(file.read_text()) for item in text_string_to_metric_families(text)):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items()), float(sample.timestamp)
                assert key not in found
                found[key] = sample.value
    return found


def expected(path, times):
    """Return the same from the engine, through the renderer of /metrics."""
    from prometheus_client.parser import text_string_to_metric_families as parse  # noqa: PLC0415

    loaded, renderer, found = load(path), Renderer(), {}
    for instant in replay(loaded, {"risk": read_played(loaded, "risk")}, times):
        at = instant.now_us / 1e6
        found["up", frozenset(TARGET.items()), at] = 1.0
        for family in parse(renderer.render(instant.samples).decode()):
            for sample in family.samples:
                found[sample.name, frozenset((sample.labels | TARGET).items()), at] = sample.value
    return found


def equal(one, other):
    assert one.keys() == other.keys()
    assert np.array_equal(list(one.values()), [other[key] for key in one], equal_nan=True)
    return True


def test_the_files_hold_what_the_engine_gives(path, tmp_path, shell):
    code, script, err = shell("replay", "--config", path, "--output", tmp_path / "out", *OPTIONS)
    assert code == 0
    times = range(START * 1_000_000 // 15_000_000 * 15_000_000, 1 << 52, 15_000_000)
    first = next(at for at in times if at >= START * 1_000_000)
    found = samples(tmp_path / "out")
    last = max(at for _, _, at in found)
    assert equal(found, expected(path, range(first, round(last * 1e6) + 1, 15_000_000)))
    newest = max(at for rows in (predictions(COUNT), labels(COUNT)) for at, _ in rows)
    assert last * 1e6 - 15_000_000 < newest <= last * 1e6
    assert err.endswith("samples, replayed\n")
    assert script.startswith("#!/bin/sh\n")
    assert shell("replay", "--config", path, "--output", tmp_path / "out", *OPTIONS) == (0, script, err)


def test_what_is_replayed(path, tmp_path, shell):
    shell("replay", "--config", path, "--output", tmp_path / "out", *OPTIONS, "--from", SPAN[0], "--to", SPAN[1])
    times = range(1_700_000_010_000_000, 1_700_000_160_000_000, 15_000_000)
    assert equal(samples(tmp_path / "out"), expected(path, times))


KILLED = """
import os, sys
from ml_exporter import cli
from ml_exporter.replay import collecting, running
from ml_exporter.store import Store

running.PART_SAMPLES = 2000
where, left = os.environ["DIE"].split(":")
running.BESIDE_FROM = 5 if where == "never" else 1000
calls = dict.fromkeys(("take", "part", "file", "commit"), 0)

def dying(name, function):
    def wrapper(*arguments):
        calls[name] += 1
        filed = name == "commit" and where == "filed" and calls["file"]
        if filed or (name == where and calls[name] == int(left)):
            os._exit(9)
        return function(*arguments)
    return wrapper

running.Run._take = dying("take", running.Run._take)
collecting.Beside.write = dying("part", collecting.Beside.write)
collecting.Beside.join = dying("file", collecting.Beside.join)
collecting.Here.write = dying("part", collecting.Here.write)
collecting.Here.join = dying("file", collecting.Here.join)
Store.commit = dying("commit", Store.commit)
sys.argv = ["ml-exporter", *sys.argv[1:]]
cli.main()
"""
DEATHS = ("commit:1", "take:9", "file:1", "filed:1")
"""Before a part is committed, in the middle of the next, before a whole file is written, before it is committed."""


def same_files(one, other):
    names = {file.name for file in one.glob("*.om")}
    assert {file.name for file in other.glob("*.om")} == names
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    return not list((one / "state").glob("*.arrow"))


def test_killed_again_and_again(path, tmp_path, shell):
    """Wherever it is killed, the next run goes on, and the files are those of a run that was left alone."""
    shell("replay", "--config", path, "--output", tmp_path / "whole", *OPTIONS)
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, "replay", "--config", path, "--output", out, *OPTIONS]
    for death in (*DEATHS, "never:0"):
        run = subprocess.run(command, env=os.environ | {"DIE": death}, capture_output=True, check=False)
        assert run.returncode == (0 if death == "never:0" else 9), run.stderr
    assert same_files(out, tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(path, tmp_path, shell, monkeypatch, number):
    shell("replay", "--config", path, "--output", tmp_path / "whole", *OPTIONS)
    take = running.Run._take

    def interrupted(run, instant):
        take(run, instant)
        if run._record.instants == 7:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(running.Run, "_take", interrupted)
    code, script, err = shell("replay", "--config", path, "--output", tmp_path / "out", *OPTIONS)
    assert (code, script) == (130, "")
    assert re.search(r": 7 instants, \d+ samples, interrupted: run the same again to go on\n$", err)
    assert shell("replay", "--config", path, "--output", tmp_path / "out", *OPTIONS)[0] == 0
    assert same_files(tmp_path / "out", tmp_path / "whole")


def run_of(path, output, beside):
    output.mkdir(exist_ok=True)
    return running.Run(load(path), Settings(output, 15_000_000, TARGET), beside)


def test_in_one_process_or_two(path, tmp_path, monkeypatch):
    """The files are the same, and what is collected beside may be lost at any time."""
    monkeypatch.setattr(running, "BESIDE_FROM", 4)
    with run_of(path, tmp_path / "here", beside=False) as run:
        assert [progress.instants for progress in run.steps()][-1] > 20
    out = tmp_path / "beside"
    with run_of(path, out, beside=True) as run:
        for progress in run.steps():
            if progress.instants in (5, 7):
                run.keep()
            if progress.instants == 8:
                run._collecting._process.terminate()
            if progress.instants == 9:
                assert run._collecting._process.is_alive()
                run._collecting._process.kill()
                break
        with pytest.raises(ProblemsError, match="its end with the code -9"):
            run.keep()
    with run_of(path, out, beside=True) as run:
        first, *_ = [progress.instants for progress in run.steps()]
        assert first == 8
        assert isinstance(run._collecting, Beside)
    assert same_files(out, tmp_path / "here")


def test_a_full_disk_is_told_by_the_process_beside(path, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "BESIDE_FROM", 0)
    with run_of(path, tmp_path / "out", beside=True) as run:
        next(run.steps())
        (tmp_path / "out" / "state" / f".{run._first_us}.arrow.draft").mkdir()
        with pytest.raises(IsADirectoryError):
            run.keep()


def test_another_replay_does_not_go_on(path, tmp_path, shell):
    out = tmp_path / "out"
    arguments = ("replay", "--config", path, "--output", out)
    shell(*arguments, "--step", "1m")
    code, script, err = shell(*arguments, "--step", "2m")
    assert (code, script) == (2, "")
    assert err == (
        f"{out}: expected the output of this same replay, got one of other options, another configuration or another "
        "baseline. Give another --output, or remove this one to start anew.\n"
    )


def test_no_row(path, tmp_path, shell):
    (tmp_path / "risk.jsonl").write_bytes(b"")
    (tmp_path / "risk-labels.jsonl").write_bytes(b"")
    code, _, err = shell("replay", "--config", path, "--output", tmp_path / "out")
    assert (code, err) == (
        2,
        "sources: expected rows to replay, got none. See what was rejected, and compare `columns` with the log.\n",
    )


def test_nothing_behind_the_logs(path, tmp_path, shell):
    options = ["--config", path, "--output", tmp_path / "out", "--from", "2099-01-01T00:00:00Z"]
    code, script, err = shell("replay", *options)
    assert (code, script) == (2, "")
    assert "replay: expected rows between --from and --to, got none." in err


def test_no_file(path, tmp_path, shell):
    (tmp_path / "risk-labels.jsonl").unlink()
    code, _, err = shell("replay", "--config", path, "--output", tmp_path / "out")
    assert code == 2
    assert "risk-labels.jsonl: expected a log file that can be read, got No such file or directory." in err


def test_lost_rows_are_counted(path, tmp_path, shell):
    service.append(tmp_path / "risk.jsonl", b"no json\n" + service.lines([service.prediction(9_999, START + 2e9)]))
    _, _, err = shell("replay", "--config", path, "--output", tmp_path / "out", *OPTIONS)
    assert err.splitlines()[:2] == ["risk: 1 rows rejected: future", "risk: 1 rows rejected: malformed"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--step", "6m"), "--step: expected 1s to 5m, got 6m."),
        (("--step", "5"), "--step: expected a duration like 90s, 15m or 12h, got '5'."),
        (("--from", "2023-11-14"), "--from: expected an instant with zone, got '2023-11-14'."),
        (("--from", SPAN[1], "--to", SPAN[0]), "--to: expected an instant after --from, got one before."),
        (("--target-labels", "model=x"), "--target-labels: expected name=value with a name that no metric has"),
        (("--target-labels", "job"), "--target-labels: expected name=value"),
        (("--rules", "none.yaml"), "none.yaml: expected a readable file, got No such file or directory."),
    ],
)
def test_bad_options(path, tmp_path, shell, arguments, expected):
    code, out, err = shell("replay", "--config", path, "--output", tmp_path / "out", *arguments)
    assert (code, out) == (2, "")
    assert expected in err


# recording rules


def pack_rules():
    return sorted((packed.pack_dir() / "rules" / "out").glob("ml-exporter-*.yaml"))


def test_each_level_reads_only_those_below():
    groups = steps.read_rules(pack_rules())
    found = steps.levels(groups)
    recorded = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    assert sorted(rule["record"] for level in found for group in level for rule in group["rules"]) == sorted(recorded)
    below = []
    for level in found:
        rules = [rule for group in level for rule in group["rules"]]
        assert rules
        for rule in rules:
            read = re.findall(r"\b(ml:[\w:]+)(?:\{(.*?)\})?", rule["expr"])
            for name, matchers in read:
                parts = set(re.findall(r'\b(?:signal|severity|window)="\w+"', matchers))
                for other in (item for group in groups for item in group["rules"] if item.get("record") == name):
                    own = {f'{label}="{value}"' for label, value in other.get("labels", {}).items()}
                    known = {part for part in parts if part.split("=")[0] in other.get("labels", {})}
                    assert known - own or other in below, (rule["record"], name)
        below += rules
    assert len(found) > 2


def test_rules_in_a_circle_are_in_the_last_level():
    rules = [("a", "b"), ("b", "a"), ("c", "up"), ("c", "sum(c)")]
    groups = [{"name": "g", "rules": [{"record": record, "expr": expr} for record, expr in rules] + [{"alert": "A"}]}]
    found = [[rule["record"] for group in level for rule in group["rules"]] for level in steps.levels(groups)]
    assert found == [["c"], ["c"], ["a", "b"]]


def test_the_script_names_every_file_and_every_level(path, tmp_path, shell):
    out = tmp_path / "o'ut"
    _, script, _ = shell("replay", "--config", path, "--output", out, *OPTIONS, "--rules", pack_rules()[1])
    for name in [*out.glob("*.om"), *out.glob("rules-*.yaml")]:
        assert shlex.quote(str(name)) in script
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=False).returncode == 0
