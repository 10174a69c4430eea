"""BuildKit's door on HTTP/1.1, in front of a builder that is made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pierhead.api.context import Engine
from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.channel import Channel
from pierhead.build.export.model import Solved
from pierhead.build.model import CacheOption, Output
from pierhead.errors import InvalidParameter
from support.api import fake_engine, serving
from support.buildkit import IMAGE, End, StubBuilds, dockerfile_session, door_on

SESSION = {"X-Docker-Expose-Session-Uuid": "s1"}


def engine_with(tmp_path: Path, builds: StubBuilds) -> Engine:
    return fake_engine(tmp_path, build=builds, buildkit=door_on(builds))


@asynccontextmanager
async def upgraded(path: str, target: str, headers: list[str]) -> AsyncIterator[End]:
    """Ask for HTTP/2 on a connection, as Docker's clients do."""
    loop = asyncio.get_running_loop()
    answered = loop.create_future()

    class Http(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            answered.set_result(data)

    transport, _ = await loop.create_unix_connection(Http, path)
    lines = [f"POST {target} HTTP/1.1", "Host: docker", "Connection: Upgrade", "Upgrade: h2c"]
    transport.write("\r\n".join([*lines, *headers, "Content-Length: 0", "", ""]).encode())
    head, _, early = (await answered).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"Upgrade: h2c" in head
    transport.pause_reading()
    try:
        yield End(transport, early)
    finally:
        transport.close()


@asynccontextmanager
async def session(path: str) -> AsyncIterator[None]:
    services = dockerfile_session()
    headers = [f"{name}: {value}" for name, value in SESSION.items()]
    headers += [f"X-Docker-Expose-Session-Grpc-Method: {method}" for method in services]
    async with upgraded(path, "/session", headers) as end:
        running = asyncio.create_task(wire.serve(end, services))
        try:
            yield
        finally:
            end.transport.close()
            await running


async def test_grpc(tmp_path: Path) -> None:
    async with serving(engine_with(tmp_path, StubBuilds()), tmp_path) as ask:
        async with upgraded(ask.path, "/v1.43/grpc", []) as end:
            channel = Channel(end)
            request = messages.get("moby.buildkit.v1.ListWorkersRequest")()
            reply = await channel.call(
                "/moby.buildkit.v1.Control/ListWorkers",
                request,
                "moby.buildkit.v1.ListWorkersResponse",
            )
            assert reply.record[0].ID == "the-daemon"
            channel.close()


async def test_a_build_with_a_session(tmp_path: Path) -> None:
    builds = StubBuilds()
    async with serving(engine_with(tmp_path, builds), tmp_path) as ask, session(ask.path):
        query: dict[str, Any] = {
            "version": "2",
            "session": "s1",
            "buildid": "b1",
            "remote": "client-session",
            "t": "x:1",
            "buildargs": '{"A":"1"}',
            "cachefrom": '["c"]',
        }
        answer = await ask("POST", f"/build?{urlencode(query)}")
        told = [json.loads(line) for line in answer.body.splitlines()]
        assert told[-1] == {"id": "moby.image.id", "aux": {"ID": IMAGE}}
        assert {message["id"] for message in told[:-1]} == {"moby.buildkit.trace"}
        answer = await ask("POST", f"/build?{urlencode({**query, 'q': '1'})}")
        assert answer.json() == {"stream": f"{IMAGE}\n"}
        builds.error = InvalidParameter("no luck")
        answer = await ask("POST", f"/build?{urlencode({**query, 'q': '1'})}")
        *told, last = [json.loads(line) for line in answer.body.splitlines()]
        assert told
        assert last == {"errorDetail": {"message": "no luck"}, "error": "no luck"}
    options = builds.solved[0]
    assert (options.ref, options.tags, options.classic) == ("b1", ["x:1"], False)
    assert options.dockerfile_source == "dockerfile"
    assert options.build_args == {"A": "1"}
    assert options.cache_from == [CacheOption(type="registry", attributes={"ref": "c"})]
    assert options.outputs == [Output(type="image", attributes={"name": "x:1"})]


async def test_a_tar_that_comes_by_itself(tmp_path: Path) -> None:
    """CLI 20.10's ``docker build - < context.tar``."""
    taken: list[bytes] = []

    class Builds(StubBuilds):
        async def build(self, options: Any, client: Any, emit: Any) -> Any:
            tar = await client.context_tar()
            taken.append(b"".join([part async for part in tar]))
            solved = Solved(ref=options.ref, options=options)
            return await self.export(solved, [], client, emit)

    async with serving(engine_with(tmp_path, Builds()), tmp_path) as ask:
        query = {"version": "2", "buildid": "b", "remote": "upload-request"}
        building = asyncio.create_task(ask("POST", f"/build?{urlencode(query)}"))
        upload = {"version": "2", "buildid": "upload-request:b"}
        assert (await ask("POST", f"/build?{urlencode(upload)}", b"the tar")).status == 200
        assert (await building).status == 200
        assert (await ask("POST", "/build?version=2&buildid=c", b"in the body")).status == 200
    assert taken == [b"the tar", b"in the body"]


@pytest.mark.parametrize(
    ("target", "headers", "words"),
    [
        ("/grpc", {}, "no upgrade proto in request"),
        ("/grpc", {"Upgrade": "tcp"}, "protocol tcp not supported"),
        ("/session", {"Upgrade": "h2c"}, "X-Docker-Expose-Session-Uuid"),
        ("/build?version=2&networkmode=mynet", {}, "not supported by buildkit"),
        ("/build?version=2&outputs=[1]", {}, "invalid outputs specified"),
        ('/build?version=2&outputs=[{"Type":"tar"},{"Type":"tar"}]', {}, "multiple outputs"),
    ],
)
async def test_refusals(tmp_path: Path, target: str, headers: dict[str, str], words: str) -> None:
    async with serving(engine_with(tmp_path, StubBuilds()), tmp_path) as ask:
        answer = await ask("POST", target, headers=headers)
        assert answer.status == 400
        assert words in answer.message
