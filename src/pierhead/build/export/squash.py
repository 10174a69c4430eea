"""``--squash``: one layer for all that the build put on its base, as the classic builder does.

History keeps what was done (without layers) and gets one entry that has the layer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import msgspec

from pierhead import tasks
from pierhead.build.export.model import Assembled
from pierhead.engine.images.content import Lease
from pierhead.engine.images.feed import make_pipe
from pierhead.engine.images.index import ImageIndex
from pierhead.linux import worker
from pierhead.oci.digest import ChainId, sha256
from pierhead.oci.image_config import History, RootFs
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Layer, LayerSource, Snapshotter


async def squash(
    image: Assembled, index: ImageIndex, snapshots: Snapshotter, blobs: BlobStore, lease: Lease
) -> Assembled:
    """The squashed form of ``image``; its new layer is held by ``lease``."""
    base = index.images.get(image.base) if image.base is not None else None
    below = len(base.chains) if base is not None else 0
    if len(image.chains) - below < 1:
        return image
    config = image.config
    whole = sha256(config.encode())
    layer = await _merge(image.chains, below, snapshots, blobs)
    lease.add_chains([layer.chain_id])
    known = len(base.config.history) if base is not None else 0
    if base is not None:
        comment = f"merge {whole} to {base.id}"
    else:
        comment = f"create new from {whole}"
    history = [
        *config.history[:known],
        *(msgspec.structs.replace(entry, empty_layer=True) for entry in config.history[known:]),
        History(created=config.created, comment=comment),
    ]
    diff_ids = [*(base.config.rootfs.diff_ids if base is not None else ()), layer.diff_id]
    return replace(
        image,
        config=msgspec.structs.replace(config, history=history, rootfs=RootFs(diff_ids=diff_ids)),
        chains=[*image.chains[:below], layer.chain_id],
        parent=None,
    )


async def _merge(
    chains: Sequence[ChainId], below: int, snapshots: Snapshotter, blobs: BlobStore
) -> Layer:
    with ExitStack() as stack:
        layers = []
        for chain_id in chains:
            place = snapshots.layer_tar_range(chain_id)
            if place is not None:
                path, offset, length = place
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
            else:  # kept compressed: read by position, so it is unpacked for the while
                fd, offset = blobs.scratch(), 0
                stack.callback(os.close, fd)
                length = await snapshots.layer_tar(chain_id, fd)
            layers.append((fd, offset, length))
        read_fd, write_fd = make_pipe()
        stack.callback(os.close, read_fd)
        try:
            started = await worker.start(
                "build.export.squash_worker:squash",
                {"layers": layers, "below": below},
                stdout=write_fd,
                pass_fds=tuple(fd for fd, _, _ in layers),
            )
        finally:
            os.close(write_fd)
        working = tasks.spawn(tasks.outcome(started.result()), name="squash layers")
        parent = chains[below - 1] if below else None
        try:
            layer = await snapshots.apply(LayerSource(read_fd), parent, None)
        except BaseException:
            started.kill()
            failed = await working
            if isinstance(failed, Exception):
                raise failed from None
            raise
        failed = await working
        if isinstance(failed, Exception):
            raise failed
        return layer
