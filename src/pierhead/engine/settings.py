"""What the operator decided, as the engine sees it.

``daemon/options.py`` fills this from flags and daemon.json (names there are dockerd's).
The object is shared and mutable: a reload (SIGHUP) changes the fields marked so in
place, everything else stays as it was at start. Read it when you need it; keep no copy.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.engine.config import Ulimit
from pierhead.store.paths import DEFAULT_DATA_ROOT, DEFAULT_EXEC_ROOT


@dataclass(slots=True)
class Settings:
    """One daemon's settings. Sizes are bytes."""

    data_root: Path = DEFAULT_DATA_ROOT
    exec_root: Path = DEFAULT_EXEC_ROOT
    name: str = field(default_factory=socket.gethostname)
    daemon_id: str = field(default_factory=lambda: secrets.token_hex(16))
    labels: list[str] = field(default_factory=list)  # reloadable; "key=value"
    debug: bool = False  # reloadable
    experimental: bool = False
    hosts: list[str] = field(default_factory=list)  # where we listen, as given

    # containers
    default_runtime: str = "crun"
    runtimes: dict[str, str] = field(default_factory=lambda: {"crun": "crun"})  # name → binary
    conmon: str = "conmon"
    default_ulimits: dict[str, Ulimit] = field(default_factory=dict)
    default_shm_size: int = 64 * 1024 * 1024  # reloadable
    default_ipc_mode: str = "private"
    default_cgroupns_mode: str = ""  # "" means private on cgroup v2, host on v1
    cgroup_parent: str = ""
    init: bool = False
    init_path: str = ""
    log_driver: str = "json-file"
    log_opts: dict[str, str] = field(default_factory=dict)
    no_new_privileges: bool = False
    seccomp_profile: str = ""  # "" built in, "unconfined", or a path
    shutdown_timeout_s: int = 15  # reloadable

    # images and snapshots
    storage_driver: str = ""
    """As asked for, "" for the best; once the stores are open the one in use."""
    storage_status: list[list[str]] = field(default_factory=list)
    """What the driver tells about itself in ``info``: pairs of name and value."""
    storage_opts: list[str] = field(default_factory=list)
    insecure_registries: list[str] = field(default_factory=list)  # reloadable
    registry_mirrors: list[str] = field(default_factory=list)  # of Docker Hub; reloadable
    registry_mirrors_for: dict[str, list[str]] = field(default_factory=dict)
    """Registry (``host[:port]``) to the URLs of its mirrors; reloadable."""
    max_concurrent_downloads: int = 3  # reloadable
    max_concurrent_uploads: int = 5  # reloadable
    max_download_attempts: int = 5  # reloadable

    # networks
    bridge: str = "pier0"
    bip: str = ""  # address and prefix of the default bridge, "" picks from the pools
    fixed_cidr: str = ""
    default_gateway: str = ""
    default_address_pools: list[tuple[str, int]] = field(default_factory=list)  # (base, size)
    default_bind_address: str = "0.0.0.0"  # `--ip`
    icc: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    firewall: bool = True  # dockerd's `--iptables`
    userland_proxy: bool = False
    mtu: int = 1500
    dns: list[str] = field(default_factory=list)
    dns_options: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    host_gateway_ips: list[str] = field(default_factory=list)

    # builds
    build_cache_bounded: bool = True
    build_cache_bytes: int = 0
    """What the build cache may take; 0: a tenth of the disk."""
