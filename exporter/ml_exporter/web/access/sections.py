"""The web configuration file, key by key: the format of Prometheus' exporter-toolkit.

A blank value is one that is not given, as there. Types are wide where a value is a secret or has a meaning in Go
that it cannot have here: what is wrong with those is said in `reading`, which does not repeat secrets.
"""

from typing import Any

from ml_exporter.strict import Section


class TlsServer(Section, frozen=True):
    """`tls_server_config`."""

    cert: str = ""
    key: Any = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: str = ""
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] | None = None
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] | None = None


class HttpServer(Section, frozen=True):
    """`http_server_config`."""

    http2: bool = False
    headers: dict[str, str] | None = None


PARTS: dict[str, Any] = {
    "tls_server_config": TlsServer | None,
    "http_server_config": HttpServer | None,
    "basic_auth_users": Any,
    "rate_limit": Any,
}
"""The type of each part of the file."""
