"""The outputs' world, and cache mounts that only keep tars."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from pierhead.build.cache.exporting import CacheExporter
from pierhead.build.cache.importing import CacheImporter
from unit.build.export.conftest import Build, build, world

__all__ = ["build", "world"]


@dataclass
class FakeMount:
    id: str
    name: str


class FakeMounts:
    def __init__(self) -> None:
        self.tars: dict[str, tuple[str, bytes]] = {}

    def list(self) -> list[FakeMount]:
        return [FakeMount(id_, name) for id_, (name, _) in self.tars.items()]

    async def export(self, id_: str) -> AsyncIterator[bytes]:
        yield self.tars[id_][1]

    async def import_(self, id_: str, name: str, tar: AsyncIterator[bytes]) -> bool:
        self.tars[id_] = (name, b"".join([chunk async for chunk in tar]))
        return True


@pytest.fixture
def mounts() -> FakeMounts:
    return FakeMounts()


def parts(build: Build, mounts: FakeMounts) -> dict[str, Any]:
    return {
        "images": build.world.images,
        "blobs": build.world.blobs,
        "snapshots": build.world.snapshots,
        "mounts": mounts,
        "registries": build.registries,
    }


@pytest.fixture
def exporter(build: Build, mounts: FakeMounts) -> CacheExporter:
    return CacheExporter(**parts(build, mounts))


@pytest.fixture
def importer(build: Build, mounts: FakeMounts) -> CacheImporter:
    return CacheImporter(**parts(build, mounts))
