"""Inspect: all there is to know of one container, in the newest API version's shape."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pierhead.engine.config import EndpointSettings
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.durations import rfc3339
from pierhead.engine.containers.link_names import split
from pierhead.engine.containers.model import Phase
from pierhead.errors import NotFound, PierError

_CONFIG_OMITTED: Final = (
    "ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal",
    "StopTimeout", "Shell",
)  # fmt: skip
_HOST_OMITTED: Final = (
    "Annotations",
    "StorageOpt",
    "Tmpfs",
    "Sysctls",
    "Runtime",
    "Init",
    "Mounts",
)


async def inspect(ctx: Context, container: Container, *, size: bool) -> dict[str, Any]:
    """``GET /containers/{id}/json``. Computing ``size`` walks the writable layer."""
    record, status = container.record, container.status
    directory = ctx.paths.container(record.id)
    host = _without_empty(msgspec.to_builtins(record.host_config), _HOST_OMITTED)
    host["ConsoleSize"] = host.get("ConsoleSize") or [0, 0]
    host["Links"] = _links(ctx, container)
    keep_log = record.host_config.log_config.type != "none"
    started = status.has_been_started
    result: dict[str, Any] = {
        "Id": record.id,
        "Created": rfc3339(record.created_ns),
        "Path": record.path,
        "Args": record.args,
        "State": state(container),
        "Image": record.image_id,
        "ResolvConfPath": str(directory / "resolv.conf") if started else "",
        "HostnamePath": str(directory / "hostname") if started else "",
        "HostsPath": str(directory / "hosts") if started else "",
        "LogPath": str(ctx.log_path(record.id)) if keep_log and started else "",
        "Name": f"/{record.name}",
        "RestartCount": status.restart_count,
        "Driver": record.driver,
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "unconfined" if record.host_config.privileged else "",
        "ExecIDs": [e.id for e in container.execs.values() if not e.done.is_set()] or None,
        "HostConfig": host,
        "GraphDriver": {"Name": record.driver, "Data": _graph_data(ctx, container)},
        "Mounts": mounts(container),
        "Config": _without_empty(msgspec.to_builtins(record.config), _CONFIG_OMITTED),
        "NetworkSettings": {
            "SandboxID": status.sandbox_id,
            "SandboxKey": status.sandbox_key,
            "Ports": status.ports,
            "Networks": {name: _endpoint(e) for name, e in endpoints(ctx, container).items()},
        },
    }
    if size:
        usage = await ctx.snapshots.usage(record.id)
        result["SizeRw"] = usage.size_bytes
        result["SizeRootFs"] = usage.size_bytes + image_size(ctx, record.image_id)
    return result


def state(container: Container) -> dict[str, Any]:
    """The ``State`` object."""
    status = container.status
    phase = status.phase
    found: dict[str, Any] = {
        "Status": str(phase),
        "Running": phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING),
        "Paused": phase is Phase.PAUSED,
        "Restarting": phase is Phase.RESTARTING,
        "OOMKilled": status.oom_killed,
        "Dead": phase is Phase.DEAD,
        "Pid": status.pid,
        "ExitCode": status.exit_code,
        "Error": status.error,
        "StartedAt": rfc3339(status.started_ns),
        "FinishedAt": rfc3339(status.finished_ns),
    }
    health = status.health
    if health is not None:
        found["Health"] = {
            "Status": health.status,
            "FailingStreak": health.failing_streak,
            "Log": [
                {
                    "Start": rfc3339(r.start_ns),
                    "End": rfc3339(r.end_ns),
                    "ExitCode": r.exit_code,
                    "Output": r.output,
                }
                for r in health.log
            ],
        }
    return found


def endpoints(ctx: Context, container: Container) -> dict[str, EndpointSettings]:
    """What the container has in its networks, or while it does not run, what it asked for.

    The networks' ids are there in any case: compose compares them.
    """
    if container.status.networks:
        return container.status.networks
    found = {}
    for name, asked in container.record.networks.items():
        try:
            network_id = ctx.networks.get(name).id
        except PierError:
            network_id = ""
        found[name] = msgspec.structs.replace(asked, network_id=network_id)
    return found


def mounts(container: Container) -> list[dict[str, Any]]:
    """The ``Mounts`` list, of inspect and list alike."""
    found = []
    for mount in container.record.mounts:
        point = msgspec.to_builtins(mount.point)
        for name in ("Name", "Driver"):
            if not point.get(name):
                point.pop(name, None)
        found.append(point)
    return found


def image_size(ctx: Context, image_id: str) -> int:
    """Bytes of the image's layers; 0 when the image is gone."""
    try:
        return ctx.images.resolve(image_id).size_bytes if image_id else 0
    except NotFound:
        return 0


def _endpoint(settings: EndpointSettings) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(settings)
    return found


def _links(ctx: Context, container: Container) -> list[str] | None:
    """``/other:/this/alias``, as Docker shows them."""
    found = []
    for link in container.record.host_config.links or ():
        target, alias = split(link)
        other = ctx.registry.find(target)
        name = other.name if other is not None else target
        found.append(f"/{name}:/{container.name}/{alias}")
    return found or None


def _graph_data(ctx: Context, container: Container) -> dict[str, str] | None:
    try:
        return ctx.snapshots.graph_data(container.id)
    except NotFound:
        return None


def _without_empty(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Go's ``omitempty``."""
    for name in names:
        if not found.get(name):
            found.pop(name, None)
    return found
