"""Archives as they come in; that real layers do is for tests/integration."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator

import pytest

from pierhead.engine.images.intake import Archive, Member, blob_digest, blob_name
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import DiffId, Digest, hex_of, sha256
from pierhead.oci.manifest import Descriptor
from support.archives import layer as tar_of

from .conftest import World, chunked

LARGE = os.urandom(300_000)


def archive(world: World) -> Archive:
    index = world.images.index
    return Archive(world.paths, world.blobs, world.snapshots, index, index.lease())  # type: ignore[arg-type]


async def taken(world: World, data: bytes, step: int = 10_000) -> tuple[Archive, list[str]]:
    made = archive(world)
    messages = [message["id"] async for message in made.take(chunked(data, step))]
    return made, messages


@pytest.mark.parametrize("step", [3, 512, 1_000_000])
async def test_documents_stay_in_memory_and_large_members_are_staged(
    world: World, step: int
) -> None:
    files = {"manifest.json": b"[]", "a/layer.tar": LARGE[:270_000], "tiny": b"x", "none": b""}
    made, messages = await taken(world, tar_of(files, {"b/layer.tar": "../a/layer.tar"}), step)
    assert made.read("./manifest.json") == b"[]"
    assert made.read("tiny") == b"x" and made.read("none") == b""
    assert set(messages) == {"a"}
    assert made.find("b/layer.tar") is made.get("a/layer.tar")
    for name in ("out", "../a", "a/layer.tar"):
        with pytest.raises(InvalidParameter):
            made.read(name)
    await made.discard()
    assert world.snapshots.staged == 0


async def test_layers_become_blobs_when_they_come_compressed_and_by_digest(world: World) -> None:
    packed = gzip.compress(LARGE)
    digest = sha256(packed)
    name = f"blobs/sha256/{hex_of(digest)}"
    made, _ = await taken(world, tar_of({name: packed}))
    layer = await made.commit(made.get(name), None, DiffId(sha256(LARGE)))
    blob = made.get(name).blob
    assert layer.diff_id == sha256(LARGE)
    assert blob is not None and (blob.digest, blob.size) == (digest, len(packed))
    assert world.blobs.read(digest) == packed
    await made.discard()
    assert os.listdir(world.paths.ingest) == []


async def test_a_layer_that_is_here_is_not_taken_again(world: World) -> None:
    world.image("a", layers=(LARGE,))
    name = f"blobs/sha256/{hex_of(sha256(LARGE))}"
    made, messages = await taken(world, tar_of({name: LARGE}))
    assert messages == []
    assert (await made.commit(made.get(name), None, None)).diff_id == sha256(LARGE)
    base = world.snapshots.add(b"base")
    again = await made.commit(made.get(name), base.chain_id, DiffId(sha256(LARGE)))
    assert again.parent == base.chain_id, "from the tar that is here"
    await made.discard()


async def test_one_member_for_two_layers(world: World) -> None:
    made, _ = await taken(world, tar_of({"l": LARGE}))
    first = await made.commit(made.get("l"), None, DiffId(sha256(LARGE)))
    second = await made.commit(made.get("l"), first.chain_id, DiffId(sha256(LARGE)))
    assert second.parent == first.chain_id
    await made.discard()


async def test_what_is_not_what_it_should_be(world: World) -> None:
    wrong, other = f"blobs/sha256/{'0' * 64}", f"blobs/sha256/{'1' * 64}"
    made, _ = await taken(world, tar_of({wrong: LARGE, "l": LARGE, "small": b"tar", other: b"{}"}))
    with pytest.raises(InvalidParameter, match="its digest is"):
        await made.commit(made.get(wrong), None, None)
    for name in ("l", "small"):
        with pytest.raises(InvalidParameter, match="invalid diffID for layer"):
            await made.commit(made.get(name), None, DiffId(sha256(b"another")))
    with pytest.raises(InvalidParameter, match="has the digest"):
        made.blob(Descriptor(digest=Digest("sha256:" + "1" * 64), size=1))
    await made.discard()
    assert world.snapshots.staged == 0
    assert world.snapshots.layers() == []


async def test_a_client_that_goes_in_the_middle_leaves_nothing(world: World) -> None:
    data = tar_of({"l": LARGE})

    async def broken() -> AsyncIterator[bytes]:
        yield data[:280_000]
        raise ConnectionResetError

    made = archive(world)
    with pytest.raises(ConnectionResetError):
        async for _ in made.take(broken()):
            pass
    await made.discard()
    assert world.snapshots.staged == 0


async def test_cut_short(world: World) -> None:
    made = archive(world)
    with pytest.raises(InvalidParameter, match="unexpected end"):
        async for _ in made.take(chunked(tar_of({"l": LARGE})[:100_000])):
            pass
    await made.discard()


def test_names() -> None:
    bad = Descriptor(digest=Digest("sha256:../../etc/passwd"), size=1)
    with pytest.raises(InvalidParameter, match="bad digest"):
        blob_name(bad)
    assert blob_digest("blobs/sha256/" + "a" * 64) == "sha256:" + "a" * 64
    assert blob_digest("blobs/sha256/abc") is None
    assert blob_digest("layer.tar") is None
    assert Member("0123456789abcdef/layer.tar", 1).label == "0123456789ab"
    assert Member("x.tar", 1).label == "x.tar"
    assert Member("l", 1, diff_id=DiffId("sha256:" + "b" * 64)).label == "b" * 12
