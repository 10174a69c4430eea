"""Files of a container: archive (``docker cp``), export and changes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp.web_response import Response, StreamResponse

from pierhead.api.call import Call, to_json
from pierhead.errors import InvalidParameter

STAT_HEADER: Final = "X-Docker-Container-Path-Stat"
_TAR: Final = "application/x-tar"


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidParameter("bad parameter: path cannot be empty")
    return path


def _stat_header(stat: dict[str, Any]) -> dict[str, str]:
    return {STAT_HEADER: base64.b64encode(to_json(stat).encode()).decode()}


async def stat(call: Call) -> StreamResponse:
    path = _path(call)
    container = call.engine.containers.get(call.name)
    found = await call.engine.files.stat(container, path, ref=call.name)
    return Response(headers=_stat_header(found))


async def get_archive(call: Call) -> StreamResponse:
    path = _path(call)
    container = call.engine.containers.get(call.name)
    found, source = await call.engine.files.archive(container, path, ref=call.name)
    return await call.stream_bytes(source, _TAR, _stat_header(found))


async def put_archive(call: Call) -> StreamResponse:
    path = _path(call)
    container = call.engine.containers.get(call.name)
    await call.engine.files.extract(
        container,
        path,
        call.chunks(),
        no_overwrite_dir_non_dir=call.flag("noOverwriteDirNonDir"),
        copy_uid_gid=call.flag("copyUIDGID"),
        ref=call.name,
    )
    return call.empty(200)


async def export(call: Call) -> StreamResponse:
    container = call.engine.containers.get(call.name)
    source: AsyncIterator[bytes] = await call.engine.files.export(container)
    return await call.stream_bytes(source, "application/octet-stream")


async def changes(call: Call) -> StreamResponse:
    container = call.engine.containers.get(call.name)
    return call.json(await call.engine.files.changes(container) or None)
