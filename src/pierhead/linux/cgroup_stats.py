"""Statistics of a control group in the shape of GET /containers/{id}/stats.

Values are the kernel's, in ns and bytes. What differs between cgroup v1 and v2 differs in
Docker's answer as well: v2 has no per-CPU times, no failcnt and no maximum, and only two
of the blkio lists. A file that is missing (controller off, group gone) leaves its part empty.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pierhead.linux.cgroups import Layout

_USER_HZ: Final = os.sysconf("SC_CLK_TCK")

_V1_BLKIO: Final = {
    "io_service_bytes_recursive": "blkio.throttle.io_service_bytes_recursive",
    "io_serviced_recursive": "blkio.throttle.io_serviced_recursive",
    "io_queue_recursive": "blkio.bfq.io_queued_recursive",
    "io_service_time_recursive": "blkio.bfq.io_service_time_recursive",
    "io_wait_time_recursive": "blkio.bfq.io_wait_time_recursive",
    "io_merged_recursive": "blkio.bfq.io_merged_recursive",
    "io_time_recursive": "blkio.bfq.time_recursive",
    "sectors_recursive": "blkio.bfq.sectors_recursive",
}


def read_stats(layout: Layout, cgroup: str) -> dict[str, Any]:
    """The parts ``cpu_stats``, ``memory_stats``, ``pids_stats`` and ``blkio_stats``."""
    if layout.version == "v2":
        return _read_v2(Path("/sys/fs/cgroup") / cgroup.lstrip("/"))
    return _read_v1(layout, cgroup)


def system_cpu_usage_ns() -> int:
    """CPU time of the whole host since boot, idle included, ns, as ``system_cpu_usage``."""
    with open("/proc/stat", "rb") as file:
        fields = file.readline().split()
    # user nice system idle iowait irq softirq (proc(5)); steal and guests are left out, as in moby
    return sum(map(int, fields[1:8])) * (1_000_000_000 // _USER_HZ)


@lru_cache(maxsize=1)
def host_memory_bytes() -> int:
    """MemTotal."""
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemTotal:"):
                return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _number(path: Path) -> int:
    """The number in a file; 0 when there is none, -1 for "max"."""
    text = _text(path).strip()
    if text == "max":
        return -1
    return int(text) if text else 0


def _pairs(path: Path) -> dict[str, int]:
    pairs = {}
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if value.strip().isdigit():
            pairs[key] = int(value)
    return pairs


def _cpu_stats(usage: dict[str, Any], periods: int, throttled: int, time_ns: int) -> dict[str, Any]:
    return {
        "cpu_usage": usage,
        "system_cpu_usage": system_cpu_usage_ns(),
        "online_cpus": len(os.sched_getaffinity(0)),
        "throttling_data": {
            "periods": periods,
            "throttled_periods": throttled,
            "throttled_time": time_ns,
        },
    }


def _limit(value: int) -> int:
    """No limit, or one above what there is, is the host's memory, as in moby."""
    total = host_memory_bytes()
    return total if value < 0 or value > total else value


def _read_v1(layout: Layout, cgroup: str) -> dict[str, Any]:
    stats: dict[str, Any] = {
        "cpu_stats": {},
        "memory_stats": {},
        "pids_stats": {},
        "blkio_stats": dict.fromkeys(_V1_BLKIO),
    }
    accounting = layout.directory("cpuacct", cgroup)
    if accounting is not None and (total := _text(accounting / "cpuacct.usage").strip()):
        ticks = _pairs(accounting / "cpuacct.stat")
        cpu = layout.directory("cpu", cgroup)
        throttling = _pairs(cpu / "cpu.stat") if cpu is not None else {}
        per_cpu = [int(word) for word in _text(accounting / "cpuacct.usage_percpu").split()]
        usage: dict[str, Any] = {
            "total_usage": int(total),
            "percpu_usage": per_cpu,
            "usage_in_kernelmode": ticks.get("system", 0) * (1_000_000_000 // _USER_HZ),
            "usage_in_usermode": ticks.get("user", 0) * (1_000_000_000 // _USER_HZ),
        }
        stats["cpu_stats"] = _cpu_stats(
            usage,
            throttling.get("nr_periods", 0),
            throttling.get("nr_throttled", 0),
            throttling.get("throttled_time", 0),
        )
    memory = layout.directory("memory", cgroup)
    if memory is not None and (used := _text(memory / "memory.usage_in_bytes").strip()):
        stats["memory_stats"] = {
            "usage": int(used),
            "max_usage": _number(memory / "memory.max_usage_in_bytes"),
            "stats": _pairs(memory / "memory.stat"),
            "failcnt": _number(memory / "memory.failcnt"),
            "limit": _limit(_number(memory / "memory.limit_in_bytes")),
        }
    if (directory := layout.directory("pids", cgroup)) is not None:
        stats["pids_stats"] = _pids(directory)
    if (directory := layout.directory("blkio", cgroup)) is not None:
        stats["blkio_stats"] = {
            name: _v1_blkio(directory / file) for name, file in _V1_BLKIO.items()
        }
    return stats


def _pids(directory: Path) -> dict[str, Any]:
    if not (current := _text(directory / "pids.current").strip()):
        return {}
    limit = _number(directory / "pids.max")
    # "no limit" is what the Go daemon's unsigned maximum means
    return {"current": int(current), "limit": limit if limit >= 0 else (1 << 64) - 1}


def _v1_blkio(path: Path) -> list[dict[str, Any]]:
    """Lines "8:0 Read 4096" or "8:0 4096"; the closing "Total" line is left out."""
    entries = []
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) < 2 or ":" not in words[0]:
            continue
        major, _, minor = words[0].partition(":")
        entries.append(
            {
                "major": int(major),
                "minor": int(minor),
                "op": words[1] if len(words) == 3 else "",
                "value": int(words[-1]),
            }
        )
    return entries


def _read_v2(directory: Path) -> dict[str, Any]:
    stats: dict[str, Any] = {
        "cpu_stats": {},
        "memory_stats": {},
        "pids_stats": _pids(directory),
        "blkio_stats": dict.fromkeys(_V1_BLKIO),
    }
    if cpu := _pairs(directory / "cpu.stat"):
        stats["cpu_stats"] = _cpu_stats(
            {
                "total_usage": cpu.get("usage_usec", 0) * 1000,
                "usage_in_kernelmode": cpu.get("system_usec", 0) * 1000,
                "usage_in_usermode": cpu.get("user_usec", 0) * 1000,
            },
            cpu.get("nr_periods", 0),
            cpu.get("nr_throttled", 0),
            cpu.get("throttled_usec", 0) * 1000,
        )
    if used := _text(directory / "memory.current").strip():
        stats["memory_stats"] = {
            "usage": int(used),
            "stats": _pairs(directory / "memory.stat"),
            "limit": _limit(_number(directory / "memory.max")),
        }
    if (io := _text(directory / "io.stat")) or (directory / "io.stat").exists():
        stats["blkio_stats"] |= _v2_io(io)
    return stats


def _v2_io(text: str) -> dict[str, list[dict[str, Any]]]:
    """Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0"."""
    sizes: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    for line in text.splitlines():
        device, _, rest = line.partition(" ")
        major, colon, minor = device.partition(":")
        if not colon:
            continue
        values = dict(word.split("=", 1) for word in rest.split() if "=" in word)
        for target, key, op in (
            (sizes, "rbytes", "read"),
            (sizes, "wbytes", "write"),
            (counts, "rios", "read"),
            (counts, "wios", "write"),
        ):
            if key in values:
                target.append(
                    {"major": int(major), "minor": int(minor), "op": op, "value": int(values[key])}
                )
    return {"io_service_bytes_recursive": sizes, "io_serviced_recursive": counts}
