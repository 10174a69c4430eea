"""The runtime specification (config.json) of a container, with Docker's defaults.

Pure: whatever needs the host (namespace paths, device numbers, users, files to bind) is
looked up by the caller and given in ``SpecInputs``. Runtime spec 1.0.2, moby's
``oci.DefaultSpec`` and ``daemon/oci_linux.go`` for the choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SPEC_VERSION: Final = "1.0.2"
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHM_BYTES: Final = 64 << 20
INIT_PATH_IN_CONTAINER: Final = "/sbin/docker-init"
SECCOMP_BPF_ANNOTATION: Final = "run.oci.seccomp_bpf_data"

NEW: Final = ""
Namespace = str | None
"""``None``: the host's. ``NEW``: one of its own. Else the path of the one to join."""

MASKED_PATHS: Final = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS: Final = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    uid: int = 0
    gid: int = 0
    additional_gids: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device node for the container, and what its cgroup lets it do there."""

    path: str  # in the container
    type: str  # "c" or "b"
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRule:
    """A device cgroup rule; ``None`` numbers stand for all."""

    allow: bool = True
    type: str = "a"  # "a", "b", "c"
    major: int | None = None
    minor: int | None = None
    access: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRate:
    """A blkio limit of one device: ``rate`` is bytes/s, operations/s or a weight."""

    major: int
    minor: int
    rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """HostConfig's limits, as numbers; 0, "" and None mean not given, as in the API."""

    memory: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0  # memory plus swap; -1 unlimited; 0: twice the memory
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    nano_cpus: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids_limit: int | None = None
    blkio_weight: int = 0
    blkio_weight_devices: Sequence[DeviceRate] = ()
    blkio_read_bps: Sequence[DeviceRate] = ()
    blkio_write_bps: Sequence[DeviceRate] = ()
    blkio_read_iops: Sequence[DeviceRate] = ()
    blkio_write_iops: Sequence[DeviceRate] = ()
    swap_accounting: bool = True  # the host can limit swap; else memory_swap is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecInputs:
    """Everything ``build_spec`` needs, host lookups done."""

    # process
    args: Sequence[str]
    env: Sequence[str]  # complete; see ``container_env``
    cwd: str = "/"
    terminal: bool = False
    console_size: tuple[int, int] | None = None  # (height, width)
    user: User = field(default_factory=User)
    capabilities: Sequence[str]  # ``capabilities.effective``
    no_new_privileges: bool = False
    rlimits: Sequence[tuple[str, int, int]] = ()  # ("nofile", soft, hard); -1 unlimited
    oom_score_adj: int | None = None
    init_binary: str | None = None  # --init: host path of a static init (tini-static)

    # what it sees
    rootfs: str = "rootfs"  # relative to the bundle
    readonly_rootfs: bool = False
    hostname: str = ""
    domainname: str = ""
    mounts: Sequence[dict[str, Any]] = ()  # OCI mounts of the user and of files we manage
    tmpfs: Mapping[str, str] = field(default_factory=dict)  # destination → options ("size=1m")
    shm_size: int = 0  # bytes, 0: 64 MiB
    shm_path: str | None = None  # bind this directory as /dev/shm (ipc host, shareable, container)
    devices: Sequence[Device] = ()
    device_rules: Sequence[DeviceRule] = ()
    masked_paths: Sequence[str] | None = None  # None: Docker's
    readonly_paths: Sequence[str] | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)

    # isolation
    network: Namespace = NEW
    pid: Namespace = NEW
    ipc: Namespace = NEW
    uts: Namespace = NEW
    cgroup: Namespace = NEW
    privileged: bool = False
    seccomp: dict[str, Any] | None = None  # ``linux.seccomp``; None: unconfined
    seccomp_bpf: str | None = None  # its compiled form, base64

    # limits
    cgroups_path: str
    resources: Resources = field(default_factory=Resources)
    annotations: Mapping[str, str] = field(default_factory=dict)


def build_spec(inputs: SpecInputs) -> dict[str, Any]:
    """The whole config.json."""
    raise NotImplementedError


def build_process(inputs: SpecInputs) -> dict[str, Any]:
    """The process object alone, as exec takes it too (``SpecInputs`` of the exec)."""
    raise NotImplementedError


def build_resources(resources: Resources) -> dict[str, Any]:
    """``linux.resources`` without devices, as ``Runtime.update`` takes it."""
    raise NotImplementedError


def container_env(env: Sequence[str], *, hostname: str, terminal: bool) -> list[str]:
    """Docker's environment: PATH, HOSTNAME, TERM, then ``env`` ("K=V"; bare "K" removes K).

    HOME is the runtime's business (from /etc/passwd).
    """
    raise NotImplementedError
