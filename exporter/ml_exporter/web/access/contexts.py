"""From `tls_server_config` to what a handshake needs, or to everything that is wrong with it."""

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ml_exporter.errors import Problem, shown

from ..connection import Tls
from .names import (
    CURVES,
    DEFAULT_SUITES,
    OLD_VERSIONS,
    POLICIES,
    SUITES,
    TLS13_SUITES,
    UNVERIFIED_POLICIES,
    VERSIONS,
)
from .sections import TlsServer


@dataclass(frozen=True)
class Material:
    """Certificates and key in PEM, as they were found; empty where there is none or it could not be read."""

    certificate: bytes
    key: bytes
    client_ca: bytes


def tls_of(section: TlsServer, material: Material, where: str, problems: list[Problem]) -> Tls | None:
    """What a handshake needs; None if something is wrong, which is appended to `problems`."""
    before = len(problems)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET  # a ticket would outlive a client's certificate
    context.num_tickets = 0
    _set_versions(context, section, where, problems)
    _set_suites(context, section, where, problems)
    _set_curve(context, section, where, problems)
    _set_clients(context, section, material.client_ca, where, problems)
    if material.certificate and material.key:
        _set_certificate(context, material, where, problems)
    names = frozenset(section.client_allowed_sans or ())
    return Tls(context, names) if len(problems) == before else None


def _set_versions(context: ssl.SSLContext, section: TlsServer, where: str, problems: list[Problem]) -> None:
    given = {"min_version": section.min_version, "max_version": section.max_version}
    before = len(problems)
    for name, version in given.items():
        if version not in VERSIONS:
            why = "Older versions are broken; every Prometheus speaks TLS 1.2" if version in OLD_VERSIONS else ""
            action = why or "Write TLS12 or TLS13"
            problems.append(Problem(f"{where}.{name}", "TLS12 or TLS13", shown(version), action))
    if len(problems) == before and given == {"min_version": "TLS13", "max_version": "TLS12"}:
        problems.append(Problem(f"{where}.max_version", "TLS13, as min_version", "'TLS12'", "Swap them"))
    if len(problems) == before:
        context.minimum_version, context.maximum_version = (VERSIONS[version] for version in given.values())


def _set_suites(context: ssl.SSLContext, section: TlsServer, where: str, problems: list[Problem]) -> None:
    asked = section.cipher_suites or ()
    for name in asked:
        if name not in SUITES and name not in TLS13_SUITES:
            action = f"Leave cipher_suites out, or use some of: {', '.join(SUITES)}"
            problems.append(
                Problem(f"{where}.cipher_suites", "suites that Go holds for secure", shown(name, 80), action)
            )
    chosen = [SUITES[name] for name in asked if name in SUITES] if asked else DEFAULT_SUITES
    if chosen:
        context.set_ciphers(":".join(chosen))
    elif section.max_version == "TLS12":
        action = "Leave cipher_suites out, or let max_version be TLS13"
        problems.append(Problem(f"{where}.cipher_suites", "a suite of TLS 1.2", "suites of TLS 1.3 alone", action))
    elif context.minimum_version < ssl.TLSVersion.TLSv1_3:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if section.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _set_curve(context: ssl.SSLContext, section: TlsServer, where: str, problems: list[Problem]) -> None:
    asked = section.curve_preferences or ()
    for name in asked:
        if name not in CURVES:
            problems.append(
                Problem(f"{where}.curve_preferences", f"one of {', '.join(CURVES)}", shown(name), "Name another curve")
            )
    if len(asked) > 1:
        action = "Leave it out, which allows all of them, or name one: Python's ssl sets one or all"
        problems.append(Problem(f"{where}.curve_preferences", "one curve", f"{len(asked)} curves", action))
    elif asked and asked[0] in CURVES:
        context.set_ecdh_curve(CURVES[asked[0]])


def _set_clients(
    context: ssl.SSLContext, section: TlsServer, client_ca: bytes, where: str, problems: list[Problem]
) -> None:
    policy, has_ca = section.client_auth_type, bool(section.client_ca_file or section.client_ca)
    if policy not in POLICIES:
        action = "Write one of these"
        if policy in UNVERIFIED_POLICIES:
            action = "A certificate that nobody verifies proves nothing: use RequireAndVerifyClientCert"
        expected = f"one of {', '.join(name for name in POLICIES if name)}"
        problems.append(Problem(f"{where}.client_auth_type", expected, shown(policy), action))
        return
    verifies = POLICIES[policy] != ssl.CERT_NONE
    if has_ca and not verifies:
        action = "Add client_auth_type: RequireAndVerifyClientCert, or remove the authority"
        problems.append(
            Problem(f"{where}.client_auth_type", "a policy that verifies", shown(policy or "NoClientCert"), action)
        )
    if verifies and not has_ca:
        action = "Name the authority that signs your clients' certificates; those of the system sign anybody's"
        problems.append(Problem(f"{where}.client_ca_file", "a file", "nothing", action))
    if section.client_allowed_sans is not None and POLICIES[policy] != ssl.CERT_REQUIRED:
        action = "Add client_auth_type: RequireAndVerifyClientCert: who sends no certificate has no name"
        problems.append(
            Problem(f"{where}.client_allowed_sans", "clients that must send a certificate", shown(policy), action)
        )
    if section.client_allowed_sans == ():
        problems.append(
            Problem(f"{where}.client_allowed_sans", "a name", "an empty list", "Add one, or remove the key")
        )
    if client_ca and verifies:
        context.verify_mode = POLICIES[policy]
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an authority that was named is trusted, as in Go
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            name = "client_ca_file" if section.client_ca_file else "client_ca"
            problems.append(Problem(f"{where}.{name}", "certificates in PEM", "something else", "Mend the file"))


def _set_certificate(context: ssl.SSLContext, material: Material, where: str, problems: list[Problem]) -> None:
    def refuse() -> str:
        raise ValueError("an encrypted key")

    try:
        with _files({"cert": material.certificate, "key": material.key}) as paths:
            context.load_cert_chain(paths["cert"], paths["key"], password=refuse)
    except (ssl.SSLError, ValueError) as error:
        got = str(error) if isinstance(error, ValueError) and "encrypted" in str(error) else _reason(error)
        action = "Give a certificate with its chain, and its key without a password, both in PEM"
        problems.append(Problem(where, "a certificate and its key", got, action))


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "a key of another certificate"
    return "something that is no such pair"


@contextmanager
def _files(contents: Mapping[str, bytes]) -> Iterator[Mapping[str, str]]:
    """Paths of files in memory: `ssl` reads certificates from paths alone, and a key must not go onto a disk."""
    opened = {}
    try:
        for name, content in contents.items():
            opened[name] = os.memfd_create(name)
            with os.fdopen(os.dup(opened[name]), "wb") as file:
                file.write(content)
        yield {name: f"/proc/self/fd/{number}" for name, number in opened.items()}
    finally:
        for number in opened.values():
            os.close(number)
