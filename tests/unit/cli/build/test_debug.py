from __future__ import annotations

import os
import socket
import threading

import pytest

from pierhead.cli.build import debug
from pierhead.cli.errors import CliError
from pierhead.client import build_wire as wire
from pierhead.client.http import Connection, Hijacked
from support.fake_cli import run

KEPT = [{"id": "abc", "build_ref": "r", "name": "RUN x", "expires": "soon"}]


def test_what_is_kept() -> None:
    result = run("build debug", {"GET /pierhead/build/debug": KEPT})
    assert result.out.splitlines()[1].split() == ["abc", "r", "RUN", "x", "soon"]


def test_dropping() -> None:
    result = run("build debug --rm abc", {"DELETE /pierhead/build/debug/abc": {}})
    assert result.out == "abc\n"
    assert run("build debug --rm").err == "ERROR: name the steps to drop\n"


def test_output_and_the_exit_code(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    os.write(writer, b"typed")
    os.close(writer)
    kept = os.dup(0)
    os.dup2(reader, 0)
    got: list[tuple[int, int, bytes]] = []

    def serve() -> None:
        decoder = wire.Decoder()
        while not any(kind == wire.LAST for kind, _, _ in got):
            got.extend(decoder.feed(theirs.recv(1000)))
        theirs.sendall(wire.frame(wire.DATA, wire.DEBUG_OUTPUT, b"out"))
        theirs.sendall(wire.frame(wire.DATA, wire.DEBUG_ERRORS, b"err"))
        theirs.sendall(wire.json_frame(wire.EXITED, 0, {"exit_code": 3}))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert debug._pump(Hijacked(Connection(ours), False), False, (0, 0)) == 3
    finally:
        os.dup2(kept, 0)
        for fd in (kept, reader):
            os.close(fd)
        thread.join(30)
        theirs.close()
        ours.close()
    assert got[0] == (wire.DATA, wire.DEBUG_INPUT, b"typed")
    seen = capfdbinary.readouterr()
    assert (seen.out, seen.err) == (b"out", b"err")


def test_a_daemon_that_leaves() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises((CliError, BrokenPipeError)):
        debug._pump(Hijacked(Connection(ours), False), True, (0, 0))
    ours.close()
