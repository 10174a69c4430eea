from __future__ import annotations

import asyncio
import os

import pytest

from pierhead.engine.images.feed import out_of_pipe, through_pipe

from .conftest import chunked


async def drain(fd: int) -> int:
    total = 0
    while chunk := await asyncio.to_thread(os.read, fd, 1 << 16):
        total += len(chunk)
    return total


async def test_all_bytes_arrive() -> None:
    assert await through_pipe(chunked(bytes(5 << 20), 100_000), drain) == 5 << 20


async def test_a_consumer_may_stop_early() -> None:
    async def some(fd: int) -> bytes:
        return await asyncio.to_thread(os.read, fd, 10)

    assert await through_pipe(chunked(bytes(5 << 20)), some) == bytes(10)


async def test_the_consumers_error_is_raised() -> None:
    async def fail(fd: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await through_pipe(chunked(bytes(1 << 20)), fail)


async def test_an_error_of_the_source_is_never_an_end() -> None:
    ended = False

    async def consume(fd: int) -> None:
        nonlocal ended
        loop = asyncio.get_running_loop()
        closed = loop.create_future()
        loop.add_reader(fd, lambda: os.read(fd, 1 << 16) or closed.done() or closed.set_result(0))
        try:
            await closed
            ended = True
        finally:
            loop.remove_reader(fd)

    async def source():
        yield b"x" * 1000
        await asyncio.sleep(0.01)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await through_pipe(source(), consume)
    assert not ended


async def test_out_of_a_pipe() -> None:
    async def produce(fd: int) -> None:
        for _ in range(50):
            await asyncio.to_thread(os.write, fd, bytes(60_000))

    assert sum([len(chunk) async for chunk in out_of_pipe(produce)]) == 3_000_000


async def test_the_producers_error_comes_at_the_end() -> None:
    async def produce(fd: int) -> None:
        os.write(fd, b"some")
        raise OSError("broken")

    seen = b""
    with pytest.raises(OSError, match="broken"):
        async for chunk in out_of_pipe(produce):
            seen += chunk
    assert seen == b"some"


async def test_leaving_early_cancels_the_producer() -> None:
    cancelled = asyncio.Event()

    async def produce(fd: int) -> None:
        os.write(fd, b"some")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    stream = out_of_pipe(produce)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert cancelled.is_set()
