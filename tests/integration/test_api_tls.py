"""The Engine API over TLS: client certificates, and streams with half-close."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Pierd

pytestmark = pytest.mark.root


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server/cert (client) pairs signed by it."""
    folder = tmp_path_factory.mktemp("certificates")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        folder, "req", "-x509", *new, "-days", "2", "-subj", "/CN=ca",
        "-keyout", "ca-key.pem", "-out", "ca.pem",
    )  # fmt: skip
    for name, key, usage in (("server", "server-key", "serverAuth"), ("cert", "key", "clientAuth")):
        openssl(
            folder, "req", *new, "-subj", f"/CN={name}",
            "-keyout", f"{key}.pem", "-out", f"{name}.csr",
        )  # fmt: skip
        (folder / f"{name}.ext").write_text(
            f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n"
        )
        openssl(
            folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem",
            "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", f"{name}.ext",
            "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def address(certificates: Path) -> Iterator[str]:
    """A pierd with one image behind TLS; its host:port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pierd = Pierd(
        "tls",
        hosts=[f"tcp://127.0.0.1:{port}"],
        extra=[
            "--tlsverify",
            *("--tlscacert", str(certificates / "ca.pem")),
            *("--tlscert", str(certificates / "server.pem")),
            *("--tlskey", str(certificates / "server-key.pem")),
        ],
    )
    try:
        pierd.start()
        answer = pierd.api.post("/pierhead/images/bootstrap?spec=busybox", timeout_s=120)
        assert answer.status == 200, answer.body
        yield f"127.0.0.1:{port}"
    finally:
        pierd.destroy()


def clients() -> list[str]:
    return sorted({path for path in map(shutil.which, ("docker", "/usr/bin/docker")) if path})


@pytest.mark.skipif(not clients(), reason="no docker command on this machine")
@pytest.mark.parametrize("client", clients())
def test_output_after_the_end_of_input(address: str, certificates: Path, client: str) -> None:
    done = subprocess.run(
        [
            *("timeout", "-s", "KILL", "30", client, "--tlsverify", "-H", f"tcp://{address}"),
            *("run", "-i", "--rm", "busybox", "sh", "-c", "cat; sleep 0.5; echo after"),
        ],
        input=b"over TLS\n",
        capture_output=True,
        env={
            "DOCKER_CERT_PATH": str(certificates),
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
        },
        timeout=60,
    )
    assert (done.stdout, done.returncode) == (b"over TLS\nafter\n", 0), done.stderr


def test_without_a_certificate_nobody_gets_in(address: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, _, port = address.partition(":")
    with (
        socket.create_connection((host, int(port)), 10) as raw,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
        context.wrap_socket(raw) as secure,
    ):
        secure.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        assert not secure.recv(1024)
        raise ConnectionResetError


def test_plain_http_gets_no_answer(address: str) -> None:
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), 10) as raw:
        raw.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        raw.settimeout(10)
        try:
            assert b"HTTP/1.1 200" not in raw.recv(1024)
        except ConnectionResetError:
            pass
