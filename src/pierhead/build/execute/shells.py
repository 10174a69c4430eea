"""A shell in a kept step: a process with a terminal or with pipes, as a duplex."""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.execute import running, spec
from pierhead.errors import Internal
from pierhead.linux import process
from pierhead.runtime.crun import Runtime

_READ_BYTES: Final = 64 << 10
_TERMINAL_S: Final = 10.0


class Shell:
    """A ``Duplex``: ``read`` gives the process's output, both streams mixed.

    ``close`` ends it if it still runs. When it has ended its place is taken down.
    """

    def __init__(
        self,
        process_: running.Running,
        input_fd: int,
        output_fd: int,
        *,
        tty: bool,
        ended: Callable[[], Awaitable[None]],
    ) -> None:
        self._process = process_
        self._input_fd = input_fd
        self._output_fd = output_fd
        self._tty = tty
        self.exit_code: int | None = None
        for fd in (input_fd, output_fd):
            os.set_blocking(fd, False)
        self._end = tasks.spawn(self._wait(ended), name="debug shell")

    async def _wait(self, ended: Callable[[], Awaitable[None]]) -> int:
        try:
            status = await self._process.wait()
            self.exit_code = spec.exit_code(status)
        finally:
            self._process.close()
            await ended()
        return self.exit_code

    def on_end(self, function: Callable[[Shell], None]) -> None:
        """Call this once it has ended."""
        self._end.add_done_callback(lambda _: function(self))

    async def read(self) -> bytes:
        """The next output; b"" at the end."""
        while self._output_fd >= 0:
            try:
                data = os.read(self._output_fd, _READ_BYTES)
            except BlockingIOError:
                await process.wait_readable(self._output_fd)
                continue
            except OSError as error:
                if error.errno != errno.EIO:  # a terminal without a process
                    raise
                return b""
            return data
        return b""

    async def write(self, data: bytes) -> None:
        """Input. What the process no longer takes is dropped."""
        view = memoryview(data)
        while view and self._input_fd >= 0:
            try:
                view = view[os.write(self._input_fd, view) :]
            except BlockingIOError:
                await process.wait_writable(self._input_fd)
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EIO):
                    raise
                return

    async def resize(self, height: int, width: int) -> None:
        """The client's terminal has this size now; nothing happens without a tty."""
        if self._tty and self._output_fd >= 0:
            with suppress(termios.error, OSError):
                termios.tcsetwinsize(self._output_fd, (height, width))

    async def close_stdin(self) -> None:
        """No more input comes: the pipe ends; a terminal gets its end-of-file character."""
        if self._tty:
            await self.write(b"\x04")
        elif self._input_fd >= 0:
            os.close(self._input_fd)
            self._input_fd = -1

    async def wait(self) -> int:
        """The exit code, 128 + number for a signal."""
        return await asyncio.shield(self._end)

    async def close(self) -> None:
        """End it, whatever it does, and take its place down. Idempotent."""
        if not self._end.done():
            self._process.kill()
        with suppress(Exception):
            await asyncio.shield(self._end)
        if self._input_fd >= 0 and self._input_fd != self._output_fd:
            os.close(self._input_fd)
        if self._output_fd >= 0:
            os.close(self._output_fd)
        self._input_fd = self._output_fd = -1


async def start(
    runtime: Runtime,
    shell_id: str,
    bundle: Path,
    *,
    tty: bool,
    ended: Callable[[], Awaitable[None]],
) -> Shell:
    """Run the bundle's process as a shell; ``ended`` is awaited once it has gone."""
    if tty:
        return await _with_terminal(runtime, shell_id, bundle, ended)
    in_read, in_write = os.pipe2(os.O_CLOEXEC)
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    try:
        started = await running.start(
            runtime, shell_id, bundle, bundle / "runtime",
            stdin=in_read, stdout=out_write, stderr=out_write,
        )  # fmt: skip
    except BaseException:
        os.close(in_write)
        os.close(out_read)
        raise
    finally:
        os.close(in_read)
        os.close(out_write)
    return Shell(started, in_write, out_read, tty=False, ended=ended)


async def _with_terminal(
    runtime: Runtime, shell_id: str, bundle: Path, ended: Callable[[], Awaitable[None]]
) -> Shell:
    console = bundle / "console"
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{console.name}")
        listener.listen(1)
        receiving = tasks.spawn(tasks.outcome(_receive(listener)), name="console of a shell")
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            started = await running.start(
                runtime, shell_id, bundle, bundle / "runtime",
                stdout=nowhere, stderr=nowhere, console=console,
            )  # fmt: skip
            master = await receiving
        except BaseException:
            receiving.cancel()
            raise
        finally:
            os.close(nowhere)
        if isinstance(master, Exception):
            started.kill()
            started.close()
            raise master
        return Shell(started, master, master, tty=True, ended=ended)
    finally:
        listener.close()
        os.close(directory)


async def _receive(listener: socket.socket) -> int:
    """The terminal's descriptor, which the runtime sends (runc's console socket)."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_TERMINAL_S):
        connection, _ = await loop.sock_accept(listener)
        with connection:
            await process.wait_readable(connection.fileno())
            fds = array.array("i")
            _, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(fds.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if not fds:
        raise Internal("the OCI runtime sent no terminal")
    os.set_inheritable(fds[0], False)
    return fds[0]
