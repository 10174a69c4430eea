"""An image from one tar of a root file system: import, and the end of every bootstrap."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from pierhead.engine.images import changes as instructions
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.feed import through_pipe
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.oci.image_config import History, ImageConfig, RootFs, RunConfig
from pierhead.oci.platform import Platform
from pierhead.oci.reference import Reference
from pierhead.store.snapshots import Layer, LayerSource, Snapshotter


async def apply_stream(snapshots: Snapshotter, chunks: AsyncIterator[bytes]) -> Layer:
    """Unpack a stream of a tar, compressed or not, as a base layer."""

    async def apply(fd: int) -> Layer:
        return await snapshots.apply(LayerSource(fd), None, None)

    return await through_pipe(chunks, apply)


async def import_tar(
    index: ImageIndex,
    snapshots: Snapshotter,
    chunks: AsyncIterator[bytes],
    *,
    ref: Reference | None,
    changes: list[str],
    message: str,
    platform: Platform,
) -> Image:
    """``docker import``: the instructions are checked before the first byte is read."""
    config = instructions.apply(RunConfig(), changes)
    layer = await apply_stream(snapshots, chunks)
    created = format_rfc3339(time.time_ns())
    return record(
        index,
        layer,
        ImageConfig(
            architecture=platform.architecture,
            variant=platform.variant,
            os=platform.os,
            created=created,
            comment=message,
            config=config,
            history=[History(created=created, comment=message)],
        ),
        ref,
    )


def record(index: ImageIndex, layer: Layer, config: ImageConfig, ref: Reference | None) -> Image:
    """The image with ``layer`` as its only one. Synchronous, so nobody takes the layer away."""
    config.rootfs = RootFs(diff_ids=[layer.diff_id])
    return index.add(config.encode(), refs=[ref] if ref is not None else [])
