"""The door as handlers use it: ``POST /build?version=2``, and its end."""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import aclosing

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.door import cache_sources, platforms
from pierhead.build.model import BuildOptions, CacheOption
from pierhead.errors import InvalidParameter
from pierhead.oci.platform import of_machine
from support.buildkit import IMAGE, StubBuilds, dockerfile_session, door_on, session_of


async def test_a_build_as_messages() -> None:
    door = door_on(StubBuilds())
    async with session_of(door, dockerfile_session()) as session_id:
        found = [message async for message in door.build(BuildOptions(ref="r"), session_id)]
    assert found[-1] == {"id": "moby.image.id", "aux": {"ID": IMAGE}}
    kind = messages.get("moby.buildkit.v1.StatusResponse")
    traces = [
        kind.FromString(base64.b64decode(message["aux"]))
        for message in found
        if message["id"] == "moby.buildkit.trace"
    ]
    assert traces[0].vertexes[0].name == "[internal] load build definition"


async def test_an_error_ends_the_messages() -> None:
    builds = StubBuilds()
    builds.error = InvalidParameter("no luck")
    door = door_on(builds)
    async with session_of(door, dockerfile_session()) as session_id:
        found = [message async for message in door.build(BuildOptions(ref="r"), session_id)]
        assert found[-1] == {"errorDetail": {"message": "no luck"}, "error": "no luck"}


async def test_closing_stops_the_build() -> None:
    builds = StubBuilds()
    builds.hang = True
    door = door_on(builds)
    async with session_of(door, dockerfile_session()) as session_id:
        async with aclosing(door.build(BuildOptions(ref="r"), session_id)) as told:
            assert await anext(told)
            await asyncio.wait_for(builds.hanging.wait(), 5)
        async with asyncio.timeout(5):
            while not builds.cancelled:
                await asyncio.sleep(0.005)


async def test_closing_the_door_ends_sessions() -> None:
    door = door_on(StubBuilds())
    async with session_of(door, {}) as session_id:
        session = await door.sessions.get(session_id)
        await door.close()
        await asyncio.wait_for(session.channel.gone.wait(), 5)


def test_caches_that_clients_hold() -> None:
    caches = [
        CacheOption(type="registry", attributes={"ref": "r"}),
        CacheOption(type="local", attributes={"src": "/c"}),
    ]
    assert cache_sources(caches) == {"cache-from:1": "local:/c"}


def test_this_machine_comes_first() -> None:
    assert platforms()[0] == of_machine(os.uname().machine)
