"""Certificates for a test, made by the ``openssl`` command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import own_redis as servers
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from pathlib import Path


class Identity(NamedTuple):
    """What a server needs to speak TLS."""

    certificate: Path
    key: Path
    authority: Path

    def options(self, port: int, *, clients: bool = False) -> dict[str, str]:
        """Return the options of a server, by their names in a configuration file.

        Args:
            port: Where to speak it.
            clients: Whether clients must have a certificate as well.
        """
        return {
            "tls-port": str(port),
            "tls-cert-file": str(self.certificate),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.authority),
            "tls-auth-clients": "yes" if clients else "no",
        }


class TlsServer(RedisServer):
    """A server with a TLS port beside the plain one.

    Args:
        identity: Its certificate.
        *options: As for any server.
        clients: Whether clients must have a certificate as well.
    """

    def __init__(self, identity: Identity, *options: str, clients: bool = False) -> None:
        self.tls_port = servers._free_port()
        tls = identity.options(self.tls_port, clients=clients)
        super().__init__(*(part for name in tls for part in (f"--{name}", tls[name])), *options)


class Certificates:
    """A certificate authority and what it has signed.

    Args:
        folder: Where the files go.

    Attributes:
        authority: The authority's certificate (PEM).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = folder / "authority.crt"
        self._key = folder / "authority.key"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", self._key, "-out", self.authority, "-days", "2", "-subj", "/CN=authority",
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name: str, *alternatives: str) -> tuple[Path, Path]:
        """Return a certificate and its key.

        Args:
            name: Its common name, and the name of the files.
            *alternatives: What it is good for, such as ``IP:127.0.0.1``.
        """
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(
            "authorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\n"
            f"subjectAltName={','.join(alternatives or (f'DNS:{name}',))}\n"
        )
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/CN={name}",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self._key,
            "-CAcreateserial", "-out", certificate, "-days", "2", "-extfile", extensions,
        )  # fmt: skip
        return certificate, key

    def lock(self, key: Path, password: str) -> Path:
        """Return a file with the same key that opens with a password."""
        locked = key.with_suffix(".locked")
        self._openssl(
            *("pkey", "-in", key, "-aes256", "-passout", f"pass:{password}", "-out", locked)
        )
        return locked

    def identity(self) -> Identity:
        """Return what a server on this machine needs."""
        return Identity(*self.issue("server", "IP:127.0.0.1"), self.authority)

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
