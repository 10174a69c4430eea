"""Reading requests and writing answers, as handlers do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.api.call import to_json
from support.api import fake_engine, serving

JSON = {"Content-Type": "application/json; charset=utf-8"}


class Volumes:
    """Takes whatever body the volumes route has decoded."""

    async def create(self, *args: Any) -> dict[str, Any]:
        return {"Name": args[0]}


async def test_json_may_have_a_charset_and_be_chunked(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, volumes=Volumes()), tmp_path) as ask:
        assert (await ask("POST", "/volumes/create", b'{"Name":"v"}', JSON)).status == 201
        reader, writer = await ask.connect()
        writer.write(
            b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"Nam\r\n7\r\ne":"w"}\r\n0\r\n\r\n'
        )
        assert b" 201 " in await asyncio.wait_for(reader.readline(), 5)


async def test_a_chunked_body_has_a_limit_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pierhead.api.call.BODY_LIMIT_BYTES", 100)
    async with serving(fake_engine(tmp_path, volumes=Volumes()), tmp_path) as ask:
        body = b'{"Name":"' + b"x" * 200 + b'"}'
        chunked = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        reader, writer = await ask.connect()
        writer.write(
            b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + chunked
        )
        assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)


async def test_a_broken_chunk_is_the_clients_fault(tmp_path: Path) -> None:
    got: list[bytes] = []

    async def load(
        chunks: AsyncIterator[bytes], *, quiet: bool, platforms: Any
    ) -> AsyncIterator[Any]:
        async for chunk in chunks:
            got.append(chunk)
        yield {}

    engine = fake_engine(tmp_path, images=SimpleNamespace(load=load))
    async with serving(engine, tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(
            b"POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\nzz\r\n"
        )
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)


async def test_an_upload_that_breaks_off_ends_the_handler(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def load(
        chunks: AsyncIterator[bytes], *, quiet: bool, platforms: Any
    ) -> AsyncIterator[Any]:
        try:
            async for _ in chunks:
                pass
        finally:
            ended.set()
        yield {"stream": "loaded"}

    engine = fake_engine(tmp_path, images=SimpleNamespace(load=load))
    async with serving(engine, tmp_path) as ask:
        _, writer = await ask.connect()
        writer.write(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 999\r\n\r\nabc")
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_stream_that_fails_midway_is_broken_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def save(refs: Any, *, platforms: Any) -> AsyncIterator[bytes]:
        yield b"some"
        raise ZeroDivisionError

    engine = fake_engine(tmp_path, images=SimpleNamespace(save=save, resolve=lambda *a: None))
    async with serving(engine, tmp_path) as ask:
        reader, writer = await ask.connect()
        writer.write(b"GET /images/x/get HTTP/1.1\r\nHost: d\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 5)
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


def test_header_json_is_compact() -> None:
    assert to_json({"a": [1, "é"]}) == '{"a":[1,"\\u00e9"]}'
