"""`once` for batch jobs: what makes data unfit, the textfile, a real Pushgateway, and the exit codes."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import bcrypt
import pytest
import servers
import yaml
from markdown_it import MarkdownIt
from servers import fetch, serving, tools
from tests.serve import service
from tests.serve.service import Metrics, append, lines, prediction, write_full_windows

from ml_exporter import fitness, packed, pushgateway
from ml_exporter.catalogue import BY_NAME, Sample
from ml_exporter.config import parse
from ml_exporter.errors import ProblemsError

START = 1_700_000_000.0
SUCCESS = "ml_exporter_batch_last_success_timestamp_seconds"
LAST_RUN = "ml_exporter_batch_last_run_timestamp_seconds"
BATCH_PAGE = Path(__file__).parents[1] / "docs" / "batch.md"


@pytest.fixture(scope="module")
def baseline_text(tmp_path_factory):
    return service.make_artefact(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def folder(baseline_text, tmp_path, monkeypatch):
    """A folder with a configuration of one model and full logs, to run in; loopback is never behind a proxy."""
    service.prepare(tmp_path, baseline_text, "risk")
    write_full_windows(tmp_path, START)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


@pytest.fixture
def once(shell):
    """Return a function that runs the command and returns exit code, stdout and stderr."""
    return partial(shell, "once")


def break_log(folder):
    """Leaves nothing in the predictions that can be used."""
    (folder / "risk.jsonl").write_text("no json\n")


def read(path):
    return Metrics(path.read_text())


# what makes data unfit


def test_fit_data(folder, once):
    before = time.time()
    code, out, err = once()
    found = Metrics(out)
    assert (code, err) == (0, "")
    assert found("ml_exporter_batch_fit", model="risk") == 1
    assert before <= found(LAST_RUN, model="risk") == found(SUCCESS, model="risk") <= time.time()
    assert found("ml_exporter_batch_rows", source="risk") == 6000
    assert found("ml_exporter_batch_rows", source="risk-labels") == 5700
    assert found("ml_exporter_batch_rejected_rows", source="risk", reason="malformed") == 0


@pytest.mark.parametrize(
    ("bad", "arguments", "code"), [(60, (), 0), (61, (), 1), (61, ("--max-rejected-ratio", 0.02), 0)]
)
def test_rejected_rows(folder, once, bad, arguments, code):
    """One in a hundred is tolerated: 60 beside 5940."""
    rows = (folder / "risk.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "risk.jsonl").write_bytes(b"".join(rows[: 6000 - bad]) + b"{}\n" * (bad - 1) + b"no json\n")
    found = once(*arguments)
    assert found[0] == code
    assert Metrics(found[1])("ml_exporter_batch_rejected_rows", source="risk", reason="malformed") == 1
    unfit = [line for line in found[2].splitlines() if line.startswith("unfit: ")]
    assert len(unfit) == code
    for line in unfit:
        assert line.startswith("unfit: sources.risk: expected at most 0.01 of the rows refused, got 0.01017 of 6000 (")
        assert line.endswith("(1 malformed, 60 missing_column). Mend what writes them, or raise --max-rejected-ratio.")
    assert f"risk: {bad - 1} rows rejected: missing_column" in found[2]


def test_no_usable_row(folder, once):
    break_log(folder)
    code, out, err = once("--max-rejected-ratio", 1)
    found = Metrics(out)
    assert code == 1
    assert err.splitlines()[1].startswith("unfit: models.risk: expected predictions, got no usable row in risk. ")
    assert found("ml_exporter_batch_fit", model="risk") == 0
    assert found(LAST_RUN, model="risk") > START
    assert not found.series(SUCCESS)
    assert not found.series("ml_feature_psi")


def test_an_instant_without_rows(folder, once):
    code, out, err = once("--at", "2020-01-01T00:00:00Z")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "compare `columns` and --at with the log" in err
    assert not Metrics(out).series("ml_accuracy")


def test_no_file(folder, once):
    (folder / "risk-labels.jsonl").unlink()
    code, out, err = once()
    assert code == 1
    assert err.startswith("unfit: sources.risk-labels: ")
    assert "expected a log file that can be read, got No such file or directory" in err
    assert Metrics(out)("ml_window_rows", model="risk", window="1d") == 6000


def test_a_file_that_ends_within_a_row(folder, once):
    append(folder / "risk.jsonl", b'{"timestamp": 17')
    code, _, err = once()
    assert code == 1
    assert err.startswith(
        "unfit: sources.risk: expected a newline behind every row, got 16 bytes behind the last one. "
    )


@pytest.mark.parametrize("is_new", [False, True])
def test_a_finished_file_without_newline_is_no_fault_if_it_may_be_so(folder, once, is_new):
    document = service.config("risk")
    document["sources"]["risk"]["complete"] = True
    service.write_config(folder, document)
    text = (folder / "risk.jsonl").read_bytes()
    (folder / "risk.jsonl").write_bytes(text.rstrip(b"\n"))
    if not is_new:
        os.utime(folder / "risk.jsonl", (START, START))
    code, out, _ = once()
    assert code == 0
    assert Metrics(out)("ml_exporter_batch_rows", source="risk") == 6000


def test_rows_of_models_that_are_not_configured_are_no_fault(folder, once):
    document = service.config("risk")
    document["models"]["risk"]["predictions"]["where"] = {"kind": "risk"}
    service.write_config(folder, document)
    rows = [prediction(number, START, kind=("risk", "other")[number % 2]) for number in range(100)]
    (folder / "risk.jsonl").write_bytes(lines(rows))
    code, out, _ = once()
    assert code == 0
    assert Metrics(out)("ml_exporter_batch_rejected_rows", source="risk", reason="no_model") == 50


def test_a_fault_of_one_model_is_not_that_of_another(folder, once, baseline_text):
    service.prepare(folder, baseline_text, "risk", "churn")
    code, out, err = once()
    assert code == 1
    assert [line.split(":")[1] for line in err.splitlines()] == [" models.churn"]
    found = Metrics(out)
    assert found("ml_exporter_batch_fit", model="risk") == 1
    assert found("ml_exporter_batch_fit", model="churn") == 0
    assert {dict(labels)["model"] for labels in found.series(SUCCESS)} == {"risk"}


CONFIG = parse(yaml.safe_dump(service.config("risk")))


def vitals(rows=1000.0, **changes):
    """Samples of a day and an hour in which nothing is wrong, but for the changes."""
    values = {"psi": 0.1, "psi_critical": 0.3, "null_ratio": 0.0, "null_critical_ratio": 0.02} | changes
    for window in ("1h", "1d"):
        yield Sample("ml_window_rows", ("risk", window), rows)
        for name in ("psi", "psi_critical", "null_critical_ratio"):
            yield Sample(f"ml_feature_{name}", ("risk", window, "reference", "temp"), values[name])
        yield Sample("ml_feature_null_ratio", ("risk", window, "temp"), values["null_ratio"])
    yield Sample("ml_feature_baseline_null_ratio", ("risk", "reference", "temp"), 0.1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"psi": 0.29}, []),
        ({"psi": 0.31}, ["models.risk.features.temp: expected a PSI of at most 0.3 over 1d, got 0.31."]),
        ({"psi": 0.19, "psi_critical": 0.01}, []),
        (
            {"psi": 0.21, "psi_critical": 0.01},
            ["models.risk.features.temp: expected a PSI of at most 0.2 over 1d"],
        ),
        ({"psi": 3.0, "psi_critical": 1.1}, []),
        ({"psi": 3.0, "rows": 199.0}, []),
        ({"psi": 3.0, "rows": 200.0}, ["models.risk.features.temp: expected a PSI"]),
        ({"null_ratio": 0.39}, []),
        ({"null_ratio": 0.41}, ["models.risk.features.temp: expected at most 0.4 nulls over 1h, got 0.41."]),
        ({"null_ratio": 0.9, "null_critical_ratio": 0.85}, []),
        ({"null_ratio": 0.41, "rows": 49.0}, []),
        ({"null_ratio": 0.41, "rows": 50.0}, ["models.risk.features.temp: expected at most 0.4 nulls"]),
    ],
)
def test_vitals_beyond_their_limits(changes, expected):
    samples = list(vitals(**changes))
    both = fitness.Limits(fail_on=frozenset({"drift", "nulls"}))
    found = [finding.text for finding in fitness.of_model("risk", CONFIG, samples, both)]
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))
    assert not list(fitness.of_model("risk", CONFIG, samples, fitness.Limits()))


def test_only_the_reference_counts():
    """Not earlier windows, against which a rising feature drifts every day, and not a feature without a limit."""
    samples = list(vitals(psi=0.1))
    samples.insert(0, Sample("ml_feature_psi", ("risk", "1d", "previous", "temp"), 5.0))
    samples.append(Sample("ml_feature_psi", ("risk", "1d", "previous", "temp"), 5.0))
    samples.append(Sample("ml_feature_psi", ("risk", "1d", "reference", "dewp"), 5.0))
    samples.append(Sample("ml_feature_null_ratio", ("risk", "1h", "dewp"), 1.0))
    both = fitness.Limits(fail_on=frozenset({"drift", "nulls"}))
    assert not list(fitness.of_model("risk", CONFIG, samples, both))


def test_the_limits_are_those_of_the_pack():
    rows = yaml.safe_load((packed.pack_dir() / "rules" / "thresholds.yaml").read_text())
    limits = {(row["signal"], row["window"], row["severity"]): row["value"] for row in rows if "window" in row}
    assert limits["feature_psi", "1d", "warning"] == fitness.PSI_FLOOR
    assert limits["feature_null_excess_ratio", "1h", "critical"] == fitness.NULL_FLOOR
    assert limits["window_rows", "1d", "guard"] == fitness.DRIFT_ROWS
    assert limits["window_rows", "1h", "guard"] == fitness.NULL_ROWS
    settings = (packed.pack_dir() / "rules" / "config.libsonnet").read_text()
    assert float(re.search(r"psiCriticalMaximum: (\S+),", settings)[1]) == fitness.PSI_CRITICAL_MAXIMUM


def test_a_feature_that_is_lost_fails_on_nulls_alone(folder, once):
    times = [START + 100 + number / 100 for number in range(6000)]
    rows = [prediction(number, at) for number, at in enumerate(times)]
    for row in rows:
        row["features"]["temp"] = None
    (folder / "risk.jsonl").write_bytes(lines(rows))
    assert once()[0] == 0
    assert once("--fail-on", "drift")[0] == 0
    code, _, err = once("--fail-on", "drift", "--fail-on", "nulls")
    assert code == 1
    assert err.startswith("unfit: models.risk.features.temp: expected at most ")


# the textfile


def test_a_textfile(folder, once):
    target = folder / "risk.prom"
    target.write_text("old")
    target.chmod(0o600)
    before = set(folder.iterdir())
    assert once("--textfile", target) == (0, "", "")
    assert set(folder.iterdir()) == before
    assert target.stat().st_mode & 0o777 == 0o644
    text = target.read_text()
    assert text.endswith("\n")
    assert {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")} == {"gauge"}
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'\w+(\{(\w+="[^"\n]*",?)+\})? \S+', line), "no timestamp"
    found = read(target)
    assert found("ml_window_rows", model="risk", window="1d") == 6000
    assert found(SUCCESS, model="risk") == found(LAST_RUN, model="risk")
    for version in ("floor", "latest"):
        lint = subprocess.run(
            [tools(version) / "promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False
        )
        assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


def test_every_batch_metric_is_written(folder, once):
    once("--textfile", "risk.prom")
    names = {name for name, _ in read(folder / "risk.prom").values}
    assert {name for name in BY_NAME if name.startswith("ml_exporter_batch_")} <= names


def test_the_last_success_stays_when_data_is_unfit(folder, once):
    target = folder / "risk.prom"
    once("--textfile", target)
    success = read(target)(SUCCESS, model="risk")
    break_log(folder)
    for _ in range(2):
        assert once("--textfile", target)[0] == 1
        found = read(target)
        assert found(SUCCESS, model="risk") == success
        assert found(LAST_RUN, model="risk") > success
        assert found("ml_exporter_batch_fit", model="risk") == 0
        assert not found.series("ml_feature_psi"), "gauges of an earlier run must not look fresh"
    write_full_windows(folder, START)
    assert once("--textfile", target)[0] == 0
    assert read(target)(SUCCESS, model="risk") > success


@pytest.mark.parametrize("content", [b"no { exposition", b"\xff\xfe", b""])
def test_a_file_that_cannot_be_understood_has_no_last_success(folder, once, content):
    target = folder / "risk.prom"
    target.write_bytes(content)
    break_log(folder)
    assert once("--textfile", target)[0] == 1
    assert not read(target).series(SUCCESS)


def test_a_textfile_that_cannot_be_written(folder, once):
    code, out, err = once("--textfile", "none/risk.prom")
    assert (code, out) == (2, "")
    assert err == (
        "none/risk.prom: expected a path that can be written, got No such file or directory. "
        "Create the folder, or give another --textfile.\n"
    )
    (folder / "taken.prom").mkdir()
    before = set(folder.iterdir())
    assert once("--textfile", "taken.prom")[0] == 2
    assert set(folder.iterdir()) == before, "no draft is left behind"
    code, _, err = once("--textfile", "risk.txt")
    assert code == 2
    assert err.startswith("--textfile: expected a path that ends in .prom, got 'risk.txt'.")


def test_a_bad_configuration_leaves_the_file_alone(folder, once):
    (folder / "risk.prom").write_text("old")
    (folder / "ml-exporter.yaml").write_text("models: 1\n")
    assert once("--textfile", "risk.prom")[0] == 2
    assert (folder / "risk.prom").read_text() == "old"


# a Pushgateway


@contextmanager
def running(version, folder, flags=(), ready="/-/ready"):
    with servers.pushgateway(tools(version), folder, flags, ready) as server:
        yield server


def groups(server):
    return {
        json.dumps(group["labels"], sort_keys=True): group
        for group in json.loads(fetch(f"{server.url}/api/v1/metrics"))["data"]
    }


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_a_push_replaces_its_group_and_no_other(folder, once, version, tmp_path_factory):
    with running(version, tmp_path_factory.mktemp("push")) as server:
        push = ("--pushgateway", server.url + "/", "--pushgateway.grouping", "stage=nightly")
        assert once("--pushgateway", server.url, "--pushgateway.job", "other")[0] == 0
        assert once(*push) == (0, "", "")
        found = Metrics(fetch(f"{server.url}/metrics").decode())
        own = {"job": "ml_exporter", "stage": "nightly", "instance": ""}
        assert found("ml_window_rows", model="risk", window="1d", **own) == 6000
        success = found(SUCCESS, model="risk", **own)
        assert success == found(LAST_RUN, model="risk", **own)
        assert set(groups(server)) == {'{"job": "ml_exporter", "stage": "nightly"}', '{"job": "other"}'}

        break_log(folder)
        assert once(*push)[0] == 1
        found = Metrics(fetch(f"{server.url}/metrics").decode())
        assert found(SUCCESS, model="risk", **own) == success
        assert found(LAST_RUN, model="risk", **own) > success
        assert found("ml_exporter_batch_fit", model="risk", **own) == 0
        jobs = {dict(labels)["job"] for labels in found.series("ml_feature_psi")}
        assert jobs == {"other"}, "gauges of an earlier run of this group must not look fresh"
        assert not server.warnings()


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_values_that_a_path_cannot_hold(folder, once, version, tmp_path_factory):
    odd = {"a": "x/y z", "b": "", "c": "é?#%", "d": ".."}
    pairs = [argument for name, value in odd.items() for argument in ("--pushgateway.grouping", f"{name}={value}")]
    with running(version, tmp_path_factory.mktemp("push")) as server:
        push = ("--pushgateway", server.url, "--pushgateway.job", "ni/ght", *pairs)
        assert once(*push)[0] == 0
        expected = json.dumps({"job": "ni/ght", **odd}, sort_keys=True)
        assert set(groups(server)) == {expected}
        success = pushgateway.group(server.url, "ni/ght", pairs[1::2], pushgateway.Client()).values_by_model(SUCCESS)
        break_log(folder)
        assert once(*push)[0] == 1
        assert set(groups(server)) == {expected}
        found = Metrics(fetch(f"{server.url}/metrics").decode())
        assert [value for (name, _), value in found.values.items() if name == SUCCESS] == list(success.values())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the files of a certificate for 127.0.0.1 and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = folder / "cert.pem", folder / "key.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=push -out {names[0]} -keyout {names[1]}"
    subprocess.run([*shlex.split(command), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return names


@pytest.mark.parametrize("version", ["floor", "latest"])
def test_tls_and_a_password(folder, once, version, certificate, tmp_path_factory):
    place = tmp_path_factory.mktemp("push")
    web = {
        "tls_server_config": {"cert_file": str(certificate[0]), "key_file": str(certificate[1])},
        "basic_auth_users": {"ml": bcrypt.hashpw(b"s:e", bcrypt.gensalt(4)).decode()},
    }
    (place / "web.yml").write_text(yaml.safe_dump(web))
    (place / "auth").write_text("ml:s:e\n")
    (place / "wrong").write_text("ml:x\n")

    port = servers.free_port()
    flags = ["--persistence.file=", f"--web.config.file={place / 'web.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", tools(version) / "pushgateway", *flags], stdout=log, stderr=log
        )
    server = servers.Server("pushgateway", f"https://127.0.0.1:{port}", place / "log", process)
    push = ("--pushgateway", server.url)
    trusted = ("--pushgateway.ca-file", certificate[0])
    try:
        servers.until(lambda: servers.listens(process.pid, port), 30, "the Pushgateway to listen")
        code, _, err = once(*push, *trusted)
        assert code == 2
        assert err.startswith(f"--pushgateway {server.url}: expected an answer of 200, got 401 Unauthorized")
        assert err.endswith("Give a file with user:password as --pushgateway.auth-file.\n")
        assert once(*push, *trusted, "--pushgateway.auth-file", place / "wrong")[0] == 2
        code, _, err = once(*push, "--pushgateway.auth-file", place / "auth")
        assert code == 2
        assert "certificate verify failed" in err
        assert once(*push, *trusted, "--pushgateway.auth-file", place / "auth") == (0, "", "")
        break_log(folder)
        assert once(*push, *trusted, "--pushgateway.auth-file", place / "auth")[0] == 1
        client = pushgateway.Client(place / "auth", certificate[0])
        known = pushgateway.group(server.url, "ml_exporter", (), client).values_by_model(SUCCESS)
        assert known["risk"] > START
    finally:
        server.stop()


def test_nobody_answers(folder, once):
    url = f"http://127.0.0.1:{servers.free_port()}"
    code, out, err = once("--pushgateway", url)
    assert (code, out) == (2, "")
    assert err.startswith(f"--pushgateway {url}: expected a Pushgateway that answers, got ")
    assert err.endswith("Connection refused. Check the address and that it runs.\n")


def test_an_answer_that_does_not_come(folder, once):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code, _, err = once("--pushgateway", url, "--pushgateway.timeout", "0.2")
    assert code == 2
    assert err.startswith(f"--pushgateway {url}: expected a Pushgateway that answers, got timed out. Check the address")


def test_another_server_is_not_mistaken_for_one(folder, once, tmp_path_factory):
    serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
    place = tmp_path_factory.mktemp("files")
    (place / "api/v1/metrics").mkdir(parents=True)
    with serving("files", lambda port: [*serve, "--directory", place, str(port)], place, ready="/") as server:
        code, _, err = once("--pushgateway", server.url)
        assert code == 2
        assert f"--pushgateway {server.url}: expected an answer of 200, got 501 Unsupported method ('PUT')" in err
        break_log(folder)
        code, _, err = once("--pushgateway", server.url)
        assert code == 2
        assert f"--pushgateway {server.url}: expected the groups of a Pushgateway, got another answer." in err
        assert "unfit: models.risk: " in err, "what was found is said all the same"


def test_a_wrong_path_says_so(folder, once, tmp_path_factory):
    with running("latest", tmp_path_factory.mktemp("push")) as server:
        code, _, err = once("--pushgateway", f"{server.url}/elsewhere")
    assert code == 2
    assert "expected a Pushgateway, got an answer that there is no such path." in err


def test_metrics_that_do_not_fit_say_what_the_gateway_said(folder, once, tmp_path_factory):
    with running("latest", tmp_path_factory.mktemp("push")) as server:
        other = b"# TYPE ml_window_rows counter\nml_window_rows 1\n"
        client = pushgateway.Client()
        pushgateway.group(server.url, "other", (), client).replace(other)
        code, _, err = once("--pushgateway", server.url)
    assert code == 2
    assert "expected an answer of 200, got 400 Bad Request: pushed metrics are invalid or inconsistent" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("push:9091", "j", ()), "--pushgateway: expected an http or https address, got 'push:9091'."),
        (("file:///etc/passwd", "j", ()), "--pushgateway: expected an http or https address"),
        (
            ("http://a:geheim@push:9091", "j", ()),
            "--pushgateway: expected an address without a password, got http://***.",
        ),
        (("http://push", "", ()), "--pushgateway.job: expected a name, got ''."),
        (("http://push", "j", ("stage",)), "--pushgateway.grouping: expected name=value, got 'stage'."),
        (("http://push", "j", ("1=x",)), "--pushgateway.grouping: expected name=value, got '1=x'."),
        (("http://push", "j", ("__x=y",)), "--pushgateway.grouping: expected name=value, got '__x=y'."),
        (("http://push", "j", ("job=x",)), "--pushgateway.grouping: expected a label that the metrics do not have"),
        (("http://push", "j", ("model=x",)), "--pushgateway.grouping: expected a label that the metrics do not have"),
        (("http://push", "j", ("a=x", "a=y")), "--pushgateway.grouping: expected a label that the metrics do not have"),
    ],
)
def test_a_group_that_cannot_be(arguments, message):
    with pytest.raises(ProblemsError) as caught:
        pushgateway.group(*arguments, pushgateway.Client())
    assert str(caught.value).startswith(message)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"user", b"user:a\nb:c", b"\xff:x"])
def test_a_password_file_that_cannot_be_used(folder, once, content):
    if content is not None:
        (folder / "auth").write_bytes(content)
    code, _, err = once("--pushgateway", "http://127.0.0.1:1", "--pushgateway.auth-file", "auth")
    assert code == 2
    assert err.startswith("auth: expected ")


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificates_that_cannot_be_used(folder, once, content):
    if content is not None:
        (folder / "ca.pem").write_bytes(content)
    code, _, err = once("--pushgateway", "https://127.0.0.1:1", "--pushgateway.ca-file", "ca.pem")
    assert code == 2
    assert err.startswith("ca.pem: expected certificates in PEM, got ")


# the page


def fences(kind):
    return [token.content for token in MarkdownIt().parse(BATCH_PAGE.read_text()) if token.info == kind]


def run_documented(command, folder, address):
    """Runs a documented command line in the folder, with our addresses and folders in place of the page's."""
    for shown, own in (
        ("http://pushgateway:9091", address),
        ("/var/lib/node_exporter/textfile_collector", str(folder)),
        ("/etc/pushgateway/auth", str(folder / "auth")),
        ("/srv/scoring", str(folder)),
        ("ml-exporter once", f"{sys.executable} -m ml_exporter once"),
    ):
        command = command.replace(shown, own)
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


def documented():
    """Every command of the page: in consoles, in the crontab and in the manifest."""
    for block in fences("console"):
        yield from (line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ "))
    for block in fences("crontab"):
        yield from (re.sub(r"^(\S+ ){5}\S+ +", "", line) for line in block.splitlines() if line)
    for block in fences("yaml"):
        document = yaml.safe_load(block)
        if document.get("kind") == "CronJob":
            for container in document["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]:
                yield shlex.join(["ml-exporter", *container["args"]])


def test_the_documented_commands_work(folder, tmp_path_factory):
    (folder / "auth").write_text("ml:secret\n")
    commands = list(documented())
    assert len(commands) >= 4
    assert sum("--pushgateway" in command for command in commands) >= 1
    assert sum("--textfile" in command for command in commands) >= 1
    with running("latest", tmp_path_factory.mktemp("push")) as server:
        for command in commands:
            done = run_documented(command, folder, server.url)
            assert (done.returncode, done.stderr) == (0, ""), command
        assert groups(server)
    assert list(folder.glob("*.prom"))
    break_log(folder)
    with running("latest", tmp_path_factory.mktemp("push")) as server:
        for command in commands:
            assert run_documented(command, folder, server.url).returncode == 1, command


def test_the_page_names_every_metric_and_limit():
    text = BATCH_PAGE.read_text()
    for name in BY_NAME:
        assert not name.startswith("ml_exporter_batch_") or f"`{name}" in text, name
    for number in (fitness.PSI_FLOOR, fitness.NULL_FLOOR, fitness.DRIFT_ROWS, fitness.NULL_ROWS):
        assert f"{number:g}" in text
