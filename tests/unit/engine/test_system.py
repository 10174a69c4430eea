"""The daemon about itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pierhead.engine.containers.model import Phase
from pierhead.engine.settings import Settings
from pierhead.engine.system import SystemService
from pierhead.linux.cgroups import Layout


class Containers:
    def all(self) -> list[Any]:
        phases = (Phase.RUNNING, Phase.RUNNING, Phase.PAUSED, Phase.EXITED, Phase.RESTARTING)
        return [SimpleNamespace(status=SimpleNamespace(phase=phase)) for phase in phases]

    async def list_json(self, **options: Any) -> bytes:
        assert options["size"] and options["all"]
        return json.dumps(
            [{"State": "running", "SizeRw": 5}, {"State": "exited", "SizeRw": 7}]
        ).encode()


class Images:
    def __len__(self) -> int:
        return 3

    def disk_usage(self) -> dict[str, Any]:
        return {
            "LayersSize": 100,
            "Reclaimable": 40,
            "Images": [
                {"Size": 60, "SharedSize": 10, "Containers": 1},
                {"Size": 50, "SharedSize": 10, "Containers": 0},
            ],
        }


class Volumes:
    async def usage(self) -> list[dict[str, Any]]:
        return [
            {"Name": "a", "UsageData": {"Size": 9, "RefCount": 1}},
            {"Name": "b", "UsageData": {"Size": -1, "RefCount": 0}},
        ]


def service(**settings: Any) -> SystemService:
    return SystemService(
        settings=Settings(**settings),
        layout=Layout("v2", ("cpu", "memory", "pids"), {"memory": Path("/sys/fs/cgroup")}),
        containers=Containers(),  # type: ignore[arg-type]
        images=Images(),  # type: ignore[arg-type]
        networks=SimpleNamespace(),  # type: ignore[arg-type]
        volumes=Volumes(),  # type: ignore[arg-type]
        events=SimpleNamespace(listeners=2),  # type: ignore[arg-type]
        api_version="1.56",
        min_api_version="1.24",
        components={"crun": "1.8"},
        tls=lambda host: (False, False),
    )


def test_version_prints_well() -> None:
    found = service().version()
    assert found["Components"][0]["Name"] == "Engine"
    assert found["Components"][0]["Details"]["MinAPIVersion"] == "1.24"
    assert {"Name": "crun", "Version": "1.8"}.items() <= found["Components"][1].items()
    assert found["GoVersion"].startswith("python3")
    assert found["BuildTime"].endswith("+00:00")


async def test_info_counts_and_flags() -> None:
    found = service(labels=["a=b"]).info()
    assert (found["Containers"], found["ContainersRunning"]) == (5, 2)
    assert (found["ContainersPaused"], found["ContainersStopped"]) == (1, 2)
    assert found["Images"] == 3
    assert (found["MemoryLimit"], found["CPUSet"], found["PidsLimit"]) == (True, False, True)
    assert found["CgroupVersion"] == "2"
    assert "name=seccomp,profile=builtin" in found["SecurityOptions"]
    assert "name=cgroupns" in found["SecurityOptions"]
    assert found["Labels"] == ["a=b"]
    assert "WARNING: No cpuset support" in found["Warnings"]
    assert found["NEventsListener"] == 2


async def test_open_tcp_is_warned_of() -> None:
    warnings = service(hosts=["tcp://0.0.0.0:2375"]).info()["Warnings"]
    assert any("accessible on http://0.0.0.0:2375 without encryption" in line for line in warnings)


async def test_disk_usage() -> None:
    found = await service().disk_usage({"container", "image", "volume"})
    assert (found["container"]["TotalSize"], found["container"]["Reclaimable"]) == (12, 7)
    assert (found["image"]["TotalSize"], found["image"]["Reclaimable"]) == (100, 40)
    assert found["image"]["ActiveCount"] == 1
    assert (found["volume"]["TotalSize"], found["volume"]["ActiveCount"]) == (9, 1)
    assert set(await service().disk_usage({"volume"})) == {"volume"}
