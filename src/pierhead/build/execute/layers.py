"""From a step's snapshot to the layer on its base."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

from pierhead import tasks
from pierhead.engine.images.feed import make_pipe
from pierhead.errors import InvalidParameter, Unavailable
from pierhead.linux import process, worker
from pierhead.oci.digest import ChainId
from pierhead.store.snapshots import Incoming, Layer, LayerSource, Snapshotter
from pierhead.store.snapshots.stacked import EMPTY_DIFF_ID, EMPTY_TAR_BYTES


def upper_of(snapshots: Snapshotter, key: str) -> Path:
    """The directory that has what was written to the snapshot."""
    return Path(snapshots.graph_data(key)["UpperDir"])


def is_empty(upper: Path) -> bool:
    """Whether nothing was changed."""
    with os.scandir(upper) as entries:
        return next(entries, None) is None


async def commit(
    snapshots: Snapshotter, base: ChainId | None, upper: Path, *, epoch_s: int | None
) -> Layer:
    """Make what is in ``upper`` a layer on ``base``; no time in it is later than ``epoch_s``.

    ``Unavailable`` for a full disk; nothing half made stays.
    """
    if is_empty(upper):
        return await _empty(snapshots, base)
    read_fd, write_fd = make_pipe()
    packed: asyncio.Task[Any | Exception] | None = None
    try:
        try:
            packing = await worker.start(
                "store.pack:pack_upper",
                {"epoch_s": epoch_s},
                stdout=write_fd,
                jail=upper,
                site_packages=True,
            )
        finally:
            os.close(write_fd)
        packed = tasks.spawn(tasks.outcome(packing.result()), name="pack a step's changes")
        staged = await snapshots.stage(Incoming(read_fd))
        try:
            outcome = await packed
            if isinstance(outcome, Exception):
                raise outcome  # a tar that ends too early must not become a layer
            return await staged.commit(base)
        finally:
            await staged.discard()
    except (OSError, InvalidParameter) as error:
        if _is_full(error):
            raise Unavailable(
                f"the step's layer can't be kept: no space left on device ({error})"
            ) from error
        raise
    finally:
        os.close(read_fd)
        if packed is not None and not packed.done():
            packed.cancel()


def _is_full(error: OSError | InvalidParameter) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "there is room for" in error.message  # of ``limit_bytes``: staging leaves a reserve


async def _empty(snapshots: Snapshotter, base: ChainId | None) -> Layer:
    layer = await snapshots.adopt(EMPTY_DIFF_ID, base)
    if layer is not None:
        return layer
    fd = process.memory_file("empty", bytes(EMPTY_TAR_BYTES))
    try:
        return await snapshots.apply(LayerSource(fd, EMPTY_TAR_BYTES), base, EMPTY_DIFF_ID)
    finally:
        os.close(fd)
