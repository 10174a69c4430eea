"""The images room's face: what the API, containers and builds ask of local images."""

from __future__ import annotations

import asyncio
import builtins
import os
import platform as host
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from pierhead import tasks
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.images import bootstrap, importing, listing, saving, selection
from pierhead.engine.images.collecting import Collector
from pierhead.engine.images.commit import commit
from pierhead.engine.images.content import Kept
from pierhead.engine.images.events import image_event
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.loading import Loader
from pierhead.engine.images.model import Image
from pierhead.engine.images.remove import ContainerUse, ImageRemover
from pierhead.engine.images.summaries import summaries
from pierhead.errors import InvalidParameter, PierError
from pierhead.oci import platform, reference
from pierhead.oci.digest import ChainId, Digest, ImageId
from pierhead.oci.image_config import RunConfig
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

__all__ = ["ContainerUse", "ImageService"]

if TYPE_CHECKING:
    from pierhead.engine.images.verifying import Registries

List = builtins.list  # the class has a method of that name


class ImageService:
    """Local images. Reads are synchronous and answered from memory."""

    def __init__(
        self,
        *,
        paths: Paths,
        db: Database,
        blobs: BlobStore,
        snapshots: Snapshotter,
        events: EventBus,
    ) -> None:
        self._paths = paths
        self._db = db
        self._blobs = blobs
        self._snapshots = snapshots
        self._events = events
        self._platform = platform.of_machine(host.machine())
        self.in_use: Callable[[str], List[ContainerUse]] = lambda image_id: []
        """Given an image id: the containers using it. Set by the wiring."""
        self.use_counts: Callable[[], Mapping[str, int]] | None = None
        """How many containers each image has, for lists. Set by the wiring."""
        self.index = ImageIndex(db, blobs, snapshots)
        self._remover = ImageRemover(
            self.index, snapshots, events, lambda image_id: self.in_use(image_id)
        )
        snapshots.on_removed = self._snapshot_removed
        self._collector = Collector(self.index, blobs, self._remover)
        self.index.on_garbage = self._collector.soon
        self.index.content.on_release = self._collector.soon

    def _snapshot_removed(self, chain_id: ChainId) -> None:
        if self._remover.has_orphans:
            tasks.spawn(self._remover.release_orphans(), name="release layers")

    # Reading

    def resolve(self, ref: str, platform: str | None = None) -> Image:
        """The image by name, name@digest, id or unique id prefix.

        With ``platform`` the one for it among those that the name's index leads to and that
        are here. Raises ``NotFound`` ("No such image: x:latest"), also if it is for another
        platform than asked; ``InvalidParameter`` if ``ref`` is no reference.
        """
        image = self.index.get(ref)
        if not platform:
            return image
        wanted = self._wanted(platform)
        found = self.index.variant(ref, wanted)
        if found is None:
            listing.check_platform(image, platform, ref, self._platform.architecture)
            return image
        return found

    def list(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        digests: bool = False,
        shared_size: bool = False,
        manifests: bool = False,
    ) -> List[dict[str, Any]]:
        """``GET /images/json``. Images without names have empty ``RepoTags``/``RepoDigests``."""
        del digests  # the API sends them anyway; it is the client that shows or hides them
        return listing.list_images(
            self.index,
            self._snapshots,
            filters or Filters(),
            all=all,
            shared_size=shared_size,
            containers=self._count_users() if manifests else None,
            manifests=self._manifests if manifests else None,
        )

    def _manifests(self, target: Kept) -> List[dict[str, Any]]:
        def users(image_id: str) -> builtins.list[str]:
            return [user.container_id for user in self.in_use(image_id)]

        return summaries(self.index, self._blobs, target, users)

    def _count_users(self) -> Callable[[str], int]:
        if self.use_counts is None:
            return lambda image_id: len(self.in_use(image_id))
        counts = self.use_counts()
        return lambda image_id: counts.get(image_id, 0)

    def inspect(
        self, ref: str, platform: str | None = None, *, manifests: bool = False
    ) -> dict[str, Any]:
        """``GET /images/{name}/json``."""
        image = self.resolve(ref, platform)
        target = self.index.target(ref)
        if platform and target is not None:
            target = self.index.manifest_of(image, within=target.digest)
        details = listing.inspect_image(image, self._snapshots, target)
        if manifests and target is not None:
            details["Manifests"] = self._manifests(target)
        return details

    async def attestations(
        self,
        ref: str,
        platform: str | None = None,
        *,
        types: Collection[str] = (),
        whole: bool = False,
    ) -> List[dict[str, Any]]:
        """``GET /images/{name}/attestations``; see ``attestations.statements``."""
        from pierhead.engine.images import attestations

        image = self.resolve(ref, platform)
        return await attestations.statements(
            self.index, self._blobs, ref, image, types=types, whole=whole
        )

    def history(self, ref: str, platform: str | None = None) -> List[dict[str, Any]]:
        """``GET /images/{name}/history``, newest first."""
        return listing.history(self.resolve(ref, platform), self.index, self._snapshots)

    def disk_usage(self) -> dict[str, Any]:
        """For ``/system/df``, in bytes.

        ``LayersSize`` is all layers, each once: what the ``Images`` have for themselves
        (``Size`` - ``SharedSize``), what they share, and what only containers still need.
        ``Reclaimable`` is what removing all images without containers would free.
        """
        count = self._count_users()
        total = sum(layer.size_bytes for layer in self._snapshots.layers())
        used = listing.needed_bytes(
            self.index, self._snapshots, lambda image_id: count(image_id) > 0
        )
        return {
            "LayersSize": total,
            "Reclaimable": max(total - used, 0),
            "Images": listing.list_images(
                self.index,
                self._snapshots,
                Filters(),
                all=False,
                shared_size=True,
                containers=count,
            ),
        }

    def __len__(self) -> int:
        """How many images there are, intermediate ones included (``Images`` of info)."""
        return len(self.index.images)

    # Naming and removing

    def tag(self, ref: str, repo: str, tag: str = "") -> None:
        """``POST /images/{name}/tag``. Raises ``InvalidParameter`` for a bad name or tag."""
        image = self.index.get(ref)
        kept = self.index.target(ref)
        self._tag(image, _target(repo, tag), kept.digest if kept is not None else None)

    def _tag(self, image: Image, target: Reference, digest: Digest | None = None) -> None:
        self.index.tag(image, target, digest)
        image_event(self._events, image, target.with_default_tag().familiar, "tag")

    async def remove(
        self,
        ref: str,
        *,
        force: bool = False,
        noprune: bool = False,
        platforms: List[str] | None = None,
    ) -> List[dict[str, str]]:
        """``DELETE /images/{name}``: a list of ``{"Untagged": name}`` and ``{"Deleted": id}``.

        With ``platforms`` only the images of these go, the name stays while one is left.

        Raises ``Conflict`` with Docker's wording while containers or children need it.
        """
        return await self._remover.remove(
            ref,
            force=force,
            noprune=noprune,
            platforms=[self._wanted(text) for text in platforms or ()],
        )

    async def prune(self, filters: Filters | None = None) -> dict[str, Any]:
        """``POST /images/prune``: ``ImagesDeleted`` (or None) and ``SpaceReclaimed`` in bytes."""
        return await self._remover.prune(filters or Filters())

    # Making

    async def import_image(
        self,
        chunks: AsyncIterator[bytes],
        *,
        repo: str = "",
        tag: str = "",
        changes: List[str] | None = None,
        message: str = "",
        platform: str | None = None,
    ) -> ImageId:
        """``POST /images/create?fromSrc=-``: a root file system as tar, compressed or not."""
        target = _target(repo, tag) if repo else None
        image = await importing.import_tar(
            self.index,
            self._snapshots,
            chunks,
            ref=target,
            changes=changes or [],
            message=message or "Imported from -",
            platform=self._wanted(platform),
        )
        if target is not None:
            image_event(self._events, image, target.familiar, "tag")
        image_event(self._events, image, image.id, "import")
        return image.id

    def _wanted(self, text: str | None) -> platform.Platform:
        return platform.parse(text, self._platform.architecture) if text else self._platform

    async def import_url(
        self,
        url: str,
        *,
        repo: str = "",
        tag: str = "",
        changes: List[str] | None = None,
        message: str = "",
        platform: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /images/create?fromSrc=http://...``: progress, last ``{"status": id}``."""
        from pierhead.engine.images.download import download  # aiohttp's client is large

        yield {"status": f"Downloading from {url}"}
        async with download(url) as chunks:
            image_id = await self.import_image(
                chunks,
                repo=repo,
                tag=tag,
                changes=changes,
                message=message or f"Imported from {url}",
                platform=platform,
            )
        yield {"status": image_id}

    async def load(
        self,
        chunks: AsyncIterator[bytes],
        *,
        quiet: bool = False,
        platforms: List[str] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /images/load``: docker archive or OCI layout; Docker's progress messages.

        All images in it, or only those for ``platforms``.

        For an archive that can't be loaded the last message is the error: clients look for
        it there, since dockerd has answered 200 by then in any case.
        """
        loader = Loader(
            self._paths,
            self._db,
            self._blobs,
            self.index,
            self._snapshots,
            self._events,
            self._platform,
            [self._wanted(text) for text in platforms or ()],
        )
        try:
            async for message in loader.run(chunks, quiet=quiet):
                yield message
        except PierError as error:
            yield {"errorDetail": {"message": error.message}, "error": error.message}

    def save(self, refs: List[str], *, platforms: List[str] | None = None) -> AsyncIterator[bytes]:
        """``GET /images/get``: one archive with all of ``refs``.

        A plain repository name takes all of its tags, an index all its images that are here,
        or those for ``platforms``. Raises ``NotFound`` before it returns.
        """
        wanted = [self._wanted(text) for text in platforms or ()]
        plan = selection.plan(self.index, self._blobs, refs, wanted)
        for image in plan.images:
            image_event(self._events, image, image.id, "save")
        return saving.stream(plan, self.index, self._blobs, self._snapshots)

    async def commit(
        self,
        *,
        snapshot_key: str,
        parent: Image | None,
        config: RunConfig,
        author: str = "",
        comment: str = "",
        changes: List[str] | None = None,
        repo: str = "",
        tag: str = "",
        container_id: str = "",
        container_config: RunConfig | None = None,
    ) -> ImageId:
        """An image from a container's snapshot (the caller pauses the container).

        ``config`` is the container's, before ``changes``. The container's ``commit`` event is
        the caller's to send.
        """
        target = _target(repo, tag) if repo else None
        image = await commit(
            self.index,
            self._snapshots,
            snapshot_key=snapshot_key,
            parent=parent,
            config=config,
            author=author,
            comment=comment,
            changes=changes or [],
            container_id=container_id,
            container_config=container_config,
            platform=self._platform,
        )
        if target is not None:
            self._tag(image, target)
        return image.id

    def bootstrap(
        self,
        spec: str,
        *,
        variant: str = "",
        packages: List[str] | None = None,
        mirror: str = "",
        tag: str = "",
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /pierhead/images/bootstrap``: ``busybox`` or ``debian:<suite>``; progress.

        ``tag`` is a whole name to use instead of ``spec``. Raises ``InvalidParameter`` before
        it returns for what can't be; ``Unavailable`` from the iteration.
        """
        request = bootstrap.request(
            spec, variant=variant, packages=packages or [], mirror=mirror, name=tag
        )
        return bootstrap.run(request, self.index, self._snapshots, self._paths, self._events)

    def verify(
        self, names: List[str], *, registries: Registries | None, auth: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /pierhead/images/verify``: messages; with ``registries`` damage is repaired.

        No names: all images. Raises ``NotFound`` before it returns.
        """
        from pierhead.engine.images.verifying import Verifier

        images = [self.index.get(name) for name in names] or [*self.index.images.values()]
        return Verifier(self.index, self._blobs, self._snapshots, registries, auth).run(images)

    async def recover(self) -> None:
        """At start, after the snapshotter's: drop scratch files and what no image needs."""
        self._blobs.recover()
        for name in os.listdir(self._paths.tmp):
            await asyncio.to_thread(saving.discard, self._paths.tmp / name)
        self._remover.suspect(layer.chain_id for layer in self._snapshots.layers())
        await self._collector.collect()

    async def collect(self) -> None:
        """Delete now what nothing leads to (it happens by itself soon after a change)."""
        await self._collector.collect()


def _target(repo: str, tag: str) -> Reference:
    """The name to give, from the API's ``repo`` and ``tag``."""
    ref = reference.parse(repo)
    if ref.digest is not None:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    if ref.familiar_name == "sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return ref.with_tag(tag) if tag else ref.with_default_tag()
