"""Against a socket of our own in conmon's place."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.errors import Conflict
from pierhead.runtime import attach


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """Deep enough that the path does not fit a socket address."""
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = os.open(directory, os.O_PATH)
    server.bind(f"/proc/self/fd/{fd}/attach")
    os.close(fd)
    server.listen()
    yield directory, server
    server.close()


async def test_streams_and_the_end(listener: tuple[Path, socket.socket]) -> None:
    directory, server = listener
    connection = attach.connect(directory)
    peer, _ = server.accept()
    peer.send(b"\x02out")
    peer.send(b"\x03err")
    assert await connection.read() == (attach.STDOUT, b"out")
    assert await connection.read() == (attach.STDERR, b"err")
    waiting = asyncio.ensure_future(connection.read())
    await asyncio.sleep(0)
    peer.close()
    assert await waiting is None
    assert await connection.read() is None
    connection.close()


async def test_what_was_sent_before_the_end_is_still_read(
    listener: tuple[Path, socket.socket],
) -> None:
    directory, server = listener
    connection = attach.connect(directory)
    peer, _ = server.accept()
    peer.send(b"\x02last")
    peer.close()
    assert await connection.read() == (attach.STDOUT, b"last")
    assert await connection.read() is None
    connection.close()


async def test_stdin_in_packets_and_its_end(listener: tuple[Path, socket.socket]) -> None:
    directory, server = listener
    connection = attach.connect(directory)
    peer, _ = server.accept()
    await connection.write(b"x" * 20_000)
    await connection.close_stdin()
    assert [len(peer.recv(1 << 16)) for _ in range(3)] == [16384, 3616, 0]
    peer.close()
    with pytest.raises(ConnectionError):
        await connection.write(b"y")
    connection.close()


async def test_a_slow_reader_holds_the_writer_back(listener: tuple[Path, socket.socket]) -> None:
    directory, server = listener
    connection = attach.connect(directory)
    peer, _ = server.accept()
    peer.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        for _ in range(100_000):
            peer.send(b"\x02" + b"x" * 4096)
            sent += 1
            if sent % 16 == 0:
                await asyncio.sleep(0)
    received = 0
    while received < sent * 4096:  # in pieces of any size
        piece = await connection.read()
        assert piece is not None
        received += len(piece[1])
    assert received == sent * 4096
    connection.close()
    peer.close()


async def test_closing_wakes_a_reader(listener: tuple[Path, socket.socket]) -> None:
    directory, server = listener
    connection = attach.connect(directory)
    peer, _ = server.accept()
    waiting = asyncio.ensure_future(connection.read())
    await asyncio.sleep(0)
    connection.close()
    assert await waiting is None
    peer.close()


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="not running"):
        attach.connect(tmp_path)
