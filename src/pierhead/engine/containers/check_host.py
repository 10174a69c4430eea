"""Is a container's host configuration possible? Docker's rules, words and warnings (pure).

Mounts and volumes are checked by the volume room, networks and ports by the network room;
here are the modes, options that exclude each other, and limits.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from pierhead.engine.config import ContainerConfig, HostConfig, RestartPolicy
from pierhead.engine.containers.check_config import check_port
from pierhead.engine.containers.check_resources import HostFacts, check_resources
from pierhead.errors import InvalidParameter
from pierhead.oci.capabilities import normalize

_DEVICE_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")

RLIMITS: Final = frozenset(
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack as".split()
)


def check_host_config(
    host: HostConfig,
    config: ContainerConfig | None,
    facts: HostFacts,
    *,
    runtimes: Collection[str],
    update: bool = False,
) -> list[str]:
    """Raise ``InvalidParameter`` naming the field; return warnings; normalises in place."""
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    check_restart_policy(host.restart_policy)
    if config is not None:
        _network_mode(host, config)
    for entry in host.extra_hosts or ():
        _extra_host(entry)
    _ports(host)
    if host.cap_add:
        host.cap_add = normalize(host.cap_add, field="CapAdd")
    if host.cap_drop:
        host.cap_drop = normalize(host.cap_drop, field="CapDrop")
    if host.isolation.lower() not in ("", "default"):
        raise InvalidParameter(
            f"invalid isolation ({host.isolation}): linux only supports 'default'"
        )
    if "" in (host.annotations or {}):
        raise InvalidParameter(
            "invalid Annotations: the empty string is not permitted as an annotation key"
        )
    warnings = check_resources(host, facts, update=update)
    _modes(host)
    _devices(host)
    for ulimit in host.ulimits or ():
        if ulimit.name not in RLIMITS:
            raise InvalidParameter(f"invalid ulimit type: {ulimit.name}")
        if ulimit.hard != -1 and (ulimit.soft == -1 or ulimit.soft > ulimit.hard):
            raise InvalidParameter(
                f"ulimit soft limit must be less than or equal to hard limit: "
                f"{ulimit.soft} > {ulimit.hard}"
            )
    if host.network_mode == "host" and host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    if host.network_mode in ("", "default", "bridge") and host.links:
        warnings.append(
            "Links on the default bridge network are deprecated and will be removed in a future "
            "release. Use a custom network instead."
        )
    if host.runtime and host.runtime not in runtimes:
        raise InvalidParameter(f"unknown or invalid runtime name: {host.runtime}")
    for option in host.security_opt or ():
        _security_option(option)
    for path in host.tmpfs or ():
        if not path.startswith("/"):
            raise InvalidParameter(f"invalid mount path: '{path}' mount path must be absolute")
        if path.rstrip("/") == "":
            raise InvalidParameter("invalid specification: destination can't be '/'")
    for key in host.storage_opt or ():
        raise InvalidParameter(
            f"--storage-opt is not supported by this storage driver: {key} can't be set"
        )
    return warnings


def check_restart_policy(policy: RestartPolicy) -> None:
    """API RestartPolicy: a count only with on-failure."""
    if policy.name in ("always", "unless-stopped", "no"):
        if policy.maximum_retry_count != 0:
            text = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
            if policy.maximum_retry_count < 0:
                text += " and cannot be negative"
            raise InvalidParameter(text)
    elif policy.name == "on-failure":
        if policy.maximum_retry_count < 0:
            raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")
    elif policy.name:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', "
            "'on-failure', or 'unless-stopped'"
        )


def _network_mode(host: HostConfig, config: ContainerConfig) -> None:
    mode = host.network_mode
    if mode == "container" or mode.startswith("container:"):
        if not mode.partition(":")[2]:
            raise InvalidParameter(
                "invalid network mode: invalid container format container:<name|id>"
            )
        if config.hostname:
            raise InvalidParameter("conflicting options: hostname and the network mode")
        if host.links:
            raise InvalidParameter(
                "conflicting options: container type network can't be used with links. "
                "This would result in undefined behavior"
            )
        if host.dns:
            raise InvalidParameter("conflicting options: dns and the network mode")
        if host.extra_hosts:
            raise InvalidParameter(
                "conflicting options: custom host-to-IP mapping and the network mode"
            )
        if host.port_bindings or host.publish_all_ports:
            raise InvalidParameter(
                "conflicting options: port publishing and the container type network mode"
            )
        if config.exposed_ports:
            raise InvalidParameter(
                "conflicting options: port exposing and the container type network mode"
            )
    if host.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if mode == "host" and host.links:
        raise InvalidParameter(
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior"
        )


def _extra_host(entry: str) -> None:
    separator = "=" if "=" in entry else ":"
    name, found, address = entry.partition(separator)
    if not found or not name:
        raise InvalidParameter(f"bad format for add-host: {entry!r}".replace("'", '"'))
    if address == "host-gateway":
        return
    try:
        ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from None


def _ports(host: HostConfig) -> None:
    for port, bindings in (host.port_bindings or {}).items():
        check_port(port)
        for binding in bindings or ():
            text = binding.host_port
            first, dash, last = text.partition("-")
            if text and not all(
                e.isascii() and e.isdigit() and int(e) < 65536
                for e in ([first, last] if dash else [first])
            ):
                raise InvalidParameter(f"invalid port '{text}': invalid syntax")
            if binding.host_ip:
                try:
                    ipaddress.ip_address(binding.host_ip)
                except ValueError:
                    raise InvalidParameter(
                        f'invalid IP address in HostIp: "{binding.host_ip}"'
                    ) from None


def _mode_of(value: str, words: tuple[str, ...], *, container: bool) -> bool:
    if value in words:
        return True
    return container and value.startswith("container:") and len(value) > len("container:")


def _modes(host: HostConfig) -> None:
    if not _mode_of(host.ipc_mode, ("", "none", "private", "host", "shareable"), container=True):
        raise InvalidParameter(f"invalid IPC mode: {host.ipc_mode}")
    if not _mode_of(host.pid_mode, ("", "host"), container=True):
        raise InvalidParameter(f"invalid PID mode: {host.pid_mode}")
    if host.uts_mode not in ("", "host"):
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")
    if host.cgroupns_mode not in ("", "private", "host"):
        raise InvalidParameter(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if host.userns_mode not in ("", "host"):
        raise InvalidParameter(f"invalid USER mode: {host.userns_mode}")
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidParameter(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]"
        )
    size = host.console_size
    if size is not None and (len(size) != 2 or any(not 0 <= n < 65536 for n in size)):
        raise InvalidParameter("invalid ConsoleSize: expected [height, width]")


def _devices(host: HostConfig) -> None:
    for rule in host.device_cgroup_rules or ():
        if not _DEVICE_RULE.fullmatch(rule):
            raise InvalidParameter(f"invalid device cgroup rule format: '{rule}'")
    for device in host.devices or ():
        if not device.path_on_host:
            raise InvalidParameter("invalid Devices: PathOnHost is empty")
        if device.cgroup_permissions and set(device.cgroup_permissions) - set("rwm"):
            raise InvalidParameter(
                f"invalid device mode: {device.cgroup_permissions}, use letters of rwm"
            )
    if host.device_requests:
        request = host.device_requests[0]
        raise InvalidParameter(
            f'could not select device driver "{request.driver}" with capabilities: '
            f"[{' '.join('[' + ' '.join(names) + ']' for names in request.capabilities or ())}]"
        )


def _security_option(option: str) -> None:
    if option == "no-new-privileges":
        return
    name, separator, value = option.partition("=")
    if not separator:
        name, separator, value = option.partition(":")
    if not separator:
        raise InvalidParameter(f'invalid --security-opt 1: "{option}"')
    if name == "no-new-privileges":
        if value.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    elif name not in ("label", "apparmor", "seccomp", "writable-cgroups", "systempaths"):
        raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
