"""Passwords: who comes in, what a check costs whom, and that nobody can make the others wait. Costs are counted."""

import asyncio
import os
import threading
from base64 import b64encode

import bcrypt
import pytest
from certificates import hashed
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from tests.web.test_app import NOW, PATHS, SNAPSHOT, Answer, ask

from ml_exporter.web import Access, Lifecycle, Reloads, create_app, site
from ml_exporter.web.access import Doorman, gate
from ml_exporter.web.access.gate import answered
from ml_exporter.web.access.users import guarded
from ml_exporter.web.lines import BusyError

USERS = {b"alice": hashed("secret").encode(), "jörg".encode(): hashed("пароль:x").encode(), b"": hashed("").encode()}


def basic(name: str | bytes, password: str | bytes, scheme: str = "Basic") -> str:
    parts = [part.encode() if isinstance(part, str) else part for part in (name, password)]
    return f"{scheme} {b64encode(b':'.join(parts)).decode()}"


def get(path: str, authorization: str | None = None, users=None, prefix: str = "", method: str = "GET") -> Answer:
    access = Access(users=USERS if users is None else users)
    app = create_app(lambda: SNAPSHOT, lambda: NOW, "1.2.3")
    app = gate(app, site(None, prefix), Lifecycle(True, Reloads().ask, lambda: None), lambda: access)
    return ask(app, method, path, {"authorization": authorization} if authorization else {})


# Who comes in


@pytest.mark.parametrize(
    "authorization",
    [
        basic("alice", "secret"),
        basic("alice", "secret", "BASIC"),
        basic("jörg", "пароль:x"),
        basic("", ""),
    ],
)
def test_a_password_opens_everything(authorization):
    assert get("/metrics", authorization).status_code == 200
    assert get("/nothing", authorization).status_code == 404


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic YWxpY2U=",
        "Bearer " + b64encode(b"alice:secret").decode(),
        b64encode(b"alice:secret").decode(),
        basic("alice", "Secret"),
        basic("alice", "secret "),
        basic("alice", ""),
        basic("alice", USERS[b"alice"]),
        basic("Alice", "secret"),
        basic("bob", "secret"),
        basic("bob", "fakepassword"),
        basic("alice", b"\xff\x00"),
        basic("alice", b"secret\x00"),
        basic("alice", b"s" * 8000),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/", "/runbooks/", "/nothing", "/-/reload", "/-/healthy/", "//-/healthy"])
def test_without_one_there_is_nothing_to_see(authorization, path):
    answer = get(path, authorization)
    assert (answer.status_code, answer.text) == (401, "Unauthorized\n")
    assert answer.headers["www-authenticate"] == 'Basic realm="ml-exporter", charset="UTF-8"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("prefix", ["", "/ml"])
def test_health_is_told_to_everybody_and_nothing_else_is(prefix):
    for path in PATHS:
        expected = 200 if path in {"/-/healthy", "/-/ready"} else 401
        assert get(prefix + path, prefix=prefix).status_code == expected
    assert get(f"{prefix}/-/reload", prefix=prefix, method="POST").status_code == 401
    assert get("/", prefix=prefix).status_code == 401
    if prefix:
        assert get("/-/healthy", prefix=prefix).status_code == 401


def test_without_users_nobody_is_asked():
    assert get("/metrics", users={}).status_code == 200
    assert get("/metrics", "Basic nonsense", users={}).status_code == 200


def test_a_long_password_counts_as_far_as_bcrypt_reads():
    """As in Go, which compares 72 bytes; a hash of more was never made there."""
    long = "a" * 72
    users = {b"alice": hashed(long).encode()}
    assert get("/metrics", basic("alice", long), users).status_code == 200
    assert get("/metrics", basic("alice", long + "b"), users).status_code == 200
    assert get("/metrics", basic("alice", long[:-1]), users).status_code == 401


def test_configured_headers_are_in_every_answer():
    access = Access(users=USERS, headers={"Strict-Transport-Security": "max-age=60", "X-Frame-Options": "sameorigin"})
    app = create_app(lambda: SNAPSHOT, lambda: NOW, "1.2.3")
    app = gate(app, site(None, "/ml"), Lifecycle(False, Reloads().ask, lambda: None), lambda: access)
    for path in ["/", "/x", "/ml/metrics", "/ml/-/healthy", "/ml/nothing"]:
        for authorization in [basic("alice", "secret"), "x"]:
            headers = ask(app, "GET", path, {"authorization": authorization}).headers
            assert headers["strict-transport-security"] == "max-age=60"
            assert headers.getlist("x-frame-options") == ["sameorigin"]
    assert "strict-transport-security" not in get("/metrics", basic("alice", "secret")).headers


# What it costs


class Counted:
    """A doorman whose checks are counted, and wait until they are let go."""

    def __init__(self, users=USERS) -> None:
        self.users = dict(users)
        self.checks: list[tuple[bytes, bytes]] = []
        self.running = 0
        self.at_once = 0
        self.free = threading.Event()
        self.free.set()
        self.doorman = Doorman(lambda: self.users, self._compare)

    def _compare(self, password: bytes, hashed_one: bytes) -> bool:
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        assert self.free.wait(20)
        self.checks.append((password, hashed_one))
        self.running -= 1
        return bcrypt.checkpw(password, hashed_one)

    async def tries(self, name: bytes, password: bytes, peer: str = "p") -> bool | str:
        try:
            return await self.doorman.admits(name, password, peer)
        except BusyError:
            return "busy"


def test_a_password_is_checked_once_until_it_or_the_hash_changes():
    counted = Counted()

    async def scrapes():
        for peer in ["a", "b", "a"]:
            assert await counted.tries(b"alice", b"secret", peer)
        assert len(counted.checks) == 1
        assert not await counted.tries(b"alice", b"wrong")
        assert not await counted.tries(b"alice", b"wrong")
        assert len(counted.checks) == 3
        counted.users[b"alice"] = hashed("new").encode()
        assert not await counted.tries(b"alice", b"secret")
        assert await counted.tries(b"alice", b"new")
        del counted.users[b"alice"]
        assert not await counted.tries(b"alice", b"new")

    asyncio.run(scrapes())


def test_a_user_who_does_not_exist_costs_a_check_of_a_hash_that_exists_and_always_the_same():
    counted = Counted({b"cheap": hashed("x", 4).encode(), b"dear": hashed("x", 5).encode()})

    async def guess():
        names = [f"nobody-{n}".encode() for n in range(40)]
        for name in [*names, *names]:
            assert not await counted.tries(name, b"x")

    asyncio.run(guess())
    used = [hash_ for _, hash_ in counted.checks]
    assert len(used) == 80
    assert used[:40] == used[40:]
    assert set(used) == set(counted.users.values())  # 1 in 500,000,000,000 would not


def test_what_is_no_password_costs_nothing():
    counted = Counted()
    app = guarded(PlainTextResponse("in"), counted.doorman, frozenset())
    for authorization in ["", "Basic !!", "Basic YQ==", "Bearer x"]:
        assert ask(app, "GET", "/", {"authorization": authorization}).status_code == 401
    assert counted.checks == []


def test_verified_passwords_are_remembered_by_digest_and_only_so_many():
    counted = Counted({f"u{n}".encode(): hashed("x").encode() for n in range(120)})

    async def all_of_them():
        for name in counted.users:
            assert await counted.tries(name, b"x")
        assert await counted.tries(b"u119", b"x")

    asyncio.run(all_of_them())
    assert len(counted.checks) == 120
    kept = counted.doorman._verified
    assert len(kept) == 100
    assert all(len(key) == 32 for key in kept)


def test_a_check_lets_all_other_threads_go_first():
    seen = []

    def compare(password: bytes, hashed_one: bytes) -> bool:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return False

    asyncio.run(Doorman(lambda: USERS, compare).admits(b"alice", b"x", "p"))
    assert seen == [max(10, os.getpriority(os.PRIO_PROCESS, 0))]


def test_one_check_at_a_time_peers_in_turn_and_a_flood_waits_for_itself():
    counted = Counted()
    counted.free.clear()

    async def flood():
        flooding = [asyncio.create_task(counted.tries(b"alice", b"guess%d" % n, "evil")) for n in range(50)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        honest = [asyncio.create_task(counted.tries(b"alice", b"secret", f"p{n}")) for n in range(3)]
        await asyncio.sleep(0)
        assert sum(task.done() and task.result() == "busy" for task in flooding) == 42
        counted.free.set()
        return await asyncio.gather(*flooding), await asyncio.gather(*honest)

    flooding, honest = asyncio.run(flood())
    assert honest == [True] * 3
    assert (flooding.count(False), flooding.count("busy")) == (8, 42)
    assert counted.at_once == 1
    passwords = [password for password, _ in counted.checks]
    assert passwords.index(b"secret") <= 2  # behind one or two of the flood, not behind eight
    assert passwords.count(b"secret") == 1
    assert counted.doorman._lines._lines == {}


def test_whoever_is_known_already_does_not_wait_for_a_flood():
    counted = Counted()

    async def scrape_in_a_flood():
        assert await counted.tries(b"alice", b"secret", "evil")
        counted.free.clear()
        flooding = [asyncio.create_task(counted.tries(b"alice", b"guess%d" % n, "evil")) for n in range(8)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(counted.tries(b"alice", b"secret", "evil"), 20)
        assert not any(task.done() for task in flooding)
        counted.free.set()
        await asyncio.gather(*flooding)

    asyncio.run(scrape_in_a_flood())


def test_too_many_at_once_are_told_to_wait():
    counted = Counted()
    counted.free.clear()

    async def flood() -> list[int]:
        answers = []
        app = answered(guarded(PlainTextResponse("in"), counted.doorman, frozenset()), dict)

        async def one(n: int) -> None:
            async def send(message) -> None:
                if message["type"] == "http.response.start":
                    answers.append((message["status"], Headers(raw=message["headers"]).get("retry-after")))

            raw = [(b"authorization", basic("alice", f"guess{n}").encode())]
            scope = {"type": "http", "method": "GET", "path": "/", "headers": raw, "client": ("::1", n)}
            await app(scope, None, send)

        waiting = [asyncio.create_task(one(n)) for n in range(10)]
        while len(answers) < 2:
            await asyncio.sleep(0)
        counted.free.set()
        await asyncio.gather(*waiting)
        return answers

    answers = asyncio.run(flood())
    assert answers[:2] == [(429, "1")] * 2
    assert answers[2:] == [(401, None)] * 8


def test_whoever_waits_while_the_server_stops_is_told_so():
    counted = Counted()
    counted.free.clear()
    statuses = []

    async def stop():
        async def send(message) -> None:
            statuses.append(message.get("status"))

        raw = [(b"authorization", basic("alice", "guess").encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": raw}
        app = guarded(PlainTextResponse("in"), counted.doorman, frozenset())
        waiting = asyncio.create_task(app(scope, None, send))
        await asyncio.sleep(0)
        waiting.cancel()
        counted.free.set()
        await waiting

    asyncio.run(stop())
    assert statuses[0] == 503


def test_an_answer_that_is_cancelled_is_not_given_twice():
    statuses = []

    async def hang(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3600)

    async def stop():
        async def send(message) -> None:
            statuses.append(message.get("status"))

        raw = [(b"authorization", basic("alice", "secret").encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": raw}
        task = asyncio.create_task(guarded(hang, Doorman(lambda: USERS), frozenset())(scope, None, send))
        while not statuses:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop())
    assert statuses == [200]
