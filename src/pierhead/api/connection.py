"""One client connection: aiohttp's HTTP protocol with the three things Docker's API adds.

A connection may be *hijacked* (attach, exec): it stops being HTTP and becomes a duplex
byte stream, see ``hijack.py``. A client may send the first bytes of that stream together
with the request; they must not reach the HTTP parser. And the handler of a long-lived
response wants to end when its client has gone.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server as BaseServer

from pierhead.api.errors import error_response

_HIJACK_LINE: Final = re.compile(
    rb"POST (?:/v[0-9.]+)?/(?:containers/[^ ?]*/attach|exec/[^ ?]*/start|session|grpc"
    rb"|pierhead/build(?:/debug/[^ ?]*)?)[ ?]"
)
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
_EARLY_LIMIT_BYTES: Final = 1 << 20


def split_hijack(data: bytes) -> int | None:
    """Where the stream begins in ``data``, if that starts with a whole request to hijack.

    None when it doesn't: another request, or one whose head didn't come in one piece,
    which no client that sends early data does.
    """
    if not data.startswith(b"POST ") or not _HIJACK_LINE.match(data):
        return None
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[: end + 2]
    if b"chunked" in head.lower():
        return None
    length = _LENGTH.search(head)
    return end + 4 + (int(length[1]) if length else 0)


class Connection(RequestHandler):
    """A connection while it speaks HTTP."""

    __slots__ = ("_body", "_early", "_stream_at", "_watching", "client_eof", "hijacked")

    def __init__(self, manager: Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self.hijacked = False
        self.client_eof = False
        self._early: bytearray | None = None  # not None: a request to hijack is under way
        self._stream_at = 0  # bytes of that request's body which are still to come
        self._watching: asyncio.Task[Any] | None = None
        self._body: StreamReader | None = None  # of the request that came last

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            if self._stream_at:  # the request's own body
                own, data = data[: self._stream_at], data[self._stream_at :]
                self._stream_at -= len(own)
                self._feed(own)
            self._keep(data)
            return
        if self._current_request is None and not self._messages:
            at = split_hijack(data)
            if at is not None:
                self._early = bytearray()
                self._stream_at = max(at - len(data), 0)
                self._feed(data[:at])
                self._keep(data[at:])
                return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:
            self._body = self._messages[-1][1]

    def _keep(self, data: bytes) -> None:
        if self._early is None or not data:
            return
        self._early += data
        if len(self._early) > _EARLY_LIMIT_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """The client has shut its side: end what waits for it, answer what it has asked."""
        self.client_eof = True
        if self._watching is not None:
            self._watching.cancel()
            return None
        if self._body is not None and not self._body.is_eof():
            return None  # broken off in the middle: closing tells whoever reads the body
        # aiohttp's task waits for a request, or has none yet, or is at work on one.
        if self._messages or (self._waiter is None and self._request_count):
            self.close()  # after this answer
            return self.ssl_context is None  # with TLS asyncio ignores it, and complains
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._watching is not None and not self.hijacked:
            self._watching.cancel()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """The answer to what isn't HTTP, in the form of all refusals. The connection ends."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer has begun already")
        reason = (message or str(exc) or "").partition("\n")[0].rstrip(": ")
        response = error_response(status, f"malformed HTTP request: {reason}")
        response.force_close()
        return response

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel ``task`` when the client goes."""
        self._watching = task
        if self.transport is None:
            task.cancel()

    def unwatch(self) -> None:
        self._watching = None

    def take_over(self) -> tuple[asyncio.Transport, bytes]:
        """End HTTP here: return the transport and what the client has sent of its stream."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        early = bytes(self._early or b"")
        self._early = None
        self.hijacked = True
        self._watching = None
        self.close()
        self.transport = None
        return transport, early

    def answered(self) -> None:
        """A request that might have been hijacked was answered instead: the rest is HTTP again."""
        early, self._early = self._early, None
        if early and self.transport is not None:
            self._feed(bytes(early))


class Server(BaseServer):
    """aiohttp's low-level server with our connections."""

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)
