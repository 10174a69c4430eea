"""What the steps of one build have in common: where results are looked for, and held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pierhead.build.cache.importing import ImportedCache
from pierhead.build.cache.store import CacheStore, Record
from pierhead.build.execute.executor import Executor
from pierhead.build.execute.model import RunOutcome
from pierhead.build.files.service import FileService
from pierhead.build.model import BuildOptions, Client
from pierhead.build.plan.model import Origin
from pierhead.build.solve.flights import Flights
from pierhead.build.solve.sources import Sources, Tree
from pierhead.engine.images.content import Lease
from pierhead.errors import Unavailable
from pierhead.oci.digest import ChainId
from pierhead.store.snapshots import Snapshotter

Origins = Callable[[Origin], Awaitable[Tree]]


class CacheGone(Unavailable):
    """``--cache-from`` promised what it couldn't give: build without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What stands after a step."""

    chain_id: ChainId | None
    key: str
    created_ns: int
    cached: bool
    changed: bool = True
    miss: str = ""
    shown: str = ""
    """A COPY's files in the classic history: ``file:HASH``."""
    outcome: RunOutcome | None = None


@dataclass(slots=True, kw_only=True)
class Runner:
    """What steps of one build have in common."""

    snapshots: Snapshotter
    files: FileService
    executor: Executor
    cache: CacheStore
    flights: Flights
    sources: Sources
    options: BuildOptions
    client: Client
    lease: Lease
    ref: str
    project: str = ""
    """What tells this build's Dockerfile from others, for ``similar``."""
    imported: list[ImportedCache] = field(default_factory=list)
    hostname: str = ""
    mount_namespace: str = ""
    learned: dict[str, Record] = field(default_factory=dict)
    """What imported caches told: ours as well once the layers are here."""
    working: set[asyncio.Task[Any]] = field(default_factory=set)
    """Steps that this build began; others may wait for them when it is gone."""

    def began(self, task: asyncio.Task[Any]) -> None:
        self.working.add(task)
        task.add_done_callback(self.working.discard)

    def look(self, key: str) -> Record | None:
        """A record of our own cache, its chain held for this build."""
        record = self.cache.get(key)
        if record is not None and record.chain_id is not None:
            self.lease.add_chains([record.chain_id])
        return record

    def look_imported(self, key: str) -> tuple[ChainId | None, int] | None:
        """(chain, when it was made) that ``--cache-from`` knows of; its layers may be elsewhere."""
        for cache in self.imported:
            if key in cache.results:
                return cache.results[key], cache.created.get(key) or time.time_ns()
        return None

    async def ensure(self, chain_id: ChainId | None) -> None:
        """Have the layers of a chain that an imported cache told of. ``Unavailable``."""
        if chain_id is None:
            return
        # First the lease, then the look: what is there now may be on its way out.
        self.lease.add_chains([chain_id])
        if self.snapshots.layer(chain_id) is not None:
            return
        for cache in self.imported:
            if await cache.materialise(chain_id):
                self._learn()
                return
        raise CacheGone(f"the imported cache has no layers for {chain_id}")

    def _learn(self) -> None:
        for key, record in list(self.learned.items()):
            layer = self.snapshots.layer(record.chain_id) if record.chain_id is not None else None
            if record.chain_id is None or layer is not None:
                del self.learned[key]
                record.size_bytes = layer.size_bytes if layer is not None else 0
                if key not in self.cache.records:
                    self.cache.put(record)
