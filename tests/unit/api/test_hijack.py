"""Hijacked connections: upgrade or not, framing, half-close, early data, vanished clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.api.hijack import frame
from pierhead.engine.streams import STDERR, STDOUT, ClientIO
from pierhead.errors import NotFound
from support.api import Client, fake_engine, serving

Run = Callable[[ClientIO], Coroutine[Any, Any, None]]


class Session:
    """An attach or exec session whose work is the test's."""

    def __init__(self, run: Run, tty: bool = False) -> None:
        self.run = run
        self.tty = tty
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def engine_with(tmp_path: Path, run: Run, *, tty: bool = False) -> Any:
    session = Session(run, tty)
    containers = SimpleNamespace(
        prepare_attach=lambda ref, **options: session,
        prepare_exec=lambda exec_id, **options: session,
    )
    return fake_engine(tmp_path, containers=containers)


async def echo(io: ClientIO) -> None:
    """Collects its input to the end, then answers on both streams."""
    got = b""
    while data := await io.read():
        got += data
    await io.write(STDOUT, b"out:" + got)
    await io.write(STDERR, b"err")


async def upgrade(ask: Client, target: str, more: bytes = b"") -> tuple[bytes, Any, Any]:
    reader, writer = await ask.connect()
    writer.write(
        f"POST {target} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        "Content-Length: 0\r\n\r\n".encode()
        + more
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return head, reader, writer


@pytest.mark.parametrize(
    ("version", "kind"), [("1.41", b"raw-stream"), ("1.42", b"multiplexed-stream")]
)
async def test_half_close_is_end_of_input_and_output_still_comes(
    tmp_path: Path, version: str, kind: bytes
) -> None:
    async with serving(engine_with(tmp_path, echo), tmp_path) as ask:
        head, reader, writer = await upgrade(ask, f"/v{version}/containers/x/attach?stream=1")
        assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        assert b"application/vnd.docker." + kind in head
        assert b"Upgrade: tcp\r\n" in head and b"Api-Version: 1.56" in head
        writer.write(b"hello")
        writer.write_eof()
        body = await asyncio.wait_for(reader.read(), 5)
        assert body == frame(STDOUT, b"out:hello") + frame(STDERR, b"err")


async def test_tty_is_raw(tmp_path: Path) -> None:
    async with serving(engine_with(tmp_path, echo, tty=True), tmp_path) as ask:
        head, reader, writer = await upgrade(ask, "/v1.44/containers/x/attach")
        assert b"raw-stream" in head
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b"out:err"


async def test_without_upgrade_it_is_200(tmp_path: Path) -> None:
    async with serving(engine_with(tmp_path, echo), tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"POST /containers/x/attach HTTP/1.1\r\nHost: d\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"application/vnd.docker.raw-stream" in head
        writer.write(b"x")
        writer.write_eof()
        assert (await asyncio.wait_for(reader.read(), 5)).startswith(frame(STDOUT, b"out:x"))


async def test_data_in_the_same_packet_as_the_request(tmp_path: Path) -> None:
    async with serving(engine_with(tmp_path, echo, tty=True), tmp_path) as ask:
        _, reader, writer = await upgrade(ask, "/containers/x/attach", b"early ")
        writer.write(b"late")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b"out:early lateerr"


async def test_exec_start_has_a_body_and_early_data(tmp_path: Path) -> None:
    async with serving(engine_with(tmp_path, echo, tty=True), tmp_path) as ask:
        reader, writer = await ask.connect()
        body = b'{"Tty":true}'
        head = (
            b"POST /v1.40/exec/abc/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n"
            b"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
        )
        writer.write(head + body[:5])
        await asyncio.sleep(0.05)
        writer.write(body[5:] + b"early")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert b"101 UPGRADED" in answer
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b"out:earlyerr"


async def test_a_refused_attach_is_an_ordinary_error_and_the_connection_goes_on(
    tmp_path: Path,
) -> None:
    def refuse(ref: str, **options: object) -> Any:
        raise NotFound(f"No such container: {ref}")

    engine = fake_engine(tmp_path, containers=SimpleNamespace(prepare_attach=refuse))
    async with serving(engine, tmp_path) as ask:
        head, reader, writer = await upgrade(ask, "/containers/x/attach")
        assert head.startswith(b"HTTP/1.1 404 ")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert b"No such container: x" in await reader.readexactly(length)
        writer.write(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        assert b" 200 " in await asyncio.wait_for(reader.readline(), 5)


async def test_output_waits_for_a_slow_client(tmp_path: Path) -> None:
    sent = 0

    async def flood(io: ClientIO) -> None:
        nonlocal sent
        for _ in range(200):
            await io.write(STDOUT, b"x" * 65536)
            sent += 65536

    async with serving(engine_with(tmp_path, flood, tty=True), tmp_path) as ask:
        _, reader, _ = await upgrade(ask, "/containers/x/attach")
        await asyncio.sleep(0.2)
        assert sent < 4 * 1024 * 1024
        assert len(await asyncio.wait_for(reader.read(), 10)) == 200 * 65536


async def test_input_waits_for_a_slow_container(tmp_path: Path) -> None:
    release = asyncio.Event()
    got = 0

    async def slow(io: ClientIO) -> None:
        nonlocal got
        await release.wait()
        while data := await io.read():
            got += len(data)

    async with serving(engine_with(tmp_path, slow), tmp_path) as ask:
        _, reader, writer = await upgrade(ask, "/containers/x/attach")
        for _ in range(128):
            writer.write(b"y" * 65536)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        release.set()
        await asyncio.wait_for(writer.drain(), 5)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
        assert got == 128 * 65536


@pytest.mark.parametrize("half_closed_before", [False, True])
async def test_the_session_learns_that_the_client_vanished(
    tmp_path: Path, half_closed_before: bool
) -> None:
    gone = asyncio.Event()

    async def wait(io: ClientIO) -> None:
        await io.wait_gone()
        gone.set()

    async with serving(engine_with(tmp_path, wait), tmp_path) as ask:
        _, _, writer = await upgrade(ask, "/containers/x/attach")
        if half_closed_before:
            writer.write_eof()
            await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 5)


async def test_a_client_that_keeps_its_side_open_sees_the_end(tmp_path: Path) -> None:
    async def short(io: ClientIO) -> None:
        await io.write(STDOUT, b"done")

    async with serving(engine_with(tmp_path, short, tty=True), tmp_path) as ask:
        _, reader, writer = await upgrade(ask, "/containers/x/attach")
        writer.write(b"unread input")
        assert await asyncio.wait_for(reader.read(), 1) == b"done"


def test_frame_is_dockers_header() -> None:
    assert frame(2, b"abc") == b"\x02\0\0\0\0\0\0\x03abc"


async def test_stopping_the_server_ends_sessions(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def forever(io: ClientIO) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with serving(engine_with(tmp_path, forever), tmp_path) as ask:
        _, reader, _ = await upgrade(ask, "/containers/x/attach")
        closed = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0.05)
    assert ended.is_set()
    assert await asyncio.wait_for(closed, 1) == b""
