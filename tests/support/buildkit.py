"""BuildKit's door without a builder behind it, and a client of it that is played."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from grpclib.const import Handler

from pierhead.build.buildkit import ID_HEADER, messages, wire
from pierhead.build.buildkit.channel import Channel
from pierhead.build.buildkit.door import BuildKitDoor
from pierhead.build.buildkit.filesync import DATA, FIN, PACKET, REQ, STAT, stat_message
from pierhead.build.export.model import Assembled, Solved
from pierhead.build.history import HistoryRecord
from pierhead.build.model import (
    BuildOptions,
    BuildResult,
    BuiltImage,
    Client,
    Emit,
    FileStat,
    Output,
    StepDone,
    StepLog,
    StepStarted,
    Wanted,
)
from pierhead.engine.settings import Settings
from pierhead.errors import NotFound
from pierhead.oci.digest import Digest, ImageId
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.platform import Platform

STEP = Digest("sha256:" + "1" * 64)
IMAGE = ImageId("sha256:" + "2" * 64)
DOCKERFILE = b"FROM scratch\nCOPY a /\n"


class StubBuilds:
    """A build service that reads the Dockerfile, says so, and has an image ready."""

    def __init__(self) -> None:
        self.solved: list[BuildOptions] = []
        self.exported: list[Output] = []
        self.released: list[tuple[str, BaseException | None]] = []
        self.cancelled = False
        self.error: Exception | None = None
        self.hang = False
        self.hanging = asyncio.Event()
        self.records: list[HistoryRecord] = []
        self.removed: list[str] = []
        self.pruned: list[Any] = []
        self.files: Any = SimpleNamespace()

    async def solve(self, options: BuildOptions, client: Client, emit: Emit) -> Solved:
        self.solved.append(options)
        emit(StepStarted(time_ns=1, step=STEP, name="[internal] load build definition"))
        async for listing in client.local("dockerfile", Wanted(follow=["Dockerfile"])):
            found = [file.path async for file in listing.files()]
            assert found == [b"Dockerfile"]
            text = b"".join([part async for part in listing.content(b"Dockerfile")])
            emit(StepLog(time_ns=2, step=STEP, stream=1, data=text))
        emit(StepDone(time_ns=3, step=STEP))
        if self.error is not None:
            raise self.error
        if self.hang:
            self.hanging.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True
        names = options.platforms or ["linux/amd64"]
        images = [
            Assembled(
                platform=Platform(*name.split("/")), config=ImageConfig(os="linux"), chains=[]
            )
            for name in names
        ]
        return Solved(ref=options.ref, options=options, images=images)

    async def export(
        self, solved: Solved, outputs: Sequence[Output], client: Client, emit: Emit
    ) -> BuildResult:
        self.exported += outputs
        return BuildResult(
            ref=solved.ref,
            images=[BuiltImage(platform="linux/amd64", id=IMAGE, config=b"{}")],
            metadata={"containerimage.digest": IMAGE, "containerimage.descriptor": {"size": 1}},
        )

    async def build(self, options: BuildOptions, client: Client, emit: Emit) -> BuildResult:
        solved = await self.solve(options, client, emit)
        return await self.export(solved, options.outputs, client, emit)

    async def release(self, solved: Solved, error: BaseException | None = None) -> None:
        self.released.append((solved.ref, error))

    async def describe(
        self, options: BuildOptions, client: Client, emit: Emit, call: str
    ) -> dict[str, Any]:
        return {"call": call, "warnings": [{"ruleName": "X"}]}

    def usage(self, filters: Any = None) -> list[dict[str, Any]]:
        return [{"ID": "abc", "Type": "regular", "Size": 5, "CreatedAt": "2026-01-02T03:04:05Z"}]

    async def prune(self, filters: Any = None, **more: Any) -> tuple[list[str], int]:
        self.pruned.append((filters, more))
        return ["abc"], 5

    def history(self) -> list[HistoryRecord]:
        return self.records

    def history_record(self, ref: str) -> HistoryRecord:
        for record in self.records:
            if record.ref == ref:
                return record
        raise NotFound(f"no build {ref}")

    def logs(self, ref: str) -> list[tuple[str, bytes]]:
        return [(str(STEP), b"out\n")]

    def history_pin(self, ref: str, pinned: bool) -> None:
        self.history_record(ref).pinned = pinned

    async def history_remove(self, ref: str = "") -> int:
        self.removed.append(ref)
        return 1


def door_on(builds: Any) -> BuildKitDoor:
    images: Any = SimpleNamespace()
    bridge = SimpleNamespace(gateway=SimpleNamespace(ip="10.0.0.1"))
    networks: Any = SimpleNamespace(get=lambda name: bridge)
    settings = Settings(daemon_id="the-daemon")
    return BuildKitDoor(builds=builds, images=images, networks=networks, settings=settings)


@dataclass
class End:
    """One end of a connection that has left HTTP."""

    transport: asyncio.Transport
    early: bytes = b""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def lost(self, error: Exception | None) -> None:
        self.ended.set()


async def ends() -> tuple[End, End]:
    """Both ends of a connection."""
    loop = asyncio.get_running_loop()
    made = []
    for sock in socket.socketpair():
        sock.setblocking(False)
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, sock=sock)
        transport.pause_reading()
        made.append(End(transport))
    return made[0], made[1]


@asynccontextmanager
async def channel_to(mapping: dict[str, Handler]) -> AsyncIterator[Channel]:
    """A channel to a server of these methods."""
    mine, theirs = await ends()
    serving = asyncio.create_task(wire.serve(theirs, mapping))
    channel = Channel(mine)
    try:
        yield channel
    finally:
        channel.close()
        await serving


@asynccontextmanager
async def client_of(door: BuildKitDoor) -> AsyncIterator[Channel]:
    """A client on the door's ``/grpc``."""
    mine, theirs = await ends()
    serving = asyncio.create_task(door.serve(theirs))
    channel = Channel(mine)
    try:
        yield channel
    finally:
        channel.close()
        await serving


@asynccontextmanager
async def session_of(
    door: BuildKitDoor, services: dict[str, Handler], session_id: str = "s1"
) -> AsyncIterator[str]:
    """A client's session that serves these methods, while it lasts."""
    mine, theirs = await ends()
    serving = asyncio.create_task(wire.serve(mine, services))
    held = asyncio.create_task(door.serve_session(theirs, {ID_HEADER: session_id}, list(services)))
    try:
        yield session_id
    finally:
        mine.transport.close()
        await serving
        await held


@dataclass
class Shared:
    """Files that a client shares (fsutil's sender): path → content; what it was asked."""

    files: dict[str, bytes]
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def mapping(self) -> dict[str, Handler]:
        path = "/moby.filesync.v1.FileSync/DiffCopy"
        return {path: wire.handler(self._copy, wire.BOTH_STREAM, PACKET, PACKET)}

    async def _copy(self, stream: Any) -> None:
        keys = stream.metadata.keys()
        self.asked.append({key: stream.metadata.getall(key) for key in keys})
        packet = messages.get(PACKET)
        names = sorted(self.files)
        for name in names:
            file = FileStat(path=name.encode(), mode=0o100644, size=len(self.files[name]))
            await stream.send_message(packet(type=STAT, stat=stat_message(file)))
        await stream.send_message(packet(type=STAT))
        async for request in stream:
            if request.type == FIN:
                await stream.send_message(packet(type=FIN))
                return
            assert request.type == REQ
            data = self.files[names[request.ID]]
            for start in range(0, len(data), 32768):
                part = data[start : start + 32768]
                await stream.send_message(packet(type=DATA, ID=request.ID, data=part))
            await stream.send_message(packet(type=DATA, ID=request.ID))


def dockerfile_session(text: bytes = DOCKERFILE) -> dict[str, Handler]:
    return Shared({"Dockerfile": text}).mapping()
