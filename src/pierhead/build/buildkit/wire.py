"""gRPC on a transport that has left HTTP/1.1: as its server, and as its client.

grpclib opens and owns its connections; here they were opened by somebody else, so its
protocol object is put on the transport by hand. Import this module when a client comes:
it brings in grpclib and h2.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from grpclib import client, server
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import _DispatchServerEvents
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.filesync import RAW_HEADER
from pierhead.build.buildkit.messages import Message
from pierhead.errors import (
    Forbidden,
    InvalidParameter,
    NotFound,
    PierError,
    TooLarge,
    Unauthorized,
    Unavailable,
)

if TYPE_CHECKING:
    from pierhead.build.buildkit.door import Upgraded

log = logging.getLogger(__name__)
logging.getLogger("grpclib").setLevel(logging.ERROR)  # it tells of every call that is cancelled

Stream = Any
"""grpclib's ``server.Stream`` or ``client.Stream``: typed by messages that have no types."""
Serve = Callable[[Stream], Awaitable[None]]

WINDOW_BYTES: Final = 8 << 20
STREAMS_LIMIT: Final = 100_000
FRAME_HEADER_BYTES: Final = 9
_PLAIN_DATA: Final = b"\0\0"  # frame type 0, no flags: not padded, not the last
_WINDOW_UPDATE: Final = b"\0\0\4\x08\0"  # 4 bytes, type 8, no flags
MESSAGE_LIMIT_BYTES: Final = 64 << 20
PREFIX_BYTES: Final = 5
"""gRPC: before each message, whether it is compressed and how long it is."""

UNARY: Final = Cardinality.UNARY_UNARY
SERVER_STREAM: Final = Cardinality.UNARY_STREAM
CLIENT_STREAM: Final = Cardinality.STREAM_UNARY
BOTH_STREAM: Final = Cardinality.STREAM_STREAM


class StatusDetails(StatusDetailsCodecBase):
    """``grpc-status-details-bin`` holds a ``google.rpc.Status``, kept as serialized bytes."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        full = messages.get("google.rpc.Status")(code=status.value, message=message or "")
        for type_url, value in details or ():
            full.details.add(type_url=type_url, value=value)
        encoded: bytes = full.SerializeToString()
        return encoded

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        full = messages.get("google.rpc.Status").FromString(data)
        return [(detail.type_url, detail.value) for detail in full.details]


def handler(serve: Serve, cardinality: Cardinality, request: str, reply: str) -> Handler:
    """One method: what a ``mapping`` holds. Errors of ours become gRPC's at this edge."""

    async def call(stream: Stream) -> None:
        _limit(stream)
        try:
            await serve(stream)
        except GRPCError:
            raise
        except PierError as error:
            raise refusal(error) from error
        except (ConnectionError, StreamTerminatedError):
            log.debug("client gone", extra={"method": request})
        except Exception as error:
            log.exception("call failed", extra={"method": request})
            raise GRPCError(Status.UNKNOWN, f"{type(error).__name__}: {error}") from error

    return Handler(call, cardinality, messages.get(request), messages.get(reply))


def refusal(error: PierError, details: Sequence[tuple[str, bytes]] = ()) -> GRPCError:
    """An error of ours as gRPC's. Go's clients print any other code before the message, at
    each hop once more; so it is "unknown", as BuildKit's own errors are."""
    return GRPCError(Status.UNKNOWN, error.message, list(details))


def translate(error: GRPCError | StreamTerminatedError) -> PierError:
    """What a client's session answered, as an error of ours."""
    if isinstance(error, StreamTerminatedError):
        return Unavailable(f"the client's session ended: {error}")
    message = error.message or error.status.name
    kinds: dict[Status, type[PierError]] = {
        Status.NOT_FOUND: NotFound,
        Status.UNIMPLEMENTED: NotFound,
        Status.PERMISSION_DENIED: Forbidden,
        Status.UNAUTHENTICATED: Unauthorized,
        Status.UNAVAILABLE: Unavailable,
        Status.RESOURCE_EXHAUSTED: TooLarge,
    }
    return kinds.get(error.status, InvalidParameter)(message)


class _ServerProtocol(H2Protocol):
    def __init__(self, connection: Upgraded, mapping: Mapping[str, Handler]) -> None:
        calls = server.Handler(
            dict(mapping), ProtoCodec(), StatusDetails(), _DispatchServerEvents()
        )
        super().__init__(calls, _configuration().__for_server__(), _h2(client_side=False))
        self.gone = asyncio.Event()
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # h2 allows 100: a bake of many targets would wait for itself.
        settings: dict[SettingCodes | int, int] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_LIMIT
        }
        self.connection._connection.update_settings(settings)
        self.connection.flush()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._connection.lost(exc if isinstance(exc, Exception) else None)
        self.gone.set()


async def serve(connection: Upgraded, mapping: Mapping[str, Handler]) -> None:
    """Answer calls on a connection until its client goes. Cancelled: the connection ends."""
    protocol = _ServerProtocol(connection, mapping)
    start(protocol, connection)
    try:
        await protocol.gone.wait()
    finally:
        if not protocol.gone.is_set():
            connection.transport.close()
        protocol.processor.close("closed")


def start(protocol: H2Protocol, connection: Upgraded) -> None:
    """Put ``protocol`` on the transport, with what the client has sent already."""
    transport = connection.transport
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if connection.early:
        protocol.data_received(connection.early)
    transport.resume_reading()


class _ClientProtocol(H2Protocol):
    def __init__(self, connection: Upgraded) -> None:
        super().__init__(client.Handler(), _configuration().__for_client__(), _h2(client_side=True))
        self.gone = asyncio.Event()
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        processors: dict[Any, Any] = self.processor.processors
        processors[StreamReset] = self._reset
        self._rest = b""
        self._read: dict[int, int] = {}
        vars(self.connection)["ack"] = self._ack
        h2 = self.connection._connection
        vars(h2)["send_headers"] = partial(_send_headers, h2.send_headers)

    def data_received(self, data: bytes) -> None:
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
                    super().data_received(data[told:at])
                told = after
                stream_id = int.from_bytes(data[at + 5 : at + FRAME_HEADER_BYTES], "big")
                self._data(stream_id, data[at + FRAME_HEADER_BYTES : after])
            at = after
        if told < at:
            super().data_received(data[told:at])
        self._rest = data[at:]

    def _data(self, stream_id: int, data: bytes) -> None:
        if not data:
            return
        stream = self.processor.streams.get(stream_id)
        if stream is None:
            self._ack(stream_id, len(data))
        else:
            stream.buffer.add(data, len(data))

    def _ack(self, stream_id: int, size: int) -> None:
        """Open the windows again: the connection's, number 0, and the stream's."""
        for number in (0, stream_id):
            read = self._read.get(number, 0) + size
            if read >= WINDOW_BYTES // 4 and not self.connection.is_closing():
                frame = _WINDOW_UPDATE + number.to_bytes(4, "big") + read.to_bytes(4, "big")
                self.connection._transport.write(frame)
                read = 0
            self._read[number] = read

    def _reset(self, event: StreamReset) -> None:
        """Go's servers reset a stream that they have ended and we haven't: no fault of theirs."""
        stream = self.processor.streams.get(event.stream_id)
        if stream is None or stream.trailers is None or event.error_code != ErrorCodes.NO_ERROR:
            self.processor.process_stream_reset(event)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._connection.lost(exc if isinstance(exc, Exception) else None)
        self.gone.set()


class Channel(client.Channel):
    """Calls to whoever has upgraded this connection: it is the server of it."""

    def __init__(self, connection: Upgraded) -> None:
        super().__init__(
            codec=ProtoCodec(), status_details_codec=StatusDetails(), config=_configuration()
        )
        protocol = _ClientProtocol(connection)
        self._protocol = protocol
        self.gone = protocol.gone
        self._authority = "localhost"
        start(protocol, connection)

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
        cardinality: Cardinality = BOTH_STREAM,
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
                _limit(stream)
                yield stream
                if not stream._end_done:
                    if stream._stream.closable:
                        await stream.cancel()  # leaving early is no fault of the client's
                    stream._end_done = True
        except (GRPCError, StreamTerminatedError) as error:
            raise translate(error) from error
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
                path, UNARY, type(message), messages.get(reply), metadata=metadata
            ) as stream:
                await stream.send_message(message, end=True)
                _limit(stream)
                return await stream.recv_message()
        except (GRPCError, StreamTerminatedError) as error:
            raise translate(error) from error
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


def _limit(stream: Stream) -> None:
    """Refuse to take in messages of gigabytes: whoever sends them says so in five bytes."""
    inner = stream._stream
    receive = inner.recv_data

    async def recv_data(size: int) -> bytes:
        _check(size)
        data: bytes = await receive(size)
        return data

    inner.recv_data = recv_data


def _check(size: int) -> None:
    if size > MESSAGE_LIMIT_BYTES:
        raise TooLarge(f"a message of {size} bytes: at most {MESSAGE_LIMIT_BYTES} are taken")


def _split(pending: bytearray) -> list[bytes]:
    """Take whole messages off ``pending``."""
    found: list[bytes] = []
    at = 0
    while len(pending) - at >= PREFIX_BYTES:
        start = at + PREFIX_BYTES
        size = int.from_bytes(pending[at + 1 : start], "big")
        _check(size)
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
        return translate(error)
    return None


def _configuration() -> Configuration:
    return Configuration(
        http2_connection_window_size=WINDOW_BYTES, http2_stream_window_size=WINDOW_BYTES
    )


def _h2(*, client_side: bool) -> H2Configuration:
    return H2Configuration(
        client_side=client_side,
        header_encoding="utf-8",
        validate_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_inbound_headers=False,
        normalize_outbound_headers=False,
    )
