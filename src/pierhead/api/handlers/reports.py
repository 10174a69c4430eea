"""``/pierhead/images``: explore, diff, tree and verify, endpoints of our own."""

from __future__ import annotations

from aiohttp.web_response import StreamResponse

from pierhead.api.call import Call
from pierhead.engine.images import difference
from pierhead.engine.images import explore as exploring
from pierhead.errors import InvalidParameter


async def explore(call: Call) -> StreamResponse:
    """``GET /pierhead/images/{name}/explore``; see ``engine/images/explore.py``."""
    limit = call.integer("limit", exploring.LIMIT) or 0
    wanted = exploring.Wanted(
        files=call.flag("files"),
        tree=call.flag("tree"),
        layer=call.integer("layer"),
        path=call.text("path"),
        depth=call.integer("depth"),
        limit=max(0, limit),
    )
    source = call.engine.reports.explore(call.name, wanted, call.platform())
    return await call.stream_bytes(source, "application/json")


async def diff(call: Call) -> StreamResponse:
    """``GET /pierhead/images/diff?a=&b=``; see ``engine/images/difference.py``.

    ``platform`` is for both, ``platform-a`` and ``platform-b`` for one.
    """
    a, b = call.text("a"), call.text("b")
    if not a or not b:
        raise InvalidParameter("a and b are needed: the two images to compare")
    wanted = difference.Wanted(
        files=call.flag("files", True),
        packages=call.flag("packages", True),
        path=call.text("path"),
        times=call.flag("times"),
        content=call.flag("content", True),
    )
    both = call.platform()
    platforms = (call.platform("platform-a") or both, call.platform("platform-b") or both)
    source = call.engine.reports.difference(a, b, wanted, platforms)
    return await call.stream_bytes(source, "application/json")


async def tree(call: Call) -> StreamResponse:
    """``GET /pierhead/images/tree``; see ``engine/images/ancestry.py``."""
    return call.json(call.engine.reports.ancestry())


async def verify(call: Call) -> StreamResponse:
    """``POST /pierhead/images/verify[?name=...&name=...][&repair=1]``: all images by default.

    A stream of messages, see ``engine/images/verifying.py``. ``X-Registry-Auth`` is for the
    registries that repairs come from.
    """
    repair = call.flag("repair")
    return await call.stream_messages(
        call.engine.images.verify(
            call.texts("name"),
            registries=call.engine.distribution if repair else None,
            auth=call.registry_auth,
        )
    )
