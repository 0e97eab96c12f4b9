"""Scrapes of 75,000 samples over TLS with a password, alone and under attack. Prints `name value unit` lines.

`kept` scrapes go through one connection, as those of Prometheus do, `new` ones shake hands each time. The attackers
(tests/harness/attacks.py) are one process and come from many loopback addresses, all attacks at once. They use the same
cores as the exporter, which attackers do not, so they are niced. `computing` is with a thread that renders samples all
the time, as `serve` does for a moment in each interval. On a busy machine these times are those of its queue; `busy` is
not: the CPU time that the server's thread spends on others while a task of its loop waits for 2 ms, which is what
a scrape waits for it.
"""

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from starlette.types import ASGIApp, Receive, Scope, Send

HARNESS = Path(__file__).resolve().parents[1] / "tests" / "harness"
sys.path.insert(0, str(HARNESS))

from certificates import Certificates, hashed

from ml_exporter.catalogue import Sample
from ml_exporter.exposition import Renderer, compress
from ml_exporter.serve import SWITCH_SECONDS
from ml_exporter.web import Address, Lifecycle, Reloads, Server, Snapshot, WebConfig, create_app, gate, site

SAMPLES = 75_000
SCRAPES = 150
AUTHORIZATION = "Basic " + b64encode(b"prometheus:secret").decode()
SCRAPER = """
import http.client, ssl, sys, time
port, authority, authorization, kept, count = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
connection, times = None, []
for _ in range(int(count)):
    begin = time.perf_counter()
    connection = connection or http.client.HTTPSConnection("localhost", int(port), timeout=30, context=context)
    connection.request("GET", "/metrics", headers={"Authorization": authorization, "Accept-Encoding": "gzip"})
    response = connection.getresponse()
    assert response.status == 200 and response.read()
    times.append(time.perf_counter() - begin)
    if kept == "new":
        connection.close()
        connection = None
    time.sleep(0.02)
times.sort()
print(times[len(times) // 2], times[int(len(times) * 0.99)], times[-1])
"""


def rendered() -> bytes:
    """As many samples as a large installation has."""
    names = [(f"m{number % 20}", f"f{number // 20}", "1d", "reference") for number in range(SAMPLES)]
    return Renderer().render([Sample("ml_feature_psi", labels, 0.1234) for labels in names])


@contextmanager
def computing() -> Iterator[None]:
    """Render in a thread all the time."""
    ended = threading.Event()

    def render() -> None:
        while not ended.is_set():
            rendered()

    thread = threading.Thread(target=render)
    thread.start()
    yield
    ended.set()
    thread.join()


def snapshot() -> Snapshot:
    """What all scrapes get."""
    text = rendered()
    return Snapshot(text, compress(text), time.time(), True, 3600.0, ())


def scrapes(label: str, port: int, authority: Path) -> Iterator[str]:
    """The lines of the report for both kinds of scrapes."""
    for kind in ("kept", "new"):
        arguments = [str(port), str(authority), AUTHORIZATION, kind, str(SCRAPES)]
        found = subprocess.run(
            [sys.executable, "-c", SCRAPER, *arguments], check=True, stdout=subprocess.PIPE, text=True
        )
        for name, value in zip(("p50", "p99", "max"), found.stdout.split(), strict=True):
            yield f"scrape_{label}_{kind}_{name} {float(value) * 1e3:.1f} milliseconds"


class Rounds:
    """How long the loop of a server is busy at a time, from the first request on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self.seconds: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does."""
        self._task = self._task or asyncio.get_running_loop().create_task(self._beat())
        await self._app(scope, receive, send)

    async def _beat(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.002)
            self.seconds.append(time.thread_time() - before)

    def report(self, label: str) -> Iterator[str]:
        """The lines of the report since the last."""
        found, self.seconds = sorted(self.seconds) or [0.0], []
        for name, value in [
            ("p50", found[len(found) // 2]),
            ("p99", found[int(len(found) * 0.99)]),
            ("max", found[-1]),
        ]:
            yield f"busy_{label}_{name} {value * 1e3:.1f} milliseconds"


def main() -> None:
    """Print the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates = Certificates(folder)
        document = {
            "tls_server_config": {"cert_file": "server.pem", "key_file": "server.key"},
            "basic_auth_users": {"prometheus": hashed("secret", 10)},
        }
        (folder / "web.yml").write_text(yaml.safe_dump(document))
        config, shown = WebConfig(folder / "web.yml"), snapshot()
        app = create_app(lambda: shown, time.time, "bench")
        app = gate(app, site(None, None), Lifecycle(False, Reloads().ask, lambda: None), lambda: config.current)
        app = rounds = Rounds(app)
        server = Server(app, [Address("127.0.0.1", 0)], tls=lambda: config.current.tls)
        server.start()
        gc.freeze()  # as `serve` does once it has published
        sys.setswitchinterval(SWITCH_SECONDS)  # as `serve` does, too

        def measure(label: str) -> None:
            rounds.report(label)
            print(*scrapes(label, server.port, certificates.ca), *rounds.report(label), sep="\n", flush=True)

        measure("alone")
        with computing():
            measure("computing")
        command = [sys.executable, str(HARNESS / "attacks.py"), str(server.port), str(certificates.ca), AUTHORIZATION]
        command = ["nice", "-n", "5", *command]
        attackers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(3)
        measure("attacked")
        with computing():
            measure("attacked_computing")
        report = json.loads(attackers.communicate("")[0])
        server.stop()
        for attack, count in report["begun"].items():
            print(f"attack_{attack} {count} times")
        assert not report["leaked"]


if __name__ == "__main__":
    main()
