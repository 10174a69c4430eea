"""The daemon about itself: ``/version``, ``/info`` and ``/system/df``, in the newest shape.

What can't change while pierd runs is found out once; counts are taken at the call.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pierhead import __version__
from pierhead.engine.filters import Filters

if TYPE_CHECKING:
    from pierhead.engine.containers.service import ContainerService
    from pierhead.engine.events import EventBus
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.networks.service import NetworkService
    from pierhead.engine.settings import Settings
    from pierhead.engine.volumes.service import VolumeService
    from pierhead.linux.cgroups import Layout

GO_ARCH: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "riscv64": "riscv64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}
LOG_DRIVERS: Final = ["json-file", "local", "none"]
NETWORK_DRIVERS: Final = ["bridge", "host", "null"]


class SystemService:
    """Answers about the daemon as a whole."""

    def __init__(
        self,
        *,
        settings: Settings,
        layout: Layout,
        containers: ContainerService,
        images: ImageService,
        networks: NetworkService,
        volumes: VolumeService,
        events: EventBus,
        api_version: str,
        min_api_version: str,
        components: dict[str, str],
        tls: Callable[[str], tuple[bool, bool]] = lambda host: (False, False),
    ) -> None:
        """``components``: versions of crun, conmon, ... by name; ``tls(host)``: (on, verified)."""
        self._settings = settings
        self._layout = layout
        self._containers = containers
        self._images = images
        self._networks = networks
        self._volumes = volumes
        self._events = events
        self._api_version = api_version
        self._min_api_version = min_api_version
        self._components = components
        self._tls = tls
        self._os_release = _os_release()

    def version(self) -> dict[str, Any]:
        """``GET /version``; ``GoVersion`` says which Python runs, the field must be there."""
        kernel = os.uname().release
        python = f"python{platform.python_version()}"
        built = time.strftime("%Y-%m-%dT%H:%M:%S.000000000+00:00", time.gmtime(_build_time()))
        engine = {
            "ApiVersion": self._api_version,
            "Arch": arch(),
            "BuildTime": built,
            "Experimental": "true" if self._settings.experimental else "false",
            "GitCommit": "unknown",
            "GoVersion": python,
            "KernelVersion": kernel,
            "MinAPIVersion": self._min_api_version,
            "Os": "linux",
        }
        parts = [{"Name": "Engine", "Version": __version__, "Details": engine}]
        parts += [
            {"Name": name, "Version": version, "Details": {"GitCommit": ""}}
            for name, version in self._components.items()
        ]
        return {
            "Platform": {"Name": "Pierhead"},
            "Version": __version__,
            "ApiVersion": self._api_version,
            "MinAPIVersion": self._min_api_version,
            "Os": "linux",
            "Arch": arch(),
            "Components": parts,
            "GitCommit": "unknown",
            "GoVersion": python,
            "KernelVersion": kernel,
            "BuildTime": built,
            **({"Experimental": True} if self._settings.experimental else {}),
        }

    def info(self) -> dict[str, Any]:
        """``GET /info``. To be called in the event loop, whose tasks it counts."""
        settings = self._settings
        counts = {"running": 0, "paused": 0, "stopped": 0}
        for container in self._containers.all():
            phase = str(container.status.phase)
            counts[phase if phase in ("running", "paused") else "stopped"] += 1
        memory, swap = self._has("memory"), self._has_swap_limit()
        cpu = self._has("cpu")
        version = self._layout.api_version
        crun = self._components.get("crun", "")
        return {
            "ID": settings.daemon_id,
            "Containers": sum(counts.values()),
            "ContainersRunning": counts["running"],
            "ContainersPaused": counts["paused"],
            "ContainersStopped": counts["stopped"],
            "Images": len(self._images),
            "Driver": settings.storage_driver,
            "DriverStatus": [
                ["Backing Filesystem", _filesystem(settings.data_root)],
                *settings.storage_status,
            ],
            "Plugins": {
                "Volume": ["local"],
                "Network": NETWORK_DRIVERS,
                "Authorization": None,
                "Log": LOG_DRIVERS,
            },
            "MemoryLimit": memory,
            "SwapLimit": swap,
            "CpuCfsPeriod": cpu,
            "CpuCfsQuota": cpu,
            "CPUShares": cpu,
            "CPUSet": self._has("cpuset"),
            "PidsLimit": self._has("pids"),
            "OomKillDisable": memory and version == "1",
            "IPv4Forwarding": _ip_forwarding(),
            "Debug": settings.debug,
            "NFd": len(os.listdir("/proc/self/fd")),
            "NGoroutines": len(asyncio.all_tasks()),
            "SystemTime": _now_rfc3339(),
            "LoggingDriver": settings.log_driver,
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": version,
            "NEventsListener": self._events.listeners,
            "KernelVersion": os.uname().release,
            "OperatingSystem": self._os_release.get("PRETTY_NAME", "Linux"),
            "OSVersion": self._os_release.get("VERSION_ID", ""),
            "OSType": "linux",
            "Architecture": os.uname().machine,
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": self._registry_config(),
            "NCPU": len(os.sched_getaffinity(0)),
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "GenericResources": None,
            "DockerRootDir": str(settings.data_root),
            "HttpProxy": os.environ.get("HTTP_PROXY", os.environ.get("http_proxy", "")),
            "HttpsProxy": os.environ.get("HTTPS_PROXY", os.environ.get("https_proxy", "")),
            "NoProxy": os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")),
            "Name": settings.name,
            "Labels": list(settings.labels),
            "ExperimentalBuild": settings.experimental,
            "ServerVersion": __version__,
            "Runtimes": {
                name: {"path": path, "status": {}} for name, path in settings.runtimes.items()
            },
            "DefaultRuntime": settings.default_runtime,
            "Swarm": {
                "NodeID": "",
                "NodeAddr": "",
                "LocalNodeState": "inactive",
                "ControlAvailable": False,
                "Error": "",
                "RemoteManagers": None,
            },
            # Containers always outlive pierd, so this isn't an option here.
            "LiveRestoreEnabled": True,
            "Isolation": "",
            "InitBinary": settings.init_path or _init_binary(),
            "ContainerdCommit": {"ID": ""},
            "RuncCommit": {"ID": crun},
            "InitCommit": {"ID": ""},
            "SecurityOptions": self._security_options(),
            **(
                {
                    "DefaultAddressPools": [
                        {"Base": base, "Size": size}
                        for base, size in settings.default_address_pools
                    ]
                }
                if settings.default_address_pools
                else {}
            ),
            "FirewallBackend": {"Driver": "nftables" if settings.firewall else "none"},
            "CDISpecDirs": [],
            "Warnings": self._warnings(memory, swap, cpu),
        }

    async def disk_usage(self, kinds: set[str]) -> dict[str, dict[str, Any]]:
        """Usage by kind (``container image volume``), each with its ``Items``."""
        result: dict[str, dict[str, Any]] = {}
        if "container" in kinds:
            listed = await self._containers.list_json(
                all=True, limit=0, size=True, filters=Filters()
            )
            items = msgspec.json.decode(listed)
            result["container"] = _usage(
                items,
                size=lambda item: int(item.get("SizeRw") or 0),
                active=lambda item: item.get("State") in ("running", "paused", "restarting"),
            )
        if "image" in kinds:
            usage = self._images.disk_usage()
            images = usage.get("Images") or []
            result["image"] = {
                "ActiveCount": sum(1 for item in images if int(item.get("Containers") or 0) > 0),
                "TotalCount": len(images),
                "Reclaimable": int(usage.get("Reclaimable") or 0),
                "TotalSize": int(usage.get("LayersSize") or 0),
                "Items": images,
            }
        if "volume" in kinds:
            result["volume"] = _usage(
                await self._volumes.usage(),
                size=lambda item: max(int((item.get("UsageData") or {}).get("Size") or 0), 0),
                active=lambda item: int((item.get("UsageData") or {}).get("RefCount") or 0) > 0,
            )
        return result

    # -- parts of info -------------------------------------------------------------------
    def _has(self, controller: str) -> bool:
        return controller in self._layout.controllers

    def _has_swap_limit(self) -> bool:
        if not self._has("memory"):
            return False
        root = self._layout.paths.get("memory")
        if self._layout.version == "v2" or root is None:
            return Path("/proc/swaps").exists()
        return (root / "memory.memsw.limit_in_bytes").exists()

    def _security_options(self) -> list[str]:
        profile = self._settings.seccomp_profile or "builtin"
        options = [] if profile == "unconfined" else [f"name=seccomp,profile={profile}"]
        if self._settings.default_cgroupns_mode == "private" or (
            not self._settings.default_cgroupns_mode and self._layout.version == "v2"
        ):
            options.append("name=cgroupns")
        if self._settings.no_new_privileges:
            options.append("name=no-new-privileges")
        return options

    def _registry_config(self) -> dict[str, Any]:
        settings = self._settings
        indexes: dict[str, Any] = {
            "docker.io": {
                "Name": "docker.io",
                "Mirrors": list(settings.registry_mirrors),
                "Secure": True,
                "Official": True,
            }
        }
        networks = ["::1/128", "127.0.0.0/8"]
        for registry in settings.insecure_registries:
            if "/" in registry:
                networks.append(registry)
            else:
                indexes[registry] = {
                    "Name": registry,
                    "Mirrors": [],
                    "Secure": False,
                    "Official": False,
                }
        for registry, mirrors in settings.registry_mirrors_for.items():
            index = indexes.setdefault(
                registry, {"Name": registry, "Mirrors": [], "Secure": True, "Official": False}
            )
            index["Mirrors"] = [*index["Mirrors"], *mirrors]
        return {
            "InsecureRegistryCIDRs": networks,
            "IndexConfigs": indexes,
            "Mirrors": list(settings.registry_mirrors),
        }

    def _warnings(self, memory: bool, swap: bool, cpu: bool) -> list[str] | None:
        warnings = []
        for host in self._settings.hosts:
            if not host.startswith("tcp://"):
                continue
            on, verified = self._tls(host)
            address = host.removeprefix("tcp://")
            what = "without TLS client verification" if on else "without encryption"
            scheme = "https" if on else "http"
            if not verified:
                warnings.append(
                    f"WARNING: API is accessible on {scheme}://{address} {what}.\n"
                    "         Access to the remote API is equivalent to root access on the host."
                )
        if not memory:
            warnings.append("WARNING: No memory limit support")
        if not swap:
            warnings.append("WARNING: No swap limit support")
        if not cpu:
            warnings += ["WARNING: No cpu cfs quota support", "WARNING: No cpu shares support"]
        if not self._has("cpuset"):
            warnings.append("WARNING: No cpuset support")
        if not _ip_forwarding():
            warnings.append("WARNING: IPv4 forwarding is disabled")
        return warnings or None


def arch() -> str:
    """The machine as Go names it: amd64, arm64, ..."""
    machine = os.uname().machine
    return GO_ARCH.get(machine, machine)


def _usage(
    items: list[dict[str, Any]],
    *,
    size: Callable[[dict[str, Any]], int],
    active: Callable[[dict[str, Any]], bool],
) -> dict[str, Any]:
    return {
        "ActiveCount": sum(1 for item in items if active(item)),
        "TotalCount": len(items),
        "Reclaimable": sum(size(item) for item in items if not active(item)),
        "TotalSize": sum(size(item) for item in items),
        "Items": items,
    }


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _ip_forwarding() -> bool:
    try:
        return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() != "0"
    except OSError:
        return False


def _filesystem(path: Path) -> str:
    """The type of the file system that holds ``path``, in Docker's words (``extfs``, ``xfs``)."""
    best, kind = "", "<unknown>"
    try:
        mounts = Path("/proc/self/mounts").read_text()
    except OSError:
        return kind
    for line in mounts.splitlines():
        fields = line.split(" ")
        target = fields[1].rstrip("/")
        if (f"{path}/".startswith(f"{target}/")) and len(target) >= len(best):
            best, kind = target, fields[2]
    return "extfs" if kind.startswith("ext") else kind


def _init_binary() -> str:
    for name in ("docker-init", "tini-static", "tini", "catatonit"):
        if shutil.which(name):
            return name
    return "docker-init"


def _build_time() -> float:
    """When this installation was written: the nearest thing to a build that Python has."""
    return Path(__file__).stat().st_mtime


def _now_rfc3339() -> str:
    now = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    return f"{seconds}.{now % 1_000_000_000:09d}Z"
