"""Certificates for a test, made by the ``openssl`` command."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
