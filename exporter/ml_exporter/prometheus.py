"""The only client of the HTTP APIs of Prometheus and Alertmanager."""

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from ml_exporter.errors import ConfigError, ExporterError, Problem

TIMEOUT_SECONDS = 10.0
_REQUESTS = "alertmanager_notification_requests"
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{.*\})? (?P<value>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Server:
    """Where one of them is reached. `credentials` are user:password."""

    url: str
    credentials: str | None = None
    timeout_seconds: float = TIMEOUT_SECONDS

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """What it answers. Raises ExporterError."""
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        request = urllib.request.Request(self.url.rstrip("/") + path + query)  # noqa: S310 - `server` checks the scheme
        if self.credentials:
            basic = base64.b64encode(self.credentials.encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {basic}")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            said = _said(error.read(4096).decode(errors="replace"))
            raise self.problem("an answer of 200", f"{error.code} {said or error.reason}") from error
        except (OSError, HTTPException) as error:
            got = str(getattr(error, "reason", error) or type(error).__name__)
            raise self.problem("a server that answers", got) from error

    def read(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The same as a JSON value."""
        try:
            return json.loads(self.get(path, parameters))
        except ValueError as error:
            raise self.problem("JSON", "something else") from error

    def problem(self, expected: str, got: str) -> ExporterError:
        """An error about this server."""
        return ExporterError(f"{self.url}: expected {expected}, got {got}. Check the address and that it runs.")


def server(url: str, auth_file: Path | None = None) -> Server:
    """A server by its address, with a file of user:password. Raises ConfigError."""
    if not re.match(r"https?://[^/]", url):
        raise ConfigError([Problem(url, "an address with http or https", "another", "Write http://host:9090")])
    if auth_file is None:
        return Server(url)
    try:
        return Server(url, auth_file.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        got = str(getattr(error, "strerror", None) or "text that is not UTF-8")
        raise ConfigError([Problem(str(auth_file), "a readable file", got, "Give another --auth-file")]) from error


def _said(body: str) -> str:
    """What an answer says of an error: the text in its JSON, or its first line."""
    try:
        found = json.loads(body)
        return str(found["error"])
    except (ValueError, KeyError, TypeError):
        return body[:300].strip().partition("\n")[0]


class Sample(NamedTuple):
    """One series of an instant query."""

    labels: Mapping[str, str]
    value: float


class Points(NamedTuple):
    """One series of a range query: values by Unix second."""

    labels: Mapping[str, str]
    times: tuple[float, ...]
    values: tuple[float, ...]


class Span(NamedTuple):
    """From when to when, in Unix seconds."""

    start: float
    end: float


@dataclass(frozen=True)
class Prometheus:
    """The API of Prometheus."""

    server: Server

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """An instant vector, now or at a Unix second; a scalar is one without labels. Raises ExporterError."""
        when = {} if at is None else {"time": f"{at:.3f}"}
        data = self._data("/api/v1/query", {"query": expression} | when)
        try:
            if data["resultType"] == "scalar":
                return [Sample({}, float(data["result"][1]))]
            return [Sample(item["metric"], float(item["value"][1])) for item in data["result"]]
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise self.server.problem("a vector from the API of Prometheus", "another answer") from error

    def query_range(self, expression: str, span: Span, step: float) -> list[Points]:
        """A value every `step` seconds of a span, a series each. Raises ExporterError."""
        times = {"start": f"{span.start:.3f}", "end": f"{span.end:.3f}", "step": f"{step:.3f}"}
        data = self._data("/api/v1/query_range", {"query": expression} | times)
        try:
            return [
                Points(item["metric"], *zip(*((float(at), float(value)) for at, value in item["values"]), strict=True))
                for item in data["result"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.server.problem("a matrix from the API of Prometheus", "another answer") from error

    def label_values(self, label: str, selector: str, span: Span) -> list[str]:
        """The values of a label in a span, of the series that a selector chooses or of all. Raises ExporterError."""
        times = {"start": f"{span.start:.3f}", "end": f"{span.end:.3f}"}
        chosen = {"match[]": selector} if selector else {}
        data = self._data(f"/api/v1/label/{urllib.parse.quote(label, safe='')}/values", times | chosen)
        return [str(value) for value in data]

    def _data(self, path: str, parameters: Mapping[str, str]) -> Any:
        found = self.server.read(path, parameters)
        if not isinstance(found, dict) or "data" not in found:
            raise self.server.problem("the API of Prometheus", "another answer")
        return found["data"]

    def firing(self, labels: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The first alert with these labels that fires: its labels and annotations. Raises ExporterError."""
        found = self.server.read("/api/v1/alerts")
        try:
            alerts = found["data"]["alerts"]
        except (KeyError, TypeError) as error:
            raise self.server.problem("the API of Prometheus", "another answer") from error
        return next((item for item in alerts if item["state"] == "firing" and fits(item["labels"], labels)), None)


def fits(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether labels have all the wanted ones."""
    return all(labels.get(name) == value for name, value in wanted.items())


class Sent(NamedTuple):
    """Requests of notifications since Alertmanager started, of all receivers: those that succeeded, and that failed."""

    succeeded: float
    failed: float


@dataclass(frozen=True)
class Alertmanager:
    """The API of Alertmanager."""

    server: Server

    def alert(self, labels: Mapping[str, str]) -> Mapping[str, Any] | None:
        """The first alert with these labels, muted or not: `labels`, `status`, `receivers`. Raises ExporterError."""
        found = self.server.read("/api/v2/alerts")
        if not isinstance(found, list):
            raise self.server.problem("the API of Alertmanager", "another answer")
        return next((item for item in found if fits(item["labels"], labels)), None)

    def sent(self) -> Sent:
        """What its own metrics count. Raises ExporterError."""
        text = self.server.get("/metrics").decode(errors="replace")
        sums = dict.fromkeys((_REQUESTS + "_total", _REQUESTS + "_failed_total"), 0.0)
        for found in _SAMPLE.finditer(text):
            if found["name"] in sums:
                sums[found["name"]] += float(found["value"])
        tried, failed = sums.values()
        return Sent(tried - failed, failed)
