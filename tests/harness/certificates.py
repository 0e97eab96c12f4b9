"""Certificates for tests, made where they are used: an authority, a server, and clients that it does or does not know.

folder = Certificates(tmp_path)
folder.write_server()
folder.client("prometheus.example")   # paths of certificate and key
"""

from pathlib import Path

import bcrypt
import trustme

CHEAP = 4
"""The least cost of bcrypt, for passwords that are not there to be safe."""


def hashed(password: str, cost: int = CHEAP) -> str:
    """What a web configuration holds of a password; always the same, so that tests have names."""
    return bcrypt.hashpw(password.encode(), b"$2b$%02d$abcdefghijklmnopqrstuu" % cost).decode()


class Certificates:
    """A folder with `ca.pem`, `server.pem` and `server.key`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.write_server()

    def write_server(self, name: str = "localhost", authority: trustme.CA | None = None) -> None:
        """Write a new certificate and key for the server, over those that are there."""
        self._write((authority or self.authority).issue_cert(name, "127.0.0.1"), "server")

    def client(self, name: str, authority: trustme.CA | None = None) -> tuple[Path, Path]:
        """Certificate and key of a client. Another authority than ours makes it a stranger."""
        return self._write((authority or self.authority).issue_cert(name), f"client-{name}")

    def _write(self, made: trustme.LeafCert, name: str) -> tuple[Path, Path]:
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return certificate, key
