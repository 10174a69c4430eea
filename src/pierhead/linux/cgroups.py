"""Control groups: which layout this host has, making it usable, reading statistics.

Three layouts exist: ``v2`` (one unified tree), ``v1`` (a tree a controller) and
``hybrid`` (v1 controllers plus an empty cgroup2 at ``unified``). crun refuses the latter
two while a controller that the kernel offers is mounted nowhere, so ``prepare`` mounts
those (hugetlb, net_cls, ...). A container's group is ``/pierhead/<id>``, or
``<cgroup parent>/<id>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Layout:
    version: Literal["v1", "v2", "hybrid"]
    controllers: tuple[
        str, ...
    ]  # the usable ones, as /proc/cgroups or cgroup.controllers name them
    paths: dict[str, Path]  # controller → its hierarchy; v2: every one → the root

    @property
    def api_version(self) -> str:
        """ "1" or "2", as GET /info's CgroupVersion."""
        return "2" if self.version == "v2" else "1"


def detect() -> Layout:
    raise NotImplementedError


def prepare() -> tuple[Layout, list[str]]:
    """Make the layout usable for crun; returns it and warnings for the log. Idempotent.

    v1 and hybrid: mounts the controllers no hierarchy carries. v2: enables controllers for
    children of the root where allowed.
    """
    raise NotImplementedError


def container_path(container_id: str, parent: str = "") -> str:
    """The ``cgroupsPath`` of the runtime spec."""
    return f"{'/' + parent.strip('/') if parent.strip('/') else '/pierhead'}/{container_id}"


def read_stats(layout: Layout, cgroup: str) -> dict[str, Any]:
    """``cpu_stats`` (without system_cpu_usage), ``memory_stats``, ``pids_stats``, ``blkio_stats``.

    Shapes are those of GET /containers/{id}/stats, per layout as Docker gives them. A group
    that has gone gives empty objects.
    """
    raise NotImplementedError


def system_cpu_usage_ns() -> int:
    """CPU time of the whole host since boot, ns, as in ``system_cpu_usage``."""
    raise NotImplementedError


def oom_killed(layout: Layout, cgroup: str) -> bool:
    """Whether the kernel has killed something in the group for want of memory."""
    raise NotImplementedError


def pids(layout: Layout, cgroup: str) -> list[int]:
    """The processes in the group and below it, host's view."""
    raise NotImplementedError


def remove(layout: Layout, cgroup: str) -> None:
    """Kill what is left in the group and remove it, for containers whose crun state is lost."""
    raise NotImplementedError
