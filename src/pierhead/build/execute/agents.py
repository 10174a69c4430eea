"""``RUN --mount=type=ssh``: a socket in the step that leads to the client's ssh agent."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.model import Duplex, SshAgent

log = logging.getLogger(__name__)

_READ_BYTES: Final = 64 << 10


class AgentSocket:
    """Listens at ``path`` until ``close``; each connection is one to the agent."""

    def __init__(self, agent: SshAgent, path: Path) -> None:
        self.path = path
        self._agent = agent
        self._server: asyncio.AbstractServer | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, *, mode: int, uid: int, gid: int) -> None:
        """Make the socket, for that owner and with that mode. Raises ``OSError``."""
        directory = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock = socket.socket(socket.AF_UNIX)
            try:
                # an address has 108 bytes at the most, a path may be longer
                sock.bind(f"/proc/self/fd/{directory}/{self.path.name}")
                os.chmod(self.path, mode)
                os.chown(self.path, uid, gid)
                self._server = await asyncio.start_unix_server(self._accept, sock=sock)
            except BaseException:
                sock.close()
                raise
        finally:
            os.close(directory)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            agent = await self._agent.connect()
            sending = tasks.spawn(_send(reader, agent), name="ssh agent request")
            try:
                while data := await agent.read():
                    writer.write(data)
                    await writer.drain()
            finally:
                sending.cancel()
                with suppress(Exception):
                    await agent.close()
        except asyncio.CancelledError:
            pass  # the step is over
        except Exception as error:
            log.info("a step's ssh agent connection ended: %s", error)
        finally:
            self._open.discard(task)
            writer.close()

    async def close(self) -> None:
        """No more connections; those that are open end."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)
        self.path.unlink(missing_ok=True)


async def _send(reader: asyncio.StreamReader, agent: Duplex) -> None:
    """What the step asks."""
    with suppress(Exception):
        while data := await reader.read(_READ_BYTES):
            await agent.write(data)
