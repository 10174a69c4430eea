"""The Engine API as an HTTP server: from the request line to the handler and back.

Nothing here knows an endpoint; the rows are in ``routes.py``. A request goes: version →
row → body (typed) → handler → answer, and every error becomes Docker's JSON in one place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Final

from aiohttp.http import HttpVersion11
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from pierhead import __version__
from pierhead.api import codec
from pierhead.api.call import Call
from pierhead.api.connection import Connection, Server
from pierhead.api.context import Engine
from pierhead.api.errors import error_response, page_not_found, status_of
from pierhead.api.hijack import Hijacked
from pierhead.api.route import Route, RouteTable
from pierhead.api.routes import ROUTES
from pierhead.api.versions import MAX_VERSION, minor_of, split_version
from pierhead.engine.settings import Settings
from pierhead.errors import PierError

__all__ = ["Api", "Engine", "build_app"]

log = logging.getLogger(__name__)

HEAD_LIMIT_BYTES: Final = 32 * 1024


class Api:
    """The request handler of all listeners."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._table = RouteTable(ROUTES)
        self._streams: set[asyncio.Task[Any]] = set()
        self.headers: Final = {
            "Api-Version": MAX_VERSION,
            "Docker-Experimental": "true" if settings.experimental else "false",
            "Ostype": "linux",
            "Server": f"Pierhead/{__version__} (linux)",
        }

    async def handle(self, request: BaseRequest) -> StreamResponse:
        """Answer one request. Raises nothing but ``CancelledError``: the client has gone.

        (aiohttp closes the connection then, and logs nothing.)
        """
        try:
            response = await self._answer(request)
        except PierError as error:
            status = status_of(error)
            if status == 500:
                log.error(
                    "request failed",
                    extra={"method": request.method, "path": request.path, "error": error.message},
                    exc_info=error.__cause__,
                )
            response = self._refuse(request, status, error.message)
        except ConnectionError as error:
            raise asyncio.CancelledError("the client has gone") from error
        except Exception as error:
            log.exception("request failed", extra={"method": request.method, "path": request.path})
            response = self._refuse(
                request, 500, f"internal error: {type(error).__name__}: {error}"
            )
        if not isinstance(response, Hijacked):
            connection = request.protocol
            if isinstance(connection, Connection):
                connection.answered()
            if not response.prepared:
                response.headers.update(self.headers)
        return response

    def _refuse(self, request: BaseRequest, status: int, message: str) -> StreamResponse:
        if request._payload_writer.output_size:
            # The answer has begun: all that is left is to break it off visibly.
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError("broke off an answer")
        return error_response(status, message)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        version, path = split_version(request.path)
        minor = minor_of(version)
        found = self._table.find(request.method, path, minor)
        if found is None:
            if request.method == "OPTIONS":
                return Response()
            return page_not_found()
        route, name = found
        call = Call(request, self._engine, minor, name, self.headers)
        if "Expect" in request.headers and request.version == HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # a provisional answer isn't the answer
        if route.body is not None:
            call.body = codec.decode(await call.read_json(), route.body)
        if route.stream or route.duplex:
            return await self._long_lived(route, call)
        return await route.handler(call)

    async def _long_lived(self, route: Route, call: Call) -> StreamResponse:
        connection = call.request.protocol
        task = asyncio.current_task()
        assert isinstance(connection, Connection) and task is not None
        self._streams.add(task)
        if route.stream:
            connection.watch(task)
        try:
            return await route.handler(call)
        finally:
            connection.unwatch()
            self._streams.discard(task)

    async def end_streams(self, timeout_s: float) -> None:
        """At stop: end events, logs, attached clients and the like; what is short may finish."""
        pending = set(self._streams)
        for task in pending:
            task.cancel()
        if pending:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait(pending, timeout=timeout_s)


def build_app(engine: Engine, settings: Settings) -> Server:
    """The server for ``engine``: a factory of connections for any number of listeners.

    ``server.api`` is the ``Api`` behind it. Call it from within a running loop.
    """
    api = Api(engine, settings)
    server = Server(
        api.handle,
        access_log=None,
        max_line_size=HEAD_LIMIT_BYTES,
        max_field_size=HEAD_LIMIT_BYTES,
        auto_decompress=False,
        tcp_keepalive=True,
    )
    server.api = api  # type: ignore[attr-defined]
    return server
