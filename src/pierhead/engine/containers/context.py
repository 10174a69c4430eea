"""What the verbs of this room work on: the stores, the neighbours and the settings.

Built once by ``daemon/app.py`` through ``ContainerService``; no globals.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pierhead.engine.containers.execs import ExecRegistry
    from pierhead.engine.containers.registry import Registry
    from pierhead.engine.events import EventBus
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.networks.service import NetworkService
    from pierhead.engine.volumes.service import VolumeService
    from pierhead.runtime.conmon import Conmon
    from pierhead.runtime.crun import Runtime
    from pierhead.store.database import Database
    from pierhead.store.paths import Paths
    from pierhead.store.snapshots import Snapshotter

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """Daemon-wide defaults for containers (daemon.json keys of the same meaning)."""

    log_driver: str = "json-file"
    log_opts: dict[str, str] = field(default_factory=dict)
    shm_size_bytes: int = 64 * MIB
    ulimits: dict[str, tuple[int, int]] = field(default_factory=dict)  # name → (soft, hard)
    init: bool = False
    init_path: str = ""  # "" finds docker-init, tini-static, tini or catatonit on the PATH
    cgroup_parent: str = ""  # "" is the daemon's own /pierhead
    cgroupns_mode: str = ""  # "" is private on cgroup v2 and host on v1, as in Docker
    ipc_mode: str = "private"
    no_new_privileges: bool = False
    seccomp_profile: str = ""  # "" default, "unconfined", or a path to a profile
    stop_timeout_s: int = 10
    runtime: str = "crun"  # the name reported for "" in HostConfig.Runtime
    runtimes: tuple[str, ...] = ("crun", "runc", "io.containerd.runc.v2")


@dataclass(slots=True)
class Context:
    """Everything a verb may need."""

    paths: Paths
    db: Database
    images: ImageService
    snapshots: Snapshotter
    networks: NetworkService
    volumes: VolumeService
    runtime: Runtime
    conmon: Conmon
    events: EventBus
    settings: ContainerSettings
    registry: Registry
    execs: ExecRegistry
