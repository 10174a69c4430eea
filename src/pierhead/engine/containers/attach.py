"""Attaching clients to a container's process, running or still to be started."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pierhead import tasks
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.detach import parse_keys
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.logs import LogQuery, read_logs
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.pump import Outcome, drain, pump
from pierhead.engine.streams import ClientIO
from pierhead.errors import Conflict, NotImplementedYet
from pierhead.runtime.attach import connect

if TYPE_CHECKING:
    from pierhead.runtime.attach import ConmonAttach

log = logging.getLogger(__name__)

_EXIT_WAIT_S: Final = 0.5


class AttachSession:
    """One client. Registered at once, so that a start that follows will not miss it."""

    def __init__(
        self,
        ctx: Context,
        container: Container,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        stream: bool,
        logs: bool,
        keys: bytes,
    ) -> None:
        self._ctx = ctx
        self._container = container
        self._stdin = stdin and container.record.config.open_stdin
        self._stdout = stdout
        self._stderr = stderr
        self._stream = stream
        self._logs = logs
        self._keys = keys
        self._process: asyncio.Future[ConmonAttach | None] = (
            asyncio.get_running_loop().create_future()
        )
        if stream:
            if container.running:
                self.connect(connect(ctx.paths.bundle(container.id)))
            else:
                container.pending_attaches.append(self)

    @property
    def tty(self) -> bool:
        """Whether the client gets a raw stream."""
        return self._container.tty

    def connect(self, process: ConmonAttach | None) -> None:
        """The start has come as far as having streams; None: it failed, or never will be."""
        if not self._process.done():
            self._process.set_result(process)
        elif process is not None:
            process.close()

    def cancel(self) -> None:
        """The client never got its answer."""
        if self in self._container.pending_attaches:
            self._container.pending_attaches.remove(self)
        if self._process.done() and not self._process.cancelled():
            process = self._process.result()
            if process is not None:
                process.close()
        self._process.cancel()

    async def run(self, io: ClientIO) -> None:
        """Serve the client until the process ends, or it detaches or vanishes."""
        try:
            if self._logs and not await self._replay(io):
                return
            if self._stream:
                await self._serve(io)
        finally:
            self.cancel()

    async def _replay(self, io: ClientIO) -> bool:
        query = LogQuery(stdout=self._stdout, stderr=self._stderr)
        try:
            async for stream, data in read_logs(self._ctx, self._container, query):
                await io.write(stream, data)
        except ConnectionError:
            return False
        except NotImplementedYet:  # no log is kept
            pass
        return True

    async def _serve(self, io: ClientIO) -> None:
        process = await self._started(io)
        if process is None:
            return
        outcome = await pump(
            io,
            process,
            stdin=self._stdin,
            stdout=self._stdout,
            stderr=self._stderr,
            keys=self._keys if self.tty else None,
        )
        if outcome is Outcome.ENDED:
            # Clients take the end of the stream for the end of the container.
            with suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_WAIT_S):
                    await self._container.exited.wait()
        if outcome is Outcome.DETACHED:
            emit(self._ctx, self._container, "detach")
        config = self._container.record.config
        if (
            outcome is not Outcome.ENDED
            and config.stdin_once
            and not config.tty
            and not self._stdin
        ):
            # Closing would close the process's stdin, which belongs to another client.
            self._process = asyncio.get_running_loop().create_future()
            tasks.spawn(drain(process), name="drain attach")

    async def _started(self, io: ClientIO) -> ConmonAttach | None:
        """Wait for the start, or for the client to lose patience."""
        if self._process.done():
            return self._process.result()
        gone = tasks.spawn(io.wait_gone(), name="client")
        try:
            await asyncio.wait((self._process, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        return self._process.result() if self._process.done() else None


def prepare_attach(
    ctx: Context,
    container: Container,
    *,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    stream: bool,
    logs: bool,
    detach_keys: str | None,
) -> AttachSession:
    """Check, register, tell. Raises ``Conflict`` for a paused or restarting container."""
    keys = parse_keys(detach_keys)
    if container.status.phase is Phase.PAUSED:
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if container.status.phase is Phase.RESTARTING:
        raise Conflict(
            f"container {container.id} is restarting, wait until the container is running"
        )
    session = AttachSession(
        ctx,
        container,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        stream=stream,
        logs=logs,
        keys=keys,
    )
    emit(ctx, container, "attach")
    return session


async def resize(ctx: Context, container: Container, height: int, width: int) -> None:
    """``POST /containers/{id}/resize``: rows and columns."""
    if not container.running:
        raise Conflict(f"container {container.id} is not running")
    await ctx.conmon.resize(ctx.paths.bundle(container.id), height, width)
    emit(ctx, container, "resize", height=str(height), width=str(width))
