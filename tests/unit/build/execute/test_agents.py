"""The socket that leads to an ssh agent."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pierhead.build.execute.agents import AgentSocket


class Connection:
    """Answers every piece with the same in capitals; ends after the first."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    async def read(self) -> bytes:
        return await self.pieces.get()

    async def write(self, data: bytes) -> None:
        self.pieces.put_nowait(data.upper())
        self.pieces.put_nowait(b"")

    async def close(self) -> None:
        self.closed = True


class Agent:
    def __init__(self) -> None:
        self.connections: list[Connection] = []

    async def connect(self) -> Connection:
        self.connections.append(Connection())
        return self.connections[-1]


async def connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    directory = os.open(path.parent, os.O_PATH)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


async def test_each_connection_is_one_to_the_agent(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)  # a socket's address has 108 bytes at the most
    deep.mkdir()
    agent = Agent()
    listener = AgentSocket(agent, deep / "s")
    await listener.listen(mode=0o640, uid=os.getuid(), gid=os.getgid())
    assert (deep / "s").stat().st_mode & 0o777 == 0o640
    for text in (b"a", b"b"):
        reader, writer = await connect(deep / "s")
        writer.write(text)
        assert await reader.read() == text.upper()
        writer.close()
    assert [one.closed for one in agent.connections] == [True, True]
    _, writer = await connect(deep / "s")
    async with asyncio.timeout(10):
        while len(agent.connections) < 3:
            await asyncio.sleep(0.001)
    await listener.close()
    assert agent.connections[2].closed and not (deep / "s").exists()
    writer.close()
