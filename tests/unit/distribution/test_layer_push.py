"""One layer against a registry in memory: what is asked, what is sent, what is told."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.distribution.layer_push import LayerPusher
from pierhead.distribution.parcels import Piece
from pierhead.distribution.registry import Registry
from pierhead.errors import NotFound
from pierhead.oci import manifest as oci
from pierhead.oci.digest import sha256
from pierhead.oci.manifest import Descriptor
from support.lying import LyingRegistry
from support.registries import settings
from unit.engine.images.conftest import World

TAR = b"a layer's tar " * 1000


class Told:
    """A reporter that writes down the states."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def mark(self, id: str, action: str) -> None:
        self.seen.append(action)

    def update(self, id: str, action: str, current: int, total: int) -> None:
        assert current <= total


class Pushing:
    """A pusher, a layer, and a registry that keeps what it gets."""

    def __init__(self, root: Path, liar: LyingRegistry) -> None:
        self.world = World(root)
        self.liar = liar
        self.told = Told()
        self.content = self.world.images.index.content
        self.pusher = LayerPusher(
            blobs=self.world.blobs,
            snapshots=self.world.snapshots,  # type: ignore[arg-type]
            content=self.content,
            limit=lambda: 5,
        )
        self.layer = self.world.snapshots.add(TAR)

    def piece(self, wanted: Descriptor | None = None) -> Piece:
        return Piece(self.layer.diff_id, self.layer.chain_id, wanted)

    def repository(self, path: str = "e/x") -> str:
        return f"{self.liar.host}/{path}"

    async def push(self, piece: Piece, path: str = "e/x") -> Descriptor:
        async with Registry(self.liar.host, settings(), push=True) as registry:
            return await self.pusher.push(registry, self.repository(path), piece, self.told)

    def methods(self) -> list[str]:
        """What was asked, but for the first greeting."""
        return [item.method for item in self.liar.requests if item.path != "/v2/"]


@pytest.fixture
def pushing(tmp_path: Path) -> Iterator[Pushing]:
    with LyingRegistry() as liar:
        pushing = Pushing(tmp_path, liar)
        yield pushing
        pushing.world.db.close()


def packed(data: bytes = TAR) -> tuple[bytes, Descriptor]:
    blob = gzip.compress(data, mtime=0)
    return blob, Descriptor(media_type=oci.DOCKER_LAYER, digest=sha256(blob), size=len(blob))


async def test_a_layer_without_a_blob_is_compressed_and_remembered(pushing: Pushing) -> None:
    made = await pushing.push(pushing.piece())
    assert gzip.decompress(pushing.liar.blobs[made.digest]) == TAR
    assert pushing.told.seen == ["Pushed"]
    (known,) = pushing.content.layer_blobs(pushing.layer.diff_id)
    assert (known.digest, known.size_bytes) == (made.digest, made.size)
    assert pushing.content.sources(made.digest) == [pushing.repository()]
    assert not list(pushing.world.paths.ingest.iterdir())


async def test_what_is_there_is_never_sent_again(pushing: Pushing) -> None:
    first = await pushing.push(pushing.piece())
    pushing.liar.requests.clear()
    assert await pushing.push(pushing.piece()) == first
    assert pushing.told.seen == ["Pushed", "Layer already exists"]
    assert pushing.methods() == ["HEAD"]


async def test_even_if_nobody_here_knew_its_digest(pushing: Pushing) -> None:
    first = await pushing.push(pushing.piece())
    pushing.world.db.execute("DELETE FROM layer_blobs")
    pushing.liar.requests.clear()
    assert await pushing.push(pushing.piece()) == first
    assert pushing.methods() == ["HEAD"]


async def test_a_kept_blob_goes_as_it_came(pushing: Pushing) -> None:
    blob, wanted = packed()
    pushing.world.blobs.put(blob)
    assert await pushing.push(pushing.piece(wanted)) == wanted
    assert pushing.liar.blobs[wanted.digest] == blob


async def test_a_plain_layer_goes_plain_if_the_manifest_says_so(pushing: Pushing) -> None:
    wanted = Descriptor(media_type=oci.OCI_LAYER, digest=sha256(TAR), size=len(TAR))
    assert await pushing.push(pushing.piece(wanted)) == wanted
    assert pushing.liar.blobs[wanted.digest] == TAR


async def test_a_blob_that_is_gone_is_replaced_by_one_of_our_own(pushing: Pushing) -> None:
    _, wanted = packed()
    made = await pushing.push(pushing.piece(wanted))
    assert made.digest != wanted.digest
    assert gzip.decompress(pushing.liar.blobs[made.digest]) == TAR


async def test_another_repository_of_the_registry_lends_it(pushing: Pushing) -> None:
    made = await pushing.push(pushing.piece())
    pushing.liar.requests.clear()

    def missing(exchange: Any) -> None:
        exchange.error(404, "BLOB_UNKNOWN", "blob unknown to registry")

    pushing.liar.on("HEAD", "/v2/e/y/", missing)
    assert await pushing.push(pushing.piece(), "e/y") == made
    assert pushing.told.seen == ["Pushed", "Mounted from e/x"]
    assert pushing.methods() == ["HEAD", "POST"]
    query = pushing.liar.requests[-1].query
    assert query["mount"] == [made.digest] and query["from"] == ["e/x"]
    assert set(pushing.content.sources(made.digest)) == {
        pushing.repository(),
        pushing.repository("e/y"),
    }


async def test_a_mount_that_fails_is_forgotten_and_the_layer_sent(pushing: Pushing) -> None:
    made = await pushing.push(pushing.piece())
    pushing.liar.blobs.clear()
    assert await pushing.push(pushing.piece(), "e/y") == made
    assert pushing.told.seen == ["Pushed", "Pushed"]
    assert pushing.content.sources(made.digest) == [pushing.repository("e/y")]
    assert not pushing.liar.uploads


async def test_foreign_layers_stay_where_they_are(pushing: Pushing) -> None:
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    foreign = Descriptor(media_type=kind, digest=sha256(b"f"), size=1)
    assert await pushing.push(pushing.piece(foreign)) == foreign
    assert pushing.told.seen == ["Skipped foreign layer"] and not pushing.methods()


async def test_two_pushes_at_once_send_it_once(pushing: Pushing) -> None:
    one, other = await asyncio.gather(pushing.push(pushing.piece()), pushing.push(pushing.piece()))
    assert one == other
    assert sorted(pushing.told.seen) == ["Layer already exists", "Pushed"]
    assert pushing.methods().count("PUT") == 1


async def test_a_layer_that_is_nowhere_is_an_error(pushing: Pushing) -> None:
    _, wanted = packed()
    piece = Piece(None, None, wanted)
    with pytest.raises(NotFound, match="its files are missing"):
        await pushing.push(piece)
