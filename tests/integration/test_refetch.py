"""What ``image verify`` gets again from a registry: manifests, configs, layers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pierhead.distribution.service import DistributionService
from pierhead.engine.events import EventBus
from pierhead.engine.images.service import ImageService
from pierhead.engine.settings import Settings
from pierhead.errors import PierError
from pierhead.oci.digest import ChainId, DiffId, Digest
from pierhead.oci.manifest import Descriptor, Manifest, decode_manifest
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots.overlay import OverlaySnapshotter
from support.lying import LyingRegistry, other_bytes
from support.pulling import layer, publish, tar_of

pytestmark = pytest.mark.root


class Store:
    def __init__(self, root: Path) -> None:
        paths = Paths(root / "data", root / "exec")
        paths.create()
        self.db = Database.open(paths.database)
        self.blobs = BlobStore(paths)
        self.snapshots = OverlaySnapshotter(paths, self.db)
        events = EventBus(self.db)
        self.images = ImageService(
            paths=paths, db=self.db, blobs=self.blobs, snapshots=self.snapshots, events=events
        )
        self.distribution = DistributionService(
            images=self.images,
            blobs=self.blobs,
            snapshots=self.snapshots,
            events=events,
            settings=Settings(),
        )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path)
    yield made
    await made.distribution.close()
    await made.snapshots.close()
    made.db.close()


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        yield registry


async def test_all_parts_again(store: Store, liar: LyingRegistry) -> None:
    blob = layer(tar_of("a", 100_000))
    described = publish(liar, "app", "v1", [blob])
    repository = f"{liar.host}/app"
    raw = await store.distribution.fetch_manifest(repository, Digest(described["digest"]))
    assert raw.digest == described["digest"]
    decoded = decode_manifest(raw.data)
    assert isinstance(decoded, Manifest)
    assert b"diff_ids" in await store.distribution.fetch_blob(repository, decoded.config)
    with store.images.index.lease() as lease:
        lease.add_blobs([blob.digest])
        staged = await store.distribution.fetch_layer(
            repository, decoded.layers[0], DiffId(blob.diff_id)
        )
        made = await staged.commit(None)
    assert made.chain_id == blob.diff_id
    assert store.blobs.read(blob.digest) == blob.data


async def test_a_damaged_layer_is_replaced(store: Store, liar: LyingRegistry) -> None:
    blob = layer(tar_of("a", 100_000))
    publish(liar, "app", "v1", [blob])
    async for _ in store.distribution.pull(f"{liar.host}/app", "v1"):
        pass
    store.blobs.delete(blob.digest)
    staged = await store.distribution.fetch_layer(
        f"{liar.host}/app",
        Descriptor(digest=Digest(blob.digest), size=len(blob.data)),
        DiffId(blob.diff_id),
    )
    chain_id = ChainId(blob.diff_id)  # the lowest layer's
    await staged.replace(chain_id)
    await staged.discard()
    assert store.blobs.read(blob.digest) == blob.data
    assert await store.snapshots.verify(chain_id) == []


async def test_lies_are_found(store: Store, liar: LyingRegistry) -> None:
    blob = layer(tar_of("a", 100_000))
    publish(liar, "app", "v1", [blob])
    liar.on("GET", f"/blobs/{blob.digest}", other_bytes(bytes(len(blob.data))))
    with pytest.raises(PierError):
        await store.distribution.fetch_layer(
            f"{liar.host}/app",
            Descriptor(digest=Digest(blob.digest), size=len(blob.data)),
            DiffId(blob.diff_id),
        )
    assert not store.blobs.exists(blob.digest)
    assert not [name for name in os.listdir(store.blobs.partial(Digest(blob.digest)).path.parent)]
