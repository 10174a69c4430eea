from __future__ import annotations

import socket

import pytest

from pierhead.client.errors import ConnectFailed
from pierhead.client.http import Client
from pierhead.client.tcp import open_tcp


def test_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = open_tcp(f"127.0.0.1:{server.getsockname()[1]}", None)
        peer, _ = server.accept()
        sock.sendall(b"x")
        assert peer.recv(10) == b"x"
        sock.close()
        peer.close()


def test_tls_gets_the_name() -> None:
    names: list[str] = []

    def wrap(sock: socket.socket, name: str) -> socket.socket:
        names.append(name)
        return sock

    with socket.create_server(("127.0.0.1", 0)) as server:
        open_tcp(f"127.0.0.1:{server.getsockname()[1]}", wrap).close()
    assert names == ["127.0.0.1"]


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectFailed, match=f"at tcp://127.0.0.1:{port}"):
        Client(f"tcp://127.0.0.1:{port}").get("/info")
