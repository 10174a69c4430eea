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
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
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
    seccomp: dict[str, Any] | None = None  # ``linux.seccomp``; None: unconfined (privileged!)
    seccomp_bpf: str | None = None  # its compiled form, base64

    # limits
    cgroups_path: str
    resources: Resources = field(default_factory=Resources)
    annotations: Mapping[str, str] = field(default_factory=dict)


_NO_ACCESS_TO_MOUNT = ("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")

# What every container may do with devices: make any node, use only these (moby oci.DefaultSpec)
_DEVICE_RULES: Final[tuple[dict[str, Any], ...]] = (
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"},  # zero
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},  # null
    {"allow": True, "type": "c", "major": 1, "minor": 9, "access": "rwm"},  # urandom
    {"allow": True, "type": "c", "major": 1, "minor": 8, "access": "rwm"},  # random
    {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "rwm"},  # full
    {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"},  # tty
    {"allow": True, "type": "c", "major": 5, "minor": 1, "access": "rwm"},  # console
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},  # ptmx
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},  # pts
)


def build_spec(inputs: SpecInputs) -> dict[str, Any]:
    """The whole config.json."""
    spec: dict[str, Any] = {
        "ociVersion": SPEC_VERSION,
        "process": build_process(inputs),
        "root": {"path": inputs.rootfs, "readonly": inputs.readonly_rootfs},
        "mounts": _mounts(inputs),
        "linux": _linux(inputs),
    }
    if inputs.hostname and inputs.uts == NEW:
        spec["hostname"] = inputs.hostname
    annotations = dict(inputs.annotations)
    if inputs.seccomp is not None and inputs.seccomp_bpf:
        annotations[SECCOMP_BPF_ANNOTATION] = inputs.seccomp_bpf
    if annotations:
        spec["annotations"] = annotations
    return spec


def build_process(inputs: SpecInputs) -> dict[str, Any]:
    """The process object alone, as exec takes it too (``SpecInputs`` of the exec)."""
    # the own group among the supplementary ones, or dropping it would win rights (CVE-2022-36109)
    groups = dict.fromkeys([inputs.user.gid, *inputs.user.additional_gids])
    user = {
        "uid": inputs.user.uid,
        "gid": inputs.user.gid,
        "additionalGids": list(groups),
    }
    args = list(inputs.args)
    if inputs.init_binary is not None:
        args = [INIT_PATH_IN_CONTAINER, "--", *args]
    process: dict[str, Any] = {
        "terminal": inputs.terminal,
        "user": user,
        "args": args,
        "env": list(inputs.env),
        "cwd": inputs.cwd or "/",
        "capabilities": _capabilities(inputs),
        "noNewPrivileges": inputs.no_new_privileges,
    }
    if inputs.terminal and inputs.console_size and all(inputs.console_size):
        height, width = inputs.console_size
        process["consoleSize"] = {"height": height, "width": width}
    if inputs.rlimits:
        process["rlimits"] = [
            {"type": f"RLIMIT_{name.upper()}", "soft": _limit(soft), "hard": _limit(hard)}
            for name, soft, hard in inputs.rlimits
        ]
    if inputs.oom_score_adj is not None:
        process["oomScoreAdj"] = inputs.oom_score_adj
    return process


def _limit(value: int) -> int:
    return (1 << 64) - 1 if value < 0 else value


def _capabilities(inputs: SpecInputs) -> dict[str, list[str]]:
    """A process that is not root gets its set only as the bound of what it may regain.

    No inheritable set: moby's cure for CVE-2022-24769.
    """
    names = list(inputs.capabilities)
    held = names if inputs.user.uid == 0 else []
    return {"bounding": names, "effective": held, "permitted": held}


def _mounts(inputs: SpecInputs) -> list[dict[str, Any]]:
    mounts = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ),
        _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev"),
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    ]
    if inputs.shm_path is not None:
        mounts.append(_mount("/dev/shm", "bind", inputs.shm_path, "rbind", "rprivate"))
    else:
        size = f"size={inputs.shm_size or DEFAULT_SHM_BYTES}"
        mounts.append(
            _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", size)
        )
    asked = [*inputs.mounts]
    for destination, options in inputs.tmpfs.items():
        given = [option for option in options.split(",") if option]
        asked.append(_mount(destination, "tmpfs", "tmpfs", "noexec", "nosuid", "nodev", *given))
    if inputs.init_binary is not None:
        asked.append(_mount(INIT_PATH_IN_CONTAINER, "bind", inputs.init_binary, "bind", "ro"))
    covered = {mount["destination"].rstrip("/") or "/" for mount in asked}
    mounts = [
        mount
        for mount in mounts
        if mount["destination"] not in covered
        and not ("/dev" in covered and mount["destination"].startswith("/dev/"))
    ]
    for mount in mounts:
        if inputs.privileged and not inputs.readonly_rootfs and mount["type"] in _KERNEL_FILES:
            mount["options"] = [option for option in mount["options"] if option != "ro"]
        if (
            inputs.readonly_rootfs
            and mount["destination"] not in _NO_ACCESS_TO_MOUNT
            and "ro" not in mount["options"]
        ):
            mount["options"].append("ro")
    # a mount must not hide one made before it: fewer path components first, as moby sorts
    asked.sort(key=lambda mount: len([part for part in mount["destination"].split("/") if part]))
    return [*mounts, *asked]


_KERNEL_FILES = ("sysfs", "cgroup")


def _mount(destination: str, fstype: str, source: str, *options: str) -> dict[str, Any]:
    return {
        "destination": destination,
        "type": fstype,
        "source": source,
        "options": list(options),
    }


def _linux(inputs: SpecInputs) -> dict[str, Any]:
    namespaces: list[dict[str, str]] = [{"type": "mount"}]
    for kind, choice in (
        ("network", inputs.network),
        ("pid", inputs.pid),
        ("ipc", inputs.ipc),
        ("uts", inputs.uts),
        ("cgroup", inputs.cgroup),
    ):
        if choice == NEW:
            namespaces.append({"type": kind})
        elif choice is not None:
            namespaces.append({"type": kind, "path": choice})
    resources = build_resources(inputs.resources)
    resources["devices"] = _device_rules(inputs)
    linux: dict[str, Any] = {
        "namespaces": namespaces,
        "cgroupsPath": inputs.cgroups_path,
        "resources": resources,
        "maskedPaths": _paths(inputs.masked_paths, MASKED_PATHS, inputs.privileged),
        "readonlyPaths": _paths(inputs.readonly_paths, READONLY_PATHS, inputs.privileged),
    }
    if inputs.devices:
        linux["devices"] = [
            {
                "path": device.path,
                "type": device.type,
                "major": device.major,
                "minor": device.minor,
                "fileMode": device.mode,
                "uid": device.uid,
                "gid": device.gid,
            }
            for device in inputs.devices
        ]
    if sysctls := _sysctls(inputs):
        linux["sysctl"] = sysctls
    if inputs.seccomp is not None:
        linux["seccomp"] = inputs.seccomp
    if propagation := _rootfs_propagation(inputs.mounts):
        linux["rootfsPropagation"] = propagation
    return linux


def _paths(asked: Sequence[str] | None, default: Sequence[str], privileged: bool) -> list[str]:
    if asked is not None:
        return list(asked)
    return [] if privileged else list(default)


def _device_rules(inputs: SpecInputs) -> list[dict[str, Any]]:
    if inputs.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules = [dict(rule) for rule in _DEVICE_RULES]
    for device in inputs.devices:
        rules.append(
            {
                "allow": True,
                "type": device.type,
                "major": device.major,
                "minor": device.minor,
                "access": device.access,
            }
        )
    for asked in inputs.device_rules:
        rule: dict[str, Any] = {"allow": asked.allow, "type": asked.type, "access": asked.access}
        if asked.major is not None:
            rule["major"] = asked.major
        if asked.minor is not None:
            rule["minor"] = asked.minor
        rules.append(rule)
    return rules


def _sysctls(inputs: SpecInputs) -> dict[str, str]:
    """Docker 20.10 lets unprivileged processes ping and use low ports in a network of their own.

    A namespace given by path has its settings already: from us (engine/networks) or from the
    container it belongs to.
    """
    result: dict[str, str] = {}
    if inputs.network == NEW:
        result["net.ipv4.ip_unprivileged_port_start"] = "0"
        result["net.ipv4.ping_group_range"] = "0 2147483647"
    if inputs.domainname and inputs.uts == NEW:
        result["kernel.domainname"] = inputs.domainname
    result.update(inputs.sysctls)
    return result


def _rootfs_propagation(mounts: Sequence[dict[str, Any]]) -> str:
    """Events can only reach a shared or slave mount through a root that lets them pass."""
    options = {option for mount in mounts for option in mount.get("options", ())}
    if options & {"shared", "rshared"}:
        return "shared"
    if options & {"slave", "rslave"}:
        return "rslave"
    return ""


def build_resources(resources: Resources) -> dict[str, Any]:
    """``linux.resources`` without devices, as ``Runtime.update`` takes it."""
    result: dict[str, Any] = {}
    if memory := _memory(resources):
        result["memory"] = memory
    if cpu := _cpu(resources):
        result["cpu"] = cpu
    if resources.pids_limit:
        result["pids"] = {"limit": resources.pids_limit if resources.pids_limit > 0 else -1}
    if block := _block_io(resources):
        result["blockIO"] = block
    return result


def _memory(resources: Resources) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if resources.memory > 0:
        memory["limit"] = resources.memory
    if resources.memory_reservation > 0:
        memory["reservation"] = resources.memory_reservation
    if resources.swap_accounting:
        if resources.memory_swap:
            memory["swap"] = resources.memory_swap
        elif resources.memory > 0:
            memory["swap"] = resources.memory * 2
    if resources.memory_swappiness is not None and resources.memory_swappiness >= 0:
        memory["swappiness"] = resources.memory_swappiness
    if resources.oom_kill_disable:
        memory["disableOOMKiller"] = True
    return memory


def _cpu(resources: Resources) -> dict[str, Any]:
    cpu: dict[str, Any] = {}
    if resources.nano_cpus > 0:
        # moby: a fixed period of 100 ms
        cpu["period"] = 100_000
        cpu["quota"] = resources.nano_cpus * 100_000 // 1_000_000_000
    for key, value in (
        ("shares", resources.cpu_shares),
        ("period", resources.cpu_period),
        ("quota", resources.cpu_quota),
        ("realtimePeriod", resources.cpu_realtime_period),
        ("realtimeRuntime", resources.cpu_realtime_runtime),
        ("cpus", resources.cpuset_cpus),
        ("mems", resources.cpuset_mems),
    ):
        if value:
            cpu[key] = value
    return cpu


def _block_io(resources: Resources) -> dict[str, Any]:
    block: dict[str, Any] = {}
    if resources.blkio_weight:
        block["weight"] = resources.blkio_weight
    for key, field_name, devices in (
        ("weightDevice", "weight", resources.blkio_weight_devices),
        ("throttleReadBpsDevice", "rate", resources.blkio_read_bps),
        ("throttleWriteBpsDevice", "rate", resources.blkio_write_bps),
        ("throttleReadIOPSDevice", "rate", resources.blkio_read_iops),
        ("throttleWriteIOPSDevice", "rate", resources.blkio_write_iops),
    ):
        if devices:
            block[key] = [
                {"major": device.major, "minor": device.minor, field_name: device.rate}
                for device in devices
            ]
    return block


def container_env(env: Sequence[str], *, hostname: str, terminal: bool) -> list[str]:
    """Docker's environment: PATH, HOSTNAME, TERM, then ``env`` ("K=V"; bare "K" removes K).

    HOME is the runtime's business (from /etc/passwd).
    """
    result = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if terminal:
        result["TERM"] = "xterm"
    for entry in env:
        key, equals, value = entry.partition("=")
        if equals:
            result[key] = value
        else:
            result.pop(key, None)
    return [f"{key}={value}" for key, value in result.items()]
