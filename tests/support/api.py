"""The Engine API over a real unix socket, in front of engine services that are made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pierhead.api.app import build_app
from pierhead.api.context import Engine
from pierhead.engine.events import EventBus
from pierhead.engine.settings import Settings
from pierhead.store.database import Database


def fake_engine(tmp_path: Path, **services: Any) -> Engine:
    """An engine with a real event bus; other services are what the test gives."""
    parts: dict[str, Any] = {
        name: services.get(name, SimpleNamespace())
        for name in (
            "containers",
            "images",
            "networks",
            "volumes",
            "system",
            "files",
            "distribution",
            "reports",
            "build",
            "buildkit",
        )
    }
    if isinstance(parts["containers"], SimpleNamespace):
        vars(parts["containers"]).setdefault("expect_start", lambda: None)
    events = services.get("events") or EventBus(Database.open(tmp_path / "events.db"))
    return Engine(events=events, settings=services.get("settings") or Settings(), **parts)


@dataclass
class Answer:
    """A parsed HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["message"])


@dataclass
class Client:
    """Sends raw bytes, so that tests can be as rude as clients are."""

    path: str
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        self.open.append(writer)
        return reader, writer

    async def __call__(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own. ``body``: bytes as they are, else JSON."""
        reader, writer = await self.connect()
        raw = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        lines = {"Host": "docker", "Connection": "close", "Content-Length": str(len(raw))}
        if body is not None and not isinstance(body, bytes):
            lines["Content-Type"] = "application/json"
        lines.update(headers or {})
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in lines.items()
        )
        writer.write(head.encode() + b"\r\n" + raw)
        return parse(await asyncio.wait_for(reader.read(), 10))


def parse(data: bytes) -> Answer:
    """A whole response, chunked or not."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(chunks(body))
    return Answer(int(first.split(" ")[1]), headers, body)


def chunks(data: bytes) -> list[bytes]:
    found = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        found.append(data[:length])
        data = data[length + 2 :]
    return found


@asynccontextmanager
async def serving(engine: Engine, tmp_path: Path) -> AsyncIterator[Client]:
    """Serve ``engine`` on a socket below ``tmp_path``."""
    path = str(tmp_path / "api.sock")
    server = build_app(engine, engine.settings)
    listener = await asyncio.get_running_loop().create_unix_server(server, path)
    client = Client(path)
    try:
        yield client
    finally:
        for writer in client.open:
            writer.close()
        listener.close()
        await server.api.end_streams(1)
        await server.shutdown(1)
