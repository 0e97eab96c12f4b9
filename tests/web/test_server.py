"""The server under attack: whoever holds a connection without using it loses it, and nobody else notices.

No test asserts how long something takes. The deadline under test is short, all others are far beyond the end
of the test, so a connection that ends has ended for the reason that the test names.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ml_exporter.errors import ProblemsError
from ml_exporter.web import Address, Limits, Server, Snapshot, create_app

NEVER = 3600.0
PATIENCE_SECONDS = 120.0
BIG = b"ml_window_rows 1.0\n" * 1_500_000
SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def exporter(exposition: bytes = b"up 1.0\n") -> ASGIApp:
    snapshot = Snapshot(exposition, b"", 0.0, ready=True, interval_seconds=15.0, models=())
    return create_app(lambda: snapshot, lambda: 0.0, "1.2.3")


def limits(*, header: float = NEVER, request: float = NEVER, idle: float = NEVER, connections: int = 64) -> Limits:
    sizes = {"header_bytes": 4096, "body_bytes": 8192}
    return Limits(header, request, idle, connections, new_per_second=1e6, **sizes)


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers on free ports of the loopback; they stop with the test."""
    with ExitStack() as stack:

        def start(app: ASGIApp | None = None, **short: float) -> Server:
            server = Server(app or exporter(), [Address("127.0.0.1", 0)], limits(**short))
            server.start()
            stack.callback(server.stop)
            return server

        yield start


def connect(server: Server, source: str = "127.0.0.1") -> socket.socket:
    address = ("127.0.0.1", server.port)
    return socket.create_connection(address, timeout=PATIENCE_SECONDS, source_address=(source, 0))


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection; a timeout if it never does."""
    received = b""
    try:
        while piece := connection.recv(1 << 20):
            received += piece
    except ConnectionError:
        pass
    return received


def read_answer(connection: socket.socket, body: bytes = b"up 1.0\n") -> bytes:
    """One answer with this body; the connection stays open."""
    received = b""
    while not received.endswith(b"\r\n\r\n" + body):
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    return received


def scrape(server: Server, source: str = "127.0.0.1") -> bytes:
    with closing(connect(server, source)) as connection:
        connection.sendall(SCRAPE)
        return read_answer(connection)


def is_answered(server: Server) -> bool:
    """Whether a scrape has an answer; none if the server ends the connection first."""
    with closing(connect(server)) as connection:
        connection.sendall(SCRAPE.replace(b"x\r\n", b"x\r\nConnection: close\r\n"))
        return b"up 1.0\n" in read_to_end(connection)


# What a scraper sees


def test_a_scrape_and_another_on_the_same_connection(serve: Serve) -> None:
    with closing(connect(serve())) as connection:
        for _ in range(3):
            connection.sendall(SCRAPE)
            assert read_answer(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_large_exposition_arrives_whole(serve: Serve) -> None:
    server = serve(exporter(BIG))
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/metrics")
    assert connection.getresponse().read() == BIG
    connection.close()


def test_head_has_the_length_and_no_body(serve: Serve) -> None:
    connection = HTTPConnection("127.0.0.1", serve().port, timeout=PATIENCE_SECONDS)
    connection.request("HEAD", "/metrics")
    response = connection.getresponse()
    assert (response.status, response.headers["content-length"], response.read()) == (200, "7", b"")
    connection.close()


def test_requests_sent_in_one_piece_are_all_answered(serve: Serve) -> None:
    with closing(connect(serve(idle=1.0))) as connection:
        connection.sendall(SCRAPE * 20)
        assert read_to_end(connection).count(b"HTTP/1.1 200 OK\r\n") == 20


def test_http_1_0_and_connection_close_end_with_the_answer(serve: Serve) -> None:
    server = serve()
    for request in [
        b"GET /metrics HTTP/1.0\r\n\r\n",
        SCRAPE.replace(b"x\r\n", b"x\r\nConnection: close\r\n"),
    ]:
        with closing(connect(server)) as connection:
            connection.sendall(request)
            assert read_to_end(connection).endswith(b"\r\n\r\nup 1.0\n")


def test_what_is_written_is_sent_at_once(serve: Serve) -> None:
    server = serve()
    with closing(connect(server)) as connection:
        connection.sendall(SCRAPE)
        read_answer(connection)
        (served,) = server._uvicorn.server_state.connections
        option = served.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert option, "a second write would wait for the peer's delayed acknowledgement of the first"


def test_who_says_nothing_costs_no_more_than_a_socket(serve: Serve) -> None:
    server = serve()
    with closing(connect(server)) as silent, closing(connect(server)) as gone:
        wait_until(lambda: connections_of(server) == 2)
        gone.close()
        wait_until(lambda: connections_of(server) == 1)
        assert not server._uvicorn.server_state.connections
        silent.sendall(SCRAPE)
        assert read_answer(silent).startswith(b"HTTP/1.1 200 OK")


def test_an_upgrade_is_not_followed(serve: Serve) -> None:
    with closing(connect(serve())) as connection:
        connection.sendall(SCRAPE.replace(b"x\r\n", b"x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"))
        assert read_answer(connection).startswith(b"HTTP/1.1 200 OK\r\n")


# Deadlines


@pytest.mark.parametrize("sent", [b"", b"G", SCRAPE[:-2], SCRAPE[:-2] + b"X-Long: " + b"a" * 1000])
def test_a_header_that_never_ends_is_cut(serve: Serve, sent: bytes) -> None:
    server = serve(header=0.3)
    with closing(connect(server)) as connection:
        connection.sendall(sent)
        assert read_to_end(connection) == b""
    wait_until(lambda: is_answered(server))  # within the same short time, which a slow machine may miss once


def test_a_header_that_comes_byte_by_byte_is_cut(serve: Serve) -> None:
    with closing(connect(serve(header=0.3))) as connection, pytest.raises(ConnectionError):
        drip(connection)


@pytest.mark.parametrize("sent", [SCRAPE[:10], SCRAPE + SCRAPE[:10]])
def test_the_header_of_a_later_request_has_its_own_deadline(serve: Serve, sent: bytes) -> None:
    with closing(connect(serve(header=1.0))) as connection:
        connection.sendall(SCRAPE)
        read_answer(connection)
        connection.sendall(sent)
        received = read_to_end(connection)
        assert received.count(b"HTTP/1.1 200 OK") == sent.count(SCRAPE)


def test_an_idle_connection_ends_only_after_its_last_answer(serve: Serve) -> None:
    with closing(connect(serve(idle=1.0))) as connection:
        connection.sendall(SCRAPE)
        assert read_to_end(connection).endswith(b"up 1.0\n")


def test_a_body_that_never_ends_is_cut(serve: Serve) -> None:
    head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n\r\n"
    with closing(connect(serve(request=1.0))) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")
        with pytest.raises(ConnectionError):
            drip(connection)


def test_an_answer_that_nobody_reads_is_cut(serve: Serve) -> None:
    server = serve(exporter(BIG), request=1.0)
    with closing(connect(server)) as connection:
        connection.sendall(SCRAPE)
        assert connection.recv(1) == b"H"
        wait_until(lambda: connections_of(server) == 0)
        assert len(read_to_end(connection)) < len(BIG)


def test_an_app_that_hangs_is_cut(serve: Serve) -> None:
    async def hang(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    with closing(connect(serve(hang, request=0.3))) as connection:
        connection.sendall(SCRAPE)
        assert read_to_end(connection) == b""


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, for 20 seconds; a ConnectionError as soon as the server has had enough."""
    for _ in range(1000):
        connection.sendall(b"a")
        time.sleep(0.02)


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def connections_of(server: Server) -> int:
    return server._uvicorn.peers.count


# Sizes


def test_an_oversized_header_is_refused(serve: Serve) -> None:
    server = serve()
    with closing(connect(server)) as connection:
        connection.sendall(SCRAPE[:-2] + b"X-Long: " + b"a" * 5000)
        assert read_to_end(connection).startswith(b"HTTP/1.1 400 ")
    assert scrape(server)


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_an_oversized_body_is_cut(serve: Serve, method: bytes, framing: bytes) -> None:
    server = serve()
    with closing(connect(server)) as connection:
        connection.sendall(method + b" /metrics HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
        with pytest.raises(ConnectionError):
            connection.sendall((b"1000\r\n" + b"a" * 4096 + b"\r\n") * 20_000)
    assert scrape(server)


def test_a_small_body_does_no_harm(serve: Serve) -> None:
    with closing(connect(serve())) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + SCRAPE)
        answers = read_answer(connection)
        while answers.count(b"up 1.0\n") < 2:
            answers += read_answer(connection)
        assert answers.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_the_connection_alone(serve: Serve, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    with caplog.at_level(logging.DEBUG), closing(connect(server)) as connection:
        connection.sendall(sent)
        assert read_to_end(connection).split(b" ")[1] in {b"400", b"501"}
    assert scrape(server)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


BODY = b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_body_that_is_none_is_refused_and_fills_no_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve()
    with caplog.at_level(logging.DEBUG), closing(connect(server)) as connection:
        connection.sendall(BODY + b"2\r\nabXX0\r\n\r\n")
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("exposition", [b"up 1.0\n", BIG])
def test_a_body_that_goes_wrong_after_the_answer_was_begun_ends_it(
    serve: Serve, caplog: pytest.LogCaptureFixture, exposition: bytes
) -> None:
    server = serve(exporter(exposition))
    with caplog.at_level(logging.DEBUG), closing(connect(server)) as connection:
        connection.sendall(BODY.replace(b"POST", b"GET"))
        assert connection.recv(1) == b"H"
        connection.sendall(b"no size\r\n")
        received = read_to_end(connection)
    assert b"HTTP/1.1" not in received
    assert len(received) < len(BIG)
    wait_until(lambda: connections_of(server) == 0)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_a_body_of_two_lengths_hides_no_second_request(serve: Serve) -> None:
    with closing(connect(serve())) as connection:
        connection.sendall(BODY.replace(b"Host", b"Content-Length: 5\r\nHost") + b"0\r\n\r\n" + SCRAPE)
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1") == 1


# Peers


def test_a_peer_beyond_its_cap_is_refused_and_others_are_served(serve: Serve) -> None:
    server = serve(connections=20)
    with ExitStack() as stack:
        held = [stack.enter_context(closing(connect(server))) for _ in range(50)]
        wait_until(lambda: connections_of(server) == 20)
        assert scrape(server, source="127.0.0.2").startswith(b"HTTP/1.1 200 OK\r\n")
        ended = [connection for connection in held if has_ended(connection)]
        assert len(ended) == 30
    wait_until(lambda: connections_of(server) == 0)
    assert scrape(server).startswith(b"HTTP/1.1 200 OK\r\n")


def has_ended(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_several_addresses_are_served_and_one_that_cannot_be_is_told_with_all_others(serve: Serve) -> None:
    server = Server(exporter(), [Address("127.0.0.1", 0), Address("127.0.0.2", 0)])
    server.start()
    for address in server.addresses:
        with closing(socket.create_connection((address.host, address.port), timeout=PATIENCE_SECONDS)) as connection:
            connection.sendall(SCRAPE)
            assert read_answer(connection).startswith(b"HTTP/1.1 200 OK")
    again = [*server.addresses, Address("::1", 70_000), Address("127.0.0.1", 0)]
    with pytest.raises(ProblemsError) as caught:
        Server(exporter(), again).start()
    first, second = server.addresses
    assert [problem.where for problem in caught.value.problems] == [
        f"web.listen-address 127.0.0.1:{first.port}",
        f"web.listen-address 127.0.0.2:{second.port}",
        "web.listen-address [::1]:70000",
    ]
    server.stop()


def test_beyond_all_connections_who_holds_the_most_loses_the_oldest() -> None:
    few = Limits(NEVER, NEVER, NEVER, connections_per_peer=10, connections=12)
    server = Server(exporter(), [Address("127.0.0.1", 0)], few)
    server.start()
    with ExitStack() as stack:
        scraper = stack.enter_context(closing(connect(server, "127.0.0.2")))
        greedy = [stack.enter_context(closing(connect(server, "127.0.0.3"))) for _ in range(10)]
        wait_until(lambda: server._uvicorn.peers.count == 11)
        others = [stack.enter_context(closing(connect(server, f"127.0.1.{n}"))) for n in range(1, 6)]
        wait_until(lambda: has_ended(greedy[3]))
        assert [has_ended(connection) for connection in greedy] == [True] * 4 + [False] * 6
        assert not any(map(has_ended, others))
        scraper.sendall(SCRAPE)
        assert read_answer(scraper).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server._uvicorn.peers.count == 12
    server.stop()


def test_connections_that_end_are_forgotten(serve: Serve) -> None:
    server = serve(connections=3)
    for _ in range(20):
        assert scrape(server)
        wait_until(lambda: connections_of(server) == 0)


# Life


def test_an_app_that_fails_answers_500_and_the_server_lives(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/fail":
            raise RuntimeError("boom")
        await PlainTextResponse("up 1.0\n")(scope, receive, send)

    server = serve(fail)
    with closing(connect(server)) as connection:
        connection.sendall(SCRAPE.replace(b"/metrics", b"/fail"))
        assert read_to_end(connection).startswith(b"HTTP/1.1 500 ")
    assert scrape(server)
    assert "boom" in caplog.text


def test_a_stopped_server_is_not_alive_and_leaves_its_port() -> None:
    server = Server(exporter(), [Address("127.0.0.1", 0)])
    assert not server.alive
    server.start()
    assert server.alive
    with closing(connect(server)) as half:
        half.sendall(SCRAPE[:10])
        server.stop()
    assert not server.alive
    again = Server(exporter(), [Address("127.0.0.1", server.port)])
    again.start()
    assert scrape(again)
    again.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_whose_thread_dies_is_not_alive(serve: Serve) -> None:
    server = serve()

    async def die(counter: int) -> bool:
        raise RuntimeError("the loop is broken")

    server._uvicorn.on_tick = die  # type: ignore[method-assign]
    wait_until(lambda: not server.alive)


def test_a_taken_port_is_an_error_that_says_what_to_do(serve: Serve) -> None:
    taken = serve().port
    with pytest.raises(ProblemsError) as caught:
        Server(exporter(), [Address("127.0.0.1", taken)]).start()
    where, _, rest = str(caught.value).partition(": ")
    assert where == f"web.listen-address 127.0.0.1:{taken}"
    assert rest.startswith("expected an address that can be listened on, got ")
    assert rest.endswith(". Free it or choose another.")


@pytest.mark.parametrize(("host", "port"), [("no-such-host.invalid", 0), ("192.0.2.1", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_used_is_an_error(host: str, port: int) -> None:
    with pytest.raises(ProblemsError, match="an address that can be listened on"):
        Server(exporter(), [Address(host, port)]).start()


def test_an_empty_host_means_every_address() -> None:
    server = Server(exporter(), [Address("", 0)])
    server.start()
    assert scrape(server)
    server.stop()


def test_a_peer_that_connects_too_often_is_refused_and_others_are_served() -> None:
    slow = Limits(NEVER, NEVER, NEVER, connections_per_peer=1000, new_per_second=1e-6, new_at_once=10)
    server = Server(exporter(), [Address("127.0.0.1", 0)], slow)
    server.start()
    served = 0
    for _ in range(20):
        with closing(connect(server)) as connection:
            try:
                connection.sendall(SCRAPE)
                served += read_to_end_of_answer(connection)
            except ConnectionError:
                pass
    assert served == 10
    assert scrape(server, source="127.0.0.2").startswith(b"HTTP/1.1 200 OK\r\n")
    server.stop()


def read_to_end_of_answer(connection: socket.socket) -> bool:
    received = b""
    while not received.endswith(b"up 1.0\n"):
        piece = connection.recv(65536)
        if not piece:
            return False
        received += piece
    return True


def test_without_files_for_more_connections_it_waits_and_goes_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, accept, failing = serve(), socket.socket.accept, [True]

    def refuse(listener: socket.socket) -> object:
        if failing:
            failing.clear()
            raise OSError(24, "Too many open files")
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", refuse)
    assert scrape(server).startswith(b"HTTP/1.1 200 OK\r\n")
    assert caplog.text.count("cannot accept for a second: [Errno 24] Too many open files") == 1
