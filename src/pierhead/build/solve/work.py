"""One step: looked up in the cache, or done, once for all who need it.

There are three looks: by the step's cheap key (trees by their names), by the exact key
(trees by what was selected of them), and both in what ``--cache-from`` brought. What is done
is recorded under both keys.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from pierhead.build.cache.store import Record
from pierhead.build.execute.model import RunOutcome
from pierhead.build.files.model import Selection
from pierhead.build.plan import keys
from pierhead.build.plan.model import Step
from pierhead.build.solve.flights import Flight
from pierhead.build.solve.report import Reported
from pierhead.build.solve.runner import Origins, Result, Runner
from pierhead.oci.digest import ChainId, DiffId
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Layer, LayerSource, Snapshotter

EMPTY_TAR: Final = DiffId("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")
"""Of a layer without any file."""


class Work:
    """One step that is looked for or done."""

    kind = "regular"

    def __init__(
        self,
        runner: Runner,
        base: ChainId | None,
        step: Step,
        op: Any,
        origins: Origins,
        platform: Platform,
    ) -> None:
        self.runner = runner
        self.base = base
        self.step = step
        self.op = op
        self.origins = origins
        self.platform = platform
        self.files: Sequence[Selection] = ()

    def shown(self) -> str:
        """See ``Result.shown``."""
        return ""

    def private(self) -> str:
        """Set where only this build's client can help with the work: it isn't shared then."""
        return ""

    async def cheap(self) -> keys.Parts | None:
        """The key without a look into trees; ``None`` if that can't be."""
        return None

    async def exact(self) -> keys.Parts:
        raise NotImplementedError

    async def do(self, flight: Flight[Result]) -> tuple[Layer | None, bool, RunOutcome | None]:
        """Do it: (the layer, whether anything changed, ...)."""
        raise NotImplementedError

    async def result(
        self, reported: Callable[[], Reported], *, place: str, use_cache: bool
    ) -> Result:
        runner = self.runner
        cheap = await self.cheap()
        cheap_key = keys.key(cheap) if cheap is not None else ""
        if use_cache and cheap_key:
            hit = self._hit(cheap_key)
            if hit is not None:
                return await self.finish(hit)
        parts = await self.exact()
        key = keys.key(parts)
        if use_cache:
            hit = self._hit(key)
            if hit is not None:
                if cheap_key and hit.key == key and key in runner.cache.records:
                    self._alias(cheap_key, runner.cache.records[key])
                return await self.finish(hit)
        miss = self._why(parts, place, use_cache)
        step = reported()
        step.progress("", "running")
        await runner.ensure(self.base)
        done: Result = await runner.flights.run(
            key + self.private(),
            lambda flight: self._do(flight, key, cheap_key, parts, place),
            step.log,
            runner.began,
        )
        if done.chain_id is not None:
            runner.lease.add_chains([done.chain_id])
        if done.outcome is not None:
            step.kept.max_memory_bytes = done.outcome.max_memory_bytes
            step.kept.cpu_ns = done.outcome.cpu_ns
        return await self.finish(replace(done, miss=miss))

    async def finish(self, result: Result) -> Result:
        """What is to be done with a result whether it was found or made."""
        return result

    def _hit(self, key: str) -> Result | None:
        record = self.runner.look(key)
        if record is not None:
            return Result(
                chain_id=record.chain_id,
                key=record.key,
                created_ns=record.created_ns,
                cached=True,
                changed=record.changed,
                shown=record.shown,
            )
        imported = self.runner.look_imported(key)
        if imported is None:
            return None
        record = self._record(key, imported[0], {}, "", imported[1])
        record.used_ns = time.time_ns()
        self.runner.learned[key] = record
        return Result(
            chain_id=record.chain_id,
            key=key,
            created_ns=record.created_ns,
            cached=True,
            shown=record.shown,
        )

    def _record(
        self, key: str, chain_id: ChainId | None, parts: keys.Parts, place: str, now: int
    ) -> Record:
        return Record(
            key=key,
            chain_id=chain_id,
            size_bytes=0,
            created_ns=now,
            used_ns=now,
            uses=1,
            description=self.step.text or self.step.instruction,
            kind=self.kind,
            parent=self.base,
            text=self.step.instruction,
            place=place,
            parts=keys.shortened(parts),
            shown=self.shown(),
        )

    def _why(self, parts: keys.Parts, place: str, use_cache: bool) -> str:
        if not use_cache:
            return "--no-cache"
        before = self.runner.cache.similar(self.step.instruction, place)
        if before is None:
            return "no such step before"
        return keys.difference(before.parts, parts)

    async def _do(
        self, flight: Flight[Result], key: str, cheap_key: str, parts: keys.Parts, place: str
    ) -> Result:
        runner = self.runner
        layer, changed, outcome = await self.do(flight)
        # No await between here and the leases: nobody can collect the new layer.
        now = time.time_ns()
        chain_id = layer.chain_id if layer is not None else self.base
        if chain_id is not None:
            runner.lease.add_chains([chain_id])
        record = self._record(key, chain_id, parts, place, now)
        record.size_bytes = layer.size_bytes if layer is not None else 0
        record.changed = changed
        runner.cache.put(record)
        if cheap_key:
            self._alias(cheap_key, record)
        return Result(
            chain_id=chain_id,
            key=key,
            created_ns=now,
            cached=False,
            changed=changed,
            shown=record.shown,
            outcome=outcome,
        )

    def _alias(self, key: str, record: Record) -> None:
        """Find ``record`` by its cheap key as well, next time."""
        if key not in self.runner.cache.records:
            self.runner.cache.put(
                replace(record, key=key, kind="alias", text="", place="", parts={}, lease=None)
            )

    async def empty_layer(self) -> Layer:
        """A layer of an empty tar on the base: what changed nothing still counts."""
        return await empty_layer(self.runner.snapshots, self.base)


async def empty_layer(snapshots: Snapshotter, base: ChainId | None) -> Layer:
    layer = await snapshots.adopt(EMPTY_TAR, base)
    if layer is None:
        read_fd, write_fd = os.pipe()
        try:
            os.write(write_fd, bytes(1024))
        finally:
            os.close(write_fd)
        try:
            layer = await snapshots.apply(LayerSource(read_fd, 1024), base, EMPTY_TAR)
        finally:
            os.close(read_fd)
    return layer
