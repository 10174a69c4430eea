"""BuildKit's door on HTTP/1.1: two upgrades to HTTP/2, and ``POST /build?version=2``.

What is spoken there is ``build.buildkit.door``'s; here connections are taken over and the
query of a build is read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp.web_response import StreamResponse

from pierhead.api.build import parameters
from pierhead.api.call import Call, closing
from pierhead.api.connection import Connection
from pierhead.api.hijack import Hijacked
from pierhead.build.buildkit import ID_HEADER, METHOD_HEADER
from pierhead.build.model import BuildOptions, CacheOption, Output
from pierhead.errors import InvalidParameter

log = logging.getLogger(__name__)

H2C: Final = "h2c"
CLIENT_SESSION: Final = "client-session"
UPLOAD: Final = "upload-request"


class Upgraded:
    """``build.buildkit.door.Upgraded`` on a connection of aiohttp's."""

    def __init__(self, connection: Connection) -> None:
        self.transport, self.early = connection.take_over()
        self._connection = connection

    def lost(self, error: Exception | None) -> None:
        self._connection.connection_lost(error)


async def grpc(call: Call) -> StreamResponse:
    """``POST /grpc`` with ``Upgrade: h2c``: BuildKit's services."""
    await call.engine.buildkit.serve(_upgrade(call))
    return Hijacked()


async def session(call: Call) -> StreamResponse:
    """``POST /session`` with ``Upgrade: h2c``: from now on the client serves, and we call."""
    headers = call.request.headers
    if not headers.get(ID_HEADER):
        raise InvalidParameter(f"a session needs an id in the header {ID_HEADER}")
    methods = list(headers.getall(METHOD_HEADER, []))
    given = {name: value for name, value in headers.items() if name != METHOD_HEADER}
    await call.engine.buildkit.serve_session(_upgrade(call), given, methods)
    return Hijacked()


def _upgrade(call: Call) -> Upgraded:
    """Answer 101 and take the connection."""
    wanted = call.request.headers.get("Upgrade", "")
    if not wanted:
        raise InvalidParameter("no upgrade proto in request")
    if wanted.lower() != H2C:
        raise InvalidParameter(f"protocol {wanted} not supported")
    connection = call.request.protocol
    assert isinstance(connection, Connection)
    upgraded = Upgraded(connection)
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {wanted}"]
    lines += [f"{name}: {value}" for name, value in call.headers.items()]
    upgraded.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    return upgraded


async def build(call: Call) -> StreamResponse:
    """``POST /build?version=2``: what ``docker build`` 18.09 to 20.10 does with BuildKit.

    The handler of ``POST /build`` hands over to this one when ``version`` is 2.
    """
    call.end_with_client()
    door = call.engine.buildkit
    build_id = call.text("buildid")
    if build_id.startswith(f"{UPLOAD}:"):
        await door.uploads.put(build_id.removeprefix(f"{UPLOAD}:"), call.chunks())
        return call.empty(200)
    if session_id := call.text("session"):
        # Docker 20.10's client waits for ever if it is refused before its session is there.
        await door.sessions.get(session_id)
    options = read_options(call)
    tar = None
    if call.text("remote") == UPLOAD:
        tar = await door.uploads.take(build_id)
    elif not call.text("remote"):
        tar = call.chunks()
    messages = door.build(options, session_id, tar)
    if not call.flag("q"):
        return await call.stream_messages(messages)
    async with closing(messages):
        held = [message async for message in messages]
    if held and "error" in held[-1]:
        return await call.stream_messages(_again(held))  # what there was to see, and the error
    ids = [message["aux"]["ID"] for message in held if message["id"] == "moby.image.id"]
    return call.json({"stream": "".join(f"{image_id}\n" for image_id in ids)})


async def _again(messages: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for message in messages:
        yield message


class _Query:
    """The query, but for what the classic builder would refuse."""

    def __init__(self, call: Call, remote: str) -> None:
        self._given = call.request.rel_url.query
        self._remote = remote

    def get(self, key: str, default: str) -> str:
        return self._remote if key == "remote" else self._given.get(key, default)

    def getall(self, key: str, default: list[str]) -> list[str]:
        return list(self._given.getall(key, default))


def read_options(call: Call) -> BuildOptions:
    """The same query as the classic builder's, with BuildKit's own about it."""
    remote = call.text("remote")
    local = remote in {"", CLIENT_SESSION, UPLOAD}
    given = parameters.read(_Query(call, "" if local else remote), call.api)
    options = given.options
    options.classic = False
    if remote == CLIENT_SESSION:
        options.dockerfile_source = "dockerfile"
    if options.network_name:
        raise InvalidParameter(
            f'network mode "{options.network_name}" not supported by buildkit: use default, '
            "none or host"
        )
    options.outputs = _outputs(call.text("outputs"), options.tags)
    options.cache_from = [
        CacheOption(type="registry", attributes={"ref": name}) for name in given.cache_from
    ]
    if options.build_args.get("BUILDKIT_INLINE_CACHE", "") in {"1", "t", "T", "true", "TRUE"}:
        options.cache_to = [CacheOption(type="inline")]
    return options


def _outputs(text: str, tags: list[str]) -> list[Output]:
    try:
        given: Any = json.loads(text) if text else []
        found = [
            Output(type=item["Type"], attributes=dict(item.get("Attrs") or {}), number=number)
            for number, item in enumerate(given or [])
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidParameter(f"invalid outputs specified: {error}") from error
    if len(found) > 1:
        raise InvalidParameter("multiple outputs not supported")
    if found and found[0].type == "cacheonly":
        return found
    if not found or found[0].type == "image":
        attributes = dict(found[0].attributes) if found else {}
        if tags:
            attributes["name"] = ",".join(tags)
        return [Output(type="image", attributes=attributes)]
    return found
