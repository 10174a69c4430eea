"""A connection to conmon's attach socket: the streams of one container or exec process.

SOCK_SEQPACKET: a packet from conmon is one byte of stream (2 stdout, 3 stderr) and up to
8192 bytes of data; a packet to it is bytes for stdin, up to 32 KiB. Several clients may be
connected; each gets all output from then on. A half-close by any of them closes stdin
unless conmon was told ``--leave-stdin-open``.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final

from pierhead.errors import Conflict
from pierhead.linux import process

STDOUT: Final = 1
STDERR: Final = 2

_STREAMS: Final = {2: STDOUT, 3: STDERR}
_PACKET_BYTES: Final = 1 << 15
_MAX_STDIN_BYTES: Final = 1 << 14
_QUEUE_PACKETS: Final = 64


class ConmonAttach:
    """One connection to an attach socket.

    Up to ``_QUEUE_PACKETS`` packets are taken ahead; then the socket fills and conmon waits
    for us, and the process for conmon: a slow client slows its container and nothing else.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._packets: deque[tuple[int, bytes]] = deque()
        self._reading = False
        self._ended = False
        self._wakeup: asyncio.Future[None] | None = None
        self._resume()

    def _resume(self) -> None:
        if not self._reading and not self._ended:
            self._loop.add_reader(self._socket, self._readable)
            self._reading = True

    def _pause(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._socket)
            self._reading = False

    def _readable(self) -> None:
        try:
            while len(self._packets) < _QUEUE_PACKETS:
                packet = self._socket.recv(_PACKET_BYTES)
                if not packet:
                    self._end()
                    break
                self._packets.append((_STREAMS.get(packet[0], STDOUT), packet[1:]))
            else:
                self._pause()
        except BlockingIOError:
            pass
        except OSError:
            self._end()
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def _end(self) -> None:
        self._pause()
        self._ended = True

    async def read(self) -> tuple[int, bytes] | None:
        """The next data as (``STDOUT`` or ``STDERR``, bytes); None at the end.

        Packets of one stream that have piled up are joined (at most 512 KiB).
        """
        while not self._packets:
            if self._ended:
                return None
            self._wakeup = self._loop.create_future()
            try:
                await self._wakeup
            finally:
                self._wakeup = None
        stream, data = self._packets.popleft()
        if self._packets and self._packets[0][0] == stream:
            # a busy process: what has piled up goes on as one piece
            pieces = [data]
            while self._packets and self._packets[0][0] == stream:
                pieces.append(self._packets.popleft()[1])
            data = b"".join(pieces)
        if len(self._packets) < _QUEUE_PACKETS // 2:
            self._resume()
        return stream, data

    async def write(self, data: bytes) -> None:
        """Bytes for the process's stdin. Raises ``ConnectionError`` when it is closed."""
        view = memoryview(data)
        while view:
            try:
                sent = self._socket.send(view[:_MAX_STDIN_BYTES])
            except BlockingIOError:
                await process.wait_writable(self._socket.fileno())
                continue
            except OSError as error:
                raise ConnectionError(f"stdin is closed: {error.strerror}") from error
            view = view[sent:]

    async def close_stdin(self) -> None:
        """Half-close: conmon closes the process's stdin (unless ``leave_stdin_open``)."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave. The process goes on."""
        self._pause()
        self._ended = True
        self._socket.close()
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)


def connect(directory: Path) -> ConmonAttach:
    """Connect to ``directory``/attach.

    Through a descriptor of the directory, because a socket's address ends after 107 bytes.
    Raises ``Conflict`` when nobody listens there.
    """
    connection = socket.socket(
        socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        directory_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{directory_fd}/attach")
        finally:
            os.close(directory_fd)
    except OSError as error:
        connection.close()
        raise Conflict(f"the process is not running: {error.strerror}") from error
    return ConmonAttach(connection)
