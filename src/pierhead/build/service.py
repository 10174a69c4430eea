"""Builds: what every door (classic, BuildKit's, pier's own) asks of them.

A build has two halves. ``solve`` reads the Dockerfile, plans, and makes or finds the layers
of every platform's image; ``export`` gives the images away (into the image index, to a
registry, as archives). ``build`` is both::

    result = await service.build(options, client, emit)

    solved = await service.solve(options, client, emit)     # BuildKit's door
    try:
        result = await service.export(solved, outputs, client, emit)
    finally:
        await service.release(solved)

Cancelling the task that awaits one of these stops the build: steps that another build waits
for as well go on, the rest is killed. Finished steps stay in the cache.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from pierhead import tasks
from pierhead.build.cache.store import CacheStore
from pierhead.build.history import History, HistoryRecord, NoLogs, StepLogs
from pierhead.build.model import BuildOptions, BuildResult, Client, Emit, Output
from pierhead.build.solve.flights import Flights
from pierhead.build.solve.report import Report
from pierhead.engine.filters import Filters
from pierhead.engine.images.content import Lease
from pierhead.engine.images.model import Image
from pierhead.errors import Conflict, NotFound
from pierhead.oci.platform import Platform

if TYPE_CHECKING:
    from pierhead.build.cache.exporting import CacheExporter
    from pierhead.build.cache.importing import CacheImporter
    from pierhead.build.cache.usage import Item
    from pierhead.build.execute.executor import Executor
    from pierhead.build.export.exporter import Exporter
    from pierhead.build.export.model import Solved
    from pierhead.build.files.service import FileService
    from pierhead.build.solve.bases import BaseImage
    from pierhead.build.solve.build import Build as OneBuild
    from pierhead.build.solve.build import Parts as BuildParts
    from pierhead.engine.events import EventBus
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.settings import Settings
    from pierhead.store.blobs import BlobStore
    from pierhead.store.database import Database
    from pierhead.store.paths import Paths
    from pierhead.store.snapshots import Snapshotter

T = TypeVar("T")

log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0
COLLECT_S: Final = 60.0
"""How often, at most, the cache's bounds are looked at."""
UNUSED_S: Final = 60 * 24 * 3600
"""Cache records that nobody used for so long go."""

Pull = Callable[[str, Platform | None, Client, Callable[[dict[str, Any]], None]], Awaitable[Image]]
"""(reference, platform, who has credentials, takes Docker's progress messages) → the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where builds go to."""

    exporter: Exporter
    cache_importer: CacheImporter
    cache_exporter: CacheExporter


class BuildService:
    """Wired in ``daemon/app.py``. ``files``, ``executor`` and ``outputs`` are public."""

    def __init__(
        self,
        *,
        paths: Paths,
        db: Database,
        blobs: BlobStore,
        snapshots: Snapshotter,
        images: ImageService,
        files: FileService,
        executor: Executor,
        outputs: Callable[[], Outputs],
        events: EventBus,
        settings: Settings,
        pull: Pull,
    ) -> None:
        self.files = files
        self.executor = executor
        self.cache = CacheStore(db, images.index, snapshots)
        self.past = History(db, paths.data_root / "builds" / "logs")
        self._paths = paths
        self._blobs = blobs
        self._snapshots = snapshots
        self._images = images
        self._make_outputs = outputs
        self._outputs: Outputs | None = None
        self._events = events
        self._settings = settings
        self._pull = pull
        self._flights = Flights()
        self._open: dict[str, _Open] = {}
        self._collecting: asyncio.Task[None] | None = None
        self._collect_next_s = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def outputs(self) -> Outputs:
        """Exporters, made when the first build needs them."""
        if self._outputs is None:
            self._outputs = self._make_outputs()
        return self._outputs

    # Building

    async def build(self, options: BuildOptions, client: Client, emit: Emit) -> BuildResult:
        """Solve and export to ``options.outputs`` (none: into the images).

        Raises ``PierError``: ``InvalidParameter`` with a rendered excerpt for a bad Dockerfile,
        and for outputs that can't be, before anything is built; ``StepFailed`` for a RUN that
        failed, ``Conflict`` if ``options.ref`` is being built.
        """
        if options.outputs or options.cache_to:
            self.outputs.exporter.check(options, options.outputs)
            self.outputs.cache_exporter.check(options.cache_to)
        solved = await self.solve(options, client, emit)
        error: BaseException | None = None
        try:
            return await self.export(solved, options.outputs, client, emit)
        except BaseException as failure:
            error = failure
            raise
        finally:
            await self.release(solved, error)

    async def solve(self, options: BuildOptions, client: Client, emit: Emit) -> Solved:
        """Make or find all layers; nothing is recorded as an image yet. ``release`` it."""
        from pierhead.build.solve.build import Build

        ref = options.ref or secrets.token_hex(13)[:25]
        if ref in self._open:
            raise Conflict(f"build {ref} is under way")
        options.ref = ref
        opened = self._begin(ref, options, emit)
        build: OneBuild | None = None
        try:
            build = Build(self._parts(), options, client, opened.report, opened.lease, ref)
            solved = await self._watched(opened, build.solve())
        except BaseException as error:
            if build is not None:
                # Not awaited: steps that other builds wait for may go on, and use our sources
                # and our lease.
                closing = self._close(build, opened.lease)
                self._closing.add(tasks.spawn(closing, name=f"close build {ref}"))
            self._end(opened, error, release=build is None)
            raise
        await self._close(build)
        opened.solved = solved
        opened.record.materials = [
            {"uri": material.uri, "digest": material.digest}
            for material in dict.fromkeys(
                material for image in solved.images for material in image.materials
            )
        ]
        return solved

    async def export(
        self, solved: Solved, outputs: Sequence[Output], client: Client, emit: Emit
    ) -> BuildResult:
        """Give a solved build away; may be called several times before ``release``."""
        opened = self._open.get(solved.ref)
        if opened is None:
            raise NotFound(f"no such build: {solved.ref}")
        result = await self._watched(opened, self._export(opened, solved, outputs, client))
        opened.record.images = [
            {
                "platform": image.platform,
                "id": image.id,
                "manifest": image.manifest or "",
            }
            for image in result.images
        ]
        opened.record.digest = result.digest or ""
        return result

    async def _export(
        self, opened: _Open, solved: Solved, outputs: Sequence[Output], client: Client
    ) -> BuildResult:
        emit = opened.report.tap
        result = await self.outputs.exporter.export(solved, outputs, client, emit)
        for number, option in enumerate(solved.options.cache_to):
            if option.type != "inline":
                result.metadata.update(
                    await self.outputs.cache_exporter.export(
                        solved, option, client, emit, number=number
                    )
                )
        result.ref = solved.ref
        result.warnings = list(solved.warnings)
        return result

    async def release(self, solved: Solved, error: BaseException | None = None) -> None:
        """Let go of a solved build's layers and close its history record. Idempotent."""
        opened = self._open.get(solved.ref)
        if opened is not None and opened.solved is solved:
            self._end(opened, error)

    async def describe(
        self, options: BuildOptions, client: Client, emit: Emit, call: str
    ) -> dict[str, Any]:
        """``--call``: ``check`` (or ``lint``), ``outline`` or ``targets``: JSON as BuildKit's
        subrequests give it (``result.json``). Nothing is built."""
        from pierhead.build.solve import describe
        from pierhead.build.solve.build import Build

        record = HistoryRecord(ref=options.ref or secrets.token_hex(13)[:25])
        report = Report(emit, record, NoLogs())
        with self._images.index.lease() as lease:
            build = Build(self._parts(), options, client, report, lease, record.ref)
            try:
                return await describe.describe(build.reading, call, build.base_env)
            finally:
                await asyncio.shield(build.close())

    def cancel(self, ref: str) -> bool:
        """Stop the build ``ref`` (``POST /build/cancel``). False: there's none that runs."""
        opened = self._open.get(ref)
        if opened is None or opened.task is None or opened.task.done():
            return False
        opened.cancelled = True
        opened.task.cancel()
        return True

    # One build's life

    def _parts(self) -> BuildParts:
        from pierhead.build.solve.build import Parts

        return Parts(
            snapshots=self._snapshots,
            images=self._images,
            files=self.files,
            executor=self.executor,
            cache=self.cache,
            importer=self.outputs.cache_importer,
            flights=self._flights,
            pull=self._pull,
            solved=self._solved_base,
        )

    def _begin(self, ref: str, options: BuildOptions, emit: Emit) -> _Open:
        record = self.past.begin(ref, options)
        logs = self.past.open_log(ref)
        report = Report(emit, record, logs, in_order=options.classic)
        lease = self._images.index.lease()
        opened = _Open(record=record, report=report, lease=lease, logs=logs)
        self._open[ref] = opened
        return opened

    async def _watched(self, opened: _Open, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` so that ``cancel`` can stop it, in a task of its own."""
        task = opened.task = tasks.spawn(tasks.outcome(work), name=f"build {opened.record.ref}")
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            if opened.cancelled:
                raise Conflict("build was cancelled") from None
            task.cancel()
            await asyncio.wait([task])
            raise
        if isinstance(result, Exception):
            raise result
        return cast("T", result)

    async def _close(self, build: OneBuild, lease: Lease | None = None) -> None:
        try:
            await build.close()
        except Exception:
            log.exception("a build's sources can't be given back")
        finally:
            if lease is not None:
                lease.release()
            task = asyncio.current_task()
            if task is not None:
                self._closing.discard(task)

    def _end(self, opened: _Open, error: BaseException | None, *, release: bool = True) -> None:
        self._open.pop(opened.record.ref, None)
        if release:
            opened.lease.release()
        opened.logs.close()
        self.cache.flush()
        self.past.end(opened.record, error, cancelled=opened.cancelled)
        now = time.monotonic()
        if not self._open and now >= self._collect_next_s:
            self._collect_next_s = now + COLLECT_S
            self._collecting = tasks.spawn(self.collect(), name="bound the build cache")

    def _solved_base(self, ref: str, platform: Platform) -> BaseImage:
        """A build that is open as the base of another one (``solved://``)."""
        from pierhead.build.solve.bases import BaseImage

        opened = self._open.get(ref)
        if opened is None or opened.solved is None:
            raise NotFound(f"no such solved build: {ref}")
        images = opened.solved.images
        for image in images:
            if (
                platform.matches(
                    image.platform.os, image.platform.architecture, image.platform.variant
                )
                or len(images) == 1
            ):
                return BaseImage(
                    chain_id=image.chains[-1] if image.chains else None,
                    config=image.config,
                    image_id=None,
                    name=ref,
                )
        raise NotFound(f"build {ref} has no image for {platform}")

    # The cache

    def usage(self, filters: Filters | None = None) -> list[dict[str, Any]]:
        """The cache's records as ``BuildCache`` of the API (``ID``, ``Parents``, ``Type``,
        ``Description``, ``InUse``, ``Shared``, ``Size``, ``CreatedAt``, ``LastUsedAt``,
        ``UsageCount``): steps, cache mounts, kept contexts and downloads."""
        from pierhead.build.cache import usage

        return usage.listed(self._usage(), filters)

    async def prune(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        keep_bytes: int = 0,
        reserved_bytes: int = 0,
        min_free_bytes: int = 0,
    ) -> tuple[list[str], int]:
        """Drop cache records; ids and bytes freed. Filters as the API's: ``until``, ``id``,
        ``parent``, ``type``, ``description``, ``inuse``, ``shared``, ``private``. Without
        ``all`` only what no image needs. ``keep_bytes``: stop when no more than that is left."""
        from pierhead.build.cache import prune

        await self.executor.mounts.measure()
        ids, freed = await prune.prune(
            self._usage(),
            self.cache,
            self.executor.mounts,
            self.files,
            filters,
            all=all,
            keep_bytes=max(keep_bytes, reserved_bytes),
            min_free_bytes=min_free_bytes,
            data_root=self._paths.data_root,
        )
        self._events.emit("builder", "prune", "", {"reclaimed": str(freed)})
        return ids, freed

    async def collect(self) -> None:
        """Keep the cache within its bounds: what nobody used for ``UNUSED_S`` goes, and the
        longest unused while there is more than the settings allow."""
        if not self._settings.build_cache_bounded:
            return
        from pierhead.build.cache import prune

        items = self._usage()
        disk = os.statvfs(self._paths.data_root)
        limit = self._settings.build_cache_bytes or disk.f_blocks * disk.f_frsize // 10
        before_ns = time.time_ns() - UNUSED_S * 1_000_000_000
        old = prune.overdue(items, before_ns=before_ns)
        self.cache.drop([record for record in self.cache.hidden() if record.used_ns < before_ns])
        if not old and sum(item.size_bytes for item in items if not item.shared) <= limit:
            return
        for item in old:
            await prune.drop([item], self.cache, self.executor.mounts, self.files)
        ids, freed = await self.prune(all=True, keep_bytes=limit)
        log.info("build cache bounded", extra={"dropped": len(old) + len(ids), "freed": freed})

    def _usage(self) -> list[Item]:
        from pierhead.build.cache import usage

        return usage.items(self.cache, self._images.index, self.executor.mounts, self.files)

    # History

    def history(self) -> list[HistoryRecord]:
        """All builds, those that run as well, newest first."""
        return self.past.all()

    def history_record(self, ref: str) -> HistoryRecord:
        """One build, by its ref, a unique prefix of it, or ``^0`` (newest), ``^1``...

        ``NotFound`` if there is none."""
        return self.past.find(ref)

    def logs(self, ref: str) -> list[tuple[str, bytes]]:
        """What the steps of a build printed: (step id, bytes kept), in order of their start."""
        return self.past.logs(self.past.find(ref).ref)

    def history_pin(self, ref: str, pinned: bool) -> None:
        """Keep a build's record whatever comes, or don't any more. ``NotFound``."""
        self.past.pin(ref, pinned)

    async def history_remove(self, ref: str = "") -> int:
        """Forget one build, or all that don't run. How many went."""
        return self.past.remove(ref)

    # Life

    def live_keys(self) -> set[str]:
        """Snapshots that outlive a restart: kept failed steps."""
        return set(self.executor.live_keys())

    def hold(self) -> None:
        """At start, after the snapshotter's recovery and before ``images.recover`` collects:
        lease what the cache has, forget records whose layers are gone."""
        self.cache.load()

    async def recover(self) -> None:
        """At start, after the networks': drop what a kill left half made."""
        self.past.recover()
        await self.files.recover()
        await self.executor.recover()

    async def close(self) -> None:
        """Cancel what runs and write what is to be kept."""
        running = [opened.task for opened in self._open.values() if opened.task is not None]
        if self._collecting is not None:
            running.append(self._collecting)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=CLOSE_S)
        await self._flights.close()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_S)
        self.cache.flush()
        await self.executor.close()
        await self.files.close()


@dataclass(slots=True)
class _Open:
    """A build that isn't released yet."""

    record: HistoryRecord
    report: Report
    lease: Lease
    logs: StepLogs
    task: asyncio.Task[Any] | None = None
    solved: Solved | None = None
    cancelled: bool = False
