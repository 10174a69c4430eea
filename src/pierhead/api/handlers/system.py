"""``/_ping``, ``/version``, ``/info``, ``/events``, ``/system/df``."""

from __future__ import annotations

from typing import Any, Final

from aiohttp.web_response import Response, StreamResponse

from pierhead.api import shape
from pierhead.api.call import Call, closing
from pierhead.api.codec import encode
from pierhead.errors import InvalidParameter

_PING_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    # BuildKit is what clients that can choose build with: files come as they are needed.
    "Builder-Version": "2",
    "Swarm": "inactive",
}
_DF_KINDS: Final = ("container", "image", "volume", "build-cache")
_JSON_STREAMS: Final = ("application/jsonl", "application/x-ndjson", "application/json-seq")


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
    usage = await call.engine.system.disk_usage(kinds - {"build-cache"})
    if "build-cache" in kinds:
        usage["build-cache"] = _cache_usage(call.engine.build.usage())
    return call.json(shape.disk_usage(usage, call.api, call.flag("verbose")))


def _cache_usage(items: list[dict[str, Any]]) -> dict[str, Any]:
    """The API's ``BuildCacheDiskUsage``: what images share is counted there."""
    own = [item for item in items if not item.get("Shared")]
    return {
        "ActiveCount": sum(1 for item in items if item.get("InUse")),
        "TotalCount": len(items),
        "Reclaimable": sum(int(item.get("Size") or 0) for item in own if not item.get("InUse")),
        "TotalSize": sum(int(item.get("Size") or 0) for item in own),
        "Items": items,
    }


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
