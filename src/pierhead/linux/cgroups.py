"""Control groups: which layout this host has, making it usable, what runs in a group.

Three layouts exist: ``v2`` (one unified tree), ``v1`` (a tree a controller) and
``hybrid`` (v1 controllers plus an empty cgroup2 at ``unified``). crun refuses the latter
while the unified tree still has controllers, so ``prepare`` gives those that no
hierarchy carries (hugetlb, net_cls, ...) a v1 mount. A container's group is
``/pierhead/<id>``, or ``<cgroup parent>/<id>``. Statistics are in ``cgroup_stats``.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pierhead.errors import Unavailable
from pierhead.linux import mounts
from pierhead.linux import syscalls as sc

ROOT: Final = Path("/sys/fs/cgroup")
DEFAULT_PARENT: Final = "/pierhead"
_V2_WANTED: Final[tuple[str, ...]] = (
    "cpuset",
    "cpu",
    "io",
    "memory",
    "hugetlb",
    "pids",
    "rdma",
    "misc",
)


@dataclass(frozen=True, slots=True)
class Layout:
    version: Literal["v1", "v2", "hybrid"]
    controllers: tuple[str, ...]  # usable ones, as /proc/cgroups or cgroup.controllers name them
    paths: dict[str, Path]  # controller → its hierarchy; v2: every one → the root

    @property
    def api_version(self) -> str:
        """ "1" or "2", as GET /info's CgroupVersion."""
        return "2" if self.version == "v2" else "1"

    def hierarchies(self) -> list[Path]:
        """Every tree once."""
        if self.version == "v2":
            return [ROOT]
        trees = list(dict.fromkeys(self.paths.values()))
        if self.version == "hybrid":
            trees.append(ROOT / "unified")  # has no controllers, but crun makes groups there too
        return trees

    def directory(self, controller: str, cgroup: str) -> Path | None:
        """Where the group's files of this controller are; None when it is not mounted."""
        base = ROOT if self.version == "v2" else self.paths.get(controller)
        return None if base is None else base / cgroup.lstrip("/")


def detect() -> Layout:
    """Look at what is mounted. Raises ``Unavailable`` when nothing is."""
    found = [entry for entry in mounts.mountinfo() if _is_below_root(entry.target)]
    root = next((entry for entry in reversed(found) if entry.target == str(ROOT)), None)
    if root is not None and root.fstype == "cgroup2":
        controllers = tuple((ROOT / "cgroup.controllers").read_text().split())
        return Layout("v2", controllers, dict.fromkeys(controllers, ROOT))
    paths: dict[str, Path] = {}
    unified = False
    for entry in found:
        if entry.fstype == "cgroup2":
            unified = True
        elif entry.fstype == "cgroup":
            for option in entry.super_options.split(","):
                name = option.removeprefix("name=") if option.startswith("name=") else option
                if name not in ("rw", "ro", "xattr", "none", "noprefix") and "=" not in name:
                    paths.setdefault(name, Path(entry.target))
    if not paths:
        raise Unavailable(
            "no control groups are mounted at /sys/fs/cgroup: mount cgroup2 there, or start "
            "pierd with the rights to do it"
        )
    usable = tuple(name for name in _v1_controllers() if name in paths)
    return Layout("hybrid" if unified else "v1", usable, paths)


def _is_below_root(target: str) -> bool:
    return target == str(ROOT) or target.startswith(f"{ROOT}/")


def _v1_controllers() -> list[str]:
    """What this kernel offers to v1 (/proc/cgroups: name, hierarchy, groups, enabled)."""
    names = []
    with open("/proc/cgroups", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            if not line.startswith("#") and len(fields) == 4 and fields[3] == "1":
                names.append(fields[0])
    return names


def prepare() -> tuple[Layout, list[str]]:
    """Make the layout usable for crun; returns it and warnings for the log. Idempotent.

    v1 and hybrid: mounts the controllers no hierarchy carries. v2: enables controllers for
    children of the root and of ``/pierhead``, where allowed. Nothing mounted: mounts cgroup2.
    """
    warnings: list[str] = []
    try:
        layout = detect()
    except Unavailable:
        try:
            sc.mount("cgroup2", ROOT, "cgroup2", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
        except OSError as error:
            raise Unavailable(
                f"no control groups are mounted and cgroup2 can't be: {error.strerror}"
            ) from error
        layout = detect()
    if layout.version == "v2":
        warnings += _prepare_v2()
    else:
        for name in _v1_controllers():
            if name not in layout.paths and (problem := _mount_v1(name)):
                warnings.append(problem)
    return detect(), warnings


def _mount_v1(name: str) -> str:
    target = ROOT / name
    try:
        target.mkdir(mode=0o755, exist_ok=True)
        sc.mount("cgroup", target, "cgroup", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC, name)
    except OSError as error:
        with suppress(OSError):
            target.rmdir()
        return f"the cgroup controller {name} can't be mounted: {error.strerror}"
    return ""


def _prepare_v2() -> list[str]:
    available = (ROOT / "cgroup.controllers").read_text().split()
    wanted = [name for name in _V2_WANTED if name in available]
    warnings = []
    if problem := _enable(ROOT, wanted):
        warnings.append(problem)
    parent = ROOT / DEFAULT_PARENT.lstrip("/")
    try:
        parent.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        return [*warnings, f"{parent} can't be made: {error.strerror}"]
    granted = (parent / "cgroup.controllers").read_text().split()
    if problem := _enable(parent, [name for name in wanted if name in granted]):
        warnings.append(problem)
    return warnings


def _enable(directory: Path, wanted: list[str]) -> str:
    enabled = (directory / "cgroup.subtree_control").read_text().split()
    missing = [name for name in wanted if name not in enabled]
    for name in missing:
        try:
            (directory / "cgroup.subtree_control").write_text(f"+{name}")
        except OSError as error:
            if error.errno != errno.EBUSY or directory != ROOT:
                return f"the cgroup controller {name} can't be enabled: {error.strerror}"
            # In a container's own cgroup namespace the "root" is a group with processes, and
            # one with processes gives no controllers to children: make room, as dind does
            _empty_root()
            try:
                (directory / "cgroup.subtree_control").write_text(f"+{name}")
            except OSError as again:
                return f"the cgroup controller {name} can't be enabled: {again.strerror}"
    return ""


def _empty_root() -> None:
    room = ROOT / "init"
    room.mkdir(exist_ok=True)
    for pid in (ROOT / "cgroup.procs").read_text().split():
        with suppress(OSError):
            (room / "cgroup.procs").write_text(pid)


def container_path(container_id: str, parent: str = "") -> str:
    """The ``cgroupsPath`` of the runtime spec. ``parent``: the API's CgroupParent."""
    parent = parent.strip("/")
    return f"/{parent}/{container_id}" if parent else f"{DEFAULT_PARENT}/{container_id}"


def oom_killed(layout: Layout, cgroup: str) -> bool:
    """Whether the kernel has killed something in the group for want of memory."""
    directory = layout.directory("memory", cgroup)
    if directory is None:
        return False
    name = "memory.events" if layout.version == "v2" else "memory.oom_control"
    try:
        with open(directory / name, encoding="ascii") as file:
            for line in file:
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value) > 0
    except (OSError, ValueError):
        pass
    return False


def pids(layout: Layout, cgroup: str) -> list[int]:
    """The processes in the group and below it, host's view, ascending."""
    for controller in ("pids", "memory", "cpu", "systemd", *layout.paths):
        directory = layout.directory(controller, cgroup)
        if directory is not None and directory.is_dir():
            break
    else:
        return []
    found: set[int] = set()
    for folder, _, _ in os.walk(directory):
        with suppress(OSError), open(os.path.join(folder, "cgroup.procs"), "rb") as file:
            found.update(map(int, file.read().split()))
    return sorted(found)


def lift_pids_limit(layout: Layout, cgroup: str) -> None:
    """Let the group have any number of processes. crun 1.8 can't: it writes ``-1``.

    Raises ``OSError``.
    """
    directory = layout.directory("pids", cgroup)
    if directory is not None:
        (directory / "pids.max").write_text("max")


def lift_cpu_quota(layout: Layout, cgroup: str) -> None:
    """Let the group use any share of the processors; its period stays. As above for crun 1.8.

    Raises ``OSError``.
    """
    directory = layout.directory("cpu", cgroup)
    if directory is None:
        return
    if layout.version == "v2":
        (directory / "cpu.max").write_text("max")
    else:
        (directory / "cpu.cfs_quota_us").write_text("-1")


def remove(layout: Layout, cgroup: str, *, kill: bool = True, timeout_s: float = 2.0) -> bool:
    """Remove the group in every hierarchy; with ``kill`` whatever is left in it dies first.

    For containers that have ended, and for those whose runtime state is lost. False: something
    kept it busy. Blocks no longer than ``timeout_s``, and not at all in the usual case.
    """
    deadline = time.monotonic() + timeout_s
    done = True
    for base in layout.hierarchies():
        top = base / cgroup.lstrip("/")
        while not _remove_tree(top):
            if not kill or time.monotonic() > deadline:
                done = False
                break
            for pid in pids(layout, cgroup):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
    return done


def _remove_tree(top: Path) -> bool:
    try:
        os.rmdir(top)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        pass
    # has children of its own (an init system, docker in docker) or is busy
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
    return not os.path.exists(top)
