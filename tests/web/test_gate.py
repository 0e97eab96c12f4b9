"""What every answer has, whoever gives it: a page, a refusal, or an error."""

import logging

import pytest
from certificates import hashed
from starlette.types import Receive, Scope, Send
from tests.web.asking import Answer, ask
from tests.web.test_access_users import basic
from tests.web.test_app import NOW, SNAPSHOT

from ml_exporter.web import Access, Lifecycle, Reloads, create_app, site
from ml_exporter.web.access import gate
from ml_exporter.web.access.gate import answered
from ml_exporter.web.lines import BusyError

ME = {"authorization": basic("alice", "secret")}


def is_guarded(answer: Answer) -> bool:
    """Whether a browser runs, frames and keeps nothing of it."""
    policies = answer.headers.getlist("content-security-policy")
    return (
        len(policies) == 1
        and "default-src 'none'" in policies[0]
        and "frame-ancestors 'none'" in policies[0]
        and answer.headers.getlist("x-content-type-options") == ["nosniff"]
        and answer.headers.getlist("x-frame-options") == ["DENY"]
        and answer.headers.getlist("cache-control") == ["no-store"]
    )


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/ml/metrics", ME, 200),
        ("HEAD", "/ml/metrics", ME, 200),
        ("GET", "/ml/", ME, 200),
        ("GET", "/ml/-/healthy", {}, 200),
        ("GET", "/ml", ME, 302),
        ("GET", "/ml/runbooks", ME, 308),
        ("GET", "/ml/metrics", {}, 401),
        ("POST", "/ml/-/reload", ME, 403),
        ("GET", "/ml/nothing", ME, 404),
        ("GET", "/nothing", ME, 404),
        ("OPTIONS", "*", ME, 404),
        ("GET", "http://elsewhere.example/ml/metrics", ME, 404),
        ("POST", "/ml/metrics", ME, 405),
        ("TRACE", "/ml/", ME, 405),
        ("GET", "/ml/-/reload", ME, 405),
        ("GET", "/ml/-/quit", ME, 405),
    ],
)
def test_headers_are_on_every_answer(method, path, headers, status):
    access = Access(users={b"alice": hashed("secret").encode()})
    app = create_app(lambda: SNAPSHOT, lambda: NOW, "1.2.3")
    app = gate(app, site(None, "/ml"), Lifecycle(False, Reloads().ask, lambda: None), lambda: access)
    answer = ask(app, method, path, headers)
    assert answer.status_code == status
    assert is_guarded(answer)


def raising(error: Exception):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return answered(app, dict)


def test_an_app_that_fails_is_answered_without_a_word_of_why(caplog):
    with caplog.at_level(logging.DEBUG):
        answer = ask(raising(RuntimeError("secret path")), "GET", "/", {})
    assert (answer.status_code, answer.text) == (500, "Internal Server Error\n")
    assert is_guarded(answer)
    assert "secret path" in caplog.text


def test_who_asks_too_much_is_told_to_wait(caplog):
    answer = ask(raising(BusyError()), "GET", "/", {})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert is_guarded(answer)
    assert not caplog.records


def test_an_answer_that_fails_in_the_midst_is_not_taken_for_whole():
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ask(answered(app, dict), "GET", "/", {})
