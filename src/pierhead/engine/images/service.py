"""The images room's face: what the API, containers and builds ask of local images."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.images.model import Image
from pierhead.oci.digest import ImageId
from pierhead.oci.image_config import RunConfig
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter


class ContainerUse(NamedTuple):
    """A container that uses an image."""

    container_id: str
    running: bool


class ImageService:
    """Local images. See each verb's module for its rules."""

    in_use: Callable[[str], list[ContainerUse]]
    """Given an image id: the containers using it. Set by the wiring; default: none."""

    def __init__(
        self, *, paths: Paths, db: Database, blobs: BlobStore, snapshots: Snapshotter,
        events: EventBus,
    ) -> None: ...

    def resolve(self, ref: str, platform: str | None = None) -> Image:
        """By name, name@digest, id or unique id prefix.

        ``NotFound`` "No such image: x:latest".
        """
        raise NotImplementedError

    def list(
        self, filters: Filters | None = None, *, all: bool = False, digests: bool = False,
        shared_size: bool = False,
    ) -> list[dict[str, Any]]:
        """``GET /images/json``."""
        raise NotImplementedError

    def inspect(self, ref: str) -> dict[str, Any]:
        """``GET /images/{name}/json``."""
        raise NotImplementedError

    def history(self, ref: str) -> list[dict[str, Any]]:  # type: ignore[valid-type]
        """``GET /images/{name}/history``, newest first."""
        raise NotImplementedError

    def tag(self, ref: str, repo: str, tag: str = "") -> None:
        """``POST /images/{name}/tag``."""
        raise NotImplementedError

    async def remove(
        self, ref: str, *, force: bool = False, noprune: bool = False
    ) -> list[dict[str, str]]:  # type: ignore[valid-type]
        """``DELETE /images/{name}``: [{"Untagged": ref} | {"Deleted": id}]."""
        raise NotImplementedError

    async def prune(self, filters: Filters | None = None) -> dict[str, Any]:
        """``POST /images/prune``: {"ImagesDeleted": [...] | None, "SpaceReclaimed": bytes}."""
        raise NotImplementedError

    async def import_image(
        self, chunks: AsyncIterator[bytes], *, repo: str = "", tag: str = "",
        changes: list[str] | None = None, message: str = "",  # type: ignore[valid-type]
        platform: str | None = None,
    ) -> ImageId:
        """``POST /images/create?fromSrc=-``: a file system tar, in any known compression."""
        raise NotImplementedError

    def import_url(
        self, url: str, *, repo: str = "", tag: str = "",
        changes: list[str] | None = None, message: str = "",  # type: ignore[valid-type]
        platform: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /images/create?fromSrc=http://...``: progress, last {"status": id}."""
        raise NotImplementedError

    def load(self, chunks: AsyncIterator[bytes], *, quiet: bool = False) -> AsyncIterator[dict[str, Any]]:
        """``POST /images/load``: progress messages as Docker's JSON stream."""
        raise NotImplementedError

    def save(self, refs: list[str]) -> AsyncIterator[bytes]:  # type: ignore[valid-type]
        """``GET /images/get``: checks all names before it returns, then streams the archive."""
        raise NotImplementedError

    async def commit(
        self, *, snapshot_key: str, parent: Image | None, config: RunConfig, author: str = "",
        comment: str = "", changes: list[str] | None = None,  # type: ignore[valid-type]
        repo: str = "", tag: str = "", container_id: str = "",
        container_config: RunConfig | None = None,
    ) -> ImageId:
        """An image from a container's snapshot (the caller pauses the container)."""
        raise NotImplementedError

    def bootstrap(
        self, spec: str, *, variant: str = "", packages: list[str] | None = None,  # type: ignore[valid-type]
        mirror: str = "", tag: str = "",
    ) -> AsyncIterator[dict[str, Any]]:
        """``POST /pierhead/images/bootstrap``: "busybox" or "debian:<suite>"; progress messages."""
        raise NotImplementedError

    async def recover(self) -> None:
        """At start: drop half-made images and layers no image needs."""
        raise NotImplementedError

    def disk_usage(self) -> dict[str, Any]:
        """For ``/system/df``: {"LayersSize": bytes, "Images": [...]} with SharedSize, Containers."""
        raise NotImplementedError
