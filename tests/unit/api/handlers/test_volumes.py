"""Volumes at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.api import fake_engine, serving


class Volumes:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def list(self, filters: Any) -> Any:
        return []

    async def create(self, *args: Any) -> Any:
        self.calls.append(args)
        return {"Name": "v"}

    async def remove(self, name: str, *, force: bool) -> None:
        self.calls.append((name, force))

    async def prune(self, filters: Any) -> Any:
        self.calls.append(filters.as_dict())
        return ["v"], 5


async def test_volumes(tmp_path: Path) -> None:
    volumes = Volumes()
    async with serving(fake_engine(tmp_path, volumes=volumes), tmp_path) as ask:
        assert (await ask("GET", "/volumes")).json() == {"Volumes": [], "Warnings": None}
        made = await ask("POST", "/volumes/create", {"Name": "v", "Labels": {"a": "b"}})
        assert (made.status, made.json()) == (201, {"Name": "v"})
        assert volumes.calls[-1] == ("v", "", {}, {"a": "b"})
        await ask("POST", "/volumes/create")
        assert volumes.calls[-1] == (None, "", {}, {})
        cluster = await ask("POST", "/volumes/create", {"ClusterVolumeSpec": {}})
        assert cluster.status == 503
        assert (await ask("DELETE", "/volumes/v?force=1")).status == 204
        assert volumes.calls[-1] == ("v", True)


async def test_prune_took_named_ones_until_141(tmp_path: Path) -> None:
    volumes = Volumes()
    async with serving(fake_engine(tmp_path, volumes=volumes), tmp_path) as ask:
        await ask("POST", "/v1.41/volumes/prune")
        assert volumes.calls[-1] == {"all": ["true"]}
        answer = await ask("POST", "/v1.42/volumes/prune")
        assert volumes.calls[-1] == {}
        assert answer.json() == {"VolumesDeleted": ["v"], "SpaceReclaimed": 5}
