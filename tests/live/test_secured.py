"""A real Prometheus scrapes over TLS with a client certificate and a password, and what changes needs no restart."""

import sys
import time

import pytest
import trustme
import yaml
from certificates import Certificates, hashed
from servers import prometheus, serving, tools, until
from tests.serve import service

SERVE = [sys.executable, "-m", "ml_exporter", "serve"]


PASSWORDS = {"prometheus": "secret", "later": "renewed"}


def job(name, folder, target, client, *, user="prometheus", password=None, authority="ca.pem"):
    """Make a scrape job with the certificate of a client, or without one."""
    tls = {"ca_file": str(folder / authority)}
    if client:
        tls |= {"cert_file": str(client[0]), "key_file": str(client[1])}
    return {
        "job_name": name,
        "scheme": "https",
        "metrics_path": "/ml/metrics",
        "basic_auth": {"username": user, "password": password or PASSWORDS[user]},
        "tls_config": tls,
        "static_configs": [{"targets": [target]}],
    }


def write(path, *users):
    """Write a web configuration that lets some users in, with the certificate of one name."""
    tls = {"cert_file": "server.pem", "key_file": "server.key", "client_ca_file": "ca.pem"}
    tls |= {"client_auth_type": "RequireAndVerifyClientCert", "client_allowed_sans": ["prometheus.example"]}
    hashes = {user: hashed(PASSWORDS[user]) for user in users}
    replace(path, yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": hashes}))


def replace(path, text):
    """Put a text in place of a file at once: half of it would be a mistake that is told."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


@pytest.fixture
def certificates(tmp_path):
    """Return certificates, and those of another authority as other-ca.pem."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other-ca.pem"))
    return Certificates(tmp_path)


@pytest.fixture
def exporter(certificates, tmp_path):
    """Serve 50 rows behind certificates and passwords."""
    path = service.prepare(tmp_path, service.make_artefact(tmp_path), "risk")
    service.append(tmp_path / "risk.jsonl", service.lines(map(service.prediction, range(50), [time.time() - 30] * 50)))
    write(tmp_path / "web.yml", "prometheus")

    def command(port):
        options = ["--web.config.file", tmp_path / "web.yml", "--web.route-prefix", "/ml"]
        return [*SERVE, "--config", path, "--web.listen-address", f"127.0.0.1:{port}", *options]

    with serving("exporter", command, tmp_path, ready="") as server:
        yield server


@pytest.fixture(params=["floor", "latest"])
def value(request, exporter, certificates, tmp_path):
    """Run Prometheus, and return a function that evaluates a query for one job."""
    target = exporter.url.removeprefix("http://")
    known, stranger = (certificates.client(name) for name in ("prometheus.example", "other.example"))
    jobs = [
        job("right", tmp_path, target, known),
        job("later", tmp_path, target, known, user="later"),
        job("wrong_password", tmp_path, target, known, password="guess"),
        job("no_certificate", tmp_path, target, None),
        job("wrong_name", tmp_path, target, stranger),
        job("untrusted", tmp_path, target, known, authority="other-ca.pem"),
    ]
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
    with prometheus(tools(request.param), config, tmp_path) as prom:

        def evaluate(query, name):
            if query == "error":
                return next(target["lastError"] for target in prom.targets() if target["labels"]["job"] == name)
            return [sample.value for sample in prom.query(f'{query}{{job="{name}",model=~"risk|"}}')]

        yield evaluate


def test_only_a_prometheus_with_certificate_and_password_scrapes(value, exporter, certificates, tmp_path):
    until(lambda: 50.0 in value("ml_window_rows", "right"), 60, "rows")
    for name in ("later", "wrong_password"):
        until(lambda name=name: "401 Unauthorized" in value("error", name), 60, f"{name} to be refused")
    until(lambda: "certificate" in value("error", "untrusted"), 60, "untrusted to refuse")
    for name in ("no_certificate", "wrong_name"):
        until(lambda name=name: value("error", name), 60, f"{name} to be refused")
    for name in ("later", "wrong_password", "no_certificate", "wrong_name", "untrusted"):
        until(lambda name=name: value("up", name) == [0.0], 60, f"{name} to have failed")
    until(lambda: value("error", "right") == "", 60, "who may to be let in")

    # A renewed certificate and a new user, and then only the new one, without a restart.
    certificates.write_server()
    write(tmp_path / "web.yml", "prometheus", "later")
    until(lambda: value("up", "later") == [1.0], 60, "the new user to be let in")
    until(lambda: value("up", "right") == [1.0], 60, "the old user to be let in still")
    write(tmp_path / "web.yml", "later")
    until(lambda: value("up", "right") == [0.0], 60, "the old user to be refused")

    # A mistake shows, and shuts nobody out.
    reloaded = "ml_exporter_web_config_last_reload_successful"
    replace(tmp_path / "web.yml", "basic_auth_users: {")
    until(lambda: value(reloaded, "later") == [0.0], 60, "the mistake to show")
    write(tmp_path / "web.yml", "later")
    until(lambda: value(reloaded, "later") == [1.0], 60, "it to be mended")
    until(lambda: value("up", "later") == [1.0], 60, "the new user to be let in still")
    log = exporter.log.read_text()
    assert log.count("level=ERROR") == 1
    assert "web configuration refused: web.yml line 1: expected a YAML document" in log
    assert not any(password in log for password in PASSWORDS.values())
    assert "Traceback" not in log
