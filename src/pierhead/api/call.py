"""One request as a handler sees it: the engine, the version, typed parameters, and replies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_protocol import PayloadAccessError
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from pierhead.api import query
from pierhead.api.codec import encode
from pierhead.api.connection import Connection
from pierhead.api.errors import status_of
from pierhead.engine.filters import Filters
from pierhead.errors import InvalidParameter, PierError, TooLarge

if TYPE_CHECKING:
    from pierhead.api.context import Engine

BODY_LIMIT_BYTES: Final = 16 << 20

T = TypeVar("T")


class Call:
    """A request on its way through a handler."""

    __slots__ = ("api", "body", "engine", "headers", "name", "request")

    def __init__(
        self,
        request: BaseRequest,
        engine: Engine,
        api: int,
        name: str,
        headers: Mapping[str, str],
    ) -> None:
        self.request = request
        self.engine = engine
        self.api = api  # minor version
        self.name = name  # the path's parameter
        self.headers = headers  # on every answer
        self.body: Any = None

    @property
    def registry_auth(self) -> str | None:
        """The ``X-Registry-Auth`` header: credentials for a registry, as they came."""
        return self.request.headers.get("X-Registry-Auth")

    def end_with_client(self) -> None:
        """From here on cancel this handler when its client goes (rows marked ``duplex``)."""
        connection, task = self.request.protocol, asyncio.current_task()
        assert isinstance(connection, Connection) and task is not None
        connection.watch(task)

    # -- query ---------------------------------------------------------------------------
    def text(self, key: str, default: str = "") -> str:
        return self.request.rel_url.query.get(key, default)

    def texts(self, key: str) -> list[str]:
        """All values of a repeated parameter."""
        return self.request.rel_url.query.getall(key, [])

    def given(self, key: str) -> bool:
        return key in self.request.rel_url.query

    def flag(self, key: str, default: bool = False) -> bool:
        return query.boolean(self.request.rel_url.query.get(key), default)

    def integer(self, key: str, default: int | None = None) -> int | None:
        return query.integer(key, self.request.rel_url.query.get(key), default)

    def dimension(self, key: str, words: str) -> int:
        return query.dimension(words, self.request.rel_url.query.get(key))

    def time_ns(self, key: str) -> int:
        return query.timestamp_ns(key, self.request.rel_url.query.get(key), time.time_ns())

    def filters(self) -> Filters:
        return Filters.parse(self.text("filters"))

    def platform(self, key: str = "platform") -> str | None:
        return query.platform(self.text(key))

    def platforms(self, key: str) -> list[str]:
        """All values of a repeated platform parameter."""
        found = [query.platform(text) for text in self.texts(key)]
        return [platform for platform in found if platform]

    # -- body ----------------------------------------------------------------------------
    async def read_json(self) -> bytes:
        """The whole body, which must say it is JSON. Empty is allowed, as in Docker."""
        request = self.request
        kind = request.headers.get("Content-Type", "")
        length = request.content_length
        if not kind:
            if length or (length is None and request.can_read_body):
                raise InvalidParameter(
                    "malformed Content-Type header (): mime: no media type; send 'application/json'"
                )
            return b""
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise InvalidParameter(
                f"unsupported Content-Type header ({kind}): must be 'application/json'"
            )
        if length is not None and length > BODY_LIMIT_BYTES:
            raise TooLarge(f"request body too large: {length} bytes, at most {BODY_LIMIT_BYTES}")
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > BODY_LIMIT_BYTES:
                raise TooLarge(f"request body too large: more than {BODY_LIMIT_BYTES} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. The client waits while we do.

        Raises ``InvalidParameter`` for a broken transfer, ``ConnectionError`` when the
        client goes before the end.
        """
        try:
            async for chunk in self.request.content.iter_any():
                yield chunk
        except ConnectionError:
            raise
        except (HttpProcessingError, HTTPException, PayloadAccessError) as error:
            raise InvalidParameter(f"broken request body: {error}") from error

    # -- replies -------------------------------------------------------------------------
    def json(self, value: Any, status: int = 200) -> Response:
        return self.raw_json(encode(value), status)

    def raw_json(self, body: bytes, status: int = 200) -> Response:
        return Response(status=status, body=body, content_type="application/json")

    def empty(self, status: int = 204) -> Response:
        return Response(status=status)

    async def start_stream(
        self, content_type: str, extra: Mapping[str, str] | None = None
    ) -> StreamResponse:
        """Send the headers of a 200 now; the body follows with ``write``."""
        response = StreamResponse(status=200, headers={"Content-Type": content_type})
        response.headers.update(self.headers)
        if extra:
            response.headers.update(extra)
        await response.prepare(self.request)
        return response

    async def stream_bytes(
        self,
        source: AsyncIterator[bytes],
        content_type: str,
        extra: Mapping[str, str] | None = None,
    ) -> StreamResponse:
        """Stream ``source``. An error before its first chunk is still an HTTP error."""
        async with closing(source):
            first = await anext(source, b"")
            response = await self.start_stream(content_type, extra)
            if first:
                await response.write(first)
            async for chunk in source:
                await response.write(chunk)
        return response

    async def stream_messages(
        self, source: AsyncIterator[dict[str, Any]], content_type: str = "application/json"
    ) -> StreamResponse:
        """Stream progress messages, one JSON object a line, an error as the last of them."""
        async with closing(source):
            first = await anext(source, None)
            response = await self.start_stream(content_type)
            try:
                if first is not None:
                    await response.write(encode(first))
                async for message in source:
                    await response.write(encode(message))
            except PierError as error:
                detail = {"code": status_of(error), "message": error.message}
                await response.write(encode({"errorDetail": detail, "error": error.message}))
        return response


@asynccontextmanager
async def closing(source: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """End ``source`` with the block: a generator cleans up now, not when it is collected."""
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


def to_json(value: Any) -> str:
    """Compact JSON for a header."""
    return json.dumps(value, separators=(",", ":"))
