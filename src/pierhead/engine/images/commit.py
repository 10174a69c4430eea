"""An image from what a container changed."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final, TypeVar

import msgspec

from pierhead import tasks
from pierhead.engine.images import changes as instructions
from pierhead.engine.images.clock import format_rfc3339
from pierhead.engine.images.feed import make_pipe
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import PierError
from pierhead.oci.digest import DiffId
from pierhead.oci.image_config import History, ImageConfig, RootFs, RunConfig
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Layer, LayerSource, Snapshotter

V = TypeVar("V")

EMPTY_TAR: Final = DiffId("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
"""The tar of a container that changed nothing: such a commit adds no layer."""


async def commit(
    index: ImageIndex,
    snapshots: Snapshotter,
    *,
    snapshot_key: str,
    parent: Image | None,
    config: RunConfig,
    container_config: RunConfig | None,
    author: str,
    comment: str,
    changes: list[str],
    container_id: str,
    platform: Platform,
) -> Image:
    """See ``ImageService.commit``."""
    new_config = instructions.apply(config, changes)
    if container_config is not None:
        merge(new_config, container_config)
    parent_chains = parent.chains if parent is not None else ()
    with index.hold(parent_chains):
        layer = await _pack(snapshots, snapshot_key, parent)
        base = parent.config if parent is not None else ImageConfig()
        diff_ids = list(base.rootfs.diff_ids)
        is_empty = layer.diff_id == EMPTY_TAR
        if not is_empty:
            diff_ids.append(layer.diff_id)
        created = format_rfc3339(time.time_ns())
        command = (container_config.cmd if container_config is not None else None) or []
        image = index.add(
            ImageConfig(
                architecture=base.architecture or platform.architecture,
                variant=base.variant if parent is not None else platform.variant,
                os=base.os or platform.os,
                os_version=base.os_version,
                created=created,
                author=author,
                comment=comment,
                container=container_id,
                config=new_config,
                container_config=container_config,
                rootfs=RootFs(diff_ids=diff_ids),
                history=[
                    *base.history,
                    History(
                        created=created,
                        author=author,
                        created_by=" ".join(command),
                        comment=comment,
                        empty_layer=is_empty,
                    ),
                ],
            ).encode(),
            parent=parent.id if parent is not None else None,
        )
    if is_empty and not index.needed(layer.chain_id):
        try:
            await snapshots.remove_layer(layer.chain_id)
        except PierError:
            pass  # somebody else's by now
    return image


async def _pack(snapshots: Snapshotter, key: str, parent: Image | None) -> Layer:
    """From the snapshot's changes straight into a layer; nothing is stored in between."""
    read_fd, write_fd = make_pipe()

    async def pack() -> None:
        try:
            await snapshots.diff(key, write_fd)
        finally:
            os.close(write_fd)

    packing = tasks.spawn(tasks.outcome(pack()), name="pack a snapshot")
    try:
        layer = await snapshots.apply(
            LayerSource(read_fd), parent.chain_id if parent is not None else None, None
        )
    except BaseException:
        packing.cancel()
        await asyncio.wait([packing])
        if not packing.cancelled() and (error := packing.result()) is not None:
            raise error from None
        raise
    finally:
        os.close(read_fd)
    if (error := await packing) is not None:
        raise error
    return layer


def merge(config: RunConfig, base: RunConfig) -> None:
    """Fill what ``config`` leaves open from ``base`` (Docker's runconfig merge)."""
    if not config.user:
        config.user = base.user
    config.exposed_ports = _union(base.exposed_ports, config.exposed_ports)
    names = {item.partition("=")[0] for item in config.env or ()}
    inherited = [item for item in base.env or () if item.partition("=")[0] not in names]
    config.env = [*(config.env or ()), *inherited] or None
    config.labels = _union(base.labels, config.labels)
    if not config.entrypoint:
        if not config.cmd:
            config.cmd = base.cmd
            config.args_escaped = base.args_escaped
        if config.entrypoint is None:
            config.entrypoint = base.entrypoint
    if base.healthcheck is not None:
        if config.healthcheck is None:
            config.healthcheck = base.healthcheck
        else:
            for field in msgspec.structs.fields(config.healthcheck):
                if not getattr(config.healthcheck, field.name):
                    setattr(config.healthcheck, field.name, getattr(base.healthcheck, field.name))
    if not config.working_dir:
        config.working_dir = base.working_dir
    config.volumes = _union(base.volumes, config.volumes)
    if not config.stop_signal:
        config.stop_signal = base.stop_signal
    if config.stop_timeout is None:
        config.stop_timeout = base.stop_timeout
    if not config.shell:
        config.shell = base.shell


def _union(one: dict[str, V] | None, other: dict[str, V] | None) -> dict[str, V] | None:
    if one is None and other is None:
        return None
    return {**(one or {}), **(other or {})}
