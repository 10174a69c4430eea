from __future__ import annotations

import os
import socket
import threading

import pytest

from pierhead.cli.buildx.dial_stdio import dial_stdio
from pierhead.client.http import Connection, Hijacked


class Cli:
    def __init__(self, sock: socket.socket) -> None:
        self.client = self
        self.sock = sock
        self.asked = ""

    def hijack(self, path: str, *, upgrade: str) -> Hijacked:
        self.asked = f"{path} {upgrade}"
        return Hijacked(Connection(self.sock), False)


def test_bytes_go_both_ways(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    os.write(writer, b"question")
    os.close(writer)
    kept = os.dup(0)
    os.dup2(reader, 0)
    got: list[bytes] = []

    def serve() -> None:
        while data := theirs.recv(100):
            got.append(data)
        theirs.sendall(b"answer")
        theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    cli = Cli(ours)
    try:
        dial_stdio(cli, None, [])  # type: ignore[arg-type]
    finally:
        os.dup2(kept, 0)
        for fd in (kept, reader):
            os.close(fd)
        thread.join(30)
        ours.close()
    assert b"".join(got) == b"question" and cli.asked == "/grpc h2c"
    assert capfdbinary.readouterr().out == b"answer"
