"""Builds' outputs without root: the images' fakes, and a client that keeps what it is given."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pierhead.build.export.exporter import Exporter
from pierhead.build.export.model import Assembled, Material, Solved, StepRecord
from pierhead.build.export.progress import Step
from pierhead.build.model import BuildOptions, Event, Output
from pierhead.build.registries import Registries
from pierhead.engine.images.model import Image
from pierhead.oci import reference
from pierhead.oci.digest import ChainId, Digest, sha256
from pierhead.oci.image_config import History, ImageConfig, RootFs, RunConfig
from pierhead.oci.manifest import Descriptor
from pierhead.oci.platform import Platform
from unit.engine.images.conftest import World

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
START_NS = 1_700_000_000_000_000_000


class Received:
    """A ``Receiver``."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False

    async def write(self, data: bytes) -> None:
        self.data += data

    async def close(self) -> None:
        self.closed = True

    def files(self) -> dict[str, bytes]:
        """The tar's regular files."""
        with tarfile.open(fileobj=io.BytesIO(self.data)) as archive:
            return {
                member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isfile()
            }

    def json(self, name: str) -> Any:
        return json.loads(self.files()[name])

    def blob(self, digest: str) -> bytes:
        return self.files()[f"blobs/sha256/{digest.removeprefix('sha256:')}"]


class FakeClient:
    """A ``Client`` that takes outputs."""

    def __init__(self) -> None:
        self.received: dict[int, Received] = {}
        self.asked: list[Output] = []
        self.directories: dict[str, dict[bytes, bytes]] = {}

    def receive(self, output: Output) -> Received:
        self.asked.append(output)
        return self.received.setdefault(output.number, Received())

    async def credentials(self, host: str) -> tuple[str, str] | None:
        return ("me", "secret") if host.startswith("registry") else None

    async def local(self, name: str, wanted: Any) -> AsyncIterator[FakeListing]:
        yield FakeListing(self.directories[name])


class FakeListing:
    def __init__(self, held: dict[bytes, bytes]) -> None:
        self._held = held
        self.listed = False

    async def files(self) -> AsyncIterator[bytes]:
        self.listed = True
        for name in sorted(self._held):
            yield name

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        yield self._held[path]


class FakeRegistry:
    """One repository host, in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.uploads = 0

    async def manifest(self, repo: str, ref: str) -> Any:
        data, media_type = self.manifests[ref]

        class Fetched:
            pass

        fetched = Fetched()
        fetched.__dict__.update(data=data, media_type=media_type, digest=sha256(data))
        return fetched

    async def read_blob(self, repo: str, descriptor: Descriptor, *, limit_bytes: int) -> bytes:
        return self.blobs[descriptor.digest]

    async def download(self, repo: str, descriptor: Descriptor, write: Any) -> None:
        await write(self.blobs[descriptor.digest])

    async def blob_exists(self, repo: str, digest: str) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None

    async def upload(self, repo: str, digest: str, size_bytes: int, source: Any) -> None:
        self.uploads += 1
        self.blobs[digest] = b"".join([chunk async for chunk in source(0)])
        assert sha256(self.blobs[digest]) == digest and len(self.blobs[digest]) == size_bytes

    async def put_manifest(self, repo: str, ref: str, data: bytes, media_type: str) -> Digest:
        self.manifests[ref] = self.manifests[sha256(data)] = (data, media_type)
        return sha256(data)


class FakeFiles:
    """A ``FileService`` whose trees are made up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[dict[str, Any]] = []

    async def tar(self, chain_id: ChainId | None, **how: Any) -> AsyncIterator[bytes]:
        self.asked.append({"chain_id": chain_id, **how})
        prefix = f"{how['prefix']}/" if how["prefix"] else ""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            info = tarfile.TarInfo(f"{prefix}hello")
            info.size = 2
            archive.addfile(info, io.BytesIO(b"hi"))
        yield buffer.getvalue()[:1024]

    @asynccontextmanager
    async def view(self, chain_id: ChainId | None) -> AsyncIterator[Path]:
        yield self.root


class Build:
    """A world to export in, and short ways to make solved builds."""

    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.registry = FakeRegistry()
        self.client = FakeClient()
        self.files = FakeFiles(root)
        self.events: list[Event] = []
        self.pushed: list[tuple[str, str | None]] = []
        self.push_messages: list[dict[str, Any]] = []
        self.registries = Registries(
            push=self._push,
            open=self._open,
            fetch_layer=self._fetch,
        )
        self.exporter = Exporter(
            images=world.images,
            blobs=world.blobs,
            snapshots=world.snapshots,  # type: ignore[arg-type]
            files=self.files,  # type: ignore[arg-type]
            events=world.events,  # type: ignore[arg-type]
            registries=self.registries,
        )

    async def _push(self, name: str, auth: str | None) -> AsyncIterator[dict[str, Any]]:
        self.pushed.append((name, auth))
        for message in self.push_messages:
            yield message

    @asynccontextmanager
    async def _open(self, domain: str, auth: str | None, push: bool) -> AsyncIterator[FakeRegistry]:
        yield self.registry

    async def _fetch(self, repository: str, blob: Descriptor, diff_id: str, auth: Any) -> Any:
        from unit.engine.images.conftest import FakeStaged

        return FakeStaged(self.world.snapshots, self.registry.blobs[blob.digest])

    def assembled(
        self, *layers: bytes, platform: Platform = AMD64, base: Image | None = None, **fields: Any
    ) -> Assembled:
        chains = list(base.chains) if base is not None else []
        diff_ids = list(base.config.rootfs.diff_ids) if base is not None else []
        history = list(base.config.history) if base is not None else []
        for number, data in enumerate(layers):
            layer = self.world.snapshots.add(data, chains[-1] if chains else None, len(data))
            chains.append(layer.chain_id)
            diff_ids.append(layer.diff_id)
            history.append(
                History(
                    created="2024-05-06T07:08:09Z",
                    created_by=f"RUN {number} # buildkit",
                    comment="buildkit.dockerfile.v0",
                )
            )
        return Assembled(
            platform=platform,
            config=ImageConfig(
                architecture=platform.architecture,
                os="linux",
                created="2024-05-06T07:08:09Z",
                config=RunConfig(cmd=["sh"]),
                rootfs=RootFs(diff_ids=diff_ids),
                history=history,
            ),
            chains=chains,
            base=base.id if base is not None else None,
            materials=[
                Material(
                    uri="pkg:docker/busybox@latest?platform=linux%2Famd64", digest=sha256(b"base")
                )
            ],
            steps=[
                StepRecord(
                    id="step-a", name="[1/2] FROM busybox", instruction="FROM busybox",
                    started_ns=START_NS, finished_ns=START_NS, cached=True, lines=(1, 1),
                ),
                StepRecord(
                    id="step-b", name="[2/2] RUN make", instruction="RUN make",
                    started_ns=START_NS, finished_ns=START_NS, cached=False,
                    inputs=["step-a"], lines=(2, 3),
                ),
            ],
            cache_keys=[(f"key{at}", chain) for at, chain in enumerate(chains)],
            **fields,
        )  # fmt: skip

    def solved(self, *images: Assembled, **options: Any) -> Solved:
        return Solved(
            ref="ref1",
            options=BuildOptions(**options),
            images=list(images),
            dockerfile=b"FROM busybox\nRUN make\n",
            started_ns=START_NS,
            finished_ns=START_NS + 1_500_000_000,
        )

    async def export(self, solved: Solved, *outputs: Output) -> Any:
        return await self.exporter.export(
            solved,
            outputs,
            self.client,  # type: ignore[arg-type]
            self.events.append,
        )

    def image(self, name: str) -> Image:
        found = self.world.images.index.by_ref(reference.parse(name))
        assert found is not None
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.db.close()


@pytest.fixture
def build(world: World, tmp_path: Path) -> Build:
    return Build(world, tmp_path)


@pytest.fixture
def step() -> Step:
    events: list[Event] = []
    emit: Callable[[Event], None] = events.append
    return Step(emit, sha256(b"step"), lambda: START_NS)
