from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.linux import cgroup_stats, cgroups


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup_stats, "host_memory_bytes", lambda: 1 << 30)
    monkeypatch.setattr(cgroup_stats, "system_cpu_usage_ns", lambda: 5_000)


def test_v1(tmp_path: Path) -> None:
    files = {
        "cpuacct/cpuacct.usage": "300\n",
        "cpuacct/cpuacct.usage_percpu": "100 200 \n",
        "cpuacct/cpuacct.stat": "user 3\nsystem 2\n",
        "cpu/cpu.stat": "nr_periods 5\nnr_throttled 2\nthrottled_time 70\n",
        "memory/memory.usage_in_bytes": "4096\n",
        "memory/memory.max_usage_in_bytes": "8192\n",
        "memory/memory.failcnt": "1\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.stat": "cache 10\ntotal_inactive_file 7\n",
        "pids/pids.current": "3\n",
        "pids/pids.max": "max\n",
        "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 11\n8:0 Write 22\nTotal 33\n",
    }
    for name, text in files.items():
        path = tmp_path / name.replace("/", "/pierhead/x/", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    names = ("cpuacct", "cpu", "memory", "pids", "blkio")
    layout = cgroups.Layout("v1", names, {name: tmp_path / name for name in names})
    stats = cgroup_stats.read_stats(layout, "/pierhead/x")
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] == 300
    assert stats["cpu_stats"]["cpu_usage"]["percpu_usage"] == [100, 200]
    assert stats["cpu_stats"]["throttling_data"]["throttled_time"] == 70
    assert stats["memory_stats"]["limit"] == 1 << 30
    assert stats["memory_stats"]["stats"]["total_inactive_file"] == 7
    assert stats["pids_stats"] == {"current": 3, "limit": (1 << 64) - 1}
    assert stats["blkio_stats"]["io_service_bytes_recursive"] == [
        {"major": 8, "minor": 0, "op": "Read", "value": 11},
        {"major": 8, "minor": 0, "op": "Write", "value": 22},
    ]


def test_v2(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text(
        "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 1\nnr_throttled 1\n"
        "throttled_usec 4\n"
    )
    (tmp_path / "memory.current").write_text("4096\n")
    (tmp_path / "memory.max").write_text("65536\n")
    (tmp_path / "memory.stat").write_text("anon 1\nfile 2\ninactive_file 1\n")
    (tmp_path / "pids.current").write_text("2\n")
    (tmp_path / "pids.max").write_text("100\n")
    (tmp_path / "io.stat").write_text("8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n")
    stats = cgroup_stats._read_v2(tmp_path)
    assert stats["cpu_stats"]["cpu_usage"] == {
        "total_usage": 30_000,
        "usage_in_kernelmode": 10_000,
        "usage_in_usermode": 20_000,
    }
    assert stats["memory_stats"] == {
        "usage": 4096,
        "stats": {"anon": 1, "file": 2, "inactive_file": 1},
        "limit": 65536,
    }
    assert stats["pids_stats"] == {"current": 2, "limit": 100}
    assert stats["blkio_stats"]["io_serviced_recursive"] == [
        {"major": 8, "minor": 16, "op": "read", "value": 3},
        {"major": 8, "minor": 16, "op": "write", "value": 4},
    ]


def test_a_group_that_has_gone_gives_empty_parts(tmp_path: Path) -> None:
    stats = cgroup_stats._read_v2(tmp_path / "gone")
    assert stats["cpu_stats"] == {}
    assert stats["memory_stats"] == {}
    assert stats["pids_stats"] == {}
