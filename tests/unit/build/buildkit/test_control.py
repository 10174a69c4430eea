"""``moby.buildkit.v1.Control``, called by a client."""

from __future__ import annotations

import asyncio
import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest
from grpclib.exceptions import GRPCError

from pierhead.build.buildkit import control, messages, wire
from pierhead.build.buildkit.builds import Build
from pierhead.build.buildkit.channel import Channel
from pierhead.build.buildkit.session import SessionClient, Sessions
from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.dockerfile.model import Range, SourceText
from pierhead.build.export.model import Solved
from pierhead.build.history import HistoryRecord, HistoryStep
from pierhead.build.model import BuildOptions, BuildResult
from pierhead.errors import InvalidParameter, NotFound
from support.buildkit import (
    DOCKERFILE,
    IMAGE,
    STEP,
    StubBuilds,
    client_of,
    dockerfile_session,
    door_on,
    session_of,
)

PACKAGE = "moby.buildkit.v1"
SERVICE = "/moby.buildkit.v1.Control"


async def call(channel: Channel, name: str, reply: str, **fields: Any) -> Any:
    request = messages.get(f"{PACKAGE}.{name}Request")(**fields)
    return await channel.call(f"{SERVICE}/{name}", request, f"{PACKAGE}.{reply}")


async def stream_of(
    channel: Channel, name: str, kinds: tuple[str, str], **fields: Any
) -> list[Any]:
    request, reply = (f"{PACKAGE}.{kind}" for kind in kinds)
    found = []
    async with channel.open(
        f"{SERVICE}/{name}",
        request,
        reply,
        cardinality=wire.SERVER_STREAM,
        first=messages.get(request)(**fields),
    ) as stream:
        async for message in stream:
            found.append(message)
    return found


def solve_request(**more: Any) -> dict[str, Any]:
    exporter = messages.get(f"{PACKAGE}.Exporter")(Type="moby", Attrs={"name": "x:1"})
    return {
        "Ref": "r1",
        "Session": "s1",
        "Frontend": "dockerfile.v0",
        "FrontendAttrs": {"build-arg:A": "1"},
        "Exporters": [exporter],
        "Entitlements": ["network.host"],
        **more,
    }


async def test_a_build_by_the_daemons_frontend() -> None:
    builds = StubBuilds()
    door = door_on(builds)
    async with session_of(door, dockerfile_session()), client_of(door) as channel:
        watching = asyncio.create_task(
            stream_of(channel, "Status", ("StatusRequest", "StatusResponse"), Ref="r1")
        )
        reply = await call(channel, "Solve", "SolveResponse", **solve_request())
        told = await watching
    assert reply.ExporterResponse["containerimage.digest"] == IMAGE
    descriptor = base64.b64decode(reply.ExporterResponse["containerimage.descriptor"])
    assert json.loads(descriptor) == {"size": 1}
    (options,) = builds.solved
    assert (options.ref, options.build_args, options.tags) == ("r1", {"A": "1"}, ["x:1"])
    assert options.entitlements == {"network.host"}
    assert [(output.type, output.attributes) for output in builds.exported] == [
        ("image", {"name": "x:1"})
    ]
    assert builds.released == [("r1", None)]
    assert b"".join(log.msg for response in told for log in response.logs) == DOCKERFILE
    assert [vertex.digest for response in told for vertex in response.vertexes] == [STEP, STEP]


async def test_a_build_that_fails_says_where() -> None:
    builds = StubBuilds()
    builds.error = BuildError("no such thing", Range(2, 2), SourceText("Dockerfile", DOCKERFILE))
    door = door_on(builds)
    async with session_of(door, dockerfile_session()), client_of(door) as channel:
        with pytest.raises(InvalidParameter, match="no such thing") as caught:
            await call(channel, "Solve", "SolveResponse", **solve_request())
    cause = caught.value.__cause__
    assert isinstance(cause, GRPCError)
    assert [url for url, _ in cause.details] == ["github.com/moby/buildkit/errdefs.Source+json"]
    assert not door.open.known("r1") or await door.open.watch("r1")


async def test_a_client_that_leaves_ends_its_build() -> None:
    builds = StubBuilds()
    builds.hang = True
    door = door_on(builds)
    async with session_of(door, dockerfile_session()):
        async with client_of(door) as channel:
            solving = asyncio.create_task(
                call(channel, "Solve", "SolveResponse", **solve_request())
            )
            await builds.hanging.wait()
            solving.cancel()
            await asyncio.gather(solving, return_exceptions=True)
            async with asyncio.timeout(5):
                while not builds.cancelled:
                    await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"Frontend": "other.v0"}, "frontend other.v0 is not supported"),
        ({"Frontend": "", "Definition": "llb"}, "LLB"),
    ],
)
async def test_what_is_not_solved_here(more: dict[str, Any], words: str) -> None:
    if "Definition" in more:
        definition = messages.get("pb.Definition")()
        getattr(definition, "def").append(b"\x12\x00")
        more = {**more, "Definition": definition}
    door = door_on(StubBuilds())
    async with client_of(door) as channel:
        with pytest.raises(InvalidParameter, match=words):
            await call(channel, "Solve", "SolveResponse", **solve_request(**more))


async def test_status_of_a_build_that_is_past(monkeypatch: pytest.MonkeyPatch) -> None:
    builds = StubBuilds()
    step = HistoryStep(id=STEP, name="[1/1] FROM x", started_ns=1, finished_ns=2)
    builds.records = [HistoryRecord(ref="old", status="completed", finished_ns=3, steps=[step])]
    door = door_on(builds)
    async with client_of(door) as channel:
        kinds = ("StatusRequest", "StatusResponse")
        steps, log = await stream_of(channel, "Status", kinds, Ref="old")
        assert steps.vertexes[0].name == "[1/1] FROM x"
        assert log.logs[0].msg == b"out\n"
        monkeypatch.setattr("pierhead.build.buildkit.builds.APPEAR_S", 0.01)
        monkeypatch.setattr(type(door.open).watch, "__defaults__", (0.01,))
        with pytest.raises(InvalidParameter, match="no such job"):
            await stream_of(channel, "Status", kinds, Ref="never")


async def test_about_the_builder() -> None:
    async with client_of(door_on(StubBuilds())) as channel:
        (worker,) = (await call(channel, "ListWorkers", "ListWorkersResponse")).record
        assert worker.ID == "the-daemon"
        assert worker.platforms[0].OS == "linux"
        assert worker.Labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"] == "10.0.0.1"
        info = await call(channel, "Info", "InfoResponse")
        assert info.buildkitVersion.version == worker.BuildkitVersion.version
        check = messages.get("grpc.health.v1.HealthCheckRequest")()
        health = await channel.call(
            "/grpc.health.v1.Health/Check", check, "grpc.health.v1.HealthCheckResponse"
        )
        assert health.status == 1


async def test_the_cache() -> None:
    builds = StubBuilds()
    async with client_of(door_on(builds)) as channel:
        usage = await call(channel, "DiskUsage", "DiskUsageResponse")
        assert [(record.ID, record.Size) for record in usage.record] == [("abc", 5)]
        gone = await stream_of(
            channel, "Prune", ("PruneRequest", "UsageRecord"), all=True, maxUsedSpace=9
        )
        assert [(record.ID, record.Size) for record in gone] == [("abc", 5)]
    ((_, more),) = builds.pruned
    assert more == {"all": True, "keep_bytes": 9, "reserved_bytes": 0, "min_free_bytes": 0}


async def test_the_history() -> None:
    builds = StubBuilds()
    builds.records = [HistoryRecord(ref="b"), HistoryRecord(ref="a", status="completed")]
    kinds = ("BuildHistoryRequest", "BuildHistoryEvent")
    async with client_of(door_on(builds)) as channel:
        events = await stream_of(channel, "ListenBuildHistory", kinds, EarlyExit=True)
        assert [(event.record.Ref, event.type) for event in events] == [("b", 0), ("a", 1)]
        events = await stream_of(
            channel, "ListenBuildHistory", kinds, EarlyExit=True, Ref="a", Limit=1
        )
        assert [event.record.Ref for event in events] == ["a"]
        await call(
            channel, "UpdateBuildHistory", "UpdateBuildHistoryResponse", Ref="a", Delete=True
        )
        assert builds.removed == ["a"]
        await call(
            channel, "UpdateBuildHistory", "UpdateBuildHistoryResponse", Ref="b", Pinned=True
        )
        assert builds.records[0].pinned


async def test_the_history_as_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_HISTORY_POLL_S", 0.01)
    builds = StubBuilds()
    builds.records = [HistoryRecord(ref="a")]
    request = f"{PACKAGE}.BuildHistoryRequest"
    async with client_of(door_on(builds)) as channel:
        async with channel.open(
            f"{SERVICE}/ListenBuildHistory",
            request,
            f"{PACKAGE}.BuildHistoryEvent",
            cardinality=wire.SERVER_STREAM,
            first=messages.get(request)(),
        ) as stream:
            assert (await stream.recv_message()).type == 0
            builds.records = [HistoryRecord(ref="a", status="completed")]
            assert (await stream.recv_message()).type == 1
            builds.records = []
            gone = await stream.recv_message()
            assert (gone.type, gone.record.Ref) == (2, "a")
            await stream.cancel()


def test_outputs_as_older_clients_say_them() -> None:
    request = messages.get(f"{PACKAGE}.SolveRequest")(
        ExporterDeprecated="tar", ExporterAttrsDeprecated={"a": "b"}
    )
    assert control.exporters_of(request) == [("tar", {"a": "b"})]


def test_what_a_frontend_may_return() -> None:
    client: Any = SimpleNamespace()

    async def checks() -> None:
        build = Build(ref="r", client=client)
        one, two = (Solved(ref=name, options=BuildOptions()) for name in "ab")
        first, other = build.add_ref(solved=one), build.add_ref(solved=two)
        result = messages.get("moby.buildkit.v1.frontend.Result")()
        assert control.returned_ref(build, result) is None
        result.refs.refs["linux/amd64"].id = first.id
        assert control.returned_ref(build, result) is first
        result.refs.refs["linux/arm64"].id = other.id
        with pytest.raises(InvalidParameter, match="several builds"):
            control.returned_ref(build, result)
        result.refs.refs["linux/arm64"].id = "unknown"
        with pytest.raises(NotFound):
            control.returned_ref(build, result)

    asyncio.run(checks())


def test_responses() -> None:
    client = SessionClient(Sessions(), "")
    assert control.response_of(None, client) == {}
    client.cache_manifests = ["{}"]
    assert control.response_of(BuildResult(ref="r", metadata={"a": "b"}), client) == {
        "a": "b",
        "cache.manifest": "{}",
    }
