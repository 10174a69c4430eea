from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path

import pytest

from pierhead.engine.images.compressing import Compressor
from pierhead.errors import Internal, NotFound
from pierhead.oci.digest import ChainId, sha256
from unit.engine.images.conftest import FakeSnapshotter

DATA = b"a layer's tar " * 5000


class Ranged(FakeSnapshotter):
    """Keeps tars in files, as the EROFS driver does."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def layer_tar_range(self, chain_id: ChainId) -> tuple[Path, int, int]:
        path = self._folder / chain_id[7:]
        path.write_bytes(bytes(4096) + self.tars[chain_id] + b"metadata")
        return path, 4096, len(self.tars[chain_id])


class Piped(FakeSnapshotter):
    async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int:
        def write() -> int:
            with open(out_fd, "wb", closefd=False) as file:
                return file.write(self.tars[chain_id])

        return await asyncio.to_thread(write)


@pytest.fixture(params=["range", "pipe"])
def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> FakeSnapshotter:
    return Ranged(tmp_path) if request.param == "range" else Piped()


async def test_it_compresses_from_either_source(snapshots: FakeSnapshotter, tmp_path: Path) -> None:
    layer = snapshots.add(DATA)
    with open(tmp_path / "out", "w+b") as out:
        made = await Compressor(snapshots).run(layer.chain_id, out.fileno())  # type: ignore[arg-type]
        out.seek(0)
        packed = out.read()
    assert gzip.decompress(packed) == DATA
    assert (made.digest, made.size) == (sha256(packed), len(packed))


async def test_a_damaged_layer_is_not_given_away(
    snapshots: FakeSnapshotter, tmp_path: Path
) -> None:
    layer = snapshots.add(DATA)
    snapshots.tars[layer.chain_id] = DATA[:-1] + b"!"
    with open(tmp_path / "out", "w+b") as out, pytest.raises(Internal, match="is damaged"):
        await Compressor(snapshots).run(layer.chain_id, out.fileno())  # type: ignore[arg-type]


async def test_an_error_of_the_source_counts(tmp_path: Path) -> None:
    class Broken(FakeSnapshotter):
        async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int:
            raise NotFound("gone")

    broken = Broken()
    layer = broken.add(DATA)
    before = len(os.listdir("/proc/self/fd"))
    with open(tmp_path / "out", "w+b") as out:
        with pytest.raises(NotFound, match="gone"):
            await Compressor(broken).run(layer.chain_id, out.fileno())  # type: ignore[arg-type]
        with pytest.raises(NotFound, match="is missing"):
            await Compressor(broken).run(ChainId("sha256:" + "0" * 64), out.fileno())  # type: ignore[arg-type]
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # the template of workers has two
