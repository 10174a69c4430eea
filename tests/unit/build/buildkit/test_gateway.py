"""``LLBBridge``: a build driven from the client's side, as buildx does it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.build.buildkit import messages
from pierhead.build.buildkit.channel import Channel
from pierhead.build.buildkit.gateway import BUILD_ID
from pierhead.build.files.model import Source, SourceKind
from pierhead.build.model import FileStat
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci.image_config import ImageConfig
from support.buildkit import (
    IMAGE,
    StubBuilds,
    client_of,
    dockerfile_session,
    door_on,
    session_of,
)

PACKAGE = "moby.buildkit.v1.frontend"
SERVICE = "/moby.buildkit.v1.frontend.LLBBridge"


class Driven:
    """A build that a client drives: its calls name it in their metadata."""

    def __init__(self, channel: Channel, solving: asyncio.Task[Any], ref: str) -> None:
        self.channel = channel
        self.solving = solving
        self.ref = ref

    async def call(self, name: str, **fields: Any) -> Any:
        reply = {"Ping": "Pong"}.get(name, name)
        return await self.channel.call(
            f"{SERVICE}/{name}",
            messages.get(f"{PACKAGE}.{name}Request")(**fields),
            f"{PACKAGE}.{reply}Response",
            metadata=[(BUILD_ID, self.ref)],
        )

    async def solve(self, **attributes: str) -> Any:
        """Run the Dockerfile frontend; the result."""
        given = {key.replace("_", ":"): value for key, value in attributes.items()}
        reply = await self.call(
            "Solve",
            Frontend="dockerfile.v0",
            FrontendOpt=given,
            allowResultReturn=True,
            allowResultArrayRef=True,
        )
        return reply.result

    async def finish(self, **fields: Any) -> Any:
        """``Return``; what ``Control.Solve`` answers then."""
        await self.call("Return", **fields)
        return await self.solving


@asynccontextmanager
async def driven(builds: StubBuilds, door: Any = None, ref: str = "r1") -> AsyncIterator[Driven]:
    door = door or door_on(builds)
    exporter = messages.get("moby.buildkit.v1.Exporter")(Type="moby")
    request = messages.get("moby.buildkit.v1.SolveRequest")(
        Ref=ref, Session="s1", Exporters=[exporter]
    )
    request.FrontendInputs["given"].metadata["d"].description["k"] = "v"
    async with session_of(door, dockerfile_session()), client_of(door) as channel:
        solving = asyncio.create_task(
            channel.call(
                "/moby.buildkit.v1.Control/Solve", request, "moby.buildkit.v1.SolveResponse"
            )
        )
        try:
            yield Driven(channel, solving, ref)
        finally:
            solving.cancel()
            await asyncio.gather(solving, return_exceptions=True)


async def test_a_whole_build() -> None:
    builds = StubBuilds()
    async with driven(builds) as build:
        pong = await build.call("Ping")
        assert {"solve.base", "return"} <= {cap.ID for cap in pong.FrontendAPICaps}
        assert "exporter.multiple" in {cap.ID for cap in pong.LLBCaps}
        result = await build.solve(target="t")
        assert result.ref.id
        assert ImageConfig.decode(result.metadata["containerimage.config"]).os == "linux"
        await build.call("Evaluate", Ref=result.ref.id)
        reply = await build.finish(result=result)
    assert reply.ExporterResponse["containerimage.digest"] == IMAGE
    assert builds.solved[0].target == "t"
    assert builds.released == [("r1", None)]


async def test_several_platforms() -> None:
    builds = StubBuilds()
    async with driven(builds) as build:
        result = await build.solve(platform="linux/amd64,linux/arm64")
        assert set(result.refs.refs) == {"linux/amd64", "linux/arm64"}
        platforms = json.loads(result.metadata["refs.platforms"])["Platforms"]
        assert platforms[1] == {
            "ID": "linux/arm64",
            "Platform": {"architecture": "arm64", "os": "linux"},
        }
        assert "containerimage.config/linux/arm64" in result.metadata
        await build.finish(result=result)
    assert len(builds.exported) == 1


async def test_a_result_as_another_builds_input() -> None:
    """What bake does with ``contexts = { base = "target:base" }``."""
    builds = StubBuilds()
    door = door_on(builds)
    async with driven(builds, door) as base:
        result = await base.solve()
        request = messages.get(f"{PACKAGE}.SolveRequest")(
            Frontend="dockerfile.v0", FrontendOpt={"context:base": "input:0-base"}
        )
        definition = request.FrontendInputs["0-base"]
        definition.CopyFrom(getattr(result.ref, "def"))
        await base.channel.call(
            f"{SERVICE}/Solve",
            request,
            f"{PACKAGE}.SolveResponse",
            metadata=[(BUILD_ID, "r1")],
        )
        assert builds.solved[1].named_contexts == {"base": "solved://r1"}
        assert builds.solved[1].ref == ""
        same = await base.call("Solve", Definition=definition, allowResultReturn=True)
        assert same.result.ref.id == result.ref.id
    assert len(builds.released) == 2


async def test_a_failure_goes_round() -> None:
    builds = StubBuilds()
    builds.error = InvalidParameter("no luck")
    async with driven(builds) as build:
        with pytest.raises(InvalidParameter, match="no luck"):
            await build.solve()
        status = messages.get("google.rpc.Status")(code=2, message="no luck, says the client")
        with pytest.raises(InvalidParameter, match="no luck, says the client"):
            await build.finish(error=status)


async def test_nothing_to_export() -> None:
    builds = StubBuilds()
    async with driven(builds) as build:
        reply = await build.finish(result=messages.get(f"{PACKAGE}.Result")())
    assert not reply.ExporterResponse
    assert not builds.exported


async def test_checks_and_the_like() -> None:
    async with driven(StubBuilds()) as build:
        result = await build.solve(requestid="frontend.lint")
        assert json.loads(result.metadata["result.json"])["call"] == "check"
        assert result.metadata["result.statuscode"] == b"1"
        result = await build.solve(requestid="frontend.targets")
        assert result.metadata["result.statuscode"] == b"0"
        assert result.metadata["version"] == b"1.0.0"


async def test_files_of_results() -> None:
    builds = StubBuilds()
    asked: list[Any] = []

    class Files:
        def chain(self, chain_id: Any, name: str) -> Source:
            return Source(kind=SourceKind.CHAIN, name=name)

        async def http(self, url: str, **more: Any) -> Source:
            return Source(kind=SourceKind.HTTP, name=url)

        async def read(self, source: Source, path: str, limit_bytes: int) -> bytes:
            asked.append((source.name, path))
            return b"0123456789"

        async def listdir(self, source: Source, path: str) -> list[FileStat]:
            return [FileStat(path=name, mode=0o100644) for name in (b"a.txt", b"b")]

        async def stat(self, source: Source, path: str) -> FileStat:
            if path != "there":
                raise NotFound(f"{path}: no such file")
            return FileStat(path=b"there", mode=0o40755)

        async def release(self, source: Source) -> None:
            asked.append(("released", source.name))

    builds.files = Files()
    async with driven(builds) as build:
        ref = (await build.solve()).ref.id
        piece = messages.get(f"{PACKAGE}.FileRange")(Offset=2, Length=3)
        assert (await build.call("ReadFile", Ref=ref, FilePath="/x", Range=piece)).Data == b"234"
        assert (await build.call("ReadFile", Ref=ref, FilePath="/x")).Data == b"0123456789"
        entries = (
            await build.call("ReadDir", Ref=ref, DirPath="/", IncludePattern="*.txt")
        ).entries
        assert [entry.path for entry in entries] == ["a.txt"]
        assert (await build.call("StatFile", Ref=ref, Path="there")).stat.mode == 1 << 31 | 0o755
        with pytest.raises(PierError, match="no such file"):
            await build.call("StatFile", Ref=ref, Path="gone")
        with pytest.raises(PierError, match="no such ref"):
            await build.call("ReadFile", Ref="other", FilePath="/x")
        op = messages.get("pb.Op")()
        op.source.identifier = "https://host/D"
        definition = messages.get("pb.Definition")()
        getattr(definition, "def").append(op.SerializeToString())
        made = await build.call("Solve", Definition=definition, allowResultReturn=True)
        await build.call("ReadFile", Ref=made.result.ref.id, FilePath="Dockerfile")
        assert asked[-1] == ("https://host/D", "a.txt")
        await build.finish(result=messages.get(f"{PACKAGE}.Result")())
    assert asked[-1] == ("released", "https://host/D")


async def test_the_rest() -> None:
    builds = StubBuilds()
    door = door_on(builds)
    image = SimpleNamespace(id=IMAGE, config=ImageConfig(os="linux"))
    door.images.resolve = lambda ref, platform=None: image  # type: ignore[method-assign,assignment,return-value]
    async with driven(builds, door) as build:
        inputs = (await build.call("Inputs")).Definitions
        assert inputs["given"].metadata["d"].description["k"] == "v"
        config = await build.call("ResolveImageConfig", Ref="busybox")
        assert (config.Digest, json.loads(config.Config)["os"]) == (IMAGE, "linux")
        await build.call("Warn", short=b"careful", level=1)
        with pytest.raises(PierError, match="containers from build results"):
            await build.call("NewContainer")
        with pytest.raises(PierError, match=r"frontend x\.v0"):
            await build.call("Solve", Frontend="x.v0")
    assert not door.open.known("other")


async def test_policies_are_refused() -> None:
    async with driven(StubBuilds()) as build:
        with pytest.raises(PierError, match="source policies"):
            await build.call("Solve", Frontend="dockerfile.v0", SourcePolicies=[b"x"])


async def test_calls_without_a_build() -> None:
    async with client_of(door_on(StubBuilds())) as channel:
        with pytest.raises(PierError, match="no buildid"):
            await channel.call(
                f"{SERVICE}/Ping",
                messages.get(f"{PACKAGE}.PingRequest")(),
                f"{PACKAGE}.PongResponse",
            )
