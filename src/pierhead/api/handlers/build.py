"""``POST /build`` of the classic builder, ``/build/prune``, ``/build/cancel``."""

from __future__ import annotations

from typing import Final

from aiohttp.web_response import StreamResponse

from pierhead.api import query
from pierhead.api.call import Call
from pierhead.errors import InvalidParameter

_KEEP: Final = "is in bytes and expects an integer, got"


async def build(call: Call) -> StreamResponse:
    """``POST /build``: a tar in, messages out. With ``version=2`` it's BuildKit's door."""
    # Imported when somebody builds: an idle daemon has no use for it.
    from pierhead.api.build import parameters, serving

    if parameters.version(call.request.rel_url.query) == parameters.BUILDKIT:
        from pierhead.api.handlers import buildkit

        return await buildkit.build(call)
    return await serving.classic(call)


async def prune(call: Call) -> StreamResponse:
    """``POST /build/prune``: ``CachesDeleted`` and ``SpaceReclaimed``."""
    if call.api >= 48:
        reserved = _size(call, "reserved-space") or _size(call, "keep-storage")
        keep, free = _size(call, "max-used-space"), _size(call, "min-free-space")
    else:
        reserved, keep, free = _size(call, "keep-storage"), 0, 0
    deleted, freed = await call.engine.build.prune(
        call.filters(),
        all=call.flag("all"),
        keep_bytes=keep,
        reserved_bytes=reserved,
        min_free_bytes=free,
    )
    return call.json({"CachesDeleted": deleted or None, "SpaceReclaimed": freed})


async def cancel(call: Call) -> StreamResponse:
    """``POST /build/cancel?id=``: what isn't under way is no error, as in Docker."""
    ref = call.text("id")
    if not ref:
        raise InvalidParameter("build ID not provided")
    call.engine.build.cancel(ref)
    return call.empty(200)


def _size(call: Call, key: str) -> int:
    value = call.text(key)
    try:
        return query.integer(key, value) or 0
    except InvalidParameter as error:
        raise InvalidParameter(f"{key} {_KEEP} {value}") from error
