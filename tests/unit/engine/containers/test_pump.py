from __future__ import annotations

import asyncio

from pierhead.engine.containers.pump import Outcome, drain, pump
from pierhead.engine.streams import STDERR, STDOUT
from support.containers import Client


class Process:
    """A scripted process: gives packets, takes stdin."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self.stdin = b""
        self.stdin_open = True
        self.closed = False
        self.broken = False

    async def read(self) -> tuple[int, bytes] | None:
        return await self.out.get()

    async def write(self, data: bytes) -> None:
        if self.broken:
            raise ConnectionError
        self.stdin += data

    async def close_stdin(self) -> None:
        self.stdin_open = False

    def close(self) -> None:
        self.closed = True


def start(
    client: Client, process: Process, *, stdin: bool = True, keys: bytes | None = None
) -> asyncio.Task[Outcome]:
    return asyncio.get_running_loop().create_task(
        pump(client, process, stdin=stdin, stdout=True, stderr=False, keys=keys)
    )


async def test_copies_both_ways_until_the_process_ends() -> None:
    client, process = Client(), Process()
    task = start(client, process)
    client.typed.put_nowait(b"in")
    process.out.put_nowait((STDOUT, b"out"))
    process.out.put_nowait((STDERR, b"not asked for"))
    await asyncio.sleep(0.01)
    process.out.put_nowait(None)
    assert await task is Outcome.ENDED
    assert process.stdin == b"in" and client.seen == [(STDOUT, b"out")]
    assert not process.closed


async def test_half_close_closes_stdin_and_output_goes_on() -> None:
    client, process = Client(), Process()
    task = start(client, process)
    client.typed.put_nowait(b"")
    await asyncio.sleep(0.01)
    assert not process.stdin_open and not task.done()
    process.out.put_nowait((STDOUT, b"late"))
    process.out.put_nowait(None)
    assert await task is Outcome.ENDED
    assert client.seen == [(STDOUT, b"late")]


async def test_detach_keys() -> None:
    client, process = Client(), Process()
    task = start(client, process, keys=b"\x10\x11")
    client.typed.put_nowait(b"ls\x10")
    client.typed.put_nowait(b"\x11")
    assert await task is Outcome.DETACHED
    assert process.stdin == b"ls" and process.stdin_open


async def test_client_vanishes() -> None:
    client, process = Client(), Process()
    task = start(client, process)
    client.typed.put_nowait(None)
    assert await task is Outcome.GONE

    client = Client()
    task = start(client, process, stdin=False)
    await asyncio.sleep(0)
    client.gone.set()
    assert await task is Outcome.GONE

    client = Client()
    task = start(client, process)
    client.typed.put_nowait(b"")
    await asyncio.sleep(0.01)
    client.gone.set()
    assert await task is Outcome.GONE


async def test_a_process_that_does_not_read_is_no_end() -> None:
    client, process = Client(), Process()
    process.broken = True
    task = start(client, process)
    client.typed.put_nowait(b"x")
    await asyncio.sleep(0.01)
    process.out.put_nowait((STDOUT, b"still here"))
    process.out.put_nowait(None)
    assert await task is Outcome.ENDED
    assert client.seen == [(STDOUT, b"still here")]


async def test_cancelled_pump_leaves_no_tasks() -> None:
    before = len(asyncio.all_tasks())
    task = start(Client(), Process())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(asyncio.all_tasks()) == before


async def test_drain() -> None:
    process = Process()
    process.out.put_nowait((STDOUT, b"x"))
    process.out.put_nowait(None)
    await drain(process)
    assert process.closed
