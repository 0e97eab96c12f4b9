"""The web configuration file, key by key: what is taken, what is refused and in which words."""

import ssl

import bcrypt
import pytest
import trustme
from certificates import hashed
from cryptography.hazmat.primitives import serialization

from ml_exporter.errors import ConfigError
from ml_exporter.web import Access, WebConfig
from ml_exporter.web.access.names import CURVES, DEFAULT_SUITES, SUITES, TLS13_SUITES
from ml_exporter.web.access.reading import read

HASH = hashed("secret")
SERVER = {"cert_file": "server.pem", "key_file": "server.key"}
VERIFYING = {**SERVER, "client_ca_file": "ca.pem", "client_auth_type": "RequireAndVerifyClientCert"}


@pytest.fixture
def taken(certificates, write):
    """Read a file that is fine."""

    def take(document=None, text=None) -> Access:
        reading = read(write(document, text))
        assert [str(problem) for problem in reading.problems] == []
        return reading.access

    return take


@pytest.fixture
def refused(certificates, write):
    """Return the texts of what is wrong with a file."""

    def refuse(document=None, text=None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            WebConfig(write(document, text))
        return [str(problem) for problem in caught.value.problems]

    return refuse


# What is taken


@pytest.mark.parametrize(
    "text", ["{}", "tls_server_config:", "basic_auth_users: {}", "http_server_config: {http2: false, headers:}"]
)
def test_a_file_may_ask_for_nothing(taken, text):
    assert taken(text=text) == Access()


def test_the_sample_of_the_toolkit_in_its_supported_part(taken, certificates):
    found = taken(
        {
            "tls_server_config": {
                **VERIFYING,
                "client_allowed_sans": ["prometheus.example"],
                "min_version": "TLS12",
                "max_version": "TLS13",
                "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"],
                "prefer_server_cipher_suites": True,
                "curve_preferences": ["CurveP256"],
            },
            "http_server_config": {
                "http2": False,
                "headers": {
                    "Strict-Transport-Security": "max-age=31536000",
                    "X-Frame-Options": "sameorigin",
                    "X-Content-Type-Options": "",
                },
            },
            "basic_auth_users": {"alice": HASH, "bob": HASH.replace("$2b$", "$2y$")},
        }
    )
    assert found.users == {b"alice": HASH.encode(), b"bob": HASH.replace("$2b$", "$2y$").encode()}
    assert found.headers == {"Strict-Transport-Security": "max-age=31536000", "X-Frame-Options": "sameorigin"}
    assert found.tls.allowed_names == {"prometheus.example"}
    assert found.tls.context.verify_mode == ssl.CERT_REQUIRED


def test_by_default_tls_is_1_2_or_1_3_with_authenticated_encryption_and_asks_nobody(taken):
    context = taken({"tls_server_config": SERVER}).tls.context
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert suites(context) == set(DEFAULT_SUITES)
    assert context.verify_mode == ssl.CERT_NONE
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.options & ssl.OP_NO_RENEGOTIATION


def suites(context):
    return {suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"}


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_that_go_holds_for_secure_can_be_chosen(taken, name):
    assert suites(taken({"tls_server_config": {**SERVER, "cipher_suites": [name]}}).tls.context) == {SUITES[name]}


@pytest.mark.parametrize("name", sorted(TLS13_SUITES))
def test_suites_of_tls_1_3_alone_leave_1_3_alone(taken, name):
    context = taken({"tls_server_config": {**SERVER, "cipher_suites": [name]}}).tls.context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("name", CURVES)
def test_every_curve_can_be_chosen(taken, name):
    assert taken({"tls_server_config": {**SERVER, "curve_preferences": [name]}}).tls


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("NoClientCert", ssl.CERT_NONE),
        ("RequestClientCert", ssl.CERT_NONE),
        ("VerifyClientCertIfGiven", ssl.CERT_OPTIONAL),
        ("RequireAndVerifyClientCert", ssl.CERT_REQUIRED),
    ],
)
def test_policies_for_clients(taken, policy, mode):
    section = {**SERVER, "client_auth_type": policy}
    if mode != ssl.CERT_NONE:
        section["client_ca_file"] = "ca.pem"
    assert taken({"tls_server_config": section}).tls.context.verify_mode == mode


def test_the_client_may_choose_the_suite(taken):
    context = taken({"tls_server_config": {**SERVER, "prefer_server_cipher_suites": False}}).tls.context
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE


def test_certificates_may_be_written_out(taken, certificates):
    inline = {
        "cert": (certificates.folder / "server.pem").read_text(),
        "key": (certificates.folder / "server.key").read_text(),
        "client_ca": "# Unsere Behörde\n" + certificates.ca.read_text(),
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    assert taken({"tls_server_config": inline}).tls.context.get_ca_certs()


def test_paths_are_relative_to_the_file_or_absolute(taken, certificates, monkeypatch):
    monkeypatch.chdir("/")
    key = str(certificates.folder / "server.key")
    assert taken({"tls_server_config": {"cert_file": "server.pem", "key_file": key}}).tls


# What is refused


def tls(**keys):
    return {"tls_server_config": {**SERVER, **keys}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "web.yml: expected a mapping, got nothing. Write some of: tls_server_config, http_server_config, "),
        (["alice:secret"], "web.yml: expected a mapping, got something else."),
        ({"users": {}}, "web.yml.users: expected a known key, got an unknown one. Remove it, or use one of: tls_"),
        ({"rate_limit": {"burst": 3}}, "web.yml.rate_limit: expected nothing, got a part that is not supported. Rem"),
        (tls(certs="x"), "web.yml.tls_server_config.certs: expected a known key, got an unknown one. Remove it"),
        (tls(cert=7), "web.yml.tls_server_config.cert: expected a text, got 7. Put it in quotes."),
        (tls(min_version="TLS11"), "web.yml.tls_server_config.min_version: expected TLS12 or TLS13, got 'TLS11'. Old"),
        (tls(min_version="TLS10"), "web.yml.tls_server_config.min_version: expected TLS12 or TLS13, got 'TLS10'. Old"),
        (tls(max_version="1.3"), "web.yml.tls_server_config.max_version: expected TLS12 or TLS13, got '1.3'. Write"),
        (
            tls(min_version="TLS13", max_version="TLS12"),
            "web.yml.tls_server_config.max_version: expected TLS13, as min_version, got 'TLS12'. Swap them.",
        ),
        (
            tls(cipher_suites=["TLS_RSA_WITH_RC4_128_SHA"]),
            "web.yml.tls_server_config.cipher_suites: expected suites that Go holds for secure, "
            "got 'TLS_RSA_WITH_RC4_128_SHA'. Leave cipher_suites out, or use some of: TLS_ECDHE_",
        ),
        (
            tls(cipher_suites=["TLS_AES_128_GCM_SHA256"], max_version="TLS12"),
            "web.yml.tls_server_config.cipher_suites: expected a suite of TLS 1.2, got suites of TLS 1.3 alone.",
        ),
        (tls(cipher_suites="HIGH"), "web.yml.tls_server_config.cipher_suites: expected a list"),
        (
            tls(curve_preferences=["P256"]),
            "web.yml.tls_server_config.curve_preferences: expected one of CurveP256, CurveP384, CurveP521, X25519, got",
        ),
        (
            tls(curve_preferences=["X25519", "CurveP256"]),
            "web.yml.tls_server_config.curve_preferences: expected one curve, got 2 curves. Leave it out",
        ),
        (
            tls(prefer_server_cipher_suites="yes"),
            "web.yml.tls_server_config.prefer_server_cipher_suites: expected true or false, got 'yes'.",
        ),
        (
            tls(client_auth_type="RequireAnyClientCert"),
            "web.yml.tls_server_config.client_auth_type: expected one of NoClientCert, RequestClientCert, "
            "VerifyClientCertIfGiven, RequireAndVerifyClientCert, got 'RequireAnyClientCert'. A certificate that",
        ),
        (tls(client_auth_type="RequireClientCert"), "web.yml.tls_server_config.client_auth_type: expected one of NoCl"),
        (tls(client_auth_type="Maybe"), "web.yml.tls_server_config.client_auth_type: expected one of NoClientCert, "),
        (
            tls(client_auth_type="RequireAndVerifyClientCert"),
            "web.yml.tls_server_config.client_ca_file: expected a file, got nothing. Name the authority",
        ),
        (
            tls(client_ca_file="ca.pem"),
            "web.yml.tls_server_config.client_auth_type: expected a policy that verifies, got 'NoClientCert'. Add",
        ),
        (
            tls(client_ca_file="server.key", client_auth_type="RequireAndVerifyClientCert"),
            "web.yml.tls_server_config.client_ca_file: expected certificates in PEM, got something else. Mend the file",
        ),
        (
            tls(client_ca_file="no.pem", client_auth_type="RequireAndVerifyClientCert"),
            "web.yml.tls_server_config.client_ca_file no.pem: expected a readable file, got No such file or directory.",
        ),
        (
            tls(client_ca_file="ca.pem", client_auth_type="VerifyClientCertIfGiven", client_allowed_sans=["a"]),
            "web.yml.tls_server_config.client_allowed_sans: expected clients that must send a certificate, got 'Verify",
        ),
        (
            {"tls_server_config": {**VERIFYING, "client_allowed_sans": []}},
            "web.yml.tls_server_config.client_allowed_sans: expected a name, got an empty list. Add one",
        ),
        (
            {"tls_server_config": {"cert_file": "server.pem"}},
            "web.yml.tls_server_config.key_file: expected a file, got nothing. Add key_file.",
        ),
        (
            {"tls_server_config": {"key_file": "server.key"}},
            "web.yml.tls_server_config.cert_file: expected a file, got nothing. Add cert_file.",
        ),
        (tls(cert="PEM"), "web.yml.tls_server_config.cert: expected nothing beside cert_file, got both. Remove one"),
        (
            tls(cert_file="server.key"),
            "web.yml.tls_server_config: expected a certificate and its key, got something that is no such pair. Give",
        ),
        (tls(cert_file="no.pem"), "web.yml.tls_server_config.cert_file no.pem: expected a readable file, got No such"),
        (tls(cert_file="."), "web.yml.tls_server_config.cert_file .: expected a readable file, got Is a directory."),
        ({"http_server_config": {"http2": True}}, "web.yml.http_server_config.http2: expected false, got true, which"),
        (
            {"http_server_config": {"headers": {"Set-Cookie": "a=b"}}},
            "web.yml.http_server_config.headers.Set-Cookie: expected a header that may be set, got another one. Use",
        ),
        (
            {"http_server_config": {"headers": {"X-Frame-Options": "allow"}}},
            "web.yml.http_server_config.headers.X-Frame-Options: expected deny or sameorigin, got 'allow'. Write",
        ),
        (
            {"http_server_config": {"headers": {"X-Content-Type-Options": "sniff"}}},
            "web.yml.http_server_config.headers.X-Content-Type-Options: expected nosniff, got 'sniff'.",
        ),
        (
            {"http_server_config": {"headers": {"X-XSS-Protection": "1\r\nSet-Cookie: a=b"}}},
            "web.yml.http_server_config.headers.X-XSS-Protection: expected printable ASCII in one line, got ",
        ),
        ({"basic_auth_users": {7: HASH}}, "web.yml.basic_auth_users.7: expected a name, got 7. Put it in quotes."),
        (
            {"basic_auth_users": "alice:hunter2"},
            "web.yml.basic_auth_users: expected a mapping of names, got something else. Write `name: hash` below it",
        ),
        ({"basic_auth_users": {"a:b": HASH}}, "web.yml.basic_auth_users.a:b: expected a name without a colon, got"),
        (
            {"basic_auth_users": {"a": HASH.replace(f"${HASH[4:6]}$", "$19$")}},
            "web.yml.basic_auth_users.a: expected a hash of cost 4 to 18, got cost 19. Make a hash of cost 10",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_do(refused, document, message):
    problems = refused(document)
    assert len(problems) == 1
    assert problems[0].startswith(message), problems[0]
    assert problems[0].endswith(".")


@pytest.mark.parametrize(
    "value",
    ["hunter2", 20261126, None, ["hunter2"], HASH[:-1], HASH + "x", HASH.replace("$2b$", "$2x$"), HASH[:28] + "~" * 32,
     HASH[:7] + "z" * 53, "$apr1$hunter2"],
)  # fmt: skip
def test_what_is_no_hash_is_refused_and_not_repeated(refused, value):
    (problem,) = refused({"basic_auth_users": {"alice": value}})
    assert problem.startswith("web.yml.basic_auth_users.alice: expected a bcrypt hash, got something else. Make one")
    assert "hunter" not in problem
    assert "2026" not in problem


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(refused, certificates):
    plain = serialization.load_pem_private_key((certificates.folder / "server.key").read_bytes(), None)
    encrypted = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (certificates.folder / "server.key").write_bytes(encrypted)
    (problem,) = refused({"tls_server_config": SERVER})
    assert problem.startswith("web.yml.tls_server_config: expected a certificate and its key, got an encrypted key.")


def test_a_key_of_another_certificate_is_refused(refused, certificates):
    key = trustme.CA().issue_cert("other").private_key_pem.bytes()
    (certificates.folder / "server.key").write_bytes(key)
    (problem,) = refused({"tls_server_config": SERVER})
    assert "got a key of another certificate. Give a certificate with its chain" in problem


def test_everything_that_is_wrong_comes_at_once(refused):
    problems = refused(
        {
            "tls_server_config": {"cert_file": "no.pem", "min_version": "SSL3", "client_auth_type": "x"},
            "http_server_config": {"http2": "on"},
            "basic_auth_users": {"alice": "x", "bob": HASH, "a:b": "y"},
            "rate_limit": {},
            "colour": "red",
        }
    )
    assert sorted(problem.partition(": ")[0] for problem in problems) == [
        "web.yml.basic_auth_users.a:b",
        "web.yml.basic_auth_users.a:b",
        "web.yml.basic_auth_users.alice",
        "web.yml.colour",
        "web.yml.http_server_config.http2",
        "web.yml.rate_limit",
        "web.yml.tls_server_config.cert_file no.pem",
        "web.yml.tls_server_config.client_auth_type",
        "web.yml.tls_server_config.key_file",
        "web.yml.tls_server_config.min_version",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "web.yml line 1: expected a YAML document"),
        ("basic_auth_users: {a: x, a: y}", "web.yml line 1: expected a YAML document, got the key 'a' twice"),
        ("", "web.yml: expected a mapping, got nothing."),
    ],
)
def test_what_is_no_yaml_is_refused(refused, text, message):
    assert refused(text=text)[0].startswith(message)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a readable file, got No such file or directory"):
        WebConfig(tmp_path / "no.yml")
    (tmp_path / "web.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="expected a readable file, got text that is not UTF-8"):
        WebConfig(tmp_path / "web.yml")


def test_the_hash_that_the_message_asks_for_is_taken(taken):
    assert taken({"basic_auth_users": {"a": bcrypt.hashpw(b"x", bcrypt.gensalt(10)).decode()}}).users
