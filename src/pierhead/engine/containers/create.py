"""Create: from what was asked to a recorded container with its own snapshot.

Order matters for a kill in between: the record is written first, marked half made
(``status.creating``), then volumes and snapshot come into being, then the mark goes.
Recovery removes what is still marked.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable
from typing import Any

import msgspec

from pierhead.engine.config import (
    ContainerConfig,
    HealthConfig,
    HostConfig,
    NetworkingConfig,
)
from pierhead.engine.containers import links
from pierhead.engine.containers.bundles import delete_bundle
from pierhead.engine.containers.check_config import check_config
from pierhead.engine.containers.check_host import check_host_config
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.logoptions import parse_log_options
from pierhead.engine.containers.merge import command_of, merge_config
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus, MountRecord
from pierhead.engine.containers.names import check_name, generate_name
from pierhead.engine.containers.registry import MASKED, READONLY
from pierhead.errors import InvalidParameter, NotFound

log = logging.getLogger(__name__)

# Names a client may give for "the usual one"; what they mean is settings.default_runtime.
_RUNTIME_ALIASES = ("runc", "io.containerd.runc.v2", "crun")


async def create(
    ctx: Context,
    name: str | None,
    config: ContainerConfig,
    host: HostConfig,
    networking: NetworkingConfig,
    platform: str | None,
) -> tuple[str, list[str]]:
    """Make a container; return its id and warnings. Nothing stays if it fails."""
    bare_name = check_name(name) if name else None
    if not host.restart_policy.name:
        host.restart_policy.name = "no"
    check_config(config)
    warnings = check_host_config(
        host, config, ctx.facts, runtimes={*ctx.settings.runtimes, *_RUNTIME_ALIASES}
    )
    image = ctx.images.resolve(config.image, platform) if config.image else None
    image_config = image.config.config if image else None
    inherited = _from_image(image_config) if image_config else ContainerConfig()
    config = merge_config(config, inherited)
    _complete_host_config(ctx, host)
    _resolve_modes(ctx, host)
    links.resolve(ctx, host)
    networks = ctx.networks.plan(config, host, networking)

    container_id = _new_id(ctx)
    if bare_name is None:
        bare_name = generate_name(container_id, ctx.registry.taken)
    ctx.registry.reserve(bare_name, container_id)
    if not config.hostname and not host.network_mode.startswith("container:"):
        config.hostname = (
            ctx.settings.name
            if host.network_mode == "host" or host.uts_mode == "host"
            else container_id[:12]
        )
    path, args = command_of(config)
    record = ContainerRecord(
        id=container_id,
        name=bare_name,
        created_ns=time.time_ns(),
        image_id=image.id if image else "",
        image_ref=config.image,
        chain_id=image.chain_id if image else None,
        path=path,
        args=args,
        config=config,
        host_config=host,
        networks=networks,
        platform="linux",
        driver=ctx.snapshots.driver,
    )
    container = Container(record, ContainerStatus(creating=True))
    try:
        ctx.registry.insert(container)
    except BaseException:
        ctx.registry.release(bare_name, container_id)
        raise
    try:
        record.mounts = await ctx.volumes.plan(
            container_id,
            config,
            host,
            list((image_config.volumes if image_config else None) or ()),
            _volumes_from(ctx),
        )
        await ctx.snapshots.prepare(container_id, record_chain(record))
        ctx.paths.container(container_id).mkdir(mode=0o710, exist_ok=True)
        if ctx.volumes.needs_populate(record.mounts):
            await _populate(ctx, container)
        container.status.creating = False
        ctx.registry.save(container)
    except BaseException:
        await undo(ctx, container)
        raise
    emit(ctx, container, "create")
    return container_id, warnings


def record_chain(record: ContainerRecord) -> Any:
    """The record's chain id, typed as the snapshotter wants it."""
    return record.chain_id


async def undo(ctx: Context, container: Container) -> None:
    """Take back a half-made container; each step on its own, failures are logged."""
    record = container.record
    try:
        await ctx.volumes.release(record.id, record.mounts, remove_anonymous=True)
    except Exception:
        log.exception("can't release volumes", extra={"container": record.id})
    try:
        ctx.snapshots.unmount(ctx.paths.rootfs(record.id))
        await ctx.snapshots.remove(record.id)
    except Exception:
        log.exception("can't remove the snapshot", extra={"container": record.id})
    shutil.rmtree(ctx.paths.container(record.id), ignore_errors=True)
    delete_bundle(ctx.paths.bundle(record.id))
    ctx.registry.delete(container)


def _new_id(ctx: Context) -> str:
    """64 random hex digits, never all digits in the short form (a number would read as a pid)."""
    while True:
        container_id = secrets.token_hex(32)
        if not container_id[:12].isdigit() and ctx.registry.find(container_id) is None:
            return container_id


def _from_image(image: Any) -> ContainerConfig:
    """The image's ``config`` as a container's (same field names)."""
    health = image.healthcheck
    return ContainerConfig(
        user=image.user,
        exposed_ports=image.exposed_ports,
        env=image.env,
        cmd=image.cmd,
        healthcheck=HealthConfig(**msgspec.structs.asdict(health)) if health else None,
        args_escaped=image.args_escaped,
        volumes=image.volumes,
        working_dir=image.working_dir,
        entrypoint=image.entrypoint,
        labels=image.labels,
        stop_signal=image.stop_signal,
        stop_timeout=image.stop_timeout,
        shell=image.shell,
    )


def _complete_host_config(ctx: Context, host: HostConfig) -> None:
    """The defaults of daemon and host, written in so that inspect shows what holds."""
    settings = ctx.settings
    if not host.shm_size:
        host.shm_size = settings.default_shm_size
    if not host.ipc_mode:
        host.ipc_mode = settings.default_ipc_mode
    if not host.cgroupns_mode:
        default = settings.default_cgroupns_mode
        host.cgroupns_mode = default or ("private" if ctx.facts.cgroup_v2 else "host")
        if host.privileged and not ctx.facts.cgroup_v2:
            host.cgroupns_mode = "host"
    if not host.runtime:
        host.runtime = settings.default_runtime
    if host.memory > 0 and host.memory_swap == 0:
        host.memory_swap = host.memory * 2
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    if host.masked_paths is None:
        host.masked_paths = None if host.privileged else MASKED
    if host.readonly_paths is None:
        host.readonly_paths = None if host.privileged else READONLY
    logs = host.log_config
    if not logs.type:
        logs.type = settings.log_driver
    if logs.type == settings.log_driver:
        logs.config = {**settings.log_opts, **(logs.config or {})}
    logs.config = logs.config or {}
    parse_log_options(logs.type, logs.config)


def _resolve_modes(ctx: Context, host: HostConfig) -> None:
    """``container:<name>`` → ``container:<id>``, so that a rename does no harm."""
    for field in ("network_mode", "ipc_mode", "pid_mode"):
        value: str = getattr(host, field)
        if not value.startswith("container:"):
            continue
        try:
            other = ctx.registry.get(value.removeprefix("container:"))
        except NotFound:
            if field == "network_mode":
                continue  # Docker leaves this one to start
            raise InvalidParameter(
                f"invalid {field}: No such container: {value.removeprefix('container:')}"
            ) from None
        setattr(host, field, f"container:{other.id}")


def _volumes_from(ctx: Context) -> Callable[[str], list[MountRecord]]:
    def mounts_of(ref: str) -> list[MountRecord]:
        try:
            return ctx.registry.get(ref).record.mounts
        except NotFound as error:
            # Not a 404: the stock client would take the image for missing and pull it.
            raise InvalidParameter(error.message) from error

    return mounts_of


async def _populate(ctx: Context, container: Container) -> None:
    """Copy the image's content into new volumes."""
    rootfs = ctx.paths.rootfs(container.id)
    rootfs.mkdir(parents=True, exist_ok=True)
    ctx.snapshots.mount(container.id, rootfs)
    try:
        await ctx.volumes.populate(container.record.mounts, rootfs)
    finally:
        ctx.snapshots.unmount(rootfs)
