"""From an async iterator of bytes into a descriptor that a worker reads, and back."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from pierhead import tasks

T = TypeVar("T")
_F_SETPIPE_SZ: Final = 1031
_PIPE_BYTES: Final = 1 << 20
_READ_BYTES: Final = 256 << 10
_STEP_BYTES: Final = 1 << 20


def make_pipe() -> tuple[int, int]:
    """A pipe that holds a megabyte where that is allowed: fewer wake-ups."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        import fcntl

        fcntl.fcntl(write_fd, _F_SETPIPE_SZ, _PIPE_BYTES)
    return read_fd, write_fd


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def _pump(chunks: AsyncIterator[bytes], fd: int) -> None:
    """Write all chunks to the non-blocking ``fd``; a reader that went away ends it quietly."""
    async for chunk in chunks:
        if not await write_to(fd, memoryview(chunk)):
            return


async def write_to(fd: int, view: memoryview) -> bool:
    """Write all of ``view`` to the non-blocking ``fd``; False if nobody reads any more."""
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            await _writable(fd)
        except BrokenPipeError:
            return False
    return True


async def through_pipe(chunks: AsyncIterator[bytes], consume: Callable[[int], Awaitable[T]]) -> T:
    """Run ``consume(read_fd)`` while ``chunks`` flow into the other end of the pipe.

    If ``chunks`` raises (the client is gone), ``consume`` is cancelled before it can take the
    end of the pipe for the end of the data, and the error goes on. The consumer's own error
    counts first.
    """
    read_fd, write_fd = make_pipe()
    os.set_blocking(write_fd, False)

    async def run() -> T:
        return await consume(read_fd)

    consumer = tasks.spawn(tasks.outcome(run()), name="consume a stream")
    pump = tasks.spawn(tasks.outcome(_pump(chunks, write_fd)), name="feed a stream")
    try:
        await asyncio.wait((consumer, pump), return_when=asyncio.FIRST_COMPLETED)
        if pump.done() and not consumer.done():
            outcome = pump.result()
            if isinstance(outcome, Exception):
                await _cancel(consumer)
                raise outcome
            os.close(write_fd)
            write_fd = -1
        result = await asyncio.shield(consumer)
        if isinstance(result, Exception):
            raise result
        return result
    finally:
        await _cancel(consumer)
        await _cancel(pump)
        os.close(read_fd)
        if write_fd >= 0:
            os.close(write_fd)


async def _cancel(task: asyncio.Task[T]) -> None:
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def out_of_pipe(
    produce: Callable[[int], Awaitable[object]],
) -> AsyncGenerator[bytes, None]:
    """The bytes that ``produce(write_fd)`` writes; its error is raised at the end."""
    read_fd, write_fd = make_pipe()
    os.set_blocking(read_fd, False)

    async def run() -> object:
        nonlocal write_fd
        try:
            return await produce(write_fd)
        finally:
            os.close(write_fd)
            write_fd = -1

    producer = tasks.spawn(tasks.outcome(run()), name="produce a stream")
    try:
        while True:
            try:
                chunk = os.read(read_fd, _READ_BYTES)
            except BlockingIOError:
                await _readable(read_fd)
                continue
            if not chunk:
                break
            yield chunk
        outcome = await producer
        if isinstance(outcome, Exception):
            raise outcome
    finally:
        await _cancel(producer)
        os.close(read_fd)


async def read_range(path: Path, offset: int, length: int) -> AsyncIterator[bytes]:
    """A part of a file, read in a thread: the disk may be slow."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while length:
            chunk = await asyncio.to_thread(os.pread, fd, min(_STEP_BYTES, length), offset)
            if not chunk:
                return
            yield chunk
            offset += len(chunk)
            length -= len(chunk)
    finally:
        os.close(fd)
