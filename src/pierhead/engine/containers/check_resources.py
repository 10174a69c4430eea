"""Are the asked limits possible here? Docker's rules, words and warnings (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pierhead.engine.config import HostConfig
from pierhead.errors import InvalidParameter

MIN_MEMORY_BYTES: Final = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What this kernel and machine can limit."""

    cpus: int
    controllers: frozenset[str]  # memory, cpu, cpuset, pids, io or blkio
    cpuset_cpus: str = ""  # the host's own list, "0-3"; "" unknown
    cpuset_mems: str = ""
    swap_limit: bool = True
    cgroup_v2: bool = False
    cpu_realtime: bool = False


def _discarded(what: str) -> str:
    return (
        f"Your kernel does not support {what} or the cgroup is not mounted. Limitation discarded."
    )


def check_resources(host: HostConfig, facts: HostFacts, *, update: bool = False) -> list[str]:
    """Return warnings; clears in place what can't be done here, raises for nonsense."""
    return [
        *_memory(host, facts, update),
        *_pids(host, facts),
        *_cpu(host, facts),
        *_io(host, facts),
    ]


def _memory(host: HostConfig, facts: HostFacts, update: bool) -> list[str]:
    warnings: list[str] = []
    supported = "memory" in facts.controllers
    if host.memory < 0:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if host.memory != 0 and host.memory < MIN_MEMORY_BYTES:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if host.memory > 0 and not supported:
        warnings.append(_discarded("memory limit capabilities"))
        host.memory, host.memory_swap = 0, -1
    if host.memory > 0 and host.memory_swap != -1 and not facts.swap_limit:
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
            "Memory limited without swap."
        )
        host.memory_swap = -1
    if host.memory > 0 and 0 < host.memory_swap < host.memory:
        raise InvalidParameter(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if host.memory == 0 and host.memory_swap > 0 and not update:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if host.memory_swappiness == -1:
        host.memory_swappiness = None
    if host.memory_swappiness is not None:
        if not 0 <= host.memory_swappiness <= 100:
            raise InvalidParameter(
                f"Invalid value: {host.memory_swappiness}, valid memory swappiness range is 0-100"
            )
        if facts.cgroup_v2:
            warnings.append(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not "
                "mounted. Memory swappiness discarded."
            )
            host.memory_swappiness = None
    if host.memory_reservation > 0 and not supported:
        warnings.append(_discarded("memory soft limit capabilities"))
        host.memory_reservation = 0
    if 0 < host.memory_reservation < MIN_MEMORY_BYTES:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if host.memory > 0 and host.memory_reservation > host.memory:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    if host.oom_kill_disable is not None and facts.cgroup_v2:
        if host.oom_kill_disable:
            warnings.append(
                "Your kernel does not support OomKillDisable. OomKillDisable discarded."
            )
        host.oom_kill_disable = None
    if host.oom_kill_disable and host.memory == 0:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result "
            "in the system running out of resources."
        )
    return warnings


def _pids(host: HostConfig, facts: HostFacts) -> list[str]:
    if host.pids_limit is None or "pids" in facts.controllers:
        return []
    asked, host.pids_limit = host.pids_limit, None
    if asked <= 0:
        return []
    return [
        "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. "
        "PIDs limit discarded."
    ]


def _cpu(host: HostConfig, facts: HostFacts) -> list[str]:
    warnings: list[str] = []
    if host.nano_cpus > 0 and host.cpu_period > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if host.nano_cpus > 0 and host.cpu_quota > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if host.nano_cpus != 0 and not 0 <= host.nano_cpus <= facts.cpus * 1_000_000_000:
        raise InvalidParameter(
            f"range of CPUs is from 0.01 to {facts.cpus}.00, as there are only "
            f"{facts.cpus} CPUs available"
        )
    if host.cpu_shares < 0:
        raise InvalidParameter(
            f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer"
        )
    if (host.cpu_realtime_period or host.cpu_realtime_runtime) and not facts.cpu_realtime:
        raise InvalidParameter("kernel does not support CPU real-time scheduler")
    if "cpu" not in facts.controllers:
        if host.nano_cpus > 0:
            raise InvalidParameter(
                "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the "
                "cgroup is not mounted"
            )
        if host.cpu_shares > 0:
            warnings.append(
                "Your kernel does not support CPU shares or the cgroup is not mounted. "
                "Shares discarded."
            )
            host.cpu_shares = 0
        if host.cpu_period or host.cpu_quota:
            warnings.append(
                "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
            )
            host.cpu_period = host.cpu_quota = 0
    if host.cpu_period != 0 and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidParameter(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < host.cpu_quota < 1000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
        host.cpu_percent = 0
    if (host.cpuset_cpus or host.cpuset_mems) and "cpuset" not in facts.controllers:
        warnings.append(
            "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded."
        )
        host.cpuset_cpus = host.cpuset_mems = ""
    _cpuset("cpuset cpus", "CPUs", host.cpuset_cpus, facts.cpuset_cpus or f"0-{facts.cpus - 1}")
    _cpuset("cpuset mems", "memory nodes", host.cpuset_mems, facts.cpuset_mems or "0")
    return warnings


def _cpuset(field: str, noun: str, asked: str, available: str) -> None:
    if not asked:
        return
    try:
        wanted = parse_cpuset(asked)
    except ValueError as error:
        raise InvalidParameter(f"Invalid value {asked} for {field}") from error
    if not wanted <= parse_cpuset(available):
        raise InvalidParameter(
            f"Requested {noun} are not available - requested {asked}, available: {available}"
        )


def parse_cpuset(text: str) -> set[int]:
    """``0-2,4`` → {0, 1, 2, 4}. ``ValueError`` for anything else (cpuset(7), list format)."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isascii() and first.isdigit()) or (dash and not last.isdigit()):
            raise ValueError(text)
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high > 8191:
            raise ValueError(text)
        found.update(range(low, high + 1))
    return found


def _io(host: HostConfig, facts: HostFacts) -> list[str]:
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if host.io_maximum_bandwidth:
        raise InvalidParameter(
            "invalid option: QoS maximum bandwidth configuration is not supported on linux"
        )
    if host.io_maximum_iops:
        raise InvalidParameter(
            "invalid option: QoS maximum IOPs configuration is not supported on linux"
        )
    if not facts.controllers.isdisjoint({"blkio", "io"}):
        return []
    asked = bool(host.blkio_weight or host.blkio_weight_device)
    host.blkio_weight, host.blkio_weight_device = 0, None
    if not asked:
        return []
    return [
        "Your kernel does not support Block I/O weight or the cgroup is not mounted. "
        "Weight discarded."
    ]
