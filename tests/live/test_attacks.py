"""Everything in tests/harness/attacks.py at once, against a serving exporter: scrapes are answered, and rows counted.

How long a scrape takes is measured by bench/attacks.py; no test asserts a time.
"""

import asyncio
import http.client
import json
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import attacks
import pytest
import yaml
from certificates import Certificates, hashed
from servers import serving, until
from tests.serve import service

SECONDS = 8
VERSION = {"model": "risk", "version": "v1"}
AUTHORIZATION = "Basic " + b64encode(b"prometheus:secret").decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of the exporter, and of its certificates."""
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="module")
def exporter(folder):
    """Serve over TLS with a password; the log has no rows yet."""
    path = service.prepare(folder, service.make_artefact(folder), "risk")
    Certificates(folder)
    document = {
        "tls_server_config": {"cert_file": "server.pem", "key_file": "server.key"},
        "basic_auth_users": {"prometheus": hashed("secret", 10)},
    }
    (folder / "web.yml").write_text(yaml.safe_dump(document))

    def command(port):
        options = ["--web.listen-address", f"127.0.0.1:{port}", "--web.config.file", folder / "web.yml"]
        return [*service.COMMAND, "--config", path, "--log.level", "info", *options]

    with serving("exporter", command, folder, ready="") as server:
        yield server


class Scraper:
    """Scrapes as Prometheus does, through one connection, or through a new one each time."""

    def __init__(self, exporter, authority):
        self._port = int(exporter.url.rpartition(":")[2])
        self._context = ssl.create_default_context(cafile=str(authority))
        self._kept = None
        self.lost = 0

    def kept(self):
        """Scrape through the same connection, as long as that lives."""
        for _ in range(3):
            self._kept = self._kept or self._new()
            try:
                return self._scrape(self._kept)
            except (http.client.HTTPException, ConnectionError):
                self._kept, self.lost = None, self.lost + 1
        raise AssertionError("three connections were lost one after the other")

    def new(self):
        """Scrape through a connection of its own."""
        with closing(self._new()) as connection:
            return self._scrape(connection)

    def close(self):
        """Close the connection that is kept."""
        if self._kept:
            self._kept.close()

    def _new(self):
        return http.client.HTTPSConnection("localhost", self._port, timeout=120, context=self._context)

    def _scrape(self, connection):
        connection.request("GET", "/metrics", headers={"Authorization": AUTHORIZATION})
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, service.Metrics(text) if answer.status == 200 else text


def open_files(server):
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def test_scrapes_are_answered_and_rows_counted_under_all_attacks_at_once(exporter, folder):
    with closing(Scraper(exporter, folder / "ca.pem")) as scraper:
        attacked(exporter, folder, scraper)


def attacked(exporter, folder, scraper):
    until(lambda: scraper.kept()[0] == 200, 30, "a first scrape")
    files, port = open_files(exporter), exporter.url.rpartition(":")[2]
    command = [sys.executable, attacks.__file__, port, str(folder / "ca.pem"), AUTHORIZATION]
    attackers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: open_files(exporter) > files + 100, 30, "the attack")
        service.append(folder / "risk.jsonl", service.lines(map(service.prediction, range(500), [time.time()] * 500)))
        answers, most, end = [], 0, time.monotonic() + SECONDS
        while time.monotonic() < end or answers[-1][1]("ml_predictions_total", **VERSION) != 500:
            assert time.monotonic() < end + 240, "expected 500 rows to be counted"
            answers += [scraper.kept(), scraper.new()]
            most = max(most, open_files(exporter))
    finally:
        report = json.loads(attackers.communicate("", timeout=240)[0])
    assert [status for status, _ in answers] == [200] * len(answers)
    assert answers
    assert report["leaked"] == []
    assert set(report["begun"]) == set(attacks.ATTACKS)
    assert most < files + 256 + 128  # all connections, and those of a few rounds on their way in or out
    assert scraper.lost == 0
    until(lambda: open_files(exporter) < files + 10, 60, "the attackers' connections to be forgotten")
    assert exporter.process.poll() is None
    log = exporter.log.read_text()
    assert len(log.splitlines()) < 5, log
    assert "Traceback" not in log


def test_no_path_leads_out_of_the_pages(exporter, folder):
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    target = attacks.Target(int(exporter.url.rpartition(":")[2]), context, AUTHORIZATION)
    asyncio.run(attacks.traversal(target, "127.0.0.1"))
    assert target.leaked == []
    assert target.asked == len(attacks.PATHS)
