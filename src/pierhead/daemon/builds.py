"""The builds' part of the wiring: their services, and what they may ask of ``distribution``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pierhead.build.execute.executor import Executor
from pierhead.build.files.service import FileService
from pierhead.build.model import Client
from pierhead.build.registries import Registries, auth_for
from pierhead.build.service import BuildService, Outputs
from pierhead.distribution.service import DistributionService
from pierhead.engine.events import EventBus
from pierhead.engine.images.model import Image
from pierhead.engine.images.service import ImageService
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.errors import PierError, Unavailable
from pierhead.linux.cgroups import Layout
from pierhead.oci import reference
from pierhead.oci.platform import Platform
from pierhead.runtime.crun import Runtime
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter


def make(
    *,
    paths: Paths,
    db: Database,
    blobs: BlobStore,
    snapshots: Snapshotter,
    images: ImageService,
    networks: NetworkService,
    distribution: DistributionService,
    runtime: Runtime,
    events: EventBus,
    settings: Settings,
    layout: Layout,
) -> BuildService:
    """The build service with all of its parts; ``recover`` it before the images."""
    registries = Registries(
        push=lambda name, auth: distribution.push(name, auth=auth),
        open=distribution.open,
        fetch_layer=lambda repository, blob, diff_id, auth: distribution.fetch_layer(
            repository, blob, diff_id, auth=auth
        ),
    )
    files = FileService(paths=paths, db=db, snapshots=snapshots, images=images)
    executor = Executor(
        paths=paths,
        db=db,
        snapshots=snapshots,
        files=files,
        networks=networks,
        runtime=runtime,
        settings=settings,
        layout=layout,
    )

    def outputs() -> Outputs:
        # Where builds go to is a lot of code: for those who build.
        from pierhead.build.cache.exporting import CacheExporter
        from pierhead.build.cache.importing import CacheImporter
        from pierhead.build.export.exporter import Exporter

        mounts = executor.mounts
        return Outputs(
            exporter=Exporter(
                images=images,
                blobs=blobs,
                snapshots=snapshots,
                files=files,
                events=events,
                registries=registries,
            ),
            cache_importer=CacheImporter(
                images=images,
                blobs=blobs,
                snapshots=snapshots,
                mounts=mounts,
                registries=registries,
            ),
            cache_exporter=CacheExporter(
                images=images,
                blobs=blobs,
                snapshots=snapshots,
                mounts=mounts,
                registries=registries,
            ),
        )

    return BuildService(
        paths=paths,
        db=db,
        blobs=blobs,
        snapshots=snapshots,
        images=images,
        files=files,
        executor=executor,
        outputs=outputs,
        events=events,
        settings=settings,
        pull=_Pull(distribution, images),
    )


class _Pull:
    """Base images from registries, with the credentials of who builds."""

    def __init__(self, distribution: DistributionService, images: ImageService) -> None:
        self._distribution = distribution
        self._images = images

    async def __call__(
        self,
        name: str,
        platform: Platform | None,
        client: Client,
        progress: Callable[[dict[str, Any]], None],
    ) -> Image:
        wanted = str(platform) if platform is not None else None
        auth = await auth_for(client, reference.parse(name).with_default_tag())
        async for message in self._distribution.pull(name, platform=wanted, auth=auth):
            if "error" in message:
                raise Unavailable(str(message["error"]))
            progress(dict(message))
        try:
            return self._images.resolve(name, wanted)
        except PierError as error:
            raise Unavailable(f"{name} was pulled, but can't be found: {error}") from error
