"""Images that builds stand on or copy from: those that are here, else from a registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pierhead import tasks
from pierhead.build.export.model import Material
from pierhead.build.files.model import CopyRequest
from pierhead.build.files.service import FileService
from pierhead.build.model import BuildOptions, Client
from pierhead.build.plan import urls
from pierhead.build.plan.model import FromContext, FromImage
from pierhead.build.plan.planner import Base
from pierhead.build.solve import layouts
from pierhead.build.solve.report import Report, Reported
from pierhead.build.solve.sources import Tree
from pierhead.engine.images.content import Lease
from pierhead.engine.images.model import Image
from pierhead.engine.images.service import ImageService
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci import reference
from pierhead.oci.digest import ChainId, Digest, ImageId, is_digest
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.service import Pull


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """An image that a build uses; its layers are held."""

    chain_id: ChainId | None
    config: ImageConfig
    image_id: ImageId | None
    name: str
    """``docker.io/library/busybox:latest``, with ``@sha256:…`` where it has a digest."""


Solved = Callable[[str, Platform], BaseImage]


class Bases:
    """All images of one build, each resolved once."""

    def __init__(
        self,
        *,
        images: ImageService,
        files: FileService,
        pull: Pull,
        client: Client,
        options: BuildOptions,
        report: Report,
        lease: Lease,
        snapshots: Snapshotter,
        solved: Solved,
    ) -> None:
        self._images = images
        self._files = files
        self._pull = pull
        self._client = client
        self._options = options
        self._report = report
        self._lease = lease
        self._snapshots = snapshots
        self._solved = solved
        self._running: dict[object, asyncio.Task[Any]] = {}
        self.materials: list[Material] = []
        self.started: dict[int, Reported] = {}
        """Classic: FROM steps that were told already, by stage, since a pull belongs to them."""
        self.telling: dict[FromImage, Reported] = {}
        self.told: dict[FromImage, Reported] = {}
        """FROM steps that were told: stages on the same image share one."""

    async def _once(self, key: object, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = tasks.spawn(tasks.outcome(work()), name="base image")
        found = await asyncio.shield(task)
        if isinstance(found, Exception):
            raise found
        return found

    async def image(self, origin: FromImage) -> BaseImage:
        """The image, pulled if it isn't here (or ``--pull``). ``NotFound``, ``Unavailable``."""
        found: BaseImage = await self._once(origin, lambda: self._image(origin))
        return found

    async def named(self, origin: FromContext, platform: Platform) -> BaseImage | None:
        """A named context that is an image; ``None`` if it is files."""
        value = self._options.named_contexts.get(origin.name, "") if origin.name else ""
        if value.startswith("docker-image://"):
            return await self.image(FromImage(value.removeprefix("docker-image://"), platform))
        if value.startswith("solved://"):
            found = self._solved(value.removeprefix("solved://"), platform)
            if found.chain_id is not None:
                self._lease.add_chains([found.chain_id])
            return found
        if value.startswith(layouts.PREFIX):
            loaded: BaseImage = await self._once(
                (value, platform), lambda: self._layout(origin.name, value, platform)
            )
            return loaded
        if value and not value.startswith("local:") and not urls.is_remote(value):
            raise InvalidParameter(f"unsupported context source {value.partition(':')[0]}")
        return None

    async def _layout(self, name: str, value: str, platform: Platform) -> BaseImage:
        with self._report.start(f"[context {name}] OCI load from client", identity=value):
            chain_id, config = await layouts.load(
                value, platform, self._client, self._snapshots, self._lease
            )
        return BaseImage(chain_id=chain_id, config=config, image_id=None, name=value)

    async def base(self, origin: FromImage | FromContext, platform: Platform) -> Base:
        """For the planner."""
        if isinstance(origin, FromImage):
            image = await self.image(origin)
            return Base(config=image.config, name=image.name)
        named = await self.named(origin, platform)
        if named is not None:
            return Base(config=named.config, name=named.name)
        return Base(config=None, name=origin.name or "context")

    async def layer_of(self, tree: Tree) -> ChainId | None:
        """A tree of files as a base: all of it in one layer."""
        request = CopyRequest(sources=("/",), destination="/")
        selection = await self._files.select(tree.source, request)
        layer = await self._files.copy(None, [selection], request)
        return layer.chain_id

    async def _image(self, origin: FromImage) -> BaseImage:
        try:
            ref = reference.parse(origin.name)
            name = str(ref.with_default_tag())
        except InvalidParameter:
            if not (is_digest(origin.name) or len(origin.name) == 64):
                raise
            name = origin.name
        local = None if self._options.pull else self._local(origin)
        title = f"[internal] load metadata for {name}"
        if self._options.classic:
            image = local or await self._pulled(origin, name, self.telling.get(origin))
        else:
            with self._report.start(title, identity=str(origin.platform)) as step:
                image = local or await self._pulled(origin, name, step)
        self._lease.add_chains(image.chains)
        self._lease.add_blobs([image.id])
        target = self._images.index.target(origin.name)
        digest = Digest(target.digest) if target is not None else None
        self.materials.append(_material(name, image, digest))
        shown = name if digest is None or "@" in name else f"{name}@{digest}"
        return BaseImage(
            chain_id=image.chain_id, config=image.config, image_id=image.id, name=shown
        )

    def here(self, origin: FromImage) -> ImageConfig | None:
        """The config of an image if it needn't be pulled."""
        image = self._local(origin)
        return image.config if image is not None else None

    def _local(self, origin: FromImage) -> Image | None:
        try:
            return self._images.resolve(origin.name, str(origin.platform))
        except NotFound:
            pass
        try:
            image = self._images.resolve(origin.name)
        except NotFound:
            return None
        # Without --platform an image for another machine is used if it's the one that is here.
        return image if not self._options.platforms and not self._explicit(origin) else None

    def _explicit(self, origin: FromImage) -> bool:
        return origin.platform != self._images.index.host

    async def _pulled(self, origin: FromImage, name: str, told: Reported | None) -> Image:
        message: Callable[[dict[str, Any]], None] | None = getattr(self._client, "message", None)

        def progress(update: dict[str, Any]) -> None:
            if message is not None:
                tell = message
                self._report.call(lambda: tell(update), told.order if told is not None else 0)
            elif told is not None and (detail := update.get("progressDetail")):
                told.progress(
                    f"{update.get('status', '')} {update.get('id', '')}".strip(),
                    "downloading",
                    int(detail.get("current") or 0),
                    int(detail.get("total") or 0),
                )

        explicit = self._options.platforms or self._explicit(origin)
        platform = origin.platform if explicit else None
        try:
            return await self._pull(name, platform, self._client, progress)
        except PierError as error:
            if self._options.classic:
                raise
            error.message = f"{origin.name}: failed to resolve source metadata for {name}: {error}"
            error.args = (error.message,)
            raise

    async def close(self) -> None:
        running = [task for task in self._running.values() if not task.done()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


def _material(name: str, image: Image, digest: Digest | None) -> Material:
    """As BuildKit names an image: a package URL."""
    try:
        ref = reference.parse(name)
    except InvalidParameter:
        return Material(uri=f"pkg:docker/{name}", digest=digest or image.id)
    platform = f"{image.config.os or 'linux'}%2F{image.config.architecture}"
    tag = f"@{ref.tag}" if ref.tag else ""
    return Material(
        uri=f"pkg:docker/{ref.familiar_name}{tag}?platform={platform}", digest=digest or image.id
    )
