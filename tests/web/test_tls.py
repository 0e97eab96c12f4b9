"""TLS on real sockets: who gets through a handshake, and that one that does not go on is cut and counted.

As in test_server, no test asserts how long something takes.
"""

import json
import logging
import os
import ssl
import warnings
from contextlib import ExitStack, closing
from http.client import HTTPSConnection

import pytest
import trustme
from certificates import hashed
from tests.web.test_server import (
    BIG,
    SCRAPE,
    connect,
    exporter,
    has_ended,
    limits,
    read_answer,
    read_to_end,
    wait_until,
)

from ml_exporter.errors import ConfigError
from ml_exporter.web import Address, Server, WebConfig

SERVER = {"cert_file": "server.pem", "key_file": "server.key"}
VERIFYING = {**SERVER, "client_ca_file": "ca.pem", "client_auth_type": "RequireAndVerifyClientCert"}


@pytest.fixture
def serve(certificates, write):
    """Start servers with a `tls_server_config`; they stop with the test."""
    with ExitStack() as stack:

        def start(section=SERVER, app=None, config=None, **short):
            config = config or WebConfig(write({"tls_server_config": section}))
            server = Server(
                app or exporter(), [Address("127.0.0.1", 0)], limits(**short), tls=lambda: config.current.tls
            )
            server.start()
            stack.callback(server.stop)
            return server

        yield start


def trusting(certificates, client=None, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3):
    """Make the context of a client that trusts our authority and may have a certificate."""
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.minimum_version, context.maximum_version = low, high
    if client:
        context.load_cert_chain(*client)
    return context


def secured(server, context, source="127.0.0.1"):
    return context.wrap_socket(connect(server, source), server_hostname="localhost")


def scrape(server, context, source="127.0.0.1"):
    """Return the first line of an answer; b"" if the connection ended without one."""
    try:
        with closing(secured(server, context, source)) as connection:
            connection.sendall(SCRAPE)
            received = b""
            while not received.endswith(b"up 1.0\n"):
                piece = connection.recv(65536)
                if not piece:
                    return b""
                received += piece
            return received.splitlines()[0]
    except (ssl.SSLError, ConnectionError):
        return b""


OK = b"HTTP/1.1 200 OK"


# Handshakes that succeed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_scrapes_on_one_connection(serve, certificates, version):
    with closing(secured(serve(), trusting(certificates, low=version, high=version))) as connection:
        for _ in range(3):
            connection.sendall(SCRAPE)
            assert read_answer(connection).startswith(OK)


def test_a_large_exposition_arrives_whole(serve, certificates):
    connection = HTTPSConnection("localhost", serve(app=exporter(BIG)).port, context=trusting(certificates))
    connection.request("GET", "/metrics")
    assert connection.getresponse().read() == BIG
    connection.close()


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(serve, certificates):
    """The client's last words of the handshake and its request arrive in one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(certificates).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with closing(connect(serve())) as connection:
        done = False
        while not done:
            try:
                client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        client.write(SCRAPE)
        connection.sendall(outgoing.read())
        received = b""
        while not received.endswith(b"up 1.0\n"):
            try:
                received += client.read(65536)
            except ssl.SSLWantReadError:  # all that came was read
                incoming.write(connection.recv(65536))
    assert received.startswith(OK)


# Handshakes that do not


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(serve, certificates, version):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = trusting(certificates, low=version, high=version)
        context.set_ciphers("ALL:@SECLEVEL=0")
        server = serve()
        with pytest.raises(ssl.SSLError, match=r"EOF|(?i:alert)"):
            secured(server, context)
    assert scrape(server, trusting(certificates)) == OK


@pytest.mark.parametrize(
    ("section", "version"),
    [
        ({"min_version": "TLS13"}, ssl.TLSVersion.TLSv1_2),
        ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, ssl.TLSVersion.TLSv1_2),
        ({"max_version": "TLS12"}, ssl.TLSVersion.TLSv1_3),
    ],
)
def test_versions_are_as_configured(serve, certificates, section, version):
    server = serve({**SERVER, **section})
    other = {ssl.TLSVersion.TLSv1_2: ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3: ssl.TLSVersion.TLSv1_2}[version]
    assert scrape(server, trusting(certificates, low=version, high=version)) == b""
    assert scrape(server, trusting(certificates, low=other, high=other)) == OK


def test_the_suite_and_the_curve_are_as_configured(serve, certificates):
    suites = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
    server = serve({**SERVER, "cipher_suites": suites, "curve_preferences": ["CurveP384"]})
    context = trusting(certificates, high=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    with closing(secured(server, context)) as connection:
        assert connection.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    context = trusting(certificates)
    context.set_ecdh_curve("prime256v1")
    assert scrape(server, context) == b""
    context.set_ecdh_curve("secp384r1")
    assert scrape(server, context) == OK


POLICIES = {
    # What is configured: who gets in without a certificate, with a stranger's, with ours, with ours of another name.
    "nobody is asked": (SERVER, (OK, OK, OK, OK)),
    "may show one": ({**VERIFYING, "client_auth_type": "VerifyClientCertIfGiven"}, (OK, b"", OK, OK)),
    "must show one": (VERIFYING, (b"", b"", OK, OK)),
    "must have a name": ({**VERIFYING, "client_allowed_sans": ["prom.example", "x"]}, (b"", b"", OK, b"")),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("policy", POLICIES)
def test_client_certificates(serve, certificates, version, policy):
    section, expected = POLICIES[policy]
    server = serve(section)
    clients = [
        None,
        certificates.client("stranger.example", trustme.CA()),
        certificates.client("prom.example"),
        certificates.client("other.example"),
    ]
    contexts = [trusting(certificates, client, version, version) for client in clients]
    assert tuple(scrape(server, context) for context in contexts) == expected
    wait_until(lambda: server._uvicorn.peers.count == 0)


@pytest.mark.parametrize("name", ["prom.example", "prom@example.org", "192.0.2.7", "2001:db8::7", "*.prom.example"])
def test_every_kind_of_name_counts(serve, certificates, name):
    server = serve({**VERIFYING, "client_allowed_sans": [name]})
    assert scrape(server, trusting(certificates, certificates.client(name))) == OK
    assert scrape(server, trusting(certificates, certificates.client("x.prom.example"))) == b""


def test_what_is_no_handshake_ends_the_connection_alone(serve, certificates, caplog):
    server = serve()
    with caplog.at_level(logging.DEBUG):
        for sent in [
            SCRAPE,
            b"\x00" * 100,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600,
            b"\x80" * 9999,
        ]:
            with closing(connect(server)) as connection:
                connection.sendall(sent)
                assert b"HTTP" not in read_to_end(connection)
        assert scrape(server, trusting(certificates)) == OK
    wait_until(lambda: server._uvicorn.peers.count == 0)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


# Handshakes that do not go on


def hello(certificates):
    """Return what a client sends first."""
    outgoing = ssl.MemoryBIO()
    client = trusting(certificates).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 1.0])
def test_a_handshake_that_stops_is_cut(serve, certificates, part):
    server, sent = serve(header=0.3), hello(certificates)
    with closing(connect(server)) as connection:
        connection.sendall(sent[: int(len(sent) * part)])
        assert b"HTTP" not in read_to_end(connection)
    wait_until(lambda: server._uvicorn.peers.count == 0)
    wait_until(lambda: scrape(server, trusting(certificates)) == OK)  # within the same short time


def test_a_header_after_a_handshake_has_its_deadline(serve, certificates):
    with closing(secured(serve(header=1.0), trusting(certificates))) as connection:
        connection.sendall(SCRAPE[:10])
        assert connection.recv(10) == b""


def test_an_answer_that_nobody_reads_is_cut(serve, certificates):
    server = serve(app=exporter(BIG), request=1.0)
    with closing(secured(server, trusting(certificates))) as connection:
        connection.sendall(SCRAPE)
        assert connection.recv(1) == b"H"
        wait_until(lambda: server._uvicorn.peers.count == 0)


def test_an_oversized_header_and_body_are_refused(serve, certificates):
    server = serve()
    with closing(secured(server, trusting(certificates))) as connection:
        connection.sendall(SCRAPE[:-2] + b"X-Long: " + b"a" * 5000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    with closing(secured(server, trusting(certificates))) as connection, pytest.raises(OSError):  # noqa: PT011
        connection.sendall(SCRAPE[:-2] + b"Content-Length: 99999999\r\n\r\n" + b"a" * 20_000_000)
    assert scrape(server, trusting(certificates)) == OK


def test_handshakes_count_for_their_peer_and_others_are_served(serve, certificates):
    server = serve(connections=20)
    with ExitStack() as stack:
        held = [stack.enter_context(closing(connect(server))) for _ in range(50)]
        wait_until(lambda: sum(map(has_ended, held)) == 30)
        assert scrape(server, trusting(certificates), "127.0.0.2") == OK
        assert scrape(server, trusting(certificates)) == b""
    wait_until(lambda: server._uvicorn.peers.count == 0)
    assert scrape(server, trusting(certificates)) == OK


def test_a_server_with_clients_in_the_handshake_stops(certificates, write):
    config = WebConfig(write({"tls_server_config": SERVER}))
    server = Server(exporter(), [Address("127.0.0.1", 0)], tls=lambda: config.current.tls)
    server.start()
    with closing(connect(server)), closing(secured(server, trusting(certificates))) as connection:
        connection.sendall(SCRAPE)
        read_answer(connection)
        server.stop()
    assert not server.alive


# What changes while it runs


def seen_by(server, certificates):
    """Return the certificate that a new client is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with closing(secured(server, context)) as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))


def on_disk(certificates):
    return (certificates.folder / "server.pem").read_text().split("-----END")[0].strip()


def test_a_renewed_certificate_is_shown_to_new_clients_and_old_ones_stay(serve, certificates, write):
    config = WebConfig(write({"tls_server_config": SERVER}))
    server = serve(config=config)
    with closing(secured(server, trusting(certificates))) as kept:
        before = seen_by(server, certificates)
        assert before.startswith(on_disk(certificates))
        certificates.write_server()
        assert config.look() == ()
        assert seen_by(server, certificates) == before  # it may still be written
        assert config.look() == ()
        assert seen_by(server, certificates) != before
        assert seen_by(server, certificates).startswith(on_disk(certificates))
        assert scrape(server, trusting(certificates)) == OK
        kept.sendall(SCRAPE)
        assert read_answer(kept).startswith(OK)


def test_a_certificate_whose_key_is_not_there_yet_is_no_mistake(certificates, write, caplog):
    config = WebConfig(write({"tls_server_config": SERVER}))
    before, old_key = config.current, (certificates.folder / "server.key").read_bytes()
    certificates.write_server()
    new_key = (certificates.folder / "server.key").read_bytes()
    (certificates.folder / "server.key").write_bytes(old_key)
    assert config.look() == ()
    (certificates.folder / "server.key").write_bytes(new_key)
    assert config.look() == ()
    assert config.current is before
    assert config.look() == ()
    assert config.current is not before
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def change(config, path, text):
    """Write a file, and look until it is taken or refused."""
    path.write_text(text)
    config.look()
    return [str(problem) for problem in config.look()]


def test_users_come_go_and_change(certificates, write, caplog):
    path = write({"basic_auth_users": {"alice": hashed("a")}})
    config = WebConfig(path)
    for users in [{"alice": hashed("b")}, {"alice": hashed("b"), "bob": hashed("c")}, {"bob": hashed("c")}]:
        with caplog.at_level(logging.INFO):
            assert change(config, path, json.dumps({"basic_auth_users": users})) == []
        assert config.current.users == {name.encode(): text.encode() for name, text in users.items()}
    assert caplog.text.count("web configuration reloaded web.yml") == 3
    assert not any(hash_ in caplog.text for hash_ in users.values())


def test_what_is_refused_leaves_the_old_in_force_until_it_is_mended(certificates, write, caplog):
    path = write({"tls_server_config": SERVER, "basic_auth_users": {"alice": hashed("a")}})
    config = WebConfig(path)
    before, good = config.current, path.read_text()
    for text in ["", "a: [", good.replace("server.pem", "no.pem"), good.replace("server.key", "ca.pem")]:
        assert len(change(config, path, text)) == 1
        assert config.current is before
        assert len(config.look()) == len(config.look(now=True)) == 1  # it stays so, and is not read again
    assert caplog.text.count("web configuration refused: ") == 4
    assert change(config, path, good) == []
    path.unlink()
    config.look()
    assert len(config.look()) == 1
    assert config.current.users == before.users
    assert change(config, path, good) == []


def test_a_certificate_that_is_gone_is_refused_and_taken_when_it_is_back(certificates, write):
    config = WebConfig(write({"tls_server_config": SERVER}))
    (certificates.folder / "server.pem").rename(certificates.folder / "gone.pem")
    config.look()
    assert len(config.look()) == 1
    assert config.current.tls
    (certificates.folder / "gone.pem").rename(certificates.folder / "server.pem")
    config.look()
    assert config.look() == ()


def test_a_link_that_moves_is_a_change(certificates, write):
    """As Kubernetes renews a mounted secret."""
    folders = [certificates.folder / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        certificates.write_server()
        for name in ("server.pem", "server.key"):
            (certificates.folder / name).rename(folder / name)
    link = certificates.folder / "data"
    link.symlink_to(folders[0])
    config = WebConfig(write({"tls_server_config": {"cert_file": "data/server.pem", "key_file": "data/server.key"}}))
    before = config.current
    (certificates.folder / "next").symlink_to(folders[1])
    os.replace(certificates.folder / "next", link)
    config.look()
    assert config.look() == ()
    assert config.current is not before


FULL = {"tls_server_config": {**VERIFYING, "client_allowed_sans": ["a"]}, "basic_auth_users": {"alice": hashed("a")}}


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            {"basic_auth_users": None},
            "web.yml.basic_auth_users: expected a user, as there was, got nobody. Put it back",
        ),
        ({"tls_server_config": None}, "web.yml.tls_server_config: expected a certificate, as there was, got nothing."),
        ({"tls_server_config": SERVER}, "web.yml.tls_server_config.client_auth_type: expected the old policy or a str"),
        ({"tls_server_config": VERIFYING}, "web.yml.tls_server_config.client_allowed_sans: expected a name, as there"),
    ],
)
def test_what_protects_is_taken_away_only_by_a_restart(certificates, write, missing, message):
    path = write(FULL)
    config = WebConfig(path)
    before = config.current
    problems = change(config, path, json.dumps({**FULL, **missing}))
    assert problems[0].startswith(message)
    assert config.current is before
    assert WebConfig(path)


def test_what_protects_is_added_at_once(certificates, write):
    path = write({})
    config = WebConfig(path)
    assert change(config, path, json.dumps(FULL)) == []
    assert config.current.users
    assert config.current.tls


def test_a_reload_takes_over_at_once(certificates, write):
    path = write({"basic_auth_users": {"alice": hashed("a")}})
    config = WebConfig(path)
    path.write_text(json.dumps({"basic_auth_users": {"bob": hashed("a")}}))
    assert config.look(now=True) == ()
    assert list(config.current.users) == [b"bob"]


def test_at_the_start_everything_that_is_wrong_is_an_error(certificates, write):
    with pytest.raises(ConfigError, match="expected a mapping"):
        WebConfig(write(text=""))
