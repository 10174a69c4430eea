"""POST /build at the edge, with a service that plays a build."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pierhead.build.dockerfile.errors import BuildError
from pierhead.build.execute.model import StepFailed
from pierhead.build.model import (
    BuildOptions,
    BuildResult,
    BuiltImage,
    Client,
    Emit,
    StepDone,
    StepLog,
    StepStarted,
)
from pierhead.errors import NotFound
from pierhead.oci.digest import ImageId, sha256
from support.api import fake_engine, serving

IMAGE = ImageId("sha256:" + "ab" * 32)


class Builds:
    """A service whose builds have one FROM, and then do what the test says."""

    def __init__(self, then: Callable[[Emit], None] | None = None, early: Exception | None = None):
        self.then = then
        self.early = early
        self.asked: list[BuildOptions] = []
        self.context = b""
        self.credentials: Any = None
        self.canceled: list[str] = []
        self.pruned: list[Any] = []
        self.waiting = asyncio.Event()
        self.stopped = asyncio.Event()
        self.hang = False

    async def build(self, options: BuildOptions, client: Client, emit: Emit) -> BuildResult:
        self.asked.append(options)
        tar = await client.context_tar()
        assert tar is not None
        self.context = b"".join([chunk async for chunk in tar])
        self.credentials = await client.credentials("r.example")
        if self.early:
            raise self.early
        step = sha256(b"1")
        text = "FROM busybox"
        emit(StepStarted(time_ns=1, step=step, name=text, instruction=text, number=1, total=1))
        emit(StepDone(time_ns=2, step=step, image_id=IMAGE))
        if self.hang:
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        if self.then:
            self.then(emit)
        image = BuiltImage(platform="linux/amd64", id=IMAGE, config=b"{}")
        return BuildResult(ref="r", images=[image])

    def cancel(self, ref: str) -> bool:
        self.canceled.append(ref)
        return False

    async def prune(self, filters: Any, **options: Any) -> tuple[list[str], int]:
        self.pruned.append((filters.as_dict(), options))
        return ["x"], 5


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


async def test_a_build(tmp_path: Path) -> None:
    builds = Builds()
    config = base64.urlsafe_b64encode(
        json.dumps({"r.example": {"username": "u", "password": "p"}}).encode()
    ).decode()
    async with serving(fake_engine(tmp_path, build=builds), tmp_path) as ask:
        answer = await ask(
            "POST", "/v1.41/build?t=x", b"tar", headers={"X-Registry-Config": config}
        )
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert lines(answer.body) == [
        {"stream": "Step 1/1 : FROM busybox"},
        {"stream": "\n"},
        {"stream": " ---> abababababab\n"},
        {"aux": {"ID": IMAGE}},
        {"stream": "Successfully built abababababab\n"},
        {"stream": "Successfully tagged x:latest\n"},
    ]
    assert builds.context == b"tar"
    assert builds.credentials == ("u", "p")
    assert builds.asked[0].tags == ["x:latest"]


async def test_quiet(tmp_path: Path) -> None:
    def fail(emit: Emit) -> None:
        raise StepFailed('process "x" did not complete successfully: exit code: 3', 3)

    async with serving(fake_engine(tmp_path, build=Builds()), tmp_path) as ask:
        answer = await ask("POST", "/build?q=1", b"")
        assert lines(answer.body) == [{"stream": f"{IMAGE}\n"}]
    async with serving(fake_engine(tmp_path, build=Builds(fail)), tmp_path) as ask:
        answer = await ask("POST", "/build?q=1", b"")
        assert lines(answer.body)[0] == {"stream": "Step 1/1 : FROM busybox"}
        assert lines(answer.body)[-1]["errorDetail"]["code"] == 3


async def test_errors_before_and_after_the_first_message(tmp_path: Path) -> None:
    def fail(emit: Emit) -> None:
        step = sha256(b"2")
        emit(StepStarted(time_ns=1, step=step, name="", instruction="RUN x", number=2, total=2))
        emit(StepLog(time_ns=1, step=step, stream=1, data=b"hi\n"))
        raise NotFound("gone")

    early = Builds(early=NotFound("Cannot locate specified Dockerfile: Dockerfile"))
    async with serving(fake_engine(tmp_path, build=early), tmp_path) as ask:
        answer = await ask("POST", "/build", b"")
        assert answer.status == 404
        assert answer.message == "Cannot locate specified Dockerfile: Dockerfile"
        assert (await ask("POST", "/build?version=3", b"")).status == 400
    lexical = Builds(early=BuildError("file with no instructions", lexical=True))
    async with serving(fake_engine(tmp_path, build=lexical), tmp_path) as ask:
        answer = await ask("POST", "/build?dockerfile=x", b"")
        assert answer.message == "failed to parse x: file with no instructions"
    async with serving(fake_engine(tmp_path, build=Builds(fail)), tmp_path) as ask:
        answer = await ask("POST", "/build?forcerm=1", b"")
        assert answer.status == 200
        assert lines(answer.body)[-1] == {"errorDetail": {"message": "gone"}, "error": "gone"}


async def test_the_build_ends_with_its_client(tmp_path: Path) -> None:
    builds = Builds()
    builds.hang = True
    async with serving(fake_engine(tmp_path, build=builds), tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "api.sock"))
        writer.write(b"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntar")
        await reader.readuntil(b"FROM busybox")
        assert not builds.stopped.is_set()
        writer.close()
        await asyncio.wait_for(builds.stopped.wait(), 10)


async def test_only_named_images_are_cache(tmp_path: Path) -> None:
    builds = Builds()

    def resolve(name: str) -> None:
        if name != "here":
            raise NotFound("no")

    images = SimpleNamespace(resolve=resolve)
    async with serving(fake_engine(tmp_path, build=builds, images=images), tmp_path) as ask:
        await ask("POST", '/build?cachefrom=["gone","here"]', b"")
        await ask("POST", '/build?cachefrom=["gone"]', b"")
    assert [options.no_cache for options in builds.asked] == [False, True]


async def test_prune_and_cancel(tmp_path: Path) -> None:
    builds = Builds()
    async with serving(fake_engine(tmp_path, build=builds), tmp_path) as ask:
        answer = await ask("POST", "/v1.47/build/prune?keep-storage=5&all=1&max-used-space=7")
        assert answer.json() == {"CachesDeleted": ["x"], "SpaceReclaimed": 5}
        query = 'reserved-space=1&max-used-space=2&min-free-space=3&filters={"until":["1h"]}'
        await ask("POST", f"/v1.48/build/prune?{query}")
        await ask("POST", "/v1.48/build/prune?keep-storage=4")
        answer = await ask("POST", "/v1.48/build/prune?max-used-space=x")
        assert (answer.status, answer.message) == (
            400,
            "max-used-space is in bytes and expects an integer, got x",
        )
        assert (await ask("POST", "/build/cancel?id=r")).status == 200
        assert (await ask("POST", "/build/cancel")).message == "build ID not provided"
    assert builds.canceled == ["r"]
    assert builds.pruned == [
        ({}, {"all": True, "keep_bytes": 0, "reserved_bytes": 5, "min_free_bytes": 0}),
        (
            {"until": ["1h"]},
            {"all": False, "keep_bytes": 2, "reserved_bytes": 1, "min_free_bytes": 3},
        ),
        ({}, {"all": False, "keep_bytes": 0, "reserved_bytes": 4, "min_free_bytes": 0}),
    ]
