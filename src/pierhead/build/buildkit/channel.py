"""Calls to a client: gRPC where the side that opened the connection is the server.

Contexts come by these calls, tens of thousands of small messages in a row, so what h2 and
grpclib do with each is gone round: DATA frames go straight to their streams, and ``batches``
takes all messages that have come at a time. Import this module when a client comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from grpclib import client
from grpclib.const import Cardinality
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol
from h2.errors import ErrorCodes
from h2.events import StreamReset
from h2.exceptions import ProtocolError, StreamClosedError

from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.filesync import RAW_HEADER
from pierhead.build.buildkit.messages import Message
from pierhead.build.buildkit.wire import Stream
from pierhead.errors import InvalidParameter, PierError, Unavailable

if TYPE_CHECKING:
    from pierhead.build.buildkit.door import Upgraded

FRAME_HEADER_BYTES: Final = 9
FRAME_BYTES: Final = 16384
"""At most in a frame, unless the other side allows more (RFC 9113, 4.2)."""
WRITE_BYTES: Final = 256 << 10
_PLAIN_DATA: Final = b"\0\0"  # frame type 0, no flags: not padded, not the last
_WINDOW_UPDATE: Final = b"\0\0\4\x08\0"  # 4 bytes, type 8, no flags
PREFIX_BYTES: Final = 5
"""gRPC: before each message, whether it is compressed and how long it is."""


class _ClientProtocol(wire.Protocol):
    def __init__(self, connection: Upgraded) -> None:
        config = wire.configuration().__for_client__()
        super().__init__(client.Handler(), config, connection, client=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        processors: dict[Any, Any] = self.processor.processors
        processors[StreamReset] = self._reset
        self._rest = b""
        self._read: dict[int, int] = {}
        self._unread = 0
        vars(self.connection)["ack"] = self._ack
        h2 = self.connection._connection
        vars(h2)["send_headers"] = partial(_send_headers, h2.send_headers)

    def take(self, data: bytes) -> None:
        """Hand DATA to its stream and all else to h2.

        A context is tens of thousands of small frames, and h2's way with each takes longer
        than all of the rest. Windows are kept here then; h2 never hears of what was read.
        """
        data = self._rest + data
        at, told, end = 0, 0, len(data)
        while end - at >= FRAME_HEADER_BYTES:
            after = at + FRAME_HEADER_BYTES + int.from_bytes(data[at : at + 3], "big")
            if after > end:
                break
            if data[at + 3 : at + 5] == _PLAIN_DATA:
                if told < at:
                    super().take(data[told:at])
                told = after
                stream_id = int.from_bytes(data[at + 5 : at + FRAME_HEADER_BYTES], "big")
                self._data(stream_id, data[at + FRAME_HEADER_BYTES : after])
            at = after
        if told < at:
            super().take(data[told:at])
        self._rest = data[at:]

    def _data(self, stream_id: int, data: bytes) -> None:
        if not data:
            return
        stream = self.processor.streams.get(stream_id)
        self._unread += len(data)
        if stream is None:
            self._ack(stream_id, len(data))
        elif self._unread > 2 * wire.WINDOW_BYTES:
            self.processor.close("the client sends more than it may")
        else:
            stream.buffer.add(data, len(data))

    def _ack(self, stream_id: int, size: int) -> None:
        """Open the windows again: the connection's, number 0, and the stream's."""
        self._unread -= size
        for number in (0, stream_id):
            read = self._read.get(number, 0) + size
            if read >= wire.WINDOW_BYTES // 4 and not self.connection.is_closing():
                frame = _WINDOW_UPDATE + number.to_bytes(4, "big") + read.to_bytes(4, "big")
                self.connection._transport.write(frame)
                read = 0
            self._read[number] = read

    def _reset(self, event: StreamReset) -> None:
        """Go's servers reset a stream that they have ended and we haven't: no fault of theirs."""
        stream = self.processor.streams.get(event.stream_id)
        if stream is None or stream.trailers is None or event.error_code != ErrorCodes.NO_ERROR:
            self.processor.process_stream_reset(event)


class Channel(client.Channel):
    """Calls to whoever has upgraded this connection: it is the server of it."""

    def __init__(self, connection: Upgraded) -> None:
        super().__init__(
            codec=ProtoCodec(),
            status_details_codec=wire.StatusDetails(),
            config=wire.configuration(),
        )
        protocol = _ClientProtocol(connection)
        self._protocol = protocol
        self.gone = protocol.gone
        self._authority = "localhost"
        wire.start(protocol, connection)

    async def __connect__(self) -> H2Protocol:
        if self._protocol is None or self.gone.is_set():
            raise Unavailable("the client's session has ended")
        return self._protocol

    def close(self) -> None:
        if self._protocol is not None:
            self._protocol.processor.close()
            self._protocol = None

    @asynccontextmanager
    async def open(
        self,
        path: str,
        request: str,
        reply: str,
        *,
        cardinality: Cardinality = wire.BOTH_STREAM,
        metadata: Sequence[tuple[str, str]] = (),
        first: Message | None = None,
    ) -> AsyncIterator[Stream]:
        """One streaming call; gRPC's errors come out as ours. ``first``: the only request."""
        stream: Stream = self.request(
            path, cardinality, messages.get(request), messages.get(reply), metadata=metadata
        )
        try:
            async with stream:
                if first is None:
                    await stream.send_request()
                else:
                    await stream.send_message(first, end=True)
                wire.limit(stream)
                yield stream
                if not stream._end_done:
                    if stream._stream.closable:
                        await stream.cancel()  # leaving early is no fault of the client's
                    stream._end_done = True
        except (GRPCError, StreamTerminatedError) as error:
            raise wire.translate(error) from error
        except ProtocolError as error:
            raise _verdict(stream) or Unavailable(f"the client's session: {error}") from error
        except PierError as error:
            verdict = _verdict(stream)  # what was missed is less telling than why it is missing
            if verdict is not None:
                raise verdict from error
            raise

    async def call(
        self, path: str, message: Message, reply: str, *, metadata: Sequence[tuple[str, str]] = ()
    ) -> Message:
        """One unary call."""
        try:
            async with self.request(
                path, wire.UNARY, type(message), messages.get(reply), metadata=metadata
            ) as stream:
                await stream.send_message(message, end=True)
                wire.limit(stream)
                return await stream.recv_message()
        except (GRPCError, StreamTerminatedError) as error:
            raise wire.translate(error) from error
        except ProtocolError as error:
            raise Unavailable(f"the client's session: {error}") from error


async def batches(stream: Stream) -> AsyncIterator[list[bytes]]:
    """The messages that have come, serialized, many at a time, until the other side ends.

    For streams of small messages; not to be mixed with ``recv_message``.
    """
    await stream.recv_initial_metadata()
    inner = stream._stream
    queue = inner.buffer._unacked
    pending = bytearray()
    while True:
        with stream._wrapper:
            parts = [await queue.get()]
        while not queue.empty():
            parts.append(queue.get_nowait())
        ended = not parts[-1].ack_size
        pending += b"".join(part.data for part in parts)
        inner.connection.ack(inner.id, sum(part.ack_size for part in parts))
        found = _split(pending)
        if found:
            yield found
        if ended:
            return


async def send_framed(stream: Stream, data: bytes) -> None:
    """Send messages that are framed already (``framed``), any number of them.

    The same way round h2 as for what comes, within the windows that h2 keeps. Whoever
    shares a stream with others takes a lock: a message must not be cut by another one.
    """
    inner = stream._stream
    h2, connection, rest = inner._h2_connection, inner.connection, memoryview(data)
    number = inner.id.to_bytes(4, "big")
    while rest:
        with stream._wrapper:
            await connection.write_ready.wait()
            if inner.id not in h2.streams:
                raise StreamClosedError(inner.id)
            window = h2.local_flow_control_window(inner.id)
            if window <= 0:
                inner.window_updated.clear()
                await inner.window_updated.wait()
                continue
        size = min(window, WRITE_BYTES)
        now, rest = rest[:size], rest[size:]
        h2.outbound_flow_control_window -= len(now)
        h2.streams[inner.id].outbound_flow_control_window -= len(now)
        parts: list[bytes | memoryview] = []
        for start in range(0, len(now), FRAME_BYTES):
            part = now[start : start + FRAME_BYTES]
            parts += (len(part).to_bytes(3, "big") + _PLAIN_DATA + number, part)
        connection._transport.write(b"".join(parts))


def framed(message: Message) -> bytes:
    """A message as it goes out."""
    data: bytes = message.SerializeToString()
    return b"\0" + len(data).to_bytes(4, "big") + data


def _split(pending: bytearray) -> list[bytes]:
    """Take whole messages off ``pending``."""
    found: list[bytes] = []
    at = 0
    while len(pending) - at >= PREFIX_BYTES:
        start = at + PREFIX_BYTES
        size = int.from_bytes(pending[at + 1 : start], "big")
        wire.check(size)
        end = start + size
        if end > len(pending):
            break
        if pending[at]:
            raise InvalidParameter("the client sends compressed messages that nobody asked for")
        found.append(bytes(pending[start:end]))
        at = end
    del pending[:at]
    return found


def _send_headers(
    send: Callable[..., None], stream_id: int, headers: list[tuple[str, str]], **more: Any
) -> None:
    """h2's ``send_headers``. grpclib wants metadata to be ASCII; old clients want UTF-8."""
    if (RAW_HEADER, "1") in headers:
        headers = [(key, unquote_plus(value)) for key, value in headers if key != RAW_HEADER]
    send(stream_id, headers, **more)


def _verdict(stream: Stream) -> PierError | None:
    """What the other side said when it closed a stream that we were writing to."""
    try:
        if getattr(stream, "_stream", None) is not None:
            stream._maybe_raise()
    except GRPCError as error:
        return wire.translate(error)
    return None
