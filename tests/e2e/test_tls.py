"""tcp with client certificates: let in who has one, and nobody else."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.command import Command
from support.daemon import Pierd

from .conftest import CLIENTS, GIVEN_HOST, make_command

pytestmark = pytest.mark.skipif(bool(GIVEN_HOST), reason="starts a pierd of its own")


@dataclass(frozen=True)
class Certificates:
    folder: Path

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


def make_certificates(folder: Path) -> Certificates:
    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    for authority in ("ca", "other-ca"):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", f"/CN={authority}"),
            *("-keyout", f"{authority}-key.pem", "-out", f"{authority}.pem"),
        )
    for name, authority, usage in (
        ("server", "ca", "serverAuth"),
        ("client", "ca", "clientAuth"),
        ("stranger", "other-ca", "clientAuth"),
    ):
        openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", f"/CN={name}", "-keyout", f"{name}-key.pem", "-out", f"{name}.csr"),
        )
        (folder / f"{name}.ext").write_text(
            f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={usage}\n"
        )
        openssl(
            *("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{authority}.pem"),
            *("-CAkey", f"{authority}-key.pem", "-CAcreateserial"),
            *("-extfile", f"{name}.ext", "-out", f"{name}.pem"),
        )
    return Certificates(folder)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(certificates: Certificates) -> Iterator[str]:
    """host:port of a pierd that wants certificates."""
    port = free_port()
    pierd = Pierd(
        "tls",
        hosts=[f"tcp://127.0.0.1:{port}"],
        extra=[
            "--tlsverify",
            *("--tlscacert", certificates["ca.pem"]),
            *("--tlscert", certificates["server.pem"]),
            *("--tlskey", certificates["server-key.pem"]),
        ],
    )
    try:
        pierd.start()
        yield f"127.0.0.1:{port}"
    finally:
        pierd.destroy()


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, address: str) -> Command:
    return make_command(request.param, f"tcp://{address}")


def flags(certificates: Certificates, who: str = "client") -> tuple[str, ...]:
    return (
        "--tlsverify",
        *("--tlscacert", certificates["ca.pem"]),
        *("--tlscert", certificates[f"{who}.pem"]),
        *("--tlskey", certificates[f"{who}-key.pem"]),
    )


def test_with_a_certificate(client: Command, certificates: Certificates) -> None:
    done = client(*flags(certificates), "version", "--format", "{{.Server.Version}}")
    assert done.out


def test_by_environment(client: Command, certificates: Certificates, tmp_path: Path) -> None:
    for name, source in (("ca", "ca"), ("cert", "client"), ("key", "client-key")):
        (tmp_path / f"{name}.pem").write_text(Path(certificates[f"{source}.pem"]).read_text())
    env = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    assert client("ps", "-q", env=env).returncode == 0


def test_without_a_certificate(client: Command, certificates: Certificates) -> None:
    client.fails("--tls", "--tlscacert", certificates["ca.pem"], "ps")


def test_with_a_strangers_certificate(client: Command, certificates: Certificates) -> None:
    client.fails(*flags(certificates, "stranger"), "ps")


def test_without_tls(client: Command, address: str) -> None:
    client.fails("ps")
    with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), 5) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        try:
            assert b"200 OK" not in plain.recv(1000)
        except ConnectionResetError:
            pass


def test_a_client_that_says_nothing_blocks_nobody(address: str, certificates: Certificates) -> None:
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5):
        client = make_command("pier", f"tcp://{address}")
        begin = time.monotonic()
        client(*flags(certificates), "version")
        assert time.monotonic() - begin < 5


def test_the_server_is_checked(client: Command, certificates: Certificates) -> None:
    client.fails(
        "--tlsverify",
        *("--tlscacert", certificates["other-ca.pem"]),
        *("--tlscert", certificates["client.pem"]),
        *("--tlskey", certificates["client-key.pem"]),
        "version",
        "--format",
        "{{.Server.Version}}",
    )


def test_plain_tcp_is_warned_of(tmp_path: Path) -> None:
    port = free_port()
    pierd = Pierd("plain", hosts=[f"tcp://127.0.0.1:{port}"])
    try:
        pierd.start()
        time.sleep(0.2)
        log = pierd.tail().lower()
    except AssertionError as refused:
        log = str(refused).lower()
    finally:
        pierd.destroy()
    assert "tls" in log and str(port) in log


def test_missing_files_are_named(tmp_path: Path) -> None:
    pierd = Pierd(
        "bad",
        hosts=[f"tcp://127.0.0.1:{free_port()}"],
        extra=["--tlsverify", "--tlscacert", str(tmp_path / "nothing.pem")],
    )
    try:
        with pytest.raises(AssertionError, match=r"nothing\.pem|tlscert"):
            pierd.start()
    finally:
        pierd.destroy()


def test_builds(client: Command, certificates: Certificates, tmp_path: Path) -> None:
    """Contexts go up, messages and files come down, over hijacked connections as well."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY file /\n")
    (tmp_path / "file").write_bytes(bytes(6 << 20))
    for buildkit in ("0", "1") if client.name == "docker20" else ("0",):
        env = {"DOCKER_BUILDKIT": buildkit}
        arguments = (*flags(certificates), "build", "-q", "-t", f"tls{buildkit}", str(tmp_path))
        assert client(*arguments, env=env).out.startswith("sha256:")
    if client.name == "pier":
        out = tmp_path / "out"
        client(*flags(certificates), "build", "-q", "-o", str(out), str(tmp_path))
        assert (out / "file").stat().st_size == 6 << 20
