"""A layer made here, compressed for a registry or an archive: ``store.compress`` in a worker."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final

from pierhead import tasks
from pierhead.engine.images.feed import make_pipe
from pierhead.errors import Internal, NotFound
from pierhead.linux import worker
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId, Digest, hex_of
from pierhead.oci.manifest import Descriptor
from pierhead.store.snapshots import Snapshotter

SIDE_BY_SIDE: Final = 2
"""Each uses all processors, and has times when it waits for the disk."""


class Compressor:
    """Compresses layers, a few at a time."""

    def __init__(self, snapshots: Snapshotter) -> None:
        self._snapshots = snapshots
        self._turns = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(
        self, chain_id: ChainId, out_fd: int, *, format: str = "gzip", level: int | None = None
    ) -> Descriptor:
        """Write the layer as gzip (or zstd) to ``out_fd``; what it is called in a manifest.

        Raises ``NotFound`` if there is no such layer, ``Internal`` if its tar isn't what it
        was any more, ``OSError`` when the disk is full.
        """
        layer = self._snapshots.layer(chain_id)
        if layer is None:
            raise NotFound(f"layer {hex_of(chain_id)[:12]} is missing")
        async with self._turns:
            place = self._snapshots.layer_tar_range(chain_id)
            how: dict[str, Any] = {"format": format, "level": level}
            if place is None:
                result = await self._stream(chain_id, out_fd, how)
            else:
                result = await _file(*place, out_fd, how)
        if result["diff_id"] != layer.diff_id:
            raise Internal(
                f"layer {hex_of(layer.diff_id)[:12]} is damaged: its digest is {result['diff_id']}"
            )
        return Descriptor(
            media_type=oci.DOCKER_LAYER if format == "gzip" else f"{oci.OCI_LAYER}+{format}",
            digest=Digest(result["digest"]),
            size=result["size_bytes"],
        )

    async def _stream(self, chain_id: ChainId, out_fd: int, how: dict[str, Any]) -> dict[str, Any]:
        """From a driver that doesn't keep plain tars."""
        read_fd, write_fd = make_pipe()
        feeder = tasks.spawn(
            _feed(self._snapshots.layer_tar(chain_id, write_fd), write_fd),
            name="feed a compression",
        )
        try:
            result = await _compress(how, read_fd, out_fd)
            if (error := await feeder) is not None:
                raise error
            return result
        finally:
            os.close(read_fd)
            if not feeder.done():
                feeder.cancel()
                await asyncio.wait([feeder])


async def _file(
    path: Path, offset: int, length: int, out_fd: int, how: dict[str, Any]
) -> dict[str, Any]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await _compress({"offset": offset, "length": length} | how, fd, out_fd)
    finally:
        os.close(fd)


async def _compress(args: dict[str, Any], stdin: int, stdout: int) -> dict[str, Any]:
    result: dict[str, Any] = await worker.call(
        "store.compress:compress", args, stdin=stdin, stdout=stdout, site_packages=True
    )
    return result


async def _feed(work: Awaitable[int], fd: int) -> Exception | None:
    try:
        await work
    except Exception as error:
        return error
    finally:
        os.close(fd)
    return None
