"""What a user asks of a container: the Engine API's configuration objects, typed.

The structs carry the API's field names (Engine API 1.56, definitions ContainerConfig,
HostConfig, EndpointSettings, Mount, ...) and serve as well as the stored record: a
container's configuration is kept exactly as it was understood. Durations are
nanoseconds, sizes bytes, as in the API. ``None`` in a list or map means "not given",
which Docker distinguishes from empty in places and encodes as ``null``.

Decoding is lenient in Go's way (``null`` is the zero value, names in any case); that is
the edge's business, see ``api/codec.py``. Validation of values is in ``engine/validate``
modules of each room.
"""

from __future__ import annotations

from typing import Any

import msgspec

_SPECIAL = {
    "ip": "IP",
    "id": "ID",
    "ids": "IDs",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "uts": "UTS",
    "io": "IO",
    "ios": "IOs",
    "iops": "IOps",
    "ipam": "IPAM",
    "rw": "RW",
    "oomkilled": "OOMKilled",
    "dnsnames": "DNSNames",
}

_WHOLE = {
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "ipv6_gateway": "IPv6Gateway",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "link_local_ips": "LinkLocalIPs",
    "container_id_file": "ContainerIDFile",
    "on_build": "OnBuild",
    "dns_names": "DNSNames",
    "host_ip": "HostIp",
    "gw_priority": "GwPriority",
}


def api_name(field: str) -> str:
    """``working_dir`` → ``WorkingDir``, with the API's own capitals for acronyms."""
    if field in _WHOLE:
        return _WHOLE[field]
    return "".join(_SPECIAL.get(word, word.capitalize()) for word in field.split("_"))


class ApiStruct(msgspec.Struct, rename=api_name, kw_only=True):
    """Base of structs with the API's names."""


class HealthConfig(ApiStruct, omit_defaults=True):
    test: list[str] | None = None  # [] inherit, ["NONE"], ["CMD", ...], ["CMD-SHELL", "..."]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(ApiStruct):
    """Portable between hosts; what an image's config also carries."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    network_disabled: bool = False
    mac_address: str = ""  # until API 1.44
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None


class PortBinding(ApiStruct):
    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(ApiStruct):
    name: str = ""  # "", "no", "always", "unless-stopped", "on-failure"
    maximum_retry_count: int = 0


class LogConfig(ApiStruct):
    type: str = ""
    config: dict[str, str] | None = None


class DeviceMapping(ApiStruct):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(ApiStruct):
    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = msgspec.field(default=None, name="DeviceIDs")
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class WeightDevice(ApiStruct):
    path: str = ""
    weight: int = 0


class ThrottleDevice(ApiStruct):
    path: str = ""
    rate: int = 0


class Ulimit(ApiStruct):
    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(ApiStruct, omit_defaults=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class DriverConfig(ApiStruct, omit_defaults=True):
    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(ApiStruct, omit_defaults=True):
    no_copy: bool = False
    labels: dict[str, str] | None = None
    driver_config: DriverConfig | None = None
    subpath: str = ""


class ImageOptions(ApiStruct, omit_defaults=True):
    subpath: str = ""


class TmpfsOptions(ApiStruct, omit_defaults=True):
    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(ApiStruct, omit_defaults=True):
    """A ``--mount``."""

    type: str = ""  # bind, volume, tmpfs, image, npipe, cluster
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class HostConfig(ApiStruct):
    """Depends on the host; what ``docker run`` flags beyond the image set."""

    binds: list[str] | None = None
    container_id_file: str = ""
    log_config: LogConfig = msgspec.field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: list[int] | None = None  # [height, width]
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = None
    blkio_device_write_iops: list[ThrottleDevice] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    init: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0
    mounts: list[Mount] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None


class EndpointIPAMConfig(ApiStruct, omit_defaults=True):
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] | None = None


class EndpointSettings(ApiStruct):
    """A container's place in one network: what was asked, and what it was given."""

    ipam_config: EndpointIPAMConfig | None = msgspec.field(default=None, name="IPAMConfig")
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = None


class NetworkingConfig(ApiStruct):
    endpoints_config: dict[str, EndpointSettings] | None = None


class MountPoint(ApiStruct):
    """A mount of a container as inspect and list show it."""

    type: str
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
