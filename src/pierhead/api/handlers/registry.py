"""What needs a registry: pull, push, login, search, and a look at an image over there."""

from __future__ import annotations

import msgspec
from aiohttp.web_response import StreamResponse

from pierhead.api.call import Call
from pierhead.engine.config import ApiStruct
from pierhead.errors import InvalidParameter


class AuthRequest(ApiStruct):
    """Body of ``POST /auth``; the names are lower case on the wire."""

    username: str = msgspec.field(default="", name="username")
    password: str = msgspec.field(default="", name="password")
    auth: str = msgspec.field(default="", name="auth")
    email: str = msgspec.field(default="", name="email")
    serveraddress: str = msgspec.field(default="", name="serveraddress")
    identitytoken: str = msgspec.field(default="", name="identitytoken")
    registrytoken: str = msgspec.field(default="", name="registrytoken")


async def pull(call: Call) -> StreamResponse:
    """``POST /images/create?fromImage=name[&tag=tag or digest][&platform=...]``.

    A name without tag and digest means all its tags. ``docker pull -a`` of old clients
    sends a trailing colon. The pull ends when the client goes.
    """
    call.end_with_client()
    return await call.stream_messages(
        call.engine.distribution.pull(
            call.text("fromImage").removesuffix(":"),
            call.text("tag"),
            platform=call.platform() if call.api >= 32 else None,
            auth=call.registry_auth,
        )
    )


async def push(call: Call) -> StreamResponse:
    """``POST /images/{name}/push``: without a tag all tags of the name."""
    return await call.stream_messages(
        call.engine.distribution.push(
            call.name,
            call.text("tag"),
            platform=call.platform() if call.api >= 46 else None,
            auth=call.registry_auth,
        )
    )


async def inspect(call: Call) -> StreamResponse:
    """``GET /distribution/{name}/json``."""
    return call.json(await call.engine.distribution.inspect(call.name, auth=call.registry_auth))


async def login(call: Call) -> StreamResponse:
    """``POST /auth``: try the credentials at the registry; nothing is kept here."""
    body: AuthRequest = call.body
    return call.json(await call.engine.distribution.login(msgspec.structs.asdict(body)))


async def search(call: Call) -> StreamResponse:
    """``GET /images/search``."""
    limit = call.integer("limit", 0) or 0
    if not 0 <= limit <= 100:
        raise InvalidParameter(f"limit {limit} is outside the range of [1, 100]")
    return call.json(
        await call.engine.distribution.search(
            call.text("term"),
            limit=limit or 25,
            filters=call.filters(),
            auth=call.registry_auth,
        )
    )
