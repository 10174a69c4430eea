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

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pierhead.build.export.model import Solved
from pierhead.build.history import HistoryRecord
from pierhead.build.model import BuildOptions, BuildResult, Client, Emit, Output
from pierhead.engine.filters import Filters
from pierhead.engine.images.model import Image
from pierhead.errors import NotImplementedYet
from pierhead.oci.platform import Platform

if TYPE_CHECKING:
    from pierhead.build.cache.exporting import CacheExporter
    from pierhead.build.cache.importing import CacheImporter
    from pierhead.build.execute.executor import Executor
    from pierhead.build.export.exporter import Exporter
    from pierhead.build.files.service import FileService
    from pierhead.engine.events import EventBus
    from pierhead.engine.images.service import ImageService
    from pierhead.engine.settings import Settings
    from pierhead.store.blobs import BlobStore
    from pierhead.store.database import Database
    from pierhead.store.paths import Paths
    from pierhead.store.snapshots import Snapshotter

Pull = Callable[[str, Platform | None, Client, Callable[[dict[str, Any]], None]], Awaitable[Image]]
"""(reference, platform, who has credentials, takes Docker's progress messages) → the image."""


class BuildService:
    """Wired in ``daemon/app.py``. ``files``, ``executor`` and ``exporter`` are public."""

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
        exporter: Exporter,
        cache_importer: CacheImporter,
        cache_exporter: CacheExporter,
        events: EventBus,
        settings: Settings,
        pull: Pull,
    ) -> None:
        self.files = files
        self.executor = executor
        self.exporter = exporter

    async def build(self, options: BuildOptions, client: Client, emit: Emit) -> BuildResult:
        """Solve and export to ``options.outputs`` (none: into the images).

        Raises ``PierError``: ``InvalidParameter`` with a rendered excerpt for a bad Dockerfile,
        ``StepFailed`` for a RUN that failed, ``Conflict`` if ``options.ref`` is being built.
        """
        raise NotImplementedYet("builds are not there yet")

    async def solve(self, options: BuildOptions, client: Client, emit: Emit) -> Solved:
        """Make or find all layers; nothing is recorded as an image yet. ``release`` it."""
        raise NotImplementedYet("builds are not there yet")

    async def export(
        self, solved: Solved, outputs: Sequence[Output], client: Client, emit: Emit
    ) -> BuildResult:
        """Give a solved build away; may be called several times before ``release``."""
        raise NotImplementedYet("builds are not there yet")

    async def release(self, solved: Solved, error: BaseException | None = None) -> None:
        """Let go of a solved build's layers and close its history record. Idempotent."""
        raise NotImplementedYet("builds are not there yet")

    async def describe(
        self, options: BuildOptions, client: Client, emit: Emit, call: str
    ) -> dict[str, Any]:
        """``--call``: ``check`` (or ``lint``), ``outline`` or ``targets``: JSON as BuildKit's
        subrequests give it (``result.json``). Nothing is built."""
        raise NotImplementedYet("builds are not there yet")

    def cancel(self, ref: str) -> bool:
        """Stop the build ``ref`` (``POST /build/cancel``). False: there's none that runs."""
        raise NotImplementedYet("builds are not there yet")

    def usage(self, filters: Filters | None = None) -> list[dict[str, Any]]:
        """The cache's records as ``BuildCache`` of the API (``ID``, ``Parents``, ``Type``,
        ``Description``, ``InUse``, ``Shared``, ``Size``, ``CreatedAt``, ``LastUsedAt``,
        ``UsageCount``): steps, cache mounts, kept contexts and downloads."""
        raise NotImplementedYet("builds are not there yet")

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
        raise NotImplementedYet("builds are not there yet")

    def history(self) -> list[HistoryRecord]:
        """All builds, those that run as well, newest first."""
        raise NotImplementedYet("builds are not there yet")

    def history_record(self, ref: str) -> HistoryRecord:
        """One build, by its ref, a unique prefix of it, or ``^0`` (newest), ``^1``...

        ``NotFound`` if there is none."""
        raise NotImplementedYet("builds are not there yet")

    def logs(self, ref: str) -> list[tuple[str, bytes]]:
        """What the steps of a build printed: (step id, bytes kept), in order of their start."""
        raise NotImplementedYet("builds are not there yet")

    async def history_remove(self, ref: str = "") -> int:
        """Forget one build, or all that don't run. How many went."""
        raise NotImplementedYet("builds are not there yet")

    def live_keys(self) -> set[str]:
        """Snapshots that outlive a restart: kept failed steps."""
        return set()

    def hold(self) -> None:
        """At start, after the snapshotter's recovery and before ``images.recover`` collects:
        lease what the cache has, forget records whose layers are gone."""

    async def recover(self) -> None:
        """At start, after the networks': drop what a kill left half made."""

    async def close(self) -> None:
        """Cancel what runs and write what is to be kept."""
