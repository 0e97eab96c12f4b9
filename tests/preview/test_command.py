"""The command: what it writes, what it says, and its exit codes."""

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.previewing.made import panel, target, variable

from ml_exporter import preview
from ml_exporter.errors import ExporterError
from ml_exporter.prometheus import Prometheus, Sample, Server, Span


class Api(BaseHTTPRequestHandler):
    """The API of a Prometheus in which every query has one series, but for `broken`."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        given = dict(urllib.parse.parse_qsl(query))
        self.server.asked.append((path, given))
        status, body = 200, {"status": "success", "data": answer(path, given)}
        if "broken" in given.get("query", ""):
            status, body = 400, {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected <end>"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing."""


def answer(path, given):
    if path.endswith("/values"):
        return ["a", "b"]
    if path == "/api/v1/query_range":
        points = [[float(given["start"]), "1"], [float(given["start"]) + float(given["step"]), "NaN"]]
        return {"resultType": "matrix", "result": [{"metric": {"job": "x"}, "values": points}]}
    if given["query"] == "1":
        return {"resultType": "scalar", "result": [1.5, "1"]}
    return {"resultType": "vector", "result": [{"metric": {"job": "x"}, "value": [1.5, "+Inf"]}]}


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    """Two dashboards, of which one has a query that fails."""
    models = {"list": [variable()]}
    for uid, expression in (("good", 'up{m="$model"}'), ("bad", "broken")):
        document = {"uid": uid, "title": uid, "panels": [panel("timeseries", target(expression))], "templating": models}
        (tmp_path / f"{uid}.json").write_text(json.dumps(document))
    return tmp_path


def test_a_page_is_written(api, folder, shell):
    server, url = api
    out = folder / "page.html"
    given = ["--prometheus.url", url, "--dashboards", folder, "--out", out, "--model", "it's"]
    code, stdout, stderr = shell("preview", *given, "--dashboard", "good", "--from", "now-1h", "--step", "30s")
    assert (code, stdout) == (0, "")
    assert stderr == f"{out}: 1 dashboard, 1 panel, 0 without data, 0 problems\n"
    assert "<svg " in out.read_text()
    asked = [given for path, given in server.asked if path == "/api/v1/query_range"]
    assert [(given["query"], given["step"]) for given in asked] == [('up{m="it\'s"}', "30.000")]
    assert float(asked[0]["end"]) - float(asked[0]["start"]) == 3600


def test_a_query_that_fails_is_told_and_changes_the_exit_code(api, folder, shell):
    out = folder / "page.html"
    given = ["--prometheus.url", api[1], "--dashboards", folder, "--out", out]
    code, _, stderr = shell("preview", *given, "--dashboard", "all")
    assert code == 1
    assert "bad: timeseries: query A: " in stderr
    assert "parse error: unexpected <end>" in stderr
    assert "parse error: unexpected &lt;end&gt;" in out.read_text()
    assert "2 dashboards, 2 panels, 0 without data, 1 problem\n" in stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dashboard", "none"], "expected a dashboard with uid none, got bad, good"),
        (["--dashboard", "good", "--var", "region=x"], "--var: expected one of model, got 'region'"),
        (["--dashboard", "good", "--from", "now", "--to", "now-1h"], "expected an end after the start"),
        (["--dashboard", "good", "--from", "yesterday"], "expected now, now-24h or an instant with zone"),
        (["--dashboard", "good", "--step", "often"], "expected a duration such as 1m, got 'often'"),
        (["--dashboard", "good", "--prometheus.url", "ftp://x"], "expected an address with http or https"),
        (["--dashboard", "good", "--prometheus.url", "http://127.0.0.1:1"], "expected a server that answers"),
    ],
)
def test_what_cannot_be_shown_at_all(options, said, api, folder, shell):
    given = ["--prometheus.url", api[1], "--dashboards", folder, "--out", folder / "page.html", *options]
    code, _, stderr = shell("preview", *given)
    assert code == 2
    assert said in stderr
    assert not (folder / "page.html").exists()


def test_without_matplotlib_it_says_how_to_get_it(api, folder, shell, monkeypatch):
    monkeypatch.setattr(preview, "find_spec", lambda name: None)
    given = ["--prometheus.url", api[1], "--dashboards", folder, "--out", folder / "page.html"]
    code, _, stderr = shell("preview", *given, "--dashboard", "good")
    assert code == 2
    assert stderr == "preview: expected matplotlib, got none. Run pip install 'ml-exporter[report]'.\n"


def test_the_client(api):
    server, url = api
    prometheus = Prometheus(Server(url))
    assert prometheus.query("1") == [Sample({}, 1.0)]
    assert prometheus.query("up", 5.0) == [Sample({"job": "x"}, float("inf"))]
    assert server.asked[-1][1] == {"query": "up", "time": "5.000"}
    (points,) = prometheus.query_range("up", Span(0.0, 60.0), 15.0)
    assert (points.labels, points.times, points.values[0]) == ({"job": "x"}, (0.0, 15.0), 1.0)
    assert prometheus.label_values("a/b", 'up{x="y"}', Span(0.0, 1.0)) == ["a", "b"]
    assert server.asked[-1] == (
        "/api/v1/label/a%2Fb/values",
        {"start": "0.000", "end": "1.000", "match[]": 'up{x="y"}'},
    )
    with pytest.raises(ExporterError, match="expected an answer of 200, got 400 parse error"):
        prometheus.query("broken")
