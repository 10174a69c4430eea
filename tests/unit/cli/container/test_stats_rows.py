from __future__ import annotations

import pytest

from pierhead.cli.container.stats_rows import block_io, cpu_percent, memory_used, row

SAMPLE = {
    "read": "2024-01-01T00:00:00Z",
    "id": "0123456789abcdef",
    "name": "/web",
    "cpu_stats": {
        "cpu_usage": {"total_usage": 300},
        "system_cpu_usage": 2000,
        "online_cpus": 4,
    },
    "precpu_stats": {"cpu_usage": {"total_usage": 200}, "system_cpu_usage": 1000},
    "memory_stats": {"usage": 3 << 20, "limit": 1 << 30, "stats": {"inactive_file": 1 << 20}},
    "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 20}, "eth1": {"rx_bytes": 500}},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"op": "Read", "value": 1},
            {"op": "write", "value": 2000},
            {"op": "Total", "value": 9},
        ]
    },
    "pids_stats": {"current": 7},
}


def test_a_row() -> None:
    assert row("web", SAMPLE) == {
        "BlockIO": "1B / 2kB",
        "CPUPerc": "40.00%",
        "Container": "web",
        "ID": "0123456789ab",
        "MemPerc": "0.20%",
        "MemUsage": "2MiB / 1GiB",
        "Name": "web",
        "NetIO": "1.5kB / 20B",
        "PIDs": "7",
    }
    assert row("web", SAMPLE, short=False)["ID"] == "0123456789abcdef"


def test_dashes_before_the_first_sample() -> None:
    found = row("0123456789abcdef", None)
    assert (found["ID"], found["CPUPerc"], found["MemUsage"]) == ("0123456789ab", "--", "-- / --")


def test_a_stopped_container_uses_nothing() -> None:
    found = row("c", {"read": "0001-01-01T00:00:00Z", "id": "1", "name": "/c"})
    assert (found["CPUPerc"], found["MemUsage"], found["PIDs"]) == ("0.00%", "0B / 0B", "0")


@pytest.mark.parametrize(
    ("memory", "used"),
    [
        ({}, 0),
        ({"usage": 10}, 10),
        ({"usage": 10, "stats": {"total_inactive_file": 4}}, 6),
        ({"usage": 10, "stats": {"inactive_file": 40}}, 10),
    ],
)
def test_memory(memory: dict[str, object], used: int) -> None:
    assert memory_used(memory) == used


def test_nothing_to_compare_with() -> None:
    assert cpu_percent({}) == 0.0
    assert block_io({"blkio_stats": {"io_service_bytes_recursive": None}}) == (0, 0)
