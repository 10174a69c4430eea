"""gRPC on a transport that has left HTTP/1.1: as its server, and what both sides need.

grpclib opens and owns its connections; here they were opened by somebody else, so its
protocol object is put on the transport by hand. Import this module when a client comes:
it brings in grpclib and h2.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from grpclib import server
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import _DispatchServerEvents
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import AbstractHandler, H2Protocol
from h2.config import H2Configuration
from h2.settings import SettingCodes

from pierhead.build.buildkit import messages
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
MESSAGE_LIMIT_BYTES: Final = 64 << 20

UNARY: Final = Cardinality.UNARY_UNARY
SERVER_STREAM: Final = Cardinality.UNARY_STREAM
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
        limit(stream)
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


class Protocol(H2Protocol):
    """What both sides share: the end is told, and whatever breaks the protocol is one."""

    def __init__(
        self, calls: AbstractHandler, config: Configuration, connection: Upgraded, *, client: bool
    ) -> None:
        super().__init__(calls, config, _h2(client_side=client))
        self.gone = asyncio.Event()
        self._connection = connection

    def data_received(self, data: bytes) -> None:
        try:
            self.take(data)
        except Exception as error:  # h2 and grpclib have many for what peers shouldn't send
            log.debug("protocol error", exc_info=error)
            self.processor.close("protocol error")

    def take(self, data: bytes) -> None:
        """Bytes from the other side."""
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._connection.lost(exc if isinstance(exc, Exception) else None)
        self.gone.set()


class _ServerProtocol(Protocol):
    def __init__(self, connection: Upgraded, mapping: Mapping[str, Handler]) -> None:
        calls = server.Handler(
            dict(mapping), ProtoCodec(), StatusDetails(), _DispatchServerEvents()
        )
        super().__init__(calls, configuration().__for_server__(), connection, client=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # h2 allows 100: a bake of many targets would wait for itself.
        settings: dict[SettingCodes | int, int] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_LIMIT
        }
        self.connection._connection.update_settings(settings)
        self.connection.flush()


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


def limit(stream: Stream) -> None:
    """Refuse to take in messages of gigabytes: whoever sends them says so in five bytes."""
    inner = stream._stream
    receive = inner.recv_data

    async def recv_data(size: int) -> bytes:
        check(size)
        data: bytes = await receive(size)
        return data

    inner.recv_data = recv_data


def check(size: int) -> None:
    if size > MESSAGE_LIMIT_BYTES:
        raise TooLarge(f"a message of {size} bytes: at most {MESSAGE_LIMIT_BYTES} are taken")


def configuration() -> Configuration:
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
