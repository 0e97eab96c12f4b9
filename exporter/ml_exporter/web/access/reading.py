"""Reads a web configuration file with what it names, and refuses it with every problem at once."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt

from ml_exporter.errors import Problem, shown
from ml_exporter.strict import read_parts

from ..connection import Tls
from .contexts import Material, tls_of
from .sections import PARTS, HttpServer, TlsServer

_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 19)
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""The headers that may be set, and the values of each; empty: any."""


@dataclass(frozen=True)
class Access:
    """Who may connect and ask, and what answers carry. Without a file everybody may, over plain HTTP."""

    tls: Tls | None = None
    users: Mapping[bytes, bytes] = field(default_factory=dict)
    """The bcrypt hash of each user's password; empty: nobody is asked."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What one reading of the file gave. `files` are those that it depends on."""

    access: Access
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]


def read(path: Path) -> Reading:
    """Read the file. Where there are problems, what it gives must not be used."""
    problems: list[Problem] = []
    files = [path]
    content = _content(path, str(path), "Give a path with --web.config.file", problems)
    if problems:
        return Reading(Access(), tuple(problems), tuple(files))
    try:
        text = content.decode()
    except UnicodeDecodeError:
        problems.append(Problem(str(path), "a readable file", "text that is not UTF-8", "Mend the file"))
        return Reading(Access(), tuple(problems), tuple(files))
    parts, found = read_parts(PARTS, text, path.name)
    problems += found
    tls = _tls(parts["tls_server_config"], path, files, problems) if parts.get("tls_server_config") else None
    headers = _headers(parts.get("http_server_config") or HttpServer(), f"{path.name}.http_server_config", problems)
    users = _users(parts.get("basic_auth_users") or {}, f"{path.name}.basic_auth_users", problems)
    if parts.get("rate_limit") is not None:
        action = "Remove it: a limit for all would shut out Prometheus, and each peer has limits of its own"
        problems.append(Problem(f"{path.name}.rate_limit", "nothing", "a part that is not supported", action))
    return Reading(Access(tls, users, headers), tuple(problems), tuple(files))


def _content(path: Path, where: str, action: str, problems: list[Problem]) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problems.append(Problem(where, "a readable file", str(reason), action))
        return b""


def _tls(section: TlsServer, path: Path, files: list[Path], problems: list[Problem]) -> Tls | None:
    """The TLS of a section; a section that sets nothing asks for none."""
    if section == TlsServer():
        return None
    where = f"{path.name}.tls_server_config"

    def material(name: str, inline: Any, file: str, needed: bool) -> bytes:
        if inline and file:
            action = "Remove one of them"
            problems.append(Problem(f"{where}.{name}", f"nothing beside {name}_file", "both", action))
        elif file:
            files.append(path.parent / file)
            return _content(files[-1], f"{where}.{name}_file {file}", "Mend the path or the file's rights", problems)
        elif inline and not isinstance(inline, str):
            problems.append(Problem(f"{where}.{name}", "PEM", "something else", "Write it as a block with `|`"))
        elif inline:
            return str(inline).encode()
        elif needed:
            problems.append(Problem(f"{where}.{name}_file", "a file", "nothing", f"Add {name}_file"))
        return b""

    found = Material(
        material("cert", section.cert, section.cert_file, needed=True),
        material("key", section.key, section.key_file, needed=True),
        material("client_ca", section.client_ca, section.client_ca_file, needed=False),
    )
    return tls_of(section, found, where, problems)


def _headers(section: HttpServer, where: str, problems: list[Problem]) -> Mapping[str, str]:
    if section.http2:
        action = "Write false or remove it: scrapes over HTTP/1.1 with a kept connection need no other"
        problems.append(Problem(f"{where}.http2", "false", "true, which is not supported", action))
    for name, value in (section.headers or {}).items():
        here = f"{where}.headers.{name}"
        if name not in _HEADERS:
            known = ", ".join(_HEADERS)
            problems.append(Problem(here, "a header that may be set", "another one", f"Use one of: {known}"))
        elif value and _HEADERS[name] and value not in _HEADERS[name]:
            expected = " or ".join(_HEADERS[name])
            problems.append(Problem(here, expected, shown(value), "Write it like this, or leave it empty"))
        elif not value.isascii() or not (value.isprintable() or not value):
            problems.append(Problem(here, "printable ASCII in one line", shown(value), "Remove other characters"))
    return {name: value for name, value in (section.headers or {}).items() if value}


def _users(given: Any, where: str, problems: list[Problem]) -> Mapping[bytes, bytes]:
    users: dict[bytes, bytes] = {}
    if not isinstance(given, dict):
        action = "Write `name: hash` below it, for each user"
        problems.append(Problem(where, "a mapping of names", "something else", action))
        return users
    for name, value in given.items():
        found = _HASH.fullmatch(value) if isinstance(value, str) else None
        if not isinstance(name, str):
            problems.append(Problem(f"{where}.{name}", "a name", shown(name), "Put it in quotes"))
            continue
        if ":" in name:
            action = "Choose another: in a request it would end at the colon"
            problems.append(Problem(f"{where}.{name}", "a name without a colon", shown(name), action))
        if not found or not _is_canonical(value):
            action = "Make one with `htpasswd -nBC 10 NAME`; a password in plain text was never meant to be here"
            problems.append(Problem(f"{where}.{name}", "a bcrypt hash", "something else", action))
        elif int(found[1]) not in _COSTS:
            action = "Make a hash of cost 10: each step doubles the time of a check"
            problems.append(Problem(f"{where}.{name}", "a hash of cost 4 to 18", f"cost {int(found[1])}", action))
        else:
            users[name.encode()] = value.encode()
    return users


def _is_canonical(hashed: str) -> bool:
    """Whether bcrypt takes the hash, tried at the least cost: its last bits may be impossible."""
    with suppress(ValueError):
        bcrypt.checkpw(b"", f"{hashed[:4]}04{hashed[6:]}".encode())
        return True
    return False
