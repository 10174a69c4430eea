"""A session inside a call."""

from __future__ import annotations

import asyncio

from pierhead.build.buildkit import ID_HEADER, METHOD_HEADER, messages, wire
from pierhead.build.buildkit.session import SessionClient
from pierhead.build.buildkit.tunnel import BYTES, Tunnel, headers_of
from pierhead.build.model import Wanted
from support.buildkit import End, Shared, StubBuilds, client_of, door_on


async def test_a_session_in_a_stream() -> None:
    """Both ends are tunnels: what is spoken inside is what a connection would carry."""
    door = door_on(StubBuilds())
    shared = Shared({"Dockerfile": b"d" * 300_000})
    metadata = [(ID_HEADER.lower(), "s1"), (METHOD_HEADER.lower(), next(iter(shared.mapping())))]
    async with client_of(door) as channel:
        async with channel.open(
            "/moby.buildkit.v1.Control/Session", BYTES, BYTES, metadata=metadata
        ) as stream:
            tunnel = Tunnel(stream)
            serving = asyncio.create_task(wire.serve(End(tunnel), shared.mapping()))
            await asyncio.sleep(0)
            moving = asyncio.create_task(tunnel.run())
            client = SessionClient(door.sessions, "s1")
            async for listing in client.local("dockerfile", Wanted()):
                assert [file.path async for file in listing.files()] == [b"Dockerfile"]
                found = b"".join([part async for part in listing.content(b"Dockerfile")])
                assert found == b"d" * 300_000
            tunnel.close()
            await moving
            await serving
        await asyncio.wait_for(_gone(door.sessions), 5)


async def _gone(sessions: object) -> None:
    while vars(sessions)["_open"]:
        await asyncio.sleep(0.01)


def test_headers_as_metadata() -> None:
    assert headers_of({"x-a": "1"}, ("X-A", "X-B")) == {"X-A": "1", "X-B": ""}
    assert messages.get(BYTES)
