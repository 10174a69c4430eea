"""Stats: what a container uses, once or every second."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.durations import ZERO_TIME, rfc3339
from pierhead.linux import cgroup_stats

INTERVAL_S: Final = 1.0


async def read_stats(
    ctx: Context, container: Container, *, stream: bool, one_shot: bool
) -> AsyncIterator[dict[str, Any]]:
    """``GET /containers/{id}/stats``. Ends when the container is removed, or after one."""
    previous: dict[str, Any] | None = None
    if not stream and not one_shot and container.running:
        previous = sample(ctx, container)
        await asyncio.sleep(INTERVAL_S)
    while True:
        if ctx.registry.find(container.id) is None:
            return
        current = sample(ctx, container)
        yield shaped(container, current, previous)
        if not stream:
            return
        previous = current if container.running else None
        await asyncio.sleep(INTERVAL_S)


def sample(ctx: Context, container: Container) -> dict[str, Any]:
    """One reading; nearly empty when nothing runs. A millisecond of reading files."""
    if not container.running:
        return {}
    found = cgroup_stats.read_stats(ctx.layout, ctx.cgroup_of(container.record))
    found["read"] = rfc3339(time.time_ns())
    cpu = found.get("cpu_stats")
    if cpu:
        cpu["system_cpu_usage"] = cgroup_stats.system_cpu_usage_ns()
        cpu["online_cpus"] = len(os.sched_getaffinity(0))
    if not container.record.host_config.network_mode.startswith(("host", "container:")):
        found["networks"] = read_networks(container.status.pid)
    return found


def shaped(
    container: Container, current: dict[str, Any], previous: dict[str, Any] | None
) -> dict[str, Any]:
    """The API's object out of one reading and the one before. Pure."""
    nothing: dict[str, Any] = {
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    result: dict[str, Any] = {
        "id": container.id,
        "name": f"/{container.name}",
        "os_type": "linux",
        "read": current.get("read", ZERO_TIME),
        "cpu_stats": current.get("cpu_stats") or nothing,
        "memory_stats": current.get("memory_stats") or {},
        "pids_stats": current.get("pids_stats") or {},
        "blkio_stats": current.get("blkio_stats") or _NO_BLKIO,
        "num_procs": 0,
        "storage_stats": {},
        "preread": (previous or {}).get("read", ZERO_TIME),
        "precpu_stats": (previous or {}).get("cpu_stats") or nothing,
    }
    if current.get("networks"):
        result["networks"] = current["networks"]
    return result


_NO_BLKIO: Final = {
    "io_service_bytes_recursive": None,
    "io_serviced_recursive": None,
    "io_queue_recursive": None,
    "io_service_time_recursive": None,
    "io_wait_time_recursive": None,
    "io_merged_recursive": None,
    "io_time_recursive": None,
    "sectors_recursive": None,
}


def read_networks(pid: int) -> dict[str, dict[str, int]]:
    """Counters per interface of the process's network namespace (proc(5), net/dev)."""
    try:
        with open(f"/proc/{pid}/net/dev") as file:
            return parse_net_dev(file.read())
    except OSError:
        return {}


def parse_net_dev(text: str) -> dict[str, dict[str, int]]:
    """Everything but loopback. Pure."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = rest.split()
        if name.strip() == "lo" or len(numbers) < 16:
            continue
        values = [int(n) for n in numbers[:16]]
        found[name.strip()] = {
            "rx_bytes": values[0],
            "rx_packets": values[1],
            "rx_errors": values[2],
            "rx_dropped": values[3],
            "tx_bytes": values[8],
            "tx_packets": values[9],
            "tx_errors": values[10],
            "tx_dropped": values[11],
        }
    return found
