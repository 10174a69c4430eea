from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.streams import Demultiplexer, Detached, poll_two, pump
from pierhead.cli.terminal import DetachKeys
from pierhead.client.http import Connection, Hijacked
from support.wire_daemon import frame


class Ends:
    """Pipes for stdin, stdout and stderr, and the daemon's end of the connection."""

    def __init__(self) -> None:
        ours, self.daemon = socket.socketpair()
        self.stream = Hijacked(Connection(ours), True)
        self.ours = ours
        self.stdin, self.type = os.pipe()
        self.shown, self.stdout = os.pipe()
        self.complained, self.stderr = os.pipe()

    def close(self) -> None:
        for fd in (self.stdin, self.type, self.shown, self.stdout, self.complained, self.stderr):
            try:
                os.close(fd)
            except OSError:
                pass
        self.ours.close()
        self.daemon.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


STREAM = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more" * 1000)


@pytest.mark.parametrize("step", [1, 3, 7, 8, 9, 1000, 100000])
def test_frames_come_in_any_pieces(ends: Ends, step: int) -> None:
    demultiplexer = Demultiplexer({1: ends.stdout, 2: ends.stderr})
    for start in range(0, len(STREAM), step):
        demultiplexer.feed(STREAM[start : start + step])
    assert os.read(ends.shown, 10000) == b"out" + b"more" * 1000
    assert os.read(ends.complained, 100) == b"err"


def test_streams_nobody_wants_are_dropped(ends: Ends) -> None:
    Demultiplexer({2: ends.stderr}).feed(STREAM)
    assert os.read(ends.complained, 100) == b"err"


def test_an_error_in_the_stream() -> None:
    with pytest.raises(CliError, match="error from daemon in stream: it broke"):
        Demultiplexer({}).feed(frame(3, b"it broke"))


def test_output_until_its_end(ends: Ends) -> None:
    ends.daemon.sendall(STREAM)
    ends.daemon.close()
    pump(ends.stream, stdin=None, stdout=ends.stdout, stderr=ends.stderr, tty=False)
    assert os.read(ends.shown, 10000).startswith(b"outmore")


def test_output_that_came_with_the_head(ends: Ends) -> None:
    ends.stream.connection.buffer = frame(1, b"early")
    ends.daemon.close()
    pump(ends.stream, stdin=None, stdout=ends.stdout, stderr=None, tty=False)
    assert os.read(ends.shown, 100) == b"early"


def test_the_end_of_input_is_passed_on_and_output_goes_on(ends: Ends) -> None:
    def daemon() -> None:
        data = b""
        while part := ends.daemon.recv(100):
            data += part
        ends.daemon.sendall(frame(1, data.upper()))
        ends.daemon.close()

    thread = threading.Thread(target=daemon)
    thread.start()
    os.write(ends.type, b"input")
    os.close(ends.type)
    pump(ends.stream, stdin=ends.stdin, stdout=ends.stdout, stderr=None, tty=False)
    thread.join()
    assert os.read(ends.shown, 100) == b"INPUT"


def test_much_input_against_much_output(ends: Ends) -> None:
    """Neither side may wait for the other: a cat of megabytes in both directions."""
    size = 8 << 20
    total = 0

    def daemon() -> None:
        # Sends before it reads, so that a client that only sends would never end.
        while part := ends.daemon.recv(1 << 16):
            ends.daemon.sendall(part)
        ends.daemon.close()

    def typist() -> None:
        block = b"x" * (1 << 16)
        for _ in range(size >> 16):
            os.write(ends.type, block)
        os.close(ends.type)

    def reader() -> None:
        nonlocal total
        while total < size and (part := os.read(ends.shown, 1 << 16)):
            total += len(part)

    threads = [threading.Thread(target=one) for one in (daemon, typist, reader)]
    for thread in threads:
        thread.start()
    pump(ends.stream, stdin=ends.stdin, stdout=ends.stdout, stderr=None, tty=True)
    for thread in threads:
        thread.join(10)
    assert total == size


def test_detach(ends: Ends) -> None:
    os.write(ends.type, b"ls\x10\x11")
    with pytest.raises(Detached):
        pump(
            ends.stream,
            stdin=ends.stdin,
            stdout=ends.stdout,
            stderr=None,
            tty=True,
            detach=DetachKeys(b"\x10\x11"),
        )
    assert ends.daemon.recv(100) == b"ls"


def test_input_only_ends_with_the_input(ends: Ends) -> None:
    os.write(ends.type, b"x")
    os.close(ends.type)
    pump(ends.stream, stdin=ends.stdin, stdout=None, stderr=None, tty=False)
    assert ends.daemon.recv(100) == b"x"


def test_poll_two(ends: Ends) -> None:
    os.write(ends.type, b"x")
    assert poll_two(ends.stdin, ends.shown) == (True, False)
