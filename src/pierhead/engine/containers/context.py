"""What the verbs of this room work on: the stores, the neighbours and the settings.

Built once by ``ContainerService``; no globals.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pierhead.engine.containers.check_resources import HostFacts
from pierhead.linux import cgroups

if TYPE_CHECKING:
    from pierhead.engine.containers.exec import ExecRegistry
    from pierhead.engine.containers.model import ContainerRecord, ContainerStatus
    from pierhead.engine.containers.registry import Registry
    from pierhead.engine.events import EventBus
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.networks.service import NetworkService
    from pierhead.engine.settings import Settings
    from pierhead.engine.volumes.service import VolumeService
    from pierhead.linux.inotify import Inotify
    from pierhead.linux.seccomp import SeccompCache
    from pierhead.runtime.conmon import Conmon
    from pierhead.runtime.crun import Runtime
    from pierhead.runtime.runtimes import Runtimes
    from pierhead.store.database import Database
    from pierhead.store.paths import Paths
    from pierhead.store.snapshots import Snapshotter


@dataclass
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
    settings: Settings
    seccomp: SeccompCache
    registry: Registry
    execs: ExecRegistry
    runtimes: Runtimes | None = None  # those beside ``runtime``, the default
    stopping: bool = False  # shutdown has begun: start and restart nothing
    inotify: Inotify | None = None

    @cached_property
    def layout(self) -> cgroups.Layout:
        """The host's cgroups; they don't change while we run."""
        return cgroups.detect()

    @cached_property
    def facts(self) -> HostFacts:
        """What limits are possible here."""
        layout = self.layout
        memory = layout.paths.get("memory")
        v2 = layout.version == "v2"
        return HostFacts(
            cpus=os.cpu_count() or 1,
            controllers=frozenset(layout.controllers),
            cpuset_cpus=_text(Path("/sys/devices/system/cpu/online")),
            cpuset_mems=_text(Path("/sys/devices/system/node/online")),
            swap_limit=v2
            or (memory is not None and (memory / "memory.memsw.limit_in_bytes").exists()),
            cgroup_v2=v2,
            cpu_realtime="cpu" in layout.paths
            and (layout.paths["cpu"] / "cpu.rt_runtime_us").exists(),
        )

    def runtime_of(self, status: ContainerStatus) -> Runtime:
        """The runtime that the container was started with. Raises ``Unavailable``."""
        if self.runtimes is None:
            return self.runtime
        return self.runtimes.by_binary(status.runtime_binary)

    def cgroup_of(self, record: ContainerRecord) -> str:
        """The container's cgroup path below the hierarchies."""
        return cgroups.container_path(
            record.id, record.host_config.cgroup_parent or self.settings.cgroup_parent
        )

    def log_path(self, container_id: str) -> Path:
        return self.paths.container(container_id) / "container.log"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
