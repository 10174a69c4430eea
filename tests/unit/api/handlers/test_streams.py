"""Logs, stats, exec and the websocket."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.api.hijack import frame
from pierhead.engine.streams import STDERR, STDOUT, ClientIO
from support.api import fake_engine, serving


class Containers:
    def __init__(self, tty: bool = False) -> None:
        self.tty = tty
        self.options: dict[str, Any] = {}
        self.detached = 0

    def get(self, ref: str) -> Any:
        return SimpleNamespace(tty=self.tty)

    async def log_batches(self, ref: str, **options: Any) -> AsyncIterator[list[tuple[int, bytes]]]:
        self.options = options
        yield [(STDOUT, b"one\n")]
        yield [(STDERR, b"two\n")]

    async def stats(self, ref: str, **options: Any) -> AsyncIterator[dict[str, Any]]:
        self.options = options
        yield {"id": "1", "os_type": "linux"}
        yield {"id": "2", "os_type": "linux"}

    async def exec_create(self, ref: str, config: Any) -> str:
        self.options = {"config": config}
        return "e" * 64

    def prepare_exec(self, exec_id: str, **options: Any) -> Any:
        self.options = options

        async def run_detached() -> None:
            self.detached += 1

        return SimpleNamespace(run_detached=run_detached)

    def prepare_attach(self, ref: str, **options: Any) -> Any:
        self.options = options

        async def run(io: ClientIO) -> None:
            await io.write(STDOUT, b"hi ")
            await io.write(STDOUT, await io.read())

        return SimpleNamespace(run=run, tty=False, cancel=lambda: None)


@pytest.mark.parametrize(
    ("version", "tty", "kind", "body"),
    [
        ("1.42", False, "multiplexed", frame(1, b"one\n") + frame(2, b"two\n")),
        ("1.41", False, "raw", frame(1, b"one\n") + frame(2, b"two\n")),
        ("1.44", True, "raw", b"one\ntwo\n"),
    ],
)
async def test_logs(tmp_path: Path, version: str, tty: bool, kind: str, body: bytes) -> None:
    engine = fake_engine(tmp_path, containers=Containers(tty))
    async with serving(engine, tmp_path) as ask:
        answer = await ask("GET", f"/v{version}/containers/x/logs?stdout=1&stderr=1&tail=all")
        assert answer.body == body
        assert answer.headers["content-type"] == f"application/vnd.docker.{kind}-stream"


async def test_logs_parameters(tmp_path: Path) -> None:
    containers = Containers()
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        assert (await ask("GET", "/containers/x/logs")).status == 400
        assert (await ask("GET", "/containers/x/logs?stdout=1&since=x")).status == 400
        await ask("GET", "/containers/x/logs?stdout=1&since=5.5&until=9&tail=10&timestamps=1")
    assert containers.options == {
        "stdout": True, "stderr": False, "since_ns": 5_500_000_000, "until_ns": 9_000_000_000,
        "tail": 10, "timestamps": True, "follow": False, "details": False,
    }  # fmt: skip


async def test_stats(tmp_path: Path) -> None:
    containers = Containers()
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        one = await ask("GET", "/v1.51/containers/x/stats?stream=0&one-shot=1")
        assert one.json() == {"id": "1"}
        assert containers.options == {"stream": False, "one_shot": True}
        many = await ask("GET", "/containers/x/stats")
        assert many.body.count(b"\n") == 2 and b'"os_type":"linux"' in many.body


async def test_exec(tmp_path: Path) -> None:
    containers = Containers()
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        assert (await ask("POST", "/containers/x/exec", {})).message == "No exec command specified"
        made = await ask("POST", "/containers/x/exec", {"Cmd": ["ls"], "Tty": True})
        assert (made.status, made.json()["Id"]) == (201, "e" * 64)
        started = await ask("POST", "/exec/e/start", {"Detach": True})
        assert started.status == 200 and containers.detached == 1
        bad = await ask("POST", "/exec/e/start", {"Tty": True, "ConsoleSize": [1]})
        assert bad.status == 400
        await ask("POST", "/exec/e/start", {"Detach": True, "Tty": True, "ConsoleSize": [4, 5]})
        assert containers.options["console_size"] == (4, 5)


@pytest.mark.parametrize(("version", "opcode"), [("1.44", 0x82), ("1.27", 0x81)])
async def test_websocket(tmp_path: Path, version: str, opcode: int) -> None:
    containers = Containers()
    async with serving(fake_engine(tmp_path, containers=containers), tmp_path) as ask:
        reader, writer = await ask.connect()
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /v{version}/containers/x/attach/ws?stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(5) == bytes([opcode, 3]) + b"hi "
        writer.write(bytes([0x82, 0x83, 0, 0, 0, 0]) + b"abc")  # masked with zeros
        assert await reader.readexactly(5) == bytes([opcode, 3]) + b"abc"
    assert containers.options["stdout"] is True
    assert containers.options["stdin"] is (version == "1.27")


async def test_websocket_needs_a_handshake(tmp_path: Path) -> None:
    async with serving(fake_engine(tmp_path, containers=Containers()), tmp_path) as ask:
        assert (await ask("GET", "/containers/x/attach/ws")).status == 400
        for key in (b"", b"x", b"\xff\xfe" * 8):
            reader, writer = await ask.connect()
            writer.write(
                b"GET /containers/x/attach/ws HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: " + key + b"\r\n\r\n"
            )
            assert b" 400 " in await reader.readline(), key
