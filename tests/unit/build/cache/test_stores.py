from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pierhead.build.cache.document import CachedLayer
from pierhead.build.cache.stores import InListing, InRegistry, Nowhere, unzipped, whole
from pierhead.errors import InvalidParameter, NotFound, TooLarge, Unavailable
from pierhead.oci import reference
from pierhead.oci.digest import DiffId, sha256
from pierhead.oci.manifest import Descriptor
from unit.build.export.conftest import Build, FakeListing
from unit.engine.images.conftest import chunked


def described(data: bytes) -> Descriptor:
    return Descriptor(media_type="x", digest=sha256(data), size=len(data))


def layer(data: bytes, blob: bytes) -> CachedLayer:
    return CachedLayer(DiffId(sha256(data)), None, described(blob))


async def collected(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_a_registry_s_blobs_come_as_they_are_fetched(build: Build) -> None:
    build.registry.blobs[sha256(b"data")] = b"data"
    store = InRegistry(build.registries, reference.parse("registry.x/c"), None)
    assert await collected(store.blob(described(b"data"))) == b"data"


async def test_a_broken_download_is_told(build: Build) -> None:
    async def fail(*arguments: Any) -> None:
        raise Unavailable("gone")

    build.registry.download = fail  # type: ignore[method-assign]
    store = InRegistry(build.registries, reference.parse("registry.x/c"), None)
    with pytest.raises(Unavailable, match="gone"):
        await collected(store.blob(described(b"data")))


async def test_a_directory_s_layers_are_checked(build: Build) -> None:
    packed = gzip.compress(b"tar")
    held = {f"blobs/sha256/{sha256(packed)[7:]}".encode(): packed}
    store = InListing(FakeListing(held), build.world.snapshots)  # type: ignore[arg-type]
    staged = await store.stage(layer(b"tar", packed))
    assert staged.diff_id == sha256(b"tar")
    await staged.discard()
    held[f"blobs/sha256/{sha256(b'other')[7:]}".encode()] = packed
    with pytest.raises(InvalidParameter):
        await store.stage(layer(b"tar", b"other"))
    del held[f"blobs/sha256/{sha256(b'other')[7:]}".encode()]
    with pytest.raises(InvalidParameter):
        await store.stage(layer(b"another tar", packed))
    assert build.world.snapshots.staged == 0


async def test_nowhere_has_nothing() -> None:
    with pytest.raises(NotFound):
        await Nowhere().stage(layer(b"a", b"b"))


async def test_documents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pierhead.build.cache.stores.CONFIG_LIMIT_BYTES", 10)
    assert await whole(chunked(b"0123456789")) == b"0123456789"
    with pytest.raises(TooLarge):
        await whole(chunked(b"0123456789a"))


async def test_unzipping_takes_bounded_steps() -> None:
    data = b"a" * 5_000_000
    chunks = [chunk async for chunk in unzipped(chunked(gzip.compress(data)))]
    assert b"".join(chunks) == data and max(map(len, chunks)) <= 1 << 20
    with pytest.raises(InvalidParameter):
        await collected(unzipped(chunked(b"no gzip at all")))
