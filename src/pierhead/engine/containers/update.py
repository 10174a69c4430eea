"""Update: limits and the restart policy of an existing container."""

from __future__ import annotations

from typing import Final

import msgspec

from pierhead.engine.config import HostConfig, RestartPolicy
from pierhead.engine.containers.check_host import check_restart_policy
from pierhead.engine.containers.check_resources import check_resources
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.specinputs import resources_of
from pierhead.errors import Conflict, InvalidParameter
from pierhead.linux import cgroups
from pierhead.oci.runtime_spec import build_resources
from pierhead.runtime.crun import RuntimeFailed

# Given when not zero, "" or None.
FIELDS: Final = (
    "blkio_weight", "blkio_weight_device", "blkio_device_read_bps", "blkio_device_write_bps",
    "blkio_device_read_iops", "blkio_device_write_iops", "cpu_shares", "nano_cpus", "cpu_period",
    "cpu_quota", "cpuset_cpus", "cpuset_mems", "memory", "memory_swap", "memory_reservation",
    "cpu_realtime_period", "cpu_realtime_runtime", "pids_limit",
)  # fmt: skip


async def update(
    ctx: Context, container: Container, asked: HostConfig, policy: RestartPolicy | None
) -> list[str]:
    """``POST /containers/{id}/update``; returns warnings. Nothing changes if it fails."""
    warnings = check_resources(asked, ctx.facts, update=True)
    if policy is not None:
        check_restart_policy(policy)
    async with container.lock:
        if container.removing or container.status.phase in (Phase.REMOVING, Phase.DEAD):
            raise Conflict(
                f"Cannot update container {container.id}: "
                'container is marked for removal and cannot be "update"'
            )
        try:
            merged = merge_resources(container.record.host_config, asked, policy)
        except Conflict as error:
            raise Conflict(f"Cannot update container {container.id}: {error.message}") from error
        if container.running and _given(asked):
            try:
                await _apply(ctx, container, merged)
            except (RuntimeFailed, OSError) as error:
                raise InvalidParameter(
                    f"Cannot update container {container.id}: {error}"
                ) from error
        container.record = msgspec.structs.replace(container.record, host_config=merged)
        ctx.registry.save(container)
        emit(ctx, container, "update")
    return warnings


async def _apply(ctx: Context, container: Container, merged: HostConfig) -> None:
    """To the running container. Raises ``RuntimeFailed``, ``OSError``."""
    resources = build_resources(resources_of(merged, swap_accounting=ctx.facts.swap_limit))
    # The runtime sets limits only; one that is no more is lifted by us.
    if merged.cpu_quota < 0:
        resources["cpu"].pop("quota")
        if not resources["cpu"]:
            del resources["cpu"]
    await ctx.runtime_of(container.status).update(container.id, resources)
    cgroup = ctx.cgroup_of(container.record)
    if merged.cpu_quota < 0:
        cgroups.lift_cpu_quota(ctx.layout, cgroup)
    if merged.pids_limit is not None and merged.pids_limit <= 0:
        cgroups.lift_pids_limit(ctx.layout, cgroup)


def _given(asked: HostConfig) -> bool:
    return asked.pids_limit is not None or any(
        getattr(asked, field) not in (0, "", None) for field in FIELDS
    )


def merge_resources(
    current: HostConfig, asked: HostConfig, policy: RestartPolicy | None
) -> HostConfig:
    """The configuration after the update. Raises ``Conflict`` with Docker's words. Pure."""
    for first, second, text in (
        (asked.nano_cpus, current.cpu_period, "Nano CPUs cannot be updated as CPU Period"),
        (asked.nano_cpus, current.cpu_quota, "Nano CPUs cannot be updated as CPU Quota"),
        (asked.cpu_period, current.nano_cpus, "CPU Period cannot be updated as NanoCPUs"),
        (asked.cpu_quota, current.nano_cpus, "CPU Quota cannot be updated as NanoCPUs"),
    ):
        if first > 0 and second > 0:
            raise Conflict(f"Conflicting options: {text} has already been set")
    if asked.memory and asked.memory_swap == 0 and asked.memory > current.memory_swap >= 0:
        # 0 is "no limit was set": Docker refuses here too, for the swap limit would be below.
        if current.memory_swap > 0 or current.memory == 0:
            raise Conflict(
                "Memory limit should be smaller than already set memoryswap limit, "
                "update the memoryswap at the same time"
            )
    merged = msgspec.structs.replace(current)
    for field in FIELDS:
        value = getattr(asked, field)
        if value not in (0, "", None) or (field == "pids_limit" and value is not None):
            setattr(merged, field, value)
    if merged.pids_limit is not None and merged.pids_limit <= 0:
        merged.pids_limit = 0
    if policy is not None and policy.name:
        if current.auto_remove and policy.name != "no":
            raise Conflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container"
            )
        merged.restart_policy = policy
    return merged
