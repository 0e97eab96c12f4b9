"""The harness leaves no process behind, says why a server failed, and keeps what a webhook received."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import servers
from servers import Server, ServerError, WebhookReceiver, fetch, serving, until

SERVE = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


def http_server(port: int) -> list[str]:
    return [*SERVE, str(port)]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_server_answers_inside_the_body_and_is_gone_after_it(tmp_path):
    with serving("files", http_server, tmp_path, ready="/") as server:
        assert b"Directory listing" in fetch(server.url)
        assert not is_gone(server.process.pid)
    assert is_gone(server.process.pid)


def run_and_fail(folder: Path) -> None:
    with serving("files", http_server, folder, ready="/") as server:
        (folder / "pid").write_text(str(server.process.pid))
        raise KeyboardInterrupt


def test_a_server_is_stopped_when_the_body_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_and_fail(tmp_path)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_server_dies_with_its_parent(tmp_path):
    program = f"""
import os, sys, time
sys.path.insert(0, {str(Path(servers.__file__).parent)!r})
from pathlib import Path
from servers import serving
with serving("files", lambda port: [*{SERVE!r}, str(port)], Path({str(tmp_path)!r}), ready="/") as server:
    print(server.process.pid, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    until(lambda: is_gone(child), 10, "the child to die")


def test_a_server_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    ignore = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(1, flush=True); time.sleep(600)"
    monkeypatch.setattr(servers, "STOP_SECONDS", 0.1)
    with subprocess.Popen([sys.executable, "-c", ignore], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        Server("stubborn", "", tmp_path, process).stop()
        assert process.returncode == -signal.SIGKILL


def test_a_server_that_ends_at_once_shows_its_log(tmp_path):
    command = [sys.executable, "-c", "import sys; sys.exit('no such option')"]
    with (
        pytest.raises(ServerError, match=r"(?s)broken ended with 1.*no such option"),
        serving("broken", lambda _: command, tmp_path),
    ):
        pass


def test_a_port_that_was_taken_is_replaced(tmp_path, monkeypatch):
    with serving("first", http_server, tmp_path, ready="/") as first:
        taken, free = int(first.url.rsplit(":", 1)[1]), servers.free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        with serving("second", http_server, tmp_path, ready="/") as second:
            assert second.url == f"http://127.0.0.1:{free}"


def test_tools_that_were_not_fetched_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "TOOLS", tmp_path)
    with pytest.raises(ServerError, match="Run `make tools`"):
        servers.tools("floor")


def test_until_names_what_did_not_happen():
    with pytest.raises(ServerError, match=r"expected the moon within 0 s, got \[\]"):
        until(list, 0, "the moon")


def test_a_webhook_keeps_notifications_in_order():
    with WebhookReceiver() as webhook:
        sender = threading.Thread(target=lambda: [fetch(f"{webhook.url}/{n}", {"n": n}) for n in range(3)])
        sender.start()
        assert webhook.wait_for(lambda notification: notification.payload["n"] == 2, 10).path == "/2"
        sender.join()
        assert [notification.path for notification in webhook.notifications] == ["/0", "/1", "/2"]
        with pytest.raises(ServerError, match="expected a notification within 0 s"):
            webhook.wait_for(lambda notification: notification.path == "/3", 0)
