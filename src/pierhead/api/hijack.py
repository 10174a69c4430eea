"""A hijacked connection: after ``101 UPGRADED`` (or 200) it is a duplex byte stream.

The client may shut its side (end of its input) and go on reading; so may we. aiohttp
would close on the first, hence a protocol of our own takes the transport over.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse

if TYPE_CHECKING:
    from pierhead.api.connection import Connection

RAW: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"

READ_LIMIT_BYTES: Final = 256 * 1024
LINGER_S: Final = 2.0


def frame(stream: int, data: bytes) -> bytes:
    """One frame of Docker's multiplexed stream: kind, three zeros, length, payload."""
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


class HijackProtocol(asyncio.Protocol):
    """Buffers what the client sends, within a limit, and knows how its ends stand."""

    def __init__(
        self, http: Connection, transport: asyncio.Transport, early: bytes, eof: bool
    ) -> None:
        self._http = http
        self._transport = transport
        self._chunks: deque[bytes] = deque([early] if early else [])
        self._buffered = len(early)
        self._eof = eof
        self._gone = asyncio.Event()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._hangup: select.epoll | None = None
        self._discard = False
        self._tls = transport.get_extra_info("ssl_object") is not None
        if self._tls:
            _stay_open(transport, True)
        if early or eof:
            self._readable.set()
        if eof:
            self._watch_hangup()
        else:
            transport.resume_reading()

    # -- asyncio's side ------------------------------------------------------------------
    def data_received(self, data: bytes) -> None:
        if self._discard:
            return
        self._chunks.append(data)
        self._buffered += len(data)
        self._readable.set()
        if self._buffered > READ_LIMIT_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        self._readable.set()
        self._watch_hangup()
        return not self._tls  # with TLS asyncio ignores it, and complains

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_hangup()
        self._gone.set()
        self._readable.set()
        self._writable.set()
        self._http.connection_lost(exc)

    # -- ours ------------------------------------------------------------------------------
    async def read(self) -> bytes:
        await self._readable.wait()
        if self._chunks:
            data = b"".join(self._chunks)
            self._chunks.clear()
            if self._buffered > READ_LIMIT_BYTES and not self._transport.is_closing():
                self._transport.resume_reading()
            self._buffered = 0
            if not self._eof and not self._gone.is_set():
                self._readable.clear()
            return data
        if self._eof:
            return b""
        raise ConnectionResetError("the client has gone")

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing() or self._gone.is_set():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()
            if self._gone.is_set():
                raise ConnectionResetError("the client has gone")

    def post(self, data: bytes) -> None:
        """Write without waiting, for what is small and answered. ``ConnectionResetError``."""
        if self._transport.is_closing() or self._gone.is_set():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)

    async def wait_gone(self) -> None:
        await self._gone.wait()

    async def finish(self) -> None:
        """Send what is buffered and our end of stream, give the client time to close, close.

        Closing at once with unread input would reset the connection, and the client would
        report an error instead of the end.
        """
        self._discard = True
        self._chunks.clear()
        transport = self._transport
        if self._tls:
            _stay_open(transport, False)
        if not transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                if transport.can_write_eof():
                    transport.write_eof()
            if not self._eof and transport.can_write_eof():
                with contextlib.suppress(RuntimeError):
                    transport.resume_reading()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_S):
                        await self._readable_eof()
        transport.close()

    async def _readable_eof(self) -> None:
        while not self._eof and not self._gone.is_set():
            self._readable.clear()
            await self._readable.wait()

    def _watch_hangup(self) -> None:
        """After the client's half-close only a hang-up is news: ask the kernel for just that.

        asyncio no longer polls the socket then. An epoll set that wants no events still
        reports EPOLLHUP and EPOLLERR, and can itself be polled.
        """
        sock = self._transport.get_extra_info("socket")
        if sock is None or self._tls or self._transport.is_closing():
            return
        hangup = select.epoll()
        try:
            hangup.register(sock.fileno(), 0)
        except OSError:
            hangup.close()
            return
        self._hangup = hangup
        asyncio.get_running_loop().add_reader(hangup.fileno(), self._hung_up)

    def _hung_up(self) -> None:
        self._unwatch_hangup()
        self._transport.abort()

    def _unwatch_hangup(self) -> None:
        if self._hangup is not None:
            asyncio.get_running_loop().remove_reader(self._hangup.fileno())
            self._hangup.close()
            self._hangup = None


def _stay_open(transport: asyncio.Transport, hold: bool) -> None:
    """Keep asyncio's TLS from ending a connection because the client has ended its side.

    TLS 1.3 has half-close (RFC 8446, 6.1) and Go's CloseWrite uses it: ``close_notify``,
    then reading on. asyncio answers it by shutting down, which loses our output; there is
    no public way to stop it, so its method is covered while we go on, if it is there.
    """
    tls = getattr(transport, "_ssl_protocol", None)
    if tls is None or not hasattr(type(tls), "_start_shutdown"):
        return
    if hold:
        tls._start_shutdown = lambda: None
    else:
        vars(tls).pop("_start_shutdown", None)


class HijackedIO:
    """``engine.streams.ClientIO`` on a hijacked connection."""

    def __init__(self, protocol: HijackProtocol, *, raw: bool) -> None:
        self._protocol = protocol
        self._raw = raw

    async def read(self) -> bytes:
        return await self._protocol.read()

    async def write(self, stream: int, data: bytes) -> None:
        await self._protocol.write(data if self._raw else frame(stream, data))

    async def wait_gone(self) -> None:
        await self._protocol.wait_gone()


class Hijacked(StreamResponse):
    """Tells aiohttp that the answer was given, and that the connection is no longer its."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: BaseRequest) -> Any:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def hijack(
    request: BaseRequest, headers: dict[str, str], *, raw: bool, multiplexed_type: bool
) -> tuple[HijackProtocol, HijackedIO]:
    """Answer 101 (or 200 to a client that didn't ask for an upgrade) and take over.

    ``multiplexed_type``: the API version tells framed streams by their content type.
    Raises ``ConnectionResetError`` when the client has gone already.
    """
    connection: Connection = request.protocol  # type: ignore[assignment]
    transport, early = connection.take_over()
    if "Upgrade" in request.headers:
        kind = MULTIPLEXED if multiplexed_type and not raw else RAW
        lines = ["HTTP/1.1 101 UPGRADED", f"Content-Type: {kind}"]
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    else:
        lines = ["HTTP/1.1 200 OK", f"Content-Type: {RAW}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    protocol = HijackProtocol(connection, transport, early, connection.client_eof)
    transport.set_protocol(protocol)
    return protocol, HijackedIO(protocol, raw=raw)
