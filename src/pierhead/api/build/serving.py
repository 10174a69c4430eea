"""A classic build's request and its answer: what goes out when, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from aiohttp.web_response import StreamResponse

from pierhead import tasks
from pierhead.api.build import drawing, parameters
from pierhead.api.build.classic import ClassicClient
from pierhead.api.call import Call, closing
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.model import BuildResult, Event
from pierhead.errors import InvalidParameter, PierError

log = logging.getLogger(__name__)


async def classic(call: Call) -> StreamResponse:
    """``POST /build``: the build ends with its client."""
    call.end_with_client()
    given = parameters.read(call.request.rel_url.query, call.api)
    reply = _Reply(call, quiet=given.quiet)
    feed = _Feed()
    client = ClassicClient(call.chunks(), _credentials(call), feed.put)
    drawn = drawing.ClassicDrawing(
        remove=given.remove, force_remove=given.force_remove, aux=call.api >= 30
    )
    options = given.options
    if given.cache_from and not any(_is_here(call, name) for name in given.cache_from):
        options.no_cache = True  # only these may serve, and there is none of them

    def emit(event: Event) -> None:
        for message in drawn.draw(event):
            feed.put(message)

    work = tasks.spawn(
        tasks.outcome(call.engine.build.build(options, client, emit)), name="classic build"
    )
    work.add_done_callback(lambda _: feed.end())
    try:
        async with closing(feed.batches()) as batches:
            async for batch in batches:
                await reply.write(batch)
        result = await work
    finally:
        if not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
    if isinstance(result, Exception):
        if isinstance(result, BuildError) and result.lexical:
            result = InvalidParameter(f"failed to parse {options.dockerfile}: {result.message}")
        return await _failed(reply, drawn, result)
    return await reply.end(
        drawn.finish(_image_id(result), options.tags, squashed=options.squash), _image_id(result)
    )


async def _failed(reply: _Reply, drawn: drawing.ClassicDrawing, error: Exception) -> StreamResponse:
    """Before the first message an error has an HTTP status, after it it is a message."""
    if not isinstance(error, PierError | ConnectionError):
        log.error("build failed", exc_info=error)
    if not reply.begun:
        raise error
    return await reply.fail(drawn.fail(error))


class _Feed:
    """Messages on their way to the client: many small ones go out in one write."""

    def __init__(self) -> None:
        self._messages: list[dict[str, Any]] = []
        self._ended = False
        self._news = asyncio.Event()

    def put(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    async def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        while True:
            await self._news.wait()
            self._news.clear()
            messages, self._messages = self._messages, []
            if messages:
                yield messages
            elif self._ended:
                return
            if self._ended:
                self._news.set()


class _Reply:
    """The answer: begun with the first message; ``q`` holds all back till the end."""

    def __init__(self, call: Call, *, quiet: bool) -> None:
        self._call = call
        self._held: list[dict[str, Any]] | None = [] if quiet else None
        self._response: StreamResponse | None = None

    @property
    def begun(self) -> bool:
        return self._response is not None or bool(self._held)

    async def write(self, messages: list[dict[str, Any]]) -> None:
        if self._held is not None:
            self._held += messages
        else:
            await self._send(messages)

    async def end(self, messages: list[dict[str, Any]], image_id: str) -> StreamResponse:
        if self._held is not None:
            messages = [drawing.stream(f"{image_id}\n")]
        return await self._send(messages)

    async def fail(self, messages: list[dict[str, Any]]) -> StreamResponse:
        return await self._send((self._held or []) + messages)

    async def _send(self, messages: list[dict[str, Any]]) -> StreamResponse:
        if self._response is None:
            self._response = await self._call.start_stream("application/json")
        await self._response.write(drawing.encode(messages))
        return self._response


def _image_id(result: BuildResult) -> str:
    return str(result.images[0].id) if result.images else ""


def _is_here(call: Call, name: str) -> bool:
    try:
        call.engine.images.resolve(name)
    except PierError:
        return False
    return True


def _credentials(call: Call) -> dict[str, Any]:
    """``X-Registry-Config``. What can't be read counts as nothing, as in Docker: who builds
    without a private base image needs none."""
    from pierhead.distribution import credentials

    try:
        return dict(credentials.decode_config(call.request.headers.get("X-Registry-Config")))
    except InvalidParameter:
        return {}
