"""Run Prometheus, Alertmanager, Pushgateway and a webhook receiver on loopback: for the live tests and the demo.

    with WebhookReceiver() as webhook, \\
         alertmanager(tools("floor"), config_for(webhook.url), folder) as am, \\
         prometheus(tools("floor"), config_for(am.server.url), folder, [rules]) as prom:
        prom.query("up")
        webhook.wait_for(lambda notification: notification.payload["status"] == "firing", 30)

A server listens on a free port of 127.0.0.1 and is ready when its `with` body starts. It is stopped by pid
when the body ends, however it ends, and killed by the kernel when the process that started it dies.
"""

import json
import os
import random
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml

TOOLS = Path(os.environ.get("ML_EXPORTER_TOOLS", Path(__file__).resolve().parents[2] / ".tools"))
"""Where the binaries were fetched to; a test names another folder to be without them."""
STOP_SECONDS = 10.0
PATIENCE = 4
"""How many times slower than a quiet machine one may be on which something is waited for."""
PORTS = range(20_000, 32_768)
"""Below those which the kernel gives to connections and to servers that ask for any."""
_ours: list[socket.socket] = []
"""What keeps other processes from the ports that `free_port` returned to this one."""
Found = TypeVar("Found")
# Never through a proxy of the environment: everything here is on loopback.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class ServerError(Exception):
    """A server could not be started, or did not do what was waited for."""


def tools(name: str) -> Path:
    """Return the folder with the binaries of `floor` or `latest`. Fails when they were not fetched."""
    folder = TOOLS / name / "bin"
    if not (folder / "prometheus").exists():
        raise ServerError(f"{folder}: expected prometheus and alertmanager, got nothing. Run `make tools`.")
    return folder


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free, and that no other caller is given while this process lives."""
    for port in random.sample(PORTS, len(PORTS)):
        mark = socket.socket(socket.AF_UNIX)
        with suppress(OSError), socket.socket() as probe:
            mark.bind(f"\0ml-exporter-port-{port}")  # a name without a file: the kernel forgets it with the process
            probe.bind(("127.0.0.1", port))
            _ours.append(mark)
            return port
        mark.close()
    raise ServerError("expected a free port of 127.0.0.1, got none.")


def until(check: Callable[[], Found], seconds: float, what: str) -> Found:
    """Call `check` ten times a second until it returns something true, and return that.

    `seconds` is when it would be late on a quiet machine: it is given up after PATIENCE times as many.
    """
    deadline = time.monotonic() + seconds * PATIENCE
    while not (found := check()):
        if time.monotonic() > deadline:
            raise ServerError(f"expected {what} within {seconds:g} s, got {found!r}.")
        time.sleep(0.1)
    return found


def fetch(url: str, body: Any = None) -> bytes:
    """GET a URL, or POST a body as JSON. Raises URLError, HTTPError or TimeoutError (all are OSError)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with _open(request, timeout=60) as response:
        content: bytes = response.read()
        return content


@dataclass(frozen=True)
class Server:
    """A running child process that serves HTTP at `url` and writes to the file `log`."""

    name: str
    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def warnings(self) -> list[str]:
        """Return the lines that Prometheus or Alertmanager logged as warning or error."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if re.search(r"\blevel=(warn|error)", line, re.IGNORECASE)]

    def stop(self) -> None:
        """Ask the process to end, insist after STOP_SECONDS, and wait until it is gone."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def serving(
    name: str, command: Callable[[int], Sequence[str | Path]], folder: Path, ready: str = "/-/ready"
) -> Iterator[Server]:
    """Run `command(port)` until the body ends. `ready` is the path that answers 200 when the server is ready.

    Without a path, a server that listens is ready: one that speaks TLS, for example.
    The log goes to `folder`/`name`.log. A port that somebody took meanwhile is replaced by another, twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = _ready(name, command, folder / f"{name}.log", ready)
    try:
        yield server
    finally:
        server.stop()


class _PortTakenError(ServerError):
    """The free port was taken before the server could listen on it."""


def _ready(name: str, command: Callable[[int], Sequence[str | Path]], log: Path, ready: str) -> Server:
    attempts = 3
    while True:
        server = _start(name, command, log)
        try:
            until(lambda server=server: _answers(server, ready), 60, f"{name} to be ready")  # type: ignore[misc]
            return server
        except BaseException as error:  # Ctrl-C must not leave a process behind either
            server.stop()
            attempts -= 1
            if not attempts or not isinstance(error, _PortTakenError):
                raise


def _start(name: str, command: Callable[[int], Sequence[str | Path]], log: Path) -> Server:
    port = free_port()
    # setpriv (util-linux) makes the kernel kill the process when the thread that started it dies.
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Server(name, f"http://127.0.0.1:{port}", log, process)


def _answers(server: Server, ready: str) -> bool:
    if server.process.poll() is not None:
        kind = _PortTakenError if "address already in use" in server.log_tail().lower() else ServerError
        raise kind(f"{server.name} ended with {server.process.returncode}. Its log:\n{server.log_tail()}")
    with suppress(OSError):
        if listens(server.process.pid, int(server.url.rsplit(":", 1)[1])):
            if ready:
                fetch(server.url + ready)
            return True
    return False


def listens(pid: int, port: int) -> bool:
    """Tell whether it is this process that listens on the port, not one that took it meanwhile."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in sockets if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    found = set()
    for open_file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it was closed meanwhile
            found.add(str(open_file.readlink()))
    return not listening.isdisjoint(found)


@dataclass(frozen=True)
class Sample:
    """One series of an instant query."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    server: Server

    def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression that gives an instant vector, now."""
        result = self._get("query?" + urllib.parse.urlencode({"query": expression}))["result"]
        return [Sample(series["metric"], float(series["value"][1])) for series in result]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the pending and firing alerts: `labels`, `annotations`, `state`, `activeAt`, `value`."""
        alerts: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return alerts

    def targets(self) -> list[dict[str, Any]]:
        """Return the scrape targets: `labels`, `health`, `lastError`."""
        targets: list[dict[str, Any]] = self._get("targets?state=active")["activeTargets"]
        return targets

    def rules(self) -> list[dict[str, Any]]:
        """Return every rule: `name`, `type`, `health`, `lastError` where there is one."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def reload(self) -> None:
        """Read the configuration and the rules again."""
        fetch(f"{self.server.url}/-/reload", {})

    def _get(self, path: str) -> Any:
        return json.loads(fetch(f"{self.server.url}/api/v1/{path}"))["data"]


@contextmanager
def prometheus(
    binaries: Path,
    config: dict[str, Any],
    folder: Path,
    rules: Sequence[Path] = (),
    flags: Sequence[str] = (),
) -> Iterator[Prometheus]:
    """Run Prometheus. `rules` are added to the configuration; `flags` to the command line.

    It needs up to 5 s to find its Alertmanager, and drops what it sends before. So that alerts which fire at
    once are not late by the default of a minute, they are sent again after 5 s.
    """
    folder = folder / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    rule_files = [*config.get("rule_files", []), *(str(path.resolve()) for path in rules)]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config | {"rule_files": rule_files}))

    def command(port: int) -> list[str | Path]:
        return [
            binaries / "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-lifecycle",
            "--rules.alert.resend-delay=5s",
            *flags,
        ]

    with serving("prometheus", command, folder) as server:
        yield Prometheus(server)


@dataclass(frozen=True)
class Alertmanager:
    """A running Alertmanager."""

    server: Server

    def alerts(self) -> list[dict[str, Any]]:
        """Return the active alerts, silenced and inhibited ones too: `labels`, `status`, `receivers`."""
        alerts: list[dict[str, Any]] = json.loads(fetch(f"{self.server.url}/api/v2/alerts"))
        return alerts

    def post(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Send alerts as Prometheus would: `labels`, `annotations`, `startsAt`, `endsAt` (RFC 3339)."""
        fetch(f"{self.server.url}/api/v2/alerts", alerts)


@contextmanager
def alertmanager(
    binaries: Path, config: str | dict[str, Any], folder: Path, flags: Sequence[str] = ()
) -> Iterator[Alertmanager]:
    """Run Alertmanager, without its cluster. `config` is YAML, or what becomes YAML."""
    folder = folder / "alertmanager"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(config if isinstance(config, str) else yaml.safe_dump(config))

    def command(port: int) -> list[str | Path]:
        return [
            binaries / "alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            *flags,
        ]

    with serving("alertmanager", command, folder) as server:
        yield Alertmanager(server)


@contextmanager
def pushgateway(binaries: Path, folder: Path, flags: Sequence[str] = (), ready: str = "/-/ready") -> Iterator[Server]:
    """Run Pushgateway, which keeps its groups in memory alone."""

    def command(port: int) -> list[str | Path]:
        return [binaries / "pushgateway", f"--web.listen-address=127.0.0.1:{port}", "--persistence.file=", *flags]

    with serving("pushgateway", command, folder / "pushgateway", ready) as server:
        yield server


@dataclass(frozen=True)
class Notification:
    """What Alertmanager delivered: when (Unix seconds), to which path, and its JSON."""

    time: float
    path: str
    payload: dict[str, Any]


class WebhookReceiver:
    """An HTTP server that keeps every notification posted to it, whatever the path."""

    def __init__(self) -> None:
        self._notifications: list[Notification] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver._add(Notification(time.time(), self.path, payload))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: the notifications are the log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def notifications(self) -> list[Notification]:
        """Return what has arrived so far, oldest first."""
        with self._arrived:
            return list(self._notifications)

    def wait_for(self, wanted: Callable[[Notification], bool], seconds: float) -> Notification:
        """Return the oldest notification that `wanted` accepts, waiting for it as long as `until` would."""

        def first() -> Notification | None:
            return next(filter(wanted, self._notifications), None)

        with self._arrived:
            found = self._arrived.wait_for(first, seconds * PATIENCE)
            if found is None:
                got = [(n.path, n.payload.get("status")) for n in self._notifications]
                raise ServerError(f"expected a notification within {seconds:g} s, got {got}.")
            return found

    def _add(self, notification: Notification) -> None:
        with self._arrived:
            self._notifications.append(notification)
            self._arrived.notify_all()
