from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from pierhead.client.errors import ConnectFailed
from pierhead.client.http import Connection, Hijacked
from pierhead.client.tls import tls_wrapper


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    line = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    )
    subprocess.run(line.split(), cwd=folder, check=True, capture_output=True)
    return folder


def _serve(folder: Path) -> tuple[socket.socket, int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def once() -> None:
        try:
            sock, _ = server.accept()
            with context.wrap_socket(sock, server_side=True) as secure:
                secure.sendall(b"hello")
        except OSError:
            pass

    threading.Thread(target=once, daemon=True).start()
    return server, server.getsockname()[1]


@pytest.mark.parametrize("verify", [True, False])
def test_a_trusted_daemon(certificate: Path, verify: bool) -> None:
    server, port = _serve(certificate)
    wrap = tls_wrapper(ca=str(certificate / "cert.pem"), cert=None, key=None, verify=verify)
    with server, wrap(socket.create_connection(("127.0.0.1", port)), "localhost") as secure:
        assert secure.recv(10) == b"hello"


def test_a_daemon_of_another_name(certificate: Path) -> None:
    server, port = _serve(certificate)
    wrap = tls_wrapper(ca=str(certificate / "cert.pem"), cert=None, key=None, verify=True)
    with server, pytest.raises(ConnectFailed, match="tls"):
        wrap(socket.create_connection(("127.0.0.1", port)), "elsewhere")


def test_half_closed(certificate: Path) -> None:
    """The end of input is told, and what the other side says after it still arrives."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def upper() -> None:
        sock, _ = server.accept()
        with context.wrap_socket(sock, server_side=True) as secure:
            data = b""
            while part := secure.recv(100):
                data += part
            secure.sendall(data.upper())

    thread = threading.Thread(target=upper)
    thread.start()
    wrap = tls_wrapper(ca=None, cert=None, key=None, verify=False)
    stream = Hijacked(
        Connection(wrap(socket.create_connection(server.getsockname()), "localhost")), True
    )
    stream.send(b"input")
    stream.close_write()
    assert stream.receive() == b"INPUT"
    stream.close()
    thread.join()
    server.close()


def test_files_that_are_not_there() -> None:
    with pytest.raises(ConnectFailed, match=r"open /nonexistent/ca.pem: no such file"):
        tls_wrapper(ca="/nonexistent/ca.pem", cert=None, key=None, verify=True)
