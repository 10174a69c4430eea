"""From a sample of ``GET /containers/{id}/stats`` to a row of ``pier stats``; pure."""

from __future__ import annotations

from pierhead.cli.format.units import bytes_size, human_size, truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TABLE = (
    "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}"
    "\t{{.BlockIO}}\t{{.PIDs}}"
)
HEADERS = {
    "Container": "CONTAINER",
    "Name": "NAME",
    "ID": "CONTAINER ID",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}


def cpu_percent(sample: dict[str, Any]) -> float:
    """CPU time since the previous sample against all time, a CPU being 100."""
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}
    usage = now.get("cpu_usage") or {}
    delta = usage.get("total_usage", 0) - (before.get("cpu_usage") or {}).get("total_usage", 0)
    system = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len(usage.get("percpu_usage") or ())
    return float(delta / system * cpus * 100) if delta > 0 and system > 0 else 0.0


def memory_used(memory: dict[str, Any]) -> int:
    """Usage without the page cache that the kernel would give back first."""
    usage = int(memory.get("usage", 0))
    details = memory.get("stats") or {}
    for name in ("total_inactive_file", "inactive_file"):  # v1, v2
        if name in details:
            inactive = int(details[name])
            return usage - inactive if inactive < usage else usage
    return usage


def block_io(sample: dict[str, Any]) -> tuple[int, int]:
    """(bytes read, bytes written)."""
    read = written = 0
    for item in (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ():
        operation = str(item.get("op", ""))[:1].lower()
        if operation == "r":
            read += item.get("value", 0)
        elif operation == "w":
            written += item.get("value", 0)
    return read, written


def row(name: str, sample: dict[str, Any] | None, *, short: bool = True) -> dict[str, str]:
    """The fields of one row; dashes where there is no sample yet."""
    if not sample or not sample.get("read") or str(sample["read"]).startswith("0001-"):
        identifier = str((sample or {}).get("id") or name)
        return {
            "BlockIO": "0B / 0B" if sample else "--",
            "CPUPerc": "0.00%" if sample else "--",
            "Container": name,
            "ID": truncate_id(identifier) if short else identifier,
            "MemPerc": "0.00%" if sample else "--",
            "MemUsage": "0B / 0B" if sample else "-- / --",
            "Name": str((sample or {}).get("name") or "--").lstrip("/"),
            "NetIO": "0B / 0B" if sample else "--",
            "PIDs": "0" if sample else "--",
        }
    memory = sample.get("memory_stats") or {}
    used, limit = memory_used(memory), int(memory.get("limit", 0))
    networks = (sample.get("networks") or {}).values()
    received = sum(item.get("rx_bytes", 0) for item in networks)
    sent = sum(item.get("tx_bytes", 0) for item in networks)
    read, written = block_io(sample)
    identifier = str(sample.get("id") or name)
    return {
        "BlockIO": f"{human_size(read, 3)} / {human_size(written, 3)}",
        "CPUPerc": f"{cpu_percent(sample):.2f}%",
        "Container": name,
        "ID": truncate_id(identifier) if short else identifier,
        "MemPerc": f"{used / limit * 100 if limit else 0.0:.2f}%",
        "MemUsage": f"{bytes_size(used)} / {bytes_size(limit)}",
        "Name": str(sample.get("name", "")).lstrip("/"),
        "NetIO": f"{human_size(received, 3)} / {human_size(sent, 3)}",
        "PIDs": str((sample.get("pids_stats") or {}).get("current", 0)),
    }
