"""From a record to the inputs of the runtime spec: the host lookups."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pierhead.engine.config import HostConfig, Ulimit
from pierhead.engine.containers import links
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.users import ExecUser, lookup_user, read_account_files
from pierhead.engine.networks.model import Sandbox
from pierhead.errors import Conflict, InvalidParameter, Unavailable
from pierhead.linux import devices, limits
from pierhead.oci import capabilities
from pierhead.oci.runtime_spec import (
    NEW,
    Device,
    DeviceRate,
    DeviceRule,
    Namespace,
    Resources,
    SpecInputs,
    User,
    container_env,
)

INIT_BINARIES: Final = ("docker-init", "tini-static", "tini", "catatonit")


def user_of(ctx: Context, container: Container, rootfs: Path) -> ExecUser:
    """Whom the container's process runs as."""
    passwd, group = read_account_files(rootfs)
    record = container.record
    return lookup_user(record.config.user, passwd, group, record.host_config.group_add)


def build_inputs(
    ctx: Context,
    container: Container,
    *,
    user: ExecUser,
    sandbox: Sandbox,
    mounts: Sequence[dict[str, Any]],
    shm_path: str | None,
    hostname: str,
) -> SpecInputs:
    """Raises ``Conflict`` or ``InvalidParameter`` for what the host does not have (any more)."""
    record = container.record
    config, host = record.config, record.host_config
    options = security_options(host)
    caps = capabilities.effective(
        host.cap_add or (),
        host.cap_drop or (),
        privileged=host.privileged,
        available=limits.capabilities(),
    )
    profile, bpf = seccomp_of(ctx, host, options, caps)
    init = host.init if host.init is not None else ctx.settings.init
    node_list, rules = _devices(host)
    oom_score_adj = None
    if host.oom_score_adj:
        oom_score_adj, _ = limits.allowed_oom_score_adj(host.oom_score_adj)
    tty_size = host.console_size if host.console_size and any(host.console_size) else None
    return SpecInputs(
        args=[record.path, *record.args],
        env=container_env(
            [*links.variables(ctx, container), *(config.env or ())],
            hostname=hostname,
            terminal=config.tty,
        ),
        cwd=config.working_dir or "/",
        terminal=config.tty,
        console_size=(tty_size[0], tty_size[1]) if tty_size else None,
        user=User(uid=user.uid, gid=user.gid, additional_gids=user.supplementary),
        capabilities=caps,
        no_new_privileges=no_new_privileges_of(options, ctx.settings.no_new_privileges),
        rlimits=rlimits_of(ctx, host.ulimits),
        oom_score_adj=oom_score_adj,
        init_binary=init_binary(ctx) if init else None,
        readonly_rootfs=host.readonly_rootfs,
        hostname="" if host.uts_mode == "host" else hostname,
        domainname=config.domainname,
        mounts=mounts,
        tmpfs=host.tmpfs or {},
        shm_size=host.shm_size,
        shm_path=shm_path,
        devices=node_list,
        device_rules=rules,
        masked_paths=host.masked_paths,
        readonly_paths=host.readonly_paths,
        sysctls=host.sysctls or {},
        network=sandbox.netns_path,
        pid=_joined(ctx, host.pid_mode, "pid"),
        ipc=_joined(ctx, host.ipc_mode, "ipc"),
        uts=None if host.uts_mode == "host" else NEW,
        cgroup=None if host.cgroupns_mode == "host" else NEW,
        privileged=host.privileged,
        seccomp=profile,
        seccomp_bpf=bpf,
        cgroups_path=ctx.cgroup_of(record),
        resources=resources_of(host, swap_accounting=ctx.facts.swap_limit),
        annotations=host.annotations or {},
    )


def security_options(host: HostConfig) -> dict[str, str]:
    """``--security-opt`` as name → value."""
    found: dict[str, str] = {}
    for option in host.security_opt or ():
        if option == "no-new-privileges":
            found[option] = "true"
            continue
        name, separator, value = option.partition("=")
        if not separator:
            name, _, value = option.partition(":")
        found[name] = value
    return found


def no_new_privileges_of(options: dict[str, str], default: bool) -> bool:
    value = options.get("no-new-privileges")
    return default if value is None else value.lower() in ("true", "1", "t", "")


def seccomp_of(
    ctx: Context, host: HostConfig, options: dict[str, str], caps: Sequence[str]
) -> tuple[dict[str, Any] | None, str | None]:
    """(profile, compiled form); (None, None) is unconfined."""
    asked = options.get("seccomp", "")
    if host.privileged and not asked:
        return None, None
    asked = asked or ctx.settings.seccomp_profile
    if asked == "unconfined":
        return None, None
    custom: dict[str, Any] | None = None
    if asked and asked != "builtin":
        try:
            # The stock client sends the file's content; daemon.json names a path.
            custom = json.loads(asked if asked.lstrip().startswith("{") else _profile_text(asked))
        except (OSError, ValueError) as error:
            raise InvalidParameter(f"opening seccomp profile failed: {error}") from error
        if not isinstance(custom, dict):
            raise InvalidParameter("Decoding seccomp profile failed: expected a JSON object")
    found = ctx.seccomp.get(caps, custom)
    return found.profile, found.bpf


def _profile_text(path: str) -> str:
    return Path(path).read_text()


def _joined(ctx: Context, mode: str, kind: str) -> Namespace:
    """The namespace for ``host``, ``container:<id>`` or one of its own."""
    if mode == "host":
        return None
    if not mode.startswith("container:"):
        return NEW
    other = ctx.registry.get(mode.removeprefix("container:"))
    if kind == "ipc" and other.record.host_config.ipc_mode not in ("shareable", "host"):
        raise InvalidParameter(
            f"container {other.id}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )
    if not other.running:
        raise Conflict(f"cannot join {kind.upper()} of a non running container: {other.id}")
    if other.status.phase == "restarting":
        raise Conflict(f"Container {other.id} is restarting, wait until the container is running")
    return f"/proc/{other.status.pid}/ns/{kind}"


def rlimits_of(ctx: Context, asked: list[Ulimit] | None) -> list[tuple[str, int, int]]:
    merged = {name: (u.soft, u.hard) for name, u in ctx.settings.default_ulimits.items()}
    merged.update({u.name: (u.soft, u.hard) for u in asked or ()})
    if not merged:
        return []
    allowed, _ = limits.allowed_rlimits([(n, s, h) for n, (s, h) in merged.items()])
    return allowed


def _devices(host: HostConfig) -> tuple[list[Device], list[DeviceRule]]:
    rules = [_device_rule(rule) for rule in host.device_cgroup_rules or ()]
    nodes: list[Device] = list(devices.host_devices()) if host.privileged else []
    for mapping in host.devices or ():
        nodes += devices.device(
            mapping.path_on_host,
            mapping.path_in_container or mapping.path_on_host,
            mapping.cgroup_permissions or "rwm",
        )
    return nodes, rules


def _device_rule(text: str) -> DeviceRule:
    """``c 10:* rwm``, checked before."""
    kind, numbers, access = text.split(" ")
    major, _, minor = numbers.partition(":")
    return DeviceRule(
        type=kind,
        major=None if major == "*" else int(major),
        minor=None if minor == "*" else int(minor),
        access=access,
    )


def resources_of(host: HostConfig, *, swap_accounting: bool) -> Resources:
    """The limits as numbers."""

    def rates(given: Sequence[Any] | None, field: str) -> list[DeviceRate]:
        found = []
        for item in given or ():
            major, minor = devices.numbers(item.path)
            found.append(DeviceRate(major=major, minor=minor, rate=getattr(item, field)))
        return found

    return Resources(
        memory=host.memory,
        memory_reservation=host.memory_reservation,
        memory_swap=host.memory_swap,
        memory_swappiness=host.memory_swappiness,
        oom_kill_disable=host.oom_kill_disable,
        cpu_shares=host.cpu_shares,
        cpu_period=host.cpu_period,
        cpu_quota=host.cpu_quota,
        nano_cpus=host.nano_cpus,
        cpu_realtime_period=host.cpu_realtime_period,
        cpu_realtime_runtime=host.cpu_realtime_runtime,
        cpuset_cpus=host.cpuset_cpus,
        cpuset_mems=host.cpuset_mems,
        pids_limit=host.pids_limit,
        blkio_weight=host.blkio_weight,
        blkio_weight_devices=rates(host.blkio_weight_device, "weight"),
        blkio_read_bps=rates(host.blkio_device_read_bps, "rate"),
        blkio_write_bps=rates(host.blkio_device_write_bps, "rate"),
        blkio_read_iops=rates(host.blkio_device_read_iops, "rate"),
        blkio_write_iops=rates(host.blkio_device_write_iops, "rate"),
        swap_accounting=swap_accounting,
    )


def init_binary(ctx: Context) -> str:
    """The static init for ``--init``. Raises ``Unavailable`` naming the package."""
    if ctx.settings.init_path:
        return ctx.settings.init_path
    for name in INIT_BINARIES:
        found = shutil.which(name)
        if found:
            return os.path.realpath(found)
    raise Unavailable("--init needs an init program on this host: apt-get install tini")
