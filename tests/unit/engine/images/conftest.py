"""Images without root: a snapshotter that only keeps tars, in memory."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pierhead.engine.images.service import ContainerUse, ImageService
from pierhead.errors import Conflict, InvalidParameter, NotFound
from pierhead.oci.compression import detect
from pierhead.oci.digest import ChainId, DiffId, Digest, ImageId, chain_ids
from pierhead.oci.image_config import History, ImageConfig, RootFs, RunConfig
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Change, Incoming, Layer, LayerSource, Usage


class FakeStaged:
    """A layer's bytes, taken in by ``FakeSnapshotter.stage``."""

    def __init__(self, owner: FakeSnapshotter, blob: bytes) -> None:
        self._owner = owner
        self.blob_digest = Digest("sha256:" + hashlib.sha256(blob).hexdigest())
        self.blob_bytes = len(blob)
        self.compression = detect(blob[:8])
        self.data = gzip.decompress(blob) if self.compression == "gzip" else blob
        self.diff_id = DiffId("sha256:" + hashlib.sha256(self.data).hexdigest())
        owner.staged += 1

    async def commit(self, parent: ChainId | None) -> Layer:
        self._owner.staged -= 1
        return self._owner.add(self.data, parent, len(self.data))

    async def discard(self) -> None:
        self._owner.staged -= 1


class FakeSnapshotter:
    """Implements ``Snapshotter`` as far as images need it."""

    driver = "fake"

    def __init__(self) -> None:
        self.tars: dict[ChainId, bytes] = {}
        self.known: dict[ChainId, Layer] = {}
        self.keys: dict[str, ChainId | None] = {}
        self.staged = 0
        self.diffs: dict[str, bytes] = {}
        self.on_removed: Callable[[ChainId], None] | None = None

    def add(self, data: bytes, parent: ChainId | None = None, size: int = 100) -> Layer:
        diff_id = DiffId("sha256:" + hashlib.sha256(data).hexdigest())
        chain_id = chain_ids([DiffId(parent), diff_id])[-1] if parent else ChainId(diff_id)
        layer = Layer(chain_id, diff_id, parent, size, len(data))
        self.known[chain_id] = layer
        self.tars[chain_id] = data
        return layer

    async def apply(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None
    ) -> Layer:
        data = b""
        while chunk := await asyncio.to_thread(os.read, source.fd, 65536):
            data += chunk
        if detect(data[:8]) == "gzip":
            data = gzip.decompress(data)
        if diff_id is not None and diff_id != "sha256:" + hashlib.sha256(data).hexdigest():
            raise InvalidParameter("invalid diffID for layer")
        return self.add(data, parent, len(data))

    async def stage(self, incoming: Incoming) -> FakeStaged:
        blob = b""
        while chunk := await asyncio.to_thread(os.read, incoming.fd, 65536):
            blob += chunk
        if incoming.partial is not None:
            incoming.partial.path.write_bytes(blob)
        staged = FakeStaged(self, blob)
        promised = (
            incoming.partial.digest if incoming.partial is not None else incoming.diff_id
        )  # fmt: skip
        if promised is not None and staged.blob_digest != promised:
            self.staged -= 1
            raise InvalidParameter(f"invalid layer: its digest is {staged.blob_digest}")
        return staged

    async def adopt(self, diff_id: DiffId, parent: ChainId | None) -> Layer | None:
        chain_id = chain_ids([DiffId(parent), diff_id])[-1] if parent else ChainId(diff_id)
        return self.known.get(chain_id)

    async def verify(self, chain_id: ChainId) -> list[str]:
        layer = self.known[chain_id]
        found = "sha256:" + hashlib.sha256(self.tars[chain_id]).hexdigest()
        return [] if found == layer.diff_id else [f"its tar is damaged: its digest is {found}"]

    def layer_tar_range(self, chain_id: ChainId) -> tuple[Path, int, int] | None:
        return None

    def layer(self, chain_id: ChainId) -> Layer | None:
        return self.known.get(chain_id)

    def layers(self) -> list[Layer]:
        return list(self.known.values())

    async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int:
        return os.write(out_fd, self.tars[chain_id])

    async def prepare(self, key: str, chain_id: ChainId | None) -> None:
        self.keys[key] = chain_id

    def mount(self, key: str, target: Path) -> None: ...
    def mount_readonly(self, chain_id: ChainId | None, target: Path) -> None: ...
    def unmount(self, target: Path) -> None: ...

    async def remove(self, key: str) -> None:
        chain_id = self.keys.pop(key, None)
        if chain_id and self.on_removed:
            self.on_removed(chain_id)

    async def remove_layer(self, chain_id: ChainId) -> int:
        if chain_id not in self.known:
            raise NotFound("no layer")
        if chain_id in self.keys.values() or any(
            layer.parent == chain_id for layer in self.known.values()
        ):
            raise Conflict("in use")
        return self.known.pop(chain_id).size_bytes

    async def usage(self, key: str) -> Usage:
        return Usage(0, 0)

    async def changes(self, key: str) -> list[Change]:
        return []

    async def diff(self, key: str, out_fd: int) -> None:
        os.write(out_fd, self.diffs[key])

    def graph_data(self, key: str) -> dict[str, str]:
        return {}

    def layer_graph_data(self, chain_id: ChainId | None) -> dict[str, str]:
        return {"UpperDir": "/upper"} if chain_id else {}

    async def recover(self, live_keys: set[str]) -> None: ...
    async def close(self) -> None: ...


class FakeEvents:
    """Records (action, actor, name)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def emit(
        self,
        type: str,
        action: str,
        actor_id: str,
        attributes: Mapping[str, str] | None = None,
        *,
        scope: str = "local",
    ) -> None:
        assert type == "image"
        self.seen.append((action, actor_id, (attributes or {}).get("name", "")))


class World:
    """A service with its surroundings, and short ways to make images."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "exec")
        self.paths.create()
        self.events = FakeEvents()
        self.users: dict[str, list[ContainerUse]] = {}
        self.snapshots = FakeSnapshotter()
        self.db = Database.open(self.paths.database)
        self.start()

    def start(self) -> None:
        """As after a restart: all that is in memory is made anew."""
        self.blobs = BlobStore(self.paths)
        self.images = ImageService(
            paths=self.paths,
            db=self.db,
            blobs=self.blobs,
            snapshots=self.snapshots,
            events=self.events,  # type: ignore[arg-type]
        )
        self.images.in_use = lambda image_id: self.users.get(image_id, [])

    def image(
        self,
        *names: str,
        layers: tuple[bytes, ...] = (b"layer",),
        parent: ImageId | None = None,
        created: str = "2024-01-01T00:00:00Z",
        labels: dict[str, str] | None = None,
        **fields: Any,
    ) -> ImageId:
        from pierhead.oci import reference

        chain: ChainId | None = None
        diff_ids = []
        for data in layers:
            layer = self.snapshots.add(data, chain, len(data))
            chain = layer.chain_id
            diff_ids.append(layer.diff_id)
        config = ImageConfig(
            architecture=fields.pop("architecture", "amd64"),
            os="linux",
            created=created,
            config=RunConfig(labels=labels, cmd=["sh"]),
            rootfs=RootFs(diff_ids=diff_ids),
            history=[History(created=created, created_by=f"step {i}") for i in range(len(layers))],
            **fields,
        )
        refs = [reference.parse(name).with_default_tag() for name in names]
        return self.images.index.add(config.encode(), parent=parent, refs=refs).id

    def use(self, image_id: str, *, running: bool, container: str = "c" * 64) -> None:
        self.users.setdefault(image_id, []).append(ContainerUse(container, running))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.db.close()


async def chunked(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
