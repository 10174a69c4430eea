"""``/_ping``, ``/version``, ``/info``, ``/events``, ``/system/df``, ``/auth``."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp.web_response import Response, StreamResponse

from pierhead.api import shape
from pierhead.api.call import Call, closing
from pierhead.api.codec import encode
from pierhead.engine.config import ApiStruct
from pierhead.errors import InvalidParameter, NotImplementedYet

_PING_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    # The classic builder, so that `docker build` doesn't open a BuildKit session.
    "Builder-Version": "1",
    "Swarm": "inactive",
}
_DF_KINDS: Final = ("container", "image", "volume", "build-cache")
_JSON_STREAMS: Final = ("application/jsonl", "application/x-ndjson", "application/json-seq")


class AuthRequest(ApiStruct):
    """Body of ``POST /auth``; the names are lower case on the wire."""

    username: str = msgspec.field(default="", name="username")
    password: str = msgspec.field(default="", name="password")
    serveraddress: str = msgspec.field(default="", name="serveraddress")
    identitytoken: str = msgspec.field(default="", name="identitytoken")


async def ping(call: Call) -> StreamResponse:
    call.engine.containers.expect_start()  # every client's first request, often of a run or exec
    body = b"" if call.request.method == "HEAD" else b"OK"
    return Response(body=body, content_type="text/plain", charset="utf-8", headers=_PING_HEADERS)


async def version(call: Call) -> StreamResponse:
    return call.json(call.engine.system.version())


async def info(call: Call) -> StreamResponse:
    return call.json(shape.info(call.engine.system.info(), call.api))


async def disk_usage(call: Call) -> StreamResponse:
    kinds = set(_DF_KINDS)
    if call.api >= 42 and call.given("type"):
        kinds = set(call.texts("type"))
        for kind in kinds.difference(_DF_KINDS):
            raise InvalidParameter(f"unknown object type: {kind}")
    usage = await call.engine.system.disk_usage(kinds)
    return call.json(shape.disk_usage(usage, call.api, call.flag("verbose")))


async def auth(call: Call) -> StreamResponse:
    # There is no registry client yet, so no password can be checked: don't say "succeeded".
    server = call.body.serveraddress or "https://index.docker.io/v1/"
    raise NotImplementedYet(
        f"login to {server} is not possible yet: this pierd has no registry client. Local images "
        "need none: see `pier image bootstrap`, `pier load` and `pier import`"
    )


def negotiate(accept: str, default: str) -> str:
    """The first of the JSON stream types that the Accept header names, or ``default``."""
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in _JSON_STREAMS:
            return kind
    return default


async def events(call: Call) -> StreamResponse:
    since, until = call.time_ns("since"), call.time_ns("until")
    if until and until < since:
        raise InvalidParameter(
            f"`since` time ({call.text('since')}) cannot be after `until` time "
            f"({call.text('until')})"
        )
    source = call.engine.events.subscribe(since, until, call.filters())
    kind = "application/jsonl" if call.api >= 52 else "application/json"
    kind = negotiate(call.request.headers.get("Accept", ""), kind)
    mark = b"\x1e" if kind == "application/json-seq" else b""
    response = await call.start_stream(kind)
    async with closing(source):
        async for event in source:
            shaped = shape.event(event, call.api)
            if shaped is not None:
                await response.write(mark + encode(shaped))
    return response
