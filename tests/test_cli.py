"""The commands as a shell sees them: exit codes, data on stdout, messages on stderr."""

import math
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serve import service
from tests.serve.service import Metrics, append, label, lines, prediction, write_full_windows

from ml_exporter import __version__, cli, generate, packed
from ml_exporter import baseline as artefact
from ml_exporter.budget import capped, series
from ml_exporter.catalogue import labels_of
from ml_exporter.commands import once as once_command
from ml_exporter.loading import load
from ml_exporter.pipeline import evaluate
from ml_exporter.serve import Exporter

START = 1_700_000_000.0


@pytest.fixture(scope="module")
def baseline_text(tmp_path_factory):
    return service.make_artefact(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def path(baseline_text, tmp_path):
    """Return a configuration of two models with baselines and empty logs."""
    return service.prepare(tmp_path, baseline_text, "risk", "churn")


# usage


def test_version(shell):
    assert shell("--version") == (0, f"ml-exporter, version {__version__}\n", "")


def test_help_names_every_command(shell):
    code, out, err = shell("--help")
    assert (code, err) == (0, "")
    assert all(f"  {name} " in out for name in cli.NAMES)
    assert out.startswith("Usage: ml-exporter ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Usage: ml-exporter"),
        (["fly"], "No such command 'fly'"),
        (["check", "--colour"], "No such option"),
        (["serve", "--web.listen-address", "9846"], "--web.listen-address: expected host:port, got '9846'."),
        (
            ["serve", "--web.external-url", "ml"],
            "--web.external-url: expected an http or https URL with a host, got 'ml'.",
        ),
        (["serve", "--web.route-prefix", "a b"], "--web.route-prefix: expected a path, got 'a b'."),
        (["serve", "--web.listen-address", ":70000"], "--web.listen-address: expected host:port, got ':70000'."),
        (["once", "--at", "2013-05-01"], "--at: expected an instant with zone, got '2013-05-01'."),
        (["once", "--at", "noon"], "--at: expected an instant with zone, got 'noon'."),
        (["baseline", "--predictions", "x", "--model", "love"], "--model: expected one of risk, churn, got 'love'."),
        (["baseline", "--predictions", "x"], "--model: expected one of risk, churn, got None."),
    ],
)
def test_bad_usage(shell, path, arguments, message, monkeypatch):
    monkeypatch.chdir(path.parent)
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("command", ["serve", "once", "check"])
def test_every_problem_of_a_configuration_at_once(shell, path, command):
    document = service.config("risk", "churn", colour="red")
    document["models"]["churn"]["tier"] = "gold"
    service.write_config(path.parent, document)
    code, out, err = shell(command, "--config", path)
    assert (code, out) == (2, "")
    places = [line.split(":")[0] for line in err.splitlines()]
    assert places == ["ml-exporter.yaml.colour", "ml-exporter.yaml.models.churn.tier"]


def test_no_configuration(shell, tmp_path):
    missing = tmp_path / "none.yaml"
    code, out, err = shell("check", "--config", missing)
    assert (code, out) == (2, "")
    assert err.startswith(f"{missing}: expected a readable file, got No such file or directory. Give the path of")


def test_an_address_that_is_taken(shell, path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = shell("serve", "--config", path, "--web.listen-address", address)
    assert (code, out) == (2, "")
    assert f"web.listen-address {address}: expected an address that can be listened on, got" in err


def test_ctrl_c(shell, path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(once_command.finished, "run", interrupted)
    code, out, err = shell("once", "--config", path)
    assert (code, out, err.strip()) == (130, "", "")


def test_a_reader_that_closes_the_pipe(path):
    write_full_windows(path.parent, START)
    command = f'"{sys.executable}" -m ml_exporter once --config "{path}" | head -n 1'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("# HELP ml_")
    assert "Traceback" not in done.stderr


# check


def test_check_counts_what_is_served_with_full_windows(shell, path):
    earlier = START - 2 * service.DAY_SECONDS
    append(path.parent / "risk.jsonl", lines(prediction(number, earlier) for number in range(9000, 9400)))
    append(path.parent / "risk-labels.jsonl", lines(label(number, earlier + 1) for number in range(9000, 9400)))
    now = write_full_windows(path.parent, START) + 3
    code, out, err = shell("check", "--config", path)
    exporter = Exporter(path, lambda: now)
    while not exporter.read(math.inf):
        pass
    service.remember_days(exporter.fleet.countings["risk"], 60)
    exporter.publish()
    found = Metrics(exporter.snapshot.exposition.decode())
    exporter.close()
    series = sum(("model", "risk") in labels for _, labels in found.values)
    assert found("ml_exporter_series", model="risk") == series
    fingerprint = artefact.load((path.parent / "risk.json").read_text(), "risk.json").fingerprint
    assert out.splitlines()[0] == f"risk: {series} series (limit 2000), baseline {fingerprint}"
    assert f"\nchurn: {series} series (limit 2000), baseline " in out
    parts = r"risk: of these (\d+) for features over short windows, (\d+) for features, (\d+) for others"
    kinds = re.fullmatch(parts, out.splitlines()[1])
    assert sum(map(int, kinds.groups())) == series
    assert (code, "dropped" in err) == (0, False)


def test_check_validates_the_web_configuration_too(shell, path):
    web = path.parent / "web.yml"
    web.write_text("basic_auth_users: {alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}")
    code, out, _ = shell("check", "--config", path, "--web.config.file", web)
    assert (code, out.splitlines()[0]) == (0, f"{web}: plain HTTP, 1 users")
    web.write_text("basic_auth_users: {alice: secret}\nhttp_server_config: {http2: true}")
    for command in ["check", "serve"]:
        code, out, err = shell(command, "--config", path, "--web.config.file", web)
        assert (code, out, err.count("\n")) == (2, "", 2)
        assert "web.yml.basic_auth_users.alice: expected a bcrypt hash, got something else." in err


def test_check_says_when_series_would_be_dropped(shell, path):
    document = service.config("risk", "churn")
    for name, limit in (("risk", 100), ("churn", 110)):
        document["models"][name]["series_limit"] = limit
    service.write_config(path.parent, document)
    code, out, err = shell("check", "--config", path)
    counts = [int(line.split()[1]) for line in out.splitlines() if "(limit " in line]
    assert (code, len(counts)) == (1, 2)
    for name, limit in (("risk", 100), ("churn", 110)):
        start = f"{name}: {counts[0] - limit} series would be dropped: "
        (dropped,) = (line.removeprefix(start) for line in err.splitlines() if line.startswith(start))
        kinds, _, action = dropped.partition(". ")
        assert action == "Raise series_limit, or configure fewer windows or segments."
        assert sum(int(item.split()[0]) for item in kinds.split(", ")) == counts[0] - limit


def test_a_limit_is_kept_while_serving(path):
    document = service.config("risk")
    document["models"]["risk"]["series_limit"] = 150
    service.write_config(path.parent, document)
    now = write_full_windows(path.parent, START) + 3
    exporter = Exporter(path, lambda: now)
    exporter.read(math.inf)
    exporter.publish()
    found = Metrics(exporter.snapshot.exposition.decode())
    exporter.close()
    assert 130 < found("ml_exporter_series", model="risk") <= 150
    assert found("ml_exporter_series", model="risk") == sum(("model", "risk") in labels for _, labels in found.values)
    assert found("ml_exporter_series_dropped_total", reason="series_limit") > 0
    assert found("ml_window_rows", model="risk", window="1d")
    assert not found.series("ml_feature_psi")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["no", "maybe"]}, "models.risk.classes: expected"),
        ({"decision_threshold": 0.4}, "models.risk.decision_threshold: expected"),
        ({"latency": {"limit": "333ms"}}, "models.risk.latency.limit: expected"),
        ({"features": {"object": "features", "numeric": {"temp": None}}}, "models.risk.features: expected"),
        ({"baseline": "churn.json"}, "models.risk: expected 'churn' as in the baseline, got 'risk'."),
        ({"baseline": "none.json"}, "none.json: expected a readable file, got No such file or directory."),
        ({"baseline": "ml-exporter.yaml"}, "ml-exporter.yaml: expected"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(shell, path, change, message):
    document = service.config("risk", "churn")
    document["models"]["risk"] |= change
    service.write_config(path.parent, document)
    code, out, err = shell("check", "--config", path)
    assert (code, out) == (2, "")
    assert message in err


def test_series_go_in_the_documented_order(path):
    """Windows that are not usual, features over short windows, features, then the rest; fewer only takes more away."""
    document = service.config("risk")
    document["models"]["risk"]["windows"] = {"head": ["5m", "1h", "1d", "2d"], "features": ["1h", "1d", "2d"]}
    service.write_config(path.parent, document)
    now = write_full_windows(path.parent, START) + 3
    exporter = Exporter(path, lambda: now)
    exporter.read(math.inf)
    counting, loaded = exporter.fleet.countings["risk"], exporter.loaded
    everything = list(evaluate(counting, loaded.baselines["risk"], "risk", loaded.config, round(now * 1e6)))
    exporter.close()
    total = series(everything)

    def place(sample):
        labels = labels_of(sample)
        if labels.get("window") == "2d":
            return 0
        if "feature" not in labels:
            return 3
        return 1 if labels.get("window") == "1h" else 2

    assert {place(sample) for sample in everything} == {0, 1, 2, 3}
    before, gone = set(everything), []
    for limit in range(total, 99, -1):
        kept = capped(everything, limit)
        assert kept == [sample for sample in everything if sample in set(kept)]
        assert series(kept) <= limit
        gone += sorted(place(sample) for sample in before - set(kept))
        assert set(kept) <= before
        before = set(kept)
    assert gone == sorted(gone)
    assert set(gone) == {0, 1, 2, 3}
    assert "ml_model_info" in {sample.name for sample in before}


# once


def test_once_prints_the_gauges_of_the_end(shell, path):
    end = write_full_windows(path.parent, START)
    code, out, err = shell("once", "--config", path)
    found = Metrics(out)
    assert (code, len(err.splitlines())) == (1, 1)
    assert err.startswith("unfit: models.churn: expected predictions, got no usable row in churn. ")
    assert found("ml_window_end_timestamp_seconds", model="risk", window="1d") == math.floor(end) + 1
    assert found("ml_window_rows", model="risk", window="1d") == 6000
    assert found("ml_window_rows", model="churn", window="1d") == 0
    assert not any(name.endswith(("_total", "_bucket")) for name, _ in found.values)
    assert not (path.parent / "state").exists()


def test_once_at_an_instant(shell, path):
    write_full_windows(path.parent, START)
    _, out, _ = shell("once", "--config", path, "--at", "2023-11-14T23:13:30+01:00")
    found = Metrics(out)
    assert found("ml_window_end_timestamp_seconds", model="risk", window="5m") == START + 10
    assert found("ml_window_rows", model="risk", window="5m") == 5 * 400
    assert found("ml_window_rows", model="risk", window="1d") == 10 * 400


def test_once_says_what_it_lost(shell, path):
    write_full_windows(path.parent, START)
    append(path.parent / "risk.jsonl", b"no json\n[]\n" + lines([prediction(0, 9e10)]) + b'{"timestamp": 17')
    (path.parent / "churn.jsonl").unlink()
    code, out, err = shell("once", "--config", path)
    assert code == 1
    assert Metrics(out)("ml_window_rows", model="risk", window="1d") == 6000
    assert err.splitlines()[:2] == ["risk: 1 rows rejected: future", "risk: 2 rows rejected: malformed"]
    assert [line.split(": ")[1] for line in err.splitlines()[2:]] == ["sources.risk", "sources.churn", "models.churn"]
    assert "expected a log file that can be read, got No such file or directory" in err.splitlines()[3]


# baseline


def write_reference(folder):
    text = lines(map(prediction, range(2000), [START + number for number in range(2000)]))
    (folder / "reference.jsonl").write_bytes(text)
    (folder / "known.jsonl").write_bytes(lines(label(number, START + number + 9) for number in range(2000)))
    names = ("--predictions", "reference.jsonl", "--labels", "known.jsonl")
    return text, ("baseline", "--config", folder / "ml-exporter.yaml", "--model", "churn", *names)


def test_the_same_reference_gives_the_same_bytes(shell, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    text, command = write_reference(path.parent)
    code, out, _ = shell(*command)
    first = (path.parent / "churn.json").read_bytes()
    assert code == 0
    made = load(path).baselines["churn"]
    assert out.splitlines()[0] == f"{path.parent / 'churn.json'}: baseline {made.fingerprint} from 2000 rows"
    assert out.splitlines()[1:3] == ["  0.02 days, 100.0% labelled", "  predicted no 49.5%, yes 50.4%"]
    assert out.splitlines()[3].startswith("  accuracy 0.6")

    rows = text.splitlines(keepends=True)
    (path.parent / "reference.jsonl").write_bytes(b"".join(rows[1000:] + rows[:1000]))
    assert shell(*command, "--out", "new/again.json")[0] == 0
    assert (path.parent / "new/again.json").read_bytes() == first


def test_a_reference_that_cannot_be_used(shell, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    _, command = write_reference(path.parent)
    (path.parent / "reference.jsonl").write_text("no json\n")
    code, out, err = shell(*command)
    assert (code, out) == (2, "")
    assert err == (
        "churn: expected reference predictions, got no usable row in reference.jsonl; 1 refused as malformed. "
        "Correct `predictions.columns` or the format of its source, or name other logs.\n"
    )
    (path.parent / "reference.jsonl").unlink()
    code, out, err = shell(*command)
    assert (code, out) == (2, "")
    assert "reference.jsonl: expected a log file that can be read, got No such file or directory." in err


def test_a_reference_with_losses(shell, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    text, command = write_reference(path.parent)
    (path.parent / "reference.jsonl").write_bytes(b"no json\n" + text[:-1])
    code, out, err = shell(*command)
    assert code == 0
    assert "from 1999 rows" in out
    assert err.splitlines()[0] == "1 rows rejected: malformed"
    assert err.splitlines()[1].startswith("reference: ")
    assert "bytes not read: the last line has no newline yet" in err.splitlines()[1]


def test_a_baseline_that_cannot_be_written(shell, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    _, command = write_reference(path.parent)
    code, out, err = shell(*command, "--out", path.parent)
    assert (code, out) == (2, "")
    assert f"{path.parent}: expected a path that can be written, got Is a directory." in err


# generate


def test_generate_check_sees_every_difference(shell, tmp_path, monkeypatch):
    root = Path(__file__).parents[1]
    for folder in ("rules", "dashboards", "runbooks", "docs"):
        shutil.copytree(root / folder, tmp_path / folder)
    monkeypatch.setattr(packed, "pack_dir", lambda: tmp_path)
    names = ("docs/metrics.md", "rules/lib/catalogue.json", "rules/out/old.yaml")
    changed, gone, extra = (tmp_path / name for name in names)
    changed.write_text(changed.read_text() + "\n")
    gone.unlink()
    extra.touch()
    code, out, err = shell("generate", "--check")
    assert (code, out) == (1, "")
    assert {f"stale: {item}" for item in (changed, gone, extra)} <= set(err.splitlines())
    assert not gone.exists()
    code, out, err = shell("generate")
    assert (code, err) == (0, "")
    assert {f"written: {item}" for item in (changed, gone)} <= set(out.splitlines())


@pytest.mark.parametrize("options", [["--config"], ["--settings"], []])
def test_generate_writes_no_pack_of_its_own_place(shell, path, tmp_path, monkeypatch, options):
    if not options:
        monkeypatch.setattr(packed, "pack_dir", lambda: tmp_path)
    code, out, err = shell("generate", *options, *([path] if options else []))
    assert (code, out) == (2, "")
    assert "--out: expected a folder for the pack, got none. Add `--out pack`." in err


def test_generate_elsewhere(shell, path, tmp_path, monkeypatch):
    pack = tmp_path / "pack"
    code, out, err = shell("generate", "--out", pack, "--config", path)
    assert code == 0
    assert err.startswith(
        "warning: receivers: expected who hears of alerts, got the pack's example at localhost:8060. "
    )
    made = packed.pack_dir() / "dashboards/out"
    files = {str(item.relative_to(pack)) for item in pack.rglob("*") if item.is_file()}
    assert out.splitlines()[:2] == [
        f"{pack / 'rules/'}: for `rule_files` of Prometheus, and alerts.md to read",
        f"{pack / 'alertmanager.yaml'}: for Alertmanager",
    ]
    assert out.splitlines()[-1] == f"{len(files)} of {len(files)} files changed"
    assert files == {
        "rules/ml-exporter-rules.yaml",
        "rules/ml-exporter-alerts.yaml",
        "rules/ml-exporter-escalation.yaml",
        "rules/alerts.md",
        "alertmanager.yaml",
        "alertmanager-parts.yaml",
        *(f"dashboards/{item.relative_to(made)}" for item in made.rglob("*") if item.is_file()),
        *(f"runbooks/{item.name}" for item in (packed.pack_dir() / "runbooks").glob("*.md")),
    }
    assert "churn" in (pack / "rules/ml-exporter-rules.yaml").read_text()
    assert shell("generate", "--out", pack, "--config", path)[1].splitlines()[-1] == f"0 of {len(files)} files changed"
    monkeypatch.setattr(generate, "render", lambda *_: {"rules/a.yaml": ""})
    code, _, err = shell("generate", "--out", path / "below-a-file")
    assert code == 2
    assert f"{path / 'below-a-file'}: expected a path that can be written, got Not a directory." in err
