"""Reload and end by HTTP: off by default, POST and PUT only, not for the pages of other sites, with the result."""

import threading
from concurrent.futures import Future

import pytest
from tests.web.test_app import NOW, SNAPSHOT, ask

from ml_exporter.web import Lifecycle, Reloads, create_app, site
from ml_exporter.web.lifecycle import with_lifecycle
from ml_exporter.web.site import under

PATHS = ["/-/reload", "/-/quit"]


class World:
    """An app and what was asked of it."""

    def __init__(self, enabled: bool = True, problems: tuple[str, ...] = (), prefix: str = "") -> None:
        self.asked: list[str] = []

        def reload() -> "Future[tuple[str, ...]]":
            self.asked.append("/-/reload")
            future: Future[tuple[str, ...]] = Future()
            future.set_result(problems)
            return future

        lifecycle = Lifecycle(enabled, reload, lambda: self.asked.append("/-/quit"))
        app = create_app(lambda: SNAPSHOT, lambda: NOW, "1.2.3")
        self.app = under(with_lifecycle(app, lifecycle), site(None, prefix))

    def ask(self, path: str, method: str = "POST", **headers: str):
        return ask(self.app, method, path, {name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("prefix", ["", "/ml"])
def test_what_is_enabled_is_done(path: str, method: str, prefix: str) -> None:
    world = World(prefix=prefix)
    answer = world.ask(prefix + path, method)
    assert (answer.status_code, world.asked) == (200, [path])


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_enabled_is_forbidden(path: str) -> None:
    world = World(enabled=False)
    answer = world.ask(path)
    assert (answer.status_code, world.asked) == (403, [])
    assert answer.text == "Lifecycle API is not enabled. Start with --web.enable-lifecycle.\n"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("enabled", [True, False])
def test_a_link_does_nothing(path: str, method: str, enabled: bool) -> None:
    world = World(enabled)
    answer = world.ask(path, method)
    assert (answer.status_code, world.asked) == (405, [])
    assert set(answer.headers["allow"].split(", ")) == {"POST", "PUT"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "https://evil.example", "host": "ml.example"}, 403),
        ({"origin": "null", "host": "ml.example"}, 403),
        ({"origin": "https://ml.example:1", "host": "ml.example"}, 403),
        ({"origin": "https://ml.example", "host": "ml.example"}, 200),
        ({"sec_fetch_site": "same-origin", "origin": "https://ml.example", "host": "behind-a-proxy"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"host": "ml.example"}, 200),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_the_page_of_another_site_cannot_ask(path: str, headers: dict[str, str], status: int) -> None:
    world = World()
    assert world.ask(path, **headers).status_code == status
    assert bool(world.asked) == (status == 200)


def test_a_refused_reload_says_why() -> None:
    answer = World(problems=("a.yml.b: expected c, got d. Do e.", "f")).ask("/-/reload")
    assert answer.status_code == 500
    assert answer.text == "The configuration was not reloaded.\na.yml.b: expected c, got d. Do e.\nf\n"


def test_whoever_asked_before_a_reload_begins_gets_the_result_of_that_one() -> None:
    reloads, results = Reloads(), iter([("first",), ("second",)])
    late: list[Future[tuple[str, ...]]] = []

    def reload() -> tuple[str, ...]:
        late.append(reloads.ask())  # while one runs, which may have read the old file already
        return next(results)

    early = [reloads.ask() for _ in range(3)]
    reloads.answer(reload)
    assert [future.result(timeout=0) for future in early] == [("first",)] * 3
    assert not late[0].done()
    reloads.answer(reload)
    assert late[0].result(timeout=0) == ("second",)


def test_nobody_asks_and_nothing_is_reloaded() -> None:
    Reloads().answer(lambda: pytest.fail("reloaded"))


def test_many_threads_ask() -> None:
    reloads, stop, futures = Reloads(), threading.Event(), []
    answering = threading.Thread(target=lambda: [reloads.answer(lambda: ()) for _ in iter(stop.is_set, True)])
    answering.start()
    for _ in range(500):
        futures.append(reloads.ask())
    assert [future.result(timeout=20) for future in futures] == [()] * 500
    stop.set()
    answering.join()
