from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pierhead.errors import InvalidParameter, NotFound, TooLarge
from pierhead.oci.digest import sha256
from pierhead.store.blobs import BlobStore
from pierhead.store.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "data", tmp_path / "exec")
    paths.create()
    return paths


@pytest.fixture
def blobs(paths: Paths) -> BlobStore:
    return BlobStore(paths)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_what_is_put_can_be_read(blobs: BlobStore) -> None:
    digest = blobs.put(b"data")
    assert digest == sha256(b"data") == blobs.put(b"data")
    assert blobs.read(digest) == b"data"
    assert blobs.exists(digest)
    assert stat.S_IMODE(blobs.path(digest).stat().st_mode) == 0o444
    assert blobs.digests() == [digest]
    blobs.delete(digest)
    blobs.delete(digest)
    assert not blobs.exists(digest)
    with pytest.raises(NotFound):
        blobs.read(digest)


async def test_streams_are_checked(blobs: BlobStore, paths: Paths) -> None:
    assert await blobs.ingest(chunks(b"a", b"b")) == (sha256(b"ab"), 2)
    assert await blobs.ingest(chunks(b"ab"), sha256(b"ab")) == (sha256(b"ab"), 2)
    with pytest.raises(InvalidParameter, match="does not match"):
        await blobs.ingest(chunks(b"x"), sha256(b"y"))
    with pytest.raises(TooLarge):
        await blobs.ingest(chunks(b"x" * 10), limit_bytes=9)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.ingest(broken())
    assert list(paths.ingest.iterdir()) == []
    assert len(blobs.digests()) == 1


def test_limits_and_bad_digests(blobs: BlobStore) -> None:
    digest = blobs.put(b"12345")
    with pytest.raises(TooLarge):
        blobs.read(digest, limit_bytes=4)
    for bad in ("", "sha256:../x", "../../etc/passwd"):
        with pytest.raises(InvalidParameter):
            blobs.path(bad)


def test_half_written_ones_go_at_start(blobs: BlobStore, paths: Paths) -> None:
    (paths.ingest / "half").write_bytes(b"x")
    digest = blobs.put(b"whole")
    blobs.recover()
    assert list(paths.ingest.iterdir()) == []
    assert blobs.exists(digest)
