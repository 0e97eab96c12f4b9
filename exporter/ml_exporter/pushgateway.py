"""A group of a Pushgateway: read back, and replaced in one request."""

import base64
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ml_exporter.catalogue import METRICS
from ml_exporter.errors import Problem, ProblemsError, shown

TIMEOUT_SECONDS = 10.0
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_PLAIN = re.compile(r"[\w.-]+", re.ASCII)
_MISSING = (404, 405)


@dataclass(frozen=True)
class Client:
    """How to reach it: files with `user:password` and with certificates to trust, and seconds to wait for an answer."""

    auth_file: Path | None = None
    ca_file: Path | None = None
    timeout_seconds: float = TIMEOUT_SECONDS


@dataclass(frozen=True)
class Group:
    """Everything under one grouping key, which is the job and these labels. A run owns it alone."""

    url: str
    job: str
    labels: Mapping[str, str] = field(default_factory=dict)
    client: Client = field(default_factory=Client)

    def values_by_model(self, metric: str) -> Mapping[str, float]:
        """The values of a metric with the label `model` in the group. Raises ProblemsError.

        None where nothing answers under the path: what takes pushes but keeps no groups has nothing to lose.
        """
        content = self._ask("GET", "/api/v1/metrics", None)
        try:
            return self._found(json.loads(content)["data"], metric) if content else {}
        except (ValueError, KeyError, TypeError) as error:
            action = "Give the address of a Pushgateway, with its route prefix"
            raise self._problem("the groups of a Pushgateway", "another answer", action) from error

    def _found(self, groups: Iterable[dict[str, Any]], metric: str) -> Mapping[str, float]:
        key = {"job": self.job, **self.labels}
        for group in groups:
            if group["labels"] == key and metric in group:
                return {item["labels"]["model"]: float(item["value"]) for item in group[metric]["metrics"]}
        return {}

    def replace(self, content: bytes) -> None:
        """Replaces all metrics of the group with an exposition. Raises ProblemsError.

        Asks for something small before, for who refuses a large request may hang up before it can be told why.
        """
        self._ask("GET", "/api/v1/status", None)
        if self._ask("PUT", self.path(), content) is None:
            action = "Give the address of a Pushgateway, with its route prefix"
            raise self._problem("a Pushgateway", "an answer that there is no such path", action)

    def path(self) -> str:
        """The path of the group, below the address.

        >>> Group("http://push:9091", "nightly", {"team": "a/b"}).path()
        '/metrics/job/nightly/team@base64/YS9i'
        """
        pairs = {"job": self.job, **self.labels}.items()
        return "/metrics/" + "/".join(_segment(name, value) for name, value in pairs)

    def _ask(self, method: str, path: str, content: bytes | None) -> bytes | None:
        """What it answers to a request, or None when it says that there is no such path."""
        request = urllib.request.Request(  # noqa: S310 - `group` lets only http and https through
            self.url + path, content, {"Content-Type": _CONTENT_TYPE}, method=method
        )
        for name, value in self._credentials().items():
            request.add_unredirected_header(name, value)
        context = self._trusted()
        try:
            with urllib.request.urlopen(request, timeout=self.client.timeout_seconds, context=context) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            if error.code in _MISSING:
                return None
            said = error.read(300).decode(errors="replace").strip().partition("\n")[0]
            got = f"{error.code} {error.reason}" + (f": {said}" if said else "")
            raise self._problem("an answer of 200", got, _ACTIONS.get(error.code, "See its log")) from error
        except (OSError, HTTPException) as error:
            got = str(getattr(error, "reason", error) or type(error).__name__)
            raise self._problem("a Pushgateway that answers", got, "Check the address and that it runs") from error

    def _credentials(self) -> Mapping[str, str]:
        if self.client.auth_file is None:
            return {}
        where = str(self.client.auth_file)
        try:
            text = self.client.auth_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            got = str(getattr(error, "strerror", None) or "text that is not UTF-8")
            action = "Give another --pushgateway.auth-file"
            raise ProblemsError([Problem(where, "a readable file", got, action)]) from error
        if ":" not in text or "\n" in text:
            action = "Write user:password, and nothing else"
            raise ProblemsError([Problem(where, "one line with a user and a password", "something else", action)])
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    def _trusted(self) -> ssl.SSLContext | None:
        if self.client.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.client.ca_file)
        except OSError as error:
            got, action = str(error.strerror or error), "Give another --pushgateway.ca-file"
            raise ProblemsError([Problem(str(self.client.ca_file), "certificates in PEM", got, action)]) from error

    def _problem(self, expected: str, got: str, action: str) -> ProblemsError:
        return ProblemsError([Problem(f"--pushgateway {self.url}", expected, got, action)])


_ACTIONS = {
    400: "Is another job pushing other metrics of the same names",
    401: "Give a file with user:password as --pushgateway.auth-file",
    403: "Give a file with user:password as --pushgateway.auth-file",
}


def group(url: str, job: str, grouping: Sequence[str], client: Client) -> Group:
    """The group that command line arguments name, `grouping` as name=value. Raises ProblemsError with every problem."""
    problems = []
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        action = "Write for example http://pushgateway:9091"
        problems.append(Problem("--pushgateway", "an http or https address", shown(url), action))
    if parts.username is not None:
        action = "Put user:password into a file for --pushgateway.auth-file"
        problems.append(Problem("--pushgateway", "an address without a password", parts.scheme + "://***", action))
    if not job:
        problems.append(Problem("--pushgateway.job", "a name", "''", "Leave it out for the usual one"))
    taken = {"job"} | {label for metric in METRICS for label in metric.labels}
    labels: dict[str, str] = {}
    for pair in grouping:
        name, equals, value = pair.partition("=")
        if not equals or not _LABEL.fullmatch(name) or name.startswith("__"):
            action = "Write for example stage=nightly"
            problems.append(Problem("--pushgateway.grouping", "name=value", shown(pair), action))
        elif name in taken or name in labels:
            expected = "a label that the metrics do not have, once"
            problems.append(Problem("--pushgateway.grouping", expected, shown(name), "Name it otherwise"))
        labels[name] = value
    if problems:
        raise ProblemsError(problems)
    return Group(url.rstrip("/"), job, labels, client)


def _segment(name: str, value: str) -> str:
    """A label in a path; in base64 what a path cannot hold, an empty value as `=`."""
    if _PLAIN.fullmatch(value) and value not in (".", ".."):
        return f"{name}/{value}"
    return f"{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode().rstrip('=') or '='}"
