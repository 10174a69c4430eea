"""A connection inside a call: ``Control.Session`` carries the bytes of one as messages.

Clients use it where a session is shared by several builds (``buildx bake``), or where there
is no HTTP beside the gRPC. To the protocol that speaks on it, it is a transport as any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pierhead import tasks
from pierhead.build.buildkit import messages
from pierhead.errors import Unavailable

if TYPE_CHECKING:
    from grpclib.protocol import H2Protocol

    from pierhead.build.buildkit.wire import Stream

BYTES: Final = "moby.buildkit.v1.BytesMessage"
HIGH_BYTES: Final = 1 << 20
MESSAGE_BYTES: Final = 256 << 10


class Tunnel(asyncio.Transport):
    """What is written goes out as messages; ``run`` moves the bytes until either side ends."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._message = messages.get(BYTES)
        self._protocol: H2Protocol | None = None
        self._out = bytearray()
        self._news = asyncio.Event()
        self._closing = False
        self._paused = False

    # -- asyncio.Transport, as far as h2 connections use it ----------------------------------
    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._closing

    def resume_reading(self) -> None:
        """``run`` reads as soon as there is a protocol."""

    def pause_reading(self) -> None:
        """The window of the connection inside bounds what comes."""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing:
            return
        self._out += data
        self._news.set()
        if len(self._out) > HIGH_BYTES and not self._paused and self._protocol is not None:
            self._paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        self._closing = True
        self._news.set()

    def abort(self) -> None:
        self._out.clear()
        self.close()

    # -- the call ------------------------------------------------------------------------------
    async def run(self) -> None:
        """Until the client ends its side, or ``close``. The protocol is told then."""
        reading = tasks.spawn(tasks.outcome(self._read()), name="buildkit-tunnel")
        try:
            await self._write()
        finally:
            reading.cancel()
            self._closing = True
            if self._protocol is not None:
                self._protocol.connection_lost(None)

    async def _read(self) -> None:
        try:
            while not self._closing:
                message = await self._stream.recv_message()
                if message is None:
                    return
                if self._protocol is None:
                    raise Unavailable("nobody speaks on this session")
                self._protocol.data_received(message.data)
        finally:
            self.close()

    async def _write(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._out:
                data = bytes(self._out[:MESSAGE_BYTES])
                del self._out[:MESSAGE_BYTES]
                await self._stream.send_message(self._message(data=data))
            if self._paused and self._protocol is not None:
                self._paused = False
                self._protocol.resume_writing()
            if self._closing:
                return


class Tunneled:
    """``door.Upgraded`` for a tunnel."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.transport: asyncio.Transport = tunnel
        self.early = b""

    def lost(self, error: Exception | None) -> None:
        """The call's end says it."""


def headers_of(metadata: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """The HTTP headers of a session as metadata has them: in small letters."""
    return {name: str(metadata.get(name.lower(), "")) for name in names}
