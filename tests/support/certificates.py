"""A certificate authority for tests, by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


class Authority:
    """``ca`` is its certificate; ``issue`` makes pairs signed by it. Good for two days."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl program here to make certificates with")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = folder / "ca.pem"
        openssl(
            folder, "req", "-x509", *_NEW, "-days", "2", "-subj", f"/CN={name}",
            "-keyout", "ca-key.pem", "-out", "ca.pem",
        )  # fmt: skip

    def issue(
        self, name: str, *, names: str = "DNS:localhost,IP:127.0.0.1,IP:::1", client: bool = False
    ) -> tuple[Path, Path]:
        """(certificate, key) for a server of these names, or for a client."""
        usage = "clientAuth" if client else "serverAuth"
        openssl(
            self.folder, "req", *_NEW, "-subj", f"/CN={name}",
            "-keyout", f"{name}-key.pem", "-out", f"{name}.csr",
        )  # fmt: skip
        (self.folder / f"{name}.ext").write_text(
            f"subjectAltName={names}\nextendedKeyUsage={usage}\n"
        )
        openssl(
            self.folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem",
            "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", f"{name}.ext",
            "-out", f"{name}.pem",
        )  # fmt: skip
        return self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
